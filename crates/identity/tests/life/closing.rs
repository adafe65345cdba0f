//! Closing one's own account, taking that back, and being erased.

use access::Permit;
use base::Username;
use identity::{AccountQuery, Again, Error};
use store::params;

use crate::factors::person;
use crate::house::{DAY, HOUR, House, MINUTE, OTHER_PASSWORD, PASSWORD, credentials, secret};

store::sql! {
    /// Rows of somebody that erasure must not leave; the tombstone is one of its own.
    LEFT = "SELECT (SELECT count(*) FROM session WHERE account_id = $1) \
        + (SELECT count(*) FROM refresh_family WHERE account_id = $1) + (SELECT count(*) FROM mail WHERE account_id = $1) \
        + (SELECT count(*) FROM factor WHERE account_id = $1) + (SELECT count(*) FROM recovery_code WHERE account_id = $1) \
        + (SELECT count(*) FROM known_device WHERE account_id = $1) \
        + (SELECT count(*) FROM login_history WHERE account_id = $1) \
        + (SELECT count(*) FROM account_closing WHERE account_id = $1) \
        + (SELECT count(*) FROM subject_key WHERE account_id = $1 AND wrapped IS NOT NULL)";
    NAMED = "SELECT count(*) FROM account WHERE account_id = $1 AND (username = 'ada' OR password <> '!')";
    ATTEMPTS = "SELECT count(*) FROM account WHERE status = 'pending'";
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

#[tokio::test]
async fn who_closes_their_account_is_out_at_once_and_may_come_back_for_a_week() {
    for house in House::all().await {
        let id = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let caller = house.caller(&pair).await.unwrap();
        let slipped = house.identity.close_account(&caller, &name("bob"), &house.meta()).await;
        assert!(matches!(slipped, Err(Error::Invalid(_))), "{slipped:?}");
        let end = house.identity.close_account(&caller, &name("ada"), &house.meta()).await.unwrap();
        assert_eq!(end, house.clock.now().plus_ms(7 * DAY));
        assert!(house.caller(&pair).await.is_err());
        assert!(house.identity.refresh(pair.refresh_token.expose(), &house.meta()).await.is_err());
        let refused = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(refused, Err(Error::AccountDisabled)));
        let wrong = house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await;
        assert!(matches!(wrong, Err(Error::WrongCredentials)), "a stranger is told nothing");
        // Nobody asks for a new password to get in by that.
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let mail = house.mail("account_closed").await;
        assert!(mail.text.contains("To: ada@example.com"), "{}", mail.text);

        house.clock.advance_ms(7 * DAY - MINUTE);
        assert_eq!(house.identity.janitor().await.unwrap().erased, 0);
        for nonsense in ["", "x", &"y".repeat(43), pair.refresh_token.expose()] {
            let refused = house.identity.reopen_account(nonsense, &house.meta()).await;
            assert!(matches!(refused, Err(Error::InvalidCode)), "{nonsense}");
        }
        house.identity.reopen_account(&mail.code(), &house.meta()).await.unwrap();
        let again = house.identity.reopen_account(&mail.code(), &house.meta()).await;
        assert!(matches!(again, Err(Error::InvalidCode)), "the link works once");
        assert!(house.caller(&pair).await.is_err(), "the link signs nobody in");
        house.sign_in("ada").await;
        house.clock.advance_ms(DAY);
        assert_eq!(house.identity.janitor().await.unwrap().erased, 0, "it was taken back");
        assert_eq!(house.count(NAMED, params![id]).await, 1);
    }
}

#[tokio::test]
async fn what_was_closed_is_erased_when_its_time_comes_and_its_names_are_free() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        house.account("bob").await;
        let id = ada.caller.account;
        // Somebody else's attempt to get the address names the person, too.
        house.register("eve", "ada@example.com", OTHER_PASSWORD).await;
        house.identity.close_account(&ada.caller, &name("ada"), &house.meta()).await.unwrap();
        let mails = house.mails().await;
        let code = mails.iter().find(|mail| mail.kind == "account_closed").unwrap().code();
        house.clock.advance_ms(7 * DAY);
        let late = house.identity.reopen_account(&code, &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidCode)), "the time is over even if the janitor is late");
        assert_eq!(house.identity.janitor().await.unwrap().erased, 1);
        assert_eq!(house.identity.janitor().await.unwrap().erased, 0);
        assert_eq!(house.count(LEFT, params![id]).await, 0);
        assert_eq!(house.count(NAMED, params![id]).await, 0);
        assert_eq!(house.count(ATTEMPTS, params![]).await, 0);
        let gone = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(gone, Err(Error::WrongCredentials)), "nobody has this name");
        assert!(house.events().await.iter().any(|kind| kind == "subject.erased"));
        // The others are as they were, and the name and the address are somebody's again.
        house.sign_in("bob").await;
        let new = house.account("ada").await;
        assert_ne!(new, id);
        house.sign_in("ada@example.com").await;
        let query = AccountQuery::default();
        let page = house.identity.accounts(Permit::for_system("test"), &query, &house.meta()).await.unwrap();
        assert_eq!(page.accounts.len(), 3, "with the tombstone");
    }
}

