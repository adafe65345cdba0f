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
mod kind;
mod record;

use base::{Clock, Entropy, Id, Scope, kind as ids};
use keys::Keys;
use store::{Db, DbError, Tx};

pub use clean::{Agent, Clean, Detail, PathText, Short};
pub use entry::{Cursor, Entry, Filter, Page, Searcher};
pub use event::{Event, Stage, Stages};
pub use kind::{Durability, Kind, Retention, Spec};
pub use record::{Outcome, Record, RequestInfo};

/// Why an event could not be recorded or a search not done.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database refused (full, read-only, away). Callers of durable events answer 503.
    #[error("the audit trail cannot be written: {0}")]
    Store(#[from] DbError),
    /// A key is missing or a body does not open.
    #[error("the audit trail's keys failed: {0}")]
    Keys(#[from] keys::KeysError),
    /// The writer has stopped, because the program is shutting down.
    #[error("the audit writer has stopped")]
    Stopped,
    /// The writer refused for the reason given; shared by all events of a group.
    #[error("the audit trail cannot be written: {0}")]
    Refused(String),
}

/// How the trail is doing, for `/ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the last write succeeded.
    pub writable: bool,
    /// Records that wait in the traffic queue.
    pub queued: usize,
    /// Traffic records lost since the start (each is part of an `audit.gap` event).
    pub dropped: u64,
    /// The last failure, in words without personal data; `None` while writable.
    pub failure: Option<String>,
}

/// A live stream of events that are already durable. Slow readers lose the oldest.
pub struct Subscription {}

impl Subscription {
    /// The next event, or `None` once the trail has stopped.
    pub async fn next(&mut self) -> Option<std::sync::Arc<Entry>> {
        todo!()
    }
}

/// The audit trail of one process. Cheap to clone.
#[derive(Clone)]
pub struct Audit {}

impl Audit {
    /// Starts the writer. Must be called within a tokio runtime.
    pub fn start(db: Db, keys: Keys, clock: Clock, entropy: Entropy) -> Self {
        todo!()
    }
    /// Writes an event in the transaction of the change it tells of.
    pub async fn append(&self, tx: &mut Tx, record: &Record) -> Result<Id<ids::Event>, AuditError> {
        todo!()
    }
    /// Queues a traffic record; never waits and never fails.
    pub fn record(&self, record: Record) {
        todo!()
    }
    /// Writes a record that has no change of its own; returns once it is durable.
    pub async fn record_durable(&self, record: Record) -> Result<(), AuditError> {
        todo!()
    }
    /// One page of events, newest first. Records `audit.searched` before it answers.
    pub async fn search(&self, by: &Searcher, filter: &Filter, cursor: Option<Cursor>, limit: usize) -> Result<Page, AuditError> {
        todo!()
    }
    /// A live stream of events from all nodes, after they are durable.
    pub fn subscribe(&self) -> Subscription {
        todo!()
    }
    /// How the trail is doing.
    pub fn health(&self) -> Health {
        todo!()
    }
    /// Writes what is queued and stops the writer. Records that come later are refused.
    pub async fn shutdown(&self) {
        todo!()
    }
}
