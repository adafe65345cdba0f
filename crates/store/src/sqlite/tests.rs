//! What only the inside can provoke: a disk that fills up while others wait for their COMMIT.

use base::Clock;

use crate::signal::Signals;
use crate::{DbConfig, DbError, params};

use super::Sqlite;

crate::sql! {
    /// A row of any size.
    FILL = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, $2, 'dead', 0, 0, 1, 0)";
    /// How many rows there are.
    COUNT = "SELECT count(*) FROM job";
}

async fn fresh() -> (tempfile::TempDir, std::sync::Arc<Sqlite>) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("full.db");
    let config = DbConfig::new(format!("sqlite:{}", path.display()).parse().unwrap());
    let db = Sqlite::open(&path, &config, Signals::new()).await.unwrap();
    db.migrate(&Clock::controlled(0)).await.unwrap();
    (folder, db)
}

/// Lets the file grow by `pages` more pages only, as a full disk would.
async fn limit(db: &Sqlite, pages: i64) {
    let held = db.writer.lock().await;
    let conn = held.conn().unwrap();
    let now: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    conn.query_row(&format!("PRAGMA max_page_count = {}", now + pages), [], |_| Ok(())).unwrap();
}

async fn count(db: &std::sync::Arc<Sqlite>) -> i64 {
    db.begin().await.unwrap().query(&COUNT, &[]).unwrap()[0].get(0).unwrap()
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_passes() {
    let (_folder, db) = fresh().await;
    limit(&db, 2).await;
    let mut tx = db.begin().await.unwrap();
    let big = tx.execute(&FILL, params![[1; 16], "x".repeat(100_000)]);
    assert!(matches!(big, Err(DbError::Full(_))), "{big:?}");
    drop(tx);
    assert_eq!(count(&db).await, 0);
    limit(&db, 1_000).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(&FILL, params![[1; 16], "x".repeat(100_000)]).unwrap();
    tx.commit(Default::default(), None).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn when_sqlite_undoes_the_group_everybody_in_it_is_told() {
    let (_folder, db) = fresh().await;
    // The first member waits for its COMMIT; nobody called the committer yet.
    let mut first = db.begin().await.unwrap();
    first.execute(&FILL, params![[1; 16], "first"]).unwrap();
    let mut held = first.held.take().unwrap();
    let (_, wait) = held.join(Default::default(), true).unwrap();
    drop(held);
    // The second one's statement makes SQLite undo everything, as it does on IO errors.
    let mut second = db.begin().await.unwrap();
    {
        let held = second.held.as_ref().unwrap();
        held.conn().unwrap().execute_batch("ROLLBACK").unwrap();
    }
    assert!(second.execute(&FILL, params![[2; 16], None::<&str>]).is_err());
    assert!(matches!(second.commit(Default::default(), None).await, Err(DbError::Aborted)));
    assert!(wait.await.unwrap().is_err(), "the first member was not stored and must hear it");
    drop(first);
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn groups_are_bounded() {
    let (_folder, db) = fresh().await;
    let mut waits = Vec::new();
    for n in 0..super::writer::GROUP_MAX {
        let mut tx = db.begin().await.unwrap();
        tx.execute(&FILL, params![(n as u128).to_be_bytes(), "member"]).unwrap();
        let mut held = tx.held.take().unwrap();
        waits.push(held.join(Default::default(), true).unwrap().1);
    }
    // The group is full: whoever comes now waits until the committer was there.
    let next = tokio::spawn({
        let db = db.clone();
        async move { db.begin().await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert!(!next.is_finished());
    db.call_committer();
    next.await.unwrap().unwrap();
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    assert_eq!(count(&db).await, super::writer::GROUP_MAX as i64);
}

#[tokio::test]
async fn a_transaction_within_a_transaction_is_told_and_does_not_hang() {
    let (_folder, db) = fresh().await;
    let _outer = db.begin().await.unwrap();
    let error =
        db.turn(std::time::Instant::now() + std::time::Duration::from_millis(20)).await.err().unwrap();
    assert!(matches!(&error, DbError::Busy(text) if text.contains("across another begin")), "{error}");
}

#[tokio::test]
async fn who_is_in_no_hurry_rides_along_and_is_not_forgotten() {
    let (_folder, db) = fresh().await;
    let add = async |n: u8, patience: Option<std::time::Duration>| {
        let mut tx = db.begin().await.unwrap();
        tx.execute(&FILL, params![[n; 16], "row"]).unwrap();
        tx.commit(Default::default(), patience).await
    };
    // Nobody else comes: stored after its patience.
    add(1, Some(std::time::Duration::from_millis(5))).await.unwrap();
    assert_eq!(count(&db).await, 1);
    // With patience for ever, only the other one's hurry stores both.
    let forever = std::time::Duration::from_secs(3_600);
    let (along, hurried) = tokio::join!(add(2, Some(forever)), add(3, None));
    along.unwrap();
    hurried.unwrap();
    assert_eq!(count(&db).await, 3);
}

#[tokio::test]
async fn a_full_log_begins_anew_and_an_idle_one_is_emptied() {
    const MIB: usize = 1024 * 1024;
    let (folder, db) = fresh().await;
    let log = super::keeper::wal_path(&folder.path().join("full.db"));
    let size = || std::fs::metadata(&log).unwrap().len();
    let text = "x".repeat(8 * MIB);
    let mut before = 0;
    for number in 0..24 {
        let mut tx = db.begin().await.unwrap();
        tx.execute(&FILL, params![[number; 16], text.as_str()]).unwrap();
        tx.commit(Default::default(), None).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        // Its file is not cut while it is busy.
        assert!(size() >= before, "{} after {before}", size());
        before = size();
    }
    // It would have 192 MiB.
    let largest = size();
    assert!(largest < 160 * MIB as u64, "{largest}");
    // It begins anew with its size, and what it held does not stay.
    let begun = std::time::Instant::now();
    while size() > 0 {
        assert!(begun.elapsed().as_secs() < 60, "{} bytes are still there", size());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(count(&db).await, 24);
}
