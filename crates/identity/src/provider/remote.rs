//! A provider's metadata and keys, fetched when needed and remembered for a while.

use std::sync::Arc;

use base::Timestamp;
use crypto::jws::VerifyingKeys;
use http::Request;
use outbound::Outbound;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ProviderFault;

/// Metadata and keys are asked for again after an hour.
const KEEP_MS: i64 = 3_600_000;
/// A token that names an unknown key makes us ask again, but not more often than this.
const AGAIN_MS: i64 = 60_000;

/// OpenID Connect Discovery 1.0, section 3, and RFC 9207.
#[derive(Clone, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    claims_supported: Vec<String>,
}

impl Metadata {
    /// Whether ID tokens can say when the person proved themselves.
    pub(super) fn tells_auth_time(&self) -> bool {
        self.claims_supported.iter().any(|claim| claim == "auth_time")
    }

    /// Whether the provider takes our secret in the body only.
    pub(super) fn wants_secret_in_body(&self) -> bool {
        self.token_endpoint_auth_methods_supported.as_ref().is_some_and(|methods| {
            !methods.iter().any(|one| one == "client_secret_basic")
                && methods.iter().any(|one| one == "client_secret_post")
        })
    }
}

pub(crate) struct Remote {
    pub(super) client: Outbound,
    metadata: Mutex<Option<(Timestamp, Arc<Metadata>)>>,
    keys: Mutex<Option<(Timestamp, Arc<VerifyingKeys>)>>,
}

impl Remote {
    pub(super) fn new(client: Outbound) -> Self {
        Self { client, metadata: Mutex::new(None), keys: Mutex::new(None) }
    }

    /// The metadata of this issuer, which must call itself so.
    pub(super) async fn metadata(
        &self,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Arc<Metadata>, ProviderFault> {
        if let Some((at, known)) = &*self.metadata.lock()
            && now.since_ms(*at) < KEEP_MS
        {
            return Ok(Arc::clone(known));
        }
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata: Metadata = self.get(&url, None).await?;
        let secure = |url: &str| url.starts_with("https://") || issuer.starts_with("http://");
        let all_secure = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri]
            .into_iter()
            .all(|url| secure(url));
        if metadata.issuer != issuer || !all_secure {
            tracing::warn!(
                issuer,
                "a provider's metadata is of another issuer or names endpoints without TLS"
            );
            return Err(ProviderFault::NotAuthentic);
        }
        let metadata = Arc::new(metadata);
        *self.metadata.lock() = Some((now, Arc::clone(&metadata)));
        Ok(metadata)
    }

    /// The keys that sign ID tokens. `unknown` says that a token named a key which the remembered ones lack.
    pub(super) async fn keys(
        &self,
        metadata: &Metadata,
        unknown: bool,
        now: Timestamp,
    ) -> Result<Arc<VerifyingKeys>, ProviderFault> {
        let keep = if unknown { AGAIN_MS } else { KEEP_MS };
        if let Some((at, known)) = &*self.keys.lock()
            && now.since_ms(*at) < keep
        {
            return Ok(Arc::clone(known));
        }
        let jwks: Value = self.get(&metadata.jwks_uri, None).await?;
        let told = |fault| tracing::warn!(issuer = metadata.issuer, %fault, "a provider's key is left out");
        let keys = Arc::new(VerifyingKeys::from_jwks(&jwks, told).map_err(|error| {
            tracing::warn!(issuer = metadata.issuer, %error, "a provider's keys are not usable");
            ProviderFault::Unavailable
        })?);
        *self.keys.lock() = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }

    /// Reads a JSON document.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        bearer: Option<&str>,
    ) -> Result<T, ProviderFault> {
        let mut request = Request::get(url).header(http::header::ACCEPT, "application/json");
        if let Some(token) = bearer {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "a provider does not answer as it should");
            ProviderFault::Unavailable
        };
        let request = request.body(bytes::Bytes::new()).map_err(|error| failed(&error))?;
        let answer = self.client.send(request).await.map_err(|error| failed(&error))?;
        if !answer.status().is_success() {
            return Err(failed(&answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|error| failed(&error))
    }
}
