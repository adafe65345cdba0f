//! Waiting awake for what arrives within microseconds.
//!
//! A thread that sleeps until the system wakes it loses more time than a request takes in the whole pipeline. So a lane
//! that has sent the only request in flight to its upstream, or has just answered it, looks for the next event itself for
//! a moment before it sleeps. That is worth a core's time only while nobody else wants it: as soon as two requests are in
//! flight at once, lanes sleep again until a row of requests came one by one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a lane stays awake for one event.
const AWAKE: Duration = Duration::from_micros(50);
/// Requests that must have come one by one.
const ROW: usize = 32;

/// How busy all lanes are together.
static BUSY: Busy = Busy::new();

thread_local! {
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    static EXPECTED: RefCell<Option<Arc<Notify>>> = const { RefCell::new(None) };
}

struct Busy {
    /// Requests whose answers are not through.
    in_flight: AtomicUsize,
    /// Requests since two were in flight at once, up to [`ROW`].
    alone: AtomicUsize,
}

impl Busy {
    const fn new() -> Self {
        Self { in_flight: AtomicUsize::new(0), alone: AtomicUsize::new(0) }
    }

    fn begin(&self) {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) > 0 {
            self.alone.store(0, Ordering::Relaxed);
        } else if !self.one_by_one() {
            self.alone.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn one_by_one(&self) -> bool {
        self.alone.load(Ordering::Relaxed) >= ROW
    }
}

/// Counts a request as in flight until dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        BUSY.begin();
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        BUSY.end();
        // A client that has its answer may ask for more.
        expect();
    }
}

/// Something is about to arrive on this lane. Outside of lanes, and while there is much to do, that changes nothing.
pub(crate) fn expect() {
    if !BUSY.one_by_one() {
        return;
    }
    EXPECTED.with_borrow(|expected| {
        if let Some(expected) = expected {
            UNTIL.set(Some(Instant::now() + AWAKE));
            expected.notify_one();
        }
    });
}

/// Runs on a lane beside its connections, for ever.
pub(crate) async fn stay_awake() {
    let expected = Arc::new(Notify::new());
    EXPECTED.replace(Some(expected.clone()));
    loop {
        expected.notified().await;
        while BUSY.one_by_one() && UNTIL.get().is_some_and(|until| Instant::now() < until) {
            // The scheduler looks for events whenever it has nothing to do but this.
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_in_flight_ends_the_row() {
        let busy = Busy::new();
        for _ in 0..ROW {
            assert!(!busy.one_by_one());
            busy.begin();
            busy.end();
        }
        assert!(busy.one_by_one());
        busy.begin();
        assert!(busy.one_by_one(), "one alone");
        busy.begin();
        assert!(!busy.one_by_one(), "two at once");
        busy.end();
        busy.end();
        busy.begin();
        assert!(!busy.one_by_one(), "the row begins anew");
    }
}
