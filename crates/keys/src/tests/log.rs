//! The keys that sign checkpoints.

use crypto::log::{Checkpoint, KeyType};
use store::{Db, params, sql};

use super::{House, SYSTEM, eventually};
use crate::{KeysError, LOG_KEY_OVERLAP_MS};

const ORIGIN: &str = "localhost:8080/log";

sql! {
    RENAME = "UPDATE signing_key SET public_jwk = replace(public_jwk, 'localhost:8080/log', 'other.example/log') WHERE key_use = $1";
}

#[tokio::test]
async fn no_checkpoint_is_signed_before_the_log_has_keys_or_for_another_log() {
    let house = House::new(Db::memory()).await;
    assert_eq!(house.keys.log_origin(), None);
    assert!(matches!(house.keys.sign_checkpoint(ORIGIN, 1, [1; 32]), Err(KeysError::NoKey)));
    assert_eq!(house.keys.prepare_log(ORIGIN, false).await.unwrap(), ORIGIN);
    assert!(matches!(house.keys.sign_checkpoint("other.example/log", 1, [1; 32]), Err(KeysError::NoKey)));
    assert!(house.keys.prepare_log("not a name", false).await.is_ok_and(|origin| origin == ORIGIN));
}

#[tokio::test]
async fn all_nodes_sign_with_the_same_keys_and_the_log_keeps_its_name() {
    for db in store::testing::databases().await {
        let house = House::new(db).await;
        house.keys.prepare_log(ORIGIN, false).await.unwrap();
        let other = house.another_node().await;
        assert_eq!(other.prepare_log("moved.example/log", true).await.unwrap(), ORIGIN);
        let keys = &house.keys;
        eventually("the other node's second key is known here", async || keys.log_verifiers().len() == 2)
            .await;
        assert_eq!(keys.log_verifiers(), other.log_verifiers());
        let note = other.sign_checkpoint(ORIGIN, 7, [7; 32]).unwrap();
        let open = Checkpoint::open(&note, ORIGIN, &keys.log_verifiers()).unwrap();
        assert_eq!((open.checkpoint.size, open.checkpoint.root, open.signed_by.len()), (7, [7; 32], 2));
        assert_eq!(keys.log_verifiers()[0].kind(), KeyType::Ed25519);
        assert_eq!(keys.log_verifiers()[1].kind(), KeyType::CosignatureMlDsa44);
    }
}

#[tokio::test]
async fn a_replaced_key_signs_beside_its_successor_until_the_overlap_ends() {
    let house = House::new(Db::memory()).await;
    house.keys.prepare_log(ORIGIN, false).await.unwrap();
    let old = house.keys.log_verifiers();
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    let made = house.keys.rotate_log_keys(&mut tx, house.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    house.keys.reload().await.unwrap();
    assert_eq!(made.len(), 1);
    let both = house.keys.sign_checkpoint(ORIGIN, 9, [9; 32]).unwrap();
    assert!(Checkpoint::open(&both, ORIGIN, &old).is_ok(), "who pinned the old key still verifies");
    assert!(Checkpoint::open(&both, ORIGIN, &made).is_ok(), "and so does who has the new one");
    house.clock.advance_ms(LOG_KEY_OVERLAP_MS);
    let alone = house.keys.sign_checkpoint(ORIGIN, 10, [9; 32]).unwrap();
    assert!(Checkpoint::open(&alone, ORIGIN, &old).is_err());
    assert!(Checkpoint::open(&alone, ORIGIN, &made).is_ok());
    assert_eq!(house.keys.log_verifiers(), made);
}

#[tokio::test]
async fn a_row_under_another_name_is_refused() {
    let house = House::new(Db::memory()).await;
    house.keys.prepare_log(ORIGIN, false).await.unwrap();
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    assert_eq!(tx.execute(RENAME, params!["log-ed25519"]).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert!(matches!(house.keys.reload().await, Err(KeysError::Damaged(_))));
}
