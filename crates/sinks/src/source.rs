//! Where events come from: the log, in index order.

use std::sync::Arc;

use audit::{Audit, AuditError, Entry, TreeHead};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// One event and its place in the log.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its index, counted from 0 without holes.
    pub index: u64,
    /// The event, opened as far as keys exist.
    pub entry: Entry,
}

/// Whose bodies are opened; asked with what the clear columns tell.
pub type Wanted = Arc<dyn Fn(&Entry) -> bool + Send + Sync>;

type Read = dyn Fn(u64, usize, Wanted) -> BoxFuture<'static, Result<Vec<Item>, AuditError>> + Send + Sync;

/// The log as its readers see it. Cheap to clone.
#[derive(Clone)]
pub struct Source {
    read: Arc<Read>,
    head: watch::Receiver<TreeHead>,
}

impl Source {
    /// The log of this deployment.
    pub fn of(audit: &Audit) -> Self {
        let reader = audit.clone();
        Self::new(audit.tree(), move |from, limit, wanted| {
            let audit = reader.clone();
            Box::pin(async move {
                let read = audit.read_log_of(from, limit, &*wanted).await?;
                Ok(read.into_iter().map(|one| Item { index: one.index, entry: one.entry }).collect())
            })
        })
    }

    /// A log that is read by a function: up to `limit` events in index order, beginning at `from`; those that are not
    /// wanted may be given as the clear columns tell.
    pub fn new(
        head: watch::Receiver<TreeHead>,
        read: impl Fn(u64, usize, Wanted) -> BoxFuture<'static, Result<Vec<Item>, AuditError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { read: Arc::new(read), head }
    }

    /// Up to `limit` events in index order, beginning at `from`.
    pub(crate) async fn read(
        &self,
        from: u64,
        limit: usize,
        wanted: &Wanted,
    ) -> Result<Vec<Item>, AuditError> {
        (self.read)(from, limit, Arc::clone(wanted)).await
    }

    /// The newest signed state of the log.
    pub(crate) fn head(&self) -> TreeHead {
        self.head.borrow().clone()
    }

    /// Waits until the log has grown; returns early if nobody tells any more.
    pub(crate) async fn grown(&mut self) -> bool {
        self.head.changed().await.is_ok()
    }
}
