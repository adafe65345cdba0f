//! Private keys that sign tokens.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::jwk::PublicJwk;
use super::scheme::{Curve, Scheme};
use super::{Algorithm, InvalidKey};
use crate::compact::encode;
use crate::p256::coordinates;

/// A private key that signs tokens; its memory is wiped by aws-lc when it is dropped.
pub struct SigningKey {
    pair: Pair,
    public: PublicJwk,
    kid: String,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    /// A fresh key (RSA: 3072 bits) and its PKCS#8 form, to be sealed. The randomness is aws-lc's own,
    /// which has no seam for a seeded source.
    pub fn generate(algorithm: Algorithm) -> (Self, Zeroizing<Vec<u8>>) {
        const DRAWN: &str = "the operating system has randomness for a key";
        let rng = SystemRandom::new();
        let pkcs8 = match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng)
                .expect(DRAWN)
                .as_ref()
                .to_vec(),
            Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&rng).expect(DRAWN).as_ref().to_vec(),
            Algorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa3072).expect(DRAWN);
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).expect(DRAWN).as_ref().to_vec()
            }
        };
        let pkcs8 = Zeroizing::new(pkcs8);
        let key = Self::from_pkcs8(algorithm, &pkcs8).expect("a key just made is well formed");
        (key, pkcs8)
    }

    /// Reads a key from PKCS#8 DER.
    ///
    /// # Errors
    /// If the bytes are not a key of this algorithm, or RSA of less than 2048 bits.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        let rejected = |_| InvalidKey("it is not a PKCS#8 key of the algorithm");
        let strange = InvalidKey("its public half has an unexpected form");
        let (pair, public) = match algorithm {
            Algorithm::ES256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(rejected)?;
                let (x, y) = coordinates(pair.public_key().as_ref()).ok_or(strange)?;
                (Pair::Ec(pair), PublicJwk::Ec { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() })
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let x = pair.public_key().as_ref().try_into().map_err(|_| strange)?;
                (Pair::Ed(pair), PublicJwk::Ed { x })
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let (n, e) = rsa_integers(pair.public_key().as_ref()).ok_or(strange)?;
                (Pair::Rsa(pair), PublicJwk::rsa(Scheme::RS256, n, e)?)
            }
        };
        let kid = public.thumbprint();
        Ok(Self { pair, public, kid })
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Ec(_) => Algorithm::ES256,
            Pair::Rsa(_) => Algorithm::RS256,
            Pair::Ed(_) => Algorithm::EdDSA,
        }
    }

    /// The key id: the RFC 7638 thumbprint of the public half.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK with `kid`, `alg` and `use`.
    pub fn public_jwk(&self) -> Value {
        self.public.to_json(&self.kid)
    }

    pub(super) const fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// Signs claims as a compact JWS with header `alg`, `typ` (for example `at+jwt`) and `kid`.
    ///
    /// # Panics
    /// If the claims, which are a type of ours, do not serialise.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let header = serde_json::json!({ "alg": self.algorithm().name(), "typ": typ, "kid": self.kid });
        let claims = serde_json::to_vec(claims).expect("claims of ours serialise");
        self.sign_parts(header.to_string().as_bytes(), &claims)
    }

    pub(super) fn sign_parts(&self, header: &[u8], payload: &[u8]) -> String {
        let mut token = encode(header);
        token.push('.');
        token.push_str(&encode(payload));
        let signature = self.signature(token.as_bytes());
        token.push('.');
        token.push_str(&encode(&signature));
        token
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        const SIGNED: &str = "a valid key signs any message";
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&rng, message).expect(SIGNED).as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).expect(SIGNED);
                signature
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.algorithm().name(), self.kid)
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 A.1.1), without leading zeros.
fn rsa_integers(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sequence, rest) = der_value(0x30, der)?;
    let (n, after_n) = der_value(0x02, sequence)?;
    let (e, after_e) = der_value(0x02, after_n)?;
    let trim = |integer: &[u8]| {
        let zeros = integer.iter().take_while(|byte| **byte == 0).count();
        integer[zeros..].to_vec()
    };
    (rest.is_empty() && after_e.is_empty()).then(|| (trim(n), trim(e)))
}

/// The value of the element with this tag at the start of `der`, and what follows it.
fn der_value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [first, short @ 0..=0x7F, rest @ ..] if *first == tag => (usize::from(*short), rest),
        [first, 0x81, length, rest @ ..] if *first == tag => (usize::from(*length), rest),
        [first, 0x82, high, low, rest @ ..] if *first == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
