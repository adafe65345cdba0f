//! Token signing keys: next (published) → active (signs) → retired (published) → removed.
//!
//! Our own verifiers reload at once, but others cache the JWKS. So a new key is published for a while
//! before it signs, and an old one for as long as what it signed may live.

use std::sync::Arc;

use base::{Clock, Entropy, Id, Scope, Timestamp, kind};
use crypto::jws::{Algorithm, SigningKey, VerifyingKeys};
use crypto::{Context, ContextKind, envelope};
use parking_lot::RwLock;
use store::{Change, Db, Row, Tx, params, sql};

use crate::epoch::Epochs;
use crate::{KeyUse, KeysError, Purpose};

sql! {
    // Few rows: retired keys are removed as soon as what they signed has expired.
    PUBLISHED = "SELECT id, kid, key_use, algorithm, sealed_private, state, activates_at, retires_at FROM signing_key
                 WHERE state IN ('next', 'active', 'retired') ORDER BY key_use, activates_at, id";
    ADD = "INSERT INTO signing_key (id, kid, key_use, algorithm, sealed_private, public_jwk, state, created_at, activates_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    RETIRE = "UPDATE signing_key SET state = 'retired', retires_at = $2 WHERE id = $1 AND state = 'active'";
    ACTIVATE = "UPDATE signing_key SET state = 'active', activates_at = $2 WHERE id = $1 AND state = 'next'";
    REMOVE = "UPDATE signing_key SET state = 'removed', sealed_private = NULL
              WHERE key_use = $1 AND state = 'retired' AND retires_at <= $2";
    REVOKE = "UPDATE signing_key SET state = 'revoked', sealed_private = NULL, retires_at = $2
              WHERE id = $1 AND state IN ('next', 'active', 'retired')";
}

/// How signing keys are made and how long they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningSettings {
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
    /// A key signs for this long before it is replaced, in milliseconds.
    pub period_ms: i64,
    /// A new key is published this long before it signs, in milliseconds: others cache the JWKS.
    pub overlap_ms: i64,
    /// A key stays published for this long after it stopped signing, in milliseconds: at least the
    /// lifetime of what it signed.
    pub keep_ms: i64,
}

impl Default for SigningSettings {
    /// ES256, 90 days, published one hour before and after.
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self {
            algorithm: Algorithm::ES256,
            period_ms: 90 * 24 * HOUR_MS,
            overlap_ms: HOUR_MS,
            keep_ms: HOUR_MS,
        }
    }
}

/// What a step of rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// A next key is published and will sign from `at`.
    Published {
        /// Its key id.
        kid: String,
        /// When it begins to sign.
        at: Timestamp,
    },
    /// The next key signs from now on.
    Activated {
        /// Its key id.
        kid: String,
    },
    /// Nothing was due, or another node has just done it.
    Unchanged,
}

/// What the request path reads: replaced as a whole, never changed.
struct Published {
    /// Ids and states, to see whether a reload brings anything new.
    rows: Vec<(Id<kind::Key>, String)>,
    /// In the order of [`KeyUse::ALL`].
    signers: Vec<Arc<SigningKey>>,
    verifying: Vec<Arc<VerifyingKeys>>,
    jwks: Arc<Vec<u8>>,
}

pub(crate) struct SigningKeys {
    pub(crate) settings: SigningSettings,
    published: RwLock<Arc<Published>>,
}

impl SigningKeys {
    /// Loads the keys; makes an active one for each use that has none.
    pub(crate) async fn open(
        db: &Db,
        epochs: &Epochs,
        settings: SigningSettings,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, KeysError> {
        let scope = Scope::System("opening the signing keys");
        let mut rows = read(&mut db.begin_read(scope).await?).await?;
        if KeyUse::ALL.iter().any(|key_use| !has_active(&rows, *key_use)) {
            let mut tx = db.begin(scope).await?;
            let now = clock.now();
            for key_use in KeyUse::ALL.iter().filter(|u| !has_active(&rows, **u)) {
                // Nobody can have cached a JWKS in which anything precedes it. If another node is
                // making one at this moment, the unique index lets only one of them in.
                add(&mut tx, epochs, *key_use, settings.algorithm, "active", now, now, entropy).await?;
            }
            tx.announce(Change::Keys);
            tx.commit().await?;
            rows = read(&mut db.begin_read(scope).await?).await?;
        }
        let published = assemble(epochs, rows, clock.now())?;
        Ok(Self { settings, published: RwLock::new(Arc::new(published)) })
    }

    pub(crate) fn signer(&self, key_use: KeyUse) -> Arc<SigningKey> {
        Arc::clone(&self.published.read().signers[key_use as usize])
    }

    pub(crate) fn verifying(&self, key_use: KeyUse) -> Arc<VerifyingKeys> {
        Arc::clone(&self.published.read().verifying[key_use as usize])
    }

    pub(crate) fn jwks(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.published.read().jwks)
    }

