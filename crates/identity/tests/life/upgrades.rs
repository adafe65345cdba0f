//! When a browser may make a passkey by itself. What it then answers is tried over HTTP, with an authenticator.

use identity::{Error, FactorKind};
use store::params;

use crate::factors::person;
use crate::house::{House, MINUTE, OTHER_PASSWORD, PASSWORD, secret};

store::sql! {
    QUIET_PASSKEY = "INSERT INTO factor (factor_id, account_id, kind, created_at, confirmed_at, demanded) \
        VALUES ($1, $2, 'passkey', $3, $3, FALSE)";
    FACTORS = "SELECT count(*) FROM factor WHERE account_id = $1";
    BEGAN_ELSEWHERE = "UPDATE session SET first_factor = $2 WHERE session_id = $1";
}

#[tokio::test]
async fn only_right_after_a_password_and_with_all_factors() {
    for house in House::all().await {
        house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        assert!(house.identity.may_upgrade(&caller).await.unwrap());
        house.identity.passkey_upgrade_start(&caller).await.unwrap();
        // A session that began by a passkey or elsewhere makes none.
        for other in ["passkey", "provider", ""] {
            house.execute(BEGAN_ELSEWHERE, params![caller.session, other]).await;
            assert!(!house.identity.may_upgrade(&caller).await.unwrap(), "{other}");
            let refused = house.identity.passkey_upgrade_start(&caller).await;
            assert!(matches!(refused, Err(Error::ReauthenticationRequired { .. })), "{other}");
        }
        house.execute(BEGAN_ELSEWHERE, params![caller.session, "password"]).await;
        // Later than five minutes it is over, whatever is given again.
        house.clock.advance_ms(5 * MINUTE);
        let again = identity::Again { password: Some(secret(PASSWORD)), code: None };
        house.identity.reauthenticate(&caller, again, &house.meta()).await.unwrap();
        house.identity.must_be_fresh(&caller).await.unwrap();
        assert!(!house.identity.may_upgrade(&caller).await.unwrap());
        let late = house.identity.passkey_upgrade_start(&caller).await;
        assert!(matches!(late, Err(Error::ReauthenticationRequired { .. })));
        // An answer without a question, or to one of another kind.
        let finished = house
            .identity
            .passkey_upgrade_finish(&caller, &"x".repeat(43), &serde_json::json!({}), &house.meta())
            .await;
        assert!(matches!(finished, Err(Error::InvalidChallenge)));
    }
}

#[tokio::test]
async fn a_passkey_that_nobody_asked_for_is_asked_for_by_nobody_and_ends_with_a_reset() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let factor: base::Id<base::kind::Factor> = base::Id::new(&house.clock, &house.entropy);
        house.execute(QUIET_PASSKEY, params![factor, ada, house.clock.now()]).await;
        // The password alone signs in, and nothing demands a second factor.
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        assert!(!caller.has_second_factor);
        house.identity.must_be_fresh(&caller).await.unwrap();
        let factors = house.identity.factors(&caller).await.unwrap();
        assert!(!factors.factors[0].demanded && factors.recovery_codes == 0);
        // A reset ends it: whoever had the old password may have made it.
        let email = "ada@example.com".parse().unwrap();
        house.identity.forgot_password(&email, &house.meta()).await.unwrap();
        let code = house.mail("reset").await.code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(house.count(FACTORS, params![ada]).await, 0);
        house.mails().await;
        // One that somebody chose stays.
        let bob = person(&house, "bob").await;
        house.identity.forgot_password(&"bob@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let mails = house.mails().await;
        let code = mails.iter().find(|mail| mail.kind == "reset").unwrap().code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(house.count(FACTORS, params![bob.caller.account]).await, 1);
    }
}

#[tokio::test]
async fn a_passkey_that_nobody_asked_for_ends_with_a_change_of_the_password() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let account = ada.caller.account;
        let factor: base::Id<base::kind::Factor> = base::Id::new(&house.clock, &house.entropy);
        house.execute(QUIET_PASSKEY, params![factor, account, house.clock.now()]).await;
        assert_eq!(house.count(FACTORS, params![account]).await, 2);
        let wrong = secret(OTHER_PASSWORD);
        let refused =
            house.identity.change_password(&ada.caller, wrong, secret(PASSWORD), &house.meta()).await;
        assert!(matches!(refused, Err(Error::WrongCredentials)));
        assert_eq!(house.count(FACTORS, params![account]).await, 2, "nothing was changed");
        let current = secret(PASSWORD);
        house
            .identity
            .change_password(&ada.caller, current, secret(OTHER_PASSWORD), &house.meta())
            .await
            .unwrap();
        // The app, which somebody chose, stays.
        assert_eq!(house.count(FACTORS, params![account]).await, 1);
        let factors = house.identity.factors(&ada.caller).await.unwrap().factors;
        assert_eq!(factors[0].kind, FactorKind::Totp);
        assert!(house.events().await.contains(&"mfa.removed".to_owned()));
    }
}
