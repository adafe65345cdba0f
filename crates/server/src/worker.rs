//! Does what requests leave behind: delivers mail, tends signing keys, removes what has had its time.

use std::sync::Arc;
use std::time::Duration;

use base::Scope;
use identity::DeliveryError;
use keys::{KeyUse, Rotation};
use store::{ClaimedJob, Job, JobOptions, JobQueue};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::services::Services;
use crate::signing::{self, Wish};

/// Jobs that run at the same time. Each holds little; the limit protects the mail server.
const CONCURRENT: usize = 4;
/// A job that is not done after this is given to another worker: longer than any delivery may take.
const LEASE: Duration = Duration::from_secs(120);
/// A lost wake-up is noticed after this.
const POLL: Duration = Duration::from_secs(1);
/// A job that is due but held by another worker must not make this one spin.
const SHORTEST: Duration = Duration::from_millis(50);
/// How often periodic work is queued. Nodes may queue at the same time; the key makes it one job.
const PERIOD: Duration = Duration::from_secs(600);
/// How long a failing queue is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop` becomes true; then lets the running jobs finish.
pub(crate) async fn run(services: Services, mut stop: watch::Receiver<bool>) {
    let queue = JobQueue::new(services.db.clone(), services.clock.clone(), services.entropy.clone());
    let permits = Arc::new(Semaphore::new(CONCURRENT));
    let mut running = JoinSet::new();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stop.borrow() {
        while running.try_join_next().is_some() {}
        let wait = match claim(&queue, &permits).await {
            Ok(jobs) if jobs.is_empty() => until_due(&queue, &services).await,
            Ok(jobs) => {
                for job in jobs {
                    // `claim` took no more than there are permits, and only this loop takes permits.
                    let permit = Arc::clone(&permits).try_acquire_owned();
                    let (services, queue) = (services.clone(), queue.clone());
                    running.spawn(async move {
                        let _permit = permit;
                        attempt(&services, &queue, &job).await;
                    });
                }
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, "the job queue cannot be read; trying again");
                PAUSE
            }
        };
        if wait.is_zero() && permits.available_permits() > 0 {
            continue;
        }
        tokio::select! {
            _ = stop.changed() => {}
            _ = period.tick() => schedule(&services).await,
            () = queue.woken(), if permits.available_permits() > 0 => {}
            Some(_) = running.join_next(), if !running.is_empty() => {}
            () = tokio::time::sleep(wait.max(SHORTEST)) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

async fn claim(queue: &JobQueue, permits: &Semaphore) -> Result<Vec<ClaimedJob>, store::DbError> {
    match u32::try_from(permits.available_permits()) {
        Ok(free) if free > 0 => queue.claim(free, LEASE).await,
        _ => Ok(Vec::new()),
    }
}

async fn until_due(queue: &JobQueue, services: &Services) -> Duration {
    let Ok(Some(due)) = queue.next_due().await else { return POLL };
    let ms = due.since_ms(services.clock.now()).max(0);
    Duration::from_millis(ms.unsigned_abs()).clamp(SHORTEST, POLL)
}

/// Queues what happens again and again; a job of the same key that still waits makes it nothing.
async fn schedule(services: &Services) {
    for (job, key) in [(Job::Janitor, "janitor"), (Job::RotateSigningKeys, "rotate-signing-keys")] {
        if let Err(error) = enqueue(services, &job, key).await {
            tracing::warn!(%error, job = key, "periodic work could not be queued; the next round tries again");
        }
    }
}

async fn enqueue(services: &Services, job: &Job, key: &str) -> Result<(), store::DbError> {
    let mut tx = services.db.begin(Scope::System("periodic work")).await?;
    let options = JobOptions { run_at: None, dedup: Some(key.to_owned()) };
    store::job::enqueue(&mut tx, &services.clock, &services.entropy, job, options).await?;
    tx.commit().await
}

async fn attempt(services: &Services, queue: &JobQueue, claimed: &ClaimedJob) {
    let outcome = match perform(services, &claimed.job).await {
        Ok(()) => finish(services, queue, claimed).await.map_err(|error| error.to_string()),
        Err(reason) => Err(reason),
    };
    let Err(reason) = outcome else { return };
    tracing::warn!(job = %claimed.id, attempt = claimed.attempt, reason, "a job failed; it will be tried again");
    if let Err(error) = queue.fail(claimed, &reason).await {
        // Its lease ends by itself and gives it to the next worker.
        tracing::warn!(%error, job = %claimed.id, "a failed job could not be given back");
    }
}

/// Does the work. Every job may run twice; each capability makes that harmless. The text of an error holds no
/// personal data.
async fn perform(services: &Services, job: &Job) -> Result<(), String> {
    match job {
        Job::DeliverMail { mail } => match services.identity.deliver_mail(*mail).await {
            Ok(()) => Ok(()),
            Err(DeliveryError::Later(reason)) => Err(reason),
            Err(DeliveryError::Never(reason)) => {
                tracing::warn!(%mail, reason, "a message can never be delivered");
                Ok(())
            }
        },
        Job::RotateSigningKeys => {
            for key_use in KeyUse::ALL {
                let done = signing::step(services, *key_use, Wish::Due, "rotation").await;
                let done = done.map_err(|error| error.to_string())?;
                if done != Rotation::Unchanged {
                    tracing::info!(key_use = key_use.name(), ?done, "signing keys moved on");
                }
            }
            Ok(())
        }
        Job::Janitor => {
            let swept = services.identity.janitor().await.map_err(|error| error.to_string())?;
            if swept != identity::Swept::default() {
                tracing::info!(?swept, "removed what had its time");
            }
            let keep = services.config.audit.keep_counts.as_ms_i64();
            let swept = services.audit.sweep_hours(keep).await.map_err(|error| error.to_string())?;
            if swept > 0 {
                tracing::info!(rows = swept, "removed counts of long ago");
            }
            let swept = services.relations.sweep().await.map_err(|error| error.to_string())?;
            if swept > 0 {
                tracing::info!(rows = swept, "removed relations that ended long ago");
            }
            Ok(())
        }
    }
}

async fn finish(services: &Services, queue: &JobQueue, claimed: &ClaimedJob) -> Result<(), store::DbError> {
    let mut tx = services.db.begin(Scope::System("finishing a job")).await?;
    // A lost lease means that another worker does it again; then there is nothing to record.
    if queue.complete(&mut tx, claimed).await? { tx.commit().await } else { Ok(()) }
}
