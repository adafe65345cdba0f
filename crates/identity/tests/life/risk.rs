//! Login risk: who is asked, who is told, who is kept out, and what the owner's answer does.

use identity::{AccountCaller, Again, Answer, Error, Identity, Locator, RequestMeta, Settings, Whereabouts};
use threat::login::{Network, Place};

use crate::factors::App;
use crate::house::*;

const BERLIN: Place = Place { country: *b"DE", city: Some(1), position: Some((52.52, 13.405)) };
const SYDNEY: Place = Place { country: *b"AU", city: Some(2), position: Some((-33.87, 151.21)) };
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";

/// 192.0.2.x is in Berlin, 198.51.100.x in Sydney, 203.0.113.x hides where it is.
fn located() -> Settings {
    let mut settings = quick();
    settings.risk.locator = Locator::new(|address| {
        let text = address.to_string();
        let (provider, place) =
            if text.starts_with("192.0.2.") { (1, Some(BERLIN)) } else { (2, Some(SYDNEY)) };
        let anonymous = Some(text.starts_with("203.0.113."));
        Whereabouts { network: Network { provider: Some(provider), anonymous, ..Network::default() }, place }
    });
    settings
}

fn from(house: &House, address: &str, agent: &str) -> RequestMeta {
    let mut meta = house.meta();
    meta.address = Some(address.parse().unwrap());
    meta.agent = Some(agent.into());
    meta
}

async fn settle(house: &House, identity: &Identity) {
    for _ in 0..6 {
        house.clock.advance_ms(DAY);
        identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn the_usual_sign_in_asks_and_tells_nothing() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        assert!(house.mails().await.is_empty());
        assert!(!house.events().await.iter().any(|event| event.starts_with("risk.")));
    }
}

#[tokio::test]
async fn a_new_device_at_home_is_told_and_can_be_disowned_with_one_click() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        let usual = house.sign_in("ada").await;
        house.clock.advance_ms(HOUR);
        let phone = from(&house, "192.0.2.7", PHONE);
        let stranger =
            house.identity.sign_in(credentials("ada", PASSWORD), &phone).await.unwrap().done().unwrap();
        let mail = house.mail("new_sign_in").await;
        assert!(
            mail.text.contains("192.0.2.7") && mail.text.contains("a device or browser you have not used")
        );
        assert!(house.events().await.contains(&"risk.assessed".to_owned()));

        // Opening the link changes nothing, however often a scanner does it.
        for _ in 0..3 {
            assert!(!house.identity.sign_in_notice(&mail.code()).await.unwrap().waiting);
        }
        assert!(house.caller(&stranger).await.is_ok());
        let answer = house.identity.answer_sign_in(&mail.code(), false, &house.meta()).await.unwrap();
        let Answer::Disowned { reset_code } = answer else { panic!("{answer:?}") };
        for pair in [&usual, &stranger] {
            assert!(house.caller(pair).await.is_err(), "every session ends");
        }
        let again = house.identity.sign_in(credentials("ada", PASSWORD), &phone).await;
        assert!(matches!(again, Err(Error::PasswordCompromised)), "{again:?}");
        // One answer only, and nothing for who has no code.
        for code in [mail.code(), "x".repeat(43), String::new()] {
            let twice = house.identity.answer_sign_in(&code, false, &house.meta()).await;
            assert!(matches!(twice, Err(Error::InvalidCode)));
            assert!(matches!(house.identity.sign_in_notice(&code).await, Err(Error::InvalidCode)));
        }
        house
            .identity
            .reset_password(reset_code.expose(), secret(OTHER_PASSWORD), &house.meta())
            .await
            .unwrap();
        let _ = house.mails().await;
        // What the stranger did was forgotten: their phone is new again.
        house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &phone).await.unwrap();
        house.mail("new_sign_in").await;
    }
}

