//! Threads that carry connections: each with a scheduler and an event queue of its own.
//!
//! On one scheduler for all threads, every event that wakes one thread makes it wake another, which costs two switches
//! a request. A connection stays on its lane, and so do the upstream connections that it uses.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Shutdown, busy_poll};

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// The lane of this thread; 0 outside of lanes.
pub(crate) fn current() -> usize {
    LANE.get()
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The lanes of one listener.
pub(crate) struct Lanes {
    // Unbounded, but every task in it holds a connection's permit, and those are counted.
    lanes: Vec<UnboundedSender<Task>>,
    next: usize,
}

impl Lanes {
    /// Starts `count` lanes; with 0, tasks run where the listener runs. They end when the listener is gone and no
    /// connection of `shutdown` is open any more.
    pub(crate) fn start(count: usize, shutdown: &Shutdown) -> io::Result<Self> {
        let mut lanes = Vec::with_capacity(count);
        for number in 1..=count {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (sender, receiver) = unbounded_channel();
            let shutdown = shutdown.clone();
            thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
                LANE.set(number);
                runtime.block_on(carry(receiver, shutdown));
            })?;
            lanes.push(sender);
        }
        Ok(Self { lanes, next: 0 })
    }

    /// No lanes: tasks run where the listener runs.
    pub(crate) const fn none() -> Self {
        Self { lanes: Vec::new(), next: 0 }
    }

    /// Runs a connection's task on the next lane.
    pub(crate) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        if self.lanes.is_empty() {
            tokio::spawn(task);
            return;
        }
        self.next = (self.next + 1) % self.lanes.len();
        // A lane that is gone has panicked; its connections went with it, and the client may come again.
        if self.lanes[self.next].send(Box::pin(task)).is_err() {
            tracing::error!(lane = self.next + 1, "a lane has ended");
        }
    }
}

async fn carry(mut tasks: UnboundedReceiver<Task>, shutdown: Shutdown) {
    tokio::spawn(busy_poll::stay_awake());
    while let Some(task) = tasks.recv().await {
        tokio::spawn(task);
    }
    shutdown.all_closed().await;
}
