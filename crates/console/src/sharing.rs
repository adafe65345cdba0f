//! What is one's own, and what others offer: accepting, declining, and invitation links.

use std::collections::HashMap;

use access::{AccessError, Asker, Glass, ResourceRef};
use askama::Template;
use audit::{Outcome, Record};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Id, Problem, ProblemKind, Username, kind};
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, Notice, go, render, render_again};
use crate::view::filters;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "sharing.html")]
struct SharingPage {
    frame: Frame,
    offered: Vec<OfferedRow>,
    looks: Vec<Look>,
    things: Vec<Thing>,
    more: String,
}

struct OfferedRow {
    id: String,
    what: String,
    by: String,
    relation: &'static str,
    until: String,
}

struct Thing {
    kind: String,
    id: String,
    place: String,
    public: bool,
    shares: i64,
}

/// An administrator's open look at something private.
pub(crate) struct Look {
    pub(crate) by: String,
    pub(crate) what: String,
    pub(crate) until: String,
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage<'a> {
    frame: Frame,
    token: &'a str,
    errors: Errors,
}

/// Where a list continues.
#[derive(Deserialize, Default)]
pub(crate) struct After {
    #[serde(default)]
    pub(crate) after: String,
}

/// An invitation link.
#[derive(Deserialize, Default)]
pub(crate) struct Invited {
    #[serde(default)]
    token: String,
}

pub(crate) fn asker(visit: &Visit) -> Asker {
    Asker { subject: visit.caller.subject(), request: Some(visit.meta.info()) }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The page of an object.
pub(crate) fn place(resource: &ResourceRef) -> String {
    format!("/account/sharing/{}/{}", encoded(&resource.kind), encoded(&resource.id))
}

/// The word of a relation, as the files of words call it.
pub(crate) const fn relation_words(relation: access::Relation) -> &'static str {
    match relation {
        access::Relation::Owner => "relation-owner",
        access::Relation::Collaborator => "relation-collaborator",
        access::Relation::Shared => "relation-shared",
        access::Relation::Public => "relation-public",
        access::Relation::Token => "relation-token",
        access::Relation::BreakGlass => "relation-break-glass",
    }
}

/// A name for an account that may be gone.
pub(crate) fn called(
    frame: &Frame,
    names: &HashMap<Id<kind::Account>, Username>,
    id: Id<kind::Account>,
) -> String {
    names.get(&id).map_or_else(|| frame.t("account-gone").to_owned(), ToString::to_string)
}

/// Who looks at what is the visitor's.
pub(crate) async fn looks(
    console: &Console,
    visit: &Visit,
    frame: &Frame,
) -> Result<Vec<(ResourceRef, Look)>, Failure> {
    let found = console.relations.glasses_on_mine(&asker(visit)).await;
    let glasses: Vec<Glass> = settle(console, visit, found).await?;
    let people: Vec<_> = glasses.iter().map(|glass| glass.by).collect();
    let names = console.identity.usernames(&people).await?;
    let look = |glass: Glass| {
        let what = glass.resource.to_string();
        let look = Look { by: called(frame, &names, glass.by), what, until: glass.expires_at.to_rfc3339() };
        (glass.resource, look)
    };
    Ok(glasses.into_iter().map(look).collect())
}

