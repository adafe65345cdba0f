//! Signed tokens: compact JWS (RFC 7515) with a JSON claim set (RFC 7519), under the rules of RFC 8725.
//!
//! A key has one algorithm; the token's `alg` must agree with it and never chooses it. The header may hold
//! `alg`, `typ` and `kid`, nothing else: no embedded or linked keys, no `crit`, no `b64`. We sign with an [`Algorithm`];
//! what other issuers sign may be of any asymmetric scheme of RFC 7518. Shared secrets verify nothing.

mod jwk;
mod key;
mod scheme;
mod verify;

pub use key::SigningKey;
use scheme::Scheme;
pub use verify::{Expected, HalfHash, TokenError, VerifyingKeys};

/// An algorithm that we sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; the default, because everybody verifies it.
    ES256,
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 bits or more.
    RS256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// The name in a token's header.
    pub const fn name(self) -> &'static str {
        self.scheme().name()
    }

    /// The algorithm of this exact name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ES256, Self::RS256, Self::EdDSA].into_iter().find(|known| known.name() == name)
    }

    const fn scheme(self) -> Scheme {
        match self {
            Self::ES256 => Scheme::ES256,
            Self::RS256 => Scheme::RS256,
            Self::EdDSA => Scheme::EdDSA,
        }
    }
}

/// The bytes are not a usable key; the text says what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable key: {0}")]
pub struct InvalidKey(pub &'static str);

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
