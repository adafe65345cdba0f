//! What the two ends of one HTTP/1 connection tell each other: the reader below hyper, which sees every
//! head first, and the service above hyper, which answers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::head::Malformed;

/// Shared by the reader and the service of one connection.
#[derive(Debug)]
pub(crate) struct Talk {
    started: Instant,
    /// When the last response was through, in milliseconds since `started`.
    last_answer_ms: AtomicU64,
    /// Heads that hyper got from the reader.
    delivered: AtomicU64,
    /// Requests that reached the service.
    called: AtomicU64,
    /// Requests whose response is written, or given up.
    answered: AtomicU64,
    /// The number of the request that stands for a malformed one, and what is wrong with it.
    refused: OnceLock<(u64, Malformed)>,
    upgraded: AtomicBool,
    aborted: AtomicBool,
    /// The reader, when it waits for the response to a request that asks for another protocol.
    undecided: AtomicWaker,
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last_answer_ms: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            called: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            refused: OnceLock::new(),
            upgraded: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            undecided: AtomicWaker::new(),
        }
    }

    /// The reader has handed one more head to hyper.
    pub(crate) fn deliver(&self) {
        self.delivered.fetch_add(1, Ordering::AcqRel);
    }

    /// The reader hands over a stand-in for a malformed head; it is the last one of its connection.
    pub(crate) fn deliver_refused(&self, malformed: Malformed) {
        let number = self.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        let _ = self.refused.set((number, malformed));
    }

    /// How many heads hyper got.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// How many of them wait for the end of their response.
    pub(crate) fn in_flight(&self) -> u64 {
        self.delivered().saturating_sub(self.answered.load(Ordering::Acquire))
    }

    /// The service is called. hyper's HTTP/1 calls it in the order of the heads, one at a time, so the
    /// count tells which head this is. `Some`: it is the stand-in, and this is what to answer.
    pub(crate) fn call(&self) -> Option<Malformed> {
        let number = self.called.fetch_add(1, Ordering::AcqRel) + 1;
        self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, malformed)| *malformed)
    }

    /// One response is through.
    pub(crate) fn answer(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_answer_ms.store(now, Ordering::Release);
        self.answered.fetch_add(1, Ordering::AcqRel);
        self.undecided.wake();
    }

    /// How long no response has ended; zero while one is under way.
    pub(crate) fn quiet(&self) -> Duration {
        if self.in_flight() > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last_answer_ms.load(Ordering::Acquire));
        self.started.elapsed().saturating_sub(last)
    }

    /// Whom to wake when the next response is through.
    pub(crate) fn wake_when_decided(&self, waker: &Waker) {
        self.undecided.register(waker);
    }

    /// The response is 101: from here on the bytes belong to another protocol.
    pub(crate) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Release);
    }

    pub(crate) fn upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// A response broke off: the connection must not end as if all were well.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
    }

    pub(crate) fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }
}
