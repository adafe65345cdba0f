//! Sessions: list, name, revoke, limits.

use identity::{Error, SessionKind};
use store::params;

use crate::house::{DAY, HOUR, House, MINUTE, PASSWORD, SECOND, credentials, eventually};

store::sql! {
    SEEN = "SELECT last_seen_at FROM session WHERE session_id = $1";
    LIVE = "SELECT count(*) FROM session WHERE account_id = $1 AND revoked_at IS NULL";
}

#[tokio::test]
async fn people_see_name_and_end_their_own_sessions_only() {
    for house in House::all().await {
        house.account("ada").await;
        house.account("bob").await;
        let (one, two) = (house.sign_in("ada").await, house.sign_in("ada").await);
        let bobs = house.sign_in("bob").await;
        let mut named = credentials("ada", PASSWORD);
        named.session_name = Some("  Studio\u{7} laptop ".into());
        let browser = house.identity.sign_in_browser(named, &house.meta()).await.unwrap().done().unwrap();
        let caller = house.identity.authenticate_cookie(browser.cookie.expose()).await.unwrap();

        let list = house.identity.sessions(&caller).await.unwrap();
        assert_eq!(list.len(), 3);
        let own = list.iter().find(|session| session.current).unwrap();
        assert_eq!(
            (own.id, own.kind, own.name.as_deref()),
            (browser.session, SessionKind::Browser, Some("Studio laptop"))
        );
        assert_eq!(own.agent.as_deref(), Some("CanaryAgent/1.0"));
        assert_eq!(own.address.as_deref(), Some("192.0.2.7"));

        house.identity.name_session(&caller, one.session, Some("Phone"), &house.meta()).await.unwrap();
        let list = house.identity.sessions(&caller).await.unwrap();
        assert!(
            list.iter().any(|session| session.id == one.session && session.name.as_deref() == Some("Phone"))
        );
        let long = "x".repeat(101);
        let refused = house.identity.name_session(&caller, one.session, Some(&long), &house.meta()).await;
        assert!(matches!(refused, Err(Error::Invalid(_))));

        // Somebody else's session does not exist.
        let foreign = house.identity.name_session(&caller, bobs.session, Some("mine"), &house.meta()).await;
        assert!(matches!(foreign, Err(Error::NotFound)));
        let foreign = house.identity.revoke_session(&caller, bobs.session, &house.meta()).await;
        assert!(matches!(foreign, Err(Error::NotFound)));
        house.caller(&bobs).await.unwrap();

        house.caller(&one).await.unwrap();
        house.identity.revoke_session(&caller, one.session, &house.meta()).await.unwrap();
        assert!(matches!(house.caller(&one).await, Err(Error::InvalidToken("session-revoked"))));
        house.caller(&two).await.unwrap();
        assert_eq!(house.identity.revoke_other_sessions(&caller, &house.meta()).await.unwrap(), 1);
        assert!(house.caller(&two).await.is_err());
        house.identity.authenticate_cookie(browser.cookie.expose()).await.unwrap();
        house.caller(&bobs).await.unwrap();
        house.identity.sign_out(&caller, &house.meta()).await.unwrap();
        assert!(house.identity.authenticate_cookie(browser.cookie.expose()).await.is_err());
        house.identity.sign_out(&caller, &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn a_browser_session_idles_out_and_ends_in_any_case() {
    for house in House::all().await {
        house.account("ada").await;
        let sign_in = || house.identity.sign_in_browser(credentials("ada", PASSWORD), house_meta(&house));
        let idle = sign_in().await.unwrap().done().unwrap();
        house.identity.authenticate_cookie(idle.cookie.expose()).await.unwrap();
        house.clock.advance_ms(DAY);
        let result = house.identity.authenticate_cookie(idle.cookie.expose()).await;
        assert!(matches!(result, Err(Error::InvalidToken("session-idle"))));

        let used = sign_in().await.unwrap().done().unwrap();
        for _ in 0..30 {
            house.identity.authenticate_cookie(used.cookie.expose()).await.unwrap();
            house.clock.advance_ms(DAY - SECOND);
        }
        house.clock.advance_ms(30 * SECOND);
        let result = house.identity.authenticate_cookie(used.cookie.expose()).await;
        assert!(matches!(result, Err(Error::InvalidToken("expired"))), "{result:?}");
    }
}

fn house_meta(house: &House) -> &'static identity::RequestMeta {
    Box::leak(Box::new(house.meta()))
}

#[tokio::test]
async fn the_time_of_use_is_written_once_a_minute_and_by_any_node() {
    for house in House::all().await {
        house.account("ada").await;
        let start = house.clock.now().as_millis();
        let browser = house
            .identity
            .sign_in_browser(credentials("ada", PASSWORD), &house.meta())
            .await
            .unwrap()
            .done()
            .unwrap();
        let node = house.second_node(crate::house::quick()).await;
        node.authenticate_cookie(browser.cookie.expose()).await.unwrap();
        for _ in 0..3 {
            house.clock.advance_ms(20 * SECOND - 1);
            house.identity.authenticate_cookie(browser.cookie.expose()).await.unwrap();
        }
        assert_eq!(house.count(SEEN, params![browser.session]).await, start);
        house.clock.advance_ms(3);
        house.identity.authenticate_cookie(browser.cookie.expose()).await.unwrap();
        let noted = house.clock.now().as_millis();
        eventually("the note", async || house.count(SEEN, params![browser.session]).await == noted).await;
        // The other node remembers an older use, but looks before it calls the session idle.
        house.clock.advance_ms(DAY - SECOND);
        node.authenticate_cookie(browser.cookie.expose()).await.unwrap();
        let noted = house.clock.now().as_millis();
        eventually("the note", async || house.count(SEEN, params![browser.session]).await == noted).await;
        house.clock.advance_ms(HOUR + MINUTE);
        house.identity.authenticate_cookie(browser.cookie.expose()).await.unwrap();
    }
}

#[tokio::test]
async fn an_account_has_a_hundred_sessions_at_most() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let first = house.sign_in("ada").await;
        house.clock.advance_ms(SECOND);
        for _ in 0..100 {
            house.sign_in("ada").await;
        }
        assert_eq!(house.count(LIVE, params![ada]).await, 100);
        assert!(house.caller(&first).await.is_err());
    }
}

#[tokio::test]
async fn nonsense_cookies_are_refused() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let token = pair.access_token.expose().clone();
        let long = "x".repeat(100_000);
        for wrong in ["", "x", &*"A".repeat(43), &token, &long, "\u{0}"] {
            let result = house.identity.authenticate_cookie(wrong).await;
            assert!(matches!(result, Err(Error::InvalidToken(_))), "{wrong:.40}");
        }
    }
}

#[tokio::test]
async fn whoever_was_let_in_long_ago_is_let_in_no_longer_than_their_session() {
    for house in House::all().await {
        house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        assert_eq!(house.identity.recheck(&caller).await.unwrap().session, caller.session);
        house.identity.revoke_session(&caller, caller.session, &house.meta()).await.unwrap();
        assert!(matches!(house.identity.recheck(&caller).await, Err(Error::InvalidToken("session-revoked"))));
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        house.clock.advance_ms(HOUR);
        assert!(matches!(house.identity.recheck(&caller).await, Err(Error::InvalidToken("expired"))));
    }
}
