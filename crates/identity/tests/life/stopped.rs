//! Too many wrong codes: nobody locks anybody out, and the owner has ways back in.

use access::Permit;
use base::Secret;
use identity::{Again, Error, FactorKind, RequestMeta, SessionKind, Settings, TokenPair};
use store::params;

use crate::factors::{App, Person, challenge, person};
use crate::house::{HOUR, House, OTHER_PASSWORD, PASSWORD, SECOND, credentials, quick, secret};

const STOP: i64 = 6;

store::sql! {
    ELSEWHERE = "UPDATE sign_in_challenge SET method = $2 WHERE account_id = $1 AND used_at IS NULL";
    MARK = "UPDATE account SET mailed_password = TRUE WHERE account_id = $1";
    MARKED = "SELECT count(*) FROM account WHERE account_id = $1 AND mailed_password";
    APPS = "SELECT count(*) FROM factor WHERE account_id = $1 AND kind = 'totp' AND confirmed_at IS NOT NULL";
}

/// Without waits, and with a near end.
fn settings() -> Settings {
    Settings {
        attempts_hard_stop: STOP,
        attempts_before_delay: 1_000,
        network_attempts_before_delay: 1_000,
        ..quick()
    }
}

async fn give(house: &House, challenge: &Secret<String>, code: &Secret<String>) -> Result<TokenPair, Error> {
    house.identity.sign_in_with_code(challenge.expose(), code, &house.meta()).await
}

/// Somebody who knows the password types wrong codes until they are not looked at any more.
async fn stop(house: &House, name: &str, wrong: &str) {
    for round in 0..STOP {
        let challenge = challenge(house, name).await;
        assert!(matches!(give(house, &challenge, &secret(wrong)).await, Err(Error::WrongCode)), "{round}");
    }
}

async fn with_device(house: &House, person: &Person) -> RequestMeta {
    let mut meta = house.meta();
    meta.device = person.pair.device.as_ref().map(|device| device.expose().as_str().into());
    meta
}

/// The code of the mail that waits.
fn mailed_code(text: &str) -> Secret<String> {
    let group = |word: &&str| word.len() == 24 && word.matches('-').count() == 4;
    secret(text.split_whitespace().find(group).expect("a code of five groups"))
}

#[tokio::test]
async fn a_stop_by_a_stranger_leaves_the_owner_every_way_in() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        stop(&house, "ada", "000000").await;
        // The owner is told once, with the ways in.
        let mail = house.mail("codes_stopped").await;
        assert!(
            mail.text.contains("mails to you") && mail.text.contains("/account/security"),
            "{}",
            mail.text
        );
        // A right code is not looked at either: guessing goes on in vain.
        let partial = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await.unwrap();
        let partial = partial.partial().unwrap();
        assert!(partial.offer.codes_stopped && partial.offer.code_by_mail);
        assert!(partial.offer.methods.contains(&FactorKind::RecoveryCode));
        let stopped = give(&house, &partial.challenge, &ada.app.code(&house, 0)).await;
        assert!(matches!(stopped, Err(Error::CodesStopped)));
        // The device that signed in before has a counter of its own.
        let own = with_device(&house, &ada).await;
        let known =
            house.identity.sign_in(credentials("ada", PASSWORD), &own).await.unwrap().partial().unwrap();
        assert!(!known.offer.codes_stopped);
        house
            .identity
            .sign_in_with_code(known.challenge.expose(), &ada.app.code(&house, 0), &own)
            .await
            .unwrap();
        // A code on paper has its own counter too.
        let challenge = challenge(&house, "ada").await;
        give(&house, &challenge, &ada.codes[0]).await.unwrap();
        assert!(house.events().await.contains(&"account.locked".to_owned()));
    }
}

