//! The database as a whole.

use std::sync::Arc;

use base::{Clock, Scope};
use tokio::sync::broadcast;

use crate::config::Target;
use crate::postgres::Postgres;
use crate::signal::Signals;
use crate::sqlite::{ReadingKind, Sqlite};
use crate::tx::Inner;
use crate::{Change, DbConfig, DbError, Dialect, MigrationStatus, Row, Sql, Tx};

/// The database. Clones share it.
#[derive(Clone)]
pub struct Db {
    kind: Kind,
    signals: Signals,
    clock: Clock,
}

#[derive(Clone)]
enum Kind {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Db {
    /// Opens the database (a missing SQLite file is made, mode 0600) without migrating it.
    ///
    /// # Errors
    /// One line that names the file or server and says what to do.
    pub async fn connect(config: &DbConfig) -> Result<Self, DbError> {
        let signals = Signals::new();
        let kind = match &config.url.0 {
            Target::Sqlite(path) => Kind::Sqlite(Sqlite::open(path, config, signals.clone()).await?),
            Target::Postgres(url) => Kind::Postgres(Postgres::open(url, config, signals.clone()).await?),
        };
        Ok(Self { kind, signals, clock: config.clock.clone() })
    }

    /// A fresh, migrated SQLite database in memory: the test double. Reading waits for whoever writes,
    /// so do not read through a second transaction while one that writes is open.
    ///
    /// # Panics
    /// If the embedded migrations do not run: our own fault.
    #[must_use]
    pub fn memory() -> Self {
        let (signals, clock) = (Signals::new(), Clock::system());
        let sqlite = Sqlite::memory(signals.clone(), &clock)
            .expect("the embedded migrations run on an empty database");
        Self { kind: Kind::Sqlite(sqlite), signals, clock }
    }

    /// Opens a transaction that reads and writes.
    ///
    /// # Errors
    /// [`DbError::Busy`] if the writer (SQLite) or a connection (PostgreSQL) is not free in time.
    pub async fn begin(&self, scope: Scope) -> Result<Tx, DbError> {
        log(scope);
        let inner = match &self.kind {
            Kind::Sqlite(db) => Inner::Writing(db.begin().await?),
            Kind::Postgres(db) => Inner::Postgres(db.begin(scope, false).await?, db.clone()),
        };
        Ok(Tx::new(inner, scope))
    }

    /// Opens a transaction that only reads, beside writers.
    ///
    /// # Errors
    /// [`DbError::Busy`] if no connection is free in time.
    pub async fn begin_read(&self, scope: Scope) -> Result<Tx, DbError> {
        log(scope);
        let inner = match &self.kind {
            Kind::Sqlite(db) => match db.begin_read().await? {
                ReadingKind::File(tx) => Inner::Reading(tx),
                ReadingKind::Memory(tx) => Inner::Memory(tx),
            },
            Kind::Postgres(db) => Inner::Postgres(db.begin(scope, true).await?, db.clone()),
        };
        Ok(Tx::new(inner, scope))
    }

    /// Brings the schema to this program's version; says which migrations ran.
    ///
    /// # Errors
    /// [`DbError::Schema`] if the database is newer than this program, or a migration was edited or fails.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, DbError> {
        match &self.kind {
            Kind::Sqlite(db) => db.migrate(&self.clock).await,
            Kind::Postgres(db) => db.migrate(&self.clock).await,
        }
    }

    /// Which migrations are applied and which wait.
    ///
    /// # Errors
    /// As for [`migrate`](Self::migrate).
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, DbError> {
        let applied = match &self.kind {
            Kind::Sqlite(db) => db.applied().await?,
            Kind::Postgres(db) => db.applied().await?,
        };
        crate::migrate::status(&applied, self.dialect())
    }

    /// PostgreSQL: what is wrong with the service's role and the server's durability (superuser,
    /// BYPASSRLS, owner of tables …), a line each; empty is good. SQLite: always empty.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn check_role(&self) -> Result<Vec<String>, DbError> {
        match &self.kind {
            Kind::Sqlite(_) => Ok(Vec::new()),
            Kind::Postgres(db) => db.check_role().await,
        }
    }

    /// What changed from now on. A receiver that lags must treat it as [`Change::Everything`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.signals.subscribe()
    }

    /// Waits until somebody, here or on another node, queued a job.
    pub(crate) async fn job_woken(&self) {
        self.signals.job_woken().await;
    }

    /// Which database it is.
    pub const fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Sqlite(_) => Dialect::Sqlite,
            Kind::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Stores what still waits and closes; SQLite empties its write-ahead log. Later transactions fail.
    ///
    /// # Errors
    /// If the last write fails.
    pub async fn close(&self) -> Result<(), DbError> {
        match &self.kind {
            Kind::Sqlite(db) => db.close().await,
            Kind::Postgres(db) => {
                db.close();
                Ok(())
            }
        }
    }

    /// Prepares a statement without running it.
    pub(crate) async fn check(&self, sql: &Sql) -> Result<(), DbError> {
        match &self.kind {
            Kind::Sqlite(db) => db.check(sql).await,
            Kind::Postgres(db) => db.check(sql).await,
        }
    }

    /// How SQLite would run a statement, one line per step; without knowing its parameters' values.
    pub(crate) async fn sqlite_plan(&self, sql: &Sql) -> Result<Vec<String>, DbError> {
        let Kind::Sqlite(db) = &self.kind else { return Ok(Vec::new()) };
        db.plan(sql).await
    }

    /// Asks the database about its own schema.
    pub(crate) async fn catalogue(&self, sql: &Sql) -> Result<Vec<Row>, DbError> {
        match &self.kind {
            Kind::Sqlite(db) => db.catalogue(sql).await,
            Kind::Postgres(db) => db.catalogue(sql).await,
        }
    }
}

fn log(scope: Scope) {
    if let Scope::System(why) = scope {
        tracing::trace!(why, "a transaction over everybody's rows");
    }
}
