//! Erasures that came while a log was verified: the tree that was verified does not know them, today's rows and keys do.

use std::time::Duration;

use base::Scope;
use crypto::log::{Edge, Hash, Tile, hashes_from_bytes, leaf_hash};
use keys::Keys;
use store::{Db, params, sql};
use tokio::time::Instant;

use super::rows::Erasure;
use super::tree::gather;
use super::{Database, Source, Trust, VerifyError, signature};

sql! {
    // Erasures are never put off.
    VERIFY_WAITING = "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM audit_outbox WHERE NOT later";
    VERIFY_TAIL = "SELECT idx, leaf FROM audit_event WHERE idx >= $1 AND idx < $2 ORDER BY idx LIMIT 256";
}

const SCOPE: Scope = Scope::System("verifying the log");
/// How long is waited for what was recorded to get into the log. Where no server runs, nothing gets there.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Reads on from the tree that was verified.
pub(super) struct Later {
    /// How much was read.
    size: u64,
    edge: Option<Edge>,
    /// What follows is not proven, or nothing gets into the log: it is not tried again.
    useless: bool,
}

impl Later {
    pub(super) const fn than(size: u64) -> Self {
        Self { size, edge: None, useless: false }
    }

    /// What was erased since the last time. Waits until what is recorded now is in the log; believes only leaves that
    /// lead to a checkpoint which the log's key has signed.
    pub(super) async fn erasures(&mut self, db: &Db, keys: &Keys) -> Result<Vec<Erasure>, VerifyError> {
        if self.useless {
            return Ok(Vec::new());
        }
        self.useless = !sequenced(db).await?;
        let mut source = Database::new(db.clone());
        let note = source.read("checkpoint").await?.and_then(|note| String::from_utf8(note).ok());
        let trust = Trust { origin: keys.log_origin(), keys: keys.log_verifiers(), witnesses: Vec::new() };
        let checked = note.map(|note| signature::check(&note, &trust));
        let head = checked.filter(|checked| checked.finding.is_none()).and_then(|checked| checked.head);
        let Some(head) = head.filter(|head| head.size > self.size) else { return Ok(Vec::new()) };
        let read = self.read(db, &mut source, head.size, &head.root).await?;
        self.useless |= read.is_none();
        Ok(read.unwrap_or_default())
    }

    /// The erasures of the leaves up to `size`; `None` if these do not grow to `root`.
    async fn read(
        &mut self,
        db: &Db,
        source: &mut Database,
        size: u64,
        root: &Hash,
    ) -> Result<Option<Vec<Erasure>>, VerifyError> {
        let mut edge = match self.edge.take() {
            Some(edge) => edge,
            None => match restore(source, self.size).await? {
                Some(edge) => edge,
                None => return Ok(None),
            },
        };
        let mut erasures = Vec::new();
        while edge.size() < size {
            let mut tx = db.begin_read(SCOPE).await?;
            let (from, to) = (integer(edge.size()), integer(size));
            let rows = tx.query(VERIFY_TAIL, params![from, to]).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in &rows {
                let (index, leaf): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
                if u64::try_from(index) != Ok(edge.size()) {
                    return Ok(None);
                }
                gather(&mut erasures, edge.size(), &leaf);
                edge.append(&[leaf_hash(&leaf)], |_, _| ());
            }
        }
        if edge.root() != *root {
            return Ok(None);
        }
        self.size = size;
        self.edge = Some(edge);
        Ok(Some(erasures))
    }
}

/// The edge of the tree of `size` entries, from the tiles; `None` if they are not there. What grows from it is compared
/// with a signed root, so that wrong tiles lead nowhere.
async fn restore(source: &mut Database, size: u64) -> Result<Option<Edge>, VerifyError> {
    let mut tiles: Vec<(Tile, Vec<u8>)> = Vec::new();
    for tile in Tile::partial_in_tree(size) {
        let Some(bytes) = source.read(&tile.path()).await? else { return Ok(None) };
        if hashes_from_bytes(tile, &bytes).is_err() {
            return Ok(None);
        }
        tiles.push((tile, bytes));
    }
    let restored = Edge::restore(size, |wanted| {
        let found = tiles.iter().find(|(tile, _)| *tile == wanted);
        Ok::<_, crypto::log::Malformed>(found.map(|(_, bytes)| bytes.clone()).unwrap_or_default())
    });
    Ok(restored.ok())
}

/// Waits until what is in the outbox now is in the log; `false` if it is not in time.
async fn sequenced(db: &Db) -> Result<bool, VerifyError> {
    let deadline = Instant::now() + PATIENCE;
    let (mut oldest, newest) = waiting(db).await?;
    while oldest != 0 && oldest <= newest {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
        (oldest, _) = waiting(db).await?;
    }
    Ok(true)
}

async fn waiting(db: &Db) -> Result<(i64, i64), VerifyError> {
    let mut tx = db.begin_read(SCOPE).await?;
    let row = tx.query_one(VERIFY_WAITING, params![]).await?;
    Ok((row.get(0)?, row.get(1)?))
}

/// Indexes are below 2^63.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
