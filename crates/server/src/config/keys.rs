//! `[keys]`: where the root key comes from.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::SecretRef;

/// Where the root key comes from. Everything sealed is lost with it: back it up, apart from the data.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The sealed root key; made at the first start with mode 0600. Default: `root.key` in `server.data_dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub root_file: Option<PathBuf>,
    /// Passphrase that seals the root key file, by reference. Without one, the file's mode alone protects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub passphrase: Option<SecretRef>,
}
