//! `[tokens]`: access and refresh tokens (AUTH-4, AUTH-5).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{HttpOrigin, Period, SecretRef};

/// Access and refresh tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// The `iss` of every token. Default: `server.public_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HttpOrigin")]
    pub issuer: Option<HttpOrigin>,
    /// The `aud` of access tokens, and the only one that is accepted.
    pub audience: String,
    /// Signature of new tokens: `ES256`, `RS256` or `EdDSA`. Tokens signed before a change stay valid until they expire.
    pub algorithm: Algorithm,
    /// How long an access token is valid.
    pub access_ttl: Period,
    /// How long a refresh token is valid without being used.
    pub refresh_ttl: Period,
    /// How long a used refresh token still gives the same successor.
    pub refresh_grace: Period,
    /// Age at which the signing keys are replaced; the old ones stay published until their last token expired.
    pub rotate_keys_every: Period,
    /// Services for which tokens are signed and then encrypted, by their `aud`. Each names a reference to a JSON Web Key:
    /// the service's public P-256 key (`ECDH-ES`), or a shared one of 32 bytes (`"kty": "oct"`, `dir`).
    pub encrypted_audiences: BTreeMap<String, SecretRef>,
}

/// A signature algorithm of RFC 7518 and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256,
    /// Ed25519.
    EdDSA,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: "fortissimo".to_owned(),
            algorithm: Algorithm::ES256,
            access_ttl: Period::from_minutes(15),
            refresh_ttl: Period::from_days(7),
            refresh_grace: Period::from_secs(10),
            rotate_keys_every: Period::from_days(90),
            encrypted_audiences: BTreeMap::new(),
        }
    }
}
