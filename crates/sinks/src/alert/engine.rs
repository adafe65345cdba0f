//! The task: reads, counts, stores; and beside it, delivers.

use std::collections::VecDeque;
use std::time::Duration;

use base::{Id, Scope, Timestamp};
use keys::{Field, Purpose};
use store::{Dialect, Tx};
use tokio::sync::watch;
use tokio::time::Instant;

use super::window::{Firing, Snapshot, Windows};
use super::{Alerts, deliver, rows};
use crate::cursor::{Cursor, Reader};
use crate::{SinksError, Source, Wanted};

/// Events read at once.
const BATCH: usize = 500;
/// How often another node's work is asked for.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// Counters and cursor are stored this often at most, unless an alert is raised.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// A quiet log is looked at this often, and the lease is renewed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What happened before this is history, not an alert.
const TOO_OLD_MS: i64 = 24 * 3_600_000;
/// Messages of all alerts together within ten minutes; critical ones count but always go.
const MAX_MESSAGES: usize = 20;
const MESSAGES_WITHIN_MS: i64 = 600_000;
/// Closed alerts are kept for 13 months, as the events of people are.
const KEEP_MS: i64 = 396 * 24 * 3_600_000;
const STATE: Field<'static> = Field { table: "sink_cursor", column: "state", row: *b"alerts          " };

