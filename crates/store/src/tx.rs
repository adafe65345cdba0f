//! A transaction: the only way to the rows.

use std::sync::Arc;
use std::time::Duration;

use base::Scope;

use crate::postgres::{PgTx, Postgres};
use crate::signal::Announcement;
use crate::sqlite::{MemoryReading, Reading, Writing, blocking};
use crate::{Change, DbError, Row, Sql, Value};

/// A transaction for one [`base::Scope`]. Dropping it without [`commit`](Tx::commit) undoes it.
///
/// After a statement failed, everything but dropping gives [`DbError::Aborted`], on both databases.
/// Hold it for as short as possible and never across a wait for something else (a hash, the network):
/// on SQLite everybody else who writes waits behind it.
pub struct Tx {
    inner: Inner,
    scope: Scope,
    /// Set while a statement runs, so that one that fails or is cancelled leaves it behind.
    aborted: bool,
    announcement: Announcement,
}

pub(crate) enum Inner {
    Writing(Writing),
    Reading(Reading),
    Memory(MemoryReading),
    Postgres(PgTx, Arc<Postgres>),
    /// A long query took it to another thread and did not bring it back.
    Gone,
}

impl Tx {
    pub(crate) fn new(inner: Inner, scope: Scope) -> Self {
        Self { inner, scope, aborted: false, announcement: Announcement::default() }
    }

    /// For whom it was opened. Whoever answers from a cache instead of a row asks here first.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether every row that it sees is known to be committed: it reads a snapshot and cannot have made any itself.
    pub fn sees_only_committed(&self) -> bool {
        matches!(self.inner, Inner::Reading(_))
            || matches!(&self.inner, Inner::Postgres(tx, _) if tx.is_read_only())
    }

    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// Any [`DbError`]; the transaction is lost then.
    pub async fn execute(&mut self, sql: Sql, params: &[Value]) -> Result<u64, DbError> {
        self.start()?;
        let done = match &mut self.inner {
            Inner::Writing(tx) => tx.execute(&sql, params),
            Inner::Postgres(tx, _) => tx.execute(&sql, params).await,
            Inner::Reading(_) | Inner::Memory(_) => Err(DbError::Statement {
                sql: sql.name(),
                message: "it writes in a read-only transaction".into(),
            }),
            Inner::Gone => Err(DbError::Aborted),
        };
        self.end(done)
    }

    /// Runs a statement and gives all its rows; limit them in the statement.
    ///
    /// # Errors
    /// Any [`DbError`]; the transaction is lost then.
    pub async fn query(&mut self, sql: Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.start()?;
        let done = match &mut self.inner {
            Inner::Writing(tx) => tx.query(&sql, params),
            Inner::Reading(tx) => tx.query(&sql, params),
            Inner::Memory(tx) => tx.query(&sql, params).await,
            Inner::Postgres(tx, _) => tx.query(&sql, params).await,
            Inner::Gone => Err(DbError::Aborted),
        };
        self.end(done)
    }

    /// Like [`query`](Tx::query), for what takes more than a millisecond: on a SQLite file it runs on a
    /// thread where blocking is allowed.
    ///
    /// # Errors
    /// Any [`DbError`]; the transaction is lost then.
    pub async fn query_long(&mut self, sql: Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        if !matches!(self.inner, Inner::Writing(_) | Inner::Reading(_)) {
            return self.query(sql, params).await;
        }
        self.start()?;
        let mut inner = std::mem::replace(&mut self.inner, Inner::Gone);
        let params = params.to_vec();
        // If this future is dropped meanwhile, the transaction is undone at the end of the query.
        let (inner, done) = blocking(move || {
            let done = match &mut inner {
                Inner::Writing(tx) => tx.query(&sql, &params),
                Inner::Reading(tx) => tx.query(&sql, &params),
                _ => Err(DbError::Aborted),
            };
            Ok((inner, done))
        })
        .await?;
        self.inner = inner;
        self.end(done)
    }

    /// The row, or `None`.
    ///
    /// # Errors
    /// [`DbError::NotOne`] if there are several, else any [`DbError`].
    pub async fn query_opt(&mut self, sql: Sql, params: &[Value]) -> Result<Option<Row>, DbError> {
        let mut rows = self.query(sql, params).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            rows => Err(DbError::NotOne { sql: sql.name(), rows }),
        }
    }

    /// The one row.
    ///
    /// # Errors
    /// [`DbError::NotOne`] if there is none or several, else any [`DbError`].
    pub async fn query_one(&mut self, sql: Sql, params: &[Value]) -> Result<Row, DbError> {
        self.query_opt(sql, params).await?.ok_or(DbError::NotOne { sql: sql.name(), rows: 0 })
    }

    /// Tells every cache, here and on other nodes, once the transaction is stored.
    pub fn announce(&mut self, change: Change) {
        if !self.announcement.changes.contains(&change) {
            self.announcement.changes.push(change);
        }
    }

    /// Wakes the job workers, here and on other nodes, once the transaction is stored.
    pub fn wake_jobs(&mut self) {
        self.announcement.jobs = true;
    }

    /// Stores the transaction durably. Once this future was polled, the outcome is the database's:
    /// dropping the future does not undo anything.
    ///
    /// # Errors
    /// Any [`DbError`]: nothing is stored then, unless it is [`DbError::Unavailable`], where a server
    /// that broke off may have stored it.
    pub async fn commit(self) -> Result<(), DbError> {
        self.store(None).await
    }

    /// As [`commit`](Tx::commit), for work that nobody waits for: on SQLite it does not cause a flush of its own for up to
    /// `patience`, but rides along with the next transaction that is in a hurry. If this future is dropped
    /// meanwhile, the next transaction takes it along whenever it comes.
    ///
    /// # Errors
    /// As for [`commit`](Tx::commit).
    pub async fn commit_along(self, patience: Duration) -> Result<(), DbError> {
        self.store(Some(patience)).await
    }

    async fn store(mut self, patience: Option<Duration>) -> Result<(), DbError> {
        self.start()?;
        let announcement = std::mem::take(&mut self.announcement);
        match self.inner {
            Inner::Writing(tx) => tx.commit(announcement, patience).await,
            Inner::Postgres(tx, db) => db.commit(tx, announcement).await,
            // There is nothing to store; dropping ends the snapshot.
            Inner::Reading(_) | Inner::Memory(_) => Ok(()),
            Inner::Gone => Err(DbError::Aborted),
        }
    }

    fn start(&mut self) -> Result<(), DbError> {
        if std::mem::replace(&mut self.aborted, true) { Err(DbError::Aborted) } else { Ok(()) }
    }

    fn end<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        self.aborted = done.is_err();
        done
    }
}
