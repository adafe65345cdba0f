//! The keys that sign the log's checkpoints: sealed like token keys, in the same table, under uses of their own.
//!
//! A log is known by its origin. The first keys pin it: it is bound to each sealed key, and a later change of
//! the server's address does not rename the log. A rotation makes a new key sign at once; the old one goes on
//! signing beside it for a while, so that whoever has pinned the old key sees a checkpoint that carries both.

use std::sync::Arc;

use base::{Entropy, Id, Scope, Timestamp, kind};
use crypto::log::{Checkpoint, Hash, KeyType, LogSigner, VerifierKey};
use crypto::{Context, ContextKind, envelope};
use parking_lot::RwLock;
use store::{Change, Db, Row, Tx, params, sql};

use crate::epoch::Epochs;
use crate::{Keys, KeysError, Purpose};

sql! {
    LOG_KEYS = "SELECT id, kid, key_use, sealed_private, public_jwk, state, retires_at FROM signing_key
                WHERE key_use IN ('log-ed25519', 'log-ml-dsa-44') AND state IN ('active', 'retired')
                ORDER BY key_use, state, activates_at DESC, id";
    LOG_KEY_ADD = "INSERT INTO signing_key (id, kid, key_use, algorithm, sealed_private, public_jwk, state, created_at, activates_at)
                   VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $7) ON CONFLICT DO NOTHING";
    LOG_KEY_RETIRE = "UPDATE signing_key SET state = 'retired', retires_at = $2 WHERE key_use = $1 AND state = 'active'";
    LOG_KEY_REMOVE = "UPDATE signing_key SET state = 'removed', sealed_private = NULL
                      WHERE key_use IN ('log-ed25519', 'log-ml-dsa-44') AND state = 'retired' AND retires_at <= $1";
}

/// How long a replaced checkpoint key signs beside its successor: 30 days, for those who have pinned it.
pub const LOG_KEY_OVERLAP_MS: i64 = 30 * 24 * 3_600_000;

/// Uses of log keys, in the order in which their signatures stand in a checkpoint.
const USES: [(KeyType, &str); 2] =
    [(KeyType::Ed25519, "log-ed25519"), (KeyType::CosignatureMlDsa44, "log-ml-dsa-44")];

/// The log's keys as they are now: replaced as a whole.
#[derive(Default)]
pub(crate) struct LogKeys {
    /// By kind, the active one first.
    current: RwLock<Arc<[LogKey]>>,
}

struct LogKey {
    signer: LogSigner,
    /// When it stops signing; `None` while it is active.
    until: Option<Timestamp>,
}

impl LogKeys {
    pub(crate) async fn open(db: &Db, epochs: &Epochs) -> Result<Self, KeysError> {
        let keys = Self::default();
        keys.reload(db, epochs).await?;
        Ok(keys)
    }

    pub(crate) async fn reload(&self, db: &Db, epochs: &Epochs) -> Result<(), KeysError> {
        let mut tx = db.begin_read(Scope::System("reading the log's keys")).await?;
        let rows = tx.query(LOG_KEYS, params![]).await?;
        drop(tx);
        let keys: Result<Vec<LogKey>, KeysError> = rows.iter().map(|row| unseal(epochs, row)).collect();
        *self.current.write() = keys?.into();
        Ok(())
    }

    fn now(&self) -> Arc<[LogKey]> {
        Arc::clone(&self.current.read())
    }
}

impl Keys {
    /// Makes what is missing of the log's keys: Ed25519 always, ML-DSA-44 if it is wanted. The answer is the
    /// log's origin: `origin` if these are the first keys, else the one that they were made with.
    ///
    /// # Errors
    /// [`KeysError::Damaged`] if the origin cannot be one (spaces, `+`, more than 255 bytes), or if the database
    /// fails.
    pub async fn prepare_log(&self, origin: &str, post_quantum: bool) -> Result<String, KeysError> {
        let inner = &self.0;
        let wanted = |kind| kind == KeyType::Ed25519 || post_quantum;
        let origin = self.log_origin().unwrap_or_else(|| origin.to_owned());
        let have = inner.log.now();
        let lacks =
            |kind| !have.iter().any(|key| key.signer.verifier().kind() == kind && key.until.is_none());
        let missing: Vec<_> = USES.iter().filter(|(kind, _)| wanted(*kind) && lacks(*kind)).collect();
        if !missing.is_empty() {
            let mut tx = inner.db.begin(Scope::System("making the log's keys")).await?;
            let now = inner.clock.now();
            for (kind, name) in missing {
                // If another node is making one at this moment, the unique index lets only one of them in.
                add(&mut tx, &inner.epochs, *kind, name, &origin, now, &inner.entropy).await?;
            }
            tx.announce(Change::Keys);
            tx.commit().await?;
            inner.log.reload(&inner.db, &inner.epochs).await?;
        }
        // The race may have been won by a node with another origin.
        self.log_origin().ok_or_else(|| KeysError::Damaged("the log's keys cannot be read back".into()))
    }

    /// The log's origin; `None` before [`Keys::prepare_log`] ever ran on this database.
    pub fn log_origin(&self) -> Option<String> {
        self.0.log.now().first().map(|key| key.signer.verifier().name().to_owned())
    }

    /// The keys whose signatures on checkpoints count now, the active Ed25519 key first: those that sign, and
    /// for the overlap those that were replaced. They come from the sealed private keys, so that writing to
    /// the database does not add one. Written out, each is a vkey for others to pin.
    pub fn log_verifiers(&self) -> Vec<VerifierKey> {
        let now = self.0.clock.now();
        let keys = self.0.log.now();
        signing(&keys, now).map(|signer| signer.verifier().clone()).collect()
    }