pub(super) async fn run(alerts: Alerts, reader: Reader, mut stop: watch::Receiver<bool>) {
    loop {
        match reader.take(alerts.parts.clock.now()).await {
            Ok(Some(at)) => {
                let ended = tokio::select! {
                    done = Box::pin(Engine::lead(&alerts, &reader, at)) => Some(done),
                    done = Box::pin(deliver::run(&alerts)) => Some(done),
                    _ = stop.wait_for(|stop| *stop) => None,
                };
                match ended {
                    None => {
                        if let Err(error) = reader.release().await {
                            tracing::debug!(%error, "the alerts' lease ends by itself");
                        }
                        return;
                    }
                    Some(Err(error)) => tracing::warn!(%error, "the alerts cannot go on for now"),
                    Some(Ok(())) => {}
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the alerts cannot read their cursor"),
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

struct Engine<'a> {
    alerts: &'a Alerts,
    reader: &'a Reader,
    source: Source,
    windows: Windows,
    next: u64,
    /// The `next` that the database knows.
    saved: u64,
    /// When messages went out.
    messages: VecDeque<i64>,
    /// The time of the latest event.
    latest: i64,
}

/// What is stored of the engine itself.
#[derive(serde::Serialize, serde::Deserialize, Default)]
struct State {
    windows: Snapshot,
    messages: VecDeque<i64>,
}

impl<'a> Engine<'a> {
    /// Works until another node does, or the database fails.
    async fn lead(alerts: &'a Alerts, reader: &'a Reader, at: Cursor) -> Result<(), SinksError> {
        let mut engine = Self::restore(alerts, reader, at).await?;
        // Nearly all events concern no rule; opening their bodies would be most of the work.
        let config = std::sync::Arc::clone(&alerts.config);
        let wanted: Wanted =
            std::sync::Arc::new(move |entry| config.rules.iter().any(|rule| rule.counts(entry)));
        let (mut stored, mut swept) = (Instant::now(), None::<Instant>);
        loop {
            let items = engine.source.read(engine.next, BATCH, &wanted).await?;
            let busy = items.len() == BATCH;
            let mut firings = Vec::new();
            let now = alerts.parts.clock.now();
            let id = || Id::at(now, &alerts.parts.entropy);
            for item in &items {
                engine.next = item.index + 1;
                engine.latest = engine.latest.max(item.entry.at.as_millis());
                if now.since_ms(item.entry.at) <= TOO_OLD_MS {
                    firings.extend(engine.windows.observe(item, &id));
                }
            }
            let progress = engine.is_unsaved() && stored.elapsed() >= STORE_EVERY;
            let renew = stored.elapsed() >= LOOK_EVERY && alerts.parts.db.dialect() == Dialect::Postgres;
            if !firings.is_empty() || progress || renew {
                if !engine.store(firings).await? {
                    return Ok(());
                }
                stored = Instant::now();
            }
            if swept.is_none_or(|swept| swept.elapsed() >= Duration::from_secs(3_600)) {
                swept = Some(Instant::now());
                engine.sweep().await?;
            }
            if !busy {
                engine.wait().await;
            }
        }
    }

    async fn restore(alerts: &'a Alerts, reader: &'a Reader, at: Cursor) -> Result<Self, SinksError> {
        let mut windows = Windows::new(alerts.config.rules.clone());
        let opened =
            at.state.as_deref().map(|state| alerts.parts.keys.open_system(Purpose::Audit, STATE, state));
        // A state of another version or key is forgotten: counting begins anew, open alerts go on.
        let state: State = match opened {
            Some(Ok(text)) => serde_json::from_slice(&text).unwrap_or_default(),
            Some(Err(_)) | None => State::default(),
        };
        windows.restore(state.windows);
        let longest = windows.rules.iter().map(|rule| rule.quiet_ms).max().unwrap_or(0);
        let since = alerts.parts.clock.now().plus_ms(-longest);
        let mut tx = alerts.parts.db.begin_read(Scope::System("alerts")).await?;
        for alive in rows::alive(&mut tx, &alerts.parts.keys, since).await? {
            windows.adopt(&alive.rule, alive.who, alive.id, alive.last_seen, alive.last_index);
        }
        drop(tx);
        let source = alerts.parts.source.clone();
        Ok(Self {
            alerts,
            reader,
            source,
            windows,
            next: at.next,
            saved: at.next,
            messages: state.messages,
            latest: 0,
        })
    }

    fn is_unsaved(&self) -> bool {
        self.windows.is_dirty() || self.next > self.saved
    }

    /// Everything at once; `false` if another node does this now.
    async fn store(&mut self, firings: Vec<Firing>) -> Result<bool, SinksError> {
        let parts = &self.alerts.parts;
        let now = parts.clock.now();
        let mut tx = parts.db.begin(Scope::System("alerts")).await?;
        let mut raised = firings.len() as u64;
        for firing in firings {
            self.open(&mut tx, &firing, now).await?;
        }
        for more in self.windows.take_more() {
            if !rows::go_on(&mut tx, &more).await?
                && let Some(firing) = self.windows.closed(&more, Id::at(now, &parts.entropy))
            {
                self.open(&mut tx, &firing, now).await?;
                raised += 1;
            }
        }
        let state = State { windows: self.windows.snapshot(self.latest), messages: self.messages.clone() };
        let text = serde_json::to_vec(&state).expect("counters are plain data");
        let sealed = parts.keys.seal_system(Purpose::Audit, STATE, &text);
        if !self.reader.keep(&mut tx, self.next, sealed, now).await? {
            return Ok(false);
        }
        tx.commit().await?;
        self.saved = self.next;
        if raised > 0 {
            metrics::counter!("fortissimo_alerts_raised_total").increment(raised);
            self.alerts.woken.notify_one();
        }
        Ok(true)
    }

    async fn open(&mut self, tx: &mut Tx, firing: &Firing, now: Timestamp) -> Result<(), SinksError> {
        let parts = &self.alerts.parts;
        let rule = self.windows.rules[firing.rule].clone();
        let channels = self.channels(rule.severity, now);
        rows::open(tx, &parts.keys, &parts.audit, &rule, firing, &channels, now).await?;
        tracing::warn!(rule = rule.name, severity = rule.severity, count = firing.count, alert = %firing.alert, "an alert is raised");
        Ok(())
    }

    /// Where an alert goes, and whether the rate limit lets it go there.
    fn channels(&mut self, severity: u8, now: Timestamp) -> Vec<(String, bool)> {
        let at = now.as_millis();
        while self.messages.front().is_some_and(|first| at - first > MESSAGES_WITHIN_MS) {
            self.messages.pop_front();
        }
        let send = severity >= 5 || self.messages.len() < MAX_MESSAGES;
        let channels = self.alerts.channels();
        if send && !channels.is_empty() {
            self.messages.push_back(at);
            if self.messages.len() > 2 * MAX_MESSAGES {
                self.messages.pop_front();
            }
        }
        channels.into_iter().map(|channel| (channel, send)).collect()
    }

    async fn sweep(&self) -> Result<(), SinksError> {
        let mut tx = self.alerts.parts.db.begin(Scope::System("alerts")).await?;
        let swept = rows::sweep(&mut tx, self.alerts.parts.clock.now().plus_ms(-KEEP_MS)).await?;
        if swept > 0 {
            tx.commit().await?;
        }
        Ok(())
    }

    /// Until the log has grown, or something is to be stored.
    async fn wait(&mut self) {
        if self.source.head().size > self.next {
            // Known before its rows are seen.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        }
        let longest = if self.is_unsaved() { STORE_EVERY } else { LOOK_EVERY };
        tokio::select! {
            told = self.source.grown() => if !told { tokio::time::sleep(longest).await },
            () = tokio::time::sleep(longest) => {}
        }
    }
}
