//! Who calls, told to the upstream in a way that it can check: a short signed statement.

use std::sync::Arc;

use access::{Role, Tier};
use base::{Timestamp, Username};
use crypto::jws::SigningKey;
use http::HeaderValue;
use identity::{Caller, Holder, Method};
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

/// Who the statement is about: a person in a session, or a program with a key of theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    holder: Holder<'a>,
    /// The session's id, or the key's.
    by: [u8; 16],
    key: bool,
    /// The proof came in `Authorization`.
    pub(crate) bearer: bool,
}

impl<'a> Who<'a> {
    pub(crate) fn of(caller: &'a Caller) -> Option<Self> {
        let holder = caller.holder()?;
        Some(match caller {
            Caller::Anonymous => return None,
            Caller::Account(account) => Self {
                holder,
                by: *account.session.as_bytes(),
                key: false,
                bearer: account.method == Method::Token,
            },
            Caller::Key(key) => Self { holder, by: *key.key.as_bytes(), key: true, bearer: true },
        })
    }
}

/// The statement (a JWT, RFC 7519).
#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    /// The session; absent where a program calls with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// The API key; absent where a person calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
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
    by: [u8; 16],
    key: bool,
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
        who: &Who<'_>,
        upstream: usize,
        audience: &Arc<str>,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let said = Said {
            by: who.by,
            key: who.key,
            account: *who.holder.account.as_bytes(),
            upstream,
            role: who.holder.role,
            tier: who.holder.tier,
            username: who.holder.username.clone(),
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
            sub: who.holder.account.to_string(),
            sid: (!who.key).then(|| base::Id::<base::kind::Session>::from_bytes(who.by).to_string()),
            key: who.key.then(|| base::Id::<base::kind::ApiKey>::from_bytes(who.by).to_string()),
            username: who.holder.username.as_str(),
            role: who.holder.role,
            tier: who.holder.tier,
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
