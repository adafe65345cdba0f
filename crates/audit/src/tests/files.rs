//! Mirror, anchor and the watch over them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::{Clock, Entropy, Id};
use crypto::log::{Checkpoint, Tile, decode_bundle, leaf_hash};
use keys::{FileRoot, Keys, RootKey, Subject};
use store::{Db, DbConfig, params, sql};
use tempfile::TempDir;

use super::{House, START, SYSTEM, eventually};
use crate::{Audit, Erasure, Filter, Kind, LogSettings};

sql! {
    DROP_TAIL = "DELETE FROM audit_event WHERE idx >= $1";
    ROLL_BACK = "UPDATE audit_tree SET size = $1, root = $2, checkpoint = $3 WHERE only_row = 1";
    HEAD = "SELECT size, root, checkpoint FROM audit_tree";
}

fn settings(folder: &Path) -> LogSettings {
    LogSettings {
        folder: Some(folder.join("log")),
        anchor: Some(folder.join("anchor/checkpoint")),
        watch_every: Duration::from_millis(50),
        ..LogSettings::default()
    }
}

/// A house whose log has files.
async fn house(folder: &Path) -> House {
    let db = Db::memory();
    let (clock, entropy) = (Clock::controlled(START), Entropy::system());
    let file = FileRoot::open_or_create(&folder.join("root.key"), None, &entropy).unwrap();
    let keys = Keys::open(&db, &RootKey::File(file), clock.clone(), entropy.clone()).await.unwrap();
    let audit = Audit::start_with(db.clone(), keys.clone(), clock.clone(), entropy.clone(), settings(folder));
    House { db, clock, entropy, keys, audit, _folder: tempfile::tempdir().unwrap() }
}

fn again(house: &House, folder: &Path) -> Audit {
    let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
    Audit::start_with(house.db.clone(), house.keys.clone(), clock, entropy, settings(folder))
}

fn size_of(path: PathBuf) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    Checkpoint::read_unverified(&text).map_or(0, |head| head.size)
}

async fn mirrored(folder: &Path, size: u64) {
    eventually("the files follow", async || {
        size_of(folder.join("log/checkpoint")) >= size && size_of(folder.join("anchor/checkpoint")) >= size
    })
    .await;
}

async fn traffic(house: &House, audit: &Audit, events: usize) {
    for _ in 0..events {
        audit.record(house.traffic(200));
    }
    audit.settled().await.unwrap();
}

/// Whether the first tile's files are as long as they must be.
fn whole_files(folder: &Path, size: u64) -> bool {
    let tile = Tile::in_tree(0, 0, size).unwrap();
    let length = |path: String| fs::metadata(folder.join("log").join(path)).map_or(0, |data| data.len());
    length(tile.path()) == tile.byte_len() as u64 && length(tile.entries_path()) > 0
}

/// Every file that a tree of this size stands on is there and fits.
fn whole(folder: &Path, size: u64) {
    for index in 0..size.div_ceil(256) {
        let tile = Tile::in_tree(0, index, size).unwrap();
        let hashes = fs::read(folder.join("log").join(tile.path())).unwrap();
        let bundle = fs::read(folder.join("log").join(tile.entries_path())).unwrap();
        let leaves = decode_bundle(tile.width, &bundle).unwrap();
        assert_eq!(hashes.len(), tile.byte_len());
        for (hash, leaf) in hashes.as_chunks::<32>().0.iter().zip(leaves) {
            assert_eq!(*hash, leaf_hash(leaf));
        }
    }
}

#[tokio::test]
async fn the_files_follow_the_log_and_old_partial_tiles_go() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let mut size = 0;
    for more in [3, 300, 1, 500] {
        traffic(&house, &house.audit, more).await;
        size += more as u64;
        mirrored(folder.path(), size).await;
        whole(folder.path(), size);
    }
    house.audit.shutdown().await;
    let partial: Vec<_> = fs::read_dir(folder.path().join("log/tile/0")).unwrap().collect();
    assert_eq!(partial.len(), 4, "three full tiles and one folder of partial ones: {partial:?}");
    let widths: Vec<_> = fs::read_dir(folder.path().join("log/tile/0/003.p")).unwrap().collect();
    assert_eq!(widths.len(), 1, "{widths:?}");
}

