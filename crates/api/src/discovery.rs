//! What verifiers of our tokens need to know: key set (RFC 7517) and metadata (RFC 8414, OpenID Connect Discovery).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;

/// Shorter than the time for which a new key is published before it signs.
const CACHED: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=300");

/// A JSON Web Key Set.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the key hierarchy writes")]
pub(crate) struct KeySet {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Value>,
}

/// The public keys that verify access tokens.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "jwks", tag = "discovery",
    responses((status = 200, description = "The keys.", body = KeySet, content_type = "application/jwk-set+json")))]
pub(crate) async fn jwks(State(api): State<Api>) -> ([(HeaderName, &'static str); 2], Bytes) {
    let keys = Bytes::from(api.keys.jwks().as_ref().clone());
    ([(CONTENT_TYPE, "application/jwk-set+json"), CACHED], keys)
}

/// Metadata of the issuer. There is no authorization endpoint yet, hence no response types and no grant types.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metadata {
    issuer: String,
    jwks_uri: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: Vec<String>,
    claims_supported: [&'static str; 8],
}

impl Metadata {
    fn of(api: &Api) -> Self {
        let settings = api.identity.settings();
        Self {
            issuer: settings.issuer.clone(),
            jwks_uri: format!("{}/.well-known/jwks.json", settings.public_url.trim_end_matches('/')),
            response_types_supported: [],
            grant_types_supported: [],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: algorithms(&api.keys.jwks()),
            claims_supported: ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "scope"],
        }
    }
}

/// The algorithms of the published keys: during a change of algorithm there are two.
fn algorithms(jwks: &[u8]) -> Vec<String> {
    let set: Value = serde_json::from_slice(jwks).unwrap_or_default();
    let keys = set.get("keys").and_then(Value::as_array);
    let mut found: Vec<String> =
        keys.into_iter().flatten().filter_map(|key| key.get("alg")?.as_str().map(str::to_owned)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Metadata of the issuer, where OpenID Connect clients look.
#[utoipa::path(get, path = "/.well-known/openid-configuration", operation_id = "openidConfiguration", tag = "discovery",
    responses((status = 200, description = "The metadata.", body = Metadata)))]
pub(crate) async fn openid(State(api): State<Api>) -> ([(HeaderName, &'static str); 1], Json<Metadata>) {
    ([CACHED], Json(Metadata::of(&api)))
}

/// Metadata of the issuer, where OAuth 2 clients look (RFC 8414 §3).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "oauthAuthorizationServer",
    tag = "discovery", responses((status = 200, description = "The metadata.", body = Metadata)))]
pub(crate) async fn oauth(State(api): State<Api>) -> ([(HeaderName, &'static str); 1], Json<Metadata>) {
    ([CACHED], Json(Metadata::of(&api)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_those_of_the_published_keys() {
        let jwks = br#"{"keys":[{"alg":"RS256"},{"alg":"ES256"},{"kty":"EC"},{"alg":"ES256"}]}"#;
        assert_eq!(algorithms(jwks), ["ES256", "RS256"]);
        assert!(algorithms(b"").is_empty());
    }
}
