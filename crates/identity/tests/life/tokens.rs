//! Access tokens.

use std::sync::Arc;

use access::Permit;
use crypto::jwe::JweKey;
use crypto::memory::LockedKey;
use identity::{EncryptedAudience, Error, Method};
use keys::KeyUse;

use crate::house::{House, MINUTE, PASSWORD, SECOND, credentials, eventually, quick};

#[tokio::test]
async fn tokens_hold_what_the_specification_says_and_no_more() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let payload = pair.access_token.expose().split('.').nth(1).unwrap().to_owned();
        let claims: serde_json::Value = serde_json::from_slice(&base64url(&payload)).unwrap();
        let mut names: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub"]);
        assert_eq!(claims["sub"], ada.to_string());
        assert_eq!(claims["sid"], pair.session.to_string());
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!((caller.method, caller.session), (Method::Token, pair.session));
    }
}

#[tokio::test]
async fn tokens_end_to_the_second_also_when_remembered() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        house.clock.advance_ms(15 * MINUTE - SECOND);
        house.caller(&pair).await.unwrap();
        house.clock.advance_ms(SECOND);
        assert!(matches!(house.caller(&pair).await, Err(Error::InvalidToken("expired"))));
    }
}

#[tokio::test]
async fn wrong_tokens_are_refused_by_name() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let token = pair.access_token.expose();
        let mut parts = token.split('.');
        let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
        let claims: serde_json::Value = serde_json::from_slice(&base64url(payload)).unwrap();
        // Right key, wrong kind of token: an assertion for an upstream is no access token.
        let assertion = house.keys.signer(KeyUse::Assertion).sign("at+jwt", &claims);
        let other_type = house.keys.signer(KeyUse::AccessToken).sign("JWT", &claims);
        let mut foreign = claims.clone();
        foreign["aud"] = "somebody-else".into();
        let foreign = house.keys.signer(KeyUse::AccessToken).sign("at+jwt", &foreign);
        for (wrong, reason) in [
            (assertion, "unknown-key"),
            (other_type, "wrong-type"),
            (foreign, "wrong-audience"),
            (format!("{header}.{payload}."), "malformed"),
            (String::new(), "malformed"),
            ("a.b.c".to_owned(), "malformed"),
            ("x".repeat(10_000), "too-long"),
        ] {
            let result = house.identity.authenticate_token(&wrong).await;
            let Err(Error::InvalidToken(found)) = result else { panic!("{reason}: {result:?}") };
            // How a broken signature is named is the verifier's business.
            assert!(found == reason || reason == "malformed", "{found} instead of {reason}");
        }
        house.caller(&pair).await.unwrap();
    }
}

#[tokio::test]
async fn disabling_takes_effect_at_once_here_and_soon_elsewhere() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let browser = house
            .identity
            .sign_in_browser(credentials("ada", PASSWORD), &house.meta())
            .await
            .unwrap()
            .done()
            .unwrap();
        let node = house.second_node(quick()).await;
        node.authenticate_token(pair.access_token.expose()).await.unwrap();
        house.caller(&pair).await.unwrap();
        house.identity.authenticate_cookie(browser.cookie.expose()).await.unwrap();

        house.identity.disable_account(Permit::for_system("test"), ada, &house.meta()).await.unwrap();
        assert!(matches!(house.caller(&pair).await, Err(Error::InvalidToken(_))));
        assert!(house.identity.authenticate_cookie(browser.cookie.expose()).await.is_err());
        assert!(house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.is_err());
        eventually("the other node's refusal", async || {
            node.authenticate_token(pair.access_token.expose()).await.is_err()
        })
        .await;
        // What was ended stays ended.
        house.identity.enable_account(Permit::for_system("test"), ada, &house.meta()).await.unwrap();
        assert!(house.caller(&pair).await.is_err());
        house.sign_in("ada").await;
    }
}

#[tokio::test]
async fn some_audiences_get_encrypted_tokens() {
    let key = |byte| Arc::new(JweKey::direct("key", LockedKey::from_bytes(&mut [byte; 32])));
    let mut settings = quick();
    settings.encrypted_audiences = vec![
        EncryptedAudience { audience: "fortissimo".into(), key: key(1) },
        EncryptedAudience { audience: "studio".into(), key: key(2) },
    ];
    for house in House::all_with(settings).await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        assert_eq!(pair.access_token.expose().split('.').count(), 5);
        house.caller(&pair).await.unwrap();
        house.caller(&pair).await.unwrap();

        let mut for_studio = credentials("ada", PASSWORD);
        for_studio.audience = Some("studio".into());
        let pair = house.identity.sign_in(for_studio, &house.meta()).await.unwrap().done().unwrap();
        assert!(house.caller(&pair).await.is_err(), "a token for somebody else is none for us");
        let next = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        let opened = crypto::jwe::decrypt(&key(2), next.access_token.expose()).unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&base64url(opened.split('.').nth(1).unwrap())).unwrap();
        assert_eq!(claims["aud"], "studio");

        let mut unknown = credentials("ada", PASSWORD);
        unknown.audience = Some("nobody".into());
        assert!(matches!(house.identity.sign_in(unknown, &house.meta()).await, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn a_revoked_signing_key_takes_remembered_tokens_with_it() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        house.caller(&pair).await.unwrap();
        let kid = house.keys.signer(KeyUse::AccessToken).kid().to_owned();
        let mut tx = house.db.begin(base::Scope::System("test")).await.unwrap();
        assert!(house.keys.revoke_signing(&mut tx, &kid, house.clock.now()).await.unwrap());
        tx.commit().await.unwrap();
        eventually("the refusal", async || house.caller(&pair).await.is_err()).await;
    }
}

fn base64url(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}
