//! Refresh tokens.

use std::collections::HashSet;

use base::Scope;
use base64::Engine as _;
use identity::Error;
use store::params;

use crate::house::{DAY, House, SECOND};

store::sql! {
    FAMILIES = "SELECT count(*) FROM refresh_family WHERE account_id = $1";
    KEPT = "SELECT max(octet_length(uses)) FROM refresh_family WHERE account_id = $1";
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
        assert_eq!(house.count(FAMILIES, params![ada]).await, 1);
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
        let access = pair.access_token.expose().clone();
        let cut = &token[..token.len() - 1];
        for wrong in ["", "ftr_", cut, &format!("{token}A"), &access, "ftr_ä", &"ftr_x".repeat(10_000)] {
            let result = house.identity.refresh(wrong, &house.meta()).await;
            assert!(matches!(result, Err(Error::InvalidRefreshToken)), "{wrong:.40}");
        }
        house.clock.advance_ms(7 * DAY);
        let late = house.identity.refresh(token, &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidRefreshToken)));
        assert!(house.deliver().await.is_empty(), "an expired token is no alarm");
    }
}

/// Whoever knows a session's id must not be able to end it: only a token that was issued is an alarm.
#[tokio::test]
async fn made_up_tokens_of_a_session_are_refused_and_end_nothing() {
    for house in House::all().await {
        house.account("ada").await;
        let (pair, other) = (house.sign_in("ada").await, house.sign_in("ada").await);
        let (token, other) = (pair.refresh_token.expose(), other.refresh_token.expose());
        // One character of each part: session, epoch, rotation, secret, tag; then the parts of two sessions together.
        let mut made_up: Vec<String> = [5, 28, 34, 50, 90]
            .into_iter()
            .map(|at| {
                let mut text = token.clone().into_bytes();
                text[at] = if text[at] == b'A' { b'B' } else { b'A' };
                String::from_utf8(text).unwrap()
            })
            .collect();
        made_up.push(format!("{}{}", &token[..24], &other[24..]));
        made_up.push(format!("ftr_{}", "A".repeat(96)));
        made_up.push(format!("ftr_{}", "A".repeat(43)));
        for wrong in &made_up {
            let result = house.identity.refresh(wrong, &house.meta()).await;
            assert!(matches!(result, Err(Error::InvalidRefreshToken)), "{wrong}");
        }
        house.caller(&pair).await.unwrap();
        for token in [token, other] {
            house.identity.refresh(token, &house.meta()).await.expect("nothing was ended");
        }
        assert!(house.deliver().await.is_empty());
    }
}

/// However fast somebody refreshes, the same token gives the same successor for ten seconds, and is an alarm soon after.
#[tokio::test]
async fn of_many_uses_in_a_row_each_can_be_repeated_and_each_becomes_an_alarm() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let first = house.sign_in("ada").await;
        let mut given = vec![first.refresh_token.expose().clone()];
        for step in 0..80 {
            let last = given.last().unwrap();
            let pair = house.identity.refresh(last, &house.meta()).await.unwrap();
            given.push(pair.refresh_token.expose().clone());
            // Clocks of two nodes are never quite the same.
            house.clock.advance_ms(if step % 2 == 0 { 140 } else { -100 });
        }
        for (used, successor) in given.iter().zip(&given[1..]) {
            let again = house.identity.refresh(used, &house.meta()).await.unwrap();
            assert_eq!(again.refresh_token.expose(), successor);
        }
        assert_eq!(house.count(FAMILIES, params![ada]).await, 1);
        assert!(house.count(KEPT, params![ada]).await <= 17 * 16, "what is remembered has a bound");
        // A thief who refreshes all the time cannot put the alarm off: the owner's token is late after 10 s, and as much
        // as is remembered as one use.
        let mut newest = given.pop().unwrap();
        for _ in 0..110 {
            house.clock.advance_ms(100);
            let pair = house.identity.refresh(&newest, &house.meta()).await.unwrap();
            newest = pair.refresh_token.expose().clone();
        }
        let reused = house.identity.refresh(&given[20], &house.meta()).await;
        assert!(matches!(reused, Err(Error::RefreshTokenReused)));
        let newest = house.identity.refresh(&newest, &house.meta()).await;
        assert!(matches!(newest, Err(Error::InvalidRefreshToken)));
    }
}

