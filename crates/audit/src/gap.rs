//! What was lost: counted, and written as an `audit.gap` event as soon as writing works again.

use base::Timestamp;
use parking_lot::Mutex;

use crate::{Event, Short};

/// Why records were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The queue was full.
    Overflow,
    /// The database refused them.
    Database,
}

/// A span of time in which records were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    dropped: u64,
    refused: u64,
    from: Timestamp,
    to: Timestamp,
    database: bool,
}

impl Gap {
    /// The event that tells of it.
    pub(crate) fn event(&self) -> Event {
        let Self { dropped, refused, from, to, database } = *self;
        let reason = Short::new(if database { "database" } else { "overflow" });
        Event::AuditGap { dropped, refused, from, to, reason }
    }

    fn merge(&mut self, other: &Self) {
        self.dropped += other.dropped;
        self.refused += other.refused;
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.database |= other.database;
    }
}

/// The gap that is not written yet, and the total.
#[derive(Default)]
pub(crate) struct Losses(Mutex<State>);

#[derive(Default)]
struct State {
    open: Option<Gap>,
    dropped_ever: u64,
}

impl Losses {
    /// A traffic record is lost.
    pub(crate) fn dropped(&self, at: Timestamp, cause: Cause) {
        self.add(Gap { dropped: 1, refused: 0, from: at, to: at, database: cause == Cause::Database });
        self.0.lock().dropped_ever += 1;
        metrics::counter!("fortissimo_audit_dropped_total").increment(1);
    }

    /// A record could not be made durable and its caller refuses: nothing unrecorded happened, but what was
    /// tried is not known.
    pub(crate) fn refused(&self, at: Timestamp) {
        self.add(Gap { dropped: 0, refused: 1, from: at, to: at, database: true });
        metrics::counter!("fortissimo_audit_refused_total").increment(1);
    }

    /// Takes the gap to write it.
    pub(crate) fn take(&self) -> Option<Gap> {
        self.0.lock().open.take()
    }

    /// Puts a gap back that could not be written, or adds to the one that is open.
    pub(crate) fn add(&self, gap: Gap) {
        let mut state = self.0.lock();
        match &mut state.open {
            Some(open) => open.merge(&gap),
            None => state.open = Some(gap),
        }
    }

    /// Whether there is one to write.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().open.is_some()
    }

    /// Traffic records lost since the start.
    pub(crate) fn dropped_ever(&self) -> u64 {
        self.0.lock().dropped_ever
    }
}
