//! The key hierarchy: root providers, epoch keys by purpose, one wrapped key per subject, token
//! signing keys.
//!
//! ```text
//! root key (sealed file; used at start only)
//!   └─ epoch keys, one per purpose and number
//!        ├─ subject keys, one per person and generation   → fields, audit bodies
//!        └─ signing keys, sealed under the epoch key of `Purpose::Signing`
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

mod error;
mod names;

use std::path::Path;
use std::sync::Arc;

use base::{Clock, Entropy, Id, Secret, Timestamp, kind};
use crypto::jws;
use crypto::memory::LockedKey;
use store::{Db, Tx};
use zeroize::Zeroizing;

pub use error::{KeysError, RootError};
pub use names::{Field, KeyUse, Purpose, Subject};

/// Where the root key is kept.
pub enum RootKey {
    /// In a file of mode 0600, optionally sealed under a passphrase.
    File(FileRoot),
}

/// A root key that lives in a file.
pub struct FileRoot {}

impl FileRoot {
    /// Reads the file, or prepares a new root key if there is none. A new one is written only once
    /// [`Keys::open`] has seen that the database has no keys yet.
    pub fn open_or_create(path: &Path, passphrase: Option<&Secret<String>>, entropy: &Entropy) -> Result<Self, RootError> {
        todo!()
    }
}

/// One epoch key.
#[derive(Clone)]
pub struct EpochKey {
    /// Counts from 1 within a purpose.
    pub number: u32,
    /// The key itself, in locked memory.
    pub key: Arc<LockedKey>,
}

/// How signing keys are made and how long they live.
#[derive(Debug, Clone)]
pub struct SigningSettings {
    /// The algorithm of new keys.
    pub algorithm: jws::Algorithm,
    /// A key signs for this long before the next one is made, in milliseconds.
    pub period_ms: i64,
    /// A new key is published this long before it signs, in milliseconds: others cache the JWKS.
    pub overlap_ms: i64,
    /// A key stays published for this long after it stopped signing, in milliseconds: at least the
    /// lifetime of what it signed.
    pub keep_ms: i64,
}

/// What a step of rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// A next key (`kid`) is published and will sign from `at`.
    Published {
        /// Its key id.
        kid: String,
        /// When it begins to sign.
        at: Timestamp,
    },
    /// The next key (`kid`) signs from now on.
    Activated {
        /// Its key id.
        kid: String,
    },
    /// Nothing was due.
    Unchanged,
}

/// The keys of one deployment. Cheap to clone.
#[derive(Clone)]
pub struct Keys {}

impl Keys {
    /// Opens the hierarchy; the first run makes the deployment's id and its epoch and signing keys.
    pub async fn open(db: &Db, root: &RootKey, clock: Clock, entropy: Entropy) -> Result<Self, KeysError> {
        todo!()
    }
    /// As [`Keys::open`] with other signing settings.
    pub async fn open_with(db: &Db, root: &RootKey, signing: SigningSettings, clock: Clock, entropy: Entropy) -> Result<Self, KeysError> {
        todo!()
    }
    /// This deployment's id; part of every context.
    pub fn deployment(&self) -> [u8; 16] {
        todo!()
    }
    /// Makes the subject's first key in the caller's transaction.
    pub async fn create_subject(&self, tx: &mut Tx, subject: Subject) -> Result<(), KeysError> {
        todo!()
    }
    /// Seals one field under the subject's current key.
    pub async fn seal(&self, tx: &mut Tx, subject: Subject, field: Field<'_>, plaintext: &[u8]) -> Result<Vec<u8>, KeysError> {
        todo!()
    }
    /// Opens one field of the subject.
    pub async fn open_field(&self, tx: &mut Tx, subject: Subject, field: Field<'_>, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        todo!()
    }
    /// Seals what belongs to nobody under the current epoch key of the purpose.
    pub fn seal_system(&self, purpose: Purpose, field: Field<'_>, plaintext: &[u8]) -> Vec<u8> {
        todo!()
    }
    /// Opens what [`Keys::seal_system`] sealed.
    pub fn open_system(&self, purpose: Purpose, field: Field<'_>, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        todo!()
    }
    /// The blind index of a normalised value, for one column.
    pub fn blind_index(&self, table: &str, column: &str, value: &[u8]) -> [u8; 32] {
        todo!()
    }
    /// The current epoch key of a purpose.
    pub fn epoch(&self, purpose: Purpose) -> EpochKey {
        todo!()
    }
    /// The epoch key of a purpose by its number.
    pub fn epoch_number(&self, purpose: Purpose, number: u32) -> Option<EpochKey> {
        todo!()
    }
    /// The key that signs now.
    pub fn signer(&self, key_use: KeyUse) -> Arc<jws::SigningKey> {
        todo!()
    }
    /// The keys that verify now.
    pub fn verifying(&self, key_use: KeyUse) -> Arc<jws::VerifyingKeys> {
        todo!()
    }
    /// The JSON Web Key Set of all published signing keys.
    pub fn jwks(&self) -> Arc<Vec<u8>> {
        todo!()
    }
    /// Begins or continues a rotation: publishes a next key, or lets a due one sign.
    pub async fn rotate_signing(&self, key_use: KeyUse, now: Timestamp) -> Result<Rotation, KeysError> {
        todo!()
    }
    /// Does what is due for all uses: scheduled rotation, activation, removal. For a periodic job.
    pub async fn tend_signing(&self, now: Timestamp) -> Result<Vec<(KeyUse, Rotation)>, KeysError> {
        todo!()
    }
    /// Takes a signing key out of use and out of the JWKS at once. `false` if there is no such key.
    pub async fn revoke_signing(&self, kid: &str) -> Result<bool, KeysError> {
        todo!()
    }
}
