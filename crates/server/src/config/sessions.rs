//! `[sessions]`: how long somebody stays signed in, and how sure we are of them (AUTH-6, AUTH-7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// How long somebody stays signed in, and how sure we are of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// A browser session that is not used for this long ends.
    pub browser_idle: Period,
    /// A browser session ends after this long in any case.
    pub browser_absolute: Period,
    /// A token session that is neither used nor refreshed for this long ends.
    pub token_idle: Period,
    /// A token session ends after this long in any case.
    pub token_absolute: Period,
    /// A session with two factors counts as one with a single factor when it was not used for this long.
    pub two_factor_idle: Period,
    /// A session with two factors counts as one with a single factor after this long in any case.
    pub two_factor_absolute: Period,
    /// How old a proof may be for what can take an account away: other factors, address, password, keys, export, erasure.
    pub fresh_for: Period,
    /// How long a sign-in waits for its second factor.
    pub second_factor_ttl: Period,
    /// Wrong codes for one sign-in before it has to begin anew.
    pub second_factor_tries: u32,
    /// Live sessions of one account; the one that was used longest ago gives way.
    pub per_account: u32,
    /// Devices of one account that are known; the one that was used longest ago gives way.
    pub known_devices: u32,
    /// A known device that was not seen for this long is a stranger again.
    pub known_device_ttl: Period,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            browser_idle: Period::from_hours(24),
            browser_absolute: Period::from_days(30),
            token_idle: Period::from_days(7),
            token_absolute: Period::from_days(30),
            two_factor_idle: Period::from_hours(1),
            two_factor_absolute: Period::from_hours(24),
            fresh_for: Period::from_minutes(10),
            second_factor_ttl: Period::from_minutes(5),
            second_factor_tries: 5,
            per_account: 100,
            known_devices: 50,
            known_device_ttl: Period::from_days(400),
        }
    }
}
