//! Shared by the tests of this crate.

use std::net::IpAddr;
use std::sync::Arc;

use base::{Actor, Clock, Entropy, Id, Scope, kind as ids};
use keys::{FileRoot, Keys, RootKey, Subject};
use store::{Db, params, sql};
use tempfile::TempDir;

use crate::{Audit, Entry, Event, Filter, Page, Record, RequestInfo, Searcher, Stages};

mod append;
mod catalogue;
mod erased;
mod evidence;
mod export;
mod files;
mod hostile;
mod hourly;
mod live;
mod log;
mod noticed;
mod search;
mod secrecy;
mod tamper;
mod writer;

sql! {
    COUNT = "SELECT count(*) FROM audit_event WHERE kind = $1";
}

const SYSTEM: Scope = Scope::System("test");
const START: i64 = 1_700_000_000_000;

struct House {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    keys: Keys,
    audit: Audit,
    _folder: TempDir,
}

impl House {
    async fn new(db: Db) -> Self {
        let (clock, entropy) = (Clock::controlled(START), Entropy::system());
        let folder = tempfile::tempdir().unwrap();
        let file = FileRoot::open_or_create(&folder.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(file), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        Self { db, clock, entropy, keys, audit, _folder: folder }
    }

    async fn account(&self) -> Id<ids::Account> {
        let id = Id::new(&self.clock, &self.entropy);
        let mut tx = self.db.begin(SYSTEM).await.unwrap();
        self.keys.create_subject(&mut tx, Subject::Account(id)).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    fn request(&self) -> RequestInfo {
        RequestInfo {
            address: Some("203.0.113.77".parse::<IpAddr>().unwrap()),
            agent: Some("CanaryAgent/1.0".into()),
            method: Some("GET".into()),
            route: Some(Arc::from("/api/v1/tracks/{id}")),
            path: Some("/api/v1/tracks/canary-path".into()),
            ..RequestInfo::new(Id::new(&self.clock, &self.entropy))
        }
    }

    /// A traffic record of a request by nobody.
    fn traffic(&self, status: u16) -> Record {
        Record::new(self.clock.now(), request_event(status)).during(self.request())
    }

    /// A critical record about an account.
    fn critical(&self, account: Id<ids::Account>) -> Record {
        let session = Id::new(&self.clock, &self.entropy);
        Record::new(self.clock.now(), Event::SignedIn { session, method: "password" })
            .by_account(account)
            .during(self.request())
    }

    /// How many events of a kind are in the log, once everything recorded is.
    async fn count(&self, kind: &str) -> i64 {
        self.audit.core().sequenced(std::time::Duration::from_secs(10)).await.unwrap();
        let mut tx = self.db.begin_read(SYSTEM).await.unwrap();
        tx.query_one(COUNT, params![kind]).await.unwrap().get(0).unwrap()
    }

    async fn find(&self, filter: &Filter) -> Vec<Entry> {
        self.page(filter).await.entries
    }

    async fn page(&self, filter: &Filter) -> Page {
        self.audit.search(&operator(), filter, None, 200).await.unwrap()
    }
}

fn operator() -> Searcher {
    Searcher { actor: Actor::System("test"), scope: SYSTEM, request: None }
}

fn owner(account: Id<ids::Account>) -> Searcher {
    Searcher { actor: Actor::Account(account), scope: Scope::Account(account), request: None }
}

fn request_event(status: u16) -> Event {
    Event::HttpRequest {
        status,
        duration_us: 1_234,
        bytes_in: 0,
        bytes_out: 42,
        stages: Stages::new(),
        upstream: None,
    }
}

/// Waits until the writer or the stream has brought something about.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test]
async fn every_statement_prepares_on_both_databases() {
    for db in store::testing::databases().await {
        assert_eq!(store::testing::prepare_all(&db).await, Vec::<String>::new());
    }
}
