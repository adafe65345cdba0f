//! Connections that read beside the writer, each from its own snapshot.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::map_file;
use super::open;
use crate::DbError;

/// The pool: grows to its limit, then readers wait for each other.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    patience: Duration,
}

/// A reading transaction. Dropping it gives the connection back.
pub(super) struct Reading {
    conn: Option<Connection>,
    pool: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(path: PathBuf, max: u32, patience: Duration) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(max.max(1) as usize));
        Arc::new(Self { path, idle: Mutex::new(Vec::new()), permits, patience })
    }

    pub(super) async fn begin(self: &Arc<Self>) -> Result<Reading, DbError> {
        let permit = tokio::time::timeout(self.patience, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| {
                DbError::Busy(format!("all connections that read {} are in use", self.path.display()))
            })?
            .map_err(|_| DbError::Unavailable(format!("{} is closed", self.path.display())))?;
        let idle = self.idle.lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => open::reader(&self.path)?,
        };
        plain(&conn, "BEGIN").map_err(|error| map_file(&self.path.display().to_string(), &error))?;
        Ok(Reading { conn: Some(conn), pool: self.clone(), _permit: permit })
    }

    /// Refuses new readers and closes idle connections.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}

impl Reading {
    pub(super) fn conn(&self) -> &Connection {
        self.conn.as_ref().expect("the connection leaves only when the reading is dropped")
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        // A connection that cannot even end its transaction is not worth keeping.
        if plain(&conn, "ROLLBACK").is_ok() && !self.pool.permits.is_closed() {
            self.pool.idle.lock().push(conn);
        }
    }
}

fn plain(conn: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}
