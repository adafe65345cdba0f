//! The task that writes what has no transaction of its own, in groups.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base::{Actor, Clock, Entropy, Id, Scope, Timestamp};
use keys::{Keys, KeysError};
use parking_lot::Mutex;
use store::{Db, DbError};
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use crate::checking::Checking;
use crate::gap::{Cause, Losses};
use crate::log::Next;
use crate::outbox::{self, Keyless, When};
use crate::packed::Packer;
use crate::{AuditError, LogSettings, Outcome, Record, TreeHead, log};

/// Events of one transaction at most if somebody waits for it. Not more, because on SQLite everybody else who writes waits
/// for it, too.
pub(crate) const BATCH: usize = 128;
/// Events of one transaction at most if it is all traffic: larger ones cost less for each event.
const TRAFFIC_BATCH: usize = 512;
/// So much traffic left in the queue by a full batch means that it comes faster than the log can be written.
const PRESSING: usize = 1_024;
/// How long traffic waits for company.
const GATHER: Duration = Duration::from_millis(20);
/// How long a durable record waits for the company that the last one had.
const COMPANY: Duration = Duration::from_micros(400);
/// How often a gap is tried to be written when nothing else is.
const RETRY: Duration = Duration::from_secs(1);
/// Sealing takes some microseconds a record; other tasks get their turn after so many.
const SEALED_AT_ONCE: usize = 64;
/// Requests get theirs after so many,
const GIVE_WAY: usize = 8;
/// unless so many records wait.
const FILLS: u64 = 4_096;

/// An event whose caller waits until it is durable.
pub(crate) struct Durable {
    pub(crate) event: Next,
    pub(crate) at: Timestamp,
    pub(crate) reply: oneshot::Sender<Result<(), AuditError>>,
}

/// What the writer and the callers share.
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) settings: LogSettings,
    pub(crate) losses: Losses,
    /// Why the last write failed; `None` if it succeeded.
    pub(crate) failure: Mutex<Option<String>>,
    /// Rung after every write, for the sequencer.
    pub(crate) written: Notify,
    /// The newest tree head that this process knows.
    pub(crate) head: watch::Sender<TreeHead>,
    /// How the log is doing.
    pub(crate) log: log::State,
    /// The verification that was asked for last.
    pub(crate) checking: Checking,
}

/// The queues' other ends.
pub(crate) struct Inbox {
    pub(crate) traffic: Receiver<Record>,
    pub(crate) durable: Receiver<Durable>,
    pub(crate) closing: watch::Receiver<bool>,
}

#[derive(Default)]
struct Batch {
    traffic: Vec<Record>,
    durable: Vec<Durable>,
}

impl Batch {
    fn room(&self) -> usize {
        let most = if self.durable.is_empty() { TRAFFIC_BATCH } else { BATCH };
        most.saturating_sub(self.traffic.len() + self.durable.len())
    }
}

/// Runs until the queues are closed and empty. Traffic is sealed while the traffic before it is being stored.
pub(crate) async fn run(core: Arc<Core>, mut inbox: Inbox) {
    let mut company = 0;
    let mut storing: Option<JoinHandle<()>> = None;
    while let Some(mut batch) = inbox.first(&core).await {
        inbox.gather(&mut batch, company).await;
        metrics::gauge!("fortissimo_audit_queue").set(u32::try_from(inbox.traffic.len()).unwrap_or(u32::MAX));
        let traffic = core.seal_all(&batch.traffic).await;
        if let Some(before) = storing.take() {
            stored(before).await;
            // Who came meanwhile and waits comes along.
            inbox.drain_durable(&mut batch);
        }
        company = batch.durable.len();
        if inbox.traffic.len() > PRESSING {
            core.log.pressure.feel();
        }
        let (core, handled) = (Arc::clone(&core), batch.traffic.len());
        let store = async move { core.store(batch.durable, traffic, handled).await };
        if company == 0 {
            storing = Some(tokio::spawn(store));
        } else {
            store.await;
        }
    }
    if let Some(before) = storing {
        stored(before).await;
    }
    // One last chance for the gap.
    core.store(Vec::new(), Vec::new(), 0).await;
}

async fn stored(before: JoinHandle<()>) {
    if let Err(error) = before.await {
        tracing::error!(%error, "storing events broke off");
    }
}

