//! Assurance levels, giving factors again, another address.

use base::{Email, ProblemKind};
use identity::{Again, Error};

use crate::factors::{challenge, person};
use crate::house::{DAY, HOUR, House, MINUTE, OTHER_PASSWORD, PASSWORD, SECOND, secret};

fn password(text: &str) -> Again {
    Again { password: Some(secret(text)), code: None }
}

#[tokio::test]
async fn what_matters_demands_all_factors_within_ten_minutes() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let meta = house.meta();
        house.identity.must_be_fresh(&ada.caller).await.unwrap();
        house.clock.advance_ms(10 * MINUTE);
        let old = house.identity.must_be_fresh(&ada.caller).await.unwrap_err();
        assert!(matches!(old, Error::ReauthenticationRequired { second_factor: true }));
        assert_eq!(old.problem().kind, ProblemKind::ReauthenticationRequired);
        let email: Email = "new@example.com".parse().unwrap();
        for refused in [
            house.identity.setup_totp(&ada.caller, None, &meta).await.map(drop),
            house.identity.new_recovery_codes(&ada.caller, &meta).await.map(drop),
            house.identity.remove_factor(&ada.caller, ada.factor, true, &meta).await,
            house.identity.name_factor(&ada.caller, ada.factor, None, &meta).await,
            house.identity.change_email(&ada.caller, &email, &meta).await,
            house
                .identity
                .change_password(&ada.caller, secret(PASSWORD), secret(OTHER_PASSWORD), &meta)
                .await,
        ] {
            assert!(matches!(refused, Err(Error::ReauthenticationRequired { .. })), "{refused:?}");
        }
        // One factor of two is not enough, in whichever order they come.
        assert!(matches!(
            house.identity.reauthenticate(&ada.caller, password(OTHER_PASSWORD), &meta).await,
            Err(Error::WrongCredentials)
        ));
        assert!(matches!(
            house.identity.reauthenticate(&ada.caller, Again::default(), &meta).await,
            Err(Error::Invalid(_))
        ));
        house.identity.reauthenticate(&ada.caller, password(PASSWORD), &meta).await.unwrap();
        assert!(house.identity.must_be_fresh(&ada.caller).await.is_err());
        let wrong = Again { password: None, code: Some(secret("000000")) };
        assert!(matches!(
            house.identity.reauthenticate(&ada.caller, wrong, &meta).await,
            Err(Error::WrongCode)
        ));
        let code = Again { password: None, code: Some(ada.app.code(&house, 0)) };
        house.identity.reauthenticate(&ada.caller, code, &meta).await.unwrap();
        house.identity.must_be_fresh(&ada.caller).await.unwrap();
        // A thief of the session who guesses the password waits, and the owner's sign-in does not.
        for _ in 0..5 {
            let _ = house.identity.reauthenticate(&ada.caller, password(OTHER_PASSWORD), &meta).await;
        }
        let refused = house.identity.reauthenticate(&ada.caller, password(PASSWORD), &meta).await;
        assert!(matches!(refused, Err(Error::TooManyAttempts { .. })));
        challenge(&house, "ada").await;
        // A session that has ended confirms nothing.
        house.identity.sign_out(&ada.caller, &meta).await.unwrap();
        assert!(house.identity.must_be_fresh(&ada.caller).await.is_err());
    }
}

