//! The tamper suite: what hands can do to a log, in the database and in the files beside it, and how each is named: offline
//! by the verifier, and over HTTP by the running program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::verify::{Database, Folder, Trust, anchored, rows, tree};
use audit::{Erasure, Event, Leaf, Record};
use base::{Actor, Entropy, Id, Scope, kind as ids};
use crypto::log::{Checkpoint, KeyType, LogSigner, Tile, decode_bundle, encode_bundle};
use keys::Subject;
use serde_json::{Value, json};
use store::{params, sql};

use crate::house::House;

sql! {
    BYTES_OF_BODY = "SELECT body FROM audit_event WHERE idx = $1";
    BYTES_OF_LEAF = "SELECT leaf FROM audit_event WHERE idx = $1";
    TAMPER_BODY = "UPDATE audit_event SET body = $2 WHERE idx = $1";
    TAMPER_LEAF = "UPDATE audit_event SET leaf = $2 WHERE idx = $1";
    TAMPER_DELETE = "DELETE FROM audit_event WHERE idx = $1";
    TAMPER_CUT = "DELETE FROM audit_event WHERE idx >= $1";
    TAMPER_MOVE = "UPDATE audit_event SET idx = $2 WHERE idx = $1";
    TAMPER_INSERT = "INSERT INTO audit_event (idx, id, at, kind, severity, outcome, actor, bodies, leaf, body)
                     SELECT $2, $3, at, kind, severity, outcome, actor, bodies, leaf, body FROM audit_event WHERE idx = $1";
    TAMPER_TILE = "UPDATE audit_tile SET hashes = $1 WHERE level = 0 AND number = 0";
    TAMPER_NOTE = "UPDATE audit_tree SET checkpoint = $1 WHERE only_row = 1";
    HEAD_NOW = "SELECT size, root, checkpoint FROM audit_tree WHERE only_row = 1";
    HEAD_THEN = "UPDATE audit_tree SET size = $1, root = $2, checkpoint = $3 WHERE only_row = 1";
    TILES_NOW = "SELECT level, number, hashes FROM audit_tile ORDER BY level, number";
    NO_TILES = "DELETE FROM audit_tile";
    TILE_THEN = "INSERT INTO audit_tile (level, number, hashes) VALUES ($1, $2, $3)";
}

const SYSTEM: Scope = Scope::System("test");

/// The twelve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hands {
    FlipBody,
    FlipLeaf,
    DeleteRow,
    DeleteTail,
    Yesterday,
    Swap,
    Insert,
    Resign,
    EditCheckpoint,
    CutTile,
    DropGap,
    EraseWithoutAuthority,
}
use Hands::{
    CutTile, DeleteRow, DeleteTail, DropGap, EditCheckpoint, EraseWithoutAuthority, FlipBody, FlipLeaf,
    Insert, Resign, Swap, Yesterday,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Database,
    Files,
}
use On::{Database as Rows, Files};

/// Which entry is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Entry(u64),
    /// Ada's first event.
    Ada,
    Gap,
    Erasure,
    /// Three before the end.
    Tail,
    /// Where yesterday's log ended.
    Yesterday,
    /// No entry, or whichever the consequences show first.
    Any,
}

