//! Whether requests come faster than the log can be written.
//!
//! Putting an event into the log costs several times what it costs to seal it and to make it durable in the outbox. While
//! requests wait for the same cores, traffic is only made durable; the sequencer takes it when there is time. So a burst is
//! neither slowed down by its own record nor lost. What is durable before its answer (critical events) never waits here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Events that may be put off at most, about half a gigabyte: then the log is written at once again, as fast as that goes.
const MOST: u64 = 524_288;
/// A moment without pressure is not its end.
const LASTS: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(crate) struct Pressure {
    felt: Mutex<Option<Instant>>,
    /// Events that this process has put off and that are not in the log.
    put_off: AtomicU64,
}

impl Pressure {
    /// The queue grows although it is being emptied.
    pub(crate) fn feel(&self) {
        *self.felt.lock() = Some(Instant::now());
    }

    /// Whether it was felt just now.
    pub(crate) fn lasts(&self) -> bool {
        self.felt.lock().is_some_and(|felt| felt.elapsed() < LASTS)
    }

    /// Whether so many more events may wait.
    pub(crate) fn has_room(&self, events: usize) -> bool {
        self.put_off.load(Ordering::Relaxed) + events as u64 <= MOST
    }

    /// So many events wait in the outbox now.
    pub(crate) fn put_off(&self, events: usize) {
        let before = self.put_off.fetch_add(events as u64, Ordering::Relaxed);
        metrics::gauge!("fortissimo_audit_put_off").set((before + events as u64) as f64);
    }

    /// Nothing waits, or it is another node's to take.
    pub(crate) fn over(&self) {
        if self.put_off.swap(0, Ordering::Relaxed) > 0 {
            metrics::gauge!("fortissimo_audit_put_off").set(0.0);
        }
    }

    /// So many of them are in the log. Those that an earlier process left were not counted.
    pub(crate) fn caught_up(&self, events: usize) {
        let less = |waiting: u64| Some(waiting.saturating_sub(events as u64));
        let before = self.put_off.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
        metrics::gauge!("fortissimo_audit_put_off").set(before.saturating_sub(events as u64) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_a_moment_and_has_a_bound() {
        let pressure = Pressure::default();
        assert!(!pressure.lasts());
        pressure.feel();
        assert!(pressure.lasts());
        *pressure.felt.lock() = Instant::now().checked_sub(LASTS);
        assert!(!pressure.lasts());

        let most = usize::try_from(MOST).unwrap();
        assert!(pressure.has_room(most) && !pressure.has_room(most + 1));
        pressure.put_off(most);
        assert!(!pressure.has_room(1));
        pressure.caught_up(10);
        assert!(pressure.has_room(10) && !pressure.has_room(11));
        pressure.caught_up(2 * most);
        assert!(pressure.has_room(most));
        pressure.put_off(most);
        pressure.over();
        assert!(pressure.has_room(most));
    }
}
