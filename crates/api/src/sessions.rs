//! The caller's own sessions (AUTH-6).

use axum::Json;
use axum::extract::State;
use base::kind;
use http::StatusCode;
use identity::SessionView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::{Call, PathId};
use crate::failure::Failure;
use crate::strict;

/// One live session.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    #[schema(format = Uuid)]
    id: String,
    /// `browser` or `token`.
    kind: &'static str,
    /// What the person calls it.
    name: Option<String>,
    /// The session that asks.
    current: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// Exact to a minute.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// The absolute end.
    #[schema(format = DateTime)]
    expires_at: String,
    /// User agent at sign-in.
    user_agent: Option<String>,
    /// Network address at sign-in.
    address: Option<String>,
    /// Country at sign-in (ISO 3166-1 alpha-2), if known.
    country: Option<String>,
    /// Assurance level: 1 after one factor, 2 after two.
    aal: u8,
}

impl From<SessionView> for Session {
    fn from(view: SessionView) -> Self {
        Self {
            id: view.id.to_string(),
            kind: view.kind.as_str(),
            name: view.name,
            current: view.current,
            created_at: view.created_at.to_rfc3339(),
            last_seen_at: view.last_seen_at.to_rfc3339(),
            expires_at: view.expires_at.to_rfc3339(),
            user_agent: view.agent,
            address: view.address,
            country: view.place,
            aal: view.aal.level(),
        }
    }
}

/// All live sessions, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sessions {
    sessions: Vec<Session>,
}

/// List the caller's sessions.
#[utoipa::path(get, path = "/auth/sessions", operation_id = "listSessions", tag = "session",
    responses((status = 200, description = "The sessions.", body = Sessions)))]
pub(crate) async fn list(State(api): State<Api>, call: Call) -> Result<Json<Sessions>, Failure> {
    let sessions = api.identity.sessions(call.account()?).await?;
    Ok(Json(Sessions { sessions: sessions.into_iter().map(Session::from).collect() }))
}

/// What the session shall be called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameSession {
    /// At most 100 characters; `null` takes the name away.
    // With a function of its own, an absent field is an error instead of a null.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, max_length = 100)]
    name: Option<String>,
}

/// Name one of the caller's sessions.
#[utoipa::path(patch, path = "/auth/sessions/{id}", operation_id = "nameSession", tag = "session",
    params(("id" = String, Path, format = Uuid, description = "The session.")), request_body = NameSession,
    responses((status = 204, description = "Named."), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn name(
    State(api): State<Api>,
    call: Call,
    PathId(session): PathId<kind::Session>,
    strict::Json(body): strict::Json<NameSession>,
) -> Result<StatusCode, Failure> {
    api.identity.name_session(call.account()?, session, body.name.as_deref(), call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End one of the caller's sessions, at once.
#[utoipa::path(delete, path = "/auth/sessions/{id}", operation_id = "revokeSession", tag = "session",
    params(("id" = String, Path, format = Uuid, description = "The session.")),
    responses((status = 204, description = "Ended."), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn revoke(
    State(api): State<Api>,
    call: Call,
    PathId(session): PathId<kind::Session>,
) -> Result<StatusCode, Failure> {
    api.identity.revoke_session(call.account()?, session, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Revoked {
    revoked: u64,
}

/// End all of the caller's sessions but the one that asks.
#[utoipa::path(delete, path = "/auth/sessions", operation_id = "revokeOtherSessions", tag = "session",
    responses((status = 200, description = "The others have ended.", body = Revoked)))]
pub(crate) async fn revoke_others(State(api): State<Api>, call: Call) -> Result<Json<Revoked>, Failure> {
    let revoked = api.identity.revoke_other_sessions(call.account()?, call.meta()).await?;
    Ok(Json(Revoked { revoked }))
}
