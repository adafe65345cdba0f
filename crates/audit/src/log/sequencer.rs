//! The sequencer: takes events from the outbox in the order in which they became visible, gives them the next
//! indexes, and grows the tree, all in one transaction.
//!
//! Every node runs one. The tree head's row decides: a batch moves it from the size and root that it was computed on,
//! so that of two nodes which sequence at once only one gets through, and the other starts over. Who moved the head last
//! is its leader and goes on; the others watch, and step in when the leader left or nothing moves although events wait.

use std::sync::Arc;
use std::time::Duration;

use base::{Actor, Id, Scope, Timestamp, kind as ids};
use store::{Dialect, Row, params, sql};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::Instant;

use super::extend::{cut, extend};
use super::growth::{self, Next};
use super::reading;
use crate::outbox;
use crate::writer::Core;
use crate::{AuditError, Event, Outcome, Record};

/// Events of one batch, about: the rows that are read end at the one with which it is reached. Small, because on SQLite
/// everybody else who writes waits for the batch.
const BATCH: usize = 128;
/// How often the outbox is looked at when nobody calls.
const POLL: Duration = Duration::from_millis(50);
/// How often, and how many times, after somebody said that an event comes with a transaction that is not stored yet.
const SOON: Duration = Duration::from_millis(4);
const SOON_LOOKS: u32 = 12;
/// How long events gather after a small batch: what a batch costs at all is then shared by more of them. Nobody who waits
/// for the log waits for that.
const GATHER: Duration = Duration::from_millis(20);
/// A batch is small below both, and then it was all that waited.
const SMALL: usize = BATCH / 2;
const SMALL_BYTES: usize = 65_536;
/// How long a leader may stand still while events wait, before another node steps in.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a batch may wait for the flush of somebody who is in a hurry: what it moves is durable already.
const ALONG: Duration = Duration::from_millis(10);
/// Even while requests press, something of what was put off gets into the log this often.
const SHARE: Duration = Duration::from_millis(250);
/// How long the end may take.
const LAST: Duration = Duration::from_secs(10);
/// How long a failing database is left alone.
const RETRY: Duration = Duration::from_millis(250);
const SCOPE: Scope = Scope::System("audit sequencer");

sql! {
    // At most 128 rows and about 256 KiB, nothing that is put off. The numbers stand in the text: SQLite prepares a
    // statement anew whenever a parameter of LIMIT is bound.
    WAITING = "SELECT seq, events FROM (SELECT seq, events, CAST(sum(length(events)) OVER (ORDER BY seq) AS bigint) AS total
               FROM (SELECT seq, events FROM audit_outbox WHERE NOT later ORDER BY seq LIMIT 128) AS first_rows) AS counted
               WHERE total - length(events) < 262144 ORDER BY seq";
    PUT_OFF = "SELECT seq, events FROM audit_outbox WHERE later ORDER BY seq LIMIT 1";
    LEADER = "SELECT leader FROM audit_tree WHERE only_row = 1";
    LEAVE = "UPDATE audit_tree SET leader = NULL WHERE only_row = 1 AND leader = $1";
    // Exactly the rows that were read: on PostgreSQL one with a smaller number may become visible later.
    TAKE = sqlite "DELETE FROM audit_outbox WHERE seq IN (SELECT value FROM json_each($1))",
        postgres "DELETE FROM audit_outbox WHERE seq IN
                  (SELECT number::bigint FROM jsonb_array_elements_text($1::text::jsonb) AS list(number))";
    // What leaves the outbox is sealed and stands in the log: to overwrite it with zeros would write it once more.
    LEAVE_TRACES = sqlite "PRAGMA secure_delete = FAST", postgres "SELECT 1";
    LEAVE_NO_TRACES = sqlite "PRAGMA secure_delete = ON", postgres "SELECT 1";
    KNOWN = "SELECT 1 FROM audit_event WHERE id = $1";
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The tree grew, or another node was faster: look again at once.
    Again,
    /// The tree grew by the little that waited.
    Caught,
    /// Nothing waits, or another node leads.
    Rest,
}

/// One node's sequencer.
pub(crate) struct Sequencer {
    core: Arc<Core>,
    /// The size at which another leader was seen to stand still, and since when.
    still: Option<(u64, Instant)>,
    /// Until when only what was put off is taken.
    gathers: Option<Instant>,
    /// When something that was put off was taken last.
    caught_up: Option<Instant>,
    /// Since when everything is taken, to end with it.
    ending: Option<Instant>,
    /// Leads whoever led last.
    #[cfg(test)]
    pub(crate) usurps: bool,
}

