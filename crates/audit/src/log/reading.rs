//! What readers of the log are given: entries, tiles, checkpoint, proofs. All of it comes from the database, so that
//! every node has the same answers.

use base::{Id, Scope, Timestamp, kind as ids};
use crypto::log::{
    Hash, Malformed, Node, ProofFile, Tile, TileKind, TilePath, TileReader, encode_bundle, inclusion_proof,
};
use keys::Keys;
use store::{Tx, params, sql};

use super::{LogEntry, TreeHead};
use crate::evidence;
use crate::opening::{self, entry_columns};
use crate::{Audit, AuditError, Entry};

sql! {
    FROM = concat!("SELECT ", entry_columns!(), " FROM audit_event WHERE idx >= $1 ORDER BY idx LIMIT $2");
    BY_ID = concat!("SELECT ", entry_columns!(), " FROM audit_event WHERE id = $1");
    INDEX = "SELECT idx, leaf FROM audit_event WHERE id = $1";
    FIRST_AT = "SELECT min(idx) FROM (SELECT idx FROM audit_event WHERE id >= $1 ORDER BY id LIMIT 1000) AS first_events";
    AT = "SELECT 1 FROM audit_event WHERE idx = $1";
    HEAD = "SELECT size, root, checkpoint, at FROM audit_tree WHERE only_row = 1";
    TILE = "SELECT hashes FROM audit_tile WHERE level = $1 AND number = $2";
    LEAVES = "SELECT leaf FROM audit_event WHERE idx >= $1 AND idx < $2 ORDER BY idx";
}

/// Entries of one call at most.
pub const MAX_READ: usize = 1_000;

const READING: Scope = Scope::System("reading the log");

impl Audit {
    /// Up to `limit` (and [`MAX_READ`]) events from index `from` on, in the log's order; all of them, whosever they are.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_log(&self, from: u64, limit: usize) -> Result<Vec<LogEntry>, AuditError> {
        let mut tx = self.core().db.begin_read(READING).await?;
        read(&mut tx, &self.core().keys, from, limit.clamp(1, MAX_READ)).await
    }

    /// Like [`Audit::read_log`], for a reader who is concerned by few: only the bodies of events that `wanted` asks for
    /// are opened. It is asked with what the clear columns tell (kind, severity, outcome, account …), and the events that
    /// it does not want are given like that.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_log_of(
        &self,
        from: u64,
        limit: usize,
        wanted: &(dyn Fn(&Entry) -> bool + Send + Sync),
    ) -> Result<Vec<LogEntry>, AuditError> {
        let mut tx = self.core().db.begin_read(READING).await?;
        let limit = integer(limit.clamp(1, MAX_READ) as u64);
        let rows = tx.query_long(FROM, params![integer(from), limit]).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let sealed = opening::sealed_log_entry(row)?;
            let one = match wanted(&sealed.entry) {
                true => opening::log_entry(&mut tx, &self.core().keys, row).await?,
                false => sealed,
            };
            entries.push(one);
        }
        Ok(entries)
    }

    /// One event by its id; `None` if the log does not have it (yet).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn entry(&self, id: Id<ids::Event>) -> Result<Option<LogEntry>, AuditError> {
        let core = self.core();
        let mut tx = core.db.begin_read(READING).await?;
        let Some(row) = tx.query_opt(BY_ID, params![id]).await? else { return Ok(None) };
        Ok(Some(opening::log_entry(&mut tx, &core.keys, &row).await?))
    }

    /// The newest signed checkpoint; `None` before the first event.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        let mut tx = self.core().db.begin_read(READING).await?;
        let head = head(&mut tx).await?;
        Ok((head.size > 0).then(|| head.checkpoint.to_string()))
    }

    /// The proof that an event is in the log, a `.tlog-proof` file (c2sp.org/tlog-proof) against the newest checkpoint, or one that
    /// witnesses have cosigned.
    /// The proven entry is the event's leaf, which the file brings along as its extra data. `None` if the log does not have the event (yet).
    ///
    /// # Errors
    /// If the database fails or its tiles do not fit together.
    pub async fn proof(&self, id: Id<ids::Event>) -> Result<Option<String>, AuditError> {
        let mut tx = self.core().db.begin_read(READING).await?;
        let Some(row) = tx.query_opt(INDEX, params![id]).await? else { return Ok(None) };
        let (index, leaf): (u64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        // Read after the event: on PostgreSQL the tree may have grown in between, never shrunk.
        let head = head(&mut tx).await?;
        // Where witnesses have cosigned a tree with the event in it, the proof carries their word.
        let cosigned = evidence::cosigned(&mut tx, index).await?.filter(|(size, _)| *size <= head.size);
        let (size, checkpoint) = cosigned.unwrap_or_else(|| (head.size, head.checkpoint.to_string()));
        let hashes = with_nodes(&mut tx, size, |read| inclusion_proof(index, size, read)).await?;
        let Some(hashes) = hashes else { return Ok(None) };
        Ok(Some(ProofFile { extra: Some(leaf), index, hashes, checkpoint }.to_text()))
    }

    /// What lies at a path below the log's prefix, for example `tile/0/000.p/7` or `tile/entries/000`; `None` if the
    /// path is malformed or the tree does not reach there.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, AuditError> {
        let Ok(path) = TilePath::parse(path) else { return Ok(None) };
        let mut tx = self.core().db.begin_read(READING).await?;
        let size = head(&mut tx).await?.size;
        let reaches = Tile::in_tree(path.tile.level, path.tile.index, size)
            .is_some_and(|there| there.width >= path.tile.width);
        if !reaches {
            return Ok(None);
        }
        match path.kind {
            TileKind::Hashes => hashes(&mut tx, path.tile).await.map(Some),
            TileKind::Entries => bundle(&mut tx, path.tile).await.map(Some),
        }
    }
}

