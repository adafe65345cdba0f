//! Folders that somebody made to harm whoever verifies them: pipes, devices, loops, sizes beyond reason.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use base::{Entropy, Id, Timestamp, kind as ids};
use crypto::log::{Checkpoint, KeyType, LogSigner, Tile};
use rustix::fs::{CWD, Mode, mkfifoat};

use super::tamper::{Log, copy};
use crate::verify::{Finding, Folder, ProveError, Trust, Wanted, prove, tree};

fn pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// A pipe, a folder, a loop, a device, in place of a file that was there.
fn instead(path: &Path, what: &str) {
    match what {
        "pipe" => pipe(path),
        "folder" => {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }
        other => {
            fs::remove_file(path).unwrap();
            symlink(if other == "loop" { path } else { Path::new("/dev/zero") }, path).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_is_missing_and_nobody_waits_for_it() {
    let log = Log::new().await;
    let whole = log.folder.path().join("log");
    let note = fs::read_to_string(whole.join("checkpoint")).unwrap();
    let size = Checkpoint::read_unverified(&note).unwrap().size;
    let tile = Tile::full(0, 1);
    for what in ["pipe", "folder", "loop", "device"] {
        let at = log.folder.path().join(what);
        copy(&whole, &at);
        // Names that are no text lie about.
        File::create(at.join(std::ffi::OsStr::from_bytes(b"tile\xff"))).unwrap();
        instead(&at.join(tile.path()), what);
        let mut source = Folder::new(at.clone());
        let found = tree(&mut source, &log.trust, &[]).await.unwrap();
        assert_eq!(found.findings.listed, [Finding::TileMissing { path: tile.path() }], "{what}");
        assert!(prove(&mut source, Wanted::Index(300)).await.is_err(), "{what}: its tile is not there");
        instead(&at.join(tile.entries_path()), what);
        let found = tree(&mut source, &log.trust, &[]).await.unwrap();
        assert!(
            found.findings.listed.contains(&Finding::Missing { from: 256, to: 512 }),
            "{:?}",
            found.findings
        );
        instead(&at.join("checkpoint"), what);
        let found = tree(&mut source, &log.trust, &[]).await.unwrap();
        assert_eq!(found.findings.listed, [Finding::NoCheckpoint], "{what}");
        assert!(prove(&mut source, Wanted::Index(3)).await.unwrap().is_none());
    }
    // Files longer than any that a log has; they are holes, and are read up to a bound.
    let at = log.folder.path().join("huge");
    copy(&whole, &at);
    for path in ["checkpoint".to_owned(), tile.path(), tile.entries_path()] {
        File::options().write(true).open(at.join(path)).unwrap().set_len(1 << 40).unwrap();
        let found = tree(&mut Folder::new(at.clone()), &log.trust, &[]).await.unwrap();
        assert!(matches!(found.findings.listed[0], Finding::CheckpointMalformed { .. }));
    }
    fs::write(at.join("checkpoint"), &note).unwrap();
    let found = tree(&mut Folder::new(at), &log.trust, &[]).await.unwrap();
    assert!(!found.findings.none() && found.leaves < size, "{:?}", found.findings);
}

/// Whoever claims 2^63 entries, signed or not, must not be believed for a hundred years.
#[tokio::test]
async fn a_size_beyond_reason_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (signer, _) =
        LogSigner::generate("hostile.example/log", KeyType::Ed25519, &Entropy::seeded(3)).unwrap();
    let trust = Trust { origin: None, keys: vec![signer.verifier().clone()], witnesses: Vec::new() };
    let id: Id<ids::Event> = Id::from_bytes([7; 16]);
    for size in [1 << 40, u64::MAX >> 1, u64::MAX] {
        let head = Checkpoint::new("hostile.example/log", size, [7; 32]).unwrap();
        let Ok(note) = head.sign(&[&signer], Timestamp::from_millis(0)) else { continue };
        fs::write(folder.path().join("checkpoint"), note).unwrap();
        let mut source = Folder::new(folder.path().to_owned());
        let found = tree(&mut source, &trust, &[size, 1 << 20]).await.unwrap();
        assert!(!found.findings.none() && found.leaves == 0, "{size}: {:?}", found.findings);
        for wanted in [Wanted::Index(0), Wanted::Index(size - 1), Wanted::Id(id)] {
            let refused = prove(&mut source, wanted).await;
            assert!(matches!(refused, Err(ProveError::Damaged(_))), "{size}");
        }
        assert!(prove(&mut source, Wanted::Index(size)).await.unwrap().is_none(), "{size}");
    }
}

/// A proof is somebody's word only if the log's key says so; what is around it may be anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_are_not_forged() {
    let log = Log::new().await;
    let mut source = Folder::new(log.folder.path().join("log"));
    let right = prove(&mut source, Wanted::Index(300)).await.unwrap().unwrap();
    let leaf = right.extra.clone().unwrap();
    let origin = log.trust.keys[0].name().to_owned();
    assert!(right.verify(&leaf, &origin, &log.trust.keys).is_ok());
    let head = Checkpoint::read_unverified(&right.checkpoint).unwrap();
    let refused = |change: &dyn Fn(&mut crypto::log::ProofFile), leaf: &[u8]| {
        let mut forged = right.clone();
        change(&mut forged);
        forged.verify(leaf, &origin, &log.trust.keys).is_err()
    };
    // Another leaf, place, path: shorter, longer, turned round; the path of a node above as if it were a leaf.
    assert!(refused(&|_| (), b"another leaf"));
    for index in [0, 299, 301, head.size, head.size + 300, u64::MAX, u64::MAX - 211] {
        assert!(refused(&|forged| forged.index = index, &leaf), "{index}");
    }
    assert!(refused(&|forged| forged.hashes.truncate(forged.hashes.len() - 1), &leaf));
    assert!(refused(&|forged| forged.hashes.push([0; 32]), &leaf));
    assert!(refused(&|forged| forged.hashes.reverse(), &leaf));
    let mut node = vec![1];
    node.extend_from_slice(&right.hashes[0]);
    node.extend_from_slice(&crypto::log::leaf_hash(&leaf));
    for node in [&node[..], &node[1..]] {
        assert!(refused(&|forged| _ = forged.hashes.remove(0), node));
    }
    // A checkpoint of one's own, with the log's name, a signature of the log moved over from another text.
    let (stranger, _) = LogSigner::generate(&origin, KeyType::Ed25519, &Entropy::seeded(4)).unwrap();
    let own = Checkpoint::new(&origin, 1, crypto::log::leaf_hash(b"mine")).unwrap();
    let mine = own.sign(&[&stranger], Timestamp::from_millis(0)).unwrap();
    let alone = |checkpoint: String| {
        move |forged: &mut crypto::log::ProofFile| {
            forged.index = 0;
            forged.hashes.clear();
            forged.checkpoint.clone_from(&checkpoint);
        }
    };
    assert!(refused(&alone(mine.clone()), b"mine"));
    let signature = right.checkpoint.lines().find(|line| line.starts_with('—')).unwrap();
    let moved = format!("{}\n\n{signature}\n", mine.split("\n\n").next().unwrap());
    assert!(refused(&alone(moved), b"mine"));
    // The log's name with the log's signature under another log's checkpoint.
    let renamed = right.checkpoint.replacen(&origin, "other.example/log", 1);
    assert!(refused(&|forged| forged.checkpoint.clone_from(&renamed), &leaf));
}