/// Runs until the writer has ended and nothing waits that this node could take.
pub(super) async fn run(core: Arc<Core>, mut writer_done: oneshot::Receiver<()>) {
    let mut sequencer = Sequencer::new(Arc::clone(&core));
    let mut soon = 0_u32;
    loop {
        let step = sequencer.step().await;
        let pause = match &step {
            // What is left is durable, and for the next process.
            Ok(Step::Again | Step::Caught)
                if sequencer.ending.is_some_and(|since| since.elapsed() >= LAST) =>
            {
                break;
            }
            Ok(step @ (Step::Again | Step::Caught)) => {
                // The end has its time also behind a backlog.
                if sequencer.ending.is_none() && !matches!(writer_done.try_recv(), Err(TryRecvError::Empty)) {
                    sequencer.ending = Some(Instant::now());
                }
                match step {
                    Step::Caught => sequencer.gathers = Some(Instant::now() + GATHER),
                    _ => soon = 0,
                }
                sequencer.gathers = sequencer.gathers.filter(|_| sequencer.ending.is_none());
                // Whoever waits for the writer gets a turn between two batches.
                tokio::task::yield_now().await;
                continue;
            }
            Ok(Step::Rest) if soon > 0 => SOON,
            Ok(Step::Rest) => POLL,
            Err(_) => RETRY,
        };
        if sequencer.ending.is_some() {
            break;
        }
        let gathers = sequencer.gathers.take();
        tokio::select! {
            // Events that wait and nobody takes are for the next process.
            _ = &mut writer_done => sequencer.ending = Some(Instant::now()),
            () = core.log.wanted.notified() => soon = SOON_LOOKS,
            () = tokio::time::sleep_until(gathers.unwrap_or_else(Instant::now)), if gathers.is_some() => {}
            () = core.written.notified(), if gathers.is_none() => {}
            () = core.log.coming.notified(), if gathers.is_none() => soon = SOON_LOOKS,
            () = tokio::time::sleep(pause), if gathers.is_none() => soon = soon.saturating_sub(1),
        }
    }
    sequencer.leave().await;
}

