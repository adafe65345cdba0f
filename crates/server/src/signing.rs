//! Moves signing keys on, those of tokens and those of the log, or takes one out of use, and records it, both in one
//! transaction.

use audit::{Event, Record};
use base::{Actor, Scope};
use keys::{KeyUse, Rotation};

use crate::services::Services;

/// Whether a next key is wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Only what is due.
    Due,
    /// Begin a rotation even if none is due.
    Now,
}

/// Why a step was not taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The database.
    #[error("{0}")]
    Store(#[from] store::DbError),
    /// The keys.
    #[error("{0}")]
    Keys(#[from] keys::KeysError),
    /// The audit trail; a change of keys that cannot be recorded is not made.
    #[error("{0}")]
    Audit(#[from] audit::AuditError),
}

/// Takes one step for one use of keys.
pub(crate) async fn step(
    services: &Services,
    key_use: KeyUse,
    wish: Wish,
    part: &'static str,
) -> Result<Rotation, StepError> {
    let now = services.clock.now();
    let mut tx = services.db.begin(Scope::System("signing keys")).await?;
    let done = match wish {
        Wish::Due => services.keys.tend_signing(&mut tx, key_use, now).await?,
        Wish::Now => services.keys.rotate_signing(&mut tx, key_use, now).await?,
    };
    let purpose = key_use.name().into();
    let event = match &done {
        Rotation::Published { kid, .. } => Event::KeyCreated { key: kid.as_str().into(), purpose },
        Rotation::Activated { kid } => Event::KeyRotated { key: kid.as_str().into(), purpose },
        Rotation::Unchanged => {
            // What was removed because its time was over is still to be stored.
            tx.commit().await?;
            return Ok(done);
        }
    };
    services.audit.append(&mut tx, &Record::new(now, event).by(Actor::System(part))).await?;
    tx.commit().await?;
    Ok(done)
}

/// Gives the log new keys beside the old ones.
pub(crate) async fn rotate_log(
    services: &Services,
    part: &'static str,
) -> Result<Vec<crypto::log::VerifierKey>, StepError> {
    let now = services.clock.now();
    let mut tx = services.db.begin(Scope::System("log keys")).await?;
    let made = services.keys.rotate_log_keys(&mut tx, now).await?;
    for key in &made {
        // The key's name and id, as signature lines have them.
        let id = format!("{}+{:08x}", key.name(), key.id());
        let event = Event::KeyRotated { key: id.as_str().into(), purpose: key.kind().name().into() };
        services.audit.append(&mut tx, &Record::new(now, event).by(Actor::System(part))).await?;
    }
    tx.commit().await?;
    Ok(made)
}

/// Takes a key out of use at once; `false` if no published one has this id.
pub(crate) async fn revoke(services: &Services, kid: &str, part: &'static str) -> Result<bool, StepError> {
    let now = services.clock.now();
    let mut tx = services.db.begin(Scope::System("signing keys")).await?;
    if !services.keys.revoke_signing(&mut tx, kid, now).await? {
        return Ok(false);
    }
    let event = Event::KeyRevoked { key: kid.into(), purpose: "signing".into() };
    services.audit.append(&mut tx, &Record::new(now, event).by(Actor::System(part))).await?;
    tx.commit().await?;
    Ok(true)
}
