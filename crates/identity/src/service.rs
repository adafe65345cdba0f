//! The one door and what stands behind it.

use std::sync::Arc;

use access::Access;
use audit::Audit;
use base::{Clock, Entropy};
use keys::Keys;
use store::Db;

use crate::{Error, Mailer, Settings};

/// What [`Identity`] is made of.
pub struct Parts {
    /// The database, migrated.
    pub db: Db,
    /// The key hierarchy.
    pub keys: Keys,
    /// The audit trail.
    pub audit: Audit,
    /// The policies.
    pub access: Access,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Where messages go.
    pub mailer: Mailer,
    /// The numbers.
    pub settings: Settings,
}

/// Accounts, sessions and tokens. Clones share everything.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
}

impl Identity {
    /// Starts the hashing threads and the tasks that forget what changed. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the mail settings are unusable or a thread cannot be started.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner { parts })))
    }
}
