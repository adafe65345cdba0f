//! Checking tokens.

use aws_lc_rs::digest;
use aws_lc_rs::signature::ParsedPublicKey;
use base::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::jwk::PublicJwk;
use super::scheme::Scheme;
use super::{InvalidKey, SigningKey};
use crate::compact::{Members, Node, decode, encode};

/// Longer tokens are refused unread.
const MAX_TOKEN: usize = 8 * 1024;
/// More keys than any issuer publishes.
const MAX_KEYS: usize = 64;

/// Public keys by which tokens are checked, by their ids.
pub struct VerifyingKeys {
    keys: Vec<VerifyingKey>,
}

struct VerifyingKey {
    kid: String,
    scheme: Scheme,
    key: ParsedPublicKey,
}

/// What a token must be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The header's `typ`, for example `at+jwt`; a token of another kind is refused even if the same key
    /// signed it. Case and an `application/` prefix do not matter.
    pub typ: &'a str,
    /// The `iss`, exactly.
    pub issuer: &'a str,
    /// Must be `aud` or among it.
    pub audience: &'a str,
    /// The time now.
    pub now: Timestamp,
    /// Tolerated clock difference in seconds.
    pub leeway_s: u32,
}

/// What a header may say.
#[derive(Clone, Copy)]
enum Kind<'a> {
    /// Of any type.
    Any,
    /// Of this type.
    Exactly(&'a str),
    /// As OpenID Connect's providers write it.
    IdToken,
}

/// Why a token was refused. For logs and audit; a client is told only that the token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than 8 KiB.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of canonical base64url with JSON objects of the strict form.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// `none`, an unknown algorithm, or not the one of the named key.
    #[error("the token's algorithm is not the key's")]
    AlgorithmNotAllowed,
    /// No `kid`, or one that names none of the keys.
    #[error("the token names no known key")]
    UnknownKey,
    /// Another `typ`, or none.
    #[error("the token is of another type")]
    WrongType,
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    BadSignature,
    /// Another `iss`, or none.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// Not for this audience, or for none.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` lies in the future.
    #[error("the token claims to be issued in the future")]
    IssuedInFuture,
    /// Authentic and in time, but its claims are not those of the expected type.
    #[error("the token lacks claims or has them in another form")]
    UnexpectedClaims,
}

impl VerifyingKeys {
    /// From a JWK set (RFC 7517). Keys for other uses or of other kinds are left out, and so is a broken one, of which
    /// `left_out` is told: private parts, a weak or impossible key, the same id and algorithm as one before it. A key
    /// without `kid` goes by its thumbprint.
    ///
    /// # Errors
    /// If it is no JWK set or has more than 64 keys; the first fault if nothing is left because of it.
    pub fn from_jwks(jwks: &Value, mut left_out: impl FnMut(InvalidKey)) -> Result<Self, InvalidKey> {
        let set = jwks.get("keys").and_then(Value::as_array).ok_or(InvalidKey("it is not a JWK set"))?;
        if set.len() > MAX_KEYS {
            return Err(InvalidKey("there are more than 64 keys"));
        }
        let mut keys = Self { keys: Vec::with_capacity(set.len()) };
        let mut first = None;
        for jwk in set {
            let added = PublicJwk::read(jwk).and_then(|read| match read {
                Some((kid, public)) => keys.add(kid.unwrap_or_else(|| public.thumbprint()), &public),
                None => Ok(()),
            });
            if let Err(fault) = added {
                first.get_or_insert(fault);
                left_out(fault);
            }
        }
        match first {
            Some(fault) if keys.keys.is_empty() => Err(fault),
            _ => Ok(keys),
        }
    }

