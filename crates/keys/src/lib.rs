//! The key hierarchy: root providers, epoch keys by purpose, one wrapped key per subject, token
//! signing keys.
//!
//! ```text
//! root key (sealed file; used at start only)
//!   └─ epoch keys, one per purpose and number
//!        ├─ subject keys, one per person and generation   → fields, audit bodies
//!        └─ signing keys (tokens, checkpoints of the log), sealed under the epoch key of `Purpose::Signing`
//! ```
//!
//! What this crate refuses to do: it never hands out a placeholder for what it cannot open, it never
//! makes new keys where the database already has some that this root key did not wrap, and it never
//! lets a plaintext wrapping key leave it. Only [`Keys::epoch`] gives key objects to the capabilities
//! that need one as such (pepper, cookies, refresh tokens).
//!
//! ```no_run
//! # async fn example(db: store::Db) -> Result<(), keys::KeysError> {
//! use base::{Clock, Entropy};
//! use keys::{FileRoot, KeyUse, Keys, RootKey};
//! let (clock, entropy) = (Clock::system(), Entropy::system());
//! let root = RootKey::File(FileRoot::open_or_create("data/root.key".as_ref(), None, &entropy)?);
//! let keys = Keys::open(&db, &root, clock, entropy).await?;
//! let signer = keys.signer(KeyUse::AccessToken);
//! # Ok(()) }
//! ```

mod epoch;
mod error;
mod log;
mod names;
mod root;
mod signing;
mod subject;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use base::{Clock, Entropy, Scope, Timestamp};
use crypto::jws::{SigningKey, VerifyingKeys};
use crypto::memory::LockedKey;
use crypto::{Context, ContextKind, KeyRef, envelope, mac};
use store::{Db, Tx};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use epoch::Epochs;
use log::LogKeys;
use signing::SigningKeys;
use subject::SubjectKeys;

pub use epoch::EpochKey;
pub use error::{KeysError, RootError};
pub use log::LOG_KEY_OVERLAP_MS;
pub use names::{Field, KeyUse, Purpose, Subject};
pub use root::{FileRoot, RootKey};
pub use signing::{Rotation, SigningSettings};
pub use subject::KeyState;

/// The keys of one deployment. Cheap to clone. While one clone lives, a task listens for changes and
/// reloads.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    epochs: Epochs,
    subjects: SubjectKeys,
    signing: SigningKeys,
    log: LogKeys,
    watch: parking_lot::Mutex<Option<AbortHandle>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.watch.get_mut().take() {
            task.abort();
        }
    }
}

impl Keys {
    /// Opens the hierarchy with the default [`SigningSettings`]; the first run makes the deployment's id
    /// and its epoch and signing keys. Call it within a tokio runtime, after the migrations.
    ///
    /// # Errors
    /// [`KeysError::Root`] if the database's keys need another root key: then nothing new is made.
    pub async fn open(db: &Db, root: &RootKey, clock: Clock, entropy: Entropy) -> Result<Self, KeysError> {
        Self::open_with(db, root, SigningSettings::default(), clock, entropy).await
    }

    /// As [`Keys::open`] with other signing settings.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub async fn open_with(
        db: &Db,
        root: &RootKey,
        signing: SigningSettings,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, KeysError> {
        // Subscribed first: what changes while we read is then seen afterwards.
        let changes = db.changes();
        let epochs = Epochs::open(db, root, &clock, &entropy).await?;
        let signing = SigningKeys::open(db, &epochs, signing, &clock, &entropy).await?;
        let log = LogKeys::open(db, &epochs).await?;
        let inner = Arc::new(Inner {
            db: db.clone(),
            subjects: SubjectKeys::new(clock.clone()),
            clock,
            entropy,
            epochs,
            signing,
            log,
            watch: parking_lot::Mutex::new(None),
        });
        let task = tokio::spawn(watch::watch(Arc::downgrade(&inner), changes));
        *inner.watch.lock() = Some(task.abort_handle());
        Ok(Self(inner))
    }

    /// This deployment's random id; part of every context.
    pub fn deployment(&self) -> [u8; 16] {
        self.0.epochs.deployment
    }

    /// Makes the subject's first key in the caller's transaction.
    ///
    /// # Errors
    /// [`KeysError::Store`] with a unique constraint if it has one already.
    pub async fn create_subject(&self, tx: &mut Tx, subject: Subject) -> Result<(), KeysError> {
        subject::create(tx, &self.0.epochs, subject, &self.0.clock, &self.0.entropy).await
    }

