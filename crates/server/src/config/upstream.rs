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
    /// Longest pause inside a body, the request's or the answer's.
    pub body_idle_timeout: Period,
    /// Silence in both directions after which a WebSocket is closed.
    pub websocket_idle_timeout: Period,
    /// An idle pooled connection is closed after this.
    pub idle_timeout: Period,
    /// Idle connections kept per service.
    pub max_idle: u16,
    /// Requests in flight per service; further ones are answered 503.
    pub max_in_flight: u32,
    /// The `Host` a service sees: `preserve` (the client's) or `upstream` (its own).
    pub host: HostField,
}

/// The `Host` a service sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum HostField {
    /// The one that the client named: the service can make links that work.
    Preserve,
    /// The service's own.
    Upstream,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Period::from_secs(5),
            response_timeout: Period::from_secs(60),
            body_idle_timeout: Period::from_secs(30),
            websocket_idle_timeout: Period::from_minutes(10),
            idle_timeout: Period::from_secs(30),
            max_idle: 256,
            max_in_flight: 4_096,
            host: HostField::Preserve,
        }
    }
}
