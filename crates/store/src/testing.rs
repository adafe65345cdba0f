//! For tests of every crate above: both databases, and the tests that guard the schema.

use crate::Db;

/// A fresh, migrated SQLite database in memory; plus a fresh, migrated PostgreSQL database, connected
/// as the unprivileged service role, if `FORTISSIMO_TEST_POSTGRES` holds a superuser's address.
///
/// # Panics
/// If PostgreSQL is asked for and fails, or is missing where `CI=true`.
pub async fn databases() -> Vec<Db> {
    todo!()
}

/// Prepares every registered statement; gives one line per statement that fails.
pub async fn prepare_all(db: &Db) -> Vec<String> {
    let _ = db;
    todo!()
}
