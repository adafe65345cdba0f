//! One sink's task: reads the log from its cursor, sends, moves the cursor.

use std::time::Duration;

use audit::{Audit, Event, Record as TrailRecord, Short, TreeHead};
use base::{Actor, Clock, Entropy};
use store::Dialect;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backoff::{Backoff, Bounds};
use crate::cursor::{Cursor, Reader};
use crate::destination::{Destination, Trouble, What};
use crate::form::{Note, Record, Writer};
use crate::settle::Batch;
use crate::{SinkConfig, Source, Wanted};

/// How often a node asks whether it may take a sink over.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// The lease is renewed in this step while nothing happens; a third of it.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Progress over events that the sink does not want is stored this often.
const STORE_EVERY: Duration = Duration::from_secs(5);

/// Everything that the task works with.
pub(crate) struct Runner {
    pub(crate) config: SinkConfig,
    pub(crate) destination: Destination,
    pub(crate) writer: Writer,
    pub(crate) probe: Record,
    pub(crate) reader: Reader,
    pub(crate) source: Source,
    /// What the filter lets through; other bodies are not opened.
    pub(crate) wanted: Wanted,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Why the task cannot go on as it does.
enum End {
    /// The program stops.
    Stopped,
    /// Another node reads now, or the database does not answer: ask again.
    Lost,
}

/// What is sent next.
struct Load {
    records: Vec<Record>,
    /// Where the cursor is afterwards.
    next: u64,
    /// The checkpoint that goes along.
    checkpoint: Option<u64>,
}

impl Runner {
    pub(crate) async fn run(mut self) {
        loop {
            if *self.stop.borrow() {
                return;
            }
            match self.reader.take(self.clock.now()).await {
                Ok(Some(at)) => {
                    let end = Box::pin(self.lead(at)).await;
                    if matches!(end, End::Stopped) {
                        if let Err(error) = self.reader.release().await {
                            tracing::debug!(%error, sink = self.config.name, "the lease ends by itself");
                        }
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, sink = self.config.name, "a sink cannot read its cursor")
                }
            }
            if self.pause(ASK_EVERY).await.is_err() {
                return;
            }
        }
    }

    /// Reads and sends until it must not any more.
    async fn lead(&mut self, mut at: Cursor) -> End {
        let (first, longest) = self.config.waits;
        let mut backoff = Backoff::new(Bounds { first, longest }, self.entropy.clone());
        let mut checkpoint = Checkpoints { every: self.config.checkpoint_every, due: None, last: None };
        let mut stored = Instant::now();
        loop {
            let load = match self.gather(&at, &mut checkpoint).await {
                Ok(Some(load)) => load,
                Ok(None) => match self.renew(&at, &mut stored).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                Err(end) => return end,
            };
            if load.records.is_empty() {
                at.next = load.next;
                self.measure(&at);
                if stored.elapsed() >= STORE_EVERY {
                    match self.store(&at, &mut stored).await {
                        Ok(()) => {}
                        Err(end) => return end,
                    }
                }
                continue;
            }
            if let Err(end) = self.deliver(load, &mut at, &mut backoff, &mut stored).await {
                return end;
            }
        }
    }

