//! The live stream: one task reads what has become durable, from all nodes, and hands it to all readers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base::{Id, Scope, Timestamp, kind as ids};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::outbox::first_id;
use crate::writer::Core;
use crate::{AuditError, Entry, Filter, reader};

/// Events that a slow reader may be behind before it loses the oldest.
const BEHIND: usize = 1024;
/// Events read at once; under more traffic the stream shows the newest only.
const AT_ONCE: usize = 200;
/// How long to wait at most, for what other nodes wrote.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait at least.
const PAUSE: Duration = Duration::from_millis(50);
/// How far to look back, in milliseconds: a transaction may commit after a younger one.
const LOOK_BACK_MS: i64 = 5_000;

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
        let start = core.clock.now();
        tokio::spawn(run(Arc::clone(self), Arc::clone(core), start, sender, closing));
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
    sender: broadcast::Sender<Arc<Entry>>,
    mut closing: watch::Receiver<bool>,
) {
    let mut seen = BTreeSet::new();
    loop {
        let written = core.written.notified();
        if live.is_abandoned(&sender) {
            return;
        }
        match fresh(&core, start, &mut seen).await {
            // Nobody listens any more only if the last reader has just gone.
            Ok(entries) => entries.into_iter().for_each(|entry| drop(sender.send(Arc::new(entry)))),
            Err(error) => tracing::debug!(%error, "the live stream waits for the database"),
        }
        tokio::select! {
            () = written => {}
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

/// The newest events that were not seen before, oldest first.
async fn fresh(
    core: &Core,
    start: Timestamp,
    seen: &mut BTreeSet<Id<ids::Event>>,
) -> Result<Vec<Entry>, AuditError> {
    let since = core.clock.now().plus_ms(-LOOK_BACK_MS).max(start);
    let floor = first_id(since);
    *seen = seen.split_off(&floor);
    let filter = Filter { from: Some(since), ..Filter::default() };
    let scope = Scope::System("live event stream");
    let mut tx = core.db.begin_read(scope).await?;
    let rows = reader::find(&mut tx, &core.keys, &filter, None, AT_ONCE).await?;
    let mut entries = Vec::new();
    for row in rows.iter().rev() {
        if seen.insert(row.get(0)?) {
            entries.push(reader::entry(&mut tx, &core.keys, row, scope).await?);
        }
    }
    Ok(entries)
}
