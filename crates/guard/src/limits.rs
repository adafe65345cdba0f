//! The rate limits of EDGE-3 as configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rate limits. The defaults are the tables of EDGE-3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Off switches every limit off, the network's too. For measurements and emergencies only.
    pub enabled: bool,
    /// The cheap limit per network (an IPv4 address or an IPv6 /64) that stands before authentication. It is
    /// wide, because offices and mobile carriers share addresses; the tiers do the fine work.
    pub network: NetworkLimit,
    /// Per principal (account, or network if nobody is signed in) by tier.
    pub tiers: TierLimits,
    /// Sign-in attempts per network and minute.
    pub sign_in_per_minute: u32,
    /// Registrations per network and minute.
    pub registration_per_minute: u32,
    /// Endpoints with a limit of their own; first match wins.
    pub endpoints: Vec<EndpointLimit>,
    /// Every other endpoint, per principal, route and minute.
    pub endpoint_per_minute: u32,
    /// How many keys are remembered at most; 48 bytes each. Beyond, the keys closest to fully replenished are
    /// forgotten first.
    pub keys: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let endpoint = |path: &str, per_minute| EndpointLimit { path: path.to_owned(), per_minute };
        Self {
            enabled: true,
            network: NetworkLimit::default(),
            tiers: TierLimits::default(),
            sign_in_per_minute: 5,
            registration_per_minute: 3,
            endpoints: vec![endpoint("/api/tracks/**", 100), endpoint("/api/analyze/**", 10)],
            endpoint_per_minute: 1_000,
            keys: 65_536,
        }
    }
}

/// The limit per network, whoever calls from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkLimit {
    /// Requests per second.
    pub per_second: u32,
    /// Requests per minute.
    pub per_minute: u32,
}

impl Default for NetworkLimit {
    fn default() -> Self {
        Self { per_second: 200, per_minute: 6_000 }
    }
}

/// One limit set per tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TierLimits {
    /// Free accounts, and everybody who is not signed in.
    pub free: WindowLimits,
    /// Professional accounts.
    pub pro: WindowLimits,
    /// Studio accounts.
    pub studio: WindowLimits,
}

impl Default for TierLimits {
    fn default() -> Self {
        let windows = |second, minute, hour, day| WindowLimits { second, minute, hour, day };
        Self {
            free: windows(5, 60, 1_000, 10_000),
            pro: windows(20, 300, 5_000, 50_000),
            studio: windows(50, 1_000, 20_000, 200_000),
        }
    }
}

/// Requests per window; all four hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowLimits {
    /// Per second.
    pub second: u32,
    /// Per minute.
    pub minute: u32,
    /// Per hour.
    pub hour: u32,
    /// Per day.
    pub day: u32,
}

/// A limit for some paths, per principal and minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointLimit {
    /// Path template as in routes: `{name}` is one segment, `**` the rest (which may be nothing).
    pub path: String,
    /// Requests per minute.
    pub per_minute: u32,
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateClass {
    /// Counts in the tier's four windows and in the endpoint's minute.
    #[default]
    Standard,
    /// A page or one of its files. One click loads many of them, so they do not count in the tier's windows
    /// (5 per second would break ordinary pages); the network's limit and the endpoint's minute still hold.
    Page,
    /// A sign-in attempt: counts per network, whoever is named in it.
    SignIn,
    /// A registration: counts per network.
    Registration,
}
