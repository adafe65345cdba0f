//! Subject keys: one per person and generation, wrapped by an epoch key, cached for a short while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Clock, Entropy, Id, Timestamp, kind};
use crypto::memory::LockedKey;
use crypto::{Context, ContextKind, KeyRef, envelope};
use quick_cache::sync::Cache;
use store::{Change, Row, Tx, params, sql};

use crate::epoch::Epochs;
use crate::{KeysError, Purpose, Subject};

sql! {
    ADD = "INSERT INTO subject_key (id, account_id, subject_kind, subject_id, generation, wrapped, epoch, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    CURRENT = "SELECT id, generation, wrapped, epoch, created_at FROM subject_key
               WHERE account_id = $1 AND subject_kind = $2 AND subject_id = $3 ORDER BY generation DESC LIMIT 1";
    EXACT = "SELECT id, generation, wrapped, epoch, created_at FROM subject_key
             WHERE account_id = $1 AND subject_kind = $2 AND subject_id = $3 AND id = $4";
    LIVE = "SELECT id FROM subject_key
            WHERE account_id = $1 AND subject_kind = $2 AND subject_id = $3 AND destroyed_at IS NULL ORDER BY generation";
    STATE = "SELECT destroyed_at FROM subject_key WHERE id = $1";
    DESTROY = "UPDATE subject_key SET wrapped = NULL, destroyed_at = $4
               WHERE account_id = $1 AND subject_kind = $2 AND subject_id = $3 AND destroyed_at IS NULL";
}

/// Unwrapped keys that are kept at most. Two entries per subject in use; 32 bytes of locked memory each.
const CACHED: usize = 8_192;
/// How long an unwrapped key is kept at most, in milliseconds, if no change announces its end earlier.
const TTL_MS: i64 = 60_000;
/// From what age on a key is known to be committed, in milliseconds, unless the transaction that asks sees only what is
/// committed. A writing transaction may have made the key itself and may still be undone; to go on sealing under such a key would lose data. No
/// transaction lives that long.
const SETTLED_MS: i64 = 60_000;

/// Whether what a key sealed can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// The key is there.
    Live,
    /// It was destroyed; the row that says so is there.
    Destroyed,
    /// No such key is known.
    Unknown,
}

/// What became of the subject key with this reference.
pub(crate) async fn state(tx: &mut Tx, reference: KeyRef) -> Result<KeyState, KeysError> {
    let Some(row) = tx.query_opt(STATE, params![reference.0]).await? else { return Ok(KeyState::Unknown) };
    let destroyed: Option<Timestamp> = row.get(0)?;
    Ok(if destroyed.is_some() { KeyState::Destroyed } else { KeyState::Live })
}

/// The references of a subject's keys that are not destroyed.
pub(crate) async fn live(tx: &mut Tx, subject: Subject) -> Result<Vec<KeyRef>, KeysError> {
    if !subject.is_covered_by(tx.scope()) {
        return Err(KeysError::OutOfScope);
    }
    let rows = tx.query(LIVE, params![subject.account(), subject.kind(), subject.id()]).await?;
    rows.iter().map(|row| Ok(KeyRef(row.get(0)?))).collect()
}

/// A subject's key with the reference that its records carry.
#[derive(Clone)]
pub(crate) struct SubjectKey {
    pub(crate) id: KeyRef,
    pub(crate) key: Arc<LockedKey>,
}

/// Everything that decides how an entry is used: whose key, and whether it is the one to seal with
/// or the one that a record names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    subject: Subject,
    exact: Option<KeyRef>,
}

#[derive(Clone)]
struct Cached {
    key: SubjectKey,
    until: Timestamp,
    since: Timestamp,
}

pub(crate) struct SubjectKeys {
    clock: Clock,
    cache: Cache<Slot, Cached>,
    /// Counts invalidations. What was read before one must not enter the cache after it.
    forgotten: AtomicU64,
}

