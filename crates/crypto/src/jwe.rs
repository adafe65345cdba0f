//! Encrypted tokens: compact JWE (RFC 7516) around a signed token, with `dir` or `ECDH-ES` on P-256 and
//! `A256GCM`. Sign first, then encrypt; whoever opens one must still verify what is inside.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, EphemeralPrivateKey, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use base::{Entropy, Secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::compact::{Members, Node, decode, encode};
use crate::jws::InvalidKey;
use crate::mac::sha256;
use crate::memory::LockedKey;
use crate::p256::{coordinates, uncompressed};

/// Longer tokens are refused unread.
const MAX_TOKEN: usize = 16 * 1024;
const ENC: &str = "A256GCM";

/// A key for encrypted tokens, with its id.
pub struct JweKey {
    kid: String,
    kind: Kind,
}

enum Kind {
    Direct(LockedKey),
    Public([u8; 65]),
    Private(PrivateKey, [u8; 65]),
}

/// Why an encrypted token was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// Longer than 16 KiB.
    #[error("the encrypted token is too long")]
    TooLong,
    /// Not five parts of canonical base64url with a header of the strict form.
    #[error("malformed encrypted token: {0}")]
    Malformed(&'static str),
    /// Another algorithm than the key's, or another cipher than A256GCM.
    #[error("the encrypted token's algorithm is not the key's")]
    AlgorithmNotAllowed,
    /// For another key.
    #[error("the encrypted token is for another key")]
    UnknownKey,
    /// Changed, or made with another key.
    #[error("the encrypted token was changed or made for another key")]
    Broken,
    /// Does not hold a signed token.
    #[error("the encrypted token does not hold a signed token")]
    NotNested,
}

impl JweKey {
    /// A content key that both sides have (`dir`). Nonces are random: change the key before 2^32 tokens.
    pub fn direct(kid: &str, key: LockedKey) -> Self {
        Self { kid: kid.to_owned(), kind: Kind::Direct(key) }
    }

    /// From the text of a JSON Web Key: a recipient's public P-256 key ([`Self::recipient`]), or a shared key of 32 bytes
    /// (`"kty": "oct"`), whose `kid` is its own or a digest that tells nothing of the key.
    ///
    /// # Errors
    /// If it is neither.
    pub fn from_jwk(text: &Secret<String>) -> Result<Self, InvalidKey> {
        let mut jwk: Value =
            serde_json::from_str(text.expose()).map_err(|_| InvalidKey("it is not a JSON Web Key"))?;
        if jwk.get("kty").and_then(Value::as_str) != Some("oct") {
            return Self::recipient(&jwk);
        }
        let usable = jwk.get("alg").is_none_or(|alg| matches!(alg.as_str(), Some("dir" | ENC)))
            && jwk.get("use").is_none_or(|usage| usage.as_str() == Some("enc"));
        if !usable {
            return Err(InvalidKey("it is a shared key for something else than dir with A256GCM"));
        }
        let Some(Value::String(encoded)) = jwk.get_mut("k").map(Value::take) else {
            return Err(InvalidKey("a shared key has a member k"));
        };
        let encoded = Zeroizing::new(encoded);
        let mut bytes = Zeroizing::new(decode(&encoded).ok_or(InvalidKey("k is not base64url"))?);
        let bytes: &mut [u8; 32] =
            bytes.as_mut_slice().try_into().map_err(|_| InvalidKey("a shared key has 32 bytes"))?;
        let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned).unwrap_or_else(|| {
            encode(&sha256(&[b"fortissimo/jwe-kid\0", &sha256(&bytes[..])[..]].concat())[..12])
        });
        Ok(Self::direct(&kid, LockedKey::from_bytes(bytes)))
    }

    /// A recipient's public P-256 key (`ECDH-ES`), which only encrypts.
    ///
    /// # Errors
    /// If the JWK is not an EC key on P-256 for encryption.
    pub fn recipient(jwk: &Value) -> Result<Self, InvalidKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let usable = text("kty") == Some("EC")
            && text("crv") == Some("P-256")
            && jwk.get("use").is_none_or(|usage| usage.as_str() == Some("enc"))
            && jwk.get("alg").is_none_or(|alg| alg.as_str() == Some("ECDH-ES"))
            && jwk.get("d").is_none();
        if !usable {
            return Err(InvalidKey("it is not a public P-256 key for ECDH-ES"));
        }
        let coordinate = |name| text(name).and_then(decode)?.try_into().ok();
        let point = coordinate("x").zip(coordinate("y")).map(|(x, y)| uncompressed(&x, &y));
        let point = point.ok_or(InvalidKey("a coordinate has not 32 bytes"))?;
        agreement::ParsedPublicKey::try_from(&UnparsedPublicKey::new(&ECDH_P256, &point))
            .map_err(|_| InvalidKey("it is not a point on P-256"))?;
        let kid = text("kid").map_or_else(|| thumbprint(&point), str::to_owned);
        Ok(Self { kid, kind: Kind::Public(point) })
    }

    /// A fresh private key (`ECDH-ES`) and the secret to seal.
    pub fn generate(entropy: &Entropy) -> (Self, LockedKey) {
        // One draw in 2^32 is not below the curve's order.
        for _ in 0..8 {
            let secret = LockedKey::generate(entropy);
            if let Ok(key) = Self::private(&secret) {
                return (key, secret);
            }
        }
        unreachable!("eight draws in a row that are not below the curve's order")
    }

    /// A private key (`ECDH-ES`) from its secret.
    ///
    /// # Errors
    /// If the secret is not a scalar of P-256.
    pub fn private(secret: &LockedKey) -> Result<Self, InvalidKey> {
        let rejected = |_| InvalidKey("it is not a scalar of P-256");
        let key = PrivateKey::from_private_key(&ECDH_P256, secret.expose()).map_err(rejected)?;
        let public = key.compute_public_key().map_err(|_| InvalidKey("it has no public half"))?;
        let point: [u8; 65] =
            public.as_ref().try_into().map_err(|_| InvalidKey("its public half has an unexpected form"))?;
        Ok(Self { kid: thumbprint(&point), kind: Kind::Private(key, point) })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK; `None` for a shared key.
    pub fn public_jwk(&self) -> Option<Value> {
        let (Kind::Public(point) | Kind::Private(_, point)) = &self.kind else { return None };
        let mut jwk = point_jwk(point);
        for (name, value) in [("kid", self.kid.as_str()), ("alg", "ECDH-ES"), ("use", "enc")] {
            jwk[name] = json!(value);
        }
        Some(jwk)
    }

    const fn alg(&self) -> &'static str {
        match self.kind {
            Kind::Direct(_) => "dir",
            Kind::Public(_) | Kind::Private(..) => "ECDH-ES",
        }
    }
}

