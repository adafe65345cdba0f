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

mod attest;
mod checking;
mod clean;
mod entry;
mod erase;
mod event;
mod evidence;
mod export;
mod forget;
mod gap;
mod hourly;
mod kind;
pub mod leaf;
mod live;
pub mod log;
mod ocsf;
mod opening;
mod outbox;
mod packed;
mod place;
mod record;
mod regular;
mod scrub;
mod search;
#[cfg(test)]
mod tests;
mod threat;
pub mod verify;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::{Clock, Entropy, Id, kind as ids};
use keys::Keys;
use store::{Db, DbError, Tx};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use gap::{Cause, Losses};
use live::Live;
use outbox::Keyless;
use packed::Packer;
use writer::{Core, Durable, Inbox};

pub use attest::{Attestation, NoAttestation};
pub use checking::{ErasedBodies, Fault, FaultPlace, Progress, Report};
pub use clean::{Agent, Clean, Detail, PathText, Short};
pub use entry::{Cursor, Entry, Filter, Page, Searcher};
pub use erase::Erasure;
pub use event::{Event, Stage, Stages};
pub use evidence::{Evidence, EvidenceSource, EvidenceState, Heard};
pub use export::{Export, FORMAT as EXPORT_FORMAT, Selection};
pub use hourly::{Count, Counts, DAY_MS, Grouping, HOUR_MS, MAX_COUNTS};
pub use kind::{Durability, Kind, Personal, Retention, Spec, UnknownKind, Whose};
pub use leaf::Leaf;
pub use live::Subscription;
pub use log::{LogEntry, LogSettings, MAX_READ, TreeHead};
pub use ocsf::to_ocsf;
pub use place::Place;
pub use record::{Outcome, Record, RequestInfo};
pub use threat::{Threat, ThreatLevel};

/// Traffic records that may wait: those of more than half a second at full load, so that a disk which pauses costs none.
/// Usually some hundred bytes each; at worst, with the longest paths, 2 KB.
const TRAFFIC_QUEUE: usize = 32_768;
/// So many that wait mean that requests keep the cores from whoever seals and stores their records.
const BEHIND: usize = 6_144;
/// Durable records that may wait; each has a caller that waits with it.
const DURABLE_QUEUE: usize = 1_024;
/// How long a caller waits for durability at most.
const DURABLE_WAIT: Duration = Duration::from_secs(5);
/// How long [`Audit::settled`] waits at most.
const SETTLED_WAIT: Duration = Duration::from_secs(10);
/// How long a search waits for what was recorded before it.
const SEARCH_WAIT: Duration = Duration::from_millis(300);
/// How long an export waits for the log to hold what was recorded before; longer than it takes until another node leads.
const EXPORT_WAIT: Duration = Duration::from_secs(2);
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
    /// The log lags behind what was recorded, and what is asked for reaches so far. Callers answer 503.
    #[error("what was recorded since {since} is not in the log yet: ask for what was before, or try again")]
    Behind {
        /// The time of the first event that waits.
        since: base::Timestamp,
    },
    /// The log's own data do not fit together.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The log's files cannot be read or written.
    #[error("the log's files: {0}")]
    Files(String),
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
    /// What is wrong with the log: it does not grow, its files were touched, an older copy was restored. Empty is good.
    pub problems: Vec<String>,
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
    tasks: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
    live: Arc<Live>,
}

impl Audit {
    /// Starts the writer and the sequencer with a log that lives in the database alone. Must be called within a tokio
    /// runtime.
    pub fn start(db: Db, keys: Keys, clock: Clock, entropy: Entropy) -> Self {
        Self::start_with(db, keys, clock, entropy, LogSettings::default())
    }

