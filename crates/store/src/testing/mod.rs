//! For tests of every crate above: both databases, and the tests that guard statements and schema.
//!
//! PostgreSQL takes part if `FORTISSIMO_TEST_POSTGRES` holds a superuser's address, for example
//! `postgres://postgres@127.0.0.1:54329/postgres`.

mod postgres;
mod schema;

pub use self::postgres::{TestPostgres, postgres};
pub use self::schema::{differences, unprotected};

use crate::{Db, Sql};

/// A fresh, migrated SQLite database in memory; plus a fresh, migrated PostgreSQL database, connected
/// as the unprivileged service role, if one is given.
///
/// # Panics
/// If PostgreSQL is given and fails, or is missing where `CI=true`.
pub async fn databases() -> Vec<Db> {
    let mut databases = vec![Db::memory()];
    databases.extend(postgres().await.map(|given| given.db));
    databases
}

/// How a database would run a statement, one line per step: the plan for any parameters, chosen from the indexes that
/// there are, not from how few rows a test has. PostgreSQL is not asked.
///
/// # Errors
/// If the statement is wrong.
pub async fn sqlite_plan(db: &Db, sql: &Sql) -> Result<Vec<String>, crate::DbError> {
    db.sqlite_plan(sql).await
}

/// Prepares every registered statement of every linked crate; one line per statement that fails.
pub async fn prepare_all(db: &Db) -> Vec<String> {
    let mut failures = Vec::new();
    for sql in Sql::all() {
        if let Err(error) = db.check(sql).await {
            failures.push(format!("{:?}: {}: {error}", db.dialect(), sql.name()));
        }
    }
    failures
}
