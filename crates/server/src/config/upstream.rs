//! `[upstream]`: how services behind the gateway are spoken to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// How services behind the gateway are spoken to; the same for every route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// Time to open a connection.
    pub connect_timeout: Period,
    /// Time until the head of the answer.
    pub response_timeout: Period,
    /// Longest pause inside an answer.
    pub body_idle_timeout: Period,
    /// Silence in both directions after which a WebSocket is closed.
    pub websocket_idle_timeout: Period,
    /// An idle pooled connection is closed after this.
    pub idle_timeout: Period,
    /// Idle connections kept per service.
    pub max_idle: u16,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Period::from_secs(5),
            response_timeout: Period::from_secs(60),
            body_idle_timeout: Period::from_secs(60),
            websocket_idle_timeout: Period::from_minutes(10),
            idle_timeout: Period::from_secs(30),
            max_idle: 256,
        }
    }
}
