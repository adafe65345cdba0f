use base::{Clock, Entropy};
use store::{params, sql, testing};

use super::{FIELD, House, START, SYSTEM, root};
use crate::{Keys, KeysError, Purpose, RootError};

sql! {
    COUNT_DEPLOYMENTS = "SELECT count(*) FROM deployment";
    COUNT_EPOCHS = "SELECT count(*) FROM epoch_key";
    WRAPPED = "SELECT wrapped FROM epoch_key WHERE purpose = $1";
    SET_WRAPPED = "UPDATE epoch_key SET wrapped = $2 WHERE purpose = $1";
    RENAME_PURPOSE = "UPDATE epoch_key SET purpose = $2 WHERE purpose = $1";
    DROP_PURPOSE = "DELETE FROM epoch_key WHERE purpose = $1";
}

#[tokio::test]
async fn opening_again_finds_the_same_keys() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let again = house.another_node().await;
        assert_eq!(again.deployment(), house.keys.deployment());
        for purpose in Purpose::ALL {
            let (before, after) = (house.keys.epoch(*purpose), again.epoch(*purpose));
            assert_eq!((before.number, before.key.expose()), (after.number, after.key.expose()));
            assert!(again.epoch_number(*purpose, 1).is_some() && again.epoch_number(*purpose, 2).is_none());
        }
        assert_eq!(house.keys.blind_index("t", "c", b"v"), again.blind_index("t", "c", b"v"));
        assert_ne!(house.keys.blind_index("t", "c", b"v"), again.blind_index("t", "d", b"v"));
        let record = house.keys.seal_system(Purpose::Audit, FIELD, b"canary");
        assert_eq!(**again.open_system(Purpose::Audit, FIELD, &record).unwrap(), *b"canary");
    }
}

#[tokio::test]
async fn no_two_purposes_share_a_key() {
    let house = House::new(store::Db::memory()).await;
    let keys: std::collections::HashSet<_> =
        Purpose::ALL.iter().map(|p| *house.keys.epoch(*p).key.expose()).collect();
    assert_eq!(keys.len(), Purpose::ALL.len());
    let record = house.keys.seal_system(Purpose::Audit, FIELD, b"x");
    assert!(matches!(house.keys.open_system(Purpose::Cookie, FIELD, &record), Err(KeysError::UnknownKey)));
}

#[tokio::test]
async fn a_missing_or_different_root_file_is_named_and_nothing_new_is_made() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let open = async |path: &std::path::Path| {
            Keys::open(&house.db, &root(path), house.clock.clone(), house.entropy.clone())
                .await
                .err()
                .expect("refused")
        };
        let missing = house.folder.path().join("elsewhere.key");
        let error = open(&missing).await;
        assert!(matches!(error, KeysError::Root(RootError::Missing { .. })), "{error}");
        assert!(error.to_string().contains("elsewhere.key"));
        assert!(!missing.exists(), "nothing was made");

        let other = House::new(store::Db::memory()).await;
        let error = open(&other.folder.path().join("root.key")).await;
        assert!(matches!(error, KeysError::Root(RootError::Different { .. })), "{error}");

        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        let count: i64 = tx.query_one(COUNT_EPOCHS, params![]).await.unwrap().get(0).unwrap();
        assert_eq!(count, Purpose::ALL.len() as i64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_first_at_once_agree_on_one_set() {
    for db in testing::databases().await {
        let folder = tempfile::tempdir().unwrap();
        let mut starts = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (db, path) = (db.clone(), folder.path().join("root.key"));
            starts.spawn(async move {
                let keys =
                    Keys::open(&db, &root(&path), Clock::controlled(START), Entropy::system()).await.unwrap();
                (keys.deployment(), keys.jwks())
            });
        }
        let opened = starts.join_all().await;
        assert!(opened.iter().all(|one| one == &opened[0]));
        let mut tx = db.begin_read(SYSTEM).await.unwrap();
        let deployments: i64 = tx.query_one(COUNT_DEPLOYMENTS, params![]).await.unwrap().get(0).unwrap();
        let epochs: i64 = tx.query_one(COUNT_EPOCHS, params![]).await.unwrap().get(0).unwrap();
        assert_eq!((deployments, epochs), (1, Purpose::ALL.len() as i64));
    }
}

/// What somebody who can write the database could try with wrapped keys.
#[tokio::test]
async fn exchanged_altered_or_lost_epoch_keys_are_refused() {
    let (wrong_place, renamed, altered, lost) = (0, 1, 2, 3);
    for attack in [wrong_place, renamed, altered, lost] {
        for db in testing::databases().await {
            let house = House::new(db).await;
            let mut tx = house.db.begin(SYSTEM).await.unwrap();
            let mut wrapped: Vec<u8> = tx.query_one(WRAPPED, params!["audit"]).await.unwrap().get(0).unwrap();
            if attack == wrong_place {
                tx.execute(SET_WRAPPED, params!["pepper", wrapped]).await.unwrap();
            } else if attack == renamed {
                for (from, to) in [("audit", "x"), ("pepper", "audit"), ("x", "pepper")] {
                    tx.execute(RENAME_PURPOSE, params![from, to]).await.unwrap();
                }
            } else if attack == altered {
                *wrapped.last_mut().unwrap() ^= 1;
                tx.execute(SET_WRAPPED, params!["audit", wrapped]).await.unwrap();
            } else {
                tx.execute(DROP_PURPOSE, params!["audit"]).await.unwrap();
            }
            tx.commit().await.unwrap();
            let root = root(&house.folder.path().join("root.key"));
            let opened = Keys::open(&house.db, &root, house.clock.clone(), house.entropy.clone()).await;
            assert!(matches!(opened.err(), Some(KeysError::Damaged(_))), "attack {attack}");
        }
    }
}
