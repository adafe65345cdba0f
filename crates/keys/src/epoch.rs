//! Epoch keys: one per purpose and number, wrapped by the root key, held unwrapped in locked memory.

use std::sync::Arc;

use base::{Clock, Entropy, Id, Scope, kind};
use crypto::memory::LockedKey;
use crypto::{Context, ContextKind, KeyRef, envelope};
use store::{Db, Row, Tx, params, sql};

use crate::{KeysError, Purpose, RootKey};

sql! {
    // One statement, because two would see two states while another node makes the first keys. Always at
    // least one row; without keys its columns are NULL.
    EVERYTHING = "SELECT d.id, e.id, e.purpose, e.epoch, e.wrapped, e.root_key_id FROM (SELECT 1 AS one) AS base
                  LEFT JOIN deployment AS d ON d.only_row = base.one LEFT JOIN epoch_key AS e ON base.one = 1
                  ORDER BY e.purpose, e.epoch";
    ADD_DEPLOYMENT = "INSERT INTO deployment (only_row, id, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
    ADD_EPOCH_KEY = "INSERT INTO epoch_key (id, purpose, epoch, wrapped, root_key_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
}

/// One epoch key.
#[derive(Clone)]
pub struct EpochKey {
    /// Counts from 1 within a purpose.
    pub number: u32,
    /// The key itself, in locked memory.
    pub key: Arc<LockedKey>,
    pub(crate) id: KeyRef,
}

/// All epoch keys of the deployment.
pub(crate) struct Epochs {
    pub(crate) deployment: [u8; 16],
    /// For each purpose, in the order of [`Purpose::ALL`], its keys by ascending number; never empty.
    keys: Vec<Vec<EpochKey>>,
}

impl Epochs {
    /// Opens the keys, or makes the first ones where the database has none at all.
    pub(crate) async fn open(
        db: &Db,
        root: &RootKey,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, KeysError> {
        let scope = Scope::System("opening the key hierarchy");
        if let Some(found) = load(&mut db.begin_read(scope).await?, root).await? {
            return Ok(found);
        }
        // The file first: a wrapped key whose root is not stored yet would be lost by a crash.
        root.settle(entropy)?;
        let mut tx = db.begin(scope).await?;
        if create(&mut tx, root, clock, entropy).await? {
            tx.commit().await?;
        } else {
            // Another node was faster; its keys are ours too, if it has the same root key.
            drop(tx);
        }
        let made = load(&mut db.begin_read(scope).await?, root).await?;
        made.ok_or_else(|| KeysError::Damaged("the keys that were just made cannot be read back".into()))
    }

    pub(crate) fn current(&self, purpose: Purpose) -> &EpochKey {
        self.of(purpose).last().expect("opening checked that every purpose has a key")
    }

    pub(crate) fn by_number(&self, purpose: Purpose, number: u32) -> Option<&EpochKey> {
        self.of(purpose).iter().find(|key| key.number == number)
    }

    pub(crate) fn by_ref(&self, purpose: Purpose, id: KeyRef) -> Option<&EpochKey> {
        self.of(purpose).iter().find(|key| key.id == id)
    }

    fn of(&self, purpose: Purpose) -> &[EpochKey] {
        &self.keys[purpose as usize]
    }
}

/// `None` if the database has no keys yet.
async fn load(tx: &mut Tx, root: &RootKey) -> Result<Option<Epochs>, KeysError> {
    let rows = tx.query(EVERYTHING, params![]).await?;
    let (mut deployment, mut empty) = (None, true);
    for row in &rows {
        deployment = row.get::<Option<[u8; 16]>>(0)?;
        empty &= row.get::<Option<[u8; 16]>>(1)?.is_none();
    }
    let deployment = match (deployment, empty) {
        (None, true) => return Ok(None),
        (Some(id), false) => id,
        // They are made in one transaction; one without the other was lost, and what the lost keys
        // wrapped must not be buried under new ones.
        _ => {
            return Err(KeysError::Damaged(
                "the deployment's id and its epoch keys do not belong together".into(),
            ));
        }
    };
    // Another process may have made the file and these keys since we looked for the file.
    root.look_again()?;
    let mut keys: Vec<Vec<EpochKey>> = Purpose::ALL.iter().map(|_| Vec::new()).collect();
    for row in &rows {
        let name: String = row.get(2)?;
        let Some(purpose) = Purpose::from_name(&name) else {
            // Made by a newer version during an upgrade; this one has no use for it.
            continue;
        };
        keys[purpose as usize].push(unwrap(&deployment, purpose, row, root)?);
    }
    if let Some(purpose) = Purpose::ALL.iter().find(|p| keys[**p as usize].is_empty()) {
        return Err(KeysError::Damaged(format!("there is no epoch key for {}", purpose.name())));
    }
    Ok(Some(Epochs { deployment, keys }))
}

fn unwrap(deployment: &[u8; 16], purpose: Purpose, row: &Row, root: &RootKey) -> Result<EpochKey, KeysError> {
    let id: Id<kind::Key> = row.get(1)?;
    let (number, wrapped, root_id): (u32, Vec<u8>, Id<kind::Key>) = (row.get(3)?, row.get(4)?, row.get(5)?);
    if root_id != root.id() {
        return Err(root.mismatch(root_id).into());
    }
    let damaged = || {
        KeysError::Damaged(format!("epoch key {} {number} does not open under its root key", purpose.name()))
    };
    if envelope::key_ref(&wrapped) != Ok(KeyRef(*root_id.as_bytes())) {
        return Err(damaged());
    }
    let subject = subject(purpose, number);
    let opened =
        envelope::open(&root.key(), &context(deployment, &id, &subject), &wrapped).map_err(|_| damaged())?;
    let key = crate::locked(&opened).ok_or_else(damaged)?;
    Ok(EpochKey { number, key: Arc::new(key), id: KeyRef(*id.as_bytes()) })
}

/// Makes the deployment and its first keys; `false` if another node has done so meanwhile.
async fn create(tx: &mut Tx, root: &RootKey, clock: &Clock, entropy: &Entropy) -> Result<bool, KeysError> {
    let (now, deployment): (_, [u8; 16]) = (clock.now(), entropy.bytes());
    // This row decides the race: whoever inserts it makes all keys, in the same transaction.
    if tx.execute(ADD_DEPLOYMENT, params![deployment, now]).await? == 0 {
        return Ok(false);
    }
    let root_id = root.id();
    for purpose in Purpose::ALL {
        let id: Id<kind::Key> = Id::at(now, entropy);
        let key = LockedKey::generate(entropy);
        let subject = subject(*purpose, 1);
        let context = context(&deployment, &id, &subject);
        let wrapped =
            envelope::seal(&root.key(), KeyRef(*root_id.as_bytes()), &context, key.expose(), entropy);
        tx.execute(ADD_EPOCH_KEY, params![id, purpose.name(), 1_u32, wrapped, root_id, now]).await?;
    }
    Ok(true)
}

/// Purpose and number are bound to the key, so that rows cannot be exchanged.
fn subject(purpose: Purpose, number: u32) -> Vec<u8> {
    format!("{}:{number}", purpose.name()).into_bytes()
}

fn context<'a>(deployment: &'a [u8; 16], id: &'a Id<kind::Key>, subject: &'a [u8]) -> Context<'a> {
    Context {
        deployment,
        kind: ContextKind::Key,
        table: "epoch_key",
        column: "wrapped",
        row: id.as_bytes(),
        subject,
    }
}
