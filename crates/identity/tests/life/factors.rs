//! Second factors: set up, asked for, used up, removed.

use std::sync::Arc;

use base::{Id, ProblemKind, Secret, kind};
use identity::{AccountCaller, Again, Error, RequestMeta, TokenPair};
use store::params;
use totp_rs::Builder;

use crate::house::{HOUR, House, MINUTE, OTHER_PASSWORD, PASSWORD, SECOND, credentials, secret};

store::sql! {
    UNSEALED = "SELECT count(*) FROM factor WHERE secret_sealed = $1";
    USABLE_CODES = "SELECT count(*) FROM recovery_code WHERE account_id = $1 AND used_at IS NULL";
    LIVE_CHALLENGES = "SELECT count(*) FROM sign_in_challenge WHERE used_at IS NULL";
}

/// An app on a phone.
pub(crate) struct App(Vec<u8>);

impl App {
    pub(crate) fn of(base32: &str) -> Self {
        Self(totp_rs::Secret::try_from_base32(base32).unwrap().as_bytes().to_vec())
    }

    /// The code that it shows `steps` away from now.
    pub(crate) fn code(&self, house: &House, steps: i64) -> Secret<String> {
        let totp = Builder::new()
            .with_secret(totp_rs::Secret::new_stack(self.0.clone().try_into().unwrap()))
            .build()
            .unwrap();
        let at = house.clock.now().as_secs() + 30 * steps;
        secret(&totp.generate(u64::try_from(at).unwrap()).to_string())
    }
}

/// Somebody with an app.
pub(crate) struct Person {
    pub(crate) caller: AccountCaller,
    pub(crate) pair: TokenPair,
    pub(crate) app: App,
    pub(crate) factor: Id<kind::Factor>,
    pub(crate) codes: Vec<Secret<String>>,
}

pub(crate) async fn person(house: &House, name: &str) -> Person {
    house.account(name).await;
    let pair = house.sign_in(name).await;
    let caller = house.caller(&pair).await.unwrap();
    let setup = house.identity.setup_totp(&caller, Some("Phone"), &house.meta()).await.unwrap();
    let app = App::of(setup.secret.expose());
    let codes =
        house.identity.confirm_totp(&caller, setup.factor, &app.code(house, 0), &house.meta()).await.unwrap();
    house.mails().await;
    // The code that confirmed it is used up; the next one is a step away.
    house.clock.advance_ms(30 * SECOND);
    Person { caller, pair, app, factor: setup.factor, codes: codes.unwrap() }
}

pub(crate) async fn challenge(house: &House, name: &str) -> Secret<String> {
    let signed_in = house.identity.sign_in(credentials(name, PASSWORD), &house.meta()).await.unwrap();
    signed_in.partial().expect("a second factor is asked for").challenge
}

async fn give(house: &House, challenge: &Secret<String>, code: &Secret<String>) -> Result<TokenPair, Error> {
    house.identity.sign_in_with_code(challenge.expose(), code, &house.meta()).await
}

#[tokio::test]
async fn an_app_counts_after_its_first_right_code_only() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let setup = house.identity.setup_totp(&caller, Some("Phone"), &house.meta()).await.unwrap();
        assert_eq!(setup.secret.expose().len(), 32, "160 bits");
        assert!(setup.url.expose().starts_with("otpauth://totp/Fortissimo:ada?secret="));
        assert!(setup.qr_svg().unwrap().contains("<svg"));
        assert_eq!(setup.qr_png().unwrap()[..4], *b"\x89PNG");
        // Nothing is asked for yet.
        assert!(house.identity.factors(&caller).await.unwrap().factors.is_empty());
        house.sign_in("ada").await;
        let app = App::of(setup.secret.expose());
        assert_eq!(house.count(UNSEALED, params![app.0.clone()]).await, 0);
        for wrong in ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", &"1".repeat(10_000), "12\n34\u{0}"] {
            let refused =
                house.identity.confirm_totp(&caller, setup.factor, &secret(wrong), &house.meta()).await;
            assert!(matches!(refused, Err(Error::WrongCode | Error::TooManyAttempts { .. })), "{wrong:.10}");
            house.clock.advance_ms(MINUTE);
        }
        house.clock.advance_ms(5 * MINUTE);
        house.identity.reauthenticate(&caller, password(), &house.meta()).await.unwrap();
        let codes =
            house.identity.confirm_totp(&caller, setup.factor, &app.code(&house, 0), &house.meta()).await;
        assert_eq!(codes.unwrap().unwrap().len(), 10);
        let views = house.identity.factors(&caller).await.unwrap();
        assert_eq!((views.factors.len(), views.recovery_codes), (1, 10));
        assert_eq!(views.factors[0].name.as_deref(), Some("Phone"));
        assert_eq!(house.mails().await.pop().unwrap().kind, "factor_added");
        assert_eq!(house.count(USABLE_CODES, params![ada]).await, 10);
        // Another one brings no new codes, and what was confirmed cannot be confirmed again.
        let again =
            house.identity.confirm_totp(&caller, setup.factor, &app.code(&house, 1), &house.meta()).await;
        assert!(matches!(again, Err(Error::NotFound)));
    }
}

