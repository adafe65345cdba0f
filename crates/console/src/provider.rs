//! Signing in with others: there, back, and the list of linked accounts.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use identity::{Caller, Error, ProviderAnswer, ProviderOutcome, ProviderPurpose, SignIn};
use serde::Deserialize;

use crate::Console;
use crate::form::Submitted;
use crate::page::{Failure, Frame, MessagePage, go, render, render_again};
use crate::sign_in::{entered, halfway, safe, with_cookie};
use crate::view::filters;
use crate::visit::{Visit, cookie};

/// Ties the way back to the browser that began it. Lax, because it comes back from another site.
const FLOW_COOKIE: &str = "__Host-fortissimo-provider";

/// Where factors are given again before links change.
const CONFIRM: &str = "/account/confirm?next=/account/providers";

#[derive(Template)]
#[template(path = "providers.html")]
struct ProvidersPage {
    frame: Frame,
    links: Vec<LinkRow>,
    choices: Vec<Choice>,
}

struct LinkRow {
    id: String,
    provider: String,
    label: String,
    created_at: String,
    last_used_at: String,
}

/// A provider to choose.
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// The providers of this deployment.
pub(crate) fn choices(console: &Console) -> Vec<Choice> {
    let choice = |(id, name): (&str, &str)| Choice { id: id.to_owned(), name: name.to_owned() };
    console.identity.providers().map(choice).collect()
}

/// What the link to the start says.
#[derive(Deserialize, Default)]
pub(crate) struct Start {
    #[serde(default)]
    next: String,
    /// The form token of the page of linked accounts: another site must not begin a linking.
    #[serde(default)]
    link: String,
    /// The form token of the page that asks for factors again.
    #[serde(default)]
    again: String,
}

/// GET /auth/oauth/{provider}/start
pub(crate) async fn start(
    State(console): State<Console>,
    Path(provider): Path<String>,
    Query(query): Query<Start>,
    visit: Visit,
) -> Result<Response, Failure> {
    let purpose = match (&visit.caller, query.link.as_str(), query.again.as_str()) {
        (_, "", "") => ProviderPurpose::SignIn,
        (Caller::Account(account), token, "") if visit.owns(&console, token) => {
            ProviderPurpose::Link(account)
        }
        (Caller::Account(account), "", token) if visit.owns(&console, token) => {
            ProviderPurpose::Again(account)
        }
        _ => return Err(Failure::foreign_form()),
    };
    let next = safe(&query.next).unwrap_or("/account");
    let begun = match console.identity.provider_start(&provider, purpose, next).await {
        Ok(begun) => begun,
        Err(Error::ReauthenticationRequired { .. }) => return Ok(go(CONFIRM)),
        Err(error) => return Ok(refused(&console, &visit, &error)),
    };
    let cookie = format!(
        "{FLOW_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={}",
        begun.browser.expose(),
        begun.expires_in_s
    );
    Ok(with_cookie(go(&begun.url), &cookie))
}

/// What the provider puts into the address.
#[derive(Deserialize)]
pub(crate) struct Back {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// GET /auth/oauth/{provider}/callback
pub(crate) async fn callback(
    State(console): State<Console>,
    Path(provider): Path<String>,
    Query(back): Query<Back>,
    visit: Visit,
    parts: Parts,
) -> Result<Response, Failure> {
    let answer = ProviderAnswer { state: back.state, code: back.code, iss: back.iss, error: back.error };
    let browser = cookie(&parts, FLOW_COOKIE);
    let caller = visit.caller.account();
    let outcome =
        console.identity.provider_finish(&provider, answer, browser.as_deref(), caller, &visit.meta).await;
    let response = match outcome {
        Ok(ProviderOutcome::SignIn { sign_in: SignIn::Done(session), next }) => {
            entered(&console, &next, &session)
        }
        Ok(ProviderOutcome::SignIn { sign_in: SignIn::SecondFactor(partial), next }) => {
            halfway(&visit, visit.frame(&console, "sign-in"), &next, &partial)
        }
        Ok(ProviderOutcome::Linked) => go("/account/providers?done=linked"),
        Ok(ProviderOutcome::Again { next }) => back_to(&console, &visit, &next).await?,
        Err(error) => refused(&console, &visit, &error),
    };
    let gone = format!("{FLOW_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    Ok(with_cookie(response, &gone))
}

/// Where the person was going when they were asked again; or first to the second factor, if that is asked for too.
async fn back_to(console: &Console, visit: &Visit, next: &str) -> Result<Response, Failure> {
    let next = safe(next).unwrap_or("/account/security");
    match console.identity.must_be_fresh(visit.account()?).await {
        Ok(()) => Ok(go(next)),
        Err(Error::ReauthenticationRequired { .. }) => {
            let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
            Ok(go(&format!("/account/confirm?next={next}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why it came to nothing, and where to go from here.
fn refused(console: &Console, visit: &Visit, error: &Error) -> Response {
    let Error::Provider(fault) = error else { return Failure::from(error.problem()).into_response() };
    let mut reason = fault.to_string();
    if let Some(first) = reason.get(..1).map(str::to_uppercase) {
        reason.replace_range(..1, &first);
    }
    reason.push('.');
    let signed_in = visit.caller.account().is_some();
    let page = MessagePage {
        frame: visit.frame(console, "sign-in"),
        heading: "did-not-work",
        paragraphs: &[&reason],
        link: if signed_in { "/account/providers" } else { "/account/sign-in" },
        link_text: if signed_in { "to-linked-accounts" } else { "to-sign-in" },
    };
    render_again(visit, Some(&error.problem()), &page)
}

/// GET /account/providers
pub(crate) async fn list(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let links = console.identity.provider_links(visit.account()?).await?;
    let choices = choices(&console);
    let shown = |id: &str| choices.iter().find(|one| one.id == id).map_or(id, |one| &one.name).to_owned();
    let links = links
        .into_iter()
        .map(|link| LinkRow {
            id: link.id.to_string(),
            provider: shown(&link.provider),
            label: link.label.unwrap_or_default(),
            created_at: link.created_at.to_rfc3339(),
            last_used_at: link.last_used_at.to_rfc3339(),
        })
        .collect();
    let page = ProvidersPage { frame: visit.frame(&console, "account"), links, choices };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /account/providers/{id}/unlink
pub(crate) async fn unlink(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let id = id.parse().map_err(|_| Failure::not_found())?;
    match console.identity.unlink_provider(form.visit.account()?, id, &form.visit.meta).await {
        Ok(()) => Ok(go("/account/providers?done=unlinked")),
        Err(Error::ReauthenticationRequired { .. }) => Ok(go(CONFIRM)),
        Err(error) => Err(error.into()),
    }
}