#[tokio::test]
async fn level_two_fades_by_age_and_idleness_and_the_session_goes_on() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let enter = async |steps| {
            let challenge = challenge(&house, "ada").await;
            let code = ada.app.code(&house, steps);
            house.identity.sign_in_browser_with_code(challenge.expose(), &code, &house.meta()).await
        };
        assert!(
            matches!(enter(0).await, Err(Error::InvalidChallenge)),
            "a token's challenge makes no cookie"
        );
        let level =
            async |pair: &identity::TokenPair| house.caller(pair).await.map(|caller| caller.aal.level());
        let sign_in = async || {
            let challenge = challenge(&house, "ada").await;
            let code = ada.app.code(&house, 0);
            house.identity.sign_in_with_code(challenge.expose(), &code, &house.meta()).await.unwrap()
        };
        let idle = sign_in().await;
        assert_eq!(level(&idle).await.unwrap(), 2);
        house.clock.advance_ms(HOUR);
        let idle = house.identity.refresh(idle.refresh_token.expose(), &house.meta()).await.unwrap();
        // Refreshing is a use of the session's tokens, not of the person.
        house.clock.advance_ms(HOUR);
        let idle = house.identity.refresh(idle.refresh_token.expose(), &house.meta()).await.unwrap();
        house.clock.advance_ms(5 * MINUTE);
        let first = level(&idle).await.unwrap();
        assert!(first == 1 || first == 2);

        house.clock.advance_ms(30 * SECOND);
        let used = sign_in().await;
        let mut pair = used;
        for _ in 0..100 {
            house.clock.advance_ms(14 * MINUTE);
            pair = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
            house.caller(&pair).await.unwrap();
        }
        assert_eq!(level(&pair).await.unwrap(), 2, "{} hours", 100 * 14 / 60);
        house.clock.advance_ms(DAY - 23 * HOUR);
        let pair = house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.unwrap();
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!(caller.aal.level(), 1, "a day is over, and the session goes on");
        house.clock.advance_ms(30 * SECOND);
        let code = Again { password: None, code: Some(ada.app.code(&house, 0)) };
        house.identity.reauthenticate(&caller, code, &house.meta()).await.unwrap();
        assert_eq!(level(&pair).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn another_address_is_confirmed_at_the_new_one_and_told_to_the_old_one() {
    for house in House::all().await {
        house.account("ada").await;
        house.account("bob").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let wish = async |email: &str| {
            house.identity.change_email(&caller, &email.parse().unwrap(), &house.meta()).await
        };
        assert!(matches!(wish("ada@example.com").await, Err(Error::Conflict(_))));
        wish("new@example.com").await.unwrap();
        let mails = house.mails().await;
        let to = |kind: &str| mails.iter().find(|mail| mail.kind == kind).unwrap_or_else(|| panic!("{kind}"));
        assert!(to("email_change").text.contains("To: new@example.com"));
        assert!(to("email_change_asked").text.contains("To: ada@example.com"));
        let first = to("email_change").code();
        // Nothing has changed yet, and only the newest wish counts.
        house.sign_in("ada@example.com").await;
        wish("newer@example.com").await.unwrap();
        let code = house.mails().await.iter().find(|mail| mail.kind == "email_change").unwrap().code();
        for wrong in [first.as_str(), "", "x", &"x".repeat(100_000)] {
            let refused = house.identity.confirm_email(wrong, &house.meta()).await;
            assert!(matches!(refused, Err(Error::InvalidCode)), "{wrong:.10}");
        }
        house.identity.confirm_email(&code, &house.meta()).await.unwrap();
        assert!(matches!(house.identity.confirm_email(&code, &house.meta()).await, Err(Error::InvalidCode)));
        let told = house.mail("email_changed").await;
        assert!(told.text.contains("To: ada@example.com"));
        house.sign_in("newer@example.com").await;
        assert_eq!(house.identity.profile(&caller).await.unwrap().email.as_str(), "newer@example.com");

        // An address that has an account: the same answer, and a mail that leads nowhere.
        wish("bob@example.com").await.unwrap();
        let mails = house.mails().await;
        assert!(mails.iter().any(|mail| mail.kind == "address_taken" && !mail.text.contains("code=")));
        // A link that is followed too late.
        house.clock.advance_ms(MINUTE);
        wish("third@example.com").await.unwrap();
        let late = house.mails().await.iter().find(|mail| mail.kind == "email_change").unwrap().code();
        house.clock.advance_ms(HOUR);
        assert!(matches!(house.identity.confirm_email(&late, &house.meta()).await, Err(Error::InvalidCode)));
    }
}
