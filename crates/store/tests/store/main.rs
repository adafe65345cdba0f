//! The store's promises, on both databases where both make them.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as promised")]

mod file;
mod job;
mod postgres;
mod schema;
mod tx;

use base::{Clock, Entropy, Id, Scope, kind};
use store::{Db, DbError, Tx, Value, params};

store::sql! {
    /// The queue's table is the one table that the store has; the tests use it as any other.
    INSERT = "INSERT INTO job (id, payload, dedup, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, $2, $3, 'dead', $4, 0, 1, 0)";
    /// All payloads.
    PAYLOADS = "SELECT payload FROM job ORDER BY payload";
    /// Several shapes at once; the second parameter stands before the first.
    ROW = "SELECT id, payload, dedup, due_at FROM job WHERE payload = $2 AND id = $1";
    /// Makes a reserved key.
    INSERT_WAITING = "INSERT INTO job (id, payload, dedup, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, 'w', $2, 'waiting', 0, 0, 1, 0)";
}

const SYSTEM: Scope = Scope::System("test");

fn new_id() -> Id<kind::Job> {
    Id::new(&Clock::system(), &Entropy::system())
}

async fn insert(tx: &mut Tx, payload: &str) -> Result<u64, DbError> {
    tx.execute(INSERT, params![new_id(), payload, None::<&str>, 5]).await
}

async fn payloads(db: &Db) -> Vec<String> {
    let mut tx = db.begin_read(SYSTEM).await.unwrap();
    let rows = tx.query(PAYLOADS, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

fn none() -> Value {
    Value::Null
}
