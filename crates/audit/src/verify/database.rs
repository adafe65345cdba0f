//! The log as the database has it.

use std::io;

use base::Scope;
use crypto::log::{TileKind, TilePath};
use store::{Db, DbError, params, sql};

use super::Source;

sql! {
    VERIFY_HEAD = "SELECT checkpoint FROM audit_tree WHERE only_row = 1";
    VERIFY_COSIGNED = "SELECT evidence FROM audit_evidence WHERE source = 'witnesses' ORDER BY size DESC LIMIT 1";
    VERIFY_TILE = "SELECT hashes FROM audit_tile WHERE level = $1 AND number = $2";
    VERIFY_LEAVES = "SELECT leaf FROM audit_event WHERE idx >= $1 AND idx < $2 ORDER BY idx";
}

const SCOPE: Scope = Scope::System("verifying the log");

/// Reads the log's rows as if they were its files.
#[derive(Clone)]
pub struct Database(Db);

impl Database {
    /// Over the tables of this database.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    async fn look_up(&self, path: &str) -> Result<Option<Vec<u8>>, DbError> {
        let mut tx = self.0.begin_read(SCOPE).await?;
        if path == "checkpoint" {
            let checkpoint: String = tx.query_one(VERIFY_HEAD, params![]).await?.get(0)?;
            return Ok(Some(checkpoint.into_bytes()).filter(|text| !text.is_empty()));
        }
        if path == "cosigned" {
            let note = tx.query_opt(VERIFY_COSIGNED, params![]).await?;
            return note.map(|row| row.get(0)).transpose();
        }
        let Ok(path) = TilePath::parse(path) else { return Ok(None) };
        let tile = path.tile;
        let Ok(number) = i64::try_from(tile.index) else { return Ok(None) };
        if path.kind == TileKind::Hashes {
            let Some(row) = tx.query_opt(VERIFY_TILE, params![tile.level, number]).await? else {
                return Ok(None);
            };
            let mut hashes: Vec<u8> = row.get(0)?;
            // The row has what the newest tree has; an older one ends earlier.
            hashes.truncate(tile.byte_len());
            return Ok(Some(hashes));
        }
        let Some(first) = number.checked_mul(256) else { return Ok(None) };
        let rows =
            tx.query(VERIFY_LEAVES, params![first, first.saturating_add(i64::from(tile.width))]).await?;
        let mut bundle = Vec::new();
        for row in &rows {
            let leaf: Vec<u8> = row.get(0)?;
            // A longer one is none of ours: shown cut, it has another hash.
            let length = u16::try_from(leaf.len()).unwrap_or(u16::MAX);
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&leaf[..usize::from(length)]);
        }
        Ok(Some(bundle).filter(|_| !rows.is_empty()))
    }
}

impl Source for Database {
    async fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.look_up(path).await.map_err(io::Error::other)
    }
}
