//! Who calls: read from the gateway's signed statement, and from nothing else.
//!
//! The gateway sends `Fortissimo-Assertion` with every request that it lets pass for a signed-in person: a JWT (RFC
//! 7519), signed with ES256, valid for one minute and meant for one service. Cookies, tokens and all other headers
//! are the gateway's business; this service does not look at them.

use std::collections::HashMap;
use std::time::Duration;

use access::{Role, Subject, Tier};
use anyhow::{Context, bail};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Studio;
use crate::problem::Refused;

const HEADER: &str = "fortissimo-assertion";
const TYPE: &str = "fortissimo-assertion+jwt";

/// Bytes; a statement has about 600.
const LONGEST: usize = 8 * 1024;
/// Seconds that this machine's clock may differ from the gateway's.
const LEEWAY_S: u64 = 5;
/// After this the keys are fetched again in any case, so that a withdrawn key is forgotten.
const KEYS_MAX_AGE: Duration = Duration::from_secs(300);
/// Between two fetches. Whoever reaches this port could otherwise make it hammer the gateway with invented keys.
const KEYS_MIN_AGE: Duration = Duration::from_secs(5);
/// For one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the key set.
const LARGEST_KEY_SET: usize = 64 * 1024;

/// A signed-in person, as the gateway vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The account's id.
    #[serde(alias = "sub")]
    pub account: String,
    /// The username.
    pub username: String,
    /// The role.
    pub role: String,
    /// The tier.
    pub tier: String,
}

impl Caller {
    /// The same person as policies see them. What is no role or tier that they know gives nothing.
    pub fn subject(&self) -> Option<Subject> {
        let account = self.account.parse().ok()?;
        let (role, tier) = (self.role.parse().ok(), self.tier.parse().ok());
        Some(Subject { role, tier, ..Subject::account(account, Role::Guest, Tier::Free) })
    }
}

/// Stands around every route: who comes without a valid statement gets no further. For the others, the routes' demands
/// find a [`Subject`] and the handlers a [`Caller`].
pub async fn vouched(
    State(studio): State<Studio>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let caller = studio.verifier.caller(statement(request.headers())?).await?;
    request.extensions_mut().insert(caller.subject().ok_or(refused())?);
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Exactly one.
fn statement(headers: &HeaderMap) -> Result<&[u8], Refused> {
    let mut statements = headers.get_all(HEADER).iter();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => Ok(statement.as_bytes()),
        _ => Err(refused()),
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        parts.extensions.get::<Self>().cloned().ok_or(refused())
    }
}

/// Not told why: only a forger would learn from it.
const fn refused() -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, "This service answers requests that came through its gateway.")
}

/// Checks statements of one gateway for one service.
pub struct Verifier {
    validation: Validation,
    keys: Mutex<Keys>,
    place: Uri,
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// The gateway's public keys as last fetched.
#[derive(Default)]
struct Keys {
    known: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Verifier {
    /// For the gateway at `gateway` (its public address) and the service that its routes call `audience`.
    pub fn new(gateway: &str, audience: &str) -> anyhow::Result<Self> {
        let gateway = gateway.trim_end_matches('/');
        let place: Uri =
            format!("{gateway}/.well-known/jwks.json").parse().context("STUDIO_GATEWAY is no address")?;
        if place.scheme_str() != Some("http") {
            // With https, exchange HttpConnector for a connector that speaks TLS (hyper-rustls).
            bail!("this example fetches the keys by http only, from a gateway on the same machine");
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[gateway]);
        validation.set_audience(&[audience.trim_end_matches('/')]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.leeway = LEEWAY_S;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { validation, keys: Mutex::default(), place, client })
    }

    /// Who is vouched for; 401 unless the statement is valid now, 503 if the gateway's keys cannot be had.
    pub async fn caller(&self, statement: &[u8]) -> Result<Caller, Refused> {
        if statement.len() > LONGEST {
            return Err(refused());
        }
        let header = jsonwebtoken::decode_header(statement).map_err(|_| refused())?;
        // No key that the sender brings along, no extension that would have to be understood.
        let plain =
            header.jwk.is_none() && header.jku.is_none() && header.x5u.is_none() && header.crit.is_none();
        if header.alg != Algorithm::ES256 || header.typ.as_deref() != Some(TYPE) || !plain {
            return Err(refused());
        }
        let key = self.key(&header.kid.ok_or_else(refused)?).await?.ok_or_else(refused)?;
        let caller =
            jsonwebtoken::decode::<Caller>(statement, &key, &self.validation).map_err(|_| refused())?;
        Ok(caller.claims)
    }

    async fn key(&self, kid: &str) -> Result<Option<DecodingKey>, Refused> {
        let mut keys = self.keys.lock().await;
        let aged = keys.fetched.is_none_or(|at| at.elapsed() > KEYS_MAX_AGE);
        if (aged || !keys.known.contains_key(kid)) && keys.tried.is_none_or(|at| at.elapsed() > KEYS_MIN_AGE)
        {
            keys.tried = Some(Instant::now());
            keys.learn(&self.fetch().await.map_err(out_of_reach)?);
        } else if aged {
            return Err(out_of_reach("not long ago"));
        }
        Ok(keys.known.get(kid).cloned())
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, async {
            let response = self.client.get(self.place.clone()).await?;
            let body = Limited::new(response.into_body(), LARGEST_KEY_SET).collect().await;
            body.map_err(|error| anyhow::anyhow!(error))
        });
        Ok(serde_json::from_slice(&fetched.await??.to_bytes())?)
    }

    /// For tests: the keys without a gateway.
    #[cfg(test)]
    pub async fn teach(&self, set: &JwkSet) {
        self.keys.lock().await.learn(set);
    }
}

impl Keys {
    fn learn(&mut self, set: &JwkSet) {
        // Access tokens may be signed with other algorithms and their keys are published in the same place.
        let usable = set.keys.iter().filter(|key| key.common.key_algorithm == Some(KeyAlgorithm::ES256));
        self.known = usable
            .filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)))
            .collect();
        self.fetched = Some(Instant::now());
    }
}

fn out_of_reach(why: impl std::fmt::Display) -> Refused {
    eprintln!("the gateway's keys are out of reach: {why}");
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "The gateway's keys are out of reach.")
}
