//! The audit trail: event catalogue, outbox, search.
//!
//! An [`Event`] goes one of three ways. [`Audit::append`] writes it in the transaction of the change
//! it tells of, so that both or neither happen. [`Audit::record_durable`] writes one that has no
//! change of its own (a denial) and returns once it is on disk; whoever cannot record must refuse.
//! [`Audit::record`] queues traffic lines, which are written in groups; if the queue overflows, the
//! loss is counted and becomes an `audit.gap` event.
//!
//! What is personal (address, agent, concrete path, details) is sealed under the key of the person
//! whom the event is about, so that destroying the key erases it; what remains in clear is listed in
//! the migration `V0003__audit.sql`.
//!
//! What this crate refuses to do: it sends nothing over a network, it never blocks the request path
//! on a full queue, and no search goes unrecorded.

mod clean;
mod entry;
mod event;
mod gap;
mod kind;
mod live;
mod ocsf;
mod outbox;
mod place;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod threat;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Entropy, Id, Scope, kind as ids};
use keys::Keys;
use store::{Db, DbError, Tx};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use gap::{Cause, Losses};
use live::Live;
use outbox::Keyless;
use writer::{Core, Durable, Inbox};

pub use clean::{Agent, Clean, Detail, PathText, Short};
pub use entry::{Cursor, Entry, Filter, Page, Searcher};
pub use event::{Event, Stage, Stages};
pub use kind::{Durability, Kind, Personal, Retention, Spec, UnknownKind, Whose};
pub use live::Subscription;
pub use ocsf::to_ocsf;
pub use place::Place;
pub use record::{Outcome, Record, RequestInfo};
pub use threat::{Threat, ThreatLevel};

/// Traffic records that may wait.
const TRAFFIC_QUEUE: usize = 8_192;
/// Durable records that may wait; each has a caller that waits with it.
const DURABLE_QUEUE: usize = 1_024;
/// How long a caller waits for durability at most.
const DURABLE_WAIT: Duration = Duration::from_secs(5);
/// Events of one page at most.
pub const MAX_PAGE: usize = 200;

/// Why an event could not be recorded or a search not done.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database failed (full, read-only, away).
    #[error("the audit trail cannot be used: {0}")]
    Store(#[from] DbError),
    /// A key is missing or damaged.
    #[error("the audit trail's keys failed: {0}")]
    Keys(#[from] keys::KeysError),
    /// The writer has stopped, because the program is shutting down.
    #[error("the audit writer has stopped")]
    Stopped,
    /// The writer could not make the record durable. Callers answer 503.
    #[error("the audit trail cannot be written: {0}")]
    Refused(String),
    /// The writer did not answer in time; the record may become durable later. Callers answer 503.
    #[error("the audit trail does not answer in time")]
    TimedOut,
}

/// How the trail is doing, for `/ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the writer runs and its last write succeeded.
    pub writable: bool,
    /// Records that wait in the traffic queue.
    pub queued: usize,
    /// Traffic records lost since the start (each is part of an `audit.gap` event).
    pub dropped: u64,
    /// The last failure, in words without personal data; `None` while writable.
    pub failure: Option<String>,
}

/// The audit trail of one process. Cheap to clone. Dropping the last clone ends the writer once its queues
/// are empty; [`Audit::shutdown`] waits for that.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    traffic: mpsc::Sender<Record>,
    durable: mpsc::Sender<Durable>,
    closing: watch::Sender<bool>,
    writer: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    live: Arc<Live>,
}

impl Audit {
    /// Starts the writer. Must be called within a tokio runtime.
    pub fn start(db: Db, keys: Keys, clock: Clock, entropy: Entropy) -> Self {
        let core = Arc::new(Core {
            db,
            keys,
            clock,
            entropy,
            losses: Losses::default(),
            failure: parking_lot::Mutex::new(None),
            written: Notify::new(),
        });
        let (traffic, traffic_inbox) = mpsc::channel(TRAFFIC_QUEUE);
        let (durable, durable_inbox) = mpsc::channel(DURABLE_QUEUE);
        let (closing, closing_inbox) = watch::channel(false);
        let inbox = Inbox { traffic: traffic_inbox, durable: durable_inbox, closing: closing_inbox };
        let task = tokio::spawn(writer::run(Arc::clone(&core), inbox));
        let writer = tokio::sync::Mutex::new(Some(task));
        Self(Arc::new(Inner { core, traffic, durable, closing, writer, live: Arc::default() }))
    }