/// What is done, to what, and how it is named. A body is only in the database; in the files, the leaf's commitment to it can
/// be flipped. A key is in no file; there, the authority for its destruction can be taken away.
const TABLE: &[(Hands, On, &str, At)] = &[
    (FlipBody, Rows, "altered", At::Ada),
    (FlipBody, Files, "altered", At::Ada),
    (FlipLeaf, Rows, "altered", At::Entry(40)),
    (FlipLeaf, Files, "altered", At::Entry(40)),
    (DeleteRow, Rows, "missing", At::Entry(100)),
    (DeleteRow, Files, "missing", At::Entry(100)),
    (DeleteTail, Rows, "truncated", At::Tail),
    (DeleteTail, Files, "truncated", At::Tail),
    (Yesterday, Rows, "replayed", At::Yesterday),
    (Yesterday, Files, "replayed", At::Yesterday),
    (Swap, Rows, "swapped", At::Entry(20)),
    (Swap, Files, "swapped", At::Entry(20)),
    (Insert, Rows, "inserted", At::Entry(1_000_000)),
    (Insert, Files, "inserted", At::Entry(100)),
    (Resign, Rows, "foreign", At::Any),
    (Resign, Files, "foreign", At::Any),
    (EditCheckpoint, Rows, "edited", At::Any),
    (EditCheckpoint, Files, "edited", At::Any),
    (CutTile, Rows, "tile", At::Any),
    (CutTile, Files, "tile", At::Any),
    (DropGap, Rows, "missing", At::Gap),
    (DropGap, Files, "missing", At::Gap),
    (EraseWithoutAuthority, Rows, "unauthorised", At::Ada),
    (EraseWithoutAuthority, Files, "altered", At::Erasure),
];

/// The head and tiles of the database at some time.
struct Then {
    size: i64,
    root: Vec<u8>,
    note: String,
    tiles: Vec<(i64, i64, Vec<u8>)>,
}

/// A log with a gap, a person who was erased, one who was not, and a yesterday; two tiles long.
struct Log {
    house: House,
    chief: String,
    size: u64,
    ada: Id<ids::Account>,
    of_ada: u64,
    gap: u64,
    erasure: u64,
    yesterday: Then,
}

impl Log {
    async fn new() -> Self {
        let house = House::with_files().await;
        let chief = house.operator().await;
        let now = house.clock.now();
        let (ada, bob) = (subject(&house).await, subject(&house).await);
        let signed_in = |account| {
            let session = Id::new(&house.clock, &house.entropy);
            Record::new(now, Event::SignedIn { session, method: "password" }).by_account(account)
        };
        house.audit.record_durable(signed_in(ada)).await.unwrap();
        house.audit.record_durable(signed_in(bob)).await.unwrap();
        for _ in 0..150 {
            house
                .audit
                .record_durable(Record::new(now, Event::ServerStopped { reason: "test".into() }))
                .await
                .unwrap();
        }
        let gap = Event::AuditGap { dropped: 7, refused: 0, from: now, to: now, reason: "overflow".into() };
        house.audit.record_durable(Record::new(now, gap).by(Actor::System("audit"))).await.unwrap();
        settle(&house).await;
        let yesterday = then(&house).await;
        copy(&house.dir.path().join("log"), &house.dir.path().join("yesterday"));
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let erasure = Erasure::new(Actor::System("privacy"), "owner");
        assert!(house.audit.erase_subject(&mut tx, bob, erasure).await.unwrap());
        tx.commit().await.unwrap();
        for _ in 0..150 {
            house
                .audit
                .record_durable(Record::new(now, Event::ServerStopped { reason: "test".into() }))
                .await
                .unwrap();
        }
        house.audit.record_durable(signed_in(ada)).await.unwrap();
        let size = settle(&house).await;
        assert!(size > 300, "{size}");
        let log = house.audit.read_log(0, 1_000).await.unwrap();
        let first = |kind: &str| log.iter().find(|read| read.entry.kind == kind).unwrap().index;
        let of_ada = log.iter().find(|read| read.entry.account == Some(ada)).unwrap().index;
        let (gap, erasure) = (first("audit.gap"), first("subject.erased"));
        Self { house, chief, size, ada, of_ada, gap, erasure, yesterday }
    }

    fn folder(&self) -> PathBuf {
        self.house.dir.path().join("log")
    }

    fn trust(&self) -> Trust {
        Trust { origin: None, keys: self.house.keys.log_verifiers(), witnesses: Vec::new() }
    }