#[tokio::test]
async fn a_code_by_mail_lets_in_and_a_new_app_ends_the_stop() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        // Where codes are looked at, none is mailed.
        let early = challenge(&house, "ada").await;
        let refused = house.identity.mail_code(SessionKind::Token, early.expose(), &house.meta()).await;
        assert!(matches!(refused, Err(Error::Conflict(_))));
        // Both kinds of codes are stopped, as somebody who wants to lock the owner out would do.
        stop(&house, "ada", "000000").await;
        stop(&house, "ada", "0000-0000-0000-0000").await;
        house.mails().await;
        let half = challenge(&house, "ada").await;
        assert!(matches!(give(&house, &half, &ada.codes[0]).await, Err(Error::CodesStopped)));
        // Without the password nobody causes such a mail.
        let nobody = house.identity.mail_code(SessionKind::Token, &"x".repeat(43), &house.meta()).await;
        assert!(matches!(nobody, Err(Error::InvalidChallenge)));
        for _ in 0..6 {
            house.identity.mail_code(SessionKind::Token, half.expose(), &house.meta()).await.unwrap();
        }
        let mails = house.mails().await;
        assert_eq!(mails.iter().map(|mail| &*mail.kind).collect::<Vec<_>>(), ["factor_code"; 3]);
        // It counts once, beside the password, for this account only, and not after its hour.
        let code = mailed_code(&mails[0].text);
        let bob = person(&house, "bob").await;
        assert!(!bob.codes.is_empty());
        let bobs = challenge(&house, "bob").await;
        assert!(matches!(give(&house, &bobs, &code).await, Err(Error::WrongCode)));
        let pair = give(&house, &half, &code).await.unwrap();
        let half = challenge(&house, "ada").await;
        assert!(matches!(give(&house, &half, &code).await, Err(Error::WrongCode)), "a second time");
        // In, the owner sets the app up anew: the old one and the stop end.
        let caller = house.caller(&pair).await.unwrap();
        assert!(house.identity.app_is_stopped(&caller).await.unwrap());
        let setup = house.identity.setup_totp(&caller, None, &house.meta()).await.unwrap();
        let new = App::of(setup.secret.expose());
        house
            .identity
            .confirm_totp(&caller, setup.factor, &new.code(&house, 0), &house.meta())
            .await
            .unwrap();
        assert_eq!(house.count(APPS, params![caller.account]).await, 1);
        assert!(!house.identity.app_is_stopped(&caller).await.unwrap());
        house.clock.advance_ms(30 * SECOND);
        let half = challenge(&house, "ada").await;
        assert!(
            matches!(give(&house, &half, &ada.app.code(&house, 0)).await, Err(Error::WrongCode)),
            "the old app"
        );
        give(&house, &half, &new.code(&house, 0)).await.unwrap();
        house.clock.advance_ms(HOUR);
        let late = mailed_code(&mails[1].text);
        let half = challenge(&house, "ada").await;
        assert!(matches!(give(&house, &half, &late).await, Err(Error::WrongCode)), "too late");
    }
}

/// Whoever holds the mailbox sets a password by a mailed link.
async fn reset(house: &House, name: &str, password: &str) {
    let email = format!("{name}@example.com").parse().unwrap();
    house.identity.forgot_password(&email, &house.meta()).await.unwrap();
    let mails = house.mails().await;
    let code = mails.iter().find(|mail| mail.kind == "reset").unwrap().code();
    house.identity.reset_password(&code, secret(password), &house.meta()).await.unwrap();
    house.mails().await;
}

/// Whether a code by mail is offered, and whether it is sent; both must say the same.
async fn is_mailed(house: &House) -> bool {
    let signed_in = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await.unwrap();
    let half = signed_in.partial().unwrap();
    assert!(half.offer.codes_stopped);
    let sent = house.identity.mail_code(SessionKind::Token, half.challenge.expose(), &house.meta()).await;
    assert!(matches!(sent, Ok(()) | Err(Error::Conflict(_))), "{sent:?}");
    assert_eq!(half.offer.code_by_mail, sent.is_ok());
    // And on the page of a browser.
    let wish = credentials("ada", PASSWORD);
    let half = house.identity.sign_in_browser(wish, &house.meta()).await.unwrap().partial().unwrap();
    let mut meta = house.meta();
    meta.challenge = half.browser.as_ref().map(|value| value.expose().as_str().into());
    let offer = house.identity.challenge_offer(half.challenge.expose(), &meta).await.unwrap();
    assert_eq!(offer.code_by_mail, sent.is_ok());
    let page = house.identity.mail_code(SessionKind::Browser, half.challenge.expose(), &meta).await;
    assert_eq!(page.is_ok(), sent.is_ok());
    sent.is_ok()
}

#[tokio::test]
async fn the_mailbox_alone_is_never_both_factors() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        // A code that was mailed while the password was the owner's.
        stop(&house, "ada", "000000").await;
        house.mails().await;
        assert!(is_mailed(&house).await, "the password is the owner's own");
        let code = mailed_code(&house.mails().await[0].text);
        // The password that a mailed link set stands for the mailbox only: nothing is offered, sent or taken.
        reset(&house, "ada", PASSWORD).await;
        assert!(!is_mailed(&house).await);
        assert!(house.deliver().await.is_empty(), "nothing is sent");
        let half = challenge(&house, "ada").await;
        assert!(matches!(give(&house, &half, &code).await, Err(Error::WrongCode)), "sent before the reset");
        // An operator who lifts the stop does not make the password anybody's: after the next stop it is the same.
        let permit = Permit::for_system("test");
        house.identity.lift_stops(permit, ada.caller.account, &house.meta()).await.unwrap();
        stop(&house, "ada", "000000").await;
        assert!(!is_mailed(&house).await);
        // With a code on paper beside it, it is its owner's again, and so is the mailbox another factor.
        let half = challenge(&house, "ada").await;
        give(&house, &half, &ada.codes[0]).await.unwrap();
        assert!(is_mailed(&house).await);
    }
}

