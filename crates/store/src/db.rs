//! The database as a whole.

use base::Scope;
use tokio::sync::broadcast;

use crate::{Change, DbConfig, DbError, Dialect, Tx};

/// The database. Clones share it.
#[derive(Clone)]
pub struct Db {}

impl Db {
    /// Opens the database (a missing SQLite file is made, mode 0600) without migrating it.
    pub async fn connect(config: &DbConfig) -> Result<Self, DbError> {
        let _ = config;
        todo!()
    }

    /// A fresh, migrated SQLite database in memory: the test double.
    ///
    /// # Panics
    /// If the embedded migrations do not run: our own fault.
    pub fn memory() -> Self {
        todo!()
    }

    /// Opens a transaction that reads and writes.
    pub async fn begin(&self, scope: Scope) -> Result<Tx, DbError> {
        let _ = scope;
        todo!()
    }

    /// Opens a transaction that only reads, beside writers.
    pub async fn begin_read(&self, scope: Scope) -> Result<Tx, DbError> {
        let _ = scope;
        todo!()
    }

    /// Brings the schema to this program's version; says which migrations ran.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, DbError> {
        todo!()
    }

    /// Which migrations are applied and which wait.
    pub async fn migration_status(&self) -> Result<Vec<crate::MigrationStatus>, DbError> {
        todo!()
    }

    /// PostgreSQL: what is wrong with the service's role (superuser, BYPASSRLS, owner of tables …);
    /// empty is good. SQLite: always empty.
    pub async fn check_role(&self) -> Result<Vec<String>, DbError> {
        todo!()
    }

    /// What changed from now on. A receiver that lags must treat it as [`Change::Everything`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        todo!()
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        todo!()
    }

    /// Waits until all acknowledged writes are where they belong and closes; SQLite truncates its WAL.
    pub async fn close(&self) -> Result<(), DbError> {
        todo!()
    }
}
