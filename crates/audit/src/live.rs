//! The live stream: one task reads what has become durable, from all nodes, and hands it to all readers.

use std::sync::Arc;
use std::time::Duration;

use base::{Scope, Timestamp};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::writer::Core;
use crate::{AuditError, Entry, log};

/// Events that a slow reader may be behind before it loses the oldest.
const BEHIND: usize = 1024;
/// Events read at once; under more traffic the stream shows the newest only.
const AT_ONCE: usize = 200;
/// How often to look whether anybody still listens.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait at least.
const PAUSE: Duration = Duration::from_millis(50);

/// A live stream of events that are already durable. Slow readers lose the oldest.
pub struct Subscription(broadcast::Receiver<Arc<Entry>>);

impl Subscription {
    /// The next event, or `None` once the trail has stopped.
    pub async fn next(&mut self) -> Option<Arc<Entry>> {
        loop {
            match self.0.recv().await {
                Ok(entry) => return Some(entry),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The stream, which runs only while somebody listens.
#[derive(Default)]
pub(crate) struct Live(Mutex<Option<broadcast::Sender<Arc<Entry>>>>);

impl Live {
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        core: &Arc<Core>,
        closing: watch::Receiver<bool>,
    ) -> Subscription {
        let mut running = self.0.lock();
        if let Some(sender) = &*running {
            return Subscription(sender.subscribe());
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        *running = Some(sender.clone());
        // From the call on, not from when the task gets its turn.
        let (start, next) = (core.clock.now(), core.head.borrow().size);
        tokio::spawn(run(Arc::clone(self), Arc::clone(core), start, next, sender, closing));
        Subscription(receiver)
    }

    /// Whether the task has ended.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.0.lock().is_none()
    }

    /// Whether nobody listens any more; then the stream is forgotten, and the task must end.
    fn is_abandoned(&self, sender: &broadcast::Sender<Arc<Entry>>) -> bool {
        let mut running = self.0.lock();
        let abandoned = sender.receiver_count() == 0;
        if abandoned {
            *running = None;
        }
        abandoned
    }
}

async fn run(
    live: Arc<Live>,
    core: Arc<Core>,
    start: Timestamp,
    mut next: u64,
    sender: broadcast::Sender<Arc<Entry>>,
    mut closing: watch::Receiver<bool>,
) {
    let mut head = core.head.subscribe();
    loop {
        if live.is_abandoned(&sender) {
            return;
        }
        match fresh(&core, start, &mut next).await {
            // Nobody listens any more only if the last reader has just gone.
            Ok(entries) => entries.into_iter().for_each(|entry| drop(sender.send(Arc::new(entry)))),
            Err(error) => tracing::debug!(%error, "the live stream waits for the database"),
        }
        tokio::select! {
            _ = head.changed() => {}
            // Only to notice that nobody listens any more.
            () = tokio::time::sleep(POLL) => {}
            // Told to stop, or every handle is gone. Readers see the end when the sender is dropped.
            _ = closing.changed() => {
                *live.0.lock() = None;
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The events of the log from `next` on, oldest first; under much traffic the newest only.
async fn fresh(core: &Core, start: Timestamp, next: &mut u64) -> Result<Vec<Entry>, AuditError> {
    let size = core.head.borrow().size;
    if *next >= size {
        return Ok(Vec::new());
    }
    let from = (*next).max(size.saturating_sub(AT_ONCE as u64));
    let mut tx = core.db.begin_read(Scope::System("live event stream")).await?;
    let read = log::read(&mut tx, &core.keys, from, AT_ONCE).await?;
    *next = read.last().map_or(size, |last| last.index + 1);
    // What happened before somebody listened may enter the log afterwards.
    Ok(read.into_iter().map(|read| read.entry).filter(|entry| entry.at >= start).collect())
}
