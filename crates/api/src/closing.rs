//! Closing one's own account, and taking that back.

use axum::Json;
use axum::extract::State;
use base::Username;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// The account that shall be closed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    /// The account's own name, so that nothing is closed by a slip.
    #[schema(value_type = String, min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_-]+$")]
    username: Username,
}

/// An account that is closed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Closed {
    /// What happens now, for people.
    message: &'static str,
    /// When everything about the person is erased, if nobody takes it back.
    #[schema(format = DateTime)]
    erased_at: String,
}

/// Close one's own account.
///
/// All its sessions end at once, and nobody can sign in. Some days later (`accounts.erase_after`) everything that is kept
/// of the person is erased for good; until then the link of a mail takes it back. Demands that all factors were given
/// within ten minutes.
#[utoipa::path(post, path = "/auth/account/close", operation_id = "closeAccount", tag = "account",
    request_body = Close, responses(
        (status = 202, description = "The account is closed.", body = Closed),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn close(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Close>,
) -> Result<(StatusCode, Json<Closed>), Failure> {
    let erased_at = api.identity.close_account(call.account()?, &body.username, call.meta()).await?;
    let message = "The account is closed. A mail says until when it can be opened again.";
    Ok((StatusCode::ACCEPTED, Json(Closed { message, erased_at: erased_at.to_rfc3339() })))
}

/// The code of the link in the mail about a closed account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reopen {
    /// What stands behind `code=` in the link.
    #[schema(max_length = 256)]
    code: String,
}

/// Open a closed account again, before it is erased.
#[utoipa::path(post, path = "/auth/account/reopen", operation_id = "reopenAccount", tag = "account",
    request_body = Reopen, responses((status = 204, description = "Its owner may sign in again.")))]
pub(crate) async fn reopen(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Reopen>,
) -> Result<StatusCode, Failure> {
    api.identity.reopen_account(&body.code, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}