/// GET /account/sharing
pub(crate) async fn list(
    State(console): State<Console>,
    Query(query): Query<After>,
    visit: Visit,
) -> Result<Response, Failure> {
    let frame = visit.frame(&console, "sharing");
    let asker = asker(&visit);
    let found = console.relations.owned(&asker, query.after.parse().ok()).await;
    let (owned, next) = settle(&console, &visit, found).await?;
    let found = console.relations.offered(&asker).await;
    let offered = settle(&console, &visit, found).await?;
    let people: Vec<_> = offered.iter().map(|offer| offer.by).collect();
    let names = console.identity.usernames(&people).await?;
    let looks = looks(&console, &visit, &frame).await?;
    let page = SharingPage {
        offered: offered
            .into_iter()
            .map(|offer| OfferedRow {
                id: offer.id.to_string(),
                what: offer.resource.to_string(),
                by: called(&frame, &names, offer.by),
                relation: relation_words(offer.relation),
                until: offer.until.map(|at| at.to_rfc3339()).unwrap_or_default(),
            })
            .collect(),
        looks: looks.into_iter().map(|(_, look)| look).collect(),
        things: owned
            .into_iter()
            .map(|one| Thing {
                place: place(&one.resource),
                kind: one.resource.kind,
                id: one.resource.id,
                public: one.public,
                shares: one.shares,
            })
            .collect(),
        more: next.map(|id| format!("/account/sharing?after={id}")).unwrap_or_default(),
        frame,
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

fn offer_id(text: &str) -> Result<Id<kind::Offer>, Failure> {
    text.parse().map_err(|_| Failure::not_found())
}

/// POST /account/offers/{id}/accept
pub(crate) async fn accept(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = console.relations.accept_offer(&asker(&form.visit), offer_id(&id)?).await;
    let (resource, _) = settle(&console, &form.visit, done).await?;
    Ok(go(&format!("{}?done=accepted", place(&resource))))
}

/// POST /account/offers/{id}/decline
pub(crate) async fn decline(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = console.relations.end_offer(&asker(&form.visit), offer_id(&id)?).await;
    settle(&console, &form.visit, done).await?;
    Ok(go("/account/sharing?done=declined"))
}

/// GET /account/join?token=…: nothing happens before the button, because others open links, too (mail filters do).
pub(crate) async fn join_form(
    State(console): State<Console>,
    Query(query): Query<Invited>,
    visit: Visit,
) -> Result<Response, Failure> {
    let frame = visit.frame(&console, "sharing");
    let page = JoinPage { frame, token: &query.token, errors: Errors::default() };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /account/join
pub(crate) async fn join(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let visit = &form.visit;
    let mut errors = Errors::default();
    match console.relations.redeem(&asker(visit), form.text("token")).await {
        Ok(redeemed) => Ok(go(&format!("{}?done=accepted", place(&redeemed.resource)))),
        Err(error) => {
            let (notice, problem) = told(&console, visit, error, &mut errors).await?;
            let mut frame = visit.frame(&console, "sharing");
            frame.notice = notice;
            let page = JoinPage { frame, token: form.text("token"), errors };
            Ok(render_again(visit, problem.as_ref(), &page))
        }
    }
}

/// What is wrong with a form, for beside its fields or above it; what is no matter of the form is no page either.
pub(crate) async fn told(
    console: &Console,
    visit: &Visit,
    error: AccessError,
    errors: &mut Errors,
) -> Result<(Option<Notice>, Option<Problem>), Failure> {
    match error {
        AccessError::Invalid { field, reason } => {
            errors.refuse(field, reason);
            Ok((None, None))
        }
        AccessError::Conflict(reason) => {
            Ok((Some(Notice::bad(reason)), Some(Problem::new(ProblemKind::Conflict).detail(reason))))
        }
        error => settle(console, visit, Err(error)).await,
    }
}

pub(crate) async fn record_denied(
    console: &Console,
    visit: &Visit,
    decision: &access::Decision,
) -> Result<(), Failure> {
    let mut record = Record::new(console.clock.now(), decision.denied_event()).ended(Outcome::Denied);
    record = record.by(visit.caller.actor()).during(visit.meta.info());
    record.about = visit.caller.account().map(|caller| caller.account);
    Ok(console.audit.record_durable(record).await?)
}

/// The result for the page; a denial is on record before it is told.
pub(crate) async fn settle<T>(
    console: &Console,
    visit: &Visit,
    result: Result<T, AccessError>,
) -> Result<T, Failure> {
    let error = match result {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    Err(match error {
        AccessError::NotFound | AccessError::NotRegistered => Failure::not_found(),
        AccessError::Denied(decision) => {
            record_denied(console, visit, &decision).await?;
            if decision.hides() { Failure::not_found() } else { decision.problem().into() }
        }
        AccessError::Invalid { field, reason } => {
            Problem::invalid(format!("/{field}"), reason.to_owned()).into()
        }
        AccessError::Conflict(reason) => Problem::new(ProblemKind::Conflict).detail(reason).into(),
        AccessError::Audit(error) => error.into(),
        AccessError::Keys(_) | AccessError::Store(_) => {
            tracing::error!(%error, "an operation on relations failed");
            Problem::new(ProblemKind::Unavailable).into()
        }
    })
}
