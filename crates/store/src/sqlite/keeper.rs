//! The thread that looks after the file: has another process written, and must the write-ahead log be emptied? Both would
//! be too slow or too rare inside a request.
//!
//! A log that is full is copied into the file and then written from its beginning again. Its file keeps its size: to flush
//! what lies over old bytes takes the disk one write, to flush a file that grows takes several.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Mutex;

use super::committer::Order;
use super::open;
use super::writer::Writer;
use crate::signal::Signals;
use crate::{Change, DbError};

/// How often it looks.
const TICK: Duration = Duration::from_millis(200);
/// Frames after which the log is copied into the file and begun anew: about 64 MiB of the usual pages.
const FULL: i64 = 16 * 1024;
/// Bytes of a frame of the usual page.
const FRAME: u64 = 4096 + 24;
/// How often what was written meanwhile is copied beside the writers, before the committer copies the rest while they wait.
const ROUNDS: u32 = 8;
/// A rest of so many frames is small.
const REST: i64 = 256;
/// After so long without a write any log is emptied, because it may hold what was deleted.
const IDLE: Duration = Duration::from_secs(5);
/// A log that is always busy is emptied after so long, for the same reason.
const EMPTIED_EVERY: Duration = Duration::from_mins(1);

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
    let mut watch = Watch::new(path, orders);
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
    /// The frames that were seen last, and since when.
    frames: i64,
    since: Instant,
    /// Of the log's file.
    size: u64,
    /// When the log was emptied last.
    empty: Instant,
    copier: Option<Connection>,
}

impl Watch {
    fn new(path: PathBuf, orders: SyncSender<Order>) -> Self {
        Self {
            wal: wal_path(&path),
            path,
            orders,
            frames: 0,
            since: Instant::now(),
            size: 0,
            empty: Instant::now(),
            copier: None,
        }
    }

    /// Copies most of a full log beside the writers, then asks the committer to copy the little rest and to begin the log
    /// anew, which needs the writer for a moment. One that may hold what was deleted for too long is emptied.
    fn log(&mut self) {
        let size = std::fs::metadata(&self.wal).map_or(0, |data| data.len());
        // It never shrinks but by being emptied.
        if size == 0 || size < self.size {
            (self.frames, self.since, self.empty) = (0, Instant::now(), Instant::now());
        }
        self.size = size;
        if size == 0 {
            return;
        }
        let frames = match self.checkpoint("PRAGMA wal_checkpoint(NOOP)") {
            Ok(log) => log.frames,
            // What cannot be measured is full if its file is large.
            Err(error) => {
                tracing::debug!(%error, "the write-ahead log cannot be measured");
                self.copier = None;
                i64::try_from(size / FRAME).unwrap_or(FULL)
            }
        };
        if frames != self.frames {
            (self.frames, self.since) = (frames, Instant::now());
        }
        let empty = self.since.elapsed() >= IDLE || self.empty.elapsed() >= EMPTIED_EVERY;
        if frames < FULL && !empty {
            return;
        }
        if let Err(error) = self.copy_most() {
            tracing::warn!(%error, "copying the write-ahead log failed");
        }
        match self.orders.try_send(if empty { Order::Empty } else { Order::Restart }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::debug!("the committer has enough to do; the log is emptied later");
            }
            Err(TrySendError::Disconnected(_)) => {
                tracing::error!("the committer is gone; the log is not emptied any more");
            }
        }
    }

    /// Copies until little is left. SQLite flushes the file only after a copy that has caught up with the writers; without
    /// one, the committer's would have to flush everything.
    fn copy_most(&mut self) -> Result<(), DbError> {
        let mut flushed = false;
        for _ in 0..ROUNDS {
            self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
            let Log { frames, copied } = self.checkpoint("PRAGMA wal_checkpoint(NOOP)")?;
            if flushed && frames - copied <= REST {
                break;
            }
            flushed |= frames == copied;
        }
        Ok(())
    }

    fn checkpoint(&mut self, how: &'static str) -> Result<Log, DbError> {
        let conn = match &mut self.copier {
            Some(conn) => conn,
            none => none.insert(open::checkpointer(&self.path)?),
        };
        conn.prepare_cached(how)
            .and_then(|mut pragma| {
                pragma.query_row([], |row| {
                    Ok(Log { frames: row.get("log")?, copied: row.get("checkpointed")? })
                })
            })
            .map_err(|error| super::error::map_file(&self.path.display().to_string(), &error))
    }
}

/// How far the write-ahead log has come.
struct Log {
    /// Frames since its beginning.
    frames: i64,
    /// How many of them are in the file.
    copied: i64,
}

/// SQLite's name for the log beside the database.
pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
