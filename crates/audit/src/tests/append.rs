use base::{Id, Scope};
use keys::KeysError;
use store::testing;

use super::{House, SYSTEM};
use crate::{AuditError, Event, Filter, Record};

#[tokio::test]
async fn an_appended_event_shares_its_transactions_fate() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let account = house.account().await;
        let record = house.critical(account);
        let mut undone = house.db.begin(SYSTEM).await.unwrap();
        house.audit.append(&mut undone, &record).await.unwrap();
        drop(undone);
        assert_eq!(house.count("session.signed_in").await, 0);

        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let id = house.audit.append(&mut tx, &record).await.unwrap();
        tx.commit().await.unwrap();
        let found = house.find(&Filter { account: Some(account), ..Filter::default() }).await;
        assert_eq!(found.iter().map(|e| e.id).collect::<Vec<_>>(), [id]);
    }
}

/// Registration: the key, the account and the event are made in one transaction.
#[tokio::test]
async fn the_first_event_of_an_account_is_sealed_under_its_fresh_key() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let account = Id::new(&house.clock, &house.entropy);
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.keys.create_subject(&mut tx, keys::Subject::Account(account)).await.unwrap();
        let record = Record::new(house.clock.now(), Event::AccountRegistered {})
            .by_account(account)
            .during(house.request());
        house.audit.append(&mut tx, &record).await.unwrap();
        tx.commit().await.unwrap();
        let found = house.find(&Filter { account: Some(account), ..Filter::default() }).await;
        assert_eq!(found[0].agent.as_deref(), Some("CanaryAgent/1.0"));
    }
}

#[tokio::test]
async fn an_event_is_written_in_its_owners_scope_but_not_in_a_strangers() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.account().await, house.account().await);
        let mut tx = house.db.begin(Scope::Account(ada)).await.unwrap();
        house.audit.append(&mut tx, &house.critical(ada)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(house.count("session.signed_in").await, 1);

        let mut tx = house.db.begin(Scope::Account(ada)).await.unwrap();
        let refused = house.audit.append(&mut tx, &house.critical(bob)).await;
        assert!(matches!(refused, Err(AuditError::Keys(KeysError::OutOfScope))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_event_about_an_account_without_a_key_is_an_error_in_its_change() {
    let house = House::new(store::Db::memory()).await;
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    let nobody = Id::new(&house.clock, &house.entropy);
    let refused = house.audit.append(&mut tx, &house.critical(nobody)).await;
    assert!(matches!(refused, Err(AuditError::Keys(KeysError::NoKey))), "{refused:?}");
}
