//! What only a SQLite file promises: durability in groups, snapshots, clear words about bad files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use store::{Change, DbConfig};
use tempfile::TempDir;

use super::*;

fn config(path: &Path) -> DbConfig {
    DbConfig::new(format!("sqlite:{}", path.display()).parse().unwrap())
}

async fn fresh() -> (TempDir, PathBuf, Db) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("test.db");
    let db = Db::connect(&config(&path)).await.unwrap();
    db.migrate().await.unwrap();
    (folder, path, db)
}

/// What is in the file for somebody who comes from outside.
fn outside(path: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(path).unwrap();
    let mut statement = conn.prepare("SELECT payload FROM job ORDER BY payload").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn refused(path: &Path) -> String {
    let error = match Db::connect(&config(path)).await {
        Err(error) => error,
        Ok(db) => db.migrate().await.unwrap_err(),
    };
    let text = error.to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_is_stored_and_failures_hurt_nobody_else() {
    let (_folder, path, db) = fresh().await;
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let name = format!("{n:02}-{round}");
                    let mut tx = db.begin(SYSTEM).await.unwrap();
                    insert(&mut tx, &name).await.unwrap();
                    match (n + round) % 3 {
                        0 => tx.commit().await.unwrap(),
                        1 => drop(tx),
                        _ => {
                            // A statement that fails, in the middle of everybody else's group.
                            assert!(tx.execute(INSERT, params![none(), "bad", none(), 0]).await.is_err());
                            assert!(tx.commit().await.is_err());
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut expected: Vec<_> = (0..64)
        .flat_map(|n| (0..10).map(move |round| (n, round)))
        .filter(|(n, round)| (n + round) % 3 == 0)
        .map(|(n, round)| format!("{n:02}-{round}"))
        .collect();
    expected.sort();
    // The database is still open: nothing may depend on closing it.
    assert_eq!(outside(&path), expected);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_stored_all_the_same() {
    let (_folder, path, db) = fresh().await;
    let mut tx = db.begin(SYSTEM).await.unwrap();
    insert(&mut tx, "unwatched").await.unwrap();
    {
        let mut commit = std::pin::pin!(tx.commit());
        let waker = std::task::Waker::noop();
        let _ = commit.as_mut().poll(&mut std::task::Context::from_waker(waker));
    }
    // The next transaction is in the same group or a later one.
    let mut tx = db.begin(SYSTEM).await.unwrap();
    insert(&mut tx, "watched").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outside(&path), ["unwatched", "watched"]);
}

#[tokio::test]
async fn a_reader_keeps_its_snapshot_while_others_write() {
    let (_folder, _path, db) = fresh().await;
    let mut reader = db.begin_read(SYSTEM).await.unwrap();
    assert!(reader.query(PAYLOADS, &[]).await.unwrap().is_empty());
    let mut tx = db.begin(SYSTEM).await.unwrap();
    insert(&mut tx, "new").await.unwrap();
    assert_eq!(payloads(&db).await, Vec::<String>::new(), "what is not committed is not seen");
    tx.commit().await.unwrap();
    assert!(reader.query_long(PAYLOADS, &[]).await.unwrap().is_empty());
    assert_eq!(payloads(&db).await, ["new"]);
}

#[tokio::test]
async fn another_process_is_waited_for_and_heard() {
    let (_folder, path, db) = fresh().await;
    let mut changes = db.changes();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writing = tokio::spawn({
        let db = db.clone();
        async move {
            let mut tx = db.begin(SYSTEM).await.unwrap();
            insert(&mut tx, "ours").await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!writing.is_finished());
    other
        .execute_batch(
            "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
             VALUES (x'00', 'theirs', 'dead', 0, 0, 1, 0); COMMIT",
        )
        .unwrap();
    writing.await.unwrap();
    assert_eq!(payloads(&db).await, ["ours", "theirs"]);
    assert_eq!(changes.recv().await.unwrap(), Change::Everything);
    // And without anybody writing here.
    other.execute_batch("DELETE FROM job").unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.unwrap();
    assert_eq!(heard.unwrap(), Change::Everything);
    assert!(changes.try_recv().is_err(), "our own commits are not somebody else's");
}

#[tokio::test]
async fn the_file_is_private_and_nothing_stays_in_the_log() {
    let (folder, path, db) = fresh().await;
    let mut tx = db.begin(SYSTEM).await.unwrap();
    insert(&mut tx, "canary-in-the-log").await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.begin(SYSTEM).await.unwrap();
    tx.execute(DELETE_ALL, &[]).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await.unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        let bytes = fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(17).any(|window| window == b"canary-in-the-log"), "{entry:?}");
    }
    assert_eq!(fs::metadata(path.with_extension("db-wal")).map_or(0, |data| data.len()), 0);
    assert!(matches!(db.begin(SYSTEM).await, Err(DbError::Unavailable(_))));
    assert!(matches!(db.begin_read(SYSTEM).await, Err(DbError::Unavailable(_))));
    db.close().await.unwrap();
}

store::sql! {
    /// Empties the table.
    DELETE_ALL = "DELETE FROM job";
}

#[tokio::test]
async fn a_big_log_is_emptied_while_the_database_is_open() {
    let (_folder, path, db) = fresh().await;
    let log = || fs::metadata(path.with_extension("db-wal")).unwrap().len();
    let mut tx = db.begin(SYSTEM).await.unwrap();
    insert(&mut tx, &"x".repeat(5_000_000)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(log() > 5_000_000);
    let emptied = async {
        while log() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), emptied).await.unwrap();
    assert_eq!(payloads(&db).await[0].len(), 5_000_000);
}

#[tokio::test]
async fn a_damaged_or_foreign_file_gets_one_clear_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.db");
    fs::write(&path, "this is a letter to my aunt, and no database").unwrap();
    assert!(refused(&path).await.contains("is not a SQLite database"));
    fs::write(&path, b"SQL").unwrap();
    assert!(refused(&path).await.contains("is not a SQLite database"));

    let (_folder2, path, db) = fresh().await;
    let mut tx = db.begin(SYSTEM).await.unwrap();
    for n in 0..200 {
        insert(&mut tx, &format!("{n:0300}")).await.unwrap();
    }
    tx.commit().await.unwrap();
    db.close().await.unwrap();
    drop(db);
    let mut bytes = fs::read(&path).unwrap();
    let size = bytes.len();
    bytes[size / 2..].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    assert!(refused(&path).await.contains("restore a backup"));
    bytes.truncate(5_000);
    fs::write(&path, &bytes).unwrap();
    assert!(refused(&path).await.contains("restore a backup"));

    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE recipe (name TEXT)").unwrap();
    assert!(refused(&path).await.contains("another program's tables"));
}

#[tokio::test]
async fn an_unusable_folder_gets_one_clear_line() {
    let folder = TempDir::new().unwrap();
    assert!(refused(&folder.path().join("missing/x.db")).await.contains("make the folder first"));
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(refused(&folder.path().join("file/x.db")).await.contains("make the folder first"));
    // Nobody may make files there, not even root.
    let text = refused(Path::new("/proc/x.db")).await;
    assert!(text.contains("/proc/x.db"), "{text}");
    assert!(refused(folder.path()).await.contains(&folder.path().display().to_string()));
}

#[tokio::test]
async fn a_locked_file_gets_one_clear_line() {
    let (_folder, path, db) = fresh().await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = db.begin(SYSTEM).await.err().unwrap();
    assert!(matches!(error, DbError::Busy(_)) && error.is_outage() && error.is_retryable());
    assert!(error.to_string().contains("another process holds"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    insert(&mut db.begin(SYSTEM).await.unwrap(), "works again").await.unwrap();
}

#[tokio::test]
async fn a_newer_or_edited_schema_is_refused() {
    let (_folder, path, db) = fresh().await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("INSERT INTO schema_migration VALUES (9999, 'future', '', 0)").unwrap();
    assert!(db.migrate().await.unwrap_err().to_string().contains("install the newer program"));
    assert!(db.migration_status().await.is_err());
    other.execute_batch("DELETE FROM schema_migration WHERE version = 9999").unwrap();
    other.execute_batch("UPDATE schema_migration SET checksum = 'x' WHERE version = 1").unwrap();
    assert!(db.migrate().await.unwrap_err().to_string().contains("not the one that was applied"));
}
