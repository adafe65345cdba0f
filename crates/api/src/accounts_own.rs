//! Becoming somebody and seeing oneself: register, verify, profile (AUTH-1).

use axum::Json;
use axum::extract::State;
use base::{Email, FullName, Secret, Username};
use http::StatusCode;
use identity::{AccountView, Registration};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// A wish for an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    /// 3 to 50 of `a-z`, `0-9`, `_`, `-`; capitals are lowered.
    #[schema(value_type = String, min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_-]+$")]
    username: Username,
    /// At most 255 bytes; lowered. The verification link goes there.
    #[schema(value_type = String, format = Email, max_length = 255)]
    email: Email,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    full_name: Option<FullName>,
    /// At least 15 characters, at most 128; common and breached ones are refused.
    #[schema(value_type = String, format = Password, min_length = 15, max_length = 128)]
    password: Secret<String>,
}

/// The answer to what is decided by a message: the same for everybody.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// What happens now, for people.
    message: &'static str,
}

pub(crate) fn accepted(message: &'static str) -> (StatusCode, Json<Accepted>) {
    (StatusCode::ACCEPTED, Json(Accepted { message }))
}

/// Ask for an account.
///
/// The answer is the same whether or not the name or the address is known; a message to the address decides.
#[utoipa::path(post, path = "/auth/register", operation_id = "register", tag = "account",
    request_body = Register, responses((status = 202, description = "A message is on its way.", body = Accepted)))]
pub(crate) async fn register(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Register>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let Register { username, email, full_name, password } = body;
    api.identity.register(Registration { username, email, full_name, password }, call.meta()).await?;
    Ok(accepted("If the address can be used, a message with a link is on its way."))
}

/// The code of a link from a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyEmail {
    /// What stands behind `code=` in the link. `token` is read as the same field.
    #[serde(alias = "token")]
    #[schema(max_length = 256)]
    code: String,
    /// The password that was chosen at registration: the link proves who holds the mailbox, this who registered.
    #[schema(value_type = String, format = Password, max_length = 128)]
    password: Secret<String>,
}

/// An account that may sign in from now on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verified {
    #[schema(format = Uuid)]
    account_id: String,
    /// The name that the account got.
    username: String,
    /// Somebody took the wished name meanwhile, so `username` is a variant of it.
    renamed: bool,
}

/// Follow a verification link.
#[utoipa::path(post, path = "/auth/verify-email", operation_id = "verifyEmail", tag = "account",
    request_body = VerifyEmail, responses((status = 200, description = "The account is active.", body = Verified)))]
pub(crate) async fn verify_email(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<VerifyEmail>,
) -> Result<Json<Verified>, Failure> {
    let verified = api.identity.verify_email(&body.code, &body.password, call.meta()).await?;
    Ok(Json(Verified {
        account_id: verified.account.to_string(),
        username: verified.username.to_string(),
        renamed: verified.renamed,
    }))
}

/// The first operator's account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUp {
    /// The code of the set-up link.
    #[serde(alias = "token")]
    code: String,
    /// 3 to 50 of `a-z`, `0-9`, `_`, `-`; capitals are lowered.
    #[schema(value_type = String, min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_-]+$")]
    username: Username,
    /// Taken as verified.
    #[schema(value_type = String, format = Email, max_length = 255)]
    email: Email,
    /// At least 15 characters, not a common one.
    #[schema(value_type = String, format = Password, min_length = 15, max_length = 128)]
    password: Secret<String>,
}

/// The operator that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeOperator {
    #[schema(format = Uuid)]
    account_id: String,
}

/// Make the first operator's account by the link that the program printed.
#[utoipa::path(post, path = "/auth/setup", operation_id = "setUp", tag = "account",
    request_body = SetUp, responses((status = 201, description = "The operator may sign in.", body = MadeOperator)))]
pub(crate) async fn set_up(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<SetUp>,
) -> Result<(StatusCode, Json<MadeOperator>), Failure> {
    let SetUp { code, username, email, password } = body;
    let setup = identity::Setup { code, username, email, full_name: None, password };
    let account = api.identity.complete_setup(setup, call.meta()).await?;
    Ok((StatusCode::CREATED, Json(MadeOperator { account_id: account.to_string() })))
}

/// An account with its personal data, for its owner or an operator.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    #[schema(format = Uuid)]
    id: String,
    username: String,
    #[schema(format = Email)]
    email: String,
    full_name: Option<String>,
    #[schema(value_type = crate::words::RoleWord)]
    role: access::Role,
    #[schema(value_type = crate::words::TierWord)]
    tier: access::Tier,
    #[schema(value_type = crate::words::StatusWord)]
    status: &'static str,
    /// The password must be changed before the next sign-in.
    password_compromised: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    verified_at: Option<String>,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<AccountView> for Account {
    fn from(view: AccountView) -> Self {
        Self {
            id: view.id.to_string(),
            username: view.username.to_string(),
            email: view.email.as_str().to_owned(),
            full_name: view.full_name.map(|name| name.as_str().to_owned()),
            role: view.role,
            tier: view.tier,
            status: view.status.as_str(),
            password_compromised: view.compromised,
            created_at: view.created_at.to_rfc3339(),
            verified_at: view.verified_at.map(base::Timestamp::to_rfc3339),
            updated_at: view.updated_at.to_rfc3339(),
        }
    }
}

/// The caller's own account.
#[utoipa::path(get, path = "/auth/profile", operation_id = "profile", tag = "account",
    responses((status = 200, description = "The account.", body = Account)))]
pub(crate) async fn profile(State(api): State<Api>, call: Call) -> Result<Json<Account>, Failure> {
    Ok(Json(api.identity.profile(call.account()?).await?.into()))
}
