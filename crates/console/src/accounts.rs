//! Accounts, for operators.

use access::actions::{SystemLogs, UserAdmin, UserRead};
use access::{Permit, Role, Tier, TypedAction};
use askama::Template;
use audit::Filter;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Id, Problem, kind};
use http::StatusCode;
use identity::AccountQuery;
use serde::Deserialize;

use crate::Console;
use crate::events::searcher;
use crate::form::Submitted;
use crate::page::{Failure, Frame, go, render};
use crate::view::{AccountRow, EventRow, filters};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    accounts: Vec<AccountRow>,
    older: String,
}

#[derive(Template)]
#[template(path = "account_detail.html")]
struct AccountDetailPage {
    frame: Frame,
    account: AccountRow,
    email: String,
    roles: Vec<&'static str>,
    tiers: Vec<&'static str>,
    may_administer: bool,
    may_write: bool,
    may_read_trail: bool,
    events: Vec<EventRow>,
}

/// Where the list continues.
#[derive(Deserialize, Default)]
pub(crate) struct After {
    #[serde(default)]
    after: String,
}

fn permit<A: TypedAction>(console: &Console, visit: &Visit) -> Result<Permit<A>, Failure> {
    Ok(console.access.permit::<A>(&visit.caller.subject())?)
}

fn account_id(text: &str) -> Result<Id<kind::Account>, Failure> {
    text.parse().map_err(|_| Failure::not_found())
}

/// GET /console/accounts
pub(crate) async fn list(
    State(console): State<Console>,
    Query(query): Query<After>,
    visit: Visit,
) -> Result<Response, Failure> {
    let query = AccountQuery { after: query.after.parse().ok(), ..AccountQuery::default() };
    let found = console.identity.accounts(permit::<UserRead>(&console, &visit)?, &query, &visit.meta).await?;
    let page = AccountsPage {
        frame: visit.frame(&console, "accounts"),
        accounts: found.accounts.iter().map(AccountRow::from).collect(),
        older: found.next.map(|id| format!("/console/accounts?after={id}")).unwrap_or_default(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// GET /console/accounts/{id}
pub(crate) async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, Failure> {
    let id = account_id(&id)?;
    let found = console.identity.account(permit::<UserRead>(&console, &visit)?, id, &visit.meta).await?;
    // Seeing a person is one right, seeing what they did and from where is another.
    let events = match permit::<SystemLogs>(&console, &visit) {
        Err(_) => None,
        Ok(_) => {
            let filter = Filter { account: Some(id), ..Filter::default() };
            let found = console.audit.search(&searcher(&visit), &filter, None, 20).await?;
            Some(found.entries.iter().map(EventRow::of).collect())
        }
    };
    let administers = permit::<UserAdmin>(&console, &visit).is_ok();
    let page = AccountDetailPage {
        frame: visit.frame(&console, "accounts"),
        account: AccountRow::from(&found),
        email: found.email.as_str().to_owned(),
        roles: Role::ALL.iter().map(|role| role.as_str()).collect(),
        tiers: Tier::ALL.iter().map(|tier| tier.as_str()).collect(),
        may_administer: administers,
        may_write: administers,
        may_read_trail: events.is_some(),
        events: events.unwrap_or_default(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /console/accounts/{id}/disable
pub(crate) async fn disable(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let permit = permit::<UserAdmin>(&console, &form.visit)?;
    console.identity.disable_account(permit, account_id(&id)?, &form.visit.meta).await?;
    Ok(back(&id))
}

/// POST /console/accounts/{id}/enable
pub(crate) async fn enable(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let permit = permit::<UserAdmin>(&console, &form.visit)?;
    console.identity.enable_account(permit, account_id(&id)?, &form.visit.meta).await?;
    Ok(back(&id))
}

/// POST /console/accounts/{id}/lift
pub(crate) async fn lift(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let permit = permit::<UserAdmin>(&console, &form.visit)?;
    console.identity.lift_stops(permit, account_id(&id)?, &form.visit.meta).await?;
    Ok(back(&id))
}

/// POST /console/accounts/{id}/role
pub(crate) async fn role(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let role: Role = form.text("role").parse().map_err(|error| wrong("/role", &error))?;
    let permit = permit::<UserAdmin>(&console, &form.visit)?;
    console.identity.set_role(permit, account_id(&id)?, role, &form.visit.meta).await?;
    Ok(back(&id))
}

/// POST /console/accounts/{id}/tier
pub(crate) async fn tier(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let tier: Tier = form.text("tier").parse().map_err(|error| wrong("/tier", &error))?;
    let permit = permit::<UserAdmin>(&console, &form.visit)?;
    console.identity.set_tier(permit, account_id(&id)?, tier, &form.visit.meta).await?;
    Ok(back(&id))
}

fn wrong(pointer: &str, error: &access::UnknownWord) -> Failure {
    Problem::invalid(pointer, error.to_string()).into()
}

fn back(id: &str) -> Response {
    // The id has been parsed, so it is safe in a header.
    go(&format!("/console/accounts/{id}?done=account"))
}
