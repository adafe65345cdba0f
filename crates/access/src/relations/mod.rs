//! Relations in the database: who owns, shares, joins and looks, and decisions with those facts.
//!
//! One row per object and subject, found by its key, whatever the number of shares; a second look only for objects that
//! are part of another and for people who are in teams. Every change takes the next [`Revision`], which it holds locked
//! until it is stored: so changes have one order on both databases, and two of them never decide on half of each other.

mod audience;
mod cache;
mod check;
mod glass;
mod list;
mod objects;
mod offers;
mod owned;
mod people;
#[cfg(test)]
mod plan_tests;
mod read;
mod settings;
mod shares;
mod sweep;
mod teams;
mod tokens;
mod transfer;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use audit::{Audit, Detail, Event, Record, RequestInfo, Short};
use base::{Actor, Clock, Entropy, Id, Scope, Timestamp, kind};
use keys::Keys;
use store::{Change, Db, Tx, params};

use crate::{Access, Decision, ResourceRef, Revision, Subject};
use cache::{Cache, Forgetting};

pub use audience::{ListedSubject, SubjectPage};
pub use check::Question;
pub use glass::{Glass, Opened};
pub use list::{Listed, ObjectPage};
pub use objects::{ObjectView, Registration};
pub use offers::{Giving, Offer, OfferView, Offered, Offering};
pub use owned::Owned;
pub use settings::RelationSettings;
pub use shares::{Share, ShareView};
pub use teams::{MemberView, TeamView};
pub use tokens::{
    AUDIENCE as COLLABORATION_AUDIENCE, Invitation, InvitationView, Issued, Redeemed,
    TYPE as COLLABORATION_TYPE,
};

store::sql! {
    /// The next number of a change. The row stays locked until the transaction ends.
    NEXT_REVISION = "UPDATE access_revision SET revision = revision + 1 WHERE one = 1 RETURNING revision";
}

/// How far the clock may be set back, in milliseconds, without what has ended holding again.
const STEP_BACK_MS: i64 = 3_600_000;

/// Why an operation on relations was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no such thing here")]
    NotFound,
    /// A rule denies it; the decision says which, for the record.
    #[error("denied: {}", .0.code)]
    Denied(Box<Decision>),
    /// A value cannot be right; `field` is its name in the request.
    #[error("{field} {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What would be right.
        reason: &'static str,
    },
    /// It is not the asker's, and people do not register objects of their own here. Whether somebody else registered it
    /// is not told.
    #[error("objects are registered by the services that make them")]
    NotRegistered,
    /// It is right in itself but does not fit how things stand.
    #[error("{0}")]
    Conflict(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::DbError),
    /// A key could not be used.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The audit trail failed, so nothing was changed.
    #[error(transparent)]
    Audit(#[from] audit::AuditError),
}

pub(crate) const fn invalid(field: &'static str, reason: &'static str) -> AccessError {
    AccessError::Invalid { field, reason }
}

/// What [`Relations`] is made of.
pub struct RelationParts {
    /// The database, migrated.
    pub db: Db,
    /// For signed collaboration tokens.
    pub keys: Keys,
    /// The audit trail.
    pub audit: Audit,
    /// The policies.
    pub access: Access,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// The numbers.
    pub settings: RelationSettings,
}

/// Who wants something, during which request.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The person, as authentication found them.
    pub subject: Subject,
    /// The request, for the audit trail.
    pub request: Option<RequestInfo>,
}

impl Asker {
    /// The account, which every change needs.
    fn account(&self) -> Result<Id<kind::Account>, AccessError> {
        self.subject.account.ok_or(AccessError::NotFound)
    }
}

/// Relations over a database. Clones share everything.
#[derive(Clone)]
pub struct Relations(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) keys: Keys,
    pub(crate) audit: Audit,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) settings: RelationSettings,
    pub(crate) cache: Arc<Cache>,
    /// The latest moment that was ever seen.
    latest: AtomicI64,
    _forgetting: Forgetting,
}

impl Relations {
    /// Starts the task that forgets what changed elsewhere. Needs a tokio runtime.
    pub fn open(parts: RelationParts) -> Self {
        let RelationParts { db, keys, audit, access, clock, entropy, settings } = parts;
        let cache = Arc::new(Cache::new(settings.remembered));
        let forgetting = Forgetting::start(&db, Arc::clone(&cache));
        Self(Arc::new(Inner {
            db,
            keys,
            audit,
            access,
            clock,
            entropy,
            settings,
            cache,
            latest: AtomicI64::new(i64::MIN),
            _forgetting: forgetting,
        }))
    }

    /// The policies that decide.
    pub fn access(&self) -> &Access {
        &self.0.access
    }
}

/// A change of relations on its way: a transaction that holds the revision.
pub(crate) struct Changing {
    pub(crate) tx: Tx,
    pub(crate) revision: Revision,
    pub(crate) now: Timestamp,
}

impl Changing {
    /// There was nothing to change: the transaction is dropped, its number with it, and the one before still stands.
    fn unneeded(self) -> Revision {
        Revision(self.revision.0 - 1)
    }
}

impl Inner {
    /// Never earlier than it was before, so that what has ended does not hold again because the clock was set back a
    /// little. Who sets it back by more had a wrong one, and the new one is believed.
    pub(crate) fn now(&self) -> Timestamp {
        let told = self.clock.now();
        let latest = self.latest.load(Ordering::Relaxed);
        if told.as_millis() > latest {
            self.latest.fetch_max(told.as_millis(), Ordering::Relaxed);
            return told;
        }
        if latest.saturating_sub(told.as_millis()) <= STEP_BACK_MS {
            return Timestamp::from_millis(latest);
        }
        tracing::warn!(%told, latest = %Timestamp::from_millis(latest), "the clock was set back by more than an hour");
        self.latest.store(told.as_millis(), Ordering::Relaxed);
        told
    }

    /// Begins a change. The first statement takes the revision and with it the right to be the only change.
    pub(crate) async fn change(&self) -> Result<Changing, AccessError> {
        let mut tx = self.db.begin(Scope::System("relations")).await?;
        let revision = Revision(tx.query_one(NEXT_REVISION, params![]).await?.get(0)?);
        Ok(Changing { tx, revision, now: self.now() })
    }

    /// Puts an event about an account into the change.
    pub(crate) async fn note(
        &self,
        change: &mut Changing,
        by: &Asker,
        about: Option<Id<kind::Account>>,
        event: Event,
    ) -> Result<(), AccessError> {
        let actor = by.subject.account.map_or(Actor::Anonymous, Actor::Account);
        let mut record = Record::new(change.now, event).by(actor);
        record.about = about;
        record.request.clone_from(&by.request);
        self.audit.append(&mut change.tx, &record).await?;
        Ok(())
    }

    /// Stores a change and forgets what it made untrue, here before it is answered and elsewhere by a signal.
    pub(crate) async fn finish(&self, mut change: Changing, told: Change) -> Result<Revision, AccessError> {
        change.tx.announce(told);
        let stored = change.tx.commit().await;
        // Even if the database broke off: it may have stored it.
        self.cache.forget(told);
        stored?;
        Ok(change.revision)
    }
}

pub(crate) fn shown(resource: &ResourceRef) -> Detail {
    Detail::new(&resource.to_string())
}

pub(crate) fn account_word(account: Id<kind::Account>) -> Short {
    Short::new(&format!("account/{account}"))
}
