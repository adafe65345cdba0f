//! `[geo]`: where network addresses lie.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where network addresses lie. Without a file, nothing says it: events have no country.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// File of countries or cities in MaxMind's format (.mmdb). It is read whole, and again whenever it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub city: Option<PathBuf>,
}