    /// The index that a report should name.
    fn index(&self, at: At) -> Option<u64> {
        match at {
            At::Entry(index) => Some(index),
            At::Ada => Some(self.of_ada),
            At::Gap => Some(self.gap),
            At::Erasure => Some(self.erasure),
            At::Tail => Some(self.size - 3),
            At::Yesterday => u64::try_from(self.yesterday.size).ok(),
            At::Any => None,
        }
    }

    async fn execute(&self, statement: store::Sql, values: &[store::Value]) {
        let mut tx = self.house.db.begin(SYSTEM).await.unwrap();
        assert!(tx.execute(statement, values).await.unwrap() > 0, "the hands must have done something");
        tx.commit().await.unwrap();
    }

    async fn bytes(&self, statement: store::Sql, index: u64) -> Vec<u8> {
        let mut tx = self.house.db.begin_read(SYSTEM).await.unwrap();
        tx.query_one(statement, params![integer(index)]).await.unwrap().get(0).unwrap()
    }

    /// What somebody with access to the database can do.
    async fn on_database(&self, hands: Hands) {
        match hands {
            FlipBody => {
                let body = flipped(self.bytes(BYTES_OF_BODY, self.of_ada).await);
                self.execute(TAMPER_BODY, params![integer(self.of_ada), body]).await;
            }
            FlipLeaf => {
                let leaf = flipped(self.bytes(BYTES_OF_LEAF, 40).await);
                self.execute(TAMPER_LEAF, params![40, leaf]).await;
            }
            DeleteRow => self.execute(TAMPER_DELETE, params![100]).await,
            DropGap => self.execute(TAMPER_DELETE, params![integer(self.gap)]).await,
            DeleteTail => self.execute(TAMPER_CUT, params![integer(self.size - 3)]).await,
            Yesterday => {
                let Then { size, root, note, tiles } = &self.yesterday;
                self.execute(TAMPER_CUT, params![*size]).await;
                self.execute(HEAD_THEN, params![*size, root.as_slice(), note.as_str()]).await;
                self.execute(NO_TILES, params![]).await;
                for (level, number, hashes) in tiles {
                    self.execute(TILE_THEN, params![*level, *number, hashes.as_slice()]).await;
                }
            }
            Swap => {
                for (from, to) in [(20, -1), (30, 20), (-1, 30)] {
                    self.execute(TAMPER_MOVE, params![from, to]).await;
                }
            }
            Insert => {
                let id: Id<ids::Event> = Id::new(&self.house.clock, &self.house.entropy);
                self.execute(TAMPER_INSERT, params![5, 1_000_000, id]).await;
            }
            Resign => self.execute(TAMPER_NOTE, params![self.resigned(&then(&self.house).await.note)]).await,
            EditCheckpoint => {
                self.execute(TAMPER_NOTE, params![self.edited(&then(&self.house).await.note)]).await;
            }
            CutTile => self.execute(TAMPER_TILE, params![vec![0_u8; 32]]).await,
            EraseWithoutAuthority => {
                let mut tx = self.house.db.begin(SYSTEM).await.unwrap();
                assert!(self.house.keys.destroy_subject(&mut tx, Subject::Account(self.ada)).await.unwrap());
                tx.commit().await.unwrap();
            }
        }
    }