    /// The public halves of signing keys.
    pub fn of<'a>(signing: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let mut keys = Self { keys: Vec::new() };
        for key in signing {
            // The same key twice is one key.
            if keys.find(key.kid(), key.public().scheme()).is_none() {
                keys.add(key.kid().to_owned(), key.public()).expect("a signing key has a sound public half");
            }
        }
        keys
    }

    /// The ids of the keys.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_str())
    }

    fn add(&mut self, kid: String, public: &PublicJwk) -> Result<(), InvalidKey> {
        let scheme = public.scheme();
        if self.find(&kid, scheme).is_some() {
            return Err(InvalidKey("two keys have the same id and algorithm"));
        }
        self.keys.push(VerifyingKey { kid, scheme, key: public.parsed()? });
        Ok(())
    }

    fn find(&self, kid: &str, scheme: Scheme) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == kid && key.scheme == scheme)
    }

    /// Checks a token in this order: form, key, algorithm, type, signature, issuer, audience, times; then
    /// reads its claims as `T`.
    ///
    /// # Errors
    /// See [`TokenError`]: the first fault found.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, expected: &Expected<'_>) -> Result<T, TokenError> {
        let payload = self.authentic(token, Some(expected.typ))?;
        let claims = Members::parse(&payload).map_err(TokenError::Malformed)?;
        check_claims(&claims, expected)?;
        serde_json::from_slice(&payload).map_err(|_| TokenError::UnexpectedClaims)
    }

    /// Checks an OpenID Connect ID token in the same order. Others make them, so the header may lack `typ` (or say `JWT`),
    /// may carry a certificate's thumbprint, which is not looked at, and may lack `kid` where there is one key of its algorithm
    /// only. With the claims comes what the token calls a hash (`at_hash`, `c_hash`).
    ///
    /// # Errors
    /// See [`TokenError`]: the first fault found.
    pub fn verify_id_token<T: DeserializeOwned>(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
        now: Timestamp,
        leeway_s: u32,
    ) -> Result<(T, HalfHash), TokenError> {
        let (payload, scheme) = self.authentic_as(token, Kind::IdToken)?;
        let claims = Members::parse(&payload).map_err(TokenError::Malformed)?;
        check_claims(&claims, &Expected { typ: "JWT", issuer, audience, now, leeway_s })?;
        let claims = serde_json::from_slice(&payload).map_err(|_| TokenError::UnexpectedClaims)?;
        Ok((claims, HalfHash(scheme)))
    }

    /// The payload of a token whose form, key, algorithm, type (if one is asked for) and signature are right.
    pub(crate) fn authentic(&self, token: &str, typ: Option<&str>) -> Result<Vec<u8>, TokenError> {
        self.authentic_as(token, typ.map_or(Kind::Any, Kind::Exactly)).map(|(payload, _)| payload)
    }

    fn authentic_as(&self, token: &str, kind: Kind<'_>) -> Result<(Vec<u8>, Scheme), TokenError> {
        const BASE64: TokenError = TokenError::Malformed("a part is not canonical base64url");
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed("not three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed("not three parts"))?;
        if payload.contains('.') {
            return Err(TokenError::Malformed("not three parts"));
        }
        let header = decode(header).ok_or(BASE64)?;
        let key = self.key_for(&header, kind)?;
        let payload = decode(payload).ok_or(BASE64)?;
        let signature = decode(signature).ok_or(BASE64)?;
        key.key.verify_sig(signed.as_bytes(), &signature).map_err(|_| TokenError::BadSignature)?;
        Ok((payload, key.scheme))
    }

    fn key_for(&self, header: &[u8], kind: Kind<'_>) -> Result<&VerifyingKey, TokenError> {
        let header = Members::parse(header).map_err(TokenError::Malformed)?;
        let known: &[&str] = match kind {
            Kind::IdToken => &["alg", "typ", "kid", "x5t", "x5t#S256"],
            Kind::Any | Kind::Exactly(_) => &["alg", "typ", "kid"],
        };
        header.only(known).map_err(TokenError::Malformed)?;
        let text = |name| header.text(name).map_err(TokenError::Malformed);
        let scheme = text("alg")?.ok_or(TokenError::Malformed("no algorithm"))?;
        let scheme = Scheme::named(scheme).ok_or(TokenError::AlgorithmNotAllowed)?;
        let key = match (text("kid")?, kind) {
            (Some(kid), _) => match self.find(kid, scheme) {
                None if self.kids().any(|known| known == kid) => return Err(TokenError::AlgorithmNotAllowed),
                found => found,
            },
            (None, Kind::IdToken) => {
                let mut fitting = self.keys.iter().filter(|key| key.scheme == scheme);
                fitting.next().filter(|_| fitting.next().is_none())
            }
            (None, _) => None,
        };
        let key = key.ok_or(TokenError::UnknownKey)?;
        let given = text("typ")?;
        let right = match kind {
            Kind::Any => true,
            Kind::Exactly(typ) => given.is_some_and(|given| same_type(given, typ)),
            Kind::IdToken => given.is_none_or(|given| same_type(given, "JWT")),
        };
        if !right {
            return Err(TokenError::WrongType);
        }
        Ok(key)
    }
}

