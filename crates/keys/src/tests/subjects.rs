use base::Scope;
use store::{params, sql, testing};

use super::{FIELD, House, SYSTEM, eventually};
use crate::{Field, KeysError, Purpose, Subject};

sql! {
    WRAPPED = "SELECT wrapped FROM subject_key WHERE account_id = $1";
    SET_WRAPPED = "UPDATE subject_key SET wrapped = $2 WHERE account_id = $1";
    VISIBLE = "SELECT count(*) FROM subject_key";
}

fn account(subject: Subject) -> base::Id<base::kind::Account> {
    let Subject::Account(id) = subject;
    id
}

#[tokio::test]
async fn a_field_opens_in_its_own_place_only() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.subject().await, house.subject().await);
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let record = house.keys.seal(&mut tx, ada, FIELD, b"ada@example.com").await.unwrap();
        let opened = house.keys.open_field(&mut tx, ada, FIELD, &record).await.unwrap();
        assert_eq!(**opened, *b"ada@example.com");
        assert!(!record.windows(3).any(|w| w == b"ada"));

        let elsewhere = [
            Field { table: "session", ..FIELD },
            Field { column: "full_name", ..FIELD },
            Field { row: [8; 16], ..FIELD },
        ];
        for field in elsewhere {
            let opened = house.keys.open_field(&mut tx, ada, field, &record).await;
            assert!(matches!(opened, Err(KeysError::Unreadable)), "{field:?}");
        }
        let stranger = house.keys.open_field(&mut tx, bob, FIELD, &record).await;
        assert!(matches!(stranger, Err(KeysError::UnknownKey)));
        let nobody = Subject::Account(house.account());
        assert!(matches!(house.keys.seal(&mut tx, nobody, FIELD, b"x").await, Err(KeysError::NoKey)));

        let mut altered = record.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert!(matches!(
            house.keys.open_field(&mut tx, ada, FIELD, &altered).await,
            Err(KeysError::Unreadable)
        ));
        for cut in [0, 1, 18, 19, record.len() - 1] {
            let opened = house.keys.open_field(&mut tx, ada, FIELD, &record[..cut]).await;
            assert!(matches!(opened, Err(KeysError::Unreadable)), "cut at {cut}");
        }
        assert!(matches!(
            house.keys.open_field(&mut tx, ada, FIELD, b"plaintext").await,
            Err(KeysError::Unreadable)
        ));
        let system = house.keys.seal_system(Purpose::Audit, FIELD, b"x");
        assert!(matches!(
            house.keys.open_field(&mut tx, ada, FIELD, &system).await,
            Err(KeysError::UnknownKey)
        ));
    }
}

#[tokio::test]
async fn a_transaction_for_one_account_cannot_use_anothers_key() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.subject().await, house.subject().await);
        house.clock.advance_ms(120_000);
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        let record = house.keys.seal(&mut tx, bob, FIELD, b"secret").await.unwrap();
        assert_eq!(house.keys.0.subjects.cached(), 1, "the key is in the cache, which must not help");
        drop(tx);

        let mut tx = house.db.begin(Scope::Account(account(ada))).await.unwrap();
        assert!(matches!(
            house.keys.open_field(&mut tx, bob, FIELD, &record).await,
            Err(KeysError::OutOfScope)
        ));
        assert!(matches!(house.keys.seal(&mut tx, bob, FIELD, b"x").await, Err(KeysError::OutOfScope)));
        assert!(matches!(
            house.keys.create_subject(&mut tx, Subject::Account(house.account())).await,
            Err(KeysError::OutOfScope)
        ));
        assert!(house.keys.seal(&mut tx, ada, FIELD, b"x").await.is_ok());
        if house.db.dialect() == store::Dialect::Postgres {
            let seen: i64 = tx.query_one(VISIBLE, params![]).await.unwrap().get(0).unwrap();
            assert_eq!(seen, 1, "row-level security hides the other row");
        }
    }
}