#[tokio::test]
async fn closing_asks_for_fresh_factors_and_leaves_the_last_operator() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        house.clock.advance_ms(11 * MINUTE);
        let stale = house.identity.close_account(&ada.caller, &name("ada"), &house.meta()).await;
        assert!(matches!(stale, Err(Error::ReauthenticationRequired { second_factor: true })));
        // The password alone is not enough where there is a second factor.
        let again = Again { password: Some(secret(PASSWORD)), code: None };
        house.identity.reauthenticate(&ada.caller, again, &house.meta()).await.unwrap();
        let half = house.identity.close_account(&ada.caller, &name("ada"), &house.meta()).await;
        assert!(matches!(half, Err(Error::ReauthenticationRequired { second_factor: true })));
        // A session that has ended closes nothing.
        house.account("bob").await;
        let bob = house.caller(&house.sign_in("bob").await).await.unwrap();
        house.identity.sign_out(&bob, &house.meta()).await.unwrap();
        assert!(house.identity.close_account(&bob, &name("bob"), &house.meta()).await.is_err());
        house.sign_in("bob").await;
        // The last operator stays.
        let root = house.account("root").await;
        let permit = Permit::for_system("test");
        house.identity.set_role(permit, root, access::Role::SuperAdmin, &house.meta()).await.unwrap();
        let caller = house.caller(&house.sign_in("root").await).await.unwrap();
        let last = house.identity.close_account(&caller, &name("root"), &house.meta()).await;
        assert!(matches!(last, Err(Error::Conflict(_))));
        let erased =
            house.identity.erase_account(Permit::for_system("test"), root, "a test", &house.meta()).await;
        assert!(matches!(erased, Err(Error::Conflict(_))));
        house.sign_in("root").await;
    }
}

#[tokio::test]
async fn an_operator_takes_a_closing_back_or_erases_at_once() {
    for house in House::all().await {
        let id = house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        house.identity.close_account(&caller, &name("ada"), &house.meta()).await.unwrap();
        let old = house.mail("account_closed").await.code();
        house.identity.enable_account(Permit::for_system("test"), id, &house.meta()).await.unwrap();
        house.clock.advance_ms(8 * DAY);
        assert_eq!(house.identity.janitor().await.unwrap().erased, 0);
        assert!(house.identity.reopen_account(&old, &house.meta()).await.is_err());
        house.clock.advance_ms(HOUR);
        house.sign_in("ada").await;
        let erase = async || {
            let permit = Permit::for_system("test");
            house.identity.erase_account(permit, id, "asked in writing", &house.meta()).await.unwrap()
        };
        assert!(erase().await);
        assert!(!erase().await, "once");
        let looked = house.identity.account(Permit::for_system("test"), id, &house.meta()).await;
        assert!(matches!(looked, Err(Error::NotFound)), "{looked:?}");
        let enabled = house.identity.enable_account(Permit::for_system("test"), id, &house.meta()).await;
        assert!(matches!(enabled, Err(Error::NotFound)), "{enabled:?}");
        assert_eq!(house.count(NAMED, params![id]).await, 0);
    }
}

/// The name of what is left of somebody is nobody's to take before, and an account that cannot be erased keeps no other.
#[tokio::test]
async fn nobody_can_stop_an_erasure_by_a_name() {
    for house in House::all().await {
        let id = house.account("ada").await;
        let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        house.account(&format!("erased-{hex}")).await;
        let pair = house.sign_in("ada").await;
        let caller = house.caller(&pair).await.unwrap();
        house.identity.close_account(&caller, &name("ada"), &house.meta()).await.unwrap();
        house.clock.advance_ms(7 * DAY + MINUTE);
        assert_eq!(house.identity.janitor().await.unwrap().erased, 1);
        assert_eq!(house.count(NAMED, params![id]).await, 0);
    }
}

/// Who is about to be put out does not keep a way back by going first.
#[tokio::test]
async fn an_operator_ends_the_way_back() {
    for house in House::all().await {
        let id = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let caller = house.caller(&pair).await.unwrap();
        house.identity.close_account(&caller, &name("ada"), &house.meta()).await.unwrap();
        let code = house.mail("account_closed").await.code();
        house.identity.disable_account(Permit::for_system("test"), id, &house.meta()).await.unwrap();
        let back = house.identity.reopen_account(&code, &house.meta()).await;
        assert!(matches!(back, Err(Error::InvalidCode)), "{back:?}");
        house.clock.advance_ms(7 * DAY + MINUTE);
        assert_eq!(house.identity.janitor().await.unwrap().erased, 1, "it is erased all the same");
    }
}