    /// A signed checkpoint of the log: the note's text, signed by the active key, by replaced ones within their
    /// overlap, and by the ML-DSA-44 key if there is one. For the sequencer alone: whoever signs two trees
    /// of which neither continues the other has forked the log.
    ///
    /// # Errors
    /// [`KeysError::NoKey`] before [`Keys::prepare_log`], or if the origin is not the log's.
    pub fn sign_checkpoint(&self, origin: &str, size: u64, root: Hash) -> Result<String, KeysError> {
        let now = self.0.clock.now();
        let keys = self.0.log.now();
        let signers: Vec<&LogSigner> =
            signing(&keys, now).filter(|s| s.verifier().name() == origin).collect();
        if signers.is_empty() {
            return Err(KeysError::NoKey);
        }
        let damaged = |error: crypto::log::Malformed| KeysError::Damaged(error.to_string());
        Checkpoint::new(origin, size, root).map_err(damaged)?.sign(&signers, now).map_err(damaged)
    }

    /// Replaces the log's keys in the caller's transaction: fresh ones sign as soon as it commits, the old
    /// ones sign beside them for [`LOG_KEY_OVERLAP_MS`]. The answer are the new keys, for the event that is
    /// committed with it. Empty if the log has no keys yet.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rotate_log_keys(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<VerifierKey>, KeysError> {
        let inner = &self.0;
        let mut made = Vec::new();
        let Some(origin) = self.log_origin() else { return Ok(made) };
        tx.execute(LOG_KEY_REMOVE, params![now]).await?;
        for (kind, name) in USES {
            if tx.execute(LOG_KEY_RETIRE, params![name, now.plus_ms(LOG_KEY_OVERLAP_MS)]).await? > 0 {
                made.extend(add(tx, &inner.epochs, kind, name, &origin, now, &inner.entropy).await?);
            }
        }
        tx.announce(Change::Keys);
        Ok(made)
    }
}

fn signing(keys: &[LogKey], now: Timestamp) -> impl Iterator<Item = &LogSigner> {
    keys.iter().filter(move |key| key.until.is_none_or(|until| now < until)).map(|key| &key.signer)
}

/// Makes a key; `None` if there is an active one of this use.
async fn add(
    tx: &mut Tx,
    epochs: &Epochs,
    kind: KeyType,
    key_use: &str,
    origin: &str,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Option<VerifierKey>, KeysError> {
    let (signer, seed) = LogSigner::generate(origin, kind, entropy)
        .map_err(|error| KeysError::Damaged(format!("the log cannot be named {origin}: {error}")))?;
    let id: Id<kind::Key> = Id::at(now, entropy);
    let sealing = epochs.current(Purpose::Signing);
    let verifier = signer.verifier().clone();
    let bound = bound(key_use, origin);
    let sealed =
        envelope::seal(&sealing.key, sealing.id, &context(&epochs.deployment, &id, &bound), &*seed, entropy);
    let row = params![id, kid(&verifier), key_use, kind.name(), sealed, verifier.to_string(), now];
    let added = tx.execute(LOG_KEY_ADD, row).await? == 1;
    Ok(added.then_some(verifier))
}

fn unseal(epochs: &Epochs, row: &Row) -> Result<LogKey, KeysError> {
    let (id, stored_kid, key_use): (Id<kind::Key>, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (sealed, vkey, state): (Vec<u8>, String, String) = (row.get(3)?, row.get(4)?, row.get(5)?);
    let damaged = |why: &str| KeysError::Damaged(format!("the log's key {stored_kid} {why}"));
    let (kind, _) = USES.iter().find(|(_, name)| *name == key_use).ok_or_else(|| damaged("has no use"))?;
    // The origin stands in the clear column, but only the right one opens the key.
    let origin = vkey.split('+').next().unwrap_or_default();
    let reference = envelope::key_ref(&sealed).map_err(|_| damaged("is not sealed"))?;
    let sealing =
        epochs.by_ref(Purpose::Signing, reference).ok_or_else(|| damaged("is sealed by an unknown key"))?;
    let bound = bound(&key_use, origin);
    let seed = envelope::open(&sealing.key, &context(&epochs.deployment, &id, &bound), &sealed)
        .map_err(|_| damaged("does not open"))?;
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| damaged("has another length"))?;
    let signer = LogSigner::from_seed(origin, *kind, seed).map_err(|_| damaged("has no proper name"))?;
    if signer.verifier().to_string() != vkey || kid(signer.verifier()) != stored_kid {
        return Err(damaged("has another public half than its row says"));
    }
    let until: Option<Timestamp> = row.get(6)?;
    Ok(LogKey { signer, until: if state == "active" { None } else { until } })
}

/// The key's id in the table of signing keys: unique, and recognisable beside the vkey.
fn kid(key: &VerifierKey) -> String {
    let digest = crypto::mac::sha256(key.public());
    let tail: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("log-{:08x}-{tail}", key.id())
}

/// Use and origin are bound, so that no other log's or token's key becomes this one's.
fn bound(key_use: &str, origin: &str) -> Vec<u8> {
    format!("{key_use}:{origin}").into_bytes()
}

fn context<'a>(deployment: &'a [u8; 16], id: &'a Id<kind::Key>, subject: &'a [u8]) -> Context<'a> {
    Context {
        deployment,
        kind: ContextKind::Key,
        table: "signing_key",
        column: "sealed_private",
        row: id.as_bytes(),
        subject,
    }
}
