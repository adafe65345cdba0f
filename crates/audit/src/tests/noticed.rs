//! Whatever is changed in a log's files is noticed: every file, a byte anywhere, a cut anywhere, a file gone.

use std::fs;
use std::path::{Path, PathBuf};

use base::Entropy;

use super::tamper::{Log, copy};
use crate::verify::Folder;

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_any_file_goes_unnoticed() {
    let log = Log::new().await;
    let copied = tempfile::tempdir().unwrap();
    copy(&log.folder.path().join("log"), copied.path());
    let mut all = Vec::new();
    files(copied.path(), &mut all);
    // Partial tiles of earlier trees are nobody's concern any more.
    let (mut source, mut read) = (Folder::new(copied.path().to_owned()), Vec::new());
    for path in all {
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let tree = crate::verify::tree(&mut source, &log.trust, &[]).await.unwrap();
        fs::write(&path, &bytes).unwrap();
        if !tree.findings.none() {
            read.push((path, bytes));
        }
    }
    assert!(read.len() >= 8, "checkpoint, three bundles, three tiles, one above: {}", read.len());
    let entropy = Entropy::seeded(7);
    for round in 0..120 {
        let (path, bytes) = &read[round % read.len()];
        let draw = u64::from_be_bytes(entropy.bytes());
        let at = usize::try_from(draw % bytes.len() as u64).unwrap();
        let mut changed = bytes.clone();
        match round % 3 {
            0 => changed[at] ^= 1 << (draw >> 61),
            1 => changed.truncate(at),
            _ => changed.insert(at, bytes[at].wrapping_add(1)),
        }
        fs::write(path, &changed).unwrap();
        let tree = crate::verify::tree(&mut source, &log.trust, &[]).await.unwrap();
        assert!(!tree.findings.none(), "round {round}: {} changed at {at} unnoticed", path.display());
        fs::write(path, bytes).unwrap();
    }
    assert!(crate::verify::tree(&mut source, &log.trust, &[]).await.unwrap().findings.none());
}

/// Not a promise of time, a way to measure it: `cargo test --release -p fortissimo-audit -- --ignored --nocapture speed`.
#[tokio::test]
#[ignore = "a measurement"]
async fn speed_of_verification() {
    use base::Timestamp;
    use crypto::log::{
        Checkpoint, Edge, KeyType, LogSigner, Tile, encode_bundle, hashes_to_bytes, leaf_hash,
    };

    const SIZE: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let put = |path: String, bytes: Vec<u8>| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut edge = Edge::new();
    for index in 0..SIZE.div_ceil(256) {
        let tile = Tile::in_tree(0, index, SIZE).unwrap();
        // As long as the leaf of a request.
        let entries: Vec<Vec<u8>> =
            (0..tile.width).map(|at| format!("{:0380}", index * 256 + u64::from(at)).into_bytes()).collect();
        let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        edge.append(&hashes, |tile, hashes| put(tile.path(), hashes_to_bytes(hashes)));
        put(tile.entries_path(), encode_bundle(entries.iter().map(Vec::as_slice)).unwrap());
    }
    for (tile, hashes) in edge.partial() {
        put(tile.path(), hashes_to_bytes(hashes));
    }
    let (signer, _) = LogSigner::generate("example.com/log", KeyType::Ed25519, &Entropy::seeded(1)).unwrap();
    let head = Checkpoint::new("example.com/log", SIZE, edge.root()).unwrap();
    put("checkpoint".into(), head.sign(&[&signer], Timestamp::from_millis(0)).unwrap().into_bytes());
    let trust =
        crate::verify::Trust { origin: None, keys: vec![signer.verifier().clone()], witnesses: Vec::new() };
    #[expect(clippy::disallowed_methods, reason = "it measures")]
    let begun = std::time::Instant::now();
    let tree = crate::verify::tree(&mut Folder::new(folder.path().to_owned()), &trust, &[]).await.unwrap();
    let took = begun.elapsed();
    assert!(tree.findings.none() && tree.leaves == SIZE);
    eprintln!("{SIZE} leaves of 380 bytes in {took:?}: {:.0} a second", SIZE as f64 / took.as_secs_f64());
}
