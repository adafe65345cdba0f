//! Registration and verification.

use identity::{AccountStatus, Error};
use store::params;

use crate::house::{DAY, HOUR, House, MINUTE, OTHER_PASSWORD, PASSWORD, credentials, secret, wish};

store::sql! {
    ROWS = "SELECT (SELECT count(*) FROM account) * 1000000 + (SELECT count(*) FROM one_time_code) * 10000 \
        + (SELECT count(*) FROM mail) * 100 + (SELECT count(*) FROM job)";
    ACCOUNTS = "SELECT count(*) FROM account WHERE status = $1";
    LIVE_KEYS = "SELECT count(*) FROM subject_key WHERE destroyed_at IS NULL";
}

#[tokio::test]
async fn a_whole_life() {
    for house in House::all().await {
        house.identity.register(wish("ada", "Ada@Example.com", PASSWORD), &house.meta()).await.unwrap();
        assert!(matches!(
            house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await,
            Err(Error::EmailNotVerified)
        ));
        let mail = house.mail("verify").await;
        assert!(mail.text.contains("To: ada@example.com"), "{}", mail.text);
        let verified =
            house.identity.verify_email(&mail.code(), &secret(PASSWORD), &house.meta()).await.unwrap();
        assert_eq!((verified.username.as_str(), verified.renamed), ("ada", false));

        let pair = house.sign_in("ADA@example.com").await;
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!((caller.account, caller.username.as_str()), (verified.account, "ada"));
        let next = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        let profile = house.identity.profile(&house.caller(&next).await.unwrap()).await.unwrap();
        assert_eq!(profile.email.as_str(), "ada@example.com");
        assert_eq!(profile.status, AccountStatus::Active);

        house.identity.sign_out(&caller, &house.meta()).await.unwrap();
        for pair in [&pair, &next] {
            assert!(matches!(house.caller(pair).await, Err(Error::InvalidToken("session-revoked"))));
            let again = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await;
            assert!(matches!(again, Err(Error::InvalidRefreshToken)));
        }
        let mut events = house.events().await;
        events.sort();
        assert_eq!(
            events,
            [
                "account.registered",
                "account.verified",
                "authn.token_refused",
                "authn.token_refused",
                "mail.delivered",
                "session.refreshed",
                "session.sign_in_failed",
                "session.signed_in",
                "session.signed_out",
            ]
        );
    }
}

#[tokio::test]
async fn a_known_address_gets_the_same_answer_and_the_same_rows() {
    for house in House::all().await {
        let before = house.count(ROWS, params![]).await;
        house.register("ada", "ada@example.com", PASSWORD).await;
        let new = house.count(ROWS, params![]).await - before;
        let code = house.mail("verify").await.code();
        house.identity.verify_email(&code, &secret(PASSWORD), &house.meta()).await.unwrap();

        let before = house.count(ROWS, params![]).await;
        house.register("eve", "ada@example.com", OTHER_PASSWORD).await;
        assert_eq!(house.count(ROWS, params![]).await - before, new);
        let mail = house.mail("already_registered").await;
        assert!(!mail.text.contains("?code="), "nothing in this mail may make an account");
        assert!(mail.text.contains("ada") && !mail.text.contains("eve"));
        // A known name is not told either.
        house.register("ada", "other@example.com", PASSWORD).await;
        assert_eq!(house.mail("verify").await.kind, "verify");
    }
}

