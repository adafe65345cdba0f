//! Ending well: no new connections, what is in flight is finished, then whatever is left is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Everything is served.
    Serving,
    /// Nothing new is accepted; what is in flight may finish.
    Draining,
    /// The time is over; connections are dropped.
    Cut,
}

/// The switch that ends listeners, connections and tunnels. Clones are the same switch.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stage: watch::Sender<Stage>,
    open: AtomicUsize,
    closed: Notify,
}

/// How a shutdown ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections (WebSockets too) that were open when the shutdown began and ended by themselves.
    pub finished: usize,
    /// Connections that were cut when the time was over.
    pub cut: usize,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A switch that is not pulled.
    pub fn new() -> Self {
        let inner = Inner {
            stage: watch::Sender::new(Stage::Serving),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
        };
        Self(Arc::new(inner))
    }

    /// Stops accepting and lets what is in flight finish for at most `patience`; then cuts the rest.
    /// Returns when no connection is left.
    pub async fn drain(&self, patience: Duration) -> Drained {
        self.raise(Stage::Draining);
        let before = self.open();
        let cut = if tokio::time::timeout(patience, self.all_closed()).await.is_ok() {
            0
        } else {
            let left = self.open();
            self.raise(Stage::Cut);
            self.all_closed().await;
            left
        };
        Drained { finished: before.saturating_sub(cut), cut }
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Returns when the shutdown has begun.
    pub async fn begun(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Returns when the time for finishing is over.
    pub(crate) async fn cut(&self) {
        self.reached(Stage::Cut).await;
    }

    /// Counts one more open connection.
    pub(crate) fn enter(&self, permit: OwnedSemaphorePermit) -> Open {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        metrics::gauge!("fortissimo_connections_open").increment(1.0);
        Open { shutdown: self.clone(), _permit: permit }
    }

    fn raise(&self, stage: Stage) {
        self.0.stage.send_if_modified(|current| {
            let later = stage > *current;
            *current = stage.max(*current);
            later
        });
    }

    async fn reached(&self, stage: Stage) {
        let mut watcher = self.0.stage.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = watcher.wait_for(|current| *current >= stage).await;
    }

    pub(crate) async fn all_closed(&self) {
        loop {
            let closed = self.0.closed.notified();
            tokio::pin!(closed);
            // Registered before the count is read, so that no close in between is missed.
            closed.as_mut().enable();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }
}

/// One open connection, until dropped.
#[derive(Debug)]
pub(crate) struct Open {
    shutdown: Shutdown,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shutdown.0.open.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("fortissimo_connections_open").decrement(1.0);
        self.shutdown.0.closed.notify_waiters();
    }
}