    /// Starts the writer, the sequencer and, where the settings name a folder, the mirror. Must be called within a
    /// tokio runtime.
    pub fn start_with(db: Db, keys: Keys, clock: Clock, entropy: Entropy, settings: LogSettings) -> Self {
        let log = log::State::new(&entropy);
        let core = Arc::new(Core {
            db,
            keys,
            clock,
            entropy,
            settings,
            losses: Losses::default(),
            failure: parking_lot::Mutex::new(None),
            written: Notify::new(),
            head: watch::Sender::new(TreeHead::default()),
            log,
            checking: checking::Checking::default(),
        });
        let (traffic, traffic_inbox) = mpsc::channel(TRAFFIC_QUEUE);
        let (durable, durable_inbox) = mpsc::channel(DURABLE_QUEUE);
        let closing = watch::Sender::new(false);
        let (written, writer_done) = oneshot::channel();
        let inbox = Inbox { traffic: traffic_inbox, durable: durable_inbox, closing: closing.subscribe() };
        let writer = Arc::clone(&core);
        let mut tasks = vec![tokio::spawn(async move {
            writer::run(writer, inbox).await;
            // The sequencer takes what the writer left, then ends.
            let _ = written.send(());
        })];
        tasks.extend(log::start(&core, writer_done));
        let tasks = tokio::sync::Mutex::new(tasks);
        Self(Arc::new(Inner { core, traffic, durable, closing, tasks, live: Arc::default() }))
    }

    /// Writes an event in the transaction of the change it tells of: both are stored or neither.
    ///
    /// # Errors
    /// If the database fails, or the account that the event is about has no key, or the transaction's scope
    /// covers neither the event's people nor (for an event about nobody) the system.
    pub async fn append(&self, tx: &mut Tx, record: &Record) -> Result<Id<ids::Event>, AuditError> {
        let core = &self.0.core;
        let id = Id::at(record.at, &core.entropy);
        let next = outbox::seal_in(tx, &core.keys, &core.entropy, record, id, Keyless::Refuse).await?;
        outbox::insert(tx, Packer::of(&next.event), outbox::When::Next).await?;
        core.log.coming.notify_one();
        Ok(id)
    }

    /// Queues a traffic record; never waits and never fails. If the queue is full, the loss is counted.
    pub fn record(&self, record: Record) {
        debug_assert!(
            record.event.kind().spec().durability == Durability::Traffic,
            "critical events are appended to their change or recorded durably"
        );
        let core = &self.0.core;
        if self.0.traffic.capacity() < TRAFFIC_QUEUE - BEHIND {
            // Whoever seals and stores is behind: it may have this core for a moment, before anything is lost.
            std::thread::yield_now();
        }
        core.log.queued.fetch_add(1, Ordering::SeqCst);
        if let Err(TrySendError::Full(lost) | TrySendError::Closed(lost)) = self.0.traffic.try_send(record) {
            core.log.handled.fetch_add(1, Ordering::SeqCst);
            core.losses.dropped(lost.at, Cause::Overflow);
        }
    }

    /// Writes a record that has no change of its own; returns once it is durable.
    ///
    /// # Errors
    /// If it is not durable: the caller must refuse what it was about to allow or answer.
    pub async fn record_durable(&self, record: Record) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        let core = &self.0.core;
        let written = async {
            // Sealed here, not by the writer: callers share the cores, the writer is one.
            let event = core.seal(&record).await.map_err(|refusal| core.refused(record.at, refusal))?;
            let at = record.at;
            self.0.durable.send(Durable { event, at, reply }).await.map_err(|_| AuditError::Stopped)?;
            answer.await.map_err(|_| AuditError::Stopped)?
        };
        tokio::time::timeout(DURABLE_WAIT, written).await.map_err(|_| AuditError::TimedOut)?
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
            problems: core.log.problems(),
        }
    }

    /// Writes what is queued and stops the writer. Records that come later are refused or counted as lost.
    pub async fn shutdown(&self) {
        self.0.closing.send_replace(true);
        for task in std::mem::take(&mut *self.0.tasks.lock().await) {
            if task.await.is_err() {
                tracing::error!("a task of the audit trail ended by a panic");
            }
        }
    }

    /// Waits until everything that was recorded before is in the log: what is durable already, and the traffic that is
    /// queued. For tests, and for commands that read right after writing.
    ///
    /// # Errors
    /// [`AuditError::TimedOut`] after ten seconds, or if the database fails.
    pub async fn settled(&self) -> Result<(), AuditError> {
        self.0.core.settled(SETTLED_WAIT).await
    }

    /// Waits for at most `patience` until everything durable is in the log, and says whether it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn settled_within(&self, patience: Duration) -> Result<bool, AuditError> {
        self.0.core.sequenced(patience).await
    }

    /// The newest tree of the log, as it grows.
    pub fn tree(&self) -> watch::Receiver<TreeHead> {
        self.0.core.head.subscribe()
    }

    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }
}
