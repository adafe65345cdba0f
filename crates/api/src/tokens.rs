//! Signing in for clients that keep tokens: sign in, refresh, sign out (AUTH-4, AUTH-5).

use axum::Json;
use axum::extract::State;
use base::Secret;
use http::StatusCode;
use identity::{Credentials, TokenPair};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// Who, and the proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// Username or e-mail address. `username` and `email` are read as the same field.
    #[serde(alias = "username", alias = "email")]
    #[schema(max_length = 255)]
    identifier: String,
    #[schema(value_type = String, format = Password, max_length = 128)]
    password: Secret<String>,
    /// What the person calls this device; shown in the list of sessions.
    #[serde(default)]
    #[schema(max_length = 100)]
    session_name: Option<String>,
    /// For whom the access tokens are; the gateway itself unless said otherwise.
    #[serde(default)]
    #[schema(max_length = 255)]
    audience: Option<String>,
}

/// Tokens, named as in OAuth 2 (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// JWT (RFC 9068) for `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u32,
    /// Opaque. Each use gives the next one and ends this one.
    refresh_token: String,
    /// Seconds until the refresh token ends, if it is not used.
    refresh_expires_in: u32,
    /// The session that both belong to.
    #[schema(format = Uuid)]
    session_id: String,
}

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token.expose().clone(),
            token_type: "Bearer",
            expires_in: pair.expires_in_s,
            refresh_token: pair.refresh_token.expose().clone(),
            refresh_expires_in: pair.refresh_expires_in_s,
            session_id: pair.session.to_string(),
        }
    }
}

/// Sign in with name and password.
///
/// A wrong password and an unknown name are answered alike, in words and in time.
#[utoipa::path(post, path = "/auth/login", operation_id = "login", tag = "session",
    request_body = Login, responses((status = 200, description = "Signed in.", body = Tokens)))]
pub(crate) async fn login(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Login>,
) -> Result<Json<Tokens>, Failure> {
    let Login { identifier, password, session_name, audience } = body;
    let credentials = Credentials { name: identifier, password, session_name, audience };
    Ok(Json(api.identity.sign_in(credentials, call.meta()).await?.into()))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    #[schema(value_type = String, max_length = 256)]
    refresh_token: Secret<String>,
}

/// The next pair of tokens.
///
/// The same token gives the same successor for ten seconds; later it ends the session, because somebody has a copy.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "refresh", tag = "session",
    request_body = Refresh, responses((status = 200, description = "The next pair.", body = Tokens)))]
pub(crate) async fn refresh(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Refresh>,
) -> Result<Json<Tokens>, Failure> {
    Ok(Json(api.identity.refresh(body.refresh_token.expose(), call.meta()).await?.into()))
}

/// Sign out: ends the session at once, here and at the gateway.
#[utoipa::path(post, path = "/auth/logout", operation_id = "logout", tag = "session",
    responses((status = 204, description = "The session has ended.")))]
pub(crate) async fn logout(State(api): State<Api>, call: Call) -> Result<StatusCode, Failure> {
    api.identity.sign_out(call.account()?, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}