/// Computes something over the nodes of the tree of `size` leaves, such as a proof or a root.
pub(crate) async fn with_nodes<T>(
    tx: &mut Tx,
    size: u64,
    compute: impl Fn(&mut dyn FnMut(Node) -> Result<Hash, Lack>) -> Result<T, Lack>,
) -> Result<T, AuditError> {
    let mut read: Vec<(Tile, Vec<u8>)> = Vec::new();
    loop {
        // Computed without waiting; the tile that it lacks is fetched, then it is tried again. A way through the tree
        // meets at most two tiles of each level.
        let mut tiles = TileReader::new(size, |wanted: Tile| {
            let found = read.iter().find(|(tile, _)| *tile == wanted);
            found.map(|(_, bytes)| bytes.clone()).ok_or(Lack::Tile(wanted))
        });
        let computed = compute(&mut |node| tiles.node(node));
        match computed {
            Ok(result) => return Ok(result),
            Err(Lack::Tile(tile)) => {
                let bytes = hashes(tx, tile).await?;
                read.push((tile, bytes));
            }
            Err(Lack::Malformed(error)) => return Err(AuditError::Damaged(error.to_string())),
        }
    }
}

/// About the first index since a time: events enter the log nearly in the order of their times.
pub(crate) async fn first_at(tx: &mut Tx, at: Timestamp) -> Result<Option<u64>, AuditError> {
    Ok(tx.query_one(FIRST_AT, params![crate::outbox::first_id(at)]).await?.get(0)?)
}

/// Whether the log has an event at this index.
pub(crate) async fn has_event(tx: &mut Tx, index: u64) -> Result<bool, AuditError> {
    Ok(tx.query_opt(AT, params![integer(index)]).await?.is_some())
}

/// Why a computation over the tree is not complete yet.
pub(crate) enum Lack {
    Tile(Tile),
    Malformed(Malformed),
}

impl From<Malformed> for Lack {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// Up to `limit` events from index `from` on.
pub(crate) async fn read(
    tx: &mut Tx,
    keys: &Keys,
    from: u64,
    limit: usize,
) -> Result<Vec<LogEntry>, AuditError> {
    let rows = tx.query_long(FROM, params![integer(from), integer(limit as u64)]).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        entries.push(opening::log_entry(tx, keys, row).await?);
    }
    Ok(entries)
}

/// The newest tree head.
pub(crate) async fn head(tx: &mut Tx) -> Result<TreeHead, AuditError> {
    let row = tx.query_one(HEAD, params![]).await?;
    let checkpoint: String = row.get(2)?;
    Ok(TreeHead { size: row.get(0)?, root: row.get(1)?, checkpoint: checkpoint.into(), at: row.get(3)? })
}

/// The bytes of a tile that the tree has.
pub(crate) async fn hashes(tx: &mut Tx, tile: Tile) -> Result<Vec<u8>, AuditError> {
    let row = tx.query_opt(TILE, params![tile.level, integer(tile.index)]).await?;
    let mut bytes: Vec<u8> = match row {
        Some(row) => row.get(0)?,
        None => Vec::new(),
    };
    if bytes.len() < tile.byte_len() {
        return Err(AuditError::Damaged(format!("the tile {} is missing or cut", tile.path())));
    }
    bytes.truncate(tile.byte_len());
    Ok(bytes)
}

/// The bytes of a bundle that the tree has.
pub(crate) async fn bundle(tx: &mut Tx, tile: Tile) -> Result<Vec<u8>, AuditError> {
    let first = tile.index * 256;
    let rows = tx.query(LEAVES, params![integer(first), integer(first + u64::from(tile.width))]).await?;
    if rows.len() != usize::from(tile.width) {
        return Err(AuditError::Damaged(format!("entries of {} are missing", tile.entries_path())));
    }
    let leaves: Vec<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    encode_bundle(leaves.iter().map(Vec::as_slice)).map_err(|error| AuditError::Damaged(error.to_string()))
}

/// Indexes are below 2^63: SQL's integers hold them.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
