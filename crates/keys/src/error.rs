//! What can go wrong with keys. No variant carries key material or personal data.

use std::io;
use std::path::PathBuf;

use store::DbError;

/// Why the root key cannot be used. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The file cannot be read or written.
    #[error("the root key file {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the root key file {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// The file is not one of ours, or it is damaged.
    #[error("the root key file {path} is damaged: {reason}; restore it from your backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file is sealed, and no passphrase was given.
    #[error("the root key file {path} is sealed; give its passphrase")]
    PassphraseNeeded {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open the file.
    #[error("the passphrase does not open the root key file {path}")]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase was given, but the file is not sealed: what the operator believes is not so.
    #[error(
        "a passphrase is configured, but the root key file {path} is not sealed; remove the passphrase or seal the file"
    )]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// The database has keys, but the root file is not there.
    #[error(
        "the root key file {path} is missing, but the database has keys that only it opens; restore the file from your backup"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The database's keys were wrapped under another root key.
    #[error(
        "the root key file {path} holds key {found}, but the database's keys need key {expected}; restore the right file"
    )]
    Different {
        /// The file.
        path: PathBuf,
        /// The id of the key in the file.
        found: String,
        /// The id of the key that the database names.
        expected: String,
    },
}

/// Why a key operation failed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The root key cannot be used.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The database failed.
    #[error("the key store failed: {0}")]
    Store(#[from] DbError),
    /// The subject has no key here.
    #[error("the subject has no key")]
    NoKey,
    /// The subject's key was destroyed; what it sealed is gone for good.
    #[error("the subject's key was destroyed")]
    Destroyed,
    /// The record names a key that is not the subject's or not known.
    #[error("the record was sealed under a key that is not known here")]
    UnknownKey,
    /// The record does not open: it was altered, moved from another place, or is not a record.
    #[error("the record cannot be opened: altered, moved or damaged")]
    Unreadable,
    /// The transaction is not allowed to use this subject's key.
    #[error("the transaction's scope does not cover the subject")]
    OutOfScope,
    /// What is stored about the keys contradicts itself.
    #[error("the stored keys are damaged: {0}")]
    Damaged(String),
}
