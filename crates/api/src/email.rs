//! Another address for one's account.

use axum::Json;
use axum::extract::State;
use base::Email;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Api;
use crate::accounts_own::{Accepted, accepted};
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// The new address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeEmail {
    #[schema(value_type = String, format = Email, max_length = 255)]
    email: Email,
}

/// Ask for another address.
///
/// A link goes to the new address and a notice to the old one; nothing changes before the link is followed. Demands that
/// all factors were given within ten minutes.
#[utoipa::path(post, path = "/auth/email/change", operation_id = "changeEmail", tag = "account",
    request_body = ChangeEmail, responses(
        (status = 202, description = "A message is on its way.", body = Accepted),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn change(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<ChangeEmail>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    api.identity.change_email(call.account()?, &body.email, call.meta()).await?;
    Ok(accepted("If the address can be used, a message with a link is on its way to it."))
}

/// The code of a link from a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmEmail {
    /// What stands behind `code=` in the link.
    #[schema(max_length = 256)]
    code: String,
}

/// Follow the link at the new address.
#[utoipa::path(post, path = "/auth/email/confirm", operation_id = "confirmEmail", tag = "account",
    request_body = ConfirmEmail, responses((status = 204, description = "The address is the account's.")))]
pub(crate) async fn confirm(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<ConfirmEmail>,
) -> Result<StatusCode, Failure> {
    api.identity.confirm_email(&body.code, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}
