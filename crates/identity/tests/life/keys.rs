//! API keys.

use base::Timestamp;
use identity::{AccountCaller, Error, Identity, MadeApiKey, NewApiKey};
use store::params;

use crate::house::{DAY, HOUR, House, MINUTE, SECOND, eventually, quick};

store::sql! {
    HASHES = "SELECT count(*) FROM api_key WHERE key_hash = $1";
    USED = "SELECT count(*) FROM api_key WHERE last_used_at IS NOT NULL";
}

fn wish(scopes: &[&str]) -> NewApiKey {
    NewApiKey {
        name: "build server".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..NewApiKey::default()
    }
}

async fn make(house: &House, caller: &AccountCaller, wish: &NewApiKey) -> MadeApiKey {
    house.identity.create_api_key(caller, wish, &house.meta()).await.unwrap()
}

async fn open(identity: &Identity, made: &MadeApiKey, address: &str) -> Result<identity::KeyCaller, Error> {
    identity.authenticate_key(made.key.expose(), address.parse().unwrap()).await
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_name_until_it_is_revoked() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let made = make(&house, &caller, &wish(&["playlist.read", "track:read", "track:read"])).await;
        assert!(made.key.expose().starts_with("ftm_") && made.key.expose().starts_with(&made.view.hint));
        assert_eq!(made.view.scopes, ["playlist:read", "track:read"]);
        assert_eq!(house.count(HASHES, params![made.key.expose().as_bytes()]).await, 0);
        assert_eq!(house.mails().await.pop().unwrap().kind, "api_key_created");
        let other = house.second_node(quick()).await;
        for node in [&house.identity, &other] {
            let program = open(node, &made, "192.0.2.1").await.unwrap();
            assert_eq!(program.account, ada);
            assert!(
                program.covers("track:read") && !program.covers("track:write") && !program.covers("track")
            );
        }
        // Neither a token nor a cookie.
        assert!(house.identity.authenticate_token(made.key.expose()).await.is_err());
        assert!(house.identity.authenticate_cookie(made.key.expose()).await.is_err());
        eventually("the last use is noted", async || house.count(USED, params![]).await == 1).await;
        house.account("bob").await;
        let bob = house.caller(&house.sign_in("bob").await).await.unwrap();
        assert!(house.identity.api_keys(&bob).await.unwrap().is_empty());
        let others = house.identity.revoke_api_key(&bob, made.view.id, &house.meta()).await;
        assert!(matches!(others, Err(Error::NotFound)));

        house.identity.revoke_api_key(&caller, made.view.id, &house.meta()).await.unwrap();
        let refused = open(&house.identity, &made, "192.0.2.1").await;
        assert!(matches!(refused, Err(Error::InvalidToken("key-revoked"))));
        eventually("the other node hears of it", async || open(&other, &made, "192.0.2.1").await.is_err())
            .await;
        let twice = house.identity.revoke_api_key(&caller, made.view.id, &house.meta()).await;
        assert!(matches!(twice, Err(Error::NotFound)));
        let events = house.events().await;
        for kind in ["api_key.created", "api_key.revoked"] {
            assert!(events.contains(&kind.to_owned()), "{kind}");
        }
    }
}

