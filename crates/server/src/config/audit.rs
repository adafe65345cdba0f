//! `[audit]`: the log that proves itself.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Period, Vkey};

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
    /// Witnesses (C2SP tlog-witness, such as `fortissimo witness`) that are asked to cosign checkpoints, so that nobody,
    /// not even the operator with all keys, can show two histories to two people unnoticed. Each has `url`, `vkey`, and
    /// for a private authority `ca_file`.
    pub witnesses: Vec<LogWitness>,
    /// How often the witnesses are asked.
    pub witness_every: Period,
    /// Address of an authority for time stamps (RFC 3161) over checkpoints: proof to others of when an entry was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub timestamp_url: Option<String>,
    /// PEM file of the authority's root certificates. Needed with `timestamp_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub timestamp_ca_file: Option<PathBuf>,
    /// How often the newest checkpoint is stamped.
    pub timestamp_every: Period,
    /// For how long the counts of events by the hour are kept. They hold no person.
    pub keep_counts: Period,
}

/// A witness of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogWitness {
    /// The address below which it answers `add-checkpoint`.
    pub url: String,
    /// Its key: only this one's cosignatures count.
    pub vkey: Vkey,
    /// PEM file of a private authority for its TLS certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            origin: None,
            folder: None,
            anchor: None,
            post_quantum: false,
            watch_every: Period::from_secs(2),
            witnesses: Vec::new(),
            witness_every: Period::from_secs(30),
            timestamp_url: None,
            timestamp_ca_file: None,
            timestamp_every: Period::from_minutes(60),
            keep_counts: Period::from_days(5 * 366),
        }
    }
}
