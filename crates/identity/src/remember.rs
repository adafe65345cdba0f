//! What authentication remembers, and how it never remembers too long.
//!
//! Two bounded caches: *credentials* (SHA-256 of a token or cookie → whose it is, facts that never change) and
//! *sessions* (session → what may change). An entry of the second is stamped with counters that were read **before**
//! the database was; every change moves a counter. So an entry that was read while a revocation committed carries an
//! old stamp and is never used, whatever the order in which the threads ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use access::{Role, Tier};
use base::{Id, Timestamp, Username, kind};
use crypto::jws::VerifyingKeys;
use ipnet::IpNet;
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use store::Change;

use crate::{Method, SessionKind};

/// Whether facts that were read before may decide who calls and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// They are true on this node; what another node changed is heard of within a second.
    Allowed,
    /// Everything that may have changed is read again: for what cannot be taken back.
    Never,
}

/// Counters per kind; ids share them by their last (random) byte. A collision costs a read, nothing else.
const STRIPES: usize = 256;

/// A verified credential.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credential {
    pub(crate) method: Method,
    pub(crate) account: Id<kind::Account>,
    pub(crate) session: Id<kind::Session>,
    /// The credential's own end; a cookie ends with its session.
    pub(crate) expires_at: Timestamp,
    /// Under which set of verifying keys it was found good; [`COOKIE`] needs none.
    keys: u64,
}

/// What may change about a session.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) ended: Option<&'static str>,
    pub(crate) kind: SessionKind,
    pub(crate) role: Role,
    pub(crate) tier: Tier,
    pub(crate) username: Username,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) second_factor_at: Option<Timestamp>,
    pub(crate) has_second_factor: bool,
    pub(crate) aal: crate::Aal,
    /// What is left of how suspicious the sign-in looked, from 0 to 100.
    pub(crate) risk: u8,
    /// The account is locked.
    pub(crate) locked: bool,
    pub(crate) expires_at: Timestamp,
    /// Milliseconds since 1970; moves with use without a new read.
    pub(crate) last_seen_ms: AtomicI64,
}

/// What may change about an API key.
#[derive(Debug)]
pub(crate) struct KeyFacts {
    pub(crate) ended: Option<&'static str>,
    /// Sorted.
    pub(crate) scopes: Arc<[Box<str>]>,
    pub(crate) networks: Vec<IpNet>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) role: Role,
    pub(crate) tier: Tier,
    pub(crate) username: Username,
    /// The account is locked.
    pub(crate) locked: bool,
    /// Milliseconds since 1970; moves with use without a new read.
    pub(crate) last_used_ms: AtomicI64,
}

/// An API key and whose it is.
type KeyOwner = (Id<kind::ApiKey>, Id<kind::Account>);

/// Which changes an entry has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    everything: u64,
    account: u64,
    session: u64,
}

/// Numbers the sets of verifying keys, so that a revoked signing key takes its remembered tokens with it. A counter of
/// *announced* changes would not do: the keys may be reloaded a moment after it moved, and a token that is verified in
/// between would be remembered as good.
pub(crate) struct KeyGenerations {
    /// Held, so that no other set can come to lie at the same address.
    current: RwLock<(Option<Arc<VerifyingKeys>>, u64)>,
}

impl KeyGenerations {
    /// The number of this set. A set that was replaced and comes back (a slow thread) gets a new number, under which
    /// nothing is ever found again.
    pub(crate) fn of(&self, keys: &Arc<VerifyingKeys>) -> u64 {
        let is =
            |current: &Option<Arc<VerifyingKeys>>| current.as_ref().is_some_and(|now| Arc::ptr_eq(now, keys));
        {
            let current = self.current.read();
            if is(&current.0) {
                return current.1;
            }
        }
        let mut current = self.current.write();
        if !is(&current.0) {
            *current = (Some(Arc::clone(keys)), current.1 + 1);
        }
        current.1
    }
}

/// The number for credentials that no key verifies.
pub(crate) const COOKIE: u64 = 0;

/// The two caches and their counters.
pub(crate) struct Remembered {
    credentials: Cache<[u8; 32], Credential>,
    sessions: Cache<Id<kind::Session>, (Stamp, Arc<Facts>)>,
    /// By hash; whose a key is never changes.
    api_keys: Cache<[u8; 32], KeyOwner>,
    key_facts: Cache<Id<kind::ApiKey>, (Stamp, Arc<KeyFacts>)>,
    pub(crate) keys: KeyGenerations,
    everything: AtomicU64,
    accounts: [AtomicU64; STRIPES],
    of_sessions: [AtomicU64; STRIPES],
}

impl Remembered {
    pub(crate) fn new(credentials: usize, sessions: usize) -> Self {
        Self {
            credentials: Cache::new(credentials.max(16)),
            sessions: Cache::new(sessions.max(16)),
            api_keys: Cache::new((sessions / 8).max(16)),
            key_facts: Cache::new((sessions / 8).max(16)),
            everything: AtomicU64::new(0),
            keys: KeyGenerations { current: RwLock::new((None, COOKIE)) },
            accounts: [const { AtomicU64::new(0) }; STRIPES],
            of_sessions: [const { AtomicU64::new(0) }; STRIPES],
        }
    }

    /// What is remembered of a credential that was found good under these keys.
    pub(crate) fn credential(&self, hash: &[u8; 32], keys: u64) -> Option<Credential> {
        self.credentials.get(hash).filter(|found| found.keys == keys)
    }

    /// Remembers a verified credential; `keys` numbers the set that it was verified with.
    pub(crate) fn keep_credential(
        &self,
        hash: [u8; 32],
        keys: u64,
        method: Method,
        (account, session): (Id<kind::Account>, Id<kind::Session>),
        expires_at: Timestamp,
    ) -> Credential {
        let credential = Credential { method, account, session, expires_at, keys };
        self.credentials.insert(hash, credential);
        credential
    }

