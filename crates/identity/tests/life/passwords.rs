//! Forgotten, reset and changed passwords.

use identity::{Error, Settings};
use store::params;

use crate::house::{HOUR, House, MINUTE, OTHER_PASSWORD, PASSWORD, credentials, quick, secret};

store::sql! {
    MAILS = "SELECT count(*) FROM mail WHERE kind = 'reset'";
    CODES = "SELECT count(*) FROM one_time_code WHERE purpose = 'reset'";
}

#[tokio::test]
async fn a_reset_link_sets_a_password_once_and_ends_all_sessions() {
    for house in House::all().await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        house.caller(&pair).await.unwrap();
        let address = "ada@example.com".parse().unwrap();
        house.identity.forgot_password(&address, &house.meta()).await.unwrap();
        let first = house.mail("reset").await.code();
        house.identity.forgot_password(&address, &house.meta()).await.unwrap();
        let second = house.mail("reset").await.code();
        // A refused password does not use the link up.
        let weak = house.identity.reset_password(&first, secret("short"), &house.meta()).await;
        assert!(matches!(weak, Err(Error::WeakPassword(_))));
        house.identity.reset_password(&first, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        for used in [&first, &second] {
            let again = house.identity.reset_password(used, secret(PASSWORD), &house.meta()).await;
            assert!(matches!(again, Err(Error::InvalidCode)), "both links ended with the first use");
        }
        assert!(house.caller(&pair).await.is_err());
        assert!(house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.is_err());
        assert_eq!(house.mail("password_changed").await.kind, "password_changed");
        let old = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(old, Err(Error::WrongCredentials)));
        house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn a_reset_link_ends_after_an_hour() {
    for house in House::all().await {
        house.account("ada").await;
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let code = house.mail("reset").await.code();
        house.clock.advance_ms(HOUR);
        let late = house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidCode)));
    }
}

#[tokio::test]
async fn asking_for_a_reset_tells_nothing_and_does_not_flood() {
    for house in House::all().await {
        house.account("ada").await;
        house.identity.forgot_password(&"nobody@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        assert_eq!(house.count(CODES, params![]).await, 1, "as much is written for nobody");
        assert!(house.deliver().await.iter().all(Result::is_ok), "a job with nothing to deliver is done");
        assert_eq!(house.count(MAILS, params![]).await, 0);
        for _ in 0..5 {
            house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        }
        assert_eq!(house.mails().await.len(), 3);
        house.clock.advance_ms(HOUR + MINUTE);
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        assert_eq!(house.mails().await.len(), 1);
        let asked =
            house.events().await.iter().filter(|kind| *kind == "account.password_reset_requested").count();
        assert_eq!(asked, 7);
    }
}

#[tokio::test]
async fn who_names_an_account_waits_for_the_next_step_of_time() {
    let answer_step = std::time::Duration::from_millis(50);
    for house in House::all_with(Settings { answer_step, ..quick() }).await {
        house.account("ada").await;
        for name in ["ada", "nobody"] {
            let address = format!("{name}@example.com");
            let start = std::time::Instant::now();
            house.identity.forgot_password(&address.parse().unwrap(), &house.meta()).await.unwrap();
            assert!(start.elapsed() >= answer_step, "{name}");
            let start = std::time::Instant::now();
            house.register("somebody", &address, PASSWORD).await;
            assert!(start.elapsed() >= answer_step, "{name}");
            // Wrong, and at last too early to be told even that.
            for typed in [name, &address] {
                for guess in 0..6 {
                    let start = std::time::Instant::now();
                    let wrong =
                        house.identity.sign_in(credentials(typed, OTHER_PASSWORD), &house.meta()).await;
                    assert!(wrong.is_err() && start.elapsed() >= answer_step, "{typed} {guess}: {wrong:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_changed_password_ends_the_reset_links_that_are_on_their_way() {
    for house in House::all().await {
        house.account("ada").await;
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let link = house.mail("reset").await.code();
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let meta = house.meta();
        house
            .identity
            .change_password(&caller, secret(PASSWORD), secret(OTHER_PASSWORD), &meta)
            .await
            .unwrap();
        let late = house.identity.reset_password(&link, secret(PASSWORD), &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidCode)));
    }
}

#[tokio::test]
async fn changing_the_password_keeps_this_session_and_ends_the_others() {
    for house in House::all().await {
        house.account("ada").await;
        let (own, other) = (house.sign_in("ada").await, house.sign_in("ada").await);
        let caller = house.caller(&own).await.unwrap();
        house.caller(&other).await.unwrap();
        let change = |current, new| {
            let (identity, meta, caller) = (house.identity.clone(), house.meta(), caller.clone());
            async move { identity.change_password(&caller, secret(current), secret(new), &meta).await }
        };
        assert!(matches!(change(OTHER_PASSWORD, PASSWORD).await, Err(Error::WrongCredentials)));
        assert!(matches!(change(PASSWORD, "ada").await, Err(Error::WeakPassword(_))));
        house.caller(&other).await.unwrap();
        change(PASSWORD, OTHER_PASSWORD).await.unwrap();
        house.caller(&own).await.unwrap();
        let next = house.identity.refresh(own.refresh_token.expose(), &house.meta()).await.unwrap();
        house.caller(&next).await.unwrap();
        assert!(house.caller(&other).await.is_err());
        assert!(house.identity.refresh(other.refresh_token.expose(), &house.meta()).await.is_err());
        assert_eq!(house.mail("password_changed").await.kind, "password_changed");
        house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sign_in_that_races_with_a_reset_gives_no_lasting_session() {
    for house in House::all().await {
        house.account("ada").await;
        for round in 0..5 {
            let (old, new) =
                if round % 2 == 0 { (PASSWORD, OTHER_PASSWORD) } else { (OTHER_PASSWORD, PASSWORD) };
            house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
            let mails = house.mails().await;
            let code = mails.iter().find(|mail| mail.kind == "reset").unwrap().code();
            house.clock.advance_ms(HOUR / 2 - MINUTE);
            let racer = {
                let (identity, meta) = (house.identity.clone(), house.meta());
                tokio::spawn(async move { identity.sign_in(credentials("ada", old), &meta).await })
            };
            house.identity.reset_password(&code, secret(new), &house.meta()).await.unwrap();
            if let Ok(pair) = racer.await.unwrap() {
                let pair = pair.done().unwrap();
                assert!(house.caller(&pair).await.is_err(), "round {round}");
            }
        }
    }
}
