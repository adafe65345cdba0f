//! Work that outlives a request: queued in the transaction that causes it, done at least once.

use std::time::Duration;

use base::{Clock, Entropy, Id, Timestamp, kind};
use serde::{Deserialize, Serialize};

use crate::{Db, DbError, Tx};

/// What can be queued. Holds identifiers only, never personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Job {
    /// Send one message of the mail outbox.
    DeliverMail {
        /// Which message.
        mail: Id<kind::Mail>,
    },
    /// Make new token signing keys and retire old ones.
    RotateSigningKeys,
    /// Delete what has expired: sessions, tokens, finished mail.
    Janitor,
}

/// How to queue a job.
#[derive(Debug, Clone, Default)]
pub struct JobOptions {
    /// Not before this time; `None` is at once.
    pub run_at: Option<Timestamp>,
    /// While a job with this key waits or runs, another one is not queued.
    pub dedup: Option<String>,
}

/// A job that this worker may do until its lease ends.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Which job.
    pub id: Id<kind::Job>,
    /// What to do.
    pub job: Job,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// The queue.
#[derive(Clone)]
pub struct JobQueue {}

impl JobQueue {
    /// The queue in this database.
    pub fn new(db: Db, clock: Clock, entropy: Entropy) -> Self {
        let _ = (db, clock, entropy);
        todo!()
    }

    /// Queues a job within the transaction; `None` if one with the same dedup key waits already.
    pub async fn enqueue(&self, tx: &mut Tx, job: &Job, options: JobOptions) -> Result<Option<Id<kind::Job>>, DbError> {
        let _ = (tx, job, options);
        todo!()
    }

    /// Takes up to `n` due jobs for `lease`; a worker that dies gives them back by the lease's end.
    pub async fn claim(&self, n: u32, lease: Duration) -> Result<Vec<ClaimedJob>, DbError> {
        let _ = (n, lease);
        todo!()
    }

    /// Removes a job that is done, in the transaction of its effect. `false` if the lease was lost and
    /// another worker has it: then drop the transaction.
    pub async fn complete(&self, tx: &mut Tx, job: &ClaimedJob) -> Result<bool, DbError> {
        let _ = (tx, job);
        todo!()
    }

    /// Gives a job back after a failure, to be tried later, or buries it after its last attempt.
    /// `error` must not hold personal data.
    pub async fn fail(&self, job: &ClaimedJob, error: &str) -> Result<(), DbError> {
        let _ = (job, error);
        todo!()
    }

    /// When the next job is due; `None` if nothing waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, DbError> {
        todo!()
    }

    /// Waits until somebody queued a job that is due, here or on another node. Use it together with
    /// [`next_due`](Self::next_due) and a poll: a wake-up may be lost.
    pub async fn woken(&self) {
        todo!()
    }
}

/// Queues a job within the transaction; `None` if one with the same dedup key waits already.
pub async fn enqueue(
    tx: &mut Tx,
    clock: &Clock,
    entropy: &Entropy,
    job: &Job,
    options: JobOptions,
) -> Result<Option<Id<kind::Job>>, DbError> {
    let _ = (tx, clock, entropy, job, options);
    todo!()
}