impl Inbox {
    /// Waits for something to write: records, or a gap when its time has come. `None` at the end.
    async fn first(&mut self, core: &Core) -> Option<Batch> {
        let mut batch = Batch::default();
        loop {
            let ended = self.traffic.is_closed() && self.durable.is_closed();
            tokio::select! {
                biased;
                Some(durable) = self.durable.recv() => {
                    batch.durable.push(durable);
                    return Some(batch);
                }
                Some(record) = self.traffic.recv() => {
                    batch.traffic.push(record);
                    return Some(batch);
                }
                changed = self.closing.changed(), if !ended => {
                    // Either told to stop, or every handle is gone.
                    if changed.is_err() || *self.closing.borrow() {
                        self.traffic.close();
                        self.durable.close();
                    }
                }
                () = tokio::time::sleep(RETRY), if core.losses.is_open() && !ended => return Some(batch),
                // Both queues are closed and empty.
                else => return None,
            }
        }
    }

    /// Adds what comes within [`GATHER`]; if somebody waits for durability, only what is there already. Traffic does not
    /// wake this task record by record: that would cost more than writing it.
    async fn gather(&mut self, batch: &mut Batch, company: usize) {
        self.drain(batch);
        if !batch.durable.is_empty() {
            self.wait_for_company(batch, company).await;
            return;
        }
        if batch.room() == 0 {
            return;
        }
        tokio::select! {
            biased;
            Some(durable) = self.durable.recv() => batch.durable.push(durable),
            () = tokio::time::sleep(GATHER) => {}
        }
        self.drain(batch);
    }

    /// After a flush, everybody whom it served comes back within microseconds. Without this, the first of them would get
    /// a flush alone, and all others would wait for it and for their own.
    async fn wait_for_company(&mut self, batch: &mut Batch, company: usize) {
        let deadline = Instant::now() + COMPANY;
        while batch.durable.len() < company && batch.room() > 0 && Instant::now() < deadline {
            tokio::task::yield_now().await;
            self.drain(batch);
        }
    }

    /// What is in the queues now, as far as there is room.
    fn drain(&mut self, batch: &mut Batch) {
        self.drain_durable(batch);
        while batch.room() > 0
            && let Ok(record) = self.traffic.try_recv()
        {
            batch.traffic.push(record);
        }
    }

    fn drain_durable(&mut self, batch: &mut Batch) {
        while batch.room() > 0
            && let Ok(durable) = self.durable.try_recv()
        {
            batch.durable.push(durable);
        }
    }
}

/// Why a batch was not written: the message is for many callers.
pub(crate) struct Refusal {
    message: String,
    /// The database as a whole cannot be used, so that trying single rows is no use.
    outage: bool,
    retryable: bool,
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        Self { message: error.to_string(), outage: error.is_outage(), retryable: error.is_retryable() }
    }
}

impl From<KeysError> for Refusal {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => error.into(),
            error => Self { message: error.to_string(), outage: false, retryable: false },
        }
    }
}

impl Core {
    /// Seals traffic; what cannot be sealed is counted as lost.
    async fn seal_all(&self, traffic: &[Record]) -> Vec<(Timestamp, Next)> {
        let mut events = Vec::with_capacity(traffic.len());
        for (index, record) in traffic.iter().enumerate() {
            match self.seal(record).await {
                Ok(event) => events.push((record.at, event)),
                Err(refusal) => {
                    self.failed(&refusal);
                    self.losses.dropped(record.at, Cause::Database);
                }
            }
            if index % SEALED_AT_ONCE == SEALED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if index % GIVE_WAY == GIVE_WAY - 1 {
                self.give_way();
            }
        }
        events
    }

    /// Writes a batch and answers those who wait. Never fails: what is lost is counted. `handled` records of the traffic
    /// queue are done with after it.
    async fn store(&self, durable: Vec<Durable>, traffic: Vec<(Timestamp, Next)>, handled: usize) {
        let all: Vec<&Next> =
            durable.iter().map(|d| &d.event).chain(traffic.iter().map(|(_, e)| e)).collect();
        let count = all.len();
        // Whoever waits gets into the log at once; so does everybody else, if there is time or no more room. Only who
        // leads the log knows how much waits for it.
        let pressure = &self.log.pressure;
        let presses = durable.is_empty() && self.log.leads() && pressure.lasts();
        let when = if presses && pressure.has_room(count) { When::Later } else { When::Next };
        let written = self.write_events(&all, when).await;
        drop(all);
        match written {
            Ok(()) => durable.into_iter().for_each(|durable| answer(durable, Ok(()))),
            Err(refusal) if refusal.outage || count <= 1 => {
                durable.into_iter().for_each(|durable| self.refuse(durable, &refusal));
                traffic.iter().for_each(|(at, _)| self.losses.dropped(*at, Cause::Database));
            }
            // One bad event must not take the others with it.
            Err(_) => self.write_singly(durable, &traffic).await,
        }
        self.log.handled.fetch_add(handled as u64, Ordering::SeqCst);
    }