impl fmt::Debug for JweKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JweKey({}, {})", self.alg(), self.kid)
    }
}

/// Encrypts a signed token (`cty: JWT`).
pub fn encrypt(key: &JweKey, jws: &str, entropy: &Entropy) -> String {
    let mut header = json!({ "alg": key.alg(), "enc": ENC, "kid": key.kid, "cty": "JWT" });
    let content_key = match &key.kind {
        Kind::Direct(shared) => aes(shared.expose()),
        Kind::Public(point) | Kind::Private(_, point) => {
            const AGREED: &str = "the recipient's key was checked to be on the curve";
            let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
                .expect("the operating system has randomness for a key");
            let public = ephemeral.compute_public_key().expect("a fresh key has a public half");
            header["epk"] = point_jwk(public.as_ref());
            let peer = UnparsedPublicKey::new(&ECDH_P256, point);
            agreement::agree_ephemeral(ephemeral, peer, AGREED, |z| Ok(aes(&concat_kdf(z, b"", b""))))
                .expect(AGREED)
        }
    };
    let aad = encode(header.to_string().as_bytes());
    let nonce: [u8; 12] = entropy.bytes();
    let mut text = Zeroizing::new(jws.as_bytes().to_vec());
    let tag = content_key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&aad), &mut text)
        .expect("AES-GCM seals any token");
    format!("{aad}..{}.{}.{}", encode(&nonce), encode(&text), encode(tag.as_ref()))
}

/// Opens an encrypted token to the signed token inside, which still has to be verified.
///
/// # Errors
/// See [`JweError`].
pub fn decrypt(key: &JweKey, token: &str) -> Result<Zeroizing<String>, JweError> {
    let (mut text, nested) = open(key, token)?;
    if !nested {
        return Err(JweError::NotNested);
    }
    String::from_utf8(std::mem::take(&mut *text)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        JweError::NotNested
    })
}