    /// What somebody with access to the log's folder can do.
    fn on_files(&self, hands: Hands) {
        let folder = self.folder();
        let checkpoint = folder.join("checkpoint");
        match hands {
            FlipBody => self.entries(|all| {
                let leaf = &mut all[index(self.of_ada)];
                let at = leaf.windows(12).position(|part| part == b"commitment\":").unwrap() + 20;
                leaf[at] = if leaf[at] == b'A' { b'B' } else { b'A' };
            }),
            FlipLeaf => self.entries(|all| all[40] = flipped(all[40].clone())),
            DeleteRow => self.entries(|all| drop(all.remove(100))),
            DropGap => self.entries(|all| drop(all.remove(index(self.gap)))),
            DeleteTail => self.entries(|all| all.truncate(all.len() - 3)),
            Yesterday => {
                fs::remove_dir_all(&folder).unwrap();
                copy(&self.house.dir.path().join("yesterday"), &folder);
            }
            Swap => self.entries(|all| all.swap(20, 30)),
            Insert => self.entries(|all| all.insert(100, all[5].clone())),
            Resign => {
                fs::write(&checkpoint, self.resigned(&fs::read_to_string(&checkpoint).unwrap())).unwrap()
            }
            EditCheckpoint => {
                fs::write(&checkpoint, self.edited(&fs::read_to_string(&checkpoint).unwrap())).unwrap();
            }
            CutTile => {
                let tile = folder.join(Tile::full(0, 0).path());
                fs::write(&tile, &fs::read(&tile).unwrap()[..8_000]).unwrap();
            }
            EraseWithoutAuthority => self.entries(|all| {
                let entry = &mut all[index(self.erasure)];
                let leaf = Leaf { erases: Vec::new(), ..Leaf::decode(entry).unwrap() };
                *entry = leaf.encode();
            }),
        }
    }

    /// Changes the entries and writes well-formed bundles again.
    fn entries(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let (folder, size) = (self.folder(), self.size);
        let tiles: Vec<Tile> =
            (0..size.div_ceil(256)).map(|at| Tile::in_tree(0, at, size).unwrap()).collect();
        let mut all = Vec::new();
        for tile in &tiles {
            let bytes = fs::read(folder.join(tile.entries_path())).unwrap();
            all.extend(decode_bundle(tile.width, &bytes).unwrap().into_iter().map(<[u8]>::to_vec));
        }
        change(&mut all);
        let last = tiles.len() - 1;
        for (at, tile) in tiles.iter().enumerate() {
            let end = if at == last { all.len() } else { (at + 1) * 256 };
            let bundle = encode_bundle(all[at * 256..end].iter().map(Vec::as_slice)).unwrap();
            fs::write(folder.join(tile.entries_path()), bundle).unwrap();
        }
    }

    fn resigned(&self, note: &str) -> String {
        let head = Checkpoint::read_unverified(note).unwrap();
        let (stranger, _) =
            LogSigner::generate(&head.origin, KeyType::Ed25519, &Entropy::seeded(99)).unwrap();
        head.sign(&[&stranger], self.house.clock.now()).unwrap()
    }

    fn edited(&self, note: &str) -> String {
        note.replacen(&format!("\n{}\n", self.size), &format!("\n{}\n", self.size - 1), 1)
    }

    /// What the verifier says without the program: of the files alone, or of the tables and the second place.
    async fn offline(&self, on: On) -> Vec<audit::verify::Finding> {
        let anchor = fs::read_to_string(self.house.dir.path().join("anchor/checkpoint")).unwrap();
        let known = Checkpoint::read_unverified(&anchor).unwrap().size;
        let trust = self.trust();
        let mut listed = Vec::new();
        let found = match on {
            Files => tree(&mut Folder::new(self.folder()), &trust, &[known]).await.unwrap(),
            Rows => tree(&mut Database::new(self.house.db.clone()), &trust, &[known]).await.unwrap(),
        };
        listed.extend(found.findings.listed.clone());
        listed.extend(anchored(&found, Some(&anchor), &trust).listed);
        if on == Rows {
            let size = found.head.as_ref().map_or(0, |head| head.size);
            let rows = rows(&self.house.db, &self.house.keys, size, &found.erasures).await.unwrap();
            listed.extend(rows.findings.listed);
        }
        listed
    }

    async fn over_http(&self) -> Value {
        let body = Some(json!({}));
        let answer = self.house.send("POST", "/v1/audit/verify", Some(&self.chief), body).await.ok();
        assert_eq!(answer["state"], "done");
        answer["report"].clone()
    }
}

