//! What verification says about logs that somebody has laid hands on: over real files and a real database.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base::{Actor, Entropy, Id, kind as ids};
use crypto::log::{
    Checkpoint, Edge, KeyType, LogSigner, Tile, decode_bundle, encode_bundle, hashes_to_bytes, leaf_hash,
};
use keys::Subject;
use store::{Db, params, sql};
use tempfile::TempDir;

use super::{House, SYSTEM, eventually};
use crate::leaf::Leaf;
use crate::verify::{Database, Finding, Folder, Part, Rows, Tree, Trust, anchored, rows, tree};
use crate::{Audit, Event, LogSettings, Record};

sql! {
    LEAF_OF = "SELECT leaf FROM audit_event WHERE idx = $1";
    BODY_OF = "SELECT body FROM audit_event WHERE idx = $1";
    PUT_LEAF = "UPDATE audit_event SET leaf = $2 WHERE idx = $1";
    PUT_BODY = "UPDATE audit_event SET body = $2 WHERE idx = $1";
    PUT_OWNER = "UPDATE audit_event SET account_id = $2 WHERE idx = $1";
    PUT_OUTCOME = "UPDATE audit_event SET outcome = 'denied' WHERE idx = $1";
    DROP_ROW = "DELETE FROM audit_event WHERE idx = $1";
    DROP_TAIL = "DELETE FROM audit_event WHERE idx >= $1";
    MOVE_ROW = "UPDATE audit_event SET idx = $2 WHERE idx = $1";
    ADD_ROW = "INSERT INTO audit_event (idx, id, at, kind, severity, outcome, actor, bodies, leaf, body)
               SELECT $2, $3, at, kind, severity, outcome, actor, bodies, leaf, body FROM audit_event WHERE idx = $1";
    CUT_TILE = "UPDATE audit_tile SET hashes = $2 WHERE level = 0 AND number = $1";
    FORGET_KEY = "DELETE FROM subject_key WHERE account_id = $1";
    REVIVE_KEY = "UPDATE subject_key SET wrapped = $2, destroyed_at = NULL WHERE account_id = $1";
    SIZE_OF_TREE = "SELECT size FROM audit_tree WHERE only_row = 1";
    PUT_CHECKPOINT = "UPDATE audit_tree SET checkpoint = $1 WHERE only_row = 1";
}

/// A log with everything in it: several tiles, a gap, a person who was erased, and one who was not.
pub(super) struct Log {
    house: House,
    pub(super) folder: TempDir,
    size: u64,
    gap: u64,
    erased_by: u64,
    ada: Id<ids::Account>,
    bob: Id<ids::Account>,
    /// Indexes of events about them.
    of_ada: u64,
    of_bob: u64,
    pub(super) trust: Trust,
    /// The log's files as they were when it was half as long.
    yesterday: PathBuf,
}

impl Log {
    pub(super) async fn new() -> Self {
        let house = House::new(Db::memory()).await;
        house.audit.shutdown().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            folder: Some(folder.path().join("log")),
            anchor: Some(folder.path().join("anchor/checkpoint")),
            ..LogSettings::default()
        };
        let (db, keys) = (house.db.clone(), house.keys.clone());
        let audit = Audit::start_with(db, keys, house.clock.clone(), house.entropy.clone(), settings);
        let house = House { audit, ..house };
        let (ada, bob) = (house.account().await, house.account().await);
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.audit.record_durable(house.critical(bob)).await.unwrap();
        for _ in 0..300 {
            house.audit.record(house.traffic(200));
        }
        house.audit.settled().await.unwrap();
        mirrored(&house, folder.path()).await;
        let yesterday = folder.path().join("yesterday");
        copy(&folder.path().join("log"), &yesterday);