    /// Reads the keys again; cheap if nothing changed.
    pub(crate) async fn reload(&self, db: &Db, epochs: &Epochs, now: Timestamp) -> Result<(), KeysError> {
        let mut tx = db.begin_read(Scope::System("reloading the signing keys")).await?;
        let rows = read(&mut tx).await?;
        drop(tx);
        let same = rows.iter().map(|r| (&r.id, &r.state)).eq(self
            .published
            .read()
            .rows
            .iter()
            .map(|(id, s)| (id, s)));
        if !same {
            let published = Arc::new(assemble(epochs, rows, now)?);
            *self.published.write() = published;
        }
        Ok(())
    }

    /// One step for one use, in the caller's transaction; `begin` starts a rotation that is not due.
    pub(crate) async fn step(
        &self,
        tx: &mut Tx,
        epochs: &Epochs,
        key_use: KeyUse,
        begin: bool,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<Rotation, KeysError> {
        let SigningSettings { algorithm, period_ms, overlap_ms, keep_ms } = self.settings;
        if tx.execute(REMOVE, params![key_use.name(), now]).await? > 0 {
            tx.announce(Change::Keys);
        }
        let rows = read(tx).await?;
        let of = |state| rows.iter().find(|row| row.key_use == key_use && row.state == state);
        let (active, next) = (of("active"), of("next"));
        if let Some(next) = next {
            if now < next.activates_at {
                return Ok(Rotation::Unchanged);
            }
            if let Some(active) = active
                && tx
                    .execute(RETIRE, params![active.id, now.plus_ms(keep_ms.max(key_use.keep_at_least_ms()))])
                    .await?
                    == 0
            {
                return Ok(Rotation::Unchanged);
            }
            if tx.execute(ACTIVATE, params![next.id, now]).await? == 0 {
                return Err(KeysError::Damaged("a signing key vanished while it was activated".into()));
            }
            tx.announce(Change::Keys);
            return Ok(Rotation::Activated { kid: next.kid.clone() });
        }
        let due = active.is_none_or(|active| {
            active.algorithm != name(algorithm) || now >= active.activates_at.plus_ms(period_ms - overlap_ms)
        });
        if !due && !begin {
            return Ok(Rotation::Unchanged);
        }
        let at = now.plus_ms(overlap_ms);
        let added = add(tx, epochs, key_use, algorithm, "next", now, at, entropy).await?;
        tx.announce(Change::Keys);
        Ok(added.map_or(Rotation::Unchanged, |kid| Rotation::Published { kid, at }))
    }

    /// Takes a key out of use at once. If it signed, the next one, or else a fresh one, signs instead.
    pub(crate) async fn revoke(
        &self,
        tx: &mut Tx,
        epochs: &Epochs,
        kid: &str,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<bool, KeysError> {
        let rows = read(tx).await?;
        let Some(row) = rows.iter().find(|row| row.kid == kid) else { return Ok(false) };
        if tx.execute(REVOKE, params![row.id, now]).await? == 0 {
            return Ok(false);
        }
        if row.state == "active" {
            let next = rows.iter().find(|other| other.key_use == row.key_use && other.state == "next");
            let taken_over = match next {
                Some(next) => tx.execute(ACTIVATE, params![next.id, now]).await? == 1,
                None => false,
            };
            if !taken_over {
                add(tx, epochs, row.key_use, self.settings.algorithm, "active", now, now, entropy).await?;
            }
        }
        tx.announce(Change::Keys);
        Ok(true)
    }
}

struct StoredKey {
    id: Id<kind::Key>,
    kid: String,
    key_use: KeyUse,
    algorithm: String,
    sealed: Vec<u8>,
    state: String,
    activates_at: Timestamp,
    retires_at: Option<Timestamp>,
}

async fn read(tx: &mut Tx) -> Result<Vec<StoredKey>, KeysError> {
    let rows = tx.query(PUBLISHED, params![]).await?;
    rows.iter().filter_map(|row| stored(row).transpose()).collect()
}

/// `None` for a use that only a newer version knows.
fn stored(row: &Row) -> Result<Option<StoredKey>, KeysError> {
    let Some(key_use) = KeyUse::from_name(&row.get::<String>(2)?) else { return Ok(None) };
    Ok(Some(StoredKey {
        id: row.get(0)?,
        kid: row.get(1)?,
        key_use,
        algorithm: row.get(3)?,
        sealed: row.get(4)?,
        state: row.get(5)?,
        activates_at: row.get(6)?,
        retires_at: row.get(7)?,
    }))
}

fn has_active(rows: &[StoredKey], key_use: KeyUse) -> bool {
    rows.iter().any(|row| row.key_use == key_use && row.state == "active")
}

fn assemble(epochs: &Epochs, mut rows: Vec<StoredKey>, now: Timestamp) -> Result<Published, KeysError> {
    rows.retain(|row| row.retires_at.is_none_or(|end| now < end));
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        keys.push((row.key_use, row.state.as_str(), Arc::new(unseal(epochs, row)?)));
    }
    let (mut signers, mut verifying) = (Vec::new(), Vec::new());
    for key_use in KeyUse::ALL {
        let of_use = || keys.iter().filter(|(u, ..)| u == key_use);
        let signer = of_use().find(|(_, state, _)| *state == "active");
        let signer = signer
            .ok_or_else(|| KeysError::Damaged(format!("there is no active key for {}", key_use.name())))?;
        signers.push(Arc::clone(&signer.2));
        verifying.push(Arc::new(VerifyingKeys::of(of_use().map(|(_, _, key)| &**key))));
    }
    // From the opened private keys, not from the column public_jwk: whoever can write a row must not be
    // able to publish a key of their own.
    let public: Vec<_> = keys.iter().map(|(_, _, key)| key.public_jwk()).collect();
    let jwks = Arc::new(serde_json::json!({ "keys": public }).to_string().into_bytes());
    let rows = rows.into_iter().map(|row| (row.id, row.state)).collect();
    Ok(Published { rows, signers, verifying, jwks })
}

fn unseal(epochs: &Epochs, row: &StoredKey) -> Result<SigningKey, KeysError> {
    let damaged = |why: &str| KeysError::Damaged(format!("signing key {} {why}", row.kid));
    let reference = envelope::key_ref(&row.sealed).map_err(|_| damaged("is not sealed"))?;
    let sealing =
        epochs.by_ref(Purpose::Signing, reference).ok_or_else(|| damaged("is sealed by an unknown key"))?;
    let bound = bound(row.key_use, &row.algorithm);
    let pkcs8 = envelope::open(&sealing.key, &context(&epochs.deployment, &row.id, &bound), &row.sealed)
        .map_err(|_| damaged("does not open"))?;
    let algorithm = from_name(&row.algorithm).ok_or_else(|| damaged("has an unknown algorithm"))?;
    let key = SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(|_| damaged("is malformed"))?;
    if key.kid() != row.kid {
        return Err(damaged("has another thumbprint than its row says"));
    }
    Ok(key)
}

/// Makes a key; `None` if the use has one of this state already.
#[expect(clippy::too_many_arguments, reason = "each is one column of the row")]
async fn add(
    tx: &mut Tx,
    epochs: &Epochs,
    key_use: KeyUse,
    algorithm: Algorithm,
    state: &str,
    now: Timestamp,
    activates_at: Timestamp,
    entropy: &Entropy,
) -> Result<Option<String>, KeysError> {
    // RSA keys take a while to find; that is a matter for a thread that may block.
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    let (key, pkcs8) = made.map_err(|_| KeysError::Damaged("a signing key could not be made".into()))?;
    let id: Id<kind::Key> = Id::at(now, entropy);
    let sealing = epochs.current(Purpose::Signing);
    let bound = bound(key_use, name(algorithm));
    let sealed =
        envelope::seal(&sealing.key, sealing.id, &context(&epochs.deployment, &id, &bound), &pkcs8, entropy);
    let jwk = key.public_jwk().to_string();
    let row = params![id, key.kid(), key_use.name(), name(algorithm), sealed, jwk, state, now, activates_at];
    let added = tx.execute(ADD, row).await? == 1;
    Ok(added.then(|| key.kid().to_owned()))
}

/// Use and algorithm are bound, so that an assertion key never becomes an access token key.
fn bound(key_use: KeyUse, algorithm: &str) -> Vec<u8> {
    format!("{}:{algorithm}", key_use.name()).into_bytes()
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

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::RS256 => "RS256",
        Algorithm::EdDSA => "EdDSA",
    }
}

fn from_name(text: &str) -> Option<Algorithm> {
    [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA].into_iter().find(|a| name(*a) == text)
}
