//! `[audit]`: the log that proves itself.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// The audit log: a Merkle tree whose checkpoints are signed, in the database, mirrored as files that anybody can
/// verify (C2SP tlog-tiles).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The log's name in every checkpoint, such as `music.example/log`. The first start fixes it: a later change does
    /// not rename the log. Default: host and port of `server.public_url`, then `/log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub origin: Option<String>,
    /// Folder of the mirror. Default: `log` in `server.data_dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub folder: Option<PathBuf>,
    /// File where the newest checkpoint is kept a second time, so that a log that was cut off or exchanged for an older
    /// copy is noticed at the next start. Put it where whoever restores the database does not restore it too: another
    /// disk or machine. Default: `anchor/checkpoint` in `server.data_dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub anchor: Option<PathBuf>,
    /// Whether checkpoints carry a second signature with ML-DSA-44 (FIPS 204), which no quantum computer forges. It
    /// makes each checkpoint 3 KiB longer.
    pub post_quantum: bool,
    /// How often the log looks at its own files: deleted, replaced, cut off, read-only, disk nearly full.
    pub watch_every: Period,
}

impl Default for Audit {
    fn default() -> Self {
        Self { origin: None, folder: None, anchor: None, post_quantum: false, watch_every: Period::from_secs(5) }
    }
}