        let at = house.clock.now();
        let gap = Event::AuditGap { dropped: 7, refused: 0, from: at, to: at, reason: "queue".into() };
        house.audit.record_durable(Record::new(at, gap).by(Actor::System("audit"))).await.unwrap();
        let of_bob = index_of(&house, bob).await;
        let key = Leaf::decode(&leaf(&house, of_bob).await).unwrap().bodies[0].key;
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        assert!(house.keys.destroy_subject(&mut tx, Subject::Account(bob)).await.unwrap());
        let keys = vec![key.to_hex().as_str().into()];
        let erased = Event::SubjectErased { keys, authority: "owner", reason: None };
        let erased = Record::new(at, erased).by(Actor::System("privacy")).about(bob);
        house.audit.append(&mut tx, &erased).await.unwrap();
        tx.commit().await.unwrap();
        for _ in 0..300 {
            house.audit.record(house.traffic(404));
        }
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.audit.settled().await.unwrap();
        let size = mirrored(&house, folder.path()).await;
        let mut found = BTreeMap::new();
        for index in 0..size {
            found.insert(Leaf::decode(&leaf(&house, index).await).unwrap().kind, index);
        }
        let trust = Trust { origin: None, keys: house.keys.log_verifiers(), witnesses: Vec::new() };
        let of_ada = index_of(&house, ada).await;
        let (gap, erased_by) = (found["audit.gap"], found["subject.erased"]);
        Self { house, folder, size, gap, erased_by, ada, bob, of_ada, of_bob, trust, yesterday }
    }

    fn anchor(&self) -> String {
        fs::read_to_string(self.folder.path().join("anchor/checkpoint")).unwrap()
    }

    /// A copy of the log's files, changed by `hands`, and what verification says to it.
    async fn with_files(&self, hands: impl FnOnce(&Path)) -> Vec<Finding> {
        let copied = tempfile::tempdir_in(self.folder.path()).unwrap();
        copy(&self.folder.path().join("log"), copied.path());
        hands(copied.path());
        self.verdict(copied.path(), Some(&self.anchor())).await
    }

    async fn verdict(&self, files: &Path, anchor: Option<&str>) -> Vec<Finding> {
        let known = anchor.and_then(|note| Checkpoint::read_unverified(note).ok()).map(|head| head.size);
        let mut source = Folder::new(files.to_owned());
        let tree = tree(&mut source, &self.trust, known.as_slice()).await.unwrap();
        let mut findings = tree.findings.clone();
        findings.extend(anchored(&tree, anchor, &self.trust));
        findings.listed
    }

    /// What verification says about the database.
    async fn database(&self) -> (Tree, Rows) {
        let db = &self.house.db;
        let tree = tree(&mut Database::new(db.clone()), &self.trust, &[]).await.unwrap();
        let rows = rows(db, &self.house.keys, self.size, &tree.erasures).await.unwrap();
        (tree, rows)
    }

    /// Findings after a change of the database.
    async fn with_database(&self, hands: impl AsyncFnOnce(&Self)) -> Vec<Finding> {
        hands(self).await;
        let (tree, rows) = self.database().await;
        let mut findings = tree.findings;
        findings.extend(rows.findings);
        findings.listed
    }

    async fn execute(&self, statement: store::Sql, values: &[store::Value]) {
        let mut tx = self.house.db.begin(SYSTEM).await.unwrap();
        assert!(tx.execute(statement, values).await.unwrap() > 0, "the hands must have done something");
        tx.commit().await.unwrap();
    }
}

async fn leaf(house: &House, index: u64) -> Vec<u8> {
    let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
    tx.query_one(LEAF_OF, params![i64::try_from(index).unwrap()]).await.unwrap().get(0).unwrap()
}

async fn index_of(house: &House, account: Id<ids::Account>) -> u64 {
    let entries = house.audit.read_log(0, 1_000).await.unwrap();
    entries.iter().find(|entry| entry.entry.account == Some(account)).unwrap().index
}

