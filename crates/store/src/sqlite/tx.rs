//! The transactions of SQLite.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::writer::Writer;
use super::{Sqlite, TURN, readers, statement};
use crate::signal::Announcement;
use crate::{DbError, Row, Sql, Value};

/// A transaction that keeps everybody else from writing for so long is reported.
const LONG: Duration = Duration::from_secs(1);

/// Holds the writer, with a savepoint open. Dropping it undoes the savepoint.
pub(crate) struct Writing {
    db: Arc<Sqlite>,
    /// `None` once committed.
    pub(super) held: Option<OwnedMutexGuard<Writer>>,
    since: Instant,
}

impl Writing {
    pub(super) fn new(db: Arc<Sqlite>, held: OwnedMutexGuard<Writer>) -> Self {
        Self { db, held: Some(held), since: Instant::now() }
    }

    pub(crate) fn execute(&mut self, sql: &Sql, params: &[Value]) -> Result<u64, DbError> {
        self.run(|writer| statement::execute(writer.conn()?, sql, params))
    }

    pub(crate) fn query(&mut self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.run(|writer| statement::query(writer.conn()?, sql, params, false))
    }

    fn run<T>(&mut self, work: impl FnOnce(&Writer) -> Result<T, DbError>) -> Result<T, DbError> {
        let Some(held) = self.held.as_mut() else { return Err(DbError::Aborted) };
        let result = work(held);
        if let Err(error) = &result
            && let Some(verdict) = held.after_error(error)
        {
            // SQLite undid everybody's work; our own hold on the writer ends with it.
            self.held = None;
            verdict.tell(&self.db.signals);
        }
        result
    }

    /// `patience`: how long the commit may wait for somebody else who is in a hurry.
    pub(crate) async fn commit(
        mut self,
        announcement: Announcement,
        patience: Option<Duration>,
    ) -> Result<(), DbError> {
        let Some(mut held) = self.held.take() else { return Err(DbError::Aborted) };
        self.report_long();
        let (call, wait) = match held.join(announcement, patience.is_none()) {
            Ok(joined) => joined,
            Err(error) => {
                let verdict = held.after_error(&error).or_else(|| held.undo());
                drop(held);
                if let Some(verdict) = verdict {
                    verdict.tell(&self.db.signals);
                }
                return Err(error);
            }
        };
        if self.db.file.is_none() {
            // Nothing to flush, nobody to share it with.
            let verdict = held.finish();
            drop(held);
            verdict.tell(&self.db.signals);
        } else {
            drop(held);
            if call {
                self.db.call_committer();
            }
        }
        let Some(patience) = patience else { return answer(wait.await) };
        tokio::pin!(wait);
        match tokio::time::timeout(patience, &mut wait).await {
            Ok(done) => answer(done),
            Err(_) => {
                self.db.call_committer();
                answer(wait.await)
            }
        }
    }

    fn report_long(&self) {
        let held = self.since.elapsed();
        if held > LONG {
            tracing::warn!(held_ms = held.as_millis(), "a transaction kept the only writer for long");
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take() {
            let verdict = held.undo();
            drop(held);
            if let Some(verdict) = verdict {
                verdict.tell(&self.db.signals);
            }
            self.report_long();
        }
    }
}

fn answer(told: Result<Result<(), DbError>, oneshot::error::RecvError>) -> Result<(), DbError> {
    told.unwrap_or_else(|_| Err(DbError::Unavailable("the committing thread ended".into())))
}

/// Reads a snapshot of the file.
pub(crate) struct Reading(pub(super) readers::Reading);

impl Reading {
    pub(crate) fn query(&mut self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        statement::query(self.0.conn(), sql, params, true)
    }
}

/// Reads a database in memory: each statement waits for the writer, so that it sees committed rows
/// only. Two statements may see different states, as on PostgreSQL.
#[derive(Clone)]
pub(crate) struct MemoryReading(pub(super) Arc<Sqlite>);

impl MemoryReading {
    pub(crate) async fn query(&mut self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let held = self.0.turn(Instant::now() + TURN).await?;
        statement::query(held.conn()?, sql, params, true)
    }
}