#[tokio::test]
async fn an_unusual_sign_in_waits_for_the_owner_and_only_its_own_kind_profits() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        house.clock.advance_ms(3 * DAY);
        let away = from(&house, "198.51.100.9", PHONE);
        let refused = house.identity.sign_in(credentials("ada", PASSWORD), &away).await;
        assert!(matches!(refused, Err(Error::ConfirmationRequired)), "{refused:?}");
        assert_eq!(refused.unwrap_err().problem().kind.slug(), "confirm-sign-in");
        let mail = house.mail("confirm_sign_in").await;
        assert!(mail.text.contains("country AU"), "{}", mail.text);
        assert!(house.identity.sign_in_notice(&mail.code()).await.unwrap().waiting);
        // A wrong password is answered as ever: risk is not looked at.
        let wrong = house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &away).await;
        assert!(matches!(wrong, Err(Error::WrongCredentials)));
        let answer = house.identity.answer_sign_in(&mail.code(), true, &house.meta()).await.unwrap();
        assert!(matches!(answer, Answer::Confirmed));

        // Somebody else with the same password does not profit from the answer.
        let thief = from(&house, "203.0.113.4", "curl/8.5.0");
        let kept_out = house.identity.sign_in(credentials("ada", PASSWORD), &thief).await;
        assert!(matches!(kept_out, Err(Error::ConfirmationRequired | Error::WrongCredentials)));
        // The owner does, from another address of the same network; and from then on it is known.
        let moved = from(&house, "198.51.100.77", PHONE);
        let answered = house.identity.sign_in(credentials("ada", PASSWORD), &moved).await.unwrap();
        let caller = house.caller(&answered.done().unwrap()).await.unwrap();
        assert_eq!(caller.risk, 0, "the owner has answered for this sign-in");
        house.identity.sign_in(credentials("ada", PASSWORD), &moved).await.unwrap();
        assert!(house.events().await.contains(&"risk.step_up_required".to_owned()));
    }
}

#[tokio::test]
async fn an_answer_has_its_time() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        house.clock.advance_ms(3 * DAY);
        let away = from(&house, "198.51.100.9", PHONE);
        assert!(house.identity.sign_in(credentials("ada", PASSWORD), &away).await.is_err());
        let mail = house.mail("confirm_sign_in").await;
        house.identity.answer_sign_in(&mail.code(), true, &house.meta()).await.unwrap();
        house.clock.advance_ms(16 * MINUTE);
        let late = house.identity.sign_in(credentials("ada", PASSWORD), &away).await;
        assert!(matches!(late, Err(Error::ConfirmationRequired)), "{late:?}");
        house.identity.janitor().await.unwrap();
        // The mails about one address have a budget, so that nobody fills a mailbox with a stolen password.
        for _ in 0..10 {
            let _ = house.identity.sign_in(credentials("ada", PASSWORD), &away).await;
        }
        assert!(house.mails().await.len() <= 3);
    }
}

#[tokio::test]
async fn several_strong_signals_keep_out_and_look_like_a_wrong_password() {
    let mut settings = located();
    // As an operator may have it.
    settings.risk.engine.thresholds.deny = 1.2;
    for house in House::all_with(settings).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        house.clock.advance_ms(5 * MINUTE);
        let far = from(&house, "198.51.100.9", PHONE);
        let denied = house.identity.sign_in(credentials("ada", PASSWORD), &far).await;
        assert!(matches!(denied, Err(Error::WrongCredentials)), "{denied:?}");
        house.mail("sign_in_denied").await;
        assert!(house.events().await.contains(&"risk.denied".to_owned()));
    }
}

#[tokio::test]
async fn a_sign_in_that_was_denied_cannot_be_told_from_a_wrong_password() {
    let mut settings = located();
    settings.risk.engine.thresholds.deny = 1.2;
    for house in House::all_with(settings).await {
        let mut heard = Vec::new();
        for (name, password, address) in
            [("ada", PASSWORD, "198.51.100.9"), ("bob", OTHER_PASSWORD, "198.51.100.10")]
        {
            house.account(name).await;
            for _ in 0..6 {
                house.clock.advance_ms(DAY);
                house.sign_in(name).await;
            }
            house.clock.advance_ms(5 * MINUTE);
            let far = from(&house, address, PHONE);
            let mut answers = Vec::new();
            for _ in 0..8 {
                let refused = house.identity.sign_in(credentials(name, password), &far).await.unwrap_err();
                answers.push(refused.problem());
            }
            house.mails().await;
            heard.push(answers);
        }
        // Right and denied, wrong: the same words, and the same waits.
        assert_eq!(heard[0], heard[1]);
        assert_ne!(heard[0][0], heard[0][7], "the later ones are told to wait: {heard:?}");
    }
}

#[tokio::test]
async fn memory_survives_a_restart_and_is_sealed() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        let second = house.second_node(located()).await;
        second.sign_in(credentials("ada", PASSWORD), &house.meta()).await.unwrap();
        assert!(house.mails().await.is_empty());
        let away = from(&house, "198.51.100.9", PHONE);
        assert!(second.sign_in(credentials("ada", PASSWORD), &away).await.is_err());
        // Switched off, nobody is asked.
        let mut off = located();
        off.risk.enabled = false;
        house.second_node(off).await.sign_in(credentials("ada", PASSWORD), &away).await.unwrap();
    }
}