#[tokio::test]
async fn a_subject_has_one_first_key() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.subject().await;
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let again = house.keys.create_subject(&mut tx, ada).await;
        assert!(matches!(again, Err(KeysError::Store(error)) if error.is_unique()));
    }
}

/// A key that was made in a transaction that is undone must not be used afterwards: what it sealed would be
/// lost with the cache.
#[tokio::test]
async fn keys_of_undone_transactions_are_not_remembered() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = Subject::Account(house.account());
        let mut undone = house.db.begin(SYSTEM).await.unwrap();
        house.keys.create_subject(&mut undone, ada).await.unwrap();
        house.keys.seal(&mut undone, ada, FIELD, b"first try").await.unwrap();
        drop(undone);
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.keys.create_subject(&mut tx, ada).await.unwrap();
        let record = house.keys.seal(&mut tx, ada, FIELD, b"second try").await.unwrap();
        tx.commit().await.unwrap();

        let other = house.another_node().await;
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        assert_eq!(**other.open_field(&mut tx, ada, FIELD, &record).await.unwrap(), *b"second try");
    }
}

#[tokio::test]
async fn a_destroyed_key_is_forgotten_by_every_node() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let other = house.another_node().await;
        let (ada, bob) = (house.subject().await, house.subject().await);
        house.clock.advance_ms(120_000);
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        let record = house.keys.seal(&mut tx, ada, FIELD, b"x").await.unwrap();
        house.keys.seal(&mut tx, bob, FIELD, b"x").await.unwrap();
        other.open_field(&mut tx, ada, FIELD, &record).await.unwrap();
        drop(tx);
        assert_eq!((house.keys.0.subjects.cached(), other.0.subjects.cached()), (2, 1));

        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        assert!(house.keys.destroy_subject(&mut tx, ada).await.unwrap());
        assert!(!house.keys.destroy_subject(&mut tx, ada).await.unwrap());
        tx.commit().await.unwrap();
        // The first node had cached the key to seal with, the other one the key that the record names.
        for keys in [&house.keys, &other] {
            eventually("the node forgets the key", async || {
                let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
                let opened = keys.open_field(&mut tx, ada, FIELD, &record).await;
                let sealed = keys.seal(&mut tx, ada, FIELD, b"x").await;
                matches!((opened, sealed), (Err(KeysError::Destroyed), Err(KeysError::Destroyed)))
            })
            .await;
        }
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        assert!(house.keys.seal(&mut tx, bob, FIELD, b"x").await.is_ok());
    }
}

/// Without any announcement, a cached key ends with its time.
#[tokio::test]
async fn cached_keys_end_after_their_time() {
    let house = House::new(store::Db::memory()).await;
    let ada = house.subject().await;
    house.clock.advance_ms(120_000);
    let seal = async || {
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        house.keys.seal(&mut tx, ada, FIELD, b"x").await
    };
    seal().await.unwrap();
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    tx.execute(SET_WRAPPED, params![account(ada), vec![0_u8; 19]]).await.unwrap();
    tx.commit().await.unwrap();
    house.clock.advance_ms(59_999);
    assert!(seal().await.is_ok(), "the cache answers");
    house.clock.advance_ms(1);
    assert!(matches!(seal().await, Err(KeysError::Damaged(_))), "the database answers");
    house.clock.advance_ms(-120_000);
    assert!(seal().await.is_err(), "a clock that goes back does not prolong anything");
}

#[tokio::test]
async fn wrapped_subject_keys_cannot_be_exchanged() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.subject().await, house.subject().await);
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let bobs: Vec<u8> = tx.query_one(WRAPPED, params![account(bob)]).await.unwrap().get(0).unwrap();
        tx.execute(SET_WRAPPED, params![account(ada), bobs]).await.unwrap();
        assert!(matches!(house.keys.seal(&mut tx, ada, FIELD, b"x").await, Err(KeysError::Damaged(_))));
    }
}
