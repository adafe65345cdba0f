use base::Timestamp;
use crypto::jws::{Algorithm, Expected};
use serde::{Deserialize, Serialize};
use store::{params, sql, testing};

use super::{House, SYSTEM, eventually, root};
use crate::{KeyUse, Keys, KeysError, Rotation, SigningSettings};

sql! {
    COUNT = "SELECT count(*) FROM signing_key WHERE key_use = $1 AND state = $2";
    STATE = "SELECT state, sealed_private FROM signing_key WHERE kid = $1";
    SEALED = "SELECT sealed_private FROM signing_key WHERE key_use = $1";
    SET_SEALED = "UPDATE signing_key SET sealed_private = $2 WHERE key_use = $1";
    SET_PUBLIC = "UPDATE signing_key SET public_jwk = $2 WHERE key_use = $1";
}

const ACCESS: KeyUse = KeyUse::AccessToken;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

fn sign(house: &House, keys: &Keys, key_use: KeyUse) -> String {
    let now = house.clock.now().as_secs();
    let claims = Claims { iss: "https://f".into(), aud: "api".into(), iat: now, exp: now + 1_000_000 };
    keys.signer(key_use).sign("at+jwt", &claims)
}

fn verifies(house: &House, keys: &Keys, key_use: KeyUse, token: &str) -> bool {
    let expected =
        Expected { typ: "at+jwt", issuer: "https://f", audience: "api", now: house.clock.now(), leeway_s: 5 };
    keys.verifying(key_use).verify::<Claims>(token, &expected).is_ok()
}

fn published(keys: &Keys) -> Vec<String> {
    let set: serde_json::Value = serde_json::from_slice(&keys.jwks()).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn rotate(house: &House, now: Timestamp) -> Rotation {
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    let rotation = house.keys.rotate_signing(&mut tx, ACCESS, now).await.unwrap();
    tx.commit().await.unwrap();
    house.keys.reload().await.unwrap();
    rotation
}

async fn tend(house: &House) -> Rotation {
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    let rotation = house.keys.tend_signing(&mut tx, ACCESS, house.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    house.keys.reload().await.unwrap();
    rotation
}

#[tokio::test]
async fn tokens_of_one_use_do_not_verify_as_another() {
    let house = House::new(store::Db::memory()).await;
    let token = sign(&house, &house.keys, ACCESS);
    assert!(verifies(&house, &house.keys, ACCESS, &token));
    assert!(!verifies(&house, &house.keys, KeyUse::Assertion, &token));
    assert_eq!(published(&house.keys).len(), KeyUse::ALL.len());
    let set = String::from_utf8(house.keys.jwks().to_vec()).unwrap();
    assert!(!set.contains("\"d\""), "no private part is published");
}

#[tokio::test]
async fn a_rotation_publishes_first_signs_later_and_removes_last() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let other = house.another_node().await;
        let old = house.keys.signer(ACCESS).kid().to_owned();
        let token = sign(&house, &house.keys, ACCESS);

        let Rotation::Published { kid, at } = rotate(&house, house.clock.now()).await else { panic!() };
        assert_eq!(at, house.clock.now().plus_ms(3_600_000));
        assert!(published(&house.keys).contains(&kid));
        assert_eq!(house.keys.signer(ACCESS).kid(), old);
        assert_eq!(rotate(&house, house.clock.now()).await, Rotation::Unchanged, "not yet its time");

        house.clock.advance_ms(3_600_000);
        assert_eq!(tend(&house).await, Rotation::Activated { kid: kid.clone() });
        assert_eq!(house.keys.signer(ACCESS).kid(), kid);
        assert!(verifies(&house, &house.keys, ACCESS, &token), "what the old key signed is still good");
        eventually("the other node signs with the new key", async || other.signer(ACCESS).kid() == kid).await;
        assert!(verifies(&house, &other, ACCESS, &sign(&house, &house.keys, ACCESS)));

        house.clock.advance_ms(3_600_000);
        assert_eq!(tend(&house).await, Rotation::Unchanged);
        assert!(!published(&house.keys).contains(&old));
        assert!(!verifies(&house, &house.keys, ACCESS, &token));
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        let row = tx.query_one(STATE, params![old]).await.unwrap();
        assert_eq!(row.get::<String>(0).unwrap(), "removed");
        assert_eq!(row.get::<Option<Vec<u8>>>(1).unwrap(), None, "its private part is gone");
    }
}