    /// Waits for something to send and reads it; `None` after a while without.
    async fn gather(&mut self, at: &Cursor, checkpoint: &mut Checkpoints) -> Result<Option<Load>, End> {
        let head = self.source.head();
        checkpoint.look(&head, at.checkpoint);
        let waiting = head.size.saturating_sub(at.next);
        if waiting == 0 && checkpoint.ready(at.next).is_none() {
            let wait = RENEW_EVERY.min(checkpoint.every.max(Duration::from_millis(100)));
            let mut source = self.source.clone();
            tokio::select! {
                // A log that tells nothing any more is asked in the rhythm of the wait.
                told = source.grown() => if !told { self.pause(wait).await?; },
                paused = self.pause(wait) => paused?,
            }
            return Ok(None);
        }
        if waiting > 0 && waiting < self.config.batch as u64 {
            self.pause(self.config.flush_every).await?;
        }
        let items = match self.source.read(at.next, self.config.batch, &self.wanted).await {
            Ok(items) => items,
            Err(error) => {
                tracing::warn!(%error, sink = self.config.name, "a sink cannot read the log; trying again");
                self.pause(Duration::from_secs(1)).await?;
                return Ok(None);
            }
        };
        let next = items.last().map_or(at.next, |last| last.index + 1);
        if items.is_empty() && waiting > 0 {
            // The head is known before the rows are seen; and never ask in a loop.
            self.pause(Duration::from_millis(100)).await?;
        }
        let wanted = items.into_iter().filter(|item| self.config.filter.wants(&item.entry));
        let mut records: Vec<Record> =
            wanted.map(|item| self.writer.write(&Note::Event(Box::new(item)))).collect();
        let signed = checkpoint.ready(next);
        if let Some(head) = &signed {
            records.push(self.writer.write(&Note::Checkpoint(head.clone())));
        }
        if records.is_empty() && next == at.next {
            return Ok(None);
        }
        Ok(Some(Load { records, next, checkpoint: signed.map(|head| head.size) }))
    }

    async fn deliver(
        &mut self,
        load: Load,
        at: &mut Cursor,
        backoff: &mut Backoff,
        stored: &mut Instant,
    ) -> Result<(), End> {
        let mut batch = Batch::new(load.records);
        loop {
            let mut stop = self.stop.clone();
            let round = tokio::select! {
                round = batch.round(&mut self.destination, &self.probe) => round,
                _ = stop.wait_for(|stop| *stop) => return Err(End::Stopped),
            };
            if round.progress {
                backoff.reset();
            }
            let mut trouble = round.trouble;
            for (position, reason) in round.poison {
                match self.skip(batch.record(position), &reason).await {
                    Ok(()) => {
                        batch.give_up(position);
                        at.skipped += 1;
                    }
                    Err(error) => {
                        trouble = Some(Trouble::later(format!("a refusal cannot be recorded: {error}")))
                    }
                }
            }
            let Some(trouble) = trouble else { break };
            self.failed(at, &trouble, backoff).await?;
        }
        checkpointed(at, &load.checkpoint);
        at.next = load.next;
        at.sent += batch.len() as u64;
        at.last_sent_at = Some(self.clock.now());
        self.recovered(at).await;
        metrics::counter!("fortissimo_sink_sent_total", "sink" => self.config.name.clone())
            .increment(batch.len() as u64);
        self.store(at, stored).await?;
        backoff.reset();
        self.measure(at);
        Ok(())
    }

