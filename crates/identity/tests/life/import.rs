//! Accounts that come from another system.

use access::{Permit, Role, Tier};
use identity::{Error, ImportOutcome, ImportedAccount, ImportedHash};
use store::params;

use crate::house::{House, OTHER_PASSWORD, PASSWORD, credentials, secret};

store::sql! {
    STORED = "SELECT password FROM account WHERE username = $1";
    ACCOUNTS = "SELECT count(*) FROM account";
}

/// bcrypt of "imported staple battery".
const BCRYPT: &str = "$2b$05$1lbNFRe.gmgQG00hjiCRvOk2QzA56Mvpl.1t.JGuSvo3YMOG2XNyW";
/// {SSHA256} of the same.
const SSHA: &str = "{SSHA256}uPJixUlYhH4BXWbe06KWEOTRbyvFg/AIERqeRE+7piRzYWx0c2FsdA==";
const IMPORTED: &str = "imported staple battery";

fn person(name: &str, hash: Option<&str>) -> ImportedAccount {
    ImportedAccount {
        username: Some(name.parse().unwrap()),
        email: format!("{name}@example.com").parse().unwrap(),
        full_name: None,
        password: hash.map(|hash| ImportedHash::parse(hash).unwrap()),
        compromised: false,
        role: Role::User,
        tier: Tier::Pro,
        disabled: false,
    }
}

async fn import(house: &House, batch: &[ImportedAccount]) -> Vec<ImportOutcome> {
    let permit = Permit::for_system("test");
    house.identity.import_accounts(permit, "old-system", batch, &house.meta()).await.unwrap()
}

async fn stored(house: &House, name: &str) -> String {
    let mut tx = house.db.begin_read(base::Scope::System("test")).await.unwrap();
    tx.query_one(STORED, params![name]).await.unwrap().get(0).unwrap()
}

#[tokio::test]
async fn an_imported_hash_signs_in_once_and_is_then_ours() {
    for house in House::all().await {
        for (name, hash) in [("ada", BCRYPT), ("bob", SSHA)] {
            let made = import(&house, &[person(name, Some(hash))]).await;
            assert!(matches!(&made[..], [ImportOutcome::Made(_, username)] if username.as_str() == name));
            let wrong = house.identity.sign_in(credentials(name, PASSWORD), &house.meta()).await;
            assert!(matches!(wrong, Err(Error::WrongCredentials)));
            assert_eq!(stored(&house, name).await, hash);
            house.identity.sign_in(credentials(name, IMPORTED), &house.meta()).await.unwrap();
            assert!(stored(&house, name).await.starts_with("$argon2id$"), "hashed anew");
            house.identity.sign_in(credentials(name, IMPORTED), &house.meta()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn importing_again_changes_nothing_and_names_stay_with_who_has_them() {
    for house in House::all().await {
        house.account("carol").await;
        let batch = [person("ada", Some(BCRYPT)), person("dave", None)];
        import(&house, &batch).await;
        let before = house.count(ACCOUNTS, params![]).await;
        assert!(import(&house, &batch).await.iter().all(|one| matches!(one, ImportOutcome::AlreadyThere(_))));
        let mut other = person("carol", Some(BCRYPT));
        other.email = "other-carol@example.com".parse().unwrap();
        assert_eq!(import(&house, &[other.clone()]).await, [ImportOutcome::NameTaken]);
        assert_eq!(house.count(ACCOUNTS, params![]).await, before);
        other.username = None;
        other.email = "carol@elsewhere.example".parse().unwrap();
        let made = import(&house, &[other]).await;
        assert!(matches!(&made[..], [ImportOutcome::Made(_, name)] if name.as_str().starts_with("carol-")));
    }
}

#[tokio::test]
async fn without_a_hash_the_way_in_is_a_reset() {
    for house in House::all().await {
        import(&house, &[person("ada", None)]).await;
        for guess in ["!", "", PASSWORD] {
            let refused = house.identity.sign_in(credentials("ada", guess), &house.meta()).await;
            assert!(matches!(refused, Err(Error::WrongCredentials)));
        }
        house.identity.forgot_password(&"ada@example.com".parse().unwrap(), &house.meta()).await.unwrap();
        let code = house.mail("reset").await.code();
        house.identity.reset_password(&code, secret(OTHER_PASSWORD), &house.meta()).await.unwrap();
        house.identity.sign_in(credentials("ada", OTHER_PASSWORD), &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn a_password_marked_as_compromised_must_be_changed_first() {
    for house in House::all().await {
        let mut known = person("ada", Some(BCRYPT));
        known.compromised = true;
        import(&house, &[known]).await;
        let refused = house.identity.sign_in(credentials("ada", IMPORTED), &house.meta()).await;
        assert!(matches!(refused, Err(Error::PasswordCompromised)));
        assert_eq!(house.mail("compromised").await.kind, "compromised");
    }
}