#[tokio::test]
async fn what_somebody_does_to_the_files_is_told_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    traffic(&house, &house.audit, 300).await;
    mirrored(folder.path(), 300).await;
    let log = folder.path().join("log");
    let attacks: [(&str, &str, &dyn Fn()); 5] = [
        ("mirror/checkpoint", "deleted", &|| fs::remove_file(log.join("checkpoint")).unwrap()),
        ("mirror/checkpoint", "altered", &|| fs::write(log.join("checkpoint"), "no checkpoint").unwrap()),
        ("anchor/checkpoint", "deleted", &|| {
            fs::remove_file(folder.path().join("anchor/checkpoint")).unwrap()
        }),
        ("tile/0/000", "truncated", &|| fs::write(log.join("tile/0/000"), [0; 32]).unwrap()),
        ("tile/entries/000", "deleted", &|| fs::remove_file(log.join("tile/entries/000")).unwrap()),
    ];
    for (file, what, attack) in attacks {
        // Told before it is repaired: the next attack waits for the repair of the last.
        eventually("the files are whole", async || {
            let size = size_of(log.join("checkpoint"));
            size >= 300
                && size_of(folder.path().join("anchor/checkpoint")) == size
                && whole_files(folder.path(), size)
        })
        .await;
        attack();
        eventually(&format!("{file} {what} is told"), async || {
            let told = house.find(&Filter { kind: Some(Kind::LogFileChanged), ..Filter::default() }).await;
            told.iter().any(|e| {
                e.details["file"] == file && e.details["what"] == what && e.details["rebuilt"] == true
            })
        })
        .await;
    }
    house.audit.settled().await.unwrap();
    house.audit.shutdown().await;
    let size = size_of(log.join("checkpoint"));
    whole(folder.path(), size);
    assert_eq!(size_of(folder.path().join("anchor/checkpoint")), size);
}

#[tokio::test]
async fn a_mirror_that_is_gone_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    traffic(&house, &house.audit, 600).await;
    mirrored(folder.path(), 600).await;
    house.audit.shutdown().await;
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    let reborn = again(&house, folder.path());
    mirrored(folder.path(), 600).await;
    whole(folder.path(), 600);
    eventually("it is said", async || {
        let mut seen = reborn.read_log(600, 10).await.unwrap().into_iter();
        seen.any(|read| read.entry.kind == "log.file_changed" && read.entry.details["what"] == "deleted")
    })
    .await;
    reborn.shutdown().await;
}

/// Yesterday's database comes back: the anchor knows better.
#[tokio::test]
async fn an_older_log_does_not_come_back_to_life_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let db = &house.db;
    traffic(&house, &house.audit, 5).await;
    let mut tx = db.begin_read(SYSTEM).await.unwrap();
    let head = tx.query_one(HEAD, params![]).await.unwrap();
    let (size, root, text): (i64, Vec<u8>, String) =
        (head.get(0).unwrap(), head.get(1).unwrap(), head.get(2).unwrap());
    drop(tx);
    let tile = house.audit.tile("tile/0/000.p/5").await.unwrap().unwrap();
    traffic(&house, &house.audit, 5).await;
    mirrored(folder.path(), 10).await;
    house.audit.shutdown().await;

    let mut tx = db.begin(SYSTEM).await.unwrap();
    tx.execute(DROP_TAIL, params![size]).await.unwrap();
    tx.execute(ROLL_BACK, params![size, root, text]).await.unwrap();
    tx.execute(PUT_TILE, params![tile]).await.unwrap();
    tx.commit().await.unwrap();
    let reborn = again(&house, folder.path());
    eventually("health says so", async || {
        reborn.health().problems.iter().any(|problem| problem.contains("anchor knows a log of 10 events"))
    })
    .await;
    reborn.settled().await.unwrap();
    traffic(&house, &reborn, 20).await;
    reborn.shutdown().await;
    assert_eq!(size_of(folder.path().join("anchor/checkpoint")), 10, "the evidence is not overwritten");
    assert_eq!(size_of(folder.path().join("log/checkpoint")), 10, "nor is the mirror");
    let seen = reborn.read_log(0, 100).await.unwrap();
    assert_eq!(
        seen.iter().filter(|read| read.entry.kind == "log.rolled_back").count(),
        2,
        "anchor and mirror"
    );
    // Still so at the next start, when the tree is longer than the anchor's: it is another one.
    let third = again(&house, folder.path());
    eventually("it stays known", async || {
        third.health().problems.iter().any(|problem| problem.contains("does not belong to the log"))
    })
    .await;
    third.shutdown().await;
}