/// The plaintext, and whether the header says that it is a token.
pub(crate) fn open(key: &JweKey, token: &str) -> Result<(Zeroizing<Vec<u8>>, bool), JweError> {
    const BASE64: JweError = JweError::Malformed("a part is not canonical base64url");
    if token.len() > MAX_TOKEN {
        return Err(JweError::TooLong);
    }
    let mut parts = token.splitn(6, '.');
    let (Some(aad), Some(wrapped), Some(nonce), Some(text), Some(tag), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JweError::Malformed("not five parts"));
    };
    let header = decode(aad).ok_or(BASE64)?;
    let header = Members::parse(&header).map_err(JweError::Malformed)?;
    let content_key = content_key(key, &header)?;
    if !wrapped.is_empty() {
        return Err(JweError::Malformed("a wrapped key where there can be none"));
    }
    let nonce: [u8; 12] = decode(nonce)
        .ok_or(BASE64)?
        .try_into()
        .map_err(|_| JweError::Malformed("the nonce has not 12 bytes"))?;
    let tag: [u8; 16] =
        decode(tag).ok_or(BASE64)?.try_into().map_err(|_| JweError::Malformed("the tag has not 16 bytes"))?;
    let sealed = decode(text).ok_or(BASE64)?;
    let mut plain = Zeroizing::new(vec![0; sealed.len()]);
    content_key
        .open_separate_gather(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &sealed, &tag, &mut plain)
        .map_err(|_| JweError::Broken)?;
    let nested =
        header.text("cty").map_err(JweError::Malformed)?.is_some_and(|c| c.eq_ignore_ascii_case("jwt"));
    Ok((plain, nested))
}

fn content_key(key: &JweKey, header: &Members<'_>) -> Result<LessSafeKey, JweError> {
    header.only(&["alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv"]).map_err(JweError::Malformed)?;
    let text = |name| header.text(name).map_err(JweError::Malformed);
    if text("alg")? != Some(key.alg()) || text("enc")? != Some(ENC) {
        return Err(JweError::AlgorithmNotAllowed);
    }
    if text("kid")?.is_some_and(|kid| kid != key.kid) {
        return Err(JweError::UnknownKey);
    }
    text("typ")?;
    match &key.kind {
        Kind::Direct(shared) => {
            let agreed = ["epk", "apu", "apv"].iter().any(|name| header.find(name).is_some());
            if agreed {
                Err(JweError::Malformed("key agreement with a shared key"))
            } else {
                Ok(aes(shared.expose()))
            }
        }
        Kind::Public(_) => Err(JweError::UnknownKey),
        Kind::Private(private, _) => {
            let Some(Node::Object(epk)) = header.find("epk") else {
                return Err(JweError::Malformed("no ephemeral key"));
            };
            let point = ephemeral_point(epk).map_err(JweError::Malformed)?;
            let info = |name| match text(name)? {
                Some(encoded) => decode(encoded).ok_or(JweError::Malformed("apu or apv is not base64url")),
                None => Ok(Vec::new()),
            };
            let (apu, apv) = (info("apu")?, info("apv")?);
            let peer = UnparsedPublicKey::new(&ECDH_P256, point);
            agreement::agree(private, peer, JweError::Broken, |z| Ok(aes(&concat_kdf(z, &apu, &apv))))
        }
    }
}

fn ephemeral_point(epk: &Members<'_>) -> Result<[u8; 65], &'static str> {
    epk.only(&["kty", "crv", "x", "y"])?;
    if epk.text("kty")? != Some("EC") || epk.text("crv")? != Some("P-256") {
        return Err("the ephemeral key is not on P-256");
    }
    let coordinate = |name| {
        let bytes = decode(epk.text(name)?.ok_or("the ephemeral key lacks a coordinate")?);
        bytes.and_then(|b| b.try_into().ok()).ok_or("a coordinate has not 32 bytes")
    };
    Ok(uncompressed(&coordinate("x")?, &coordinate("y")?))
}

/// Concat KDF of RFC 7518, 4.6.2: one round of SHA-256 is one A256GCM key.
fn concat_kdf(z: &[u8], apu: &[u8], apv: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(z);
    for part in [ENC.as_bytes(), apu, apv] {
        let length = u32::try_from(part.len()).expect("tokens are far below 4 GiB");
        hash.update(&length.to_be_bytes());
        hash.update(part);
    }
    hash.update(&256_u32.to_be_bytes());
    Zeroizing::new(hash.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

fn aes(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes"))
}

fn point_jwk(point: &[u8]) -> Value {
    let (x, y) = coordinates(point).expect("aws-lc gives points in uncompressed form");
    json!({ "crv": "P-256", "kty": "EC", "x": encode(&x), "y": encode(&y) })
}

/// RFC 7638: the required members only, written in alphabetical order.
fn thumbprint(point: &[u8]) -> String {
    encode(&sha256(point_jwk(point).to_string().as_bytes()))
}

#[cfg(test)]
#[path = "jwe_tests.rs"]
mod tests;
