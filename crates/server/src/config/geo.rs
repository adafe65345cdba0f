//! `[geo]`: where network addresses lie.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where network addresses lie. Without a file, nothing says it: events have no country, and no sign-in comes from a new
/// place.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// File of countries or cities in MaxMind's format (.mmdb). It is read whole, and again whenever it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub city: Option<PathBuf>,
    /// File of networks (autonomous systems) in MaxMind's format. Without it, sign-ins are compared by address ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub asn: Option<PathBuf>,
    /// File of anonymising networks and data centres in MaxMind's format (GeoIP2 Anonymous IP).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub anonymous: Option<PathBuf>,
}
