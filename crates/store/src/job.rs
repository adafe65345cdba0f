//! Work that outlives a request: queued in the transaction that causes it, done at least once.

use std::time::Duration;

use base::{Clock, Entropy, Id, Scope, Timestamp, kind};
use serde::{Deserialize, Serialize};

use crate::{Db, DbError, Tx, params, sql};

/// How often a job is tried before it is buried.
const MAX_ATTEMPTS: u32 = 12;
/// The first wait after a failure; every further one is twice as long.
const FIRST_WAIT_MS: i64 = 1_000;
/// The longest wait between two attempts.
const LONGEST_WAIT_MS: i64 = 15 * 60 * 1_000;
/// How much of an error is kept.
const ERROR_BYTES: usize = 500;

/// What can be queued. Holds identifiers only, never personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
    /// Which attempt this is, from 1. It also tells this claim from an earlier one of the same job.
    pub attempt: u32,
}

sql! {
    /// Queues a job unless one with the same key is unfinished.
    INSERT = "INSERT INTO job (id, payload, dedup, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, $2, $3, 'waiting', $4, 0, $5, $6) ON CONFLICT DO NOTHING";
    /// Claims due jobs. Only the two databases' ways of not claiming twice differ: SQLite has one
    /// writer, PostgreSQL skips rows that somebody else is claiming just now. The materialised list
    /// is evaluated once; a plain sub-select may be run again and claim more than asked for.
    CLAIM = sqlite "UPDATE job SET state = 'claimed', due_at = $2, attempts = attempts + 1
        WHERE id IN (SELECT id FROM job WHERE state <> 'dead' AND due_at <= $1 ORDER BY due_at LIMIT $3)
          AND state <> 'dead' AND due_at <= $1
        RETURNING id, payload, attempts, max_attempts",
        postgres "WITH due AS MATERIALIZED (
            SELECT id FROM job WHERE state <> 'dead' AND due_at <= $1 ORDER BY due_at LIMIT $3
            FOR UPDATE SKIP LOCKED)
        UPDATE job SET state = 'claimed', due_at = $2, attempts = job.attempts + 1
        FROM due WHERE job.id = due.id
        RETURNING job.id, job.payload, job.attempts, job.max_attempts";
    /// Removes a job that this claim has done.
    COMPLETE = "DELETE FROM job WHERE id = $1 AND state = 'claimed' AND attempts = $2";
    /// Gives a job back, or buries it after its last attempt.
    FAIL = "UPDATE job SET state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'waiting' END,
            due_at = $3, last_error = $4
        WHERE id = $1 AND state = 'claimed' AND attempts = $2";
    /// When the next job is due.
    NEXT_DUE = "SELECT min(due_at) FROM job WHERE state <> 'dead'";
    /// How many jobs wait or run, and how many are buried.
    COUNT = "SELECT CAST(coalesce(sum(CASE WHEN state <> 'dead' THEN 1 ELSE 0 END), 0) AS BIGINT),
            CAST(coalesce(sum(CASE WHEN state = 'dead' THEN 1 ELSE 0 END), 0) AS BIGINT) FROM job";
}

/// The queue.
#[derive(Clone)]
pub struct JobQueue {
    db: Db,
    clock: Clock,
    entropy: Entropy,
}

impl JobQueue {
    /// The queue in this database.
    pub const fn new(db: Db, clock: Clock, entropy: Entropy) -> Self {
        Self { db, clock, entropy }
    }

