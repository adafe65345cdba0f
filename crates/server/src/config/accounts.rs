//! `[accounts]`: sign-up, passwords, mails and what one account may have (AUTH-1, AUTH-2, AUTH-7, AUTH-11).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{HttpOrigin, Period};

/// Sign-up, passwords, mails and what one account may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// What the product is called in authenticator apps and passkey dialogues.
    pub product: String,
    /// How long the link in a verification mail works.
    pub verification_ttl: Period,
    /// How long the link in a password reset mail works.
    pub reset_ttl: Period,
    /// How long the set-up link for the first operator works.
    pub setup_ttl: Period,
    /// Sign-ups for one address that wait to be verified; the oldest gives way.
    pub unverified_per_address: u32,
    /// A sign-up that is not verified is removed after this long.
    pub unverified_ttl: Period,
    /// Mails of one kind to one address within an hour that strangers can cause; more are silently not sent.
    pub mails_per_hour: u32,
    /// Ended sessions and API keys, and traces of delivered mails, are removed after this long. The audit trail stays.
    pub ended_ttl: Period,
    /// An account that its owner closed is erased after this long; until then a mailed link takes it back.
    pub erase_after: Period,
    /// Least length of a password, in characters.
    pub password_min: u16,
    /// Least length of a password where a second factor is asked for too.
    pub password_min_second_factor: u16,
    /// Whom to ask whether a new password was breached, beside the built-in filter: a server with the range API of Have I
    /// Been Pwned. Five digits of a SHA-1 hash go out. One that does not answer keeps nobody from choosing a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HttpOrigin")]
    pub breach_api: Option<HttpOrigin>,
    /// Second factors of one account.
    pub second_factors: u32,
    /// Live API keys of one account.
    pub api_keys: u32,
    /// For how long a rotated API key works beside its successor.
    pub api_key_overlap: Period,
    /// Passwords that are hashed at the same time; 0 means one per core. Each takes 19 MiB.
    pub hash_workers: u16,
    /// Sign-ins that may wait for each hash worker; more are answered 503 with Retry-After.
    pub hash_queue: u16,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            product: "Fortissimo".to_owned(),
            verification_ttl: Period::from_hours(24),
            reset_ttl: Period::from_hours(1),
            setup_ttl: Period::from_hours(24),
            unverified_per_address: 5,
            unverified_ttl: Period::from_hours(24),
            mails_per_hour: 3,
            ended_ttl: Period::from_days(7),
            erase_after: Period::from_days(7),
            password_min: 15,
            password_min_second_factor: 8,
            breach_api: None,
            second_factors: 20,
            api_keys: 50,
            api_key_overlap: Period::from_hours(24),
            hash_workers: 0,
            hash_queue: 32,
        }
    }
}
