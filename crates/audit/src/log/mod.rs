//! The Merkle log: the sequencer that grows it, its files, and how it is read.

mod check;
pub(crate) mod extend;
mod files;
mod growth;
mod keeper;
mod pressure;
pub(crate) mod reading;
pub(crate) mod sequencer;
mod settle;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::{Entropy, Timestamp};
use crypto::log::{Edge, Hash, empty_root};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::Entry;
use crate::writer::Core;

pub(crate) use extend::straight;
pub(crate) use growth::Next;
use pressure::Pressure;
pub use reading::MAX_READ;
pub(crate) use reading::read;

/// Where the log lives beside the database, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The log's name, which every checkpoint carries. The first keys pin it: a later change does not rename the log.
    pub origin: String,
    /// Whether checkpoints carry a second signature, of ML-DSA-44.
    pub post_quantum: bool,
    /// Where the mirror of tiles, entries and checkpoint is kept, in the layout of C2SP tlog-tiles; `None` for none.
    pub folder: Option<PathBuf>,
    /// Where the newest checkpoint is kept a second time; `None` for nowhere.
    pub anchor: Option<PathBuf>,
    /// The database's own file, to be watched; `None` if it has none.
    pub database: Option<PathBuf>,
    /// How often the log's files are looked at.
    pub watch_every: Duration,
}

impl Default for LogSettings {
    /// A log in the database alone.
    fn default() -> Self {
        Self {
            origin: "fortissimo.invalid/log".into(),
            post_quantum: false,
            folder: None,
            anchor: None,
            database: None,
            watch_every: Duration::from_secs(5),
        }
    }
}

/// One event with its place in the log; its bodies opened as far as keys exist.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Counted from 0, without holes.
    pub index: u64,
    /// The event.
    pub entry: Entry,
}

/// The newest tree of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// How many events it has.
    pub size: u64,
    /// Its root hash (RFC 6962).
    pub root: Hash,
    /// The signed checkpoint (c2sp.org/tlog-checkpoint); empty before the first event.
    pub checkpoint: Arc<str>,
    /// When it was made.
    pub at: Timestamp,
}

impl Default for TreeHead {
    /// The empty tree.
    fn default() -> Self {
        Self { size: 0, root: empty_root(), checkpoint: "".into(), at: Timestamp::from_millis(0) }
    }
}

/// What the log's tasks share.
pub(crate) struct State {
    /// This process, as the tree's leader.
    pub(crate) me: [u8; 16],
    /// Whether this process was the tree's leader when it last looked.
    leads: AtomicBool,
    /// The log's name, once its keys are there.
    pub(crate) origin: OnceLock<String>,
    /// The tree's edge as this process left it last; trusted only while it fits the database.
    pub(crate) edge: Mutex<Option<Edge>>,
    /// Where the next batch dies, as if the process had been killed there.
    #[cfg(test)]
    pub(crate) cut: Mutex<Option<extend::Cut>>,
    /// Traffic records that were queued and that were dealt with, since the start.
    pub(crate) queued: AtomicU64,
    pub(crate) handled: AtomicU64,
    /// Why the log does not grow; `None` while it does.
    pub(crate) failure: Mutex<Option<String>>,
    /// What is wrong with the log's files and is not over, by a name of its own.
    pub(crate) problems: Mutex<BTreeMap<String, String>>,
    /// Rung when somebody waits for the sequencer.
    pub(crate) wanted: Notify,
    /// Rung when an event comes with a transaction that is not stored yet.
    pub(crate) coming: Notify,
    /// Whether the log has to wait for requests.
    pub(crate) pressure: Pressure,
}

impl State {
    /// Traffic records that are not durable yet.
    pub(crate) fn unwritten(&self) -> u64 {
        self.queued.load(Ordering::SeqCst).saturating_sub(self.handled.load(Ordering::SeqCst))
    }

    pub(crate) fn new(entropy: &Entropy) -> Self {
        Self {
            me: entropy.bytes(),
            leads: AtomicBool::new(false),
            origin: OnceLock::new(),
            edge: Mutex::new(None),
            #[cfg(test)]
            cut: Mutex::new(None),
            queued: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            failure: Mutex::new(None),
            problems: Mutex::new(BTreeMap::new()),
            wanted: Notify::new(),
            coming: Notify::new(),
            pressure: Pressure::default(),
        }
    }

    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    pub(crate) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// Everything that is wrong now.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut all: Vec<String> = self.problems.lock().values().cloned().collect();
        all.extend(self.failure.lock().as_ref().map(|failure| format!("the log does not grow: {failure}")));
        all
    }
}

/// Starts the tasks of the log; they end once the writer has written its last.
pub(crate) fn start(core: &Arc<Core>, writer_done: oneshot::Receiver<()>) -> Vec<JoinHandle<()>> {
    let (ended, sequencer_done) = oneshot::channel();
    let sequencer = Arc::clone(core);
    let mut tasks = vec![tokio::spawn(async move {
        sequencer::run(sequencer, writer_done).await;
        let _ = ended.send(());
    })];
    if core.settings.folder.is_some() || core.settings.anchor.is_some() {
        tasks.push(tokio::spawn(keeper::run(Arc::clone(core), sequencer_done)));
    }
    tasks
}
