//! The queue under contention and failure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Entropy};
use store::testing::databases;
use store::{Job, JobOptions, JobQueue, params};
use tokio::sync::Mutex;

use super::{SYSTEM, new_id};

store::sql! {
    /// A job that a newer program queued.
    UNKNOWN = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, '{\"kind\":\"from_the_future\"}', 'waiting', 0, 0, 12, 0)";
    /// What became of a job.
    STATE = "SELECT state, attempts, last_error FROM job";
}

const LEASE: Duration = Duration::from_secs(60);

fn queue(db: &store::Db) -> (JobQueue, Clock) {
    let clock = Clock::controlled(1_000_000);
    (JobQueue::new(db.clone(), clock.clone(), Entropy::system()), clock)
}

async fn enqueue(db: &store::Db, queue: &JobQueue, options: JobOptions) -> bool {
    let mut tx = db.begin(SYSTEM).await.unwrap();
    let queued = queue.enqueue(&mut tx, &Job::Janitor, options).await.unwrap();
    tx.commit().await.unwrap();
    queued.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_do_every_job_exactly_once() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        let mut tx = db.begin(SYSTEM).await.unwrap();
        for _ in 0..1_500 {
            queue.enqueue(&mut tx, &Job::Janitor, JobOptions::default()).await.unwrap();
        }
        tx.commit().await.unwrap();
        let done: Arc<Mutex<HashMap<_, u32>>> = Arc::default();
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (db, queue, done) = (db.clone(), queue.clone(), done.clone());
                tokio::spawn(async move {
                    loop {
                        let claimed = queue.claim(7, LEASE).await.unwrap();
                        assert!(claimed.len() <= 7);
                        // With SKIP LOCKED an empty hand does not mean an empty queue.
                        if claimed.is_empty() && queue.count().await.unwrap().0 == 0 {
                            return;
                        }
                        for job in claimed {
                            *done.lock().await.entry(job.id).or_default() += 1;
                            let mut tx = db.begin(SYSTEM).await.unwrap();
                            assert!(queue.complete(&mut tx, &job).await.unwrap());
                            tx.commit().await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        let done = done.lock().await;
        assert_eq!((done.len(), done.values().max()), (1_500, Some(&1)));
    }
}

#[tokio::test]
async fn one_key_is_queued_once_until_it_is_finished() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        let once = || JobOptions { dedup: Some("janitor".into()), run_at: None };
        assert!(enqueue(&db, &queue, once()).await);
        assert!(!enqueue(&db, &queue, once()).await);
        let job = queue.claim(1, LEASE).await.unwrap().remove(0);
        assert!(!enqueue(&db, &queue, once()).await);
        let mut tx = db.begin(SYSTEM).await.unwrap();
        assert!(queue.complete(&mut tx, &job).await.unwrap());
        tx.commit().await.unwrap();
        assert!(enqueue(&db, &queue, once()).await);
    }
}

#[tokio::test]
async fn a_dead_workers_job_comes_back_and_its_late_answer_does_not_count() {
    for db in databases().await {
        let (queue, clock) = queue(&db);
        enqueue(&db, &queue, JobOptions::default()).await;
        let first = queue.claim(1, LEASE).await.unwrap().remove(0);
        assert!(queue.claim(1, LEASE).await.unwrap().is_empty());
        clock.advance_ms(60_000);
        let second = queue.claim(1, LEASE).await.unwrap().remove(0);
        assert_eq!((second.id, second.attempt), (first.id, 2));
        let mut tx = db.begin(SYSTEM).await.unwrap();
        assert!(!queue.complete(&mut tx, &first).await.unwrap());
        drop(tx);
        queue.fail(&first, "late").await.unwrap();
        let mut tx = db.begin(SYSTEM).await.unwrap();
        assert!(queue.complete(&mut tx, &second).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(queue.count().await.unwrap(), (0, 0));
    }
}

#[tokio::test]
async fn failures_wait_longer_and_are_buried_in_the_end() {
    for db in databases().await {
        let (queue, clock) = queue(&db);
        enqueue(&db, &queue, JobOptions::default()).await;
        for attempt in 1..=12 {
            let job = queue.claim(1, LEASE).await.unwrap().remove(0);
            assert_eq!(job.attempt, attempt);
            queue.fail(&job, &"ä".repeat(400)).await.unwrap();
            if let Some(due) = queue.next_due().await.unwrap() {
                let wait = due.since_ms(clock.now());
                assert!(wait >= 500 && queue.claim(1, LEASE).await.unwrap().is_empty());
                clock.advance_ms(wait);
            }
        }
        assert!(queue.claim(1, LEASE).await.unwrap().is_empty());
        assert_eq!(queue.count().await.unwrap(), (0, 1));
        let mut tx = db.begin_read(SYSTEM).await.unwrap();
        let row = tx.query_one(STATE, params![]).await.unwrap();
        assert_eq!(row.get::<String>(0).unwrap(), "dead");
        assert_eq!(row.get::<String>(2).unwrap(), "ä".repeat(250));
    }
}

#[tokio::test]
async fn a_job_that_kills_its_worker_is_buried() {
    for db in databases().await {
        let (queue, clock) = queue(&db);
        enqueue(&db, &queue, JobOptions::default()).await;
        for _ in 1..=12 {
            assert_eq!(queue.claim(1, LEASE).await.unwrap().len(), 1);
            clock.advance_ms(60_000);
        }
        assert!(queue.claim(1, LEASE).await.unwrap().is_empty());
        assert_eq!(queue.count().await.unwrap(), (0, 1));
    }
}

#[tokio::test]
async fn an_unknown_job_is_left_to_those_who_know_it() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        let mut tx = db.begin(SYSTEM).await.unwrap();
        tx.execute(UNKNOWN, params![new_id()]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(queue.claim(1, LEASE).await.unwrap().is_empty());
        assert_eq!(queue.count().await.unwrap(), (1, 0));
    }
}

#[tokio::test]
async fn a_waiting_worker_is_woken_by_a_due_job() {
    for db in databases().await {
        let (queue, clock) = queue(&db);
        let later = JobOptions { run_at: Some(clock.now().plus_ms(5_000)), dedup: None };
        assert!(enqueue(&db, &queue, later).await);
        assert!(queue.claim(1, LEASE).await.unwrap().is_empty());
        assert_eq!(queue.next_due().await.unwrap(), Some(clock.now().plus_ms(5_000)));
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.woken().await }
        });
        assert!(enqueue(&db, &queue, JobOptions::default()).await);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    }
}
