//! Settings of login risk.

use threat::login::Engine;

use super::Locator;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Settings of login risk (AUTH-10).
#[derive(Debug, Clone)]
pub struct RiskSettings {
    /// Whether sign-ins are judged at all.
    pub enabled: bool,
    /// Weights and thresholds.
    pub engine: Engine,
    /// Who knows where addresses are.
    pub locator: Locator,
    /// How long a mailed confirmation can be answered and used.
    pub confirm_ttl_ms: i64,
    /// How long a sign-in can be disowned by the mailed link.
    pub disown_ttl_ms: i64,
}

impl Default for RiskSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            engine: Engine::default(),
            locator: Locator::default(),
            confirm_ttl_ms: 15 * MINUTE,
            disown_ttl_ms: 7 * DAY,
        }
    }
}