#[tokio::test]
async fn tending_rotates_when_the_period_is_over() {
    let house = House::new(store::Db::memory()).await;
    assert_eq!(tend(&house).await, Rotation::Unchanged);
    house.clock.advance_ms(SigningSettings::default().period_ms - 3_600_000 - 1);
    assert_eq!(tend(&house).await, Rotation::Unchanged);
    house.clock.advance_ms(1);
    assert!(matches!(tend(&house).await, Rotation::Published { .. }));
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_on_every_node() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let other = house.another_node().await;
        let old = house.keys.signer(ACCESS).kid().to_owned();
        let token = sign(&house, &house.keys, ACCESS);
        assert!(verifies(&house, &other, ACCESS, &token));

        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        assert!(house.keys.revoke_signing(&mut tx, &old, house.clock.now()).await.unwrap());
        assert!(!house.keys.revoke_signing(&mut tx, "unknown", house.clock.now()).await.unwrap());
        tx.commit().await.unwrap();
        for keys in [&house.keys, &other] {
            eventually("the node refuses the revoked key", async || !verifies(&house, keys, ACCESS, &token))
                .await;
            assert!(!published(keys).contains(&old));
            assert_ne!(keys.signer(ACCESS).kid(), old);
        }
        assert!(verifies(&house, &other, ACCESS, &sign(&house, &house.keys, ACCESS)));
    }
}

#[tokio::test]
async fn a_revoked_signer_is_followed_by_the_next_one() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let Rotation::Published { kid: next, .. } = rotate(&house, house.clock.now()).await else { panic!() };
        let old = house.keys.signer(ACCESS).kid().to_owned();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.keys.revoke_signing(&mut tx, &old, house.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        house.keys.reload().await.unwrap();
        assert_eq!(house.keys.signer(ACCESS).kid(), next);
    }
}

#[tokio::test]
async fn a_rotation_that_is_undone_changes_nothing() {
    let house = House::new(store::Db::memory()).await;
    let before = house.keys.jwks();
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    house.keys.rotate_signing(&mut tx, ACCESS, house.clock.now()).await.unwrap();
    drop(tx);
    house.keys.reload().await.unwrap();
    assert_eq!(house.keys.jwks(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_rotate_at_once_make_one_next_key() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let mut nodes = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (db, keys, now) = (house.db.clone(), house.another_node().await, house.clock.now());
            nodes.spawn(async move {
                let mut tx = db.begin(SYSTEM).await.unwrap();
                let rotation = keys.rotate_signing(&mut tx, ACCESS, now).await.unwrap();
                tx.commit().await.unwrap();
                rotation
            });
        }
        let rotations = nodes.join_all().await;
        let made = rotations.iter().filter(|r| matches!(r, Rotation::Published { .. })).count();
        assert_eq!(made, 1, "{rotations:?}");
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        let next: i64 = tx.query_one(COUNT, params![ACCESS.name(), "next"]).await.unwrap().get(0).unwrap();
        assert_eq!(next, 1);
    }
}

#[tokio::test]
async fn another_algorithm_is_reached_by_a_rotation() {
    for algorithm in [Algorithm::RS256, Algorithm::EdDSA] {
        let house = House::new(store::Db::memory()).await;
        let settings = SigningSettings { algorithm, ..SigningSettings::default() };
        let root = root(&house.folder.path().join("root.key"));
        let keys = Keys::open_with(&house.db, &root, settings, house.clock.clone(), house.entropy.clone())
            .await
            .unwrap();
        assert_eq!(keys.signer(ACCESS).algorithm(), Algorithm::ES256);
        for _ in 0..2 {
            let mut tx = house.db.begin(SYSTEM).await.unwrap();
            keys.tend_signing(&mut tx, ACCESS, house.clock.now()).await.unwrap();
            tx.commit().await.unwrap();
            house.clock.advance_ms(settings.overlap_ms);
        }
        keys.reload().await.unwrap();
        assert_eq!(keys.signer(ACCESS).algorithm(), algorithm);
        assert!(verifies(&house, &keys, ACCESS, &sign(&house, &keys, ACCESS)));
    }
}

/// What somebody who can write the database could try with signing keys.
#[tokio::test]
async fn exchanged_signing_keys_are_refused_and_stored_public_keys_are_not_believed() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        tx.execute(SET_PUBLIC, params![ACCESS.name(), r#"{"kty":"oct","kid":"evil"}"#]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!published(&house.another_node().await).contains(&"evil".to_owned()));

        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let foreign: Vec<u8> = tx.query_one(SEALED, params!["assertion"]).await.unwrap().get(0).unwrap();
        tx.execute(SET_SEALED, params![ACCESS.name(), foreign]).await.unwrap();
        tx.commit().await.unwrap();
        let root = root(&house.folder.path().join("root.key"));
        let opened = Keys::open(&house.db, &root, house.clock.clone(), house.entropy.clone()).await;
        assert!(matches!(opened.err(), Some(KeysError::Damaged(_))));
    }
}

#[tokio::test]
async fn the_watching_task_does_not_keep_the_keys_alive() {
    let house = House::new(store::Db::memory()).await;
    let keys = house.another_node().await;
    let (inner, task) = (std::sync::Arc::downgrade(&keys.0), keys.0.watch.lock().clone().unwrap());
    assert!(!task.is_finished());
    drop(keys);
    assert!(inner.upgrade().is_none());
    eventually("the task ends", async || task.is_finished()).await;
}
