//! `[log]`: what the program says about itself on standard error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the program says about itself on standard error. No personal data is logged at any level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text`, `json`, or `auto`: text on a terminal and JSON otherwise.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or by part: `info,gateway=debug`.
    pub level: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogFormat {
    /// Text on a terminal and JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}