async fn give_again(
    house: &House,
    caller: &AccountCaller,
    password: bool,
    app: Option<&App>,
) -> Result<(), Error> {
    let again =
        Again { password: password.then(|| secret(PASSWORD)), code: app.map(|app| app.code(house, 0)) };
    house.identity.reauthenticate(caller, again, &house.meta()).await
}

/// The caller sets up an app of their own.
async fn enrol(house: &House, caller: &AccountCaller) -> Result<App, Error> {
    let setup = house.identity.setup_totp(caller, None, &house.meta()).await?;
    let app = App::of(setup.secret.expose());
    house.identity.confirm_totp(caller, setup.factor, &app.code(house, 0), &house.meta()).await?;
    house.clock.advance_ms(30 * SECOND);
    Ok(app)
}

#[tokio::test]
async fn a_session_carries_the_risk_of_its_sign_in_until_the_second_factor_is_given_again() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        let home = house.caller(&house.sign_in("ada").await).await.unwrap();
        let app = enrol(&house, &home).await.unwrap();
        house.clock.advance_ms(5 * MINUTE);
        // Impossible travel on a new device. The right code lets them in, as it would somebody who got it passed on.
        let far = from(&house, "198.51.100.9", PHONE);
        let half = house.identity.sign_in(credentials("ada", PASSWORD), &far).await.unwrap();
        let challenge = half.partial().unwrap().challenge;
        let code = app.code(&house, 0);
        let pair = house.identity.sign_in_with_code(challenge.expose(), &code, &far).await.unwrap();
        let risky = house.caller(&pair).await.unwrap();
        assert!(risky.risk >= 80, "{}", risky.risk);
        assert_eq!(risky.subject().assurance.risk, risky.risk);
        assert_eq!(
            house.identity.recheck(&home).await.unwrap().risk,
            0,
            "their other session is what it was"
        );

        // It survives a refresh, and another process.
        let next = house.identity.refresh(pair.refresh_token.expose(), &far).await.unwrap();
        assert_eq!(house.caller(&next).await.unwrap().risk, risky.risk);
        let elsewhere = house.second_node(located()).await;
        let token = next.access_token.expose();
        assert_eq!(elsewhere.authenticate_token(token).await.unwrap().risk, risky.risk);

        // The password proves nothing new, and a factor of their own cannot be brought in, however fresh the session is.
        give_again(&house, &risky, true, None).await.unwrap();
        assert_eq!(house.caller(&next).await.unwrap().risk, risky.risk);
        let own = enrol(&house, &risky).await.map(|_| ());
        assert!(matches!(own, Err(Error::ReauthenticationRequired { second_factor: true })), "{own:?}");
        house.clock.advance_ms(30 * SECOND);
        give_again(&house, &risky, true, Some(&app)).await.unwrap();
        assert_eq!(house.caller(&next).await.unwrap().risk, 0);
        assert_eq!(house.second_node(located()).await.authenticate_token(token).await.unwrap().risk, 0);
        enrol(&house, &risky).await.unwrap();
    }
}

#[tokio::test]
async fn a_factor_that_was_set_up_in_a_risky_session_does_not_answer_for_it() {
    for house in House::all_with(located()).await {
        house.account("ada").await;
        settle(&house, &house.identity).await;
        let phone = from(&house, "192.0.2.7", PHONE);
        let pair =
            house.identity.sign_in(credentials("ada", PASSWORD), &phone).await.unwrap().done().unwrap();
        let thief = house.caller(&pair).await.unwrap();
        assert!(thief.risk > 0);
        let app = enrol(&house, &thief).await.unwrap();
        give_again(&house, &thief, true, Some(&app)).await.unwrap();
        assert_eq!(house.caller(&pair).await.unwrap().risk, thief.risk);
        // From the next sign-in on the factor is the account's.
        let half = house.identity.sign_in(credentials("ada", PASSWORD), &phone).await.unwrap();
        let challenge = half.partial().unwrap().challenge;
        house.clock.advance_ms(30 * SECOND);
        let code = app.code(&house, 0);
        let pair = house.identity.sign_in_with_code(challenge.expose(), &code, &phone).await.unwrap();
        let caller = house.caller(&pair).await.unwrap();
        house.clock.advance_ms(30 * SECOND);
        give_again(&house, &caller, false, Some(&app)).await.unwrap();
        assert_eq!(house.caller(&pair).await.unwrap().risk, 0);
    }
}