    /// Writes an event in the transaction of the change it tells of: both are stored or neither.
    ///
    /// # Errors
    /// If the database fails, or the account that the event is about has no key, or the transaction's scope
    /// covers neither that account nor (for an event about nobody) the system.
    pub async fn append(&self, tx: &mut Tx, record: &Record) -> Result<Id<ids::Event>, AuditError> {
        let core = &self.0.core;
        let id = Id::at(record.at, &core.entropy);
        let row = outbox::seal(tx, &core.keys, record, id, Keyless::Refuse).await?;
        outbox::insert(tx, &row).await?;
        Ok(id)
    }

    /// Queues a traffic record; never waits and never fails. If the queue is full, the loss is counted.
    pub fn record(&self, record: Record) {
        debug_assert!(
            record.event.kind().spec().durability == Durability::Traffic,
            "critical events are appended to their change or recorded durably"
        );
        if let Err(TrySendError::Full(lost) | TrySendError::Closed(lost)) = self.0.traffic.try_send(record) {
            self.0.core.losses.dropped(lost.at, Cause::Overflow);
        }
    }

    /// Writes a record that has no change of its own; returns once it is durable.
    ///
    /// # Errors
    /// If it is not durable: the caller must refuse what it was about to allow or answer.
    pub async fn record_durable(&self, record: Record) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        let written = async {
            self.0.durable.send(Durable { record, reply }).await.map_err(|_| AuditError::Stopped)?;
            answer.await.map_err(|_| AuditError::Stopped)?
        };
        tokio::time::timeout(DURABLE_WAIT, written).await.map_err(|_| AuditError::TimedOut)?
    }

    /// One page of at most `limit` (and [`MAX_PAGE`]) events, newest first, from `cursor` on. An account's
    /// scope sees that account's events only. `audit.searched` is durable before the answer is given.
    ///
    /// # Errors
    /// If the database fails or the search cannot be recorded.
    pub async fn search(
        &self,
        by: &Searcher,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, AuditError> {
        let page = match (by.scope, filter.account) {
            (Scope::Account(own), Some(other)) if own != other => Page { entries: Vec::new(), next: None },
            (Scope::Account(own), _) => {
                self.find(by.scope, &Filter { account: Some(own), ..filter.clone() }, cursor, limit).await?
            }
            (Scope::System(_), _) => self.find(by.scope, filter, cursor, limit).await?,
        };
        let results = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
        let event = Event::AuditSearched { by: reader::filters_used(filter), results };
        let mut searched = Record::new(self.0.core.clock.now(), event).by(by.actor);
        searched.about = reader::searcher(by.actor);
        searched.request.clone_from(&by.request);
        self.record_durable(searched).await?;
        Ok(page)
    }

    async fn find(
        &self,
        scope: Scope,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, AuditError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let core = &self.0.core;
        let mut tx = core.db.begin_read(scope).await?;
        // One more than asked for tells whether there is a next page.
        let mut rows = reader::find(&mut tx, &core.keys, filter, cursor.map(|c| c.id), limit + 1).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.push(reader::entry(&mut tx, &core.keys, row, scope).await?);
        }
        let next = entries.last().filter(|_| more).map(|last| Cursor { at: last.at, id: last.id });
        Ok(Page { entries, next })
    }

    /// A live stream of events from all nodes, after they are durable. The caller answers for who may see
    /// it: it shows what an operator may see, and is recorded by whoever opens it.
    pub fn subscribe(&self) -> Subscription {
        self.0.live.subscribe(&self.0.core, self.0.closing.subscribe())
    }

    /// How the trail is doing.
    pub fn health(&self) -> Health {
        let core = &self.0.core;
        let stopped = self.0.traffic.is_closed().then(|| "the audit writer has stopped".to_owned());
        let failure = core.failure.lock().clone().or(stopped);
        Health {
            writable: failure.is_none(),
            queued: self.0.traffic.max_capacity() - self.0.traffic.capacity(),
            dropped: core.losses.dropped_ever(),
            failure,
        }
    }

    /// Writes what is queued and stops the writer. Records that come later are refused or counted as lost.
    pub async fn shutdown(&self) {
        self.0.closing.send_replace(true);
        let task = self.0.writer.lock().await.take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("the audit writer ended by a panic");
        }
    }
}