impl SubjectKeys {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, cache: Cache::new(CACHED), forgotten: AtomicU64::new(0) }
    }

    /// Drops what is cached about one subject.
    pub(crate) fn forget(&self, subject: Subject) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.retain(|slot, _| slot.subject != subject);
    }

    /// Drops everything.
    pub(crate) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.clear();
    }

    /// The key to seal with.
    pub(crate) async fn current(
        &self,
        tx: &mut Tx,
        epochs: &Epochs,
        subject: Subject,
    ) -> Result<SubjectKey, KeysError> {
        self.find(tx, epochs, Slot { subject, exact: None }).await
    }

    /// The key to seal with, if it is remembered.
    pub(crate) fn current_remembered(&self, subject: Subject) -> Option<SubjectKey> {
        self.remembered(Slot { subject, exact: None })
    }

    fn remembered(&self, slot: Slot) -> Option<SubjectKey> {
        let cached = self.cache.get(&slot)?;
        let now = self.clock.now();
        (cached.since <= now && now < cached.until).then_some(cached.key)
    }

    /// The key that a record names.
    pub(crate) async fn exact(
        &self,
        tx: &mut Tx,
        epochs: &Epochs,
        subject: Subject,
        id: KeyRef,
    ) -> Result<SubjectKey, KeysError> {
        self.find(tx, epochs, Slot { subject, exact: Some(id) }).await
    }

    async fn find(&self, tx: &mut Tx, epochs: &Epochs, slot: Slot) -> Result<SubjectKey, KeysError> {
        // The database would refuse a stranger's row; the cache must not be a way around it.
        if !slot.subject.is_covered_by(tx.scope()) {
            return Err(KeysError::OutOfScope);
        }
        if let Some(key) = self.remembered(slot) {
            return Ok(key);
        }
        self.read(tx, epochs, slot).await
    }

    /// Reads the key to seal with from the database, whether it is remembered or not, and remembers it.
    pub(crate) async fn prepare(
        &self,
        tx: &mut Tx,
        epochs: &Epochs,
        subject: Subject,
    ) -> Result<(), KeysError> {
        if !subject.is_covered_by(tx.scope()) {
            return Err(KeysError::OutOfScope);
        }
        self.read(tx, epochs, Slot { subject, exact: None }).await.map(drop)
    }

    async fn read(&self, tx: &mut Tx, epochs: &Epochs, slot: Slot) -> Result<SubjectKey, KeysError> {
        let subject = slot.subject;
        let now = self.clock.now();
        let before = self.forgotten.load(Ordering::SeqCst);
        let found = match slot.exact {
            None => tx.query_opt(CURRENT, params![subject.account(), subject.kind(), subject.id()]).await?,
            Some(id) => {
                tx.query_opt(EXACT, params![subject.account(), subject.kind(), subject.id(), id.0]).await?
            }
        };
        let absent = if slot.exact.is_some() { KeysError::UnknownKey } else { KeysError::NoKey };
        let row = found.ok_or(absent)?;
        let key = unwrap(epochs, subject, &row)?;
        let created_at: Timestamp = row.get(4)?;
        let unchanged = self.forgotten.load(Ordering::SeqCst) == before;
        let settled = tx.sees_only_committed() || now.since_ms(created_at) >= SETTLED_MS;
        if unchanged && settled {
            self.cache.insert(slot, Cached { key: key.clone(), since: now, until: now.plus_ms(TTL_MS) });
        }
        Ok(key)
    }

    #[cfg(test)]
    pub(crate) fn cached(&self) -> usize {
        self.cache.len()
    }
}

fn unwrap(epochs: &Epochs, subject: Subject, row: &Row) -> Result<SubjectKey, KeysError> {
    let id: Id<kind::Key> = row.get(0)?;
    let (generation, epoch): (u32, u32) = (row.get(1)?, row.get(3)?);
    let wrapped: Vec<u8> = row.get::<Option<Vec<u8>>>(2)?.ok_or(KeysError::Destroyed)?;
    let damaged = |why: &str| KeysError::Damaged(format!("subject key {id} {why}"));
    let wrapping =
        epochs.by_number(Purpose::SubjectWrap, epoch).ok_or_else(|| damaged("names an unknown epoch"))?;
    if envelope::key_ref(&wrapped) != Ok(wrapping.id) {
        return Err(damaged("is wrapped by another key than its row says"));
    }
    let bound = bound(subject, generation);
    let opened = envelope::open(&wrapping.key, &context(&epochs.deployment, &id, &bound), &wrapped)
        .map_err(|_| damaged("does not open"))?;
    let key = crate::locked(&opened).ok_or_else(|| damaged("is not 32 bytes"))?;
    Ok(SubjectKey { id: KeyRef(*id.as_bytes()), key: Arc::new(key) })
}

/// Makes the first generation.
pub(crate) async fn create(
    tx: &mut Tx,
    epochs: &Epochs,
    subject: Subject,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<(), KeysError> {
    if !subject.is_covered_by(tx.scope()) {
        return Err(KeysError::OutOfScope);
    }
    let now = clock.now();
    let id: Id<kind::Key> = Id::at(now, entropy);
    let key = LockedKey::generate(entropy);
    let wrapping = epochs.current(Purpose::SubjectWrap);
    let bound = bound(subject, 1);
    let wrapped = envelope::seal(
        &wrapping.key,
        wrapping.id,
        &context(&epochs.deployment, &id, &bound),
        key.expose(),
        entropy,
    );
    let row =
        params![id, subject.account(), subject.kind(), subject.id(), 1_u32, wrapped, wrapping.number, now];
    tx.execute(ADD, row).await?;
    Ok(())
}

/// Destroys all generations. The rows stay as tombstones, so that a restored backup can be shredded again.
pub(crate) async fn destroy(tx: &mut Tx, subject: Subject, now: Timestamp) -> Result<bool, KeysError> {
    if !subject.is_covered_by(tx.scope()) {
        return Err(KeysError::OutOfScope);
    }
    let destroyed =
        tx.execute(DESTROY, params![subject.account(), subject.kind(), subject.id(), now]).await?;
    tx.announce(Change::Account(subject.account()));
    Ok(destroyed > 0)
}

/// The generation is bound too: an old key cannot be put in a new one's place.
fn bound(subject: Subject, generation: u32) -> Vec<u8> {
    [&subject.context()[..], b":", &generation.to_be_bytes()].concat()
}

fn context<'a>(deployment: &'a [u8; 16], id: &'a Id<kind::Key>, subject: &'a [u8]) -> Context<'a> {
    Context {
        deployment,
        kind: ContextKind::Key,
        table: "subject_key",
        column: "wrapped",
        row: id.as_bytes(),
        subject,
    }
}
