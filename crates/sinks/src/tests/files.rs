//! The folder of JSON lines: manifests, restarts, crashes.

use std::path::Path;

use serde_json::Value;

use super::{House, quick, until};
use crate::{FilesConfig, Target};

fn target(folder: &Path, max_bytes: u64) -> Target {
    Target::Files(FilesConfig { max_bytes, ..FilesConfig::new(folder.to_owned()) })
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    found.sort();
    found
}

fn indexes(folder: &Path) -> Vec<u64> {
    let lines: Vec<Value> = files(folder)
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    lines.iter().filter_map(|line| line["metadata"]["sequence"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_closed_by_size_and_their_manifest_tells_the_truth() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    house.events(20).await;
    // Checkpoints come between the events, so that files begin with one of them, too.
    let small = || vec![crate::SinkConfig { batch: 3, ..quick(target(folder.path(), 2_000)) }];
    let running = house.start(small());
    running.until(20).await;
    running.stop().await;
    house.events(10).await;
    let running = house.start(small());
    running.until(30).await;
    running.stop().await;
    let day = folder.path().join("2026-01-02");
    assert_eq!(indexes(&day), (0..30).collect::<Vec<_>>());
    let manifest: Value = serde_json::from_slice(&std::fs::read(day.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["deployment"], house.deployment());
    let closed = manifest["files"].as_array().unwrap();
    assert!(closed.len() > 2);
    let mut next = 0;
    for file in closed {
        let content = std::fs::read(day.join(file["name"].as_str().unwrap())).unwrap();
        assert_eq!(file["sha256"], hex::encode(crypto::mac::sha256(&content)));
        assert_eq!(file["bytes"], content.len() as u64);
        if let Some(first) = file["first_index"].as_u64() {
            assert_eq!(first, next);
            next = file["last_index"].as_u64().unwrap() + 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_writing_and_noting_it_doubles_nothing() {
    store::sql! { BACK = "UPDATE sink_cursor SET next_index = 2"; }
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    house.events(6).await;
    let running = house.start(vec![quick(target(folder.path(), 1 << 20))]);
    running.until(6).await;
    running.stop().await;
    // As after a crash: the cursor is behind, and the last line is half.
    let mut tx = house.db.begin(base::Scope::System("test")).await.unwrap();
    tx.execute(BACK, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let day = folder.path().join("2026-01-02");
    let path = files(&day).pop().unwrap();
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"half\":");
    std::fs::write(&path, text).unwrap();
    house.events(2).await;
    let running = house.start(vec![quick(target(folder.path(), 1 << 20))]);
    running.until(8).await;
    running.stop().await;
    assert_eq!(indexes(&day), (0..8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_waited_for() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("export");
    std::fs::write(&place, "in the way").unwrap();
    house.events(2).await;
    let running = house.start(vec![quick(target(&place, 1 << 20))]);
    let reason = until(async || running.status().await.last_error).await;
    assert!(reason.contains("folder"), "{reason}");
    std::fs::remove_file(&place).unwrap();
    running.until(2).await;
    running.stop().await;
}
