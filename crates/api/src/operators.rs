//! Accounts, for operators.

use access::actions::{UserAdmin, UserRead};
use access::{Role, Tier};
use axum::Json;
use axum::extract::State;
use base::{Id, kind};
use http::StatusCode;
use identity::{AccountLine, AccountQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::accounts_own::Account;
use crate::call::{Call, PathId, Query};
use crate::failure::Failure;
use crate::strict;
use crate::words::{RoleWord, StatusWord, TierWord};

/// Which accounts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountsQuery {
    /// `next` of the page before.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>, format = Uuid)]
    after: Option<Id<kind::Account>>,
    /// Accounts per page.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only these.
    #[serde(default)]
    status: Option<StatusWord>,
    /// Only names that start so.
    #[serde(default)]
    #[param(max_length = 50)]
    username_prefix: Option<String>,
}

/// One line of the list; personal data stands only in the single account.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountSummary {
    #[schema(format = Uuid)]
    id: String,
    username: String,
    #[schema(value_type = RoleWord)]
    role: Role,
    #[schema(value_type = TierWord)]
    tier: Tier,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<AccountLine> for AccountSummary {
    fn from(line: AccountLine) -> Self {
        Self {
            id: line.id.to_string(),
            username: line.username.to_string(),
            role: line.role,
            tier: line.tier,
            status: line.status.as_str(),
            created_at: line.created_at.to_rfc3339(),
        }
    }
}

/// A page of accounts, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accounts {
    accounts: Vec<AccountSummary>,
    /// `after` for the next page; `null` if this was the last.
    #[schema(format = Uuid)]
    next: Option<String>,
}

/// List accounts.
#[utoipa::path(get, path = "/v1/accounts", operation_id = "listAccounts", tag = "operator",
    params(AccountsQuery), responses((status = 200, description = "A page.", body = Accounts)))]
pub(crate) async fn list(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<Accounts>, Failure> {
    let permit = call.permit::<UserRead>(&api)?;
    let query = AccountQuery {
        after: query.after,
        limit: query.limit.unwrap_or(0),
        status: query.status.map(Into::into),
        username_prefix: query.username_prefix,
    };
    let page = api.identity.accounts(permit, &query, call.meta()).await?;
    Ok(Json(Accounts {
        accounts: page.accounts.into_iter().map(AccountSummary::from).collect(),
        next: page.next.map(|id| id.to_string()),
    }))
}

/// One account with its personal data. The look is recorded.
#[utoipa::path(get, path = "/v1/accounts/{id}", operation_id = "getAccount", tag = "operator",
    params(("id" = String, Path, format = Uuid, description = "The account.")),
    responses((status = 200, description = "The account.", body = Account), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    call: Call,
    PathId(account): PathId<kind::Account>,
) -> Result<Json<Account>, Failure> {
    let permit = call.permit::<UserRead>(&api)?;
    Ok(Json(api.identity.account(permit, account, call.meta()).await?.into()))
}

/// One change to an account. Exactly one field, because each change is a transaction of its own: a request either
/// happens or does not.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeAccount {
    /// `disabled` ends all sessions at once; `active` lets the person sign in again.
    #[serde(default)]
    status: Option<StatusWord>,
    #[serde(default)]
    #[schema(value_type = Option<RoleWord>)]
    role: Option<Role>,
    #[serde(default)]
    #[schema(value_type = Option<TierWord>)]
    tier: Option<Tier>,
    /// Only `true`: the person must set a new password before the next sign-in.
    #[serde(default)]
    password_compromised: Option<bool>,
}

/// Change an account: its state, its role, its tier, or the mark on its password.
#[utoipa::path(patch, path = "/v1/accounts/{id}", operation_id = "changeAccount", tag = "operator",
    params(("id" = String, Path, format = Uuid, description = "The account.")), request_body = ChangeAccount,
    responses((status = 204, description = "Changed, at once."), (status = 404, response = crate::document::Problem),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn change(
    State(api): State<Api>,
    call: Call,
    PathId(account): PathId<kind::Account>,
    strict::Json(body): strict::Json<ChangeAccount>,
) -> Result<StatusCode, Failure> {
    let permit = call.permit::<UserAdmin>(&api)?;
    let (identity, meta) = (&api.identity, call.meta());
    let ChangeAccount { status, role, tier, password_compromised } = body;
    match (status, role, tier, password_compromised) {
        (Some(StatusWord::Disabled), None, None, None) => {
            identity.disable_account(permit, account, meta).await?
        }
        (Some(StatusWord::Active), None, None, None) => {
            identity.enable_account(permit, account, meta).await?
        }
        (None, Some(role), None, None) => identity.set_role(permit, account, role, meta).await?,
        (None, None, Some(tier), None) => identity.set_tier(permit, account, tier, meta).await?,
        (None, None, None, Some(true)) => identity.mark_compromised(permit, account, meta).await?,
        (Some(StatusWord::Pending), None, None, None) => {
            return Err(Failure::invalid("/status", "must be active or disabled"));
        }
        (None, None, None, Some(false)) => {
            return Err(Failure::invalid(
                "/password_compromised",
                "must be true; a new password takes the mark away",
            ));
        }
        _ => {
            return Err(Failure::invalid(
                "",
                "must have exactly one of status, role, tier, password_compromised",
            ));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