fn password() -> Again {
    Again { password: Some(secret(PASSWORD)), code: None }
}

#[tokio::test]
async fn a_set_up_that_took_too_long_begins_anew() {
    for house in House::all().await {
        house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let late = house.identity.setup_totp(&caller, None, &house.meta()).await.unwrap();
        house.clock.advance_ms(HOUR + SECOND);
        house.identity.reauthenticate(&caller, password(), &house.meta()).await.unwrap();
        let code = App::of(late.secret.expose()).code(&house, 0);
        let refused = house.identity.confirm_totp(&caller, late.factor, &code, &house.meta()).await;
        assert!(matches!(refused, Err(Error::NotFound)));
        assert_eq!(house.identity.janitor().await.unwrap().traces, 1);
    }
}

#[tokio::test]
async fn a_partial_sign_in_opens_nothing_and_becomes_a_session_with_the_code() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let challenge = challenge(&house, "ada").await;
        for opened in [
            house.identity.authenticate_token(challenge.expose()).await.is_ok(),
            house.identity.authenticate_cookie(challenge.expose()).await.is_ok(),
            house.identity.refresh(challenge.expose(), &house.meta()).await.is_ok(),
        ] {
            assert!(!opened);
        }
        let pair = give(&house, &challenge, &ada.app.code(&house, 0)).await.unwrap();
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!(caller.aal.level(), 2);
        // The challenge and the code are used up, each for itself.
        assert!(matches!(
            give(&house, &challenge, &ada.app.code(&house, 1)).await,
            Err(Error::InvalidChallenge)
        ));
        let next = self::challenge(&house, "ada").await;
        assert!(matches!(give(&house, &next, &ada.app.code(&house, 0)).await, Err(Error::WrongCode)));
        // A step before and after are taken, two are not; and never back again.
        assert!(matches!(give(&house, &next, &ada.app.code(&house, 2)).await, Err(Error::WrongCode)));
        give(&house, &next, &ada.app.code(&house, 1)).await.unwrap();
        let last = self::challenge(&house, "ada").await;
        assert!(matches!(give(&house, &last, &ada.app.code(&house, -1)).await, Err(Error::WrongCode)));
        let kinds = house.events().await;
        assert!(
            kinds.contains(&"mfa.passed".to_owned()) && kinds.contains(&"mfa.failed".to_owned()),
            "{kinds:?}"
        );
    }
}

