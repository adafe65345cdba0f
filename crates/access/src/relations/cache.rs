//! What reading remembers, and how it never remembers a right too long.
//!
//! An entry is stamped with counters that were read before the database was; every change moves them before its
//! operation answers. So a row that was read while a revocation committed carries an old stamp and is never used,
//! whatever the order in which threads ran. Beside that, an entry is believed for a second only, should a signal from
//! another node be lost.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Id, Timestamp, kind};
use store::{Change, Db};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::{Facts, ResourceRef};

const STRIPES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    account: Option<Id<kind::Account>>,
    resource: ResourceRef,
}

/// The same without owning the words.
struct Borrowed<'a> {
    account: Option<Id<kind::Account>>,
    resource: &'a ResourceRef,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed { account: self.account, resource: &self.resource }.hash(state);
    }
}

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.account.hash(state);
        self.resource.hash(state);
    }
}

impl quick_cache::Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.account == key.account && *self.resource == key.resource
    }
}

#[derive(Clone)]
struct Entry {
    facts: Arc<Facts>,
    object: Id<kind::Object>,
    read_at: Timestamp,
    everything: u64,
    stripe: u64,
}

/// What was known before the database was read.
#[derive(Clone, Copy)]
pub(crate) struct Before(u64);

pub(crate) struct Cache {
    entries: quick_cache::sync::Cache<Key, Entry>,
    /// Moves with every change, before any other counter.
    any: AtomicU64,
    everything: AtomicU64,
    objects: Box<[AtomicU64]>,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: quick_cache::sync::Cache::new(capacity.max(16)),
            any: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            objects: std::iter::repeat_with(|| AtomicU64::new(0)).take(STRIPES).collect(),
        }
    }

    pub(crate) fn before(&self) -> Before {
        Before(self.any.load(Ordering::SeqCst))
    }

    /// What is remembered and still true, as of `now`, not older than `max_age_ms`.
    pub(crate) fn get(
        &self,
        account: Option<Id<kind::Account>>,
        resource: &ResourceRef,
        now: Timestamp,
        max_age_ms: i64,
    ) -> Option<Arc<Facts>> {
        let entry = self.entries.get(&Borrowed { account, resource })?;
        let untouched = entry.everything == self.everything.load(Ordering::SeqCst)
            && entry.stripe == self.stripe(entry.object).load(Ordering::SeqCst);
        // A clock that steps back makes an age negative: that is no age to rely on.
        let fresh = (0..max_age_ms).contains(&now.since_ms(entry.read_at));
        (untouched && fresh).then_some(entry.facts)
    }

    /// Remembers what was read since `before`, unless something changed meanwhile.
    pub(crate) fn keep(
        &self,
        before: Before,
        account: Option<Id<kind::Account>>,
        object: Id<kind::Object>,
        facts: &Arc<Facts>,
    ) {
        // In this order: a change moves `any` first, so if it is unmoved now, these two were read before the change.
        let everything = self.everything.load(Ordering::SeqCst);
        let stripe = self.stripe(object).load(Ordering::SeqCst);
        if self.before().0 != before.0 {
            return;
        }
        let key = Key { account, resource: facts.resource.clone() };
        let entry = Entry { facts: Arc::clone(facts), object, read_at: facts.now, everything, stripe };
        self.entries.insert(key, entry);
    }

    pub(crate) fn forget(&self, change: Change) {
        let counter = match change {
            Change::Object(object) => self.stripe(object),
            Change::Relations | Change::Everything => &self.everything,
            // What an account is, its session says; facts that stand on somebody else's account are not remembered.
            Change::Account(_) | Change::Session(_) | Change::Keys | Change::Policies => return,
        };
        self.any.fetch_add(1, Ordering::SeqCst);
        counter.fetch_add(1, Ordering::SeqCst);
    }

    fn stripe(&self, object: Id<kind::Object>) -> &AtomicU64 {
        let bytes = object.as_bytes();
        &self.objects[usize::from(u16::from_be_bytes([bytes[14], bytes[15]])) % STRIPES]
    }
}

/// The task that hears of changes elsewhere.
pub(crate) struct Forgetting(JoinHandle<()>);

impl Forgetting {
    pub(crate) fn start(db: &Db, cache: Arc<Cache>) -> Self {
        let mut changes = db.changes();
        Self(tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(change) => cache.forget(change),
                    Err(RecvError::Lagged(_)) => cache.forget(Change::Everything),
                    Err(RecvError::Closed) => {
                        // Nothing tells of changes any more, so nothing that was remembered may be trusted.
                        cache.forget(Change::Everything);
                        return;
                    }
                }
            }
        }))
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
