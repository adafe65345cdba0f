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