#[tokio::test]
async fn a_password_that_came_by_mail_is_the_owners_after_a_second_factor() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        // A code of the app at a sign-in.
        reset(&house, "ada", PASSWORD).await;
        let half = challenge(&house, "ada").await;
        let pair = give(&house, &half, &ada.app.code(&house, 0)).await.unwrap();
        stop(&house, "ada", "000000").await;
        house.mails().await;
        assert!(is_mailed(&house).await);
        // A change in a session that gave the second factor takes nothing back.
        let caller = house.caller(&pair).await.unwrap();
        house
            .identity
            .change_password(&caller, secret(PASSWORD), secret(OTHER_PASSWORD), &house.meta())
            .await
            .unwrap();
        house
            .identity
            .change_password(&caller, secret(OTHER_PASSWORD), secret(PASSWORD), &house.meta())
            .await
            .unwrap();
        assert!(is_mailed(&house).await);
    }
}

#[tokio::test]
async fn a_change_of_the_password_beside_a_second_factor_makes_it_the_owners() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        stop(&house, "ada", "000000").await;
        // As if the mark were left although the factors were given.
        for marked in [false, true] {
            if marked {
                house.execute(MARK, params![ada.caller.account]).await;
            }
            assert_eq!(is_mailed(&house).await, !marked);
        }
        let again = Again { password: None, code: Some(secret(ada.codes[0].expose())) };
        house.identity.reauthenticate(&ada.caller, again, &house.meta()).await.unwrap();
        assert!(!is_mailed(&house).await, "nobody said that the password is theirs");
        let caller = &ada.caller;
        house
            .identity
            .change_password(caller, secret(PASSWORD), secret(OTHER_PASSWORD), &house.meta())
            .await
            .unwrap();
        assert_eq!(house.count(MARKED, params![caller.account]).await, 0);
        // Both given again do the same.
        house.execute(MARK, params![caller.account]).await;
        let again =
            Again { password: Some(secret(OTHER_PASSWORD)), code: Some(secret(ada.codes[1].expose())) };
        house.identity.reauthenticate(caller, again, &house.meta()).await.unwrap();
        assert_eq!(house.count(MARKED, params![caller.account]).await, 0);
    }
}

#[tokio::test]
async fn a_code_by_mail_stands_beside_a_password_only() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        stop(&house, "ada", "000000").await;
        house.mails().await;
        let half = challenge(&house, "ada").await;
        house.identity.mail_code(SessionKind::Token, half.expose(), &house.meta()).await.unwrap();
        let code = mailed_code(&house.mail("factor_code").await.text);
        // The provider may be the same mailbox.
        house.execute(ELSEWHERE, params![ada.caller.account, "provider"]).await;
        let refused = house.identity.mail_code(SessionKind::Token, half.expose(), &house.meta()).await;
        assert!(matches!(refused, Err(Error::Conflict(_))));
        assert!(matches!(give(&house, &half, &code).await, Err(Error::WrongCode)));
        // Nor does it stand alone in a session that somebody found open.
        let again = Again { password: None, code: Some(secret(code.expose())) };
        let refused = house.identity.reauthenticate(&ada.caller, again, &house.meta()).await;
        assert!(matches!(refused, Err(Error::WrongCode)));
        // That has not used it up.
        house.execute(ELSEWHERE, params![ada.caller.account, "password"]).await;
        give(&house, &half, &code).await.unwrap();
    }
}

#[tokio::test]
async fn a_new_app_without_a_stop_replaces_nothing() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        let setup = house.identity.setup_totp(&ada.caller, None, &house.meta()).await.unwrap();
        let new = App::of(setup.secret.expose());
        house
            .identity
            .confirm_totp(&ada.caller, setup.factor, &new.code(&house, 0), &house.meta())
            .await
            .unwrap();
        assert_eq!(house.count(APPS, params![ada.caller.account]).await, 2);
    }
}

#[tokio::test]
async fn an_operator_lifts_a_stop() {
    for house in House::all_with(settings()).await {
        let ada = person(&house, "ada").await;
        stop(&house, "ada", "000000").await;
        for name in ["ada", "ada@example.com"] {
            for _ in 0..STOP {
                let wrong = house.identity.sign_in(credentials(name, OTHER_PASSWORD), &house.meta()).await;
                assert!(matches!(wrong, Err(Error::WrongCredentials)));
            }
            let stopped = house.identity.sign_in(credentials(name, PASSWORD), &house.meta()).await;
            assert!(matches!(stopped, Err(Error::TooManyAttempts { .. })), "{name}");
        }
        house
            .identity
            .lift_stops(Permit::for_system("test"), ada.caller.account, &house.meta())
            .await
            .unwrap();
        for name in ["ada", "ada@example.com"] {
            let partial = house.identity.sign_in(credentials(name, PASSWORD), &house.meta()).await.unwrap();
            assert!(!partial.partial().unwrap().offer.codes_stopped, "{name}");
        }
        let half = challenge(&house, "ada").await;
        give(&house, &half, &ada.app.code(&house, 0)).await.unwrap();
        let nobody = base::Id::new(&house.clock, &house.entropy);
        let gone = house.identity.lift_stops(Permit::for_system("test"), nobody, &house.meta()).await;
        assert!(matches!(gone, Err(Error::NotFound)));
        assert!(house.events().await.contains(&"account.unlocked".to_owned()));
    }
}
