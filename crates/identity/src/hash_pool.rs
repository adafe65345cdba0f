//! Password hashing on threads of its own: bounded memory, low priority, a bounded queue (AUTH-2).
//!
//! One hash takes about 20 ms and 19 MiB. On the async threads a handful of sign-ins would stall every other
//! request; without a limit a flood of them would eat the memory. So there are as many hashing threads as cores, each
//! with one reused block of memory, at a lower priority than the threads that serve requests with tokens.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use base::{Entropy, Secret};
use crypto::password::{Hasher, Params, Verdict};
use keys::EpochKey;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::Error;

/// Hashes that one core does in a second, roughly; only for the advice in `Retry-After`.
const HASHES_PER_SECOND: usize = 40;
/// A thread that had nothing to do for this long gives its block of memory back.
const IDLE: Duration = Duration::from_secs(1);
/// Lower than the default, so that the scheduler prefers everything else.
const NICE: i32 = 19;

type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// The threads and their queue. Dropping it lets the threads finish what waits and end.
pub(crate) struct HashPool {
    shared: Arc<Shared>,
    threads: usize,
    entropy: Entropy,
}

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    capacity: usize,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl HashPool {
    /// `threads` 0 means one per core; `per_thread` jobs may wait for each.
    pub(crate) fn start(
        threads: usize,
        per_thread: usize,
        params: Params,
        entropy: Entropy,
    ) -> std::io::Result<Self> {
        let threads = if threads == 0 { std::thread::available_parallelism()?.get() } else { threads };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), closed: false }),
            ready: Condvar::new(),
            capacity: threads * per_thread.max(1),
        });
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || work(&shared, params))?;
        }
        Ok(Self { shared, threads, entropy })
    }

    /// A new hash under this pepper.
    pub(crate) async fn hash(&self, password: Secret<String>, pepper: EpochKey) -> Result<String, Error> {
        let entropy = self.entropy.clone();
        self.run(move |hasher| hasher.hash(&password, &pepper.key, &entropy)).await
    }

    /// Compares. A stored hash that cannot be read counts as wrong; the caller's log says so.
    pub(crate) async fn verify(
        &self,
        password: Arc<Secret<String>>,
        pepper: Option<EpochKey>,
        stored: String,
    ) -> Result<Verdict, Error> {
        self.run(move |hasher| {
            hasher.verify(&password, pepper.as_ref().map(|epoch| &*epoch.key), &stored).unwrap_or_else(
                |error| {
                    tracing::error!(%error, "a stored password hash cannot be compared with");
                    Verdict::Wrong
                },
            )
        })
        .await
    }

    /// Runs `work` on a hashing thread; [`Error::Busy`] if too many wait already.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |hasher| {
            // Whoever asked may have hung up while this waited; then the work is for nobody.
            if !reply.is_closed() {
                let _ = reply.send(work(hasher));
            }
        });
        {
            let mut queue = self.shared.queue.lock();
            if queue.jobs.len() >= self.shared.capacity {
                metrics::counter!("identity_hash_refused_total").increment(1);
                let seconds = 1 + queue.jobs.len() / (self.threads * HASHES_PER_SECOND);
                return Err(Error::Busy { retry_after_s: u32::try_from(seconds).unwrap_or(60) });
            }
            queue.jobs.push_back(job);
            note_length(&queue);
        }
        self.shared.ready.notify_one();
        answer.await.map_err(|_| Error::internal("a hashing thread failed at its work"))
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

fn note_length(queue: &Queue) {
    metrics::gauge!("identity_hash_queue")
        .set(f64::from(u32::try_from(queue.jobs.len()).unwrap_or(u32::MAX)));
}

/// What each thread does until the pool is dropped.
fn work(shared: &Shared, params: Params) {
    // Without the right to lower its own priority (unheard of) the thread works at the normal one.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut hasher = None;
    loop {
        let job = {
            let mut queue = shared.queue.lock();
            loop {
                if let Some(job) = queue.jobs.pop_front() {
                    note_length(&queue);
                    break job;
                }
                if queue.closed {
                    return;
                }
                if hasher.is_none() {
                    shared.ready.wait(&mut queue);
                } else if shared.ready.wait_for(&mut queue, IDLE).timed_out() {
                    hasher = None;
                }
            }
        };
        let ready = hasher.get_or_insert_with(|| Hasher::new(params));
        // A panic in a hash must not take the thread with it: without threads nobody signs in any more.
        if std::panic::catch_unwind(AssertUnwindSafe(|| job(ready))).is_err() {
            tracing::error!("a password hash panicked");
            hasher = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn small() -> HashPool {
        let params = Params::new(64, 1, 1).unwrap();
        HashPool::start(1, 2, params, Entropy::seeded(1)).unwrap()
    }

    /// Keeps the only thread busy until the returned sender is dropped.
    async fn blocked(pool: &Arc<HashPool>) -> mpsc::Sender<()> {
        let (release, wait) = mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let pool = Arc::clone(pool);
        tokio::spawn(async move {
            pool.run(move |_| {
                let _ = started.send(());
                let _ = wait.recv();
            })
            .await
        });
        running.await.unwrap();
        release
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_works_again_later() {
        let pool = Arc::new(small());
        let release = blocked(&pool).await;
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.run(|_| ()).await })
            })
            .collect();
        while pool.shared.queue.lock().jobs.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|_| ()).await, Err(Error::Busy { retry_after_s: 1.. })));
        drop(release);
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        pool.run(|_| ()).await.unwrap();
    }

    #[tokio::test]
    async fn work_for_somebody_who_left_is_skipped() {
        let pool = Arc::new(small());
        let release = blocked(&pool).await;
        let (done, was_done) = mpsc::channel();
        let asked = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.run(move |_| done.send(())).await })
        };
        while pool.shared.queue.lock().jobs.is_empty() {
            tokio::task::yield_now().await;
        }
        asked.abort();
        let _ = asked.await;
        drop(release);
        pool.run(|_| ()).await.unwrap();
        assert_eq!(was_done.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[tokio::test]
    async fn a_panic_does_not_cost_the_thread() {
        let pool = small();
        assert!(matches!(pool.run::<()>(|_| panic!("on purpose")).await, Err(Error::Internal(_))));
        pool.run(|_| ()).await.unwrap();
    }

    #[tokio::test]
    async fn hashing_threads_run_at_low_priority() {
        let nice = small().run(|_| rustix::process::getpriority_process(None)).await.unwrap();
        assert_eq!(nice, Ok(NICE));
    }
}