    async fn write_singly(&self, durable: Vec<Durable>, traffic: &[(Timestamp, Next)]) {
        for durable in durable {
            match self.write_events(&[&durable.event], When::Next).await {
                Ok(()) => answer(durable, Ok(())),
                Err(refusal) => self.refuse(durable, &refusal),
            }
        }
        for (at, event) in traffic {
            if self.write_events(&[event], When::Next).await.is_err() {
                self.losses.dropped(*at, Cause::Database);
            }
        }
    }

    fn refuse(&self, durable: Durable, refusal: &Refusal) {
        self.losses.refused(durable.at);
        answer(durable, Err(AuditError::Refused(refusal.message.clone())));
    }

    /// Counts a record that could not even be sealed; the answer is its caller's error.
    pub(crate) fn refused(&self, at: Timestamp, refusal: Refusal) -> AuditError {
        self.failed(&refusal);
        self.losses.refused(at);
        AuditError::Refused(refusal.message)
    }

    /// One transaction, with the open gap in it; tried twice if the database asks for it.
    async fn write_events(&self, events: &[&Next], when: When) -> Result<(), Refusal> {
        let gap = self.losses.take();
        // That something was lost is not put off.
        let when = if gap.is_some() { When::Next } else { when };
        let mut written = self.try_write(events, when, gap.map(|gap| self.gap_record(&gap))).await;
        if written.as_ref().is_err_and(|refusal| refusal.retryable) {
            written = self.try_write(events, when, gap.map(|gap| self.gap_record(&gap))).await;
        }
        match &written {
            Ok(()) => {
                *self.failure.lock() = None;
                metrics::counter!("fortissimo_audit_written_total").increment(events.len() as u64);
            }
            Err(refusal) => {
                if let Some(gap) = gap {
                    self.losses.add(gap);
                }
                self.failed(refusal);
            }
        }
        written
    }

    fn failed(&self, refusal: &Refusal) {
        metrics::counter!("fortissimo_audit_write_errors_total").increment(1);
        // Said once per outage, not once per batch.
        if self.failure.lock().replace(refusal.message.clone()).is_none() {
            tracing::error!(error = %refusal.message, "the audit trail cannot be written");
        }
    }

    async fn try_write(&self, events: &[&Next], when: When, gap: Option<Record>) -> Result<(), Refusal> {
        let gap = match &gap {
            Some(record) => Some(self.seal(record).await?),
            None => None,
        };
        let all: Vec<&Next> = events.iter().copied().chain(&gap).collect();
        if all.is_empty() || (when == When::Next && log::straight(self, &all).await?) {
            return Ok(());
        }
        if when == When::Later {
            // Before it can be taken.
            self.log.pressure.put_off(all.len());
        }
        let mut packer = Packer::new();
        all.iter().for_each(|next| packer.add(&next.event));
        let packed = packer.finish();
        let mut tx = self.db.begin(Scope::System("audit writer")).await?;
        outbox::insert(&mut tx, packed, when).await?;
        tx.commit().await?;
        self.written.notify_one();
        Ok(())
    }

    /// Tells this process' readers of a tree that they do not know yet.
    pub(crate) fn publish(&self, head: &TreeHead) {
        metrics::gauge!("fortissimo_log_size").set(head.size as f64);
        self.head.send_if_modified(|known| {
            let newer = *known != *head && head.size >= known.size;
            if newer {
                known.clone_from(head);
            }
            newer
        });
    }

    /// Seals a record that has no transaction of its own.
    pub(crate) async fn seal(&self, record: &Record) -> Result<Next, Refusal> {
        let id = Id::at(record.at, &self.entropy);
        if let Some(event) = outbox::seal_remembered(&self.keys, &self.entropy, record, id).await? {
            return Ok(event);
        }
        let mut tx = self.db.begin_read(Scope::System("sealing audit bodies")).await?;
        Ok(outbox::seal_in(&mut tx, &self.keys, &self.entropy, record, id, Keyless::Withhold).await?)
    }

    /// Lets whoever waits for this core have it now: a batch is work of milliseconds, and so long the system's scheduler
    /// would keep a request waiting. Not while the queue fills, or records would be lost.
    pub(crate) fn give_way(&self) {
        if self.log.unwritten() < FILLS {
            std::thread::yield_now();
        }
    }

    fn gap_record(&self, gap: &crate::gap::Gap) -> Record {
        let at: Timestamp = self.clock.now();
        Record::new(at, gap.event()).by(Actor::System("audit")).ended(Outcome::Failure)
    }
}

fn answer(durable: Durable, result: Result<(), AuditError>) {
    // The caller may have gone; its record is written all the same.
    let _ = durable.reply.send(result);
}
