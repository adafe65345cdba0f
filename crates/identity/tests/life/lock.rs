//! A lock on an account: who can bring it about, what it does, and who ends it.

use access::Permit;
use identity::{Again, Error, NewApiKey, Settings};

use crate::house::*;

const STOP: i64 = 6;

/// Without waits, and with a near end.
fn settings() -> Settings {
    Settings {
        attempts_hard_stop: STOP,
        attempts_before_delay: 1_000,
        network_attempts_before_delay: 1_000,
        ..quick()
    }
}

/// Somebody within the session guesses the password until the stop.
async fn guess_within(house: &House, pair: &identity::TokenPair) {
    let caller = house.caller(pair).await.unwrap();
    for round in 0..STOP {
        assert!(!house.caller(pair).await.unwrap().locked, "{round}");
        let again = Again { password: Some(secret(OTHER_PASSWORD)), code: None };
        let wrong = house.identity.reauthenticate(&caller, again, &house.meta()).await;
        assert!(matches!(wrong, Err(Error::WrongCredentials)), "{round}: {wrong:?}");
    }
}

#[tokio::test]
async fn strangers_at_the_door_lock_nobody() {
    for house in House::all_with(settings()).await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        for _ in 0..2 * STOP {
            assert!(house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.is_err());
        }
        assert!(
            !house
                .second_node(settings())
                .await
                .authenticate_token(pair.access_token.expose())
                .await
                .unwrap()
                .locked
        );
    }
}

#[tokio::test]
async fn who_guesses_within_a_session_locks_the_account_and_a_mailed_link_unlocks_it() {
    for house in House::all_with(settings()).await {
        let account = house.account("ada").await;
        let (taken, other) = (house.sign_in("ada").await, house.sign_in("ada").await);
        let caller = house.caller(&other).await.unwrap();
        let wish = NewApiKey { name: "ci".into(), scopes: vec!["track:read".into()], ..NewApiKey::default() };
        let key = house.identity.create_api_key(&caller, &wish, &house.meta()).await.unwrap();
        let key = key.key.expose().as_str();
        let by_key = async || {
            let address = "192.0.2.7".parse().unwrap();
            house.identity.authenticate_key(key, address).await.unwrap().subject().assurance.locked
        };
        assert!(!by_key().await);
        house.mails().await;
        guess_within(&house, &taken).await;
        // At once in every session, by every key, and on another node.
        let elsewhere = house.second_node(settings()).await;
        for pair in [&taken, &other] {
            assert!(house.caller(pair).await.unwrap().subject().assurance.locked);
            let there = elsewhere.authenticate_token(pair.access_token.expose()).await.unwrap();
            assert!(there.subject().assurance.locked);
        }
        assert!(by_key().await);
        assert!(house.events().await.contains(&"account.locked".to_owned()));
        let mail = house.mail("account_locked").await;
        assert!(mail.text.contains("/account/forgot"), "{}", mail.text);

        let email = "ada@example.com".parse().unwrap();
        house.identity.forgot_password(&email, &house.meta()).await.unwrap();
        let code = house.mail("reset").await.code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        assert!(house.events().await.contains(&"account.unlocked".to_owned()));
        assert!(house.caller(&taken).await.is_err(), "whoever sat there is out");
        let wish = credentials("ada", OTHER_PASSWORD);
        let pair = house.identity.sign_in(wish, &house.meta()).await.unwrap().done().unwrap();
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!((caller.account, caller.locked), (account, false));
        // And the new password may be given again.
        let again = Again { password: Some(secret(OTHER_PASSWORD)), code: None };
        house.identity.reauthenticate(&caller, again, &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn an_operator_lifts_a_lock_at_once() {
    for house in House::all_with(settings()).await {
        let account = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        guess_within(&house, &pair).await;
        assert!(house.caller(&pair).await.unwrap().locked);
        house.identity.lift_stops(Permit::for_system("test"), account, &house.meta()).await.unwrap();
        assert!(!house.caller(&pair).await.unwrap().locked);
        let caller = house.caller(&pair).await.unwrap();
        let again = Again { password: Some(secret(PASSWORD)), code: None };
        house.identity.reauthenticate(&caller, again, &house.meta()).await.unwrap();
    }
}
