//! Verification on request: the whole log as this node sees it, or one proof that somebody holds.
//!
//! A whole log may have many millions of entries, so it is verified on a thread of its own, one at a time in each
//! process; whoever asks meanwhile waits for the same answer. What came of it is an event.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Scope, Timestamp};
use crypto::log::{Hash, Node, NoteError, ProofFile, root_at};
use parking_lot::Mutex;
use serde::Serialize;
use store::{params, sql};
use tokio::sync::watch;

use crate::log::reading::{self, integer, with_nodes};
use crate::verify::{self, Database, Finding, Findings, Folder, Tree, Trust, VerifyError};
use crate::writer::Core;
use crate::{Audit, AuditError, Event, Outcome, Searcher};

const SCOPE: Scope = Scope::System("verifying the log");
/// Bytes of the second place's checkpoint that are read at most.
const MAX_CHECKPOINT: u64 = 64 * 1024;
/// Faults that a report lists at most.
const FAULTS: usize = 200;

sql! {
    LEAF_AT = "SELECT leaf FROM audit_event WHERE idx = $1";
}

/// Where a fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPlace {
    /// The tables.
    Database,
    /// The files beside them.
    Files,
    /// The comparison with the checkpoint in the second place.
    Anchor,
    /// A proof that was supplied.
    Proof,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where.
    pub place: FaultPlace,
    /// In one word: `altered`, `missing`, `truncated`, `replayed`, …
    pub word: String,
    /// The first entry at fault, where one can be named.
    pub index: Option<u64>,
    /// In a sentence.
    pub text: String,
}

/// Bodies that can be read no more because an event of the log destroyed their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasedBodies {
    /// The index of the event that did.
    pub by: u64,
    /// How many.
    pub bodies: u64,
}

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `log` or `proof`.
    pub what: &'static str,
    /// `whole`, `proven`, or the first fault's word.
    pub verdict: String,
    /// Nothing is wrong.
    pub right: bool,
    /// The first entry at fault; of a proof, the proven entry.
    pub index: Option<u64>,
    /// Entries of the tree.
    pub tree_size: u64,
    /// The signed checkpoint, as it was found.
    pub checkpoint: String,
    /// Whose signatures on it are right.
    pub signed_by: Vec<String>,
    /// Leaves that were hashed.
    pub leaves: u64,
    /// Sealed bodies that were compared with what the leaves commit to.
    pub bodies: u64,
    /// What was erased with authority.
    pub erased: Vec<ErasedBodies>,
    /// The files of the log were verified, too; `false` if there are none.
    pub files: bool,
    /// The checkpoint in the second place was compared; `false` if there is no second place.
    pub anchor: bool,
    /// What is wrong, as far as listed.
    pub faults: Vec<Fault>,
    /// How many further faults there are.
    pub more: u64,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How far a verification of the whole log is.
#[derive(Debug, Clone, Default)]
pub enum Progress {
    /// None was asked for since the start of this process.
    #[default]
    None,
    /// One runs since this time.
    Running(Timestamp),
    /// The last one's report.
    Done(Arc<Report>),
    /// The last one could not look, which says nothing about the log.
    Failed(String),
}

/// The one verification that may run.
#[derive(Default)]
pub(crate) struct Checking(Mutex<Option<watch::Receiver<Progress>>>);

impl Audit {
    /// Verifies the whole log: database, files, second place. Waits for at most `patience`; an answer of
    /// [`Progress::Running`] means that it goes on, and can be asked for with [`Audit::verification`]. The result is on
    /// record before it is given.
    pub async fn verify_log(&self, by: &Searcher, patience: Duration) -> Progress {
        let mut progress = self.start_verification(by);
        let done = progress.wait_for(|state| !matches!(state, Progress::Running(_)));
        let ended = tokio::time::timeout(patience, done).await;
        match ended {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => Progress::Failed("the verification broke off".into()),
            Err(_) => self.verification(),
        }
    }

    /// The state of the verification that was asked for last.
    pub fn verification(&self) -> Progress {
        let last = self.core().checking.0.lock();
        let Some(progress) = &*last else { return Progress::None };
        let state = progress.borrow().clone();
        match state {
            // The thread is gone without a word.
            Progress::Running(_) if progress.has_changed().is_err() => {
                Progress::Failed("the verification broke off".into())
            }
            state => state,
        }
    }