#[tokio::test]
async fn networks_expiry_and_the_owners_state_count_at_each_use() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let wish = NewApiKey {
            networks: vec!["192.0.2.0/24".into(), "2001:db8::/32".into(), "198.51.100.7".into()],
            expires_at: Some(house.clock.now().plus_ms(HOUR)),
            ..wish(&["track:read"])
        };
        let made = make(&house, &caller, &wish).await;
        for address in ["192.0.2.200", "2001:db8:1::1", "198.51.100.7", "::ffff:192.0.2.1"] {
            open(&house.identity, &made, address).await.unwrap();
        }
        for address in ["192.0.3.1", "198.51.100.8", "2001:db9::1"] {
            let refused = open(&house.identity, &made, address).await;
            assert!(matches!(refused, Err(Error::InvalidToken("network-not-allowed"))), "{address}");
        }
        let permit = access::Permit::for_system("test");
        house.identity.disable_account(permit, ada, &house.meta()).await.unwrap();
        let refused = open(&house.identity, &made, "192.0.2.1").await;
        assert!(matches!(refused, Err(Error::InvalidToken("account-disabled"))));
        let permit = access::Permit::for_system("test");
        house.identity.enable_account(permit, ada, &house.meta()).await.unwrap();
        open(&house.identity, &made, "192.0.2.1").await.unwrap();
        house.clock.advance_ms(HOUR);
        assert!(matches!(
            open(&house.identity, &made, "192.0.2.1").await,
            Err(Error::InvalidToken("expired"))
        ));
        for wrong in
            ["", "ftm_", "ftm_0000", &made.key.expose().replace("ftm_", "ftx_"), &"ftm_x".repeat(20_000)]
        {
            let refused = house.identity.authenticate_key(wrong, "192.0.2.1".parse().unwrap()).await;
            assert!(matches!(refused, Err(Error::InvalidToken("malformed-key"))), "{wrong:.10}");
        }
    }
}

#[tokio::test]
async fn a_rotated_key_overlaps_for_a_day_and_is_rotated_once() {
    for house in House::all().await {
        house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let old = make(
            &house,
            &caller,
            &NewApiKey { networks: vec!["192.0.2.0/24".into()], ..wish(&["track:read"]) },
        )
        .await;
        let new = house.identity.rotate_api_key(&caller, old.view.id, &house.meta()).await.unwrap();
        assert_eq!((&new.view.scopes, &new.view.networks), (&old.view.scopes, &old.view.networks));
        for key in [&old, &new] {
            open(&house.identity, key, "192.0.2.1").await.unwrap();
        }
        let again = house.identity.rotate_api_key(&caller, old.view.id, &house.meta()).await;
        assert!(matches!(again, Err(Error::Conflict(_))));
        house.clock.advance_ms(DAY - SECOND);
        open(&house.identity, &old, "192.0.2.1").await.unwrap();
        house.clock.advance_ms(SECOND);
        assert!(open(&house.identity, &old, "192.0.2.1").await.is_err());
        open(&house.identity, &new, "192.0.2.1").await.unwrap();
        assert_eq!(house.identity.api_keys(&caller).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn wrong_wishes_name_their_field_and_old_factors_are_not_enough() {
    for house in House::all().await {
        house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let good = || wish(&["track:read"]);
        for (wrong, pointer) in [
            (NewApiKey { name: "  ".into(), ..good() }, "/name"),
            (NewApiKey { name: "x".repeat(101), ..good() }, "/name"),
            (NewApiKey { name: "a\u{7}".into(), ..good() }, "/name"),
            (wish(&[]), "/scopes"),
            (wish(&["track:read", "track:fly"]), "/scopes/1"),
            (wish(&["*"]), "/scopes/0"),
            (wish(&vec!["track:read"; 101]), "/scopes"),
            (NewApiKey { networks: vec!["192.0.2.0/33".into()], ..good() }, "/networks/0"),
            (NewApiKey { networks: vec!["home".into()], ..good() }, "/networks/0"),
            (NewApiKey { networks: vec!["192.0.2.1".into(); 51], ..good() }, "/networks"),
            (NewApiKey { expires_at: Some(Timestamp::from_millis(0)), ..good() }, "/expires_at"),
        ] {
            let refused = house.identity.create_api_key(&caller, &wrong, &house.meta()).await;
            let Err(Error::Invalid(errors)) = refused else { panic!("{wrong:?}") };
            assert_eq!(errors[0].pointer, pointer);
        }
        for _ in 0..50 {
            make(&house, &caller, &good()).await;
        }
        let full = house.identity.create_api_key(&caller, &good(), &house.meta()).await;
        assert!(matches!(full, Err(Error::Conflict(_))));
        house.clock.advance_ms(10 * MINUTE);
        let old = house.identity.create_api_key(&caller, &good(), &house.meta()).await;
        assert!(matches!(old, Err(Error::ReauthenticationRequired { second_factor: false })));
    }
}
