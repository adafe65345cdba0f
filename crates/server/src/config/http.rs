//! `[http]`: sizes, times and counts that no client may exceed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Period, Size};

/// Sizes, times and counts that no client may exceed; they hold with and without rate limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Largest request body of a route that does not say otherwise.
    pub max_body: Size,
    /// Largest request head (request line and headers together).
    pub max_head: Size,
    /// Most headers in a request.
    pub max_headers: u16,
    /// Longest request target (path and query).
    pub max_target: Size,
    /// Time for the head of a request to arrive.
    pub head_timeout: Period,
    /// Longest time a client may take nothing of its answer.
    pub write_timeout: Period,
    /// An idle client connection is closed after this.
    pub keep_alive: Period,
    /// Open client connections; the next ones wait.
    pub max_connections: u32,
    /// Requests in flight on one HTTP/2 connection.
    pub max_streams: u16,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            max_body: Size::from_mib(600),
            max_head: Size::from_kib(32),
            max_headers: 100,
            max_target: Size::from_kib(8),
            head_timeout: Period::from_secs(10),
            write_timeout: Period::from_secs(60),
            keep_alive: Period::from_secs(60),
            max_connections: 10_000,
            max_streams: 128,
        }
    }
}