/// How an ID token writes hashes of what came with it: the left half of the hash that its signature uses (OpenID Connect
/// Core 1.0, 3.1.3.6), SHA-512 for Ed25519.
#[derive(Debug, Clone, Copy)]
pub struct HalfHash(Scheme);

impl HalfHash {
    /// Of an access token or a code, in base64url.
    pub fn of(self, text: &str) -> String {
        let digest = digest::digest(self.0.hash(), text.as_bytes());
        encode(&digest.as_ref()[..digest.as_ref().len() / 2])
    }
}

fn same_type(a: &str, b: &str) -> bool {
    fn short(typ: &str) -> &str {
        const PREFIX: &str = "application/";
        match typ.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
            _ => typ,
        }
    }
    short(a).eq_ignore_ascii_case(short(b))
}

fn check_claims(claims: &Members<'_>, expected: &Expected<'_>) -> Result<(), TokenError> {
    let is = |node: &Node<'_>, text: &str| matches!(node, Node::Text(found) if found == text);
    if !claims.find("iss").is_some_and(|iss| is(iss, expected.issuer)) {
        return Err(TokenError::WrongIssuer);
    }
    let for_us = match claims.find("aud") {
        // A list with anything but strings is malformed; not finding us in it is enough to refuse.
        Some(Node::List(list)) => {
            list.iter().all(|aud| matches!(aud, Node::Text(_)))
                && list.iter().any(|aud| is(aud, expected.audience))
        }
        Some(aud) => is(aud, expected.audience),
        None => false,
    };
    if !for_us {
        return Err(TokenError::WrongAudience);
    }
    let (now, leeway) = (expected.now.as_secs(), i64::from(expected.leeway_s));
    let expires = seconds(claims, "exp", f64::floor)?.ok_or(TokenError::Malformed("no expiry"))?;
    if now >= expires.saturating_add(leeway) {
        return Err(TokenError::Expired);
    }
    let latest = now.saturating_add(leeway);
    if seconds(claims, "nbf", f64::ceil)?.is_some_and(|start| start > latest) {
        return Err(TokenError::NotYetValid);
    }
    if seconds(claims, "iat", f64::ceil)?.is_some_and(|issued| issued > latest) {
        return Err(TokenError::IssuedInFuture);
    }
    Ok(())
}

/// A NumericDate, which may have a fraction; it is rounded to the strict side.
fn seconds(claims: &Members<'_>, name: &str, strict: impl Fn(f64) -> f64) -> Result<Option<i64>, TokenError> {
    match claims.find(name) {
        None => Ok(None),
        Some(Node::Integer(number)) if *number >= 0 => Ok(Some(*number)),
        // Up to 2^53 seconds a float is exact; nothing honest lies beyond.
        Some(Node::Float(number)) if (0.0..9.0e15).contains(number) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
            Ok(Some(strict(*number) as i64))
        }
        Some(_) => Err(TokenError::Malformed("a time is not a number of seconds")),
    }
}