    /// Joins the one that runs, or starts one.
    fn start_verification(&self, by: &Searcher) -> watch::Receiver<Progress> {
        let mut last = self.core().checking.0.lock();
        if let Some(running) = &*last
            && running.has_changed().is_ok()
            && matches!(*running.borrow(), Progress::Running(_))
        {
            return running.clone();
        }
        let at = self.core().clock.now();
        let (sender, receiver) = watch::channel(Progress::Running(at));
        *last = Some(receiver.clone());
        let (audit, by) = (self.clone(), by.clone());
        // Not a task: hashing millions of leaves would keep a scheduler from its other tasks. Not of the pool for blocking
        // calls either, for whose threads the end of the program waits.
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let state = match runtime {
                Ok(runtime) => runtime.block_on(audit.whole(&by, at)),
                Err(error) => Progress::Failed(format!("no thread can be had for it: {error}")),
            };
            sender.send_replace(state);
        };
        if let Err(error) = std::thread::Builder::new().name("audit-verify".into()).spawn(body) {
            tracing::error!(%error, "no thread can be had for the verification of the log");
        }
        receiver
    }

    async fn whole(&self, by: &Searcher, at: Timestamp) -> Progress {
        let begun = Instant::now();
        match examine(self.core()).await {
            Ok(mut report) => {
                report.at = at;
                report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                match self.verified(by, &report).await {
                    Ok(()) => Progress::Done(Arc::new(report)),
                    Err(error) => Progress::Failed(format!("the result cannot be recorded: {error}")),
                }
            }
            Err(error) => {
                tracing::error!(%error, "the log could not be verified");
                Progress::Failed(error.to_string())
            }
        }
    }

    /// Verifies a proof (`.tlog-proof`) against the log's keys and the log itself: the signature, the way from the leaf
    /// to the signed root, and that the signed tree is the beginning of today's. `leaf` are the proven bytes; without
    /// them, those that the file carries, or those of the log's own entry. The result is on record before it is given.
    ///
    /// # Errors
    /// If the database fails or the result cannot be recorded; what is wrong with the proof is in the report.
    pub async fn verify_proof(
        &self,
        by: &Searcher,
        proof: &str,
        leaf: Option<&[u8]>,
    ) -> Result<Report, AuditError> {
        let core = self.core();
        let (at, begun) = (core.clock.now(), Instant::now());
        let mut report = Report::new("proof");
        if let Err((word, text)) = prove(core, proof, leaf, &mut report).await? {
            report.faults.push(Fault {
                place: FaultPlace::Proof,
                word: word.into(),
                index: report.index,
                text,
            });
        }
        report.conclude("proven");
        report.at = at;
        report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.verified(by, &report).await?;
        Ok(report)
    }

    async fn verified(&self, by: &Searcher, report: &Report) -> Result<(), AuditError> {
        let event = Event::AuditVerified {
            what: report.what,
            verdict: report.verdict.as_str().into(),
            tree_size: report.tree_size,
            index: report.index,
        };
        let outcome = if report.right { Outcome::Success } else { Outcome::Failure };
        self.record_durable(self.seen(by, event).ended(outcome)).await
    }
}

impl Report {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            verdict: String::new(),
            right: false,
            index: None,
            tree_size: 0,
            checkpoint: String::new(),
            signed_by: Vec::new(),
            leaves: 0,
            bodies: 0,
            erased: Vec::new(),
            files: false,
            anchor: false,
            faults: Vec::new(),
            more: 0,
            at: Timestamp::from_millis(0),
            took_ms: 0,
        }
    }

    fn add(&mut self, place: FaultPlace, findings: &Findings) {
        self.more += findings.more;
        for finding in &findings.listed {
            if self.faults.len() == FAULTS {
                self.more += 1;
                continue;
            }
            let (word, text) = (finding.word().to_owned(), finding.to_string());
            self.faults.push(Fault { place, word, index: index_of(finding), text });
        }
    }

    fn conclude(&mut self, right: &str) {
        self.right = self.faults.is_empty() && self.more == 0;
        let first = self.faults.first();
        self.verdict = first.map_or_else(|| right.to_owned(), |fault| fault.word.clone());
        if let Some(first) = first {
            // The first that names an entry: a checkpoint's fault and an entry's may go together.
            self.index =
                first.index.or_else(|| self.faults.iter().find_map(|fault| fault.index)).or(self.index);
        }
    }
}

