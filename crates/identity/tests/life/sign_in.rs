//! Signing in.

use std::sync::Arc;

use access::Permit;
use base::ProblemKind;
use crypto::password::Params;
use identity::Error;
use store::params;

use crate::house::{House, OTHER_PASSWORD, PASSWORD, credentials, quick, secret};

store::sql! {
    ABOUT = "SELECT count(*) FROM audit_event WHERE account_id = $1";
    IMPORT = "UPDATE account SET password = $2, pepper_epoch = NULL WHERE account_id = $1";
    IS_ARGON = "SELECT count(*) FROM account WHERE account_id = $1 AND password LIKE '$argon2id$%' AND pepper_epoch = 1";
}

/// "violet tuba orchard eleven" at cost 4, made with the system's crypt(3).
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu39NjeXPh2ZCruvykcU5n9fHmAjTmm9q";

#[tokio::test]
async fn strangers_learn_nothing_from_a_failure() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        house.account("bob").await;
        let permit = Permit::for_system("test");
        house.identity.disable_account(permit, ada, &house.meta()).await.unwrap();
        house.register("carol", "carol@example.com", PASSWORD).await;
        house.mails().await;
        let mut answers = Vec::new();
        for name in [
            "nobody",
            "nobody@example.com",
            "ada",
            "bob",
            "bob@example.com",
            "carol",
            "",
            "no such@@name",
            "x",
        ] {
            let error =
                house.identity.sign_in(credentials(name, OTHER_PASSWORD), &house.meta()).await.unwrap_err();
            answers.push(error.problem());
        }
        assert!(answers.iter().all(|problem| *problem == ProblemKind::WrongCredentials.into()));
        // With the right password the state may be told.
        let disabled = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(disabled, Err(Error::AccountDisabled)));
        let pending = house.identity.sign_in(credentials("carol@example.com", PASSWORD), &house.meta()).await;
        assert!(matches!(pending, Err(Error::EmailNotVerified)));
        let failures = house.events().await.iter().filter(|kind| *kind == "session.sign_in_failed").count();
        assert_eq!(failures, answers.len() + 2);
    }
}

#[tokio::test]
async fn who_stands_in_for_nobody_lets_nobody_in() {
    for house in House::all().await {
        // The only account stands in for every name that nobody has: its row, its key and its hash are read then.
        let ada = house.account("ada").await;
        house.mails().await;
        house.audit.settled().await.unwrap();
        let before = house.count(ABOUT, params![ada]).await;
        for name in ["nobody", "nobody@example.com", "erased-0"] {
            let answer = house.identity.sign_in(credentials(name, PASSWORD), &house.meta()).await;
            assert!(matches!(answer, Err(Error::WrongCredentials)), "{name}: {answer:?}");
        }
        house.identity.forgot_password(&"nobody@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        house.register("bob", "bob@example.com", PASSWORD).await;
        house.audit.settled().await.unwrap();
        assert_eq!(house.count(ABOUT, params![ada]).await, before, "nothing is noted about who stands in");
        assert!(house.mail("verify").await.text.contains("To: bob@example.com"), "or written to them");
        house.sign_in("ada").await;
    }
}

#[tokio::test]
async fn an_attempt_of_ones_own_does_not_tell_whether_there_is_an_account() {
    for house in House::all().await {
        house.account("ada").await;
        for (name, email) in
            [("eve", "ada@example.com"), ("eve", "nobody@example.com"), ("ada", "eve@example.com")]
        {
            house.register(name, email, OTHER_PASSWORD).await;
            let wanted = if name == "eve" { email } else { name };
            let answer = house.identity.sign_in(credentials(wanted, OTHER_PASSWORD), &house.meta()).await;
            assert!(matches!(answer, Err(Error::EmailNotVerified)), "{wanted}");
        }
        house.sign_in("ada").await;
        house.sign_in("ada@example.com").await;
    }
}

#[tokio::test]
async fn imported_hashes_are_renewed_at_sign_in() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        house.execute(IMPORT, params![ada, BCRYPT]).await;
        let wrong = house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await;
        assert!(matches!(wrong, Err(Error::WrongCredentials)));
        assert_eq!(house.count(IS_ARGON, params![ada]).await, 0);
        house.sign_in("ada").await;
        assert_eq!(house.count(IS_ARGON, params![ada]).await, 1);
        house.sign_in("ada").await;
        // A hash that nothing can read is wrong, not an error that tells of the account.
        house.execute(IMPORT, params![ada, "$md5$nonsense"]).await;
        let wrong = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(wrong, Err(Error::WrongCredentials)));
    }
}

#[tokio::test]
async fn a_hash_of_older_cost_is_renewed() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let mut dearer = quick();
        dearer.hash_params = Params::new(128, 1, 1).unwrap();
        let node = house.second_node(dearer).await;
        node.sign_in(credentials("ada", PASSWORD), &house.meta()).await.unwrap();
        assert_eq!(house.count(COSTS_128, params![ada]).await, 1);
        house.sign_in("ada").await;
    }
}

store::sql! {
    COSTS_128 = "SELECT count(*) FROM account WHERE account_id = $1 AND password LIKE '%m=128,%'";
}

#[tokio::test]
async fn a_compromised_password_leads_to_a_mail() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        house.identity.mark_compromised(Permit::for_system("test"), ada, &house.meta()).await.unwrap();
        let refused = house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await;
        assert!(matches!(refused, Err(Error::PasswordCompromised)));
        let code = house.mail("compromised").await.code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_sign_ins_is_refused_and_tokens_go_on() {
    let mut settings = quick();
    settings.hash_threads = 1;
    settings.hash_queue_per_thread = 2;
    settings.hash_params = Params::new(8 * 1024, 1, 1).unwrap();
    for house in House::all_with(settings).await {
        house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let house = Arc::new(house);
        let flood: Vec<_> = (0..64)
            .map(|_| {
                let house = Arc::clone(&house);
                tokio::spawn(async move {
                    house.identity.sign_in(credentials("ada", PASSWORD), &house.meta()).await
                })
            })
            .collect();
        house.caller(&pair).await.unwrap();
        let (mut done, mut refused) = (0, 0);
        for task in flood {
            match task.await.unwrap() {
                Ok(_) => done += 1,
                Err(error @ Error::Busy { .. }) => {
                    refused += 1;
                    let problem = error.problem();
                    assert_eq!((problem.kind.status(), problem.retry_after_s.is_some()), (503, true));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(done >= 1 && refused >= 1, "{done} done, {refused} refused");
        house.sign_in("ada").await;
    }
}
