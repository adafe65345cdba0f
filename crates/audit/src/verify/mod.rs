//! Verifying a log: its checkpoint, its tree, its second place, and the rows that lie beside it.
//!
//! Three steps, each useful alone:
//!
//! - [`tree()`] reads a log in the layout of C2SP tlog-tiles from any [`Source`] (a folder, the database, a web
//!   server) and says what is wrong with it, given the keys that are trusted. No database, no secret.
//! - [`anchored()`] compares it with the newest checkpoint that is kept in a second place: a log that was cut, or
//!   exchanged for yesterday's copy, is in itself without fault.
//! - [`rows()`] compares the database with the tree, row by row: columns, sealed bodies, and whether whatever
//!   cannot be read any more was erased by an event of the log, or by one that came while it was verified.
//!
//! Memory does not grow with the log. What is found is listed up to a bound; the rest is counted.

mod align;
mod anchor;
mod database;
mod diagnose;
mod export;
mod finding;
mod folder;
mod later;
mod people;
mod prove;
mod rows;
mod signature;
mod tree;

use std::future::Future;
use std::io;

use crypto::log::{Checkpoint, Hash, VerifierKey};

pub use crate::regular::read as read_regular;
pub use anchor::anchored;
pub use database::Database;
pub use export::{Attested, ExportFault, Exported, export, export_attesting};
pub use finding::{Finding, Findings, MAX_FINDINGS, Part};
pub use folder::Folder;
pub use prove::{ProveError, Wanted, prove};
pub use rows::{Erasure, Rows, rows};
pub use tree::tree;

/// Where a log is read from: a folder, the database, or whatever the caller has (a web server, for example).
pub trait Source: Send {
    /// The bytes at a path below the log's prefix, for example `checkpoint` or `tile/entries/000`; `None` if there is
    /// nothing.
    fn read(&mut self, path: &str) -> impl Future<Output = io::Result<Option<Vec<u8>>>> + Send;
}

/// Whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The log's name; `None` accepts the one that the trusted keys carry.
    pub origin: Option<String>,
    /// The log's keys.
    pub keys: Vec<VerifierKey>,
    /// Keys of witnesses; how many of them signed is reported, none is required.
    pub witnesses: Vec<VerifierKey>,
}

/// What was found about a tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The head that the checkpoint says; `None` if there is none that can be read.
    pub head: Option<Checkpoint>,
    /// The signed note.
    pub checkpoint: String,
    /// The names of trusted keys that signed it, log and witnesses.
    pub signed_by: Vec<String>,
    /// Leaves whose entries were hashed.
    pub leaves: u64,
    /// Roots of the trees of smaller sizes that were asked for.
    pub earlier: Vec<(u64, Hash)>,
    /// Keys that events of this log destroyed.
    pub erasures: Vec<Erasure>,
    /// What is wrong.
    pub findings: Findings,
}

/// Why a log could not be looked at, which says nothing about it.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file or a server could not be read.
    #[error("the log cannot be read: {0}")]
    Source(#[from] io::Error),
    /// The database could not be read.
    #[error("the database cannot be read: {0}")]
    Store(#[from] store::DbError),
    /// The keys could not be read.
    #[error("the keys cannot be read: {0}")]
    Keys(#[from] keys::KeysError),
}
