//! Refresh tokens.

use std::collections::HashSet;

use identity::Error;
use store::params;

use crate::house::{DAY, House, SECOND};

store::sql! {
    TOKENS = "SELECT count(*) FROM refresh_token WHERE account_id = $1";
    LIVE = "SELECT count(*) FROM session WHERE account_id = $1 AND revoked_at IS NULL";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_uses_at_once_give_one_successor_and_no_sign_out() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let token = pair.refresh_token.expose().clone();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (identity, meta, token) = (house.identity.clone(), house.meta(), token.clone());
                tokio::spawn(async move { identity.refresh(&token, &meta).await })
            })
            .collect();
        let mut successors = HashSet::new();
        let mut access = Vec::new();
        for task in tasks {
            let pair = task.await.unwrap().expect("nobody is signed out");
            successors.insert(pair.refresh_token.expose().clone());
            access.push(pair);
        }
        assert_eq!(successors.len(), 1);
        assert_eq!(house.count(TOKENS, params![ada]).await, 2);
        assert_eq!(house.count(LIVE, params![ada]).await, 1);
        for pair in &access {
            house.caller(pair).await.unwrap();
        }
        // The successor works, and within its own time the old token still names it.
        let successor = successors.into_iter().next().unwrap();
        house.clock.advance_ms(5 * SECOND);
        let third = house.identity.refresh(&successor, &house.meta()).await.unwrap();
        let again = house.identity.refresh(&token, &house.meta()).await.unwrap();
        assert_eq!(again.refresh_token.expose(), &successor);
        house.identity.refresh(third.refresh_token.expose(), &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn a_late_reuse_ends_the_family_and_tells_the_owner_once() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let next = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        house.caller(&next).await.unwrap();
        house.clock.advance_ms(10 * SECOND);
        // Exactly at the limit it is still the same client.
        house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        house.clock.advance_ms(1);
        let reused = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap_err();
        assert!(matches!(reused, Error::RefreshTokenReused));
        assert_eq!(reused.problem(), Error::InvalidRefreshToken.problem());
        // At once, for everything that came from this sign-in.
        assert!(matches!(house.caller(&next).await, Err(Error::InvalidToken("session-revoked"))));
        for token in [&next, &pair] {
            let again = house.identity.refresh(token.refresh_token.expose(), &house.meta()).await;
            assert!(matches!(again, Err(Error::InvalidRefreshToken)));
        }
        let mail = house.mail("refresh_reused").await;
        assert!(mail.text.contains("To: ada@example.com"));
        assert!(house.events().await.contains(&"session.refresh_reused".to_owned()));
        // Other sessions of the person go on.
        house.sign_in("ada").await;
    }
}

#[tokio::test]
async fn tokens_end_unused_and_wrong_ones_are_refused() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let token = pair.refresh_token.expose();
        let tampered = format!("{}{}", &token[..46], if token.ends_with('A') { 'B' } else { 'A' });
        let access = pair.access_token.expose().clone();
        for wrong in ["", "ftr_", &tampered, &access, "ftr_ä", &"ftr_x".repeat(10_000)] {
            let result = house.identity.refresh(wrong, &house.meta()).await;
            assert!(matches!(result, Err(Error::InvalidRefreshToken)), "{wrong:.40}");
        }
        house.clock.advance_ms(7 * DAY);
        let late = house.identity.refresh(token, &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidRefreshToken)));
        assert!(house.deliver().await.is_empty(), "an expired token is no alarm");
    }
}

#[tokio::test]
async fn a_session_that_is_refreshed_lasts_thirty_days_and_no_longer() {
    for house in House::all().await {
        house.account("ada").await;
        let mut pair = house.sign_in("ada").await;
        for _ in 0..5 {
            house.clock.advance_ms(6 * DAY - SECOND);
            pair = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
            house.caller(&pair).await.unwrap();
        }
        assert!(pair.refresh_expires_in_s <= 5 && pair.expires_in_s <= 5, "nothing outlives the session");
        house.clock.advance_ms(5 * SECOND);
        assert!(house.caller(&pair).await.is_err());
        let late = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidRefreshToken)));
        house.clock.advance_ms(8 * DAY);
        let swept = house.identity.janitor().await.unwrap();
        assert_eq!((swept.sessions, house.count(ALL, params![]).await), (1, 0));
    }
}

store::sql! {
    ALL = "SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM refresh_token)";
}
