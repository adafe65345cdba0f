//! Brute force: growing waits, nobody who locks somebody else out, the same for names that nobody has.

use std::sync::Arc;

use base::ProblemKind;
use identity::{BrowserSession, Error, RequestMeta};
use store::params;

use crate::house::{DAY, HOUR, House, MINUTE, OTHER_PASSWORD, PASSWORD, SECOND, credentials, quick, secret};

store::sql! {
    COUNTERS = "SELECT count(*) FROM attempt_counter";
}

/// A guess from somewhere; the outcome in a word and the seconds to wait.
async fn guess(house: &House, name: &str, password: &str, meta: &RequestMeta) -> (&'static str, u32) {
    match house.identity.sign_in(credentials(name, password), meta).await {
        Ok(_) => ("in", 0),
        Err(Error::WrongCredentials) => ("wrong", 0),
        Err(error @ Error::TooManyAttempts { retry_after_s }) => {
            let problem = error.problem();
            assert_eq!(
                (problem.kind, problem.retry_after_s),
                (ProblemKind::RateLimited, Some(retry_after_s))
            );
            ("wait", retry_after_s)
        }
        Err(Error::EmailNotVerified) => ("not-verified", 0),
        Err(error) => panic!("{error}"),
    }
}

fn from(house: &House, address: &str) -> RequestMeta {
    let mut meta = house.meta();
    meta.address = Some(address.parse().unwrap());
    meta
}

/// The browser of the owner, after it signed in once.
async fn owners_browser(house: &House, name: &str) -> RequestMeta {
    let session: BrowserSession = house
        .identity
        .sign_in_browser(credentials(name, PASSWORD), &house.meta())
        .await
        .unwrap()
        .done()
        .unwrap();
    let mut meta = house.meta();
    meta.device = Some(session.device.expose().as_str().into());
    meta
}

#[tokio::test]
async fn waits_grow_and_the_answers_do_not_tell_who_has_an_account() {
    let mut stories = Vec::new();
    for house in House::all().await {
        house.account("ada").await;
        house.register("carol", "carol@example.com", PASSWORD).await;
        house.mails().await;
        for name in ["ada", "nobody", "ADA@example.com", "nobody@example.com", "carol", "no such@@name"] {
            let mut story = Vec::new();
            for round in 0..12 {
                // Each from another network, so that only the name's counter is seen.
                let meta = from(&house, &format!("198.51.100.{round}"));
                story.push(guess(&house, name, OTHER_PASSWORD, &meta).await);
                if let Some(("wait", seconds)) = story.last() {
                    house.clock.advance_ms(i64::from(*seconds) * SECOND);
                }
            }
            stories.push(story);
            house.clock.advance_ms(2 * DAY);
        }
    }
    let expected = [
        ("wrong", 0),
        ("wrong", 0),
        ("wrong", 0),
        ("wrong", 0),
        ("wrong", 0),
        ("wait", 10),
        ("wrong", 0),
        ("wait", 20),
        ("wrong", 0),
        ("wait", 40),
        ("wrong", 0),
        ("wait", 80),
    ];
    for story in stories {
        assert_eq!(story, expected);
    }
}

#[tokio::test]
async fn a_right_password_begins_anew_and_a_day_of_rest_too() {
    for house in House::all().await {
        house.account("ada").await;
        let meta = house.meta();
        for _ in 0..4 {
            assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &meta).await.0, "wrong");
        }
        assert_eq!(guess(&house, "ada", PASSWORD, &meta).await.0, "in");
        for _ in 0..5 {
            assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &meta).await.0, "wrong");
        }
        // Even the right one waits, and is not told.
        assert_eq!(guess(&house, "ada", PASSWORD, &meta).await, ("wait", 10));
        house.clock.advance_ms(DAY);
        for _ in 0..5 {
            assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &meta).await.0, "wrong");
        }
        // Slower than five in a quarter of an hour starts no waits.
        house.clock.advance_ms(2 * DAY);
        for _ in 0..20 {
            assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &meta).await.0, "wrong");
            house.clock.advance_ms(4 * MINUTE);
        }
        assert!(house.events().await.contains(&"account.throttled".to_owned()));
    }
}

