//! The two small tasks beside the requests: forgetting what changed elsewhere, noting when sessions were used.

use std::sync::Arc;

use base::{Id, Scope, Timestamp, kind};
use store::{Change, Db, DbError, params};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::remember::Remembered;

/// Uses that wait to be written; more are dropped, because the next request tells the same again.
const QUEUE: usize = 1024;
/// Uses that are written in one transaction.
const BATCH: usize = 128;

store::sql! {
    /// Notes a use; never moves backwards.
    TOUCH = "UPDATE session SET last_seen_at = $3 WHERE session_id = $1 AND account_id = $2 AND last_seen_at < $3";
    TOUCH_KEY = "UPDATE api_key SET last_used_at = $3 WHERE key_id = $1 AND account_id = $2 \
        AND (last_used_at IS NULL OR last_used_at < $3)";
}

/// A use of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touch {
    pub(crate) account: Id<kind::Account>,
    pub(crate) session: Id<kind::Session>,
    pub(crate) at: Timestamp,
}

/// A use of an API key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyTouch {
    pub(crate) account: Id<kind::Account>,
    pub(crate) key: Id<kind::ApiKey>,
    pub(crate) at: Timestamp,
}

/// What was used.
#[derive(Debug, Clone, Copy)]
enum Used {
    Session(Touch),
    Key(KeyTouch),
}

/// The tasks; they end when this is dropped.
pub(crate) struct Background {
    touches: mpsc::Sender<Used>,
    tasks: [JoinHandle<()>; 2],
}

impl Background {
    pub(crate) fn start(db: Db, remembered: Arc<Remembered>) -> Self {
        let (touches, queue) = mpsc::channel(QUEUE);
        let changes = db.changes();
        Self { touches, tasks: [tokio::spawn(forget(changes, remembered)), tokio::spawn(touch(db, queue))] }
    }

    /// Notes a use soon; never waits.
    pub(crate) fn touch(&self, touch: Touch) {
        let _ = self.touches.try_send(Used::Session(touch));
    }

    /// Notes a key's use soon; never waits.
    pub(crate) fn touch_key(&self, touch: KeyTouch) {
        let _ = self.touches.try_send(Used::Key(touch));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn forget(mut changes: tokio::sync::broadcast::Receiver<Change>, remembered: Arc<Remembered>) {
    loop {
        match changes.recv().await {
            Ok(change) => remembered.forget(change),
            Err(RecvError::Lagged(_)) => remembered.forget(Change::Everything),
            Err(RecvError::Closed) => {
                // Nothing tells of changes any more, so nothing that was remembered may be trusted.
                remembered.forget(Change::Everything);
                return;
            }
        }
    }
}

async fn touch(db: Db, mut queue: mpsc::Receiver<Used>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        if let Err(error) = write(&db, &batch).await {
            tracing::warn!(%error, "the last use of some sessions was not noted");
        }
        batch.clear();
    }
}

async fn write(db: &Db, batch: &[Used]) -> Result<(), DbError> {
    let mut tx = db.begin(Scope::System("last use of sessions")).await?;
    for used in batch {
        match used {
            Used::Session(touch) => {
                tx.execute(TOUCH, params![touch.session, touch.account, touch.at]).await?
            }
            Used::Key(touch) => tx.execute(TOUCH_KEY, params![touch.key, touch.account, touch.at]).await?,
        };
    }
    tx.commit().await
}