/// The first entry that a finding is about.
const fn index_of(finding: &Finding) -> Option<u64> {
    match finding {
        Finding::Altered { index, .. }
        | Finding::Swapped { index, .. }
        | Finding::Inserted { index }
        | Finding::BodyMissing { index, .. }
        | Finding::ErasedWithoutAuthority { index, .. }
        | Finding::NotErased { index, .. } => Some(*index),
        Finding::Missing { from, .. } | Finding::Truncated { from, .. } | Finding::Unproven { from, .. } => {
            Some(*from)
        }
        // None of a row below the first.
        Finding::RowInserted { index } | Finding::BodyInserted { index, .. } if *index >= 0 => {
            Some(index.unsigned_abs())
        }
        // What is gone begins where the log ends.
        Finding::Replayed { size, .. } => Some(*size),
        _ => None,
    }
}

/// Looks at everything that this node has of the log.
async fn examine(core: &Core) -> Result<Report, VerifyError> {
    let mut report = Report::new("log");
    let trust = trust(core);
    // In this order: what is read later is never older.
    let anchor = match &core.settings.anchor {
        Some(path) => read_text(path)?,
        None => None,
    };
    let earlier: Vec<u64> = anchor.iter().filter_map(|note| size_of(note)).collect();
    let mut sizes = earlier.clone();
    if let Some(folder) = &core.settings.folder {
        let files = verify::tree(&mut Folder::new(folder.clone()), &trust, &earlier).await?;
        report.files = true;
        report.add(FaultPlace::Files, &files.findings);
        if core.settings.anchor.is_some() && files.findings == Findings::default() {
            report.add(FaultPlace::Files, &verify::anchored(&files, anchor.as_deref(), &trust));
        }
        sizes.extend(files.head.iter().map(|head| head.size));
        let so_far = report.faults.len();
        let tree = database(core, &trust, &sizes, &mut report).await?;
        if files.head.is_none() && so_far == 0 && tree.head.as_ref().is_some_and(|head| head.size > 0) {
            let mut gone = Findings::default();
            gone.add(Finding::NoCheckpoint);
            report.add(FaultPlace::Files, &gone);
        }
        // The files follow the database, never the other way round: a database that ends before them was cut, and two
        // trees that are each in order may still be two.
        if !files.signed_by.is_empty() {
            report.add(FaultPlace::Database, &verify::anchored(&tree, Some(&files.checkpoint), &trust));
        }
        compare(core, &tree, anchor.as_deref(), &trust, &mut report);
        beside(core, &tree, &mut report).await?;
    } else {
        let tree = database(core, &trust, &sizes, &mut report).await?;
        compare(core, &tree, anchor.as_deref(), &trust, &mut report);
        beside(core, &tree, &mut report).await?;
    }
    report.conclude("whole");
    Ok(report)
}

async fn database(
    core: &Core,
    trust: &Trust,
    sizes: &[u64],
    report: &mut Report,
) -> Result<Tree, VerifyError> {
    let tree = verify::tree(&mut Database::new(core.db.clone()), trust, sizes).await?;
    report.tree_size = tree.head.as_ref().map_or(0, |head| head.size);
    report.checkpoint.clone_from(&tree.checkpoint);
    report.signed_by.clone_from(&tree.signed_by);
    report.leaves = tree.leaves;
    report.add(FaultPlace::Database, &tree.findings);
    Ok(tree)
}

/// What lies beside the leaves. Looked at last: what an older copy lacks is not the fault, that it is older is.
async fn beside(core: &Core, tree: &Tree, report: &mut Report) -> Result<(), VerifyError> {
    let rows = verify::rows(&core.db, &core.keys, report.tree_size, &tree.erasures).await?;
    report.bodies = rows.bodies;
    let erased =
        rows.erased.iter().take(FAULTS).map(|(by, bodies)| ErasedBodies { by: *by, bodies: *bodies });
    report.erased = erased.collect();
    report.add(FaultPlace::Database, &rows.findings);
    Ok(())
}

