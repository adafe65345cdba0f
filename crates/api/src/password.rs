//! Forgotten, reset and changed passwords (AUTH-1, AUTH-2).

use axum::Json;
use axum::extract::State;
use base::{Email, Secret};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Api;
use crate::accounts_own::{Accepted, accepted};
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// Whose password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgot {
    #[schema(value_type = String, format = Email, max_length = 255)]
    email: Email,
}

/// Ask for a reset link.
///
/// The answer is the same whether or not there is such an account.
#[utoipa::path(post, path = "/auth/password/forgot", operation_id = "forgotPassword", tag = "password",
    request_body = Forgot, responses((status = 202, description = "A message is on its way.", body = Accepted)))]
pub(crate) async fn forgot(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Forgot>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    api.identity.forgot_password(&body.email, call.meta()).await?;
    Ok(accepted("If there is an account with this address, a message with a link is on its way."))
}

/// A reset link's code, and what is to be the password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    /// What stands behind `code=` in the link. `token` is read as the same field.
    #[serde(alias = "token")]
    #[schema(max_length = 256)]
    code: String,
    /// At least 15 characters, at most 128; common and breached ones are refused. `new_password` is read as the same
    /// field.
    #[serde(alias = "new_password")]
    #[schema(value_type = String, format = Password, min_length = 15, max_length = 128)]
    password: Secret<String>,
}

/// Set a new password by a reset link; ends all sessions.
#[utoipa::path(post, path = "/auth/password/reset", operation_id = "resetPassword", tag = "password",
    request_body = Reset, responses((status = 204, description = "The new password holds.")))]
pub(crate) async fn reset(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Reset>,
) -> Result<StatusCode, Failure> {
    api.identity.reset_password(&body.code, body.password, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The password now, and what is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[schema(value_type = String, format = Password, max_length = 128)]
    current_password: Secret<String>,
    /// At least 15 characters, at most 128; common and breached ones are refused.
    #[schema(value_type = String, format = Password, min_length = 15, max_length = 128)]
    new_password: Secret<String>,
}

/// Set a new password; ends all other sessions.
#[utoipa::path(post, path = "/auth/password/change", operation_id = "changePassword", tag = "password",
    request_body = Change, responses((status = 204, description = "The new password holds.")))]
pub(crate) async fn change(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Change>,
) -> Result<StatusCode, Failure> {
    let Change { current_password, new_password } = body;
    let caller = call.account()?;
    api.identity
        .change_password(caller, current_password, new_password, call.meta())
        .await
        .map_err(|error| Failure::from(error).renamed("/password", "/new_password"))?;
    Ok(StatusCode::NO_CONTENT)
}