    /// The references of the keys that [`Keys::destroy_subject`] would destroy: the event of the erasure names them,
    /// so that what can be read no more is known to be erased and not lost.
    ///
    /// # Errors
    /// [`KeysError::OutOfScope`], or if the database fails.
    pub async fn subject_keys(&self, tx: &mut Tx, subject: Subject) -> Result<Vec<KeyRef>, KeysError> {
        subject::live(tx, subject).await
    }

    /// Destroys the subject's keys in the caller's transaction: everything sealed under them is unreadable
    /// once it commits, here and (within a second) on every node. `false` if there was none left.
    ///
    /// # Errors
    /// [`KeysError::OutOfScope`], or if the database fails.
    pub async fn destroy_subject(&self, tx: &mut Tx, subject: Subject) -> Result<bool, KeysError> {
        subject::destroy(tx, subject, self.0.clock.now()).await
    }

    /// What became of a key that a record names: a subject's, or the audit epoch key. For verification, in a
    /// transaction of the system.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn key_state(&self, tx: &mut Tx, reference: KeyRef) -> Result<KeyState, KeysError> {
        if self.0.epochs.by_ref(Purpose::Audit, reference).is_some() {
            return Ok(KeyState::Live);
        }
        subject::state(tx, reference).await
    }

    /// Seals one field under the subject's current key.
    ///
    /// # Errors
    /// [`KeysError::NoKey`], [`KeysError::Destroyed`], or [`KeysError::OutOfScope`] if the transaction was
    /// opened for another account.
    pub async fn seal(
        &self,
        tx: &mut Tx,
        subject: Subject,
        field: Field<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeysError> {
        let key = self.0.subjects.current(tx, &self.0.epochs, subject).await?;
        let bound = subject.context();
        let context = self.field_context(&field, &bound);
        Ok(envelope::seal(&key.key, key.id, &context, plaintext, &self.0.entropy))
    }

    /// Reads the subject's current key and remembers it for what is sealed next. It is read even if it is remembered, so
    /// that the time this takes does not tell whether anybody asked for it a little while ago; in a transaction that
    /// only reads, for in others a young key is not remembered.
    ///
    /// # Errors
    /// As [`Keys::seal`].
    pub async fn prepare(&self, tx: &mut Tx, subject: Subject) -> Result<(), KeysError> {
        self.0.subjects.prepare(tx, &self.0.epochs, subject).await
    }

    /// As [`Keys::seal`], for who has no transaction open: only with a key that is remembered from a short while ago.
    /// `None` if it is not; `scope` is for whom the transaction would be.
    pub fn seal_cached(
        &self,
        scope: Scope,
        subject: Subject,
        field: Field<'_>,
        plaintext: &[u8],
    ) -> Option<Result<Vec<u8>, KeysError>> {
        if !subject.is_covered_by(scope) {
            return Some(Err(KeysError::OutOfScope));
        }
        let key = self.0.subjects.current_remembered(subject)?;
        let bound = subject.context();
        let context = self.field_context(&field, &bound);
        Some(Ok(envelope::seal(&key.key, key.id, &context, plaintext, &self.0.entropy)))
    }

    /// Opens one field of the subject.
    ///
    /// # Errors
    /// [`KeysError::Unreadable`] for what was altered or belongs to another place,
    /// [`KeysError::UnknownKey`] for what another's key sealed, and as [`Keys::seal`].
    pub async fn open_field(
        &self,
        tx: &mut Tx,
        subject: Subject,
        field: Field<'_>,
        record: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let reference = envelope::key_ref(record).map_err(|_| KeysError::Unreadable)?;
        let key = self.0.subjects.exact(tx, &self.0.epochs, subject, reference).await?;
        let bound = subject.context();
        envelope::open(&key.key, &self.field_context(&field, &bound), record)
            .map_err(|_| KeysError::Unreadable)
    }

    /// Seals what belongs to nobody under the current epoch key of the purpose.
    pub fn seal_system(&self, purpose: Purpose, field: Field<'_>, plaintext: &[u8]) -> Vec<u8> {
        let key = self.0.epochs.current(purpose);
        let context = self.field_context(&field, purpose.name().as_bytes());
        envelope::seal(&key.key, key.id, &context, plaintext, &self.0.entropy)
    }

    /// Opens what [`Keys::seal_system`] sealed.
    ///
    /// # Errors
    /// [`KeysError::UnknownKey`] or [`KeysError::Unreadable`].
    pub fn open_system(
        &self,
        purpose: Purpose,
        field: Field<'_>,
        record: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let reference = envelope::key_ref(record).map_err(|_| KeysError::Unreadable)?;
        let key = self.0.epochs.by_ref(purpose, reference).ok_or(KeysError::UnknownKey)?;
        let context = self.field_context(&field, purpose.name().as_bytes());
        envelope::open(&key.key, &context, record).map_err(|_| KeysError::Unreadable)
    }

    /// The blind index of a normalised value, for one column: equal values give equal indexes, and
    /// nothing else can be told from them without the key.
    pub fn blind_index(&self, table: &str, column: &str, value: &[u8]) -> [u8; 32] {
        mac::blind_index(&self.0.epochs.current(Purpose::BlindIndex).key, table, column, value)
    }

    /// The current epoch key of a purpose.
    pub fn epoch(&self, purpose: Purpose) -> EpochKey {
        self.0.epochs.current(purpose).clone()
    }

    /// The epoch key of a purpose by its number.
    pub fn epoch_number(&self, purpose: Purpose, number: u32) -> Option<EpochKey> {
        self.0.epochs.by_number(purpose, number).cloned()
    }

    /// The key that signs now. Ask for each token: the answer changes with rotation.
    pub fn signer(&self, key_use: KeyUse) -> Arc<SigningKey> {
        self.0.signing.signer(key_use)
    }

    /// The keys that verify now.
    pub fn verifying(&self, key_use: KeyUse) -> Arc<VerifyingKeys> {
        self.0.signing.verifying(key_use)
    }

    /// The JSON Web Key Set of all published signing keys (RFC 7517), ready to send.
    pub fn jwks(&self) -> Arc<Vec<u8>> {
        self.0.signing.jwks()
    }

    /// Begins or continues a rotation in the caller's transaction: publishes a next key, or lets one
    /// whose time has come sign. Commit the matching audit event with it; all nodes reload after that.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rotate_signing(
        &self,
        tx: &mut Tx,
        key_use: KeyUse,
        now: Timestamp,
    ) -> Result<Rotation, KeysError> {
        self.0.signing.step(tx, &self.0.epochs, key_use, true, now, &self.0.entropy).await
    }

    /// Does what is due for one use: scheduled rotation, activation, removal. For a periodic job.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tend_signing(
        &self,
        tx: &mut Tx,
        key_use: KeyUse,
        now: Timestamp,
    ) -> Result<Rotation, KeysError> {
        self.0.signing.step(tx, &self.0.epochs, key_use, false, now, &self.0.entropy).await
    }

    /// Takes a signing key out of use and out of the JWKS as soon as the caller commits; what it signed
    /// is refused from then on. `false` if no published key has this id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revoke_signing(&self, tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool, KeysError> {
        self.0.signing.revoke(tx, &self.0.epochs, kid, now, &self.0.entropy).await
    }

    /// Reads the signing keys again and forgets cached subject keys. The watching task does this by
    /// itself; call it to be sure that a change of one's own has taken effect here.
    ///
    /// # Errors
    /// If the database fails; the old keys stay in use.
    pub async fn reload(&self) -> Result<(), KeysError> {
        self.0.reload().await
    }

    fn field_context<'a>(&'a self, field: &'a Field<'_>, subject: &'a [u8]) -> Context<'a> {
        Context {
            deployment: &self.0.epochs.deployment,
            kind: ContextKind::Field,
            table: field.table,
            column: field.column,
            row: &field.row,
            subject,
        }
    }
}

impl Inner {
    async fn reload(&self) -> Result<(), KeysError> {
        self.subjects.forget_all();
        self.signing.reload(&self.db, &self.epochs, self.clock.now()).await?;
        self.log.reload(&self.db, &self.epochs).await
    }
}

/// Moves opened key bytes to locked memory; `None` if they are not 32.
fn locked(opened: &[u8]) -> Option<LockedKey> {
    let bytes: &[u8; 32] = opened.try_into().ok()?;
    Some(LockedKey::filled_by(|slot| slot.copy_from_slice(bytes)))
}