sql! {
    PUT_TILE = "UPDATE audit_tile SET hashes = $1 WHERE level = 0 AND number = 0";
}

#[tokio::test]
async fn the_databases_own_file_and_the_clock_are_watched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.db");
    let db =
        Db::connect(&DbConfig::new(format!("sqlite:{}", path.display()).parse().unwrap())).await.unwrap();
    db.migrate().await.unwrap();
    let (clock, entropy) = (Clock::controlled(START), Entropy::system());
    let file = FileRoot::open_or_create(&folder.path().join("root.key"), None, &entropy).unwrap();
    let keys = Keys::open(&db, &RootKey::File(file), clock.clone(), entropy.clone()).await.unwrap();
    let settings = LogSettings { database: Some(path.clone()), ..settings(folder.path()) };
    let audit = Audit::start_with(db.clone(), keys.clone(), clock.clone(), entropy.clone(), settings);
    let house = House { db, clock, entropy, keys, audit, _folder: tempfile::tempdir().unwrap() };
    traffic(&house, &house.audit, 1).await;
    mirrored(folder.path(), 1).await;
    house.clock.advance_ms(-60_000);
    eventually("the clock is told of", async || house.count("log.clock_stepped_back").await == 1).await;
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    fs::write(&path, "another database").unwrap();
    eventually("the exchange is known", async || {
        house.audit.health().problems.iter().any(|problem| problem.contains("replaced"))
    })
    .await;
    house.audit.shutdown().await;
}

#[tokio::test]
async fn an_erasure_names_its_keys_and_leaves_the_log_whole() {
    for db in store::testing::databases().await {
        let house = House::new(db).await;
        let (ada, operator) = (house.account().await, house.account().await);
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let keys = house.keys.subject_keys(&mut tx, Subject::Account(ada)).await.unwrap();
        let order = || Erasure {
            reason: Some("a letter of 3 May"),
            ..Erasure::new(base::Actor::Account(operator), "operator")
        };
        assert!(
            house
                .audit
                .erase_subject(&mut tx, ada, Erasure { request: Some(house.request()), ..order() })
                .await
                .unwrap()
        );
        assert!(!house.audit.erase_subject(&mut tx, ada, order()).await.unwrap(), "there is nothing left");
        tx.commit().await.unwrap();
        house.audit.settled().await.unwrap();
        let log = house.audit.read_log(0, 10).await.unwrap();
        let erased = &log.last().unwrap().entry;
        assert_eq!(erased.kind, "subject.erased");
        assert_eq!(erased.details["authority"], "operator");
        assert_eq!(erased.details["reason"], "a letter of 3 May");
        assert!(erased.agent.is_some() && !erased.erased, "what the operator's key keeps is the operator's");
        let bundle = house.audit.tile(&format!("tile/entries/000.p/{}", log.len())).await.unwrap().unwrap();
        let leaves = decode_bundle(u16::try_from(log.len()).unwrap(), &bundle).unwrap();
        let leaf = crate::Leaf::decode(leaves.last().unwrap()).unwrap();
        assert_eq!(
            leaf.erases.iter().map(|key| key.0).collect::<Vec<_>>(),
            keys.iter().map(|k| k.0).collect::<Vec<_>>()
        );
        assert_eq!(crate::Leaf::decode(leaves[0]).unwrap().bodies[0].key, leaf.erases[0]);
        eventually("the body is gone", async || house.audit.read_log(0, 1).await.unwrap()[0].entry.erased)
            .await;
        let nobody = Id::new(&house.clock, &house.entropy);
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        assert!(!house.audit.erase_subject(&mut tx, nobody, order()).await.unwrap());
    }
}