/// Waits until files and anchor are as long as the log; says how long that is.
async fn mirrored(house: &House, folder: &Path) -> u64 {
    let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
    let size: i64 = tx.query_one(SIZE_OF_TREE, params![]).await.unwrap().get(0).unwrap();
    drop(tx);
    let size = u64::try_from(size).unwrap();
    let at = |path: &str| {
        let note = fs::read_to_string(folder.join(path)).unwrap_or_default();
        Checkpoint::read_unverified(&note).map_or(0, |head| head.size)
    };
    eventually("files and anchor follow", async || {
        at("log/checkpoint") == size && at("anchor/checkpoint") == size
    })
    .await;
    size
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The entries of a log's files.
fn entries(folder: &Path, size: u64) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for index in 0..size.div_ceil(256) {
        let tile = Tile::in_tree(0, index, size).unwrap();
        let bytes = fs::read(folder.join(tile.entries_path())).unwrap();
        all.extend(decode_bundle(tile.width, &bytes).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    all
}

/// Writes bundles as somebody would who takes care that they are well formed. With one entry more or fewer, the last
/// bundle has it.
fn write_entries(folder: &Path, size: u64, all: &[Vec<u8>]) {
    let last = size.div_ceil(256) - 1;
    for index in 0..=last {
        let tile = Tile::in_tree(0, index, size).unwrap();
        let first = usize::try_from(index * 256).unwrap();
        let end = if index == last { all.len() } else { first + 256 };
        let bundle = encode_bundle(all[first..end].iter().map(Vec::as_slice)).unwrap();
        fs::write(folder.join(tile.entries_path()), bundle).unwrap();
    }
}

/// Writes the tiles of these entries, so that files and tiles fit each other, and gives the root.
fn write_tiles(folder: &Path, all: &[Vec<u8>]) -> [u8; 32] {
    let hashes: Vec<_> = all.iter().map(|entry| leaf_hash(entry)).collect();
    let mut edge = Edge::new();
    let mut tiles = Vec::new();
    edge.append(&hashes, |tile, hashes| tiles.push((tile, hashes_to_bytes(hashes))));
    tiles.extend(edge.partial().map(|(tile, hashes)| (tile, hashes_to_bytes(hashes))));
    for (tile, bytes) in tiles {
        fs::write(folder.join(tile.path()), bytes).unwrap();
    }
    edge.root()
}

fn altered(index: u64) -> Finding {
    Finding::Altered { index, part: Part::Leaf }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hands_on_the_files_are_named() {
    let log = Log::new().await;
    let size = log.size;
    assert!(size > 512, "several tiles: {size}");
    assert_eq!(log.with_files(|_| ()).await, []);
    let mut source = Folder::new(log.folder.path().join("log"));
    let whole = tree(&mut source, &log.trust, &[]).await.unwrap();
    assert_eq!((whole.leaves, whole.signed_by.len(), whole.erasures.len()), (size, 1, 1));

    let all = entries(&log.folder.path().join("log"), size);
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut changed = all.clone();
        change(&mut changed);
        changed
    };
    // Entries alone: one byte, an exchange near and far, one more, one fewer, the gap dropped.
    let cases: Vec<(Vec<Vec<u8>>, Vec<Finding>)> = vec![
        (with(&|all| all[300][40] ^= 1), vec![altered(300)]),
        (with(&|all| all[0].push(b' ')), vec![altered(0)]),
        (with(&|all| all.swap(10, 20)), vec![Finding::Swapped { index: 10, with: 20 }]),
        (with(&|all| all.swap(10, 500)), vec![Finding::Swapped { index: 10, with: 500 }]),
        (with(&|all| all.insert(100, all[7].clone())), vec![Finding::Inserted { index: 100 }]),
        (with(&|all| drop(all.remove(100))), vec![Finding::Missing { from: 100, to: 101 }]),
        (
            with(&|all| drop(all.remove(usize::try_from(log.gap).unwrap()))),
            vec![Finding::Missing { from: log.gap, to: log.gap + 1 }],
        ),
        (with(&|all| all.truncate(all.len() - 3)), vec![Finding::Truncated { from: size - 3, size }]),
    ];
    for (changed, expected) in cases {
        assert_eq!(log.with_files(|files| write_entries(files, size, &changed)).await, expected);
    }
    // The same with the tiles made to fit: it cannot be said which entry it was, but that it was done.
    let changed = with(&|all| all[300][40] ^= 1);
    let rewritten = log
        .with_files(|files| {
            write_entries(files, size, &changed);
            write_tiles(files, &changed);
        })
        .await;
    assert_eq!(rewritten, [Finding::Rewritten { size }]);

    let path = Tile::full(0, 1).path();
    let tile = async |hands: &dyn Fn(PathBuf)| log.with_files(|files| hands(files.join(&path))).await;
    let cut = |file: PathBuf| fs::write(&file, &fs::read(&file).unwrap()[..8_000]).unwrap();
    assert_eq!(tile(&cut).await, [Finding::TileCut { path: path.clone() }]);
    let flip = |file: PathBuf| {
        let mut bytes = fs::read(&file).unwrap();
        bytes[77] ^= 1;
        fs::write(&file, bytes).unwrap();
    };
    assert_eq!(tile(&flip).await, [Finding::TileAltered { path: path.clone() }]);
    let gone = |file: PathBuf| fs::remove_file(file).unwrap();
    assert_eq!(tile(&gone).await, [Finding::TileMissing { path: path.clone() }]);

    // A bundle that is gone, in the middle and at the end.
    let bundle = |index: u64| {
        let tile = Tile::in_tree(0, index, size).unwrap();
        log.with_files(move |files| fs::remove_file(files.join(tile.entries_path())).unwrap())
    };
    assert_eq!(bundle(1).await, [Finding::Missing { from: 256, to: 512 }]);
    assert_eq!(bundle(size / 256).await, [Finding::Truncated { from: size / 256 * 256, size }]);
    // An entry and its tile at once: the tile above still knows that it was done.
    let both = log
        .with_files(|files| {
            write_entries(files, size, &with(&|all| all[300][40] ^= 1));
            fs::remove_file(files.join(&path)).unwrap();
        })
        .await;
    assert_eq!(both, [Finding::Unproven { from: 256, to: 512 }, Finding::TileMissing { path }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hands_on_the_checkpoint_are_named() {
    let log = Log::new().await;
    let (files, size) = (log.folder.path().join("log"), log.size);
    let note = fs::read_to_string(files.join("checkpoint")).unwrap();
    let head = Checkpoint::read_unverified(&note).unwrap();
    let put = |text: String| log.with_files(move |files| fs::write(files.join("checkpoint"), text).unwrap());

    let edited = put(note.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1)).await;
    assert!(edited.contains(&Finding::CheckpointEdited { key: head.origin.clone() }), "{edited:?}");
    let stranger = LogSigner::generate(&head.origin, KeyType::Ed25519, &Entropy::seeded(9)).unwrap().0;
    let resigned = put(head.sign(&[&stranger], log.house.clock.now()).unwrap()).await;
    assert!(matches!(&resigned[..], [Finding::SignedByAnother { keys }] if keys.len() == 1), "{resigned:?}");
    let other = log.house.keys.sign_checkpoint(&head.origin, size, [7; 32]).unwrap();
    assert!(put(other).await.iter().any(|finding| matches!(finding, Finding::Forked { .. })));
    assert!(matches!(&put("rubbish".into()).await[..], [Finding::CheckpointMalformed { .. }, ..]));
    let gone = log.with_files(|files| fs::remove_file(files.join("checkpoint")).unwrap()).await;
    assert_eq!(gone, [Finding::NoCheckpoint, Finding::Replayed { size: 0, newest: size }]);
    let elsewhere = Trust { origin: Some("other.example/log".into()), ..log.trust.clone() };
    let foreign = tree(&mut Folder::new(files.clone()), &elsewhere, &[]).await.unwrap();
    assert_eq!(foreign.findings.listed, [Finding::OtherLog { origin: head.origin.clone() }]);

    // Yesterday's copy is in itself without fault; the second place knows better.
    assert_eq!(log.verdict(&log.yesterday, None).await, [Finding::AnchorMissing]);
    let replayed = log.verdict(&log.yesterday, Some(&log.anchor())).await;
    assert!(matches!(&replayed[..], [Finding::Replayed { newest, .. }] if *newest == size), "{replayed:?}");
    // The other way round it is only old.
    let old = fs::read_to_string(log.yesterday.join("checkpoint")).unwrap();
    assert_eq!(log.verdict(&files, Some(&old)).await, []);
    // A history that was made anew, by somebody who has even the key, does not continue it.
    let forked = log
        .with_files(|files| {
            let mut all = entries(files, size);
            all[5][40] ^= 1;
            write_entries(files, size, &all);
            let root = write_tiles(files, &all);
            let note = log.house.keys.sign_checkpoint(&head.origin, size, root).unwrap();
            fs::write(files.join("checkpoint"), note).unwrap();
        })
        .await;
    assert_eq!(forked, [Finding::Forked { at: size }]);
    let unsigned = log.verdict(&files, Some(&old.replacen("\n3", "\n4", 1))).await;
    assert!(matches!(&unsigned[..], [Finding::AnchorInvalid { .. }]), "{unsigned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hands_on_the_database_are_named() {
    let log = Log::new().await;
    let (tree, rows) = log.database().await;
    assert!(tree.findings.none() && rows.findings.none(), "{:?} {:?}", tree.findings, rows.findings);
    assert_eq!((tree.leaves, rows.rows), (log.size, log.size));
    // Bob's event can be read no more, and it is known which event erased it.
    assert_eq!(rows.erased.get(&log.erased_by), Some(&1));
    let integer = |index: u64| i64::try_from(index).unwrap();

    let (of_ada, of_bob) = (log.of_ada, log.of_bob);
    let body: Vec<u8> = {
        let mut tx = log.house.db.begin_read(SYSTEM).await.unwrap();
        tx.query_one(BODY_OF, params![integer(of_ada)]).await.unwrap().get(0).unwrap()
    };
    let mut flipped = body.clone();
    flipped[60] ^= 1;
    let put_body =
        async |index: u64, bytes: &[u8]| log.execute(PUT_BODY, params![integer(index), bytes]).await;
    let found = log.with_database(async |_| put_body(of_ada, &flipped).await).await;
    assert_eq!(found, [Finding::Altered { index: of_ada, part: Part::Body(0) }]);
    let found = log.with_database(async |_| put_body(of_ada, b"").await).await;
    assert_eq!(found, [Finding::BodyMissing { index: of_ada, slot: 0 }]);
    put_body(of_ada, &body).await;
    // What was erased may also be gone.
    let found = log.with_database(async |_| put_body(of_bob, b"").await).await;
    assert_eq!(found, []);

    // The columns beside the leaf: what it says, and whose the event is.
    let found = log.with_database(async |log| log.execute(PUT_OUTCOME, params![integer(of_ada)]).await).await;
    assert_eq!(found, [Finding::Altered { index: of_ada, part: Part::Column("outcome".into()) }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hands_on_rows_and_keys_are_named() {
    let log = Log::new().await;
    let integer = |index: u64| i64::try_from(index).unwrap();
    let of_ada = log.of_ada;
    let found =
        log.with_database(async |log| log.execute(PUT_OWNER, params![integer(of_ada), log.bob]).await).await;
    assert_eq!(found, [Finding::Altered { index: of_ada, part: Part::Column("account_id".into()) }]);
    log.execute(PUT_OWNER, params![integer(of_ada), log.ada]).await;

    // Two rows change places.
    let moves = async |log: &Log, from: u64, to: u64| {
        log.execute(MOVE_ROW, params![integer(from), integer(to)]).await
    };
    let exchange = async |log: &Log| {
        moves(log, 20, 1_000_000).await;
        moves(log, 30, 20).await;
        moves(log, 1_000_000, 30).await;
    };
    assert_eq!(log.with_database(exchange).await, [Finding::Swapped { index: 20, with: 30 }]);
    exchange(&log).await;
    // One row more, one fewer, the gap dropped, the end cut.
    let id: Id<ids::Event> = Id::new(&log.house.clock, &log.house.entropy);
    let end = log.size + 5;
    let found = log
        .with_database(async |log| log.execute(ADD_ROW, params![integer(3), integer(end), id]).await)
        .await;
    assert_eq!(found, [Finding::RowInserted { index: integer(end) }]);
    log.execute(DROP_ROW, params![integer(end)]).await;
    let found =
        log.with_database(async |log| log.execute(CUT_TILE, params![1_i64, &b"short"[..]]).await).await;
    assert_eq!(found, [Finding::TileCut { path: "tile/0/001".into() }]);
    let stored = log.house.audit.tile("tile/0/001").await;
    assert!(stored.is_err(), "a cut tile is not served");
    let repaired = fs::read(log.folder.path().join("log/tile/0/001")).unwrap();
    log.execute(CUT_TILE, params![1_i64, repaired.as_slice()]).await;
    let gap = log.gap;
    let found = log.with_database(async |log| log.execute(DROP_ROW, params![integer(gap)]).await).await;
    assert_eq!(found, [Finding::Missing { from: gap, to: gap + 1 }]);

    // A person's key is destroyed and nobody says so; another's comes back from the dead.
    let found = log
        .with_database(async |log| {
            let mut tx = log.house.db.begin(SYSTEM).await.unwrap();
            assert!(log.house.keys.destroy_subject(&mut tx, Subject::Account(log.ada)).await.unwrap());
            tx.commit().await.unwrap();
        })
        .await;
    let unauthorised = |finding: &&Finding| matches!(finding, Finding::ErasedWithoutAuthority { .. });
    assert_eq!(found.iter().filter(unauthorised).count(), 2, "both of Ada's events: {found:?}");
    log.execute(FORGET_KEY, params![log.ada]).await;
    let found = log.with_database(async |_| ()).await;
    assert_eq!(found.iter().filter(unauthorised).count(), 2, "deleting the tombstone does not help");
    let found =
        log.with_database(async |log| log.execute(REVIVE_KEY, params![log.bob, &b"rubbish"[..]]).await).await;
    assert!(
        found
            .iter()
            .any(|finding| matches!(finding, Finding::NotErased { index, .. } if *index == log.of_bob))
    );
    let found =
        log.with_database(async |log| log.execute(DROP_TAIL, params![integer(log.size - 4)]).await).await;
    assert!(found.contains(&Finding::Truncated { from: log.size - 4, size: log.size }), "{found:?}");

    let mut altered_leaf = leaf(&log.house, 40).await;
    altered_leaf[50] ^= 1;
    let found = log
        .with_database(async |log| log.execute(PUT_LEAF, params![40_i64, altered_leaf.as_slice()]).await)
        .await;
    assert!(found.contains(&altered(40)), "{found:?}");
    let found = log.with_database(async |log| log.execute(PUT_CHECKPOINT, params!["rubbish"]).await).await;
    assert!(matches!(found[0], Finding::CheckpointMalformed { .. }));
}
