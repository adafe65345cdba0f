//! Hands changes and job wake-ups to whoever listens in this process.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast};

use crate::Change;

/// How many changes a slow receiver may be behind before it must treat the gap as Everything.
const BACKLOG: usize = 1_024;

/// What a transaction wants to be told to others once it is stored.
#[derive(Debug, Default)]
pub(crate) struct Announcement {
    pub(crate) changes: Vec<Change>,
    pub(crate) jobs: bool,
}

/// The process's ends of both signals. Clones share them.
#[derive(Clone)]
pub(crate) struct Signals {
    changes: broadcast::Sender<Change>,
    jobs: Arc<Notify>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { changes: broadcast::Sender::new(BACKLOG), jobs: Arc::new(Notify::new()) }
    }

    /// Tells everybody. Nobody listening is fine.
    pub(crate) fn publish(&self, announcement: &Announcement) {
        for change in &announcement.changes {
            self.change(*change);
        }
        if announcement.jobs {
            self.wake_jobs();
        }
    }

    pub(crate) fn change(&self, change: Change) {
        let _ = self.changes.send(change);
    }

    /// Wakes one worker, or the next one that waits: a wake-up between two waits is kept.
    pub(crate) fn wake_jobs(&self) {
        self.jobs.notify_one();
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(crate) async fn job_woken(&self) {
        self.jobs.notified().await;
    }
}