    /// Notes the failure, and waits.
    async fn failed(&mut self, at: &mut Cursor, trouble: &Trouble, backoff: &mut Backoff) -> Result<(), End> {
        let now = self.clock.now();
        let since = *at.failing_since.get_or_insert(now);
        at.last_error = Some(trouble.reason.clone());
        let behind = self.source.head().size.saturating_sub(at.next);
        metrics::counter!("fortissimo_sink_failures_total", "sink" => self.config.name.clone()).increment(1);
        self.measure(at);
        let long =
            now.since_ms(since) >= i64::try_from(self.config.failing_after.as_millis()).unwrap_or(i64::MAX);
        if long && !at.reported {
            tracing::warn!(sink = self.config.name, reason = trouble.reason, behind, "a sink takes nothing");
            let event = Event::SinkFailing {
                sink: Short::new(&self.config.name),
                since,
                behind,
                reason: Short::new(&trouble.reason),
            };
            at.reported = self.tell(event).await.is_ok();
        } else {
            tracing::debug!(
                sink = self.config.name,
                reason = trouble.reason,
                behind,
                "a sink will be tried again"
            );
        }
        let asked = match trouble.what {
            What::Later(asked) => asked,
            What::Refused => None,
        };
        let mut left = backoff.next(asked);
        loop {
            match self.reader.fail(at, self.clock.now()).await {
                Ok(true) => {}
                Ok(false) => return Err(End::Lost),
                Err(error) => tracing::debug!(%error, sink = self.config.name, "a failure cannot be noted"),
            }
            let step = left.min(RENEW_EVERY);
            self.pause(step).await?;
            left -= step;
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Says that it works again, if it was said that it does not.
    async fn recovered(&self, at: &mut Cursor) {
        let (Some(since), true) = (at.failing_since, at.reported) else {
            at.failing_since = None;
            at.last_error = None;
            return;
        };
        let behind = self.source.head().size.saturating_sub(at.next);
        tracing::info!(sink = self.config.name, behind, "a sink takes events again");
        let event = Event::SinkRecovered { sink: Short::new(&self.config.name), since, behind };
        // Nobody waits for this line; if it is lost, the status says the same.
        let _ = self.tell(event).await;
        (at.failing_since, at.reported, at.last_error) = (None, false, None);
    }

    async fn skip(&self, record: &Record, reason: &str) -> Result<(), audit::AuditError> {
        tracing::warn!(
            sink = self.config.name,
            index = record.index,
            reason,
            "a sink goes on without a record that it refuses"
        );
        metrics::counter!("fortissimo_sink_skipped_total", "sink" => self.config.name.clone()).increment(1);
        let sink = Short::new(&self.config.name);
        self.tell(Event::SinkRecordSkipped { sink, index: record.index, reason: Short::new(reason) }).await
    }

    async fn tell(&self, event: Event) -> Result<(), audit::AuditError> {
        let record = TrailRecord::new(self.clock.now(), event).by(Actor::System("sinks"));
        self.audit.record_durable(record).await
    }

    async fn store(&self, at: &Cursor, stored: &mut Instant) -> Result<(), End> {
        match self.reader.advance(at, self.clock.now()).await {
            Ok(true) => {
                *stored = Instant::now();
                Ok(())
            }
            Ok(false) => Err(End::Lost),
            Err(error) => {
                tracing::warn!(%error, sink = self.config.name, "a sink cannot store how far it is");
                Err(End::Lost)
            }
        }
    }

    /// Stays the reader while nothing happens. With SQLite there is nobody else.
    async fn renew(&self, at: &Cursor, stored: &mut Instant) -> Result<(), End> {
        if self.reader.db.dialect() == Dialect::Postgres && stored.elapsed() >= RENEW_EVERY {
            return self.store(at, stored).await;
        }
        Ok(())
    }

    fn measure(&self, at: &Cursor) {
        let lag = self.source.head().size.saturating_sub(at.next);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating point number")]
        metrics::gauge!("fortissimo_sink_lag_events", "sink" => self.config.name.clone()).set(lag as f64);
    }

    /// Waits; an error if the program stops meanwhile.
    async fn pause(&self, time: Duration) -> Result<(), End> {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            _ = stop.wait_for(|stop| *stop) => Err(End::Stopped),
        }
    }
}

fn checkpointed(at: &mut Cursor, sent: &Option<u64>) {
    if let Some(size) = sent {
        at.checkpoint = *size;
    }
}

/// Which signed checkpoint goes along next: one is chosen now and then, and sent once every event below it was.
struct Checkpoints {
    every: Duration,
    due: Option<TreeHead>,
    last: Option<Instant>,
}

impl Checkpoints {
    fn look(&mut self, head: &TreeHead, sent: u64) {
        if self.due.as_ref().is_some_and(|due| due.size <= sent) {
            self.due = None;
        }
        let rested = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if self.due.is_none() && rested && head.size > sent && !head.checkpoint.is_empty() {
            self.due = Some(head.clone());
            self.last = Some(Instant::now());
        }
    }

    /// The chosen one, if the receiver has everything below `next`.
    fn ready(&self, next: u64) -> Option<TreeHead> {
        self.due.clone().filter(|due| due.size <= next)
    }
}
