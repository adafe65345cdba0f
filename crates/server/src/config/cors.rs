//! `[cors]`: web pages of other origins that may call with the person's credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{HttpOrigin, Period};

/// Web pages of other origins that may call with the person's credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// Origins such as `https://studio.example.com`; exact, no wildcard. Empty: no other origin.
    pub origins: Vec<HttpOrigin>,
    /// How long a browser may remember the answer to a preflight request.
    pub max_age: Period,
}

impl Default for Cors {
    fn default() -> Self {
        Self { origins: Vec::new(), max_age: Period::from_minutes(10) }
    }
}
