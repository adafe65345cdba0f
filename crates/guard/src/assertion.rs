//! Who calls, told to the upstream in a way that it can check: a short signed statement.

use std::sync::Arc;

use access::{Role, Tier};
use base::{Timestamp, Username};
use crypto::jws::SigningKey;
use http::HeaderValue;
use identity::AccountCaller;
use keys::{KeyUse, Keys};
use quick_cache::sync::Cache;
use serde::Serialize;

/// The header that carries the statement.
pub const ASSERTION_HEADER: &str = "fortissimo-assertion";
/// The `typ` of its token.
pub const ASSERTION_TYPE: &str = "fortissimo-assertion+jwt";

/// Seconds for which a statement may be believed.
const LIFETIME_S: i64 = 60;
/// Milliseconds for which one is used again, so that a page of twenty files is signed once; well below its lifetime.
const REUSE_MS: i64 = 30_000;
/// Statements that are remembered.
const REMEMBERED: usize = 8_192;

/// The statement (a JWT, RFC 7519).
#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    sid: String,
    username: &'a str,
    role: Role,
    tier: Tier,
    iat: i64,
    exp: i64,
}

/// Everything that the statement says. Being the whole of it, the key needs nobody to tell it of changes: another role
/// is another key, and a session that was ended does not get past `authenticate`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Said {
    session: [u8; 16],
    account: [u8; 16],
    upstream: usize,
    role: Role,
    tier: Tier,
    username: Username,
}

#[derive(Clone)]
struct Statement {
    made: Timestamp,
    /// What signed it: after a rotation (or the withdrawal of a key) nothing of the old key is sent any more.
    signer: Arc<SigningKey>,
    value: HeaderValue,
}

/// Signs and remembers statements.
pub(crate) struct Assertions {
    issuer: String,
    keys: Keys,
    remembered: Cache<Said, Statement>,
}

impl Assertions {
    pub(crate) fn new(issuer: String, keys: Keys) -> Self {
        Self { issuer, keys, remembered: Cache::new(REMEMBERED) }
    }

    /// The statement about a caller for one upstream.
    pub(crate) fn about(
        &self,
        caller: &AccountCaller,
        upstream: usize,
        audience: &Arc<str>,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let said = Said {
            session: *caller.session.as_bytes(),
            account: *caller.account.as_bytes(),
            upstream,
            role: caller.role,
            tier: caller.tier,
            username: caller.username.clone(),
        };
        let signer = self.keys.signer(KeyUse::Assertion);
        if let Some(known) = self.remembered.get(&said)
            && (0..REUSE_MS).contains(&now.since_ms(known.made))
            && Arc::ptr_eq(&known.signer, &signer)
        {
            return Some(known.value);
        }
        let claims = Claims {
            iss: &self.issuer,
            aud: audience,
            sub: caller.account.to_string(),
            sid: caller.session.to_string(),
            username: caller.username.as_str(),
            role: caller.role,
            tier: caller.tier,
            iat: now.as_secs(),
            exp: now.as_secs() + LIFETIME_S,
        };
        let token = signer.sign(ASSERTION_TYPE, &claims);
        let mut value = HeaderValue::from_str(&token).ok()?;
        value.set_sensitive(true);
        self.remembered.insert(said, Statement { made: now, signer, value: value.clone() });
        Some(value)
    }
}