#[tokio::test]
async fn a_challenge_ends_by_time_and_by_tries_and_is_bound_to_its_client() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let bob = person(&house, "bob").await;
        // Another program, another kind of sign-in, somebody else's code, and nonsense.
        let own = challenge(&house, "ada").await;
        let mut elsewhere = house.meta();
        elsewhere.agent = Some("Other/2.0".into());
        let carried =
            house.identity.sign_in_with_code(own.expose(), &ada.app.code(&house, 0), &elsewhere).await;
        assert!(matches!(carried, Err(Error::InvalidChallenge)));
        let swapped = house
            .identity
            .sign_in_browser_with_code(own.expose(), &ada.app.code(&house, 0), &house.meta())
            .await;
        assert!(matches!(swapped, Err(Error::InvalidChallenge)));
        assert!(matches!(give(&house, &own, &bob.app.code(&house, 0)).await, Err(Error::WrongCode)));
        assert!(matches!(give(&house, &own, &bob.codes[0]).await, Err(Error::WrongCode)));
        for wrong in ["", "x", &"ä".repeat(43), &"x".repeat(100_000), ada.pair.refresh_token.expose()] {
            let refused = give(&house, &secret(wrong), &ada.app.code(&house, 0)).await;
            assert!(matches!(refused, Err(Error::InvalidChallenge)), "{wrong:.10}");
        }
        // Five wrong codes end it, and the sixth may be as right as it likes. They are of two kinds, so that none of the
        // counters stops them before.
        for wrong in ["000000", "0000-0000-0000-0000", "0000-0000-0000-0001"] {
            assert!(matches!(give(&house, &own, &secret(wrong)).await, Err(Error::WrongCode)));
        }
        assert!(matches!(give(&house, &own, &ada.app.code(&house, 0)).await, Err(Error::InvalidChallenge)));

        let late = challenge(&house, "ada").await;
        house.clock.advance_ms(5 * MINUTE);
        assert!(matches!(give(&house, &late, &ada.app.code(&house, 0)).await, Err(Error::InvalidChallenge)));
        // A password that was changed meanwhile proves nothing any more.
        let stale = challenge(&house, "ada").await;
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let code = house.mails().await.into_iter().find(|mail| mail.kind == "reset").unwrap().code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        assert!(matches!(give(&house, &stale, &ada.app.code(&house, 0)).await, Err(Error::InvalidChallenge)));
        house.clock.advance_ms(2 * 24 * HOUR);
        assert!(house.identity.janitor().await.unwrap().traces >= 3);
        assert_eq!(house.count(LIVE_CHALLENGES, params![]).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_code_makes_one_session_however_many_use_it_at_once() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        for code in [ada.app.code(&house, 0), secret(ada.codes[0].expose())] {
            let mut challenges = Vec::new();
            for _ in 0..4 {
                challenges.push(challenge(&house, "ada").await);
            }
            let code = Arc::new(code);
            let tasks: Vec<_> = challenges
                .into_iter()
                .map(|challenge| {
                    let (identity, meta, code) = (house.identity.clone(), house.meta(), Arc::clone(&code));
                    tokio::spawn(
                        async move { identity.sign_in_with_code(challenge.expose(), &code, &meta).await },
                    )
                })
                .collect();
            let mut made = 0;
            for task in tasks {
                match task.await.unwrap() {
                    Ok(_) => made += 1,
                    Err(Error::WrongCode | Error::TooManyAttempts { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(made, 1);
        }
    }
}

#[tokio::test]
async fn recovery_codes_stand_in_once_and_their_owner_hears_of_it() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let first = challenge(&house, "ada").await;
        // As people type them.
        let typed = secret(&ada.codes[0].expose().to_uppercase().replace('-', " "));
        let pair = give(&house, &first, &typed).await.unwrap();
        let mail = house.mails().await.into_iter().find(|mail| mail.kind == "recovery_code_used").unwrap();
        assert!(mail.text.contains("9 are left"));
        let second = challenge(&house, "ada").await;
        assert!(matches!(give(&house, &second, &ada.codes[0]).await, Err(Error::WrongCode)));
        // New ones end the old ones.
        let caller = house.caller(&pair).await.unwrap();
        let new = house.identity.new_recovery_codes(&caller, &house.meta()).await.unwrap();
        assert_eq!(new.len(), 10);
        assert!(matches!(give(&house, &second, &ada.codes[1]).await, Err(Error::WrongCode)));
        give(&house, &second, &new[9]).await.unwrap();
        assert!(house.events().await.contains(&"mfa.recovery_codes_issued".to_owned()));
        house.mails().await;
        // Without a factor there is nothing to stand in for.
        house.account("bob").await;
        let bob = house.caller(&house.sign_in("bob").await).await.unwrap();
        assert!(matches!(
            house.identity.new_recovery_codes(&bob, &house.meta()).await,
            Err(Error::Conflict(_))
        ));
    }
}

#[tokio::test]
async fn guessing_one_factor_does_not_lock_the_other() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let mut refused = 0;
        for _ in 0..3 {
            let challenge = challenge(&house, "ada").await;
            for _ in 0..5 {
                match give(&house, &challenge, &secret("000000")).await {
                    Err(Error::TooManyAttempts { .. }) => refused += 1,
                    Err(Error::WrongCode) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(refused >= 5, "{refused}");
        // The app has to wait, and the answer is the same for a right code; the paper and the password go on.
        let challenge = challenge(&house, "ada").await;
        assert!(matches!(
            give(&house, &challenge, &ada.app.code(&house, 0)).await,
            Err(Error::TooManyAttempts { .. })
        ));
        give(&house, &challenge, &ada.codes[3]).await.unwrap();
        house.clock.advance_ms(15 * MINUTE);
        let challenge = self::challenge(&house, "ada").await;
        give(&house, &challenge, &ada.app.code(&house, 0)).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_factor_goes_with_a_confirmation_and_a_long_password() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let bob = person(&house, "bob").await;
        let remove = |caller: AccountCaller, factor, even_last| {
            let (identity, meta) = (house.identity.clone(), house.meta());
            async move { identity.remove_factor(&caller, factor, even_last, &meta).await }
        };
        // Somebody else's is none.
        assert!(matches!(remove(bob.caller.clone(), ada.factor, true).await, Err(Error::NotFound)));
        let warned = remove(ada.caller.clone(), ada.factor, false).await.unwrap_err();
        assert!(matches!(warned, Error::LastFactor));
        assert_eq!(warned.problem().kind, ProblemKind::Conflict);
        assert_eq!(house.identity.factors(&ada.caller).await.unwrap().factors.len(), 1);

        // With a second factor eight characters are enough …
        let short = || secret("tuba-67x");
        house.identity.change_password(&ada.caller, secret(PASSWORD), short(), &house.meta()).await.unwrap();
        // … and so it cannot go, until the password can stand alone.
        assert!(matches!(
            remove(ada.caller.clone(), ada.factor, true).await,
            Err(Error::PasswordTooShortAlone(15))
        ));
        house
            .identity
            .change_password(&ada.caller, short(), secret(OTHER_PASSWORD), &house.meta())
            .await
            .unwrap();
        house.mails().await;
        remove(ada.caller.clone(), ada.factor, true).await.unwrap();
        assert_eq!(house.mails().await.pop().unwrap().kind, "factor_removed");
        let left = house.identity.factors(&ada.caller).await.unwrap();
        assert_eq!((left.factors.len(), left.recovery_codes), (0, 0));
        let alone = house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.unwrap();
        assert!(alone.done().is_some());
        let weak =
            house.identity.change_password(&ada.caller, secret(OTHER_PASSWORD), short(), &house.meta()).await;
        assert!(matches!(weak, Err(Error::WeakPassword(_))));
    }
}

#[tokio::test]
async fn names_are_checked_and_belong_to_their_owner() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let bob = person(&house, "bob").await;
        let meta = house.meta();
        house.identity.name_factor(&ada.caller, ada.factor, Some("  Old phone "), &meta).await.unwrap();
        let views = house.identity.factors(&ada.caller).await.unwrap();
        assert_eq!(views.factors[0].name.as_deref(), Some("Old phone"));
        for wrong in ["x".repeat(101), "a\u{0}b".to_owned(), "a\nb".to_owned()] {
            let refused = house.identity.name_factor(&ada.caller, ada.factor, Some(&wrong), &meta).await;
            assert!(matches!(refused, Err(Error::Invalid(_))));
        }
        let others = house.identity.name_factor(&bob.caller, ada.factor, None, &meta).await;
        assert!(matches!(others, Err(Error::NotFound)));
        house.identity.name_factor(&ada.caller, ada.factor, None, &meta).await.unwrap();
        let _: &RequestMeta = &meta;
        let ways = house.identity.ways_again(&ada.caller).await.unwrap();
        assert!(ways.password && ways.code && !ways.passkey && ways.providers.is_empty());
    }
}