#[tokio::test]
async fn nobody_can_prepare_an_account_for_somebody_else() {
    for house in House::all().await {
        // The attacker registers the victim's address first, with a password of their own.
        house.register("mallory", "ada@example.com", OTHER_PASSWORD).await;
        house.mail("verify").await;
        house.register("ada", "ada@example.com", PASSWORD).await;
        let own = house.mail("verify").await;
        let verified =
            house.identity.verify_email(&own.code(), &secret(PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(verified.username.as_str(), "ada");
        // The attacker's attempt is gone; its password opens nothing.
        for name in ["mallory", "ada", "ada@example.com"] {
            let attempt = house.identity.sign_in(credentials(name, OTHER_PASSWORD), &house.meta()).await;
            assert!(matches!(attempt, Err(Error::WrongCredentials)), "{name}");
        }
        assert_eq!(house.count(ACCOUNTS, params!["pending"]).await, 0);
        assert_eq!(house.count(LIVE_KEYS, params![]).await, 1);
        house.sign_in("ada").await;
    }
}

#[tokio::test]
async fn a_link_works_once_and_within_its_time_only() {
    for house in House::all().await {
        house.register("ada", "ada@example.com", PASSWORD).await;
        let code = house.mail("verify").await.code();
        house.identity.verify_email(&code, &secret(PASSWORD), &house.meta()).await.unwrap();
        house.register("bob", "bob@example.com", PASSWORD).await;
        let late = house.mail("verify").await.code();
        house.clock.advance_ms(DAY);
        let tampered = format!("{}{}", &code[..42], if code.ends_with('A') { 'B' } else { 'A' });
        let long = "x".repeat(100_000);
        for wrong in [&*code, &*late, &*tampered, "", "?", "ä", "'; DROP TABLE account; --", &*long] {
            let result = house.identity.verify_email(wrong, &secret(PASSWORD), &house.meta()).await;
            assert!(matches!(result, Err(Error::InvalidCode)), "{wrong:.50}");
            // A link for one purpose is none for another.
            let result = house.identity.reset_password(wrong, secret(PASSWORD), &house.meta()).await;
            assert!(matches!(result, Err(Error::InvalidCode)), "{wrong:.50}");
        }
        assert!(house.events().await.contains(&"authn.token_refused".to_owned()));
    }
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_becomes_a_variant() {
    for house in House::all().await {
        house.register("ada", "one@example.com", PASSWORD).await;
        let one = house.mail("verify").await.code();
        house.register("ada", "two@example.com", OTHER_PASSWORD).await;
        let two = house.mail("verify").await.code();
        house.identity.verify_email(&two, &secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        let verified = house.identity.verify_email(&one, &secret(PASSWORD), &house.meta()).await.unwrap();
        assert!(verified.renamed && verified.username.as_str().starts_with("ada-"), "{}", verified.username);
        house.sign_in(verified.username.as_str()).await;
        house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_links_of_one_address_at_once_make_one_account() {
    for house in House::all().await {
        let mut codes = Vec::new();
        for name in ["one", "two", "three"] {
            house.register(name, "ada@example.com", PASSWORD).await;
            codes.push(house.mail("verify").await.code());
        }
        let tasks: Vec<_> = codes
            .into_iter()
            .map(|code| {
                let (identity, meta) = (house.identity.clone(), house.meta());
                tokio::spawn(async move { identity.verify_email(&code, &secret(PASSWORD), &meta).await })
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => made += 1,
                Err(Error::InvalidCode) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(made, 1);
        assert_eq!(house.count(ACCOUNTS, params!["active"]).await, 1);
    }
}

#[tokio::test]
async fn an_address_is_not_flooded() {
    for house in House::all().await {
        for n in 0..6 {
            house.register(&format!("name{n}"), "ada@example.com", PASSWORD).await;
        }
        assert_eq!(house.mails().await.len(), 3);
        for _ in 0..4 {
            house.clock.advance_ms(HOUR + MINUTE);
            house.register("later", "ada@example.com", PASSWORD).await;
        }
        assert_eq!(house.mails().await.len(), 4);
        // The oldest attempts gave way.
        assert_eq!(house.count(ACCOUNTS, params!["pending"]).await, 5);
        // Another address is not concerned.
        house.register("bob", "bob@example.com", PASSWORD).await;
        assert_eq!(house.mails().await.len(), 1);
    }
}

/// As somebody at this address.
async fn register_from(house: &House, address: &str, name: &str, password: &str) {
    let mut meta = house.meta();
    meta.address = Some(address.parse().unwrap());
    house.identity.register(wish(name, "ada@example.com", password), &meta).await.unwrap();
}

#[tokio::test]
async fn nobody_can_use_up_the_mails_of_somebody_else() {
    for house in House::all().await {
        // A stranger spends the hour's mails of an address that is not theirs.
        for round in 0..5 {
            register_from(&house, "203.0.113.9", &format!("mallory{round}"), OTHER_PASSWORD).await;
        }
        let mails = house.mails().await;
        assert_eq!(mails.len(), 3, "bombing is bounded");
        // The owner registers all the same, and no further mail goes out …
        register_from(&house, "192.0.2.7", "ada", PASSWORD).await;
        assert!(house.mails().await.is_empty());
        // … because any of the links proves the mailbox, and the password says whose attempt it is.
        let code = mails[0].code();
        let wrong = house.identity.verify_email(&code, &secret("not chosen by anybody"), &house.meta()).await;
        assert!(matches!(wrong, Err(Error::WrongCredentials)));
        let verified = house.identity.verify_email(&code, &secret(PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(verified.username.as_str(), "ada");
        house.sign_in("ada").await;
        let stranger = house.identity.sign_in(credentials("mallory0", OTHER_PASSWORD), &house.meta()).await;
        assert!(matches!(stranger, Err(Error::WrongCredentials)));
        assert_eq!(house.count(ACCOUNTS, params!["pending"]).await, 0);
        // The other links are over with it, also those of attempts that had to give way.
        for mail in &mails {
            let late =
                house.identity.verify_email(&mail.code(), &secret(OTHER_PASSWORD), &house.meta()).await;
            assert!(matches!(late, Err(Error::InvalidCode)), "{late:?}");
        }
    }
}

#[tokio::test]
async fn a_network_that_floods_an_address_displaces_its_own_attempts() {
    for house in House::all().await {
        register_from(&house, "192.0.2.7", "ada", PASSWORD).await;
        let own = house.mail("verify").await.code();
        for round in 0..20 {
            register_from(&house, "203.0.113.9", &format!("mallory{round}"), OTHER_PASSWORD).await;
        }
        register_from(&house, "2001:db8::1", "eve", OTHER_PASSWORD).await;
        assert_eq!(house.count(ACCOUNTS, params!["pending"]).await, 5);
        let verified = house.identity.verify_email(&own, &secret(PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(verified.username.as_str(), "ada");
    }
    // Where an attempt had to give way, its link still proves the mailbox.
    for house in House::all().await {
        register_from(&house, "203.0.113.9", "first", OTHER_PASSWORD).await;
        let link = house.mail("verify").await.code();
        for round in 0..5 {
            register_from(&house, "203.0.113.9", &format!("more{round}"), PASSWORD).await;
        }
        let verified = house.identity.verify_email(&link, &secret(PASSWORD), &house.meta()).await.unwrap();
        assert!(verified.username.as_str().starts_with("more"), "{}", verified.username);
    }
}

#[tokio::test]
async fn attempts_that_nobody_confirmed_go_with_their_keys() {
    for house in House::all().await {
        house.account("ada").await;
        house.register("bob", "bob@example.com", PASSWORD).await;
        house.mails().await;
        assert_eq!(house.identity.janitor().await.unwrap().pending_accounts, 0);
        house.clock.advance_ms(DAY + MINUTE);
        assert_eq!(house.identity.janitor().await.unwrap().pending_accounts, 1);
        assert_eq!(house.count(ACCOUNTS, params!["pending"]).await, 0);
        assert_eq!(house.count(LIVE_KEYS, params![]).await, 1);
        house.sign_in("ada").await;
    }
}

#[tokio::test]
async fn weak_passwords_are_refused_with_the_reason() {
    for house in House::all().await {
        for weak in
            ["short", "password123456789", "aaaaaaaaaaaaaaaaaaaa", &"long ".repeat(40), "ada@example.com"]
        {
            let refused = house.identity.register(wish("ada", "ada@example.com", weak), &house.meta()).await;
            let Err(Error::WeakPassword(reason)) = refused else { panic!("{weak} was taken") };
            assert!(!reason.is_empty());
        }
        assert!(house.deliver().await.is_empty());
    }
}
