//! Against a real trail and real sockets.

mod alerts;
mod cursor;
mod files;
mod http;
mod receiver;
mod syslog;

use std::net::IpAddr;
use std::time::Duration;

use audit::{Audit, Event, Outcome, Record, RequestInfo};
use base::{Clock, Entropy, Id};
use keys::{FileRoot, Keys, RootKey};
use store::Db;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Parts, SinkConfig, SinkStatus, Sinks, Source, Target};

const START: i64 = 1_767_323_045_678;

struct House {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    keys: Keys,
    audit: Audit,
    _folder: TempDir,
}

/// Running sinks; stopped by [`Running::stop`].
struct Running {
    sinks: Sinks,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl House {
    async fn new() -> Self {
        Self::on(Db::memory()).await
    }

    async fn on(db: Db) -> Self {
        let (clock, entropy) = (Clock::controlled(START), Entropy::system());
        let folder = tempfile::tempdir().unwrap();
        let file = FileRoot::open_or_create(&folder.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(file), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        Self { db, clock, entropy, keys, audit, _folder: folder }
    }

    fn failed_sign_in(&self, address: &str) -> Record {
        let request = RequestInfo {
            address: Some(address.parse::<IpAddr>().unwrap()),
            agent: Some("agent/1".into()),
            method: Some("POST".into()),
            ..RequestInfo::new(Id::new(&self.clock, &self.entropy))
        };
        Record::new(self.clock.now(), Event::SignInFailed { reason: "wrong_password" })
            .during(request)
            .ended(Outcome::Failure)
    }

    /// Events of no importance, all in the log afterwards.
    async fn events(&self, count: usize) {
        for _ in 0..count {
            self.audit.record_durable(self.failed_sign_in("203.0.113.7")).await.unwrap();
        }
        self.audit.settled().await.unwrap();
    }

    fn parts(&self) -> Parts {
        Parts {
            db: self.db.clone(),
            audit: self.audit.clone(),
            source: Source::of(&self.audit),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            deployment: self.keys.deployment(),
            version: "0.1.0".to_owned(),
        }
    }

    fn sinks(&self, configs: Vec<SinkConfig>) -> Sinks {
        Sinks::open(configs, self.parts()).unwrap()
    }

    fn start(&self, configs: Vec<SinkConfig>) -> Running {
        let sinks = self.sinks(configs);
        let (stop, stopped) = watch::channel(false);
        let tasks = sinks.start(&stopped).unwrap();
        Running { sinks, stop, tasks }
    }

    fn deployment(&self) -> String {
        hex::encode(self.keys.deployment())
    }

    async fn size(&self) -> u64 {
        self.audit.settled().await.unwrap();
        self.audit.tree().borrow().size
    }

    async fn kinds(&self) -> Vec<String> {
        self.audit.settled().await.unwrap();
        self.audit.read_log(0, 1_000).await.unwrap().into_iter().map(|one| one.entry.kind).collect()
    }
}

impl Running {
    async fn status(&self) -> SinkStatus {
        self.sinks.status().await.unwrap().remove(0)
    }

    /// Until the only sink has everything below `index`.
    async fn until(&self, index: u64) -> SinkStatus {
        until(async || Some(self.status().await).filter(|status| status.next_index >= index)).await
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_opened_for_whom_they_concern_only() {
    let house = House::new().await;
    house.events(2).await;
    let source = Source::of(&house.audit);
    let wanted: crate::Wanted = std::sync::Arc::new(|entry| entry.index == Some(1));
    let read = source.read(0, 10, &wanted).await.unwrap();
    assert_eq!((read[0].index, read[0].entry.address), (0, None));
    assert_eq!(read[0].entry.kind, "session.sign_in_failed");
    assert_eq!(read[1].entry.address, Some("203.0.113.7".parse().unwrap()));
}

/// Asks until there is an answer; the test fails if there never is one.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never happened");
}

/// A sink that does not make tests wait.
fn quick(target: Target) -> SinkConfig {
    SinkConfig {
        flush_every: Duration::from_millis(20),
        timeout: Duration::from_millis(1_500),
        checkpoint_every: Duration::from_millis(50),
        failing_after: Duration::ZERO,
        waits: (Duration::from_millis(10), Duration::from_millis(50)),
        ..SinkConfig::new("siem", target)
    }
}
