//! Keys for programs (AUTH-11).

use axum::Json;
use axum::extract::State;
use base::{Timestamp, kind};
use http::StatusCode;
use identity::{ApiKeyView, MadeApiKey, NewApiKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::{Call, PathId};
use crate::failure::Failure;
use crate::strict;

/// What is known of a key; never the key itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKey {
    #[schema(format = Uuid)]
    id: String,
    /// How the key begins.
    hint: String,
    name: String,
    /// Actions that it may be used for, as far as its owner may.
    scopes: Vec<String>,
    /// Networks from which it counts; empty is every network.
    networks: Vec<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Exact to a minute.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// The key that took over.
    #[schema(format = Uuid)]
    successor_id: Option<String>,
}

impl From<ApiKeyView> for ApiKey {
    fn from(view: ApiKeyView) -> Self {
        Self {
            id: view.id.to_string(),
            hint: view.hint,
            name: view.name,
            scopes: view.scopes,
            networks: view.networks,
            created_at: view.created_at.to_rfc3339(),
            expires_at: view.expires_at.map(Timestamp::to_rfc3339),
            last_used_at: view.last_used_at.map(Timestamp::to_rfc3339),
            successor_id: view.successor.map(|id| id.to_string()),
        }
    }
}

/// The caller's keys, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeys {
    api_keys: Vec<ApiKey>,
}

/// List the caller's keys.
#[utoipa::path(get, path = "/auth/api-keys", operation_id = "listApiKeys", tag = "api-key",
    responses((status = 200, description = "The keys that count.", body = ApiKeys)))]
pub(crate) async fn list(State(api): State<Api>, call: Call) -> Result<Json<ApiKeys>, Failure> {
    let keys = api.identity.api_keys(call.account()?).await?;
    Ok(Json(ApiKeys { api_keys: keys.into_iter().map(ApiKey::from).collect() }))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What the person calls it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Actions such as `track:read`.
    #[schema(min_items = 1, max_items = 100)]
    scopes: Vec<String>,
    /// Networks (CIDR) or addresses from which it counts; none is every network.
    #[serde(default)]
    #[schema(max_items = 50)]
    networks: Vec<String>,
    /// When it ends; absent or `null` is never.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A key, shown here and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownApiKey {
    /// For `Authorization: Bearer`. `ftm_`, 43 characters, and six of a checksum.
    key: String,
    #[serde(flatten)]
    about: ApiKey,
}

impl From<MadeApiKey> for ShownApiKey {
    fn from(made: MadeApiKey) -> Self {
        Self { key: made.key.expose().clone(), about: made.view.into() }
    }
}

/// Make a key. Demands that all factors were given within ten minutes.
#[utoipa::path(post, path = "/auth/api-keys", operation_id = "createApiKey", tag = "api-key",
    request_body = CreateApiKey, responses((status = 201, description = "The key.", body = ShownApiKey),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn create(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<CreateApiKey>,
) -> Result<(StatusCode, Json<ShownApiKey>), Failure> {
    let CreateApiKey { name, scopes, networks, expires_at } = body;
    let expires_at =
        match expires_at {
            None => None,
            Some(text) => Some(Timestamp::parse_rfc3339(&text).ok_or_else(|| {
                Failure::invalid("/expires_at", "must be a time such as 2026-01-02T03:04:05Z")
            })?),
        };
    let wish = NewApiKey { name, scopes, networks, expires_at };
    let made = api.identity.create_api_key(call.account()?, &wish, call.meta()).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// End a key, at once.
#[utoipa::path(delete, path = "/auth/api-keys/{id}", operation_id = "revokeApiKey", tag = "api-key",
    params(("id" = String, Path, format = Uuid, description = "The key.")),
    responses((status = 204, description = "Ended."), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn revoke(
    State(api): State<Api>,
    call: Call,
    PathId(key): PathId<kind::ApiKey>,
) -> Result<StatusCode, Failure> {
    api.identity.revoke_api_key(call.account()?, key, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a key's successor with the same rights; the old one counts for a day longer.
#[utoipa::path(post, path = "/auth/api-keys/{id}/rotate", operation_id = "rotateApiKey", tag = "api-key",
    params(("id" = String, Path, format = Uuid, description = "The key.")),
    responses((status = 201, description = "The successor.", body = ShownApiKey),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn rotate(
    State(api): State<Api>,
    call: Call,
    PathId(key): PathId<kind::ApiKey>,
) -> Result<(StatusCode, Json<ShownApiKey>), Failure> {
    let made = api.identity.rotate_api_key(call.account()?, key, call.meta()).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