#[tokio::test]
async fn nobody_locks_the_owner_out_of_a_known_device() {
    for house in House::all().await {
        house.account("ada").await;
        let owner = owners_browser(&house, "ada").await;
        // The attacker behind the same address as the owner, with a device of their own.
        house.account("eve").await;
        let attacker = owners_browser(&house, "eve").await;
        let mut stopped = false;
        for round in 0..150 {
            let name = if round % 2 == 0 { "ada" } else { "ada@example.com" };
            match guess(&house, name, OTHER_PASSWORD, &attacker).await {
                ("wait", seconds) => {
                    stopped |= seconds == 86_400;
                    house.clock.advance_ms(i64::from(seconds.min(900)) * SECOND);
                }
                (outcome, _) => assert_eq!(outcome, "wrong"),
            }
        }
        for _ in 0..60 {
            let (outcome, seconds) = guess(&house, "ada", OTHER_PASSWORD, &attacker).await;
            stopped |= outcome == "wait" && seconds == 86_400;
            house.clock.advance_ms(15 * MINUTE);
        }
        assert!(stopped, "the hard stop was reached");
        // The owner signs in as if nothing had happened.
        assert_eq!(guess(&house, "ada", PASSWORD, &owner).await.0, "in");
        assert_eq!(guess(&house, "ada@example.com", PASSWORD, &owner).await.0, "in");
        // A known device has a budget too, of its own.
        for _ in 0..5 {
            assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &owner).await.0, "wrong");
        }
        assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &owner).await.0, "wait");
        // From elsewhere the stop holds, however long one waits; a new password ends it.
        house.clock.advance_ms(2 * DAY);
        assert_eq!(guess(&house, "ada", PASSWORD, &from(&house, "203.0.113.9")).await, ("wait", 86_400));
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let code = house.mails().await.into_iter().find(|mail| mail.kind == "reset").unwrap().code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        // From the owner's own network; from another one the assessment of risk would want to be asked too.
        assert_eq!(guess(&house, "ada", OTHER_PASSWORD, &house.meta()).await.0, "in");
    }
}

#[tokio::test]
async fn a_device_that_is_forged_old_or_somebody_elses_is_a_stranger() {
    for house in House::all().await {
        house.account("ada").await;
        let known = owners_browser(&house, "ada").await;
        for _ in 0..5 {
            guess(&house, "ada", OTHER_PASSWORD, &house.meta()).await;
        }
        let text = known.device.clone().unwrap();
        let mut altered = text.to_string();
        altered.replace_range(8..9, if altered.as_bytes()[8] == b'A' { "B" } else { "A" });
        for forged in [altered.as_str(), "", "x", &"A".repeat(80), &"ä".repeat(40), &"x".repeat(100_000)] {
            let mut meta = house.meta();
            meta.device = Some(forged.into());
            assert_eq!(guess(&house, "ada", PASSWORD, &meta).await.0, "wait", "{forged:.12}");
        }
        assert_eq!(guess(&house, "ada", PASSWORD, &known).await.0, "in");
        house.clock.advance_ms(401 * DAY);
        for _ in 0..5 {
            guess(&house, "ada", OTHER_PASSWORD, &house.meta()).await;
        }
        assert_eq!(guess(&house, "ada", PASSWORD, &known).await.0, "wait");
    }
}