impl Sequencer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            still: None,
            gathers: None,
            caught_up: None,
            ending: None,
            #[cfg(test)]
            usurps: false,
        }
    }

    /// Looks at the outbox once and takes one batch. What fails is said once and tried again.
    pub(crate) async fn step(&mut self) -> Result<Step, AuditError> {
        let step = self.try_step().await;
        let mut failure = self.core.log.failure.lock();
        match &step {
            Ok(_) => *failure = None,
            Err(error) => {
                let message = error.to_string();
                metrics::counter!("fortissimo_audit_sequencer_errors_total").increment(1);
                if failure.as_ref() != Some(&message) {
                    tracing::error!(%error, "the log does not grow; what is recorded waits in the outbox");
                }
                *failure = Some(message);
            }
        }
        step
    }

    async fn try_step(&mut self) -> Result<Step, AuditError> {
        let mut tx = self.core.db.begin_read(SCOPE).await?;
        let head = reading::head(&mut tx).await?;
        self.core.publish(&head);
        // What is put off has its share whatever else comes, and the rest of the time that is left.
        let mut put_off = self.caught_up.is_none_or(|last| last.elapsed() >= SHARE);
        let mut rows = Vec::new();
        if put_off {
            rows = tx.query(PUT_OFF, params![]).await?;
            self.caught_up = Some(Instant::now());
        }
        if rows.is_empty() {
            if put_off {
                self.core.log.pressure.over();
            }
            if self.gathers.is_none_or(|until| until <= Instant::now()) {
                rows = tx.query(WAITING, params![]).await?;
            }
            put_off = rows.is_empty() && !self.is_held_back();
            if put_off {
                rows = tx.query(PUT_OFF, params![]).await?;
            }
        }
        if rows.is_empty() {
            self.still = None;
            return Ok(Step::Rest);
        }
        let leader: Option<[u8; 16]> = tx.query_one(LEADER, params![]).await?.get(0)?;
        drop(tx);
        let leads = self.may_lead(leader, head.size);
        self.core.log.set_leads(leads);
        if !leads {
            self.core.log.pressure.over();
            return Ok(Step::Rest);
        }

        let Batch { seqs, mut events, bytes, unreadable } = batch(&rows)?;
        if unreadable > 0 {
            events.push(self.tell_of(unreadable).await?);
        }
        let taken = match self.take(&seqs, &events).await {
            Err(AuditError::Store(error)) if error.is_unique() => {
                // An event is in the log already: a write whose answer was lost was done twice.
                let mut fresh = self.without_known(batch(&rows)?.events).await?;
                if unreadable > 0 {
                    fresh.push(self.tell_of(unreadable).await?);
                }
                self.take(&seqs, &fresh).await
            }
            taken => taken,
        }?;
        if put_off {
            self.core.log.pressure.caught_up(events.len());
        }
        let small = !put_off && events.len() < SMALL && bytes < SMALL_BYTES;
        Ok(if taken && small { Step::Caught } else { Step::Again })
    }

    /// Whether requests need the time that it takes to write down what was put off.
    fn is_held_back(&self) -> bool {
        self.ending.is_none() && self.core.log.pressure.lasts()
    }

    /// Whether this node sequences: it did last, or nobody does.
    fn may_lead(&mut self, leader: Option<[u8; 16]>, size: u64) -> bool {
        #[cfg(test)]
        if self.usurps {
            return true;
        }
        if leader.is_none_or(|leader| leader == self.core.log.me) {
            self.still = None;
            return true;
        }
        match self.still {
            Some((seen, since)) if seen == size => since.elapsed() >= PATIENCE,
            _ => {
                self.still = Some((size, Instant::now()));
                false
            }
        }
    }

    /// Moves rows of the outbox into the log; `false`, and nothing of it, if another node took them or moved the tree.
    async fn take(&self, seqs: &[i64], batch: &[Next]) -> Result<bool, AuditError> {
        let core = &self.core;
        let batch: Vec<&Next> = batch.iter().collect();
        let origin = self.origin().await?;
        let numbers = serde_json::to_string(seqs).expect("numbers serialise");

        cut!(core, BeforeWriting);
        let mut tx = core.db.begin(SCOPE).await?;
        let taken = if core.db.dialect() == Dialect::Sqlite {
            // Nobody else writes in between: the transaction holds the only writer.
            tx.query(LEAVE_TRACES, params![]).await?;
            let taken = tx.execute(TAKE, params![numbers]).await;
            if taken.is_err() {
                // The transaction does nothing any more, and what it set outlives it.
                drop(tx);
                tx = core.db.begin(SCOPE).await?;
            }
            tx.query(LEAVE_NO_TRACES, params![]).await?;
            taken?
        } else {
            tx.execute(TAKE, params![numbers]).await?
        };
        if taken != seqs.len() as u64 {
            return Ok(false);
        }
        let grown = match &batch[..] {
            // Everything was in the log already.
            [] => None,
            batch => match extend(core, &mut tx, origin, batch).await? {
                Some(grown) => Some(grown),
                None => return Ok(false),
            },
        };
        cut!(core, BeforeCommit);
        tx.commit_along(ALONG).await?;
        cut!(core, AfterCommit);
        if let Some(head) = grown {
            core.publish(&head);
        }
        Ok(true)
    }

    /// The event that tells of rows that could not be read: they are taken out, so that they do not stop the log for ever.
    async fn tell_of(&self, unreadable: u64) -> Result<Next, AuditError> {
        tracing::error!(
            rows = unreadable,
            "the outbox held rows that are no events; they are counted as lost"
        );
        let core = &self.core;
        let at: Timestamp = core.clock.now();
        let event = Event::AuditGap {
            dropped: unreadable,
            refused: 0,
            from: at,
            to: at,
            reason: "unreadable".into(),
        };
        let record = Record::new(at, event).by(Actor::System("audit")).ended(Outcome::Failure);
        let id: Id<ids::Event> = Id::at(at, &core.entropy);
        let sealed = outbox::seal_remembered(&core.keys, &core.entropy, &record, id).await?;
        Ok(sealed.expect("an event about nobody needs nobody's key"))
    }

    async fn without_known(&self, events: Vec<Next>) -> Result<Vec<Next>, AuditError> {
        let mut tx = self.core.db.begin_read(SCOPE).await?;
        let (mut fresh, mut seen) = (Vec::with_capacity(events.len()), std::collections::HashSet::new());
        for next in events {
            if seen.insert(next.leaf.id) && tx.query_opt(KNOWN, params![next.leaf.id]).await?.is_none() {
                fresh.push(next);
            }
        }
        Ok(fresh)
    }

    async fn origin(&self) -> Result<&str, AuditError> {
        if let Some(origin) = self.core.log.origin.get() {
            return Ok(origin);
        }
        let settings = &self.core.settings;
        let origin = self.core.keys.prepare_log(&settings.origin, settings.post_quantum).await?;
        if origin != settings.origin {
            tracing::warn!(
                origin,
                configured = settings.origin,
                "the log keeps the name that its first keys gave it"
            );
        }
        Ok(self.core.log.origin.get_or_init(|| origin))
    }

    /// Lets another node lead at once.
    pub(crate) async fn leave(&self) {
        self.core.log.set_leads(false);
        let left = async {
            let mut tx = self.core.db.begin(SCOPE).await?;
            tx.execute(LEAVE, params![self.core.log.me]).await?;
            tx.commit().await
        };
        if let Err(error) = left.await {
            tracing::debug!(%error, "the log's leadership was not given back; others wait a moment longer");
        }
    }
}

/// What is taken from the outbox at once.
struct Batch {
    seqs: Vec<i64>,
    events: Vec<Next>,
    bytes: usize,
    /// Rows that hold nothing readable.
    unreadable: u64,
}

fn batch(rows: &[Row]) -> Result<Batch, AuditError> {
    let mut batch = Batch { seqs: Vec::new(), events: Vec::with_capacity(BATCH), bytes: 0, unreadable: 0 };
    for row in rows {
        let (seq, packed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        batch.seqs.push(seq);
        batch.bytes += packed.len();
        match growth::read(&packed) {
            Ok(events) => batch.events.extend(events),
            Err(growth::Unreadable) => batch.unreadable += 1,
        }
        if batch.events.len() >= BATCH {
            break;
        }
    }
    Ok(batch)
}