async fn subject(house: &House) -> Id<ids::Account> {
    let id = Id::new(&house.clock, &house.entropy);
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    house.keys.create_subject(&mut tx, Subject::Account(id)).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Waits until everything is in the log, its files and the second place; the size.
async fn settle(house: &House) -> u64 {
    house.audit.settled().await.unwrap();
    let size_at = |path: &str| {
        let note = fs::read_to_string(house.dir.path().join(path)).unwrap_or_default();
        Checkpoint::read_unverified(&note).map_or(0, |head| head.size)
    };
    for _ in 0..2_000 {
        let size = house.audit.tree().borrow().size;
        if size > 0 && size_at("log/checkpoint") == size && size_at("anchor/checkpoint") == size {
            return size;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the files do not follow");
}

async fn then(house: &House) -> Then {
    let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
    let head = tx.query_one(HEAD_NOW, params![]).await.unwrap();
    let tiles = tx.query(TILES_NOW, params![]).await.unwrap();
    let tiles = tiles.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap()));
    Then {
        size: head.get(0).unwrap(),
        root: head.get(1).unwrap(),
        note: head.get(2).unwrap(),
        tiles: tiles.collect(),
    }
}

fn copy(from: &Path, to: &Path) {
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

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

fn integer(index: u64) -> i64 {
    i64::try_from(index).unwrap()
}

fn index(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_order_is_whole_with_its_files_and_its_second_place() {
    let log = Log::new().await;
    for on in [Rows, Files] {
        assert_eq!(log.offline(on).await, [], "{on:?}");
    }
    let report = log.over_http().await;
    assert_eq!((&report["verdict"], &report["right"]), (&json!("whole"), &json!(true)), "{report}");
    assert_eq!((&report["files"], &report["anchor"]), (&json!(true), &json!(true)));
    assert_eq!(report["erased"], json!([{ "by": log.erasure, "bodies": 1 }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hand_on_the_database_is_named() {
    for line in TABLE.iter().filter(|(_, on, ..)| *on == Rows) {
        check(*line).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hand_on_the_files_is_named() {
    for line in TABLE.iter().filter(|(_, on, ..)| *on == Files) {
        check(*line).await;
    }
}

async fn check((hands, on, word, at): (Hands, On, &str, At)) {
    let what = format!("{hands:?} on {on:?}");
    let log = Log::new().await;
    match on {
        Rows => log.on_database(hands).await,
        Files => log.on_files(hands),
    }
    let found = log.offline(on).await;
    assert!(!found.is_empty(), "{what} was not found offline");
    assert_eq!(found[0].word(), word, "{what} offline: {found:?}");
    if let Some(index) = log.index(at) {
        let text = found[0].to_string();
        assert!(text.contains(&index.to_string()), "{what} offline: {text} should name {index}");
    }
    let report = log.over_http().await;
    assert_eq!((&report["verdict"], &report["right"]), (&json!(word), &json!(false)), "{what}: {report}");
    let first = &report["faults"][0];
    let place = match (on, hands) {
        // Two places know that the database was longer; the files are compared first.
        (Rows, _) => "database",
        (Files, _) => "files",
    };
    assert_eq!((&first["place"], &first["word"]), (&json!(place), &json!(word)), "{what}: {report}");
    if let Some(index) = log.index(at) {
        assert_eq!(report["index"], json!(index), "{what}: {report}");
    }
    // Only what was touched is at fault.
    let faults = report["faults"].as_array().unwrap();
    let other = if on == Rows { "files" } else { "database" };
    assert!(faults.iter().all(|fault| fault["place"] != other), "{what}: {report}");
    // That it was found is on record, whatever was found.
    let said = log.house.get("/v1/audit/events?kind=audit.verified", &log.chief).await;
    if hands != Yesterday && hands != DeleteTail {
        let said = said.ok();
        assert_eq!(said["events"][0]["details"]["verdict"], word, "{what}");
        assert_eq!(said["events"][0]["outcome"], "failure");
    }
}