    /// Queues a job within the transaction; `None` if one with the same dedup key is unfinished.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn enqueue(
        &self,
        tx: &mut Tx,
        job: &Job,
        options: JobOptions,
    ) -> Result<Option<Id<kind::Job>>, DbError> {
        enqueue(tx, &self.clock, &self.entropy, job, options).await
    }

    /// Takes up to `n` due jobs for `lease`; a worker that dies gives them back by the lease's end.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn claim(&self, n: u32, lease: Duration) -> Result<Vec<ClaimedJob>, DbError> {
        let now = self.clock.now();
        let until = now.plus_ms(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let mut tx = self.system().await?;
        let rows = tx.query(CLAIM, params![now, until, n]).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, attempt): (Id<kind::Job>, u32) = (row.get(0)?, row.get(2)?);
            if attempt > row.get::<u32>(3)? {
                // Every attempt ended with its worker's death; the next worker must not die of it, too.
                self.give_back(&mut tx, id, attempt, "the worker did not survive the last attempt").await?;
                continue;
            }
            match serde_json::from_str(&row.get::<String>(1)?) {
                Ok(job) => claimed.push(ClaimedJob { id, job, attempt }),
                // Queued by a newer node, which will do it.
                Err(_) => self.give_back(&mut tx, id, attempt, "this program does not know the job").await?,
            }
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Removes a job that is done, in the transaction of its effect. `false` if the lease was lost and
    /// another worker has it: then drop the transaction.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn complete(&self, tx: &mut Tx, job: &ClaimedJob) -> Result<bool, DbError> {
        Ok(tx.execute(COMPLETE, params![job.id, job.attempt]).await? == 1)
    }

    /// Gives a job back after a failure, to be tried later, or buries it after its last attempt.
    /// `error` must not hold personal data; it is cut to 500 bytes.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn fail(&self, job: &ClaimedJob, error: &str) -> Result<(), DbError> {
        let mut tx = self.system().await?;
        self.give_back(&mut tx, job.id, job.attempt, error).await?;
        tx.commit().await
    }

    /// When the next job is due, or its lease ends; `None` if there is none.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn next_due(&self) -> Result<Option<Timestamp>, DbError> {
        self.db.begin_read(Scope::System("job queue")).await?.query_one(NEXT_DUE, &[]).await?.get(0)
    }

    /// How many jobs are unfinished, and how many are buried.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn count(&self) -> Result<(u64, u64), DbError> {
        let row = self.db.begin_read(Scope::System("job queue")).await?.query_one(COUNT, &[]).await?;
        Ok((row.get(0)?, row.get(1)?))
    }

    /// Waits until somebody queued a job that is due, here or on another node. Use it together with
    /// [`next_due`](Self::next_due) and a poll: on SQLite another process's jobs wake nobody.
    pub async fn woken(&self) {
        self.db.job_woken().await;
    }

    async fn system(&self) -> Result<Tx, DbError> {
        self.db.begin(Scope::System("job queue")).await
    }

    async fn give_back(
        &self,
        tx: &mut Tx,
        id: Id<kind::Job>,
        attempt: u32,
        error: &str,
    ) -> Result<(), DbError> {
        let again = self.clock.now().plus_ms(backoff_ms(attempt, &self.entropy));
        let mut end = error.len().min(ERROR_BYTES);
        while !error.is_char_boundary(end) {
            end -= 1;
        }
        tx.execute(FAIL, params![id, attempt, again, &error[..end]]).await.map(drop)
    }
}

/// Queues a job within the transaction; `None` if one with the same dedup key is unfinished.
///
/// # Errors
/// Any [`DbError`].
pub async fn enqueue(
    tx: &mut Tx,
    clock: &Clock,
    entropy: &Entropy,
    job: &Job,
    options: JobOptions,
) -> Result<Option<Id<kind::Job>>, DbError> {
    let now = clock.now();
    let id = Id::at(now, entropy);
    let payload = serde_json::to_string(job).expect("a job is plain data");
    let due = options.run_at.unwrap_or(now);
    let queued = tx.execute(INSERT, params![id, payload, options.dedup, due, MAX_ATTEMPTS, now]).await? == 1;
    if queued && due <= now {
        tx.wake_jobs();
    }
    Ok(queued.then_some(id))
}

/// Doubles with every attempt; a random half keeps jobs that failed together from coming back together.
fn backoff_ms(attempt: u32, entropy: &Entropy) -> i64 {
    let full = FIRST_WAIT_MS.saturating_mul(1 << attempt.clamp(1, 20).saturating_sub(1)).min(LONGEST_WAIT_MS);
    let random = i64::from(u32::from_le_bytes(entropy.bytes()));
    full / 2 + random % (full / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let entropy = Entropy::seeded(1);
        for attempt in 0..100 {
            let wait = backoff_ms(attempt, &entropy);
            let full = (1_000_i64 << attempt.clamp(1, 20).saturating_sub(1)).min(LONGEST_WAIT_MS);
            assert!((full / 2..=full).contains(&wait), "attempt {attempt}: {wait}");
        }
    }

    #[test]
    fn jobs_keep_their_spelling() {
        let job = Job::DeliverMail { mail: Id::from_bytes([7; 16]) };
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(text, r#"{"kind":"deliver_mail","mail":"07070707-0707-0707-0707-070707070707"}"#);
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }
}