fn compare(core: &Core, tree: &Tree, anchor: Option<&str>, trust: &Trust, report: &mut Report) {
    if core.settings.anchor.is_some() {
        report.anchor = true;
        report.add(FaultPlace::Anchor, &verify::anchored(tree, anchor, trust));
    }
}

fn trust(core: &Core) -> Trust {
    Trust { origin: core.keys.log_origin(), keys: core.keys.log_verifiers(), witnesses: Vec::new() }
}

fn size_of(note: &str) -> Option<u64> {
    crypto::log::Checkpoint::read_unverified(note).ok().map(|head| head.size)
}

/// The verification has a thread of its own, which may wait for a disk.
fn read_text(path: &std::path::Path) -> Result<Option<String>, VerifyError> {
    let bytes = verify::read_regular(path, MAX_CHECKPOINT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A fault's word and sentence.
type Wrong = (&'static str, String);

/// Verifies one proof; fills in what it says of itself.
async fn prove(
    core: &Core,
    proof: &str,
    leaf: Option<&[u8]>,
    report: &mut Report,
) -> Result<Result<(), Wrong>, AuditError> {
    let file = match ProofFile::parse(proof) {
        Ok(file) => file,
        Err(error) => return Ok(Err(("malformed", error.to_string()))),
    };
    report.index = Some(file.index);
    report.checkpoint.clone_from(&file.checkpoint);
    let trust = trust(core);
    let origin = trust.origin.clone().unwrap_or_default();
    let mut tx = core.db.begin_read(SCOPE).await?;
    let ours: Option<Vec<u8>> = match tx.query_opt(LEAF_AT, params![integer(file.index)]).await? {
        Some(row) => Some(row.get(0)?),
        None => None,
    };
    // What was given, else what the file carries (our own do), else what the log has now.
    let given = leaf.map(<[u8]>::to_vec).or_else(|| file.extra.clone());
    let Some(leaf) = given.or_else(|| ours.clone()) else {
        return Ok(Err(("missing", format!("the log has no entry {}", file.index))));
    };
    report.leaves = 1;
    let open = match file.verify(&leaf, &origin, &trust.keys) {
        Ok(open) => open,
        Err(error) => {
            report.tree_size = size_of(&file.checkpoint).unwrap_or(0);
            return Ok(Err(wrong(&error, &file)));
        }
    };
    let (size, root) = (open.checkpoint.size, open.checkpoint.root);
    report.tree_size = size;
    let label = |key: usize| trust.keys.get(key).map(|key| format!("{}+{:08x}", key.name(), key.id()));
    report.signed_by = open.signed_by.iter().filter_map(|signed| label(signed.key)).collect();
    let head = reading::head(&mut tx).await?;
    if size > head.size {
        let text =
            format!("the proof's tree has {size} entries, the log only {}: the log was cut", head.size);
        return Ok(Err(("replayed", text)));
    }
    let now: Hash =
        with_nodes(&mut tx, head.size, |read: &mut dyn FnMut(Node) -> _| root_at(size, read)).await?;
    match ours {
        None => {
            return Ok(Err((
                "missing",
                format!("entry {} is proven, but the log no longer has it", file.index),
            )));
        }
        Some(ours) if ours != leaf => {
            let text = format!("entry {} is proven, but the log now has another there", file.index);
            return Ok(Err(("altered", text)));
        }
        Some(_) => {}
    }
    if now != root {
        let text =
            format!("the log's first {size} entries are not those that the proof's checkpoint has signed");
        return Ok(Err(("rewritten", text)));
    }
    Ok(Ok(()))
}

fn wrong(error: &NoteError, file: &ProofFile) -> Wrong {
    match error {
        NoteError::Forged(key) => ("edited", format!("the checkpoint is not what {key} signed")),
        NoteError::Unsigned => ("foreign", "no key of this log has signed the proof's checkpoint".into()),
        NoteError::OtherOrigin(origin) => ("foreign", format!("this is a proof of another log, {origin}")),
        NoteError::Malformed(_) if size_of(&file.checkpoint).is_some() => {
            ("altered", format!("the proof does not lead from entry {} to the signed root", file.index))
        }
        NoteError::Malformed(error) => ("malformed", error.to_string()),
    }
}