/// A clock that was set back must not make old tokens good for longer than clocks may differ.
#[tokio::test]
async fn a_use_in_the_far_future_is_not_a_recent_one() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        house.clock.advance_ms(5 * 60 * SECOND);
        house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        house.clock.advance_ms(-60 * SECOND);
        house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.expect("clocks may differ");
        house.clock.advance_ms(-SECOND);
        let reused = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await;
        assert!(matches!(reused, Err(Error::RefreshTokenReused)));
    }
}

/// What is over by itself needs no mail that frightens its owner.
#[tokio::test]
async fn a_session_that_is_over_gives_no_alarm() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        house.clock.advance_ms(31 * DAY);
        let late = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidRefreshToken)));
        assert!(house.deliver().await.is_empty());
    }
}

/// Whoever refreshed after the copy was made has to sign in again; nobody is told of a thief.
#[tokio::test]
async fn after_an_older_copy_is_restored_later_tokens_are_no_alarm() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let next = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        let newest = house.identity.refresh(next.refresh_token.expose(), &house.meta()).await.unwrap();
        let hash = crypto::mac::sha256(pair.refresh_token.expose().as_bytes());
        let mut tx = house.db.begin(Scope::System("test")).await.unwrap();
        tx.execute(RESTORED, params![pair.session, hash, Vec::new()]).await.unwrap();
        tx.commit().await.unwrap();
        house.clock.advance_ms(10 * SECOND + 1);
        let late = house.identity.refresh(newest.refresh_token.expose(), &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidRefreshToken)));
        assert!(house.deliver().await.is_empty());
        house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.expect("nothing was ended");
    }
}

/// A client that signed in before the update goes on without signing in again, also if it uses a token right after the
/// update that it had used right before.
#[tokio::test]
async fn tokens_of_the_earlier_form_go_on_and_their_late_reuse_is_an_alarm() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let used = format!("ftr_{}", "d".repeat(43));
        let epoch = house.keys.epoch(keys::Purpose::Refresh);
        let data = [b"fortissimo/refresh-successor/v1\0", used.as_bytes()].concat();
        let successor = crypto::mac::hmac_sha256(epoch.key.expose(), &data);
        let token = format!("ftr_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(successor));
        let now = house.clock.now();
        let hash = |token: &str| crypto::mac::sha256(token.as_bytes());
        let mut tx = house.db.begin(Scope::System("test")).await.unwrap();
        let (hash_of_used, hash_of_token) = (hash(&used), hash(&token));
        let end = now.plus_ms(DAY);
        tx.execute(EARLIER, params![hash_of_used, ada, pair.session, now, end, now, epoch.number])
            .await
            .unwrap();
        let unused = params![hash_of_token, ada, pair.session, now, end, None::<i64>, None::<i64>];
        tx.execute(EARLIER, unused).await.unwrap();
        tx.execute(RESTORED, params![pair.session, hash_of_token, Vec::new()]).await.unwrap();
        tx.commit().await.unwrap();

        let before = house.identity.refresh(&used, &house.meta()).await.unwrap();
        assert_eq!(before.refresh_token.expose(), &token);
        let next = house.identity.refresh(&token, &house.meta()).await.unwrap();
        let again = house.identity.refresh(&token, &house.meta()).await.unwrap();
        assert_eq!(next.refresh_token.expose(), again.refresh_token.expose());
        let before = house.identity.refresh(&used, &house.meta()).await.unwrap();
        assert_eq!(before.refresh_token.expose(), &token);
        house.identity.refresh(next.refresh_token.expose(), &house.meta()).await.unwrap();
        house.clock.advance_ms(10 * SECOND + 1);
        let reused = house.identity.refresh(&used, &house.meta()).await;
        assert!(matches!(reused, Err(Error::RefreshTokenReused)));
    }
}

store::sql! {
    EARLIER = "INSERT INTO refresh_token (token_hash, session_id, account_id, created_at, expires_at, used_at, successor_epoch) \
        VALUES ($1, $3, $2, $4, $5, $6, $7)";
    RESTORED = "UPDATE refresh_family SET token_hash = $2, rotation = 0, uses = $3 WHERE session_id = $1";
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
    ALL = "SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM refresh_family)";
}
