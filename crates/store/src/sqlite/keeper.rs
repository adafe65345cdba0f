//! The thread that looks after the file every 200 ms: has another process written, and must the
//! write-ahead log be emptied? Both would be too slow or too rare inside a request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Mutex;

use super::committer::Order;
use super::open;
use super::writer::Writer;
use crate::signal::Signals;
use crate::{Change, DbError};

const TICK: Duration = Duration::from_millis(200);
/// Above this size the log is copied into the file, then emptied.
const WAL_BYTES: u64 = 64 * 1024 * 1024;
/// After so many ticks without a write any log is emptied, because it may hold what was deleted.
const IDLE_TICKS: u32 = 25;

/// Ends the thread when dropped.
pub(super) struct Keeper {
    _stop: SyncSender<()>,
}

pub(super) fn start(
    writer: Arc<Mutex<Writer>>,
    signals: Signals,
    orders: SyncSender<Order>,
    path: PathBuf,
) -> Result<Keeper, DbError> {
    let (stop, stopped) = sync_channel(0);
    let mut watch = Watch { wal: wal_path(&path), path, orders, size: 0, idle: 0, copier: None };
    std::thread::Builder::new()
        .name("store-keeper".into())
        .spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                look_for_others(&writer, &signals);
                watch.log();
            }
        })
        .map_err(|error| DbError::Unavailable(format!("cannot start the keeper thread: {error}")))?;
    Ok(Keeper { _stop: stop })
}

fn look_for_others(writer: &Mutex<Writer>, signals: &Signals) {
    // Whoever holds the writer has looked when it opened its transaction.
    if let Ok(mut writer) = writer.try_lock()
        && writer.is_idle()
        && writer.others_wrote()
    {
        signals.change(Change::Everything);
    }
}

struct Watch {
    path: PathBuf,
    wal: PathBuf,
    orders: SyncSender<Order>,
    size: u64,
    idle: u32,
    copier: Option<Connection>,
}

impl Watch {
    /// Copies most of a big log beside the writers, then asks the committer to copy the little rest
    /// and to cut the file, which needs the writer for a moment.
    fn log(&mut self) {
        let size = std::fs::metadata(&self.wal).map_or(0, |data| data.len());
        self.idle = if size == self.size { self.idle + 1 } else { 0 };
        self.size = size;
        if size == 0 {
            self.idle = 0;
            return;
        }
        let idle = self.idle >= IDLE_TICKS;
        if size < WAL_BYTES && !idle {
            return;
        }
        self.idle = 0;
        if let Err(error) = self.copy() {
            tracing::warn!(%error, "copying the write-ahead log failed");
        }
        if let Err(TrySendError::Full(_)) = self.orders.try_send(Order::Checkpoint) {
            tracing::debug!("the committer has enough to do; the log is emptied later");
        }
    }

    fn copy(&mut self) -> Result<(), DbError> {
        if self.copier.is_none() {
            self.copier = Some(open::checkpointer(&self.path)?);
        }
        let Some(conn) = &self.copier else { return Ok(()) };
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|error| super::error::map_file(&self.path.display().to_string(), &error))
    }
}

/// SQLite's name for the log beside the database.
pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
