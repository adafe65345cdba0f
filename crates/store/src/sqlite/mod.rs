//! SQLite: one writer with group commit, readers beside it.

mod committer;
mod error;
mod keeper;
mod migrate;
mod open;
mod readers;
mod statement;
mod tx;
mod writer;

pub(crate) use self::tx::{MemoryReading, Reading, Writing};

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use base::Clock;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use self::committer::Order;
use self::keeper::Keeper;
use self::readers::Readers;
use self::writer::Writer;
use crate::migrate::Applied;
use crate::signal::Signals;
use crate::{DbConfig, DbError, Sql};

/// How long a transaction waits for its turn to write, or a reader for a connection.
const TURN: Duration = Duration::from_secs(10);
/// How long another process may keep the file from us.
const FOREIGN_LOCK: Duration = Duration::from_secs(5);

/// A SQLite database.
pub(crate) struct Sqlite {
    writer: Arc<Mutex<Writer>>,
    signals: Signals,
    /// `None` in memory, where there is only the writer's connection and nothing to flush.
    file: Option<File>,
}

/// What only a database on disk has.
struct File {
    orders: SyncSender<Order>,
    readers: Arc<Readers>,
    _keeper: Keeper,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path, config: &DbConfig, signals: Signals) -> Result<Arc<Self>, DbError> {
        let owned = path.to_owned();
        let conn = blocking(move || open::writer(&owned, FOREIGN_LOCK)).await?;
        let writer = Arc::new(Mutex::new(Writer::new(conn, path.display().to_string())));
        let orders = committer::start(writer.clone(), signals.clone())?;
        let keeper = keeper::start(writer.clone(), signals.clone(), orders.clone(), path.to_owned())?;
        let readers = Readers::new(path.to_owned(), config.max_readers, TURN);
        Ok(Arc::new(Self { writer, signals, file: Some(File { orders, readers, _keeper: keeper }) }))
    }

    pub(crate) fn memory(signals: Signals, clock: &Clock) -> Result<Arc<Self>, DbError> {
        let mut conn = open::memory()?;
        migrate::run(&mut conn, clock)?;
        let writer = Arc::new(Mutex::new(Writer::new(conn, "the database in memory".into())));
        Ok(Arc::new(Self { writer, signals, file: None }))
    }

    pub(crate) async fn begin(self: &Arc<Self>) -> Result<Writing, DbError> {
        let deadline = Instant::now() + TURN;
        loop {
            let mut held = self.turn(deadline).await?;
            if held.is_full() {
                // The committer queues behind us; let it go first.
                drop(held);
                tokio::task::yield_now().await;
                continue;
            }
            let started = Instant::now();
            loop {
                match held.start(&self.signals) {
                    Ok(()) => return Ok(Writing::new(self.clone(), held)),
                    Err(DbError::Busy(_)) if held.is_idle() && started.elapsed() < FOREIGN_LOCK => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    pub(crate) async fn begin_read(self: &Arc<Self>) -> Result<ReadingKind, DbError> {
        Ok(match &self.file {
            Some(file) => ReadingKind::File(Reading(file.readers.begin().await?)),
            None => ReadingKind::Memory(MemoryReading(self.clone())),
        })
    }

    /// Waits for the writer. Turns are given in the order of asking.
    async fn turn(&self, deadline: Instant) -> Result<OwnedMutexGuard<Writer>, DbError> {
        tokio::time::timeout_at(deadline.into(), self.writer.clone().lock_owned()).await.map_err(|_| {
            DbError::Busy(format!(
                "one transaction held the writer for {} s; was it kept open across another begin?",
                TURN.as_secs()
            ))
        })
    }

    pub(crate) async fn migrate(&self, clock: &Clock) -> Result<Vec<&'static str>, DbError> {
        let mut held = self.turn(Instant::now() + TURN).await?;
        let clock = clock.clone();
        let (verdict, result) = blocking(move || {
            let verdict = held.finish();
            let result = held.conn_mut().and_then(|conn| {
                conn.busy_timeout(FOREIGN_LOCK).map_err(|e| error::map_file("the database", &e))?;
                let result = migrate::run(conn, &clock);
                conn.busy_timeout(Duration::ZERO).map_err(|e| error::map_file("the database", &e))?;
                result
            });
            Ok((verdict, result))
        })
        .await?;
        verdict.tell(&self.signals);
        result
    }

    pub(crate) async fn applied(&self) -> Result<Vec<Applied>, DbError> {
        let mut held = self.turn(Instant::now() + TURN).await?;
        migrate::applied(held.conn_mut()?)
    }

    /// Prepares a statement without running it.
    pub(crate) async fn check(&self, sql: &Sql) -> Result<(), DbError> {
        let held = self.turn(Instant::now() + TURN).await?;
        statement::check(held.conn()?, sql)
    }

    /// Runs a query of our own tests and catalogues, given as text.
    pub(crate) async fn catalogue(&self, sql: &Sql) -> Result<Vec<crate::Row>, DbError> {
        let held = self.turn(Instant::now() + TURN).await?;
        statement::query(held.conn()?, sql, &[], true)
    }

    /// The steps in which a statement would be run.
    pub(crate) async fn plan(&self, sql: &Sql) -> Result<Vec<String>, DbError> {
        let held = self.turn(Instant::now() + TURN).await?;
        let conn = held.conn()?;
        let failed = |error: rusqlite::Error| error::map(conn, sql.name(), &error);
        let mut explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.sqlite())).map_err(failed)?;
        let mut rows = explained.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            steps.push(row.get(3).map_err(failed)?);
        }
        Ok(steps)
    }

    /// Empties the write-ahead log, so that deleted content is gone from it as well.
    pub(crate) async fn close(&self) -> Result<(), DbError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.readers.close();
        let (done, wait) = oneshot::channel();
        let mut order = Order::Close(done);
        // The queue is short and moves; a full one is free again after a commit or two.
        loop {
            match file.orders.try_send(order) {
                Ok(()) => break,
                Err(std::sync::mpsc::TrySendError::Full(back)) => {
                    order = back;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(std::sync::mpsc::TrySendError::Disconnected(_)) => return Ok(()),
            }
        }
        wait.await.unwrap_or(Ok(()))
    }

    /// Calls the committer for a group that has its first member.
    fn call_committer(&self) {
        if let Some(file) = &self.file {
            // If the queue is full, an order that waits there takes this group along.
            let _ = file.orders.try_send(Order::Commit);
        }
    }
}

/// How a reading transaction is carried.
pub(crate) enum ReadingKind {
    File(Reading),
    Memory(MemoryReading),
}

/// Runs something slow where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DbError> + Send + 'static,
) -> Result<T, DbError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(DbError::Unavailable(format!("the work was broken off: {error}"))))
}

#[cfg(test)]
mod tests;
