//! One's own account: profile and sessions.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use base::{Id, kind};
use http::StatusCode;

use crate::Console;
use crate::form::Submitted;
use crate::page::{Failure, Frame, go, render};
use crate::view::{device, filters};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    profile: Profile,
    sessions: Vec<SessionRow>,
    /// The browser may make a passkey by itself now.
    upgrade: bool,
}

struct Profile {
    id: String,
    username: String,
    email: String,
    verified: bool,
    full_name: String,
    role: &'static str,
    tier: &'static str,
    created_at: String,
}

struct SessionRow {
    id: String,
    name: String,
    agent: String,
    address: String,
    place: String,
    created_at: String,
    last_seen_at: String,
    current: bool,
}

/// GET /account
pub(crate) async fn overview(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let caller = visit.account()?;
    let profile = console.identity.profile(caller).await?;
    let sessions = console.identity.sessions(caller).await?;
    let page = AccountPage {
        frame: visit.frame(&console, "account"),
        profile: Profile {
            id: caller.account.to_string(),
            username: profile.username.to_string(),
            email: profile.email.as_str().to_owned(),
            verified: profile.verified_at.is_some(),
            full_name: profile.full_name.map(|name| name.as_str().to_owned()).unwrap_or_default(),
            role: profile.role.as_str(),
            tier: profile.tier.as_str(),
            created_at: profile.created_at.to_rfc3339(),
        },
        sessions: sessions
            .into_iter()
            .map(|session| SessionRow {
                id: session.id.to_string(),
                name: session.name.unwrap_or_default(),
                agent: session
                    .agent
                    .as_deref()
                    .map_or_else(|| visit.say("unknown-device").to_owned(), device),
                address: session.address.unwrap_or_default(),
                place: session.place.unwrap_or_default(),
                created_at: session.created_at.to_rfc3339(),
                last_seen_at: session.last_seen_at.to_rfc3339(),
                current: session.current,
            })
            .collect(),
        upgrade: console.identity.may_upgrade(caller).await?,
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// A session named in a path; an unreadable id is an unknown one.
fn session_id(text: &str) -> Result<Id<kind::Session>, Failure> {
    text.parse().map_err(|_| Failure::not_found())
}

/// POST /account/sessions/{id}/revoke
pub(crate) async fn revoke(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    console.identity.revoke_session(form.visit.account()?, session_id(&id)?, &form.visit.meta).await?;
    Ok(go("/account?done=session"))
}

/// POST /account/sessions/revoke-others
pub(crate) async fn revoke_others(
    State(console): State<Console>,
    form: Submitted,
) -> Result<Response, Failure> {
    console.identity.revoke_other_sessions(form.visit.account()?, &form.visit.meta).await?;
    Ok(go("/account?done=others"))
}

/// POST /account/sessions/{id}/name
pub(crate) async fn name(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let name = Some(form.text("name")).filter(|name| !name.is_empty());
    console.identity.name_session(form.visit.account()?, session_id(&id)?, name, &form.visit.meta).await?;
    Ok(go("/account?done=named"))
}