    /// The counters now; read them before the database.
    pub(crate) fn stamp(&self, account: Id<kind::Account>, session: Id<kind::Session>) -> Stamp {
        Stamp {
            everything: self.everything.load(Ordering::SeqCst),
            account: self.accounts[stripe(&account)].load(Ordering::SeqCst),
            session: self.of_sessions[stripe(&session)].load(Ordering::SeqCst),
        }
    }

    pub(crate) fn facts(&self, account: Id<kind::Account>, session: Id<kind::Session>) -> Option<Arc<Facts>> {
        let (stamp, facts) = self.sessions.get(&session)?;
        (stamp == self.stamp(account, session)).then_some(facts)
    }

    pub(crate) fn keep_facts(&self, session: Id<kind::Session>, stamp: Stamp, facts: &Arc<Facts>) {
        self.sessions.insert(session, (stamp, Arc::clone(facts)));
    }

    pub(crate) fn key(&self, hash: &[u8; 32]) -> Option<KeyOwner> {
        self.api_keys.get(hash)
    }

    pub(crate) fn keep_key(&self, hash: [u8; 32], owner: KeyOwner) {
        self.api_keys.insert(hash, owner);
    }

    /// As [`Remembered::stamp`]; a key's changes are told as its account's.
    pub(crate) fn key_stamp(&self, account: Id<kind::Account>, key: Id<kind::ApiKey>) -> Stamp {
        self.stamp(account, Id::from_bytes(*key.as_bytes()))
    }

    pub(crate) fn key_facts(
        &self,
        account: Id<kind::Account>,
        key: Id<kind::ApiKey>,
    ) -> Option<Arc<KeyFacts>> {
        let (stamp, facts) = self.key_facts.get(&key)?;
        (stamp == self.key_stamp(account, key)).then_some(facts)
    }

    pub(crate) fn keep_key_facts(&self, key: Id<kind::ApiKey>, stamp: Stamp, facts: &Arc<KeyFacts>) {
        self.key_facts.insert(key, (stamp, Arc::clone(facts)));
    }

    /// Forgets what a change touches. Call it after the commit and before the answer.
    pub(crate) fn forget(&self, change: Change) {
        let counter = match change {
            Change::Account(id) => &self.accounts[stripe(&id)],
            Change::Session(id) => &self.of_sessions[stripe(&id)],
            // Seen by `KeyGenerations`.
            Change::Keys => return,
            // Roles and tiers are facts of the account; what they grant is looked up at each decision.
            Change::Policies | Change::Object(_) | Change::Relations => return,
            Change::Everything => &self.everything,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

fn stripe<K>(id: &Id<K>) -> usize {
    usize::from(id.as_bytes()[15]) % STRIPES
}

#[cfg(test)]
mod tests {
    use base::{Clock, Entropy};

    use super::*;

    fn ids() -> (Id<kind::Account>, Id<kind::Session>) {
        let (clock, entropy) = (Clock::controlled(1), Entropy::seeded(1));
        (Id::new(&clock, &entropy), Id::new(&clock, &entropy))
    }

    fn facts() -> Arc<Facts> {
        Arc::new(Facts {
            ended: None,
            kind: SessionKind::Token,
            role: Role::User,
            tier: Tier::Free,
            username: "ada".parse().unwrap(),
            authenticated_at: Timestamp::from_millis(0),
            second_factor_at: None,
            has_second_factor: false,
            aal: crate::Aal::One,
            risk: 0,
            locked: false,
            expires_at: Timestamp::from_millis(10),
            last_seen_ms: AtomicI64::new(0),
        })
    }

    #[test]
    fn a_read_that_raced_with_a_change_is_never_used() {
        let (account, session) = ids();
        for change in [Change::Account(account), Change::Session(session), Change::Everything] {
            let remembered = Remembered::new(16, 16);
            let before = remembered.stamp(account, session);
            // The database is read here; meanwhile the change commits.
            remembered.forget(change);
            remembered.keep_facts(session, before, &facts());
            assert!(remembered.facts(account, session).is_none(), "{change:?}");
            remembered.keep_facts(session, remembered.stamp(account, session), &facts());
            assert!(remembered.facts(account, session).is_some(), "{change:?}");
        }
    }

    #[test]
    fn other_keys_make_tokens_be_verified_again() {
        let (account, session) = ids();
        let remembered = Remembered::new(16, 16);
        let keep = |keys| {
            remembered.keep_credential(
                [1; 32],
                keys,
                Method::Token,
                (account, session),
                Timestamp::from_millis(9),
            )
        };
        let (old, new) = (Arc::new(VerifyingKeys::of([])), Arc::new(VerifyingKeys::of([])));
        let before = remembered.keys.of(&old);
        keep(before);
        assert!(remembered.credential(&[1; 32], remembered.keys.of(&old)).is_some());
        assert!(remembered.credential(&[1; 32], remembered.keys.of(&new)).is_none());
        // A slow thread that verified with the old set is not believed any more, and neither is its next try.
        keep(before);
        assert!(remembered.credential(&[1; 32], remembered.keys.of(&new)).is_none());
        keep(remembered.keys.of(&old));
        assert!(remembered.credential(&[1; 32], remembered.keys.of(&new)).is_none());
    }

    #[test]
    fn the_caches_are_bounded() {
        let (account, session) = ids();
        let remembered = Remembered::new(64, 64);
        for n in 0..10_000_u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_le_bytes());
            remembered.keep_credential(hash, 0, Method::Token, (account, session), Timestamp::from_millis(9));
        }
        assert!(remembered.credentials.len() <= 64);
    }
}