#[tokio::test]
async fn spraying_over_many_names_is_seen_and_slowed() {
    for house in House::all().await {
        house.account("ada").await;
        let owner = owners_browser(&house, "ada").await;
        let meta = house.meta();
        let mut outcomes = Vec::new();
        for round in 0..40 {
            outcomes.push(guess(&house, &format!("name{round}"), OTHER_PASSWORD, &meta).await.0);
        }
        // Names fall into sixty groups, so ten groups are ten names or a few more.
        let tried = outcomes.iter().take_while(|outcome| **outcome == "wrong").count();
        assert!((10..=25).contains(&tried), "{tried}");
        assert!(outcomes[tried..].iter().all(|outcome| *outcome == "wait"));
        // A right guess is slowed like a wrong one; the owner's own browser at the same address is not.
        assert_eq!(guess(&house, "ada", PASSWORD, &meta).await.0, "wait");
        assert_eq!(guess(&house, "ada", PASSWORD, &owner).await.0, "in");
        // Another network is not concerned; the same /64 is.
        assert_eq!(guess(&house, "name99", OTHER_PASSWORD, &from(&house, "198.51.100.9")).await.0, "wrong");
        // Said once, as what it is and about nobody's account.
        let events = house.events().await;
        let said = |name: &str| events.iter().filter(|kind| *kind == name).count();
        assert_eq!((said("session.sign_in_sprayed"), said("account.throttled")), (1, 0), "{events:?}");
        house.clock.advance_ms(HOUR);
        assert_eq!(guess(&house, "ada", PASSWORD, &meta).await.0, "in");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_guesses_at_once_learn_no_more_than_one_after_the_other() {
    for house in House::all().await {
        house.account("ada").await;
        let house = Arc::new(house);
        let tasks: Vec<_> = (0..40)
            .map(|round| {
                let house = Arc::clone(&house);
                tokio::spawn(async move {
                    let meta = from(&house, &format!("198.51.100.{round}"));
                    guess(&house, "ada", OTHER_PASSWORD, &meta).await.0
                })
            })
            .collect();
        let mut wrong = 0;
        for task in tasks {
            match task.await.unwrap() {
                "wrong" => wrong += 1,
                outcome => assert_eq!(outcome, "wait"),
            }
        }
        assert_eq!(wrong, 5);
    }
}

#[tokio::test]
async fn counters_survive_a_restart_and_do_not_live_for_ever() {
    for house in House::all().await {
        house.account("ada").await;
        for _ in 0..5 {
            guess(&house, "ada", OTHER_PASSWORD, &house.meta()).await;
        }
        let restarted = house.second_node(quick()).await;
        let refused = restarted.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(refused, Err(Error::TooManyAttempts { .. })));
        house.clock.advance_ms(29 * DAY);
        house.identity.janitor().await.unwrap();
        assert!(house.count(COUNTERS, params![]).await > 0);
        house.clock.advance_ms(2 * DAY);
        house.identity.janitor().await.unwrap();
        assert_eq!(house.count(COUNTERS, params![]).await, 0);
    }
}

#[tokio::test]
async fn a_strangers_attempt_is_not_activated_by_the_victims_click() {
    for house in House::all().await {
        // Three registrations use up the hour's mails, so that the victim's own sign-up brings none.
        for name in ["eve1", "eve2", "eve3"] {
            house.register(name, "ada@example.com", OTHER_PASSWORD).await;
        }
        let mails = house.mails().await;
        assert_eq!(mails.len(), 3);
        house.register("ada", "ada@example.com", PASSWORD).await;
        assert!(house.mails().await.is_empty());
        // A stranger's password opens none of the links of somebody else's mailbox for them: they do not have the links.
        let eve = guess(&house, "eve3", OTHER_PASSWORD, &house.meta()).await;
        assert_eq!(eve.0, "not-verified");
        // Guessing the password of an attempt is counted as well.
        let code = mails[0].code();
        let mut waits = 0;
        for _ in 0..8 {
            let refused =
                house.identity.verify_email(&code, &secret("a guess that is long"), &house.meta()).await;
            waits += u32::from(matches!(refused, Err(Error::TooManyAttempts { .. })));
        }
        assert!(waits >= 3, "{waits}");
        // The victim clicks on what came, with the password that they chose: their own attempt becomes the account.
        let verified =
            house.identity.verify_email(&mails[2].code(), &secret(PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(verified.username.as_str(), "ada");
        for name in ["eve1", "eve2", "eve3", "ada"] {
            assert_eq!(guess(&house, name, OTHER_PASSWORD, &house.meta()).await.0, "wrong", "{name}");
        }
        house.sign_in("ada").await;
    }
}
