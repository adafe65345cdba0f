//! How many durable rows per second the store writes, one insert per transaction, beside a bare
//! rusqlite loop in the same run. `cargo bench -p fortissimo-store`.

use std::sync::atomic::{AtomicU64, Ordering};

use base::{Id, Scope, kind};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use store::{Db, DbConfig, params};

store::sql! {
    /// One row.
    INSERT = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, $2, 'dead', $3, 0, 1, $3)";
    /// One row by its key.
    SELECT = "SELECT payload FROM job WHERE id = $1";
}

const ROWS: u64 = 2_000;

fn main() {
    divan::main();
}

fn id() -> Id<kind::Job> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Id::from_bytes(bytes)
}

fn open() -> (tokio::runtime::Runtime, tempfile::TempDir, Db) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    // Not the temporary folder, which may be in memory: the flush to disk is what is measured.
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("bench.db").display());
    let db = runtime.block_on(async {
        let db = Db::connect(&DbConfig::new(url.parse().expect("an address"))).await.expect("a database");
        db.migrate().await.expect("migrations");
        db
    });
    (runtime, folder, db)
}

async fn insert(db: &Db) {
    let mut tx = db.begin(Scope::System("bench")).await.expect("a transaction");
    tx.execute(INSERT, params![id(), r#"{"kind":"janitor"}"#, 5]).await.expect("a row");
    tx.commit().await.expect("stored");
}

/// `tasks` tasks that each wait for their own row to be durable before the next.
#[divan::bench(args = [1, 8, 64, 256], sample_count = 5, sample_size = 1)]
fn store_group_commit(bencher: Bencher<'_, '_>, tasks: u64) {
    let (runtime, _folder, db) = open();
    let rows = if tasks == 1 { ROWS } else { ROWS * 8 };
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        runtime.block_on(async {
            let spawn = |_| {
                let db = db.clone();
                tokio::spawn(async move {
                    for _ in 0..rows / tasks {
                        insert(&db).await;
                    }
                })
            };
            for task in (0..tasks).map(spawn).collect::<Vec<_>>() {
                task.await.expect("the task ends well");
            }
        });
    });
}

/// The same insert by bare rusqlite; `group` rows per COMMIT show what grouping can give at best.
#[divan::bench(args = [1, 8, 64, 256], sample_count = 5, sample_size = 1)]
fn bare_rusqlite(bencher: Bencher<'_, '_>, group: u64) {
    let (runtime, folder, db) = open();
    runtime.block_on(db.close()).expect("closed");
    let conn = rusqlite::Connection::open(folder.path().join("bench.db")).expect("a database");
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON")
        .expect("pragmas");
    let text = INSERT_TEXT;
    let rows = if group == 1 { ROWS } else { ROWS * 8 };
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        for _ in 0..rows / group {
            conn.execute_batch("BEGIN IMMEDIATE").expect("begun");
            for _ in 0..group {
                let mut statement = conn.prepare_cached(text).expect("prepared");
                statement.execute((id().as_bytes(), r#"{"kind":"janitor"}"#, 5)).expect("a row");
            }
            conn.execute_batch("COMMIT").expect("stored");
        }
    });
}

const INSERT_TEXT: &str = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
    VALUES (?1, ?2, 'dead', ?3, 0, 1, ?3)";

/// A point read in a transaction of its own.
#[divan::bench]
fn store_point_read(bencher: Bencher<'_, '_>) {
    let (runtime, _folder, db) = open();
    let key = Id::<kind::Job>::from_bytes([9; 16]);
    runtime.block_on(async {
        let mut tx = db.begin(Scope::System("bench")).await.expect("a transaction");
        tx.execute(INSERT, params![key, "{}", 5]).await.expect("a row");
        tx.commit().await.expect("stored");
    });
    bencher.bench_local(|| {
        runtime.block_on(async {
            let mut tx = db.begin_read(Scope::System("bench")).await.expect("a transaction");
            black_box(tx.query_one(SELECT, params![key]).await.expect("a row"));
        });
    });
}
