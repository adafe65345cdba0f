//! Signed tokens.

use base::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Signature algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256,
    /// Ed25519.
    EdDSA,
}

/// A private key that signs tokens.
pub struct SigningKey {}

/// The bytes are not a usable key of the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable key: {0}")]
pub struct InvalidKey(pub &'static str);

impl SigningKey {
    /// A fresh key and its PKCS#8 form, to be sealed.
    pub fn generate(algorithm: Algorithm) -> (Self, Zeroizing<Vec<u8>>) {
        let _ = algorithm;
        unimplemented!()
    }

    /// Reads a key.
    ///
    /// # Errors
    /// If the bytes are not a key of this algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        let _ = (algorithm, pkcs8);
        unimplemented!()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        unimplemented!()
    }

    /// The key id: RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        unimplemented!()
    }

    /// The public key as a JWK with `kid`, `alg` and `use`.
    pub fn public_jwk(&self) -> serde_json::Value {
        unimplemented!()
    }

    /// Signs claims as a compact JWS with header `alg`, `typ`, `kid`.
    ///
    /// # Panics
    /// If the claims, which are a type of ours, do not serialise.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let _ = (typ, claims);
        unimplemented!()
    }
}

/// Public keys by which tokens are checked.
pub struct VerifyingKeys {}

/// What a token must be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The `typ`, for example `at+jwt`.
    pub typ: &'a str,
    /// The `iss`.
    pub issuer: &'a str,
    /// Must be `aud` or among it.
    pub audience: &'a str,
    /// The time now.
    pub now: Timestamp,
    /// Tolerated clock difference in seconds.
    pub leeway_s: u32,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of the strict form.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
}

impl VerifyingKeys {
    /// From a JWK set.
    ///
    /// # Errors
    /// If it is not a JWK set or a key of a supported kind is broken.
    pub fn from_jwks(jwks: &serde_json::Value) -> Result<Self, InvalidKey> {
        let _ = jwks;
        unimplemented!()
    }

    /// The public halves of signing keys.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let _ = keys.into_iter();
        unimplemented!()
    }

    /// Checks a token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify<T: DeserializeOwned>(&self, token: &str, expected: &Expected<'_>) -> Result<T, TokenError> {
        let _ = (token, expected);
        unimplemented!()
    }
}
