//! `[reputation]`: what is remembered about networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is remembered about networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reputation {
    /// Own memory of networks. This version reads the switch and keeps no such memory yet.
    pub enabled: bool,
}

impl Default for Reputation {
    fn default() -> Self {
        Self { enabled: true }
    }
}
