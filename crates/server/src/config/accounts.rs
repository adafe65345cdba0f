//! `[accounts]`: sign-up, passwords and browser sessions (AUTH-1, AUTH-2, AUTH-6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// Sign-up, passwords and browser sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// How long the link in a verification mail works.
    pub verification_ttl: Period,
    /// How long the link in a password reset mail works.
    pub reset_ttl: Period,
    /// How long the set-up link for the first operator works.
    pub setup_ttl: Period,
    /// A browser session that is not used for this long ends.
    pub browser_idle: Period,
    /// A browser session ends after this long in any case.
    pub browser_absolute: Period,
    /// A token session that is neither used nor refreshed for this long ends.
    pub token_idle: Period,
    /// A token session ends after this long in any case.
    pub token_absolute: Period,
    /// Passwords that are hashed at the same time; 0 means one per core. Each takes 19 MiB.
    pub hash_workers: u16,
    /// Sign-ins that may wait for each hash worker; more are answered 503 with Retry-After.
    pub hash_queue: u16,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            verification_ttl: Period::from_hours(24),
            reset_ttl: Period::from_hours(1),
            setup_ttl: Period::from_hours(24),
            browser_idle: Period::from_hours(24),
            browser_absolute: Period::from_days(30),
            token_idle: Period::from_days(7),
            token_absolute: Period::from_days(30),
            hash_workers: 0,
            hash_queue: 32,
        }
    }
}
