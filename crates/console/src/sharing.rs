//! Who has access to one's own things, until when; and taking it away.

use access::{AccessError, Asker, Relation, ResourceRef, Share};
use askama::Template;
use audit::{Outcome, Record};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Problem, ProblemKind};
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::Console;
use crate::form::Submitted;
use crate::page::{Failure, Frame, go, render};
use crate::view::filters;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "sharing.html")]
struct SharingPage {
    frame: Frame,
    things: Vec<Thing>,
    more: String,
}

struct Thing {
    kind: String,
    id: String,
    place: String,
    public: bool,
    shares: i64,
}

#[derive(Template)]
#[template(path = "shares.html")]
struct SharesPage {
    frame: Frame,
    kind: String,
    id: String,
    place: String,
    public: bool,
    owner: bool,
    shares: Vec<ShareRow>,
    more: String,
}

struct ShareRow {
    subject: String,
    name: String,
    relation: Relation,
    permissions: String,
    until: String,
    since: String,
    given_by: String,
}

/// Where a list continues.
#[derive(Deserialize, Default)]
pub(crate) struct After {
    #[serde(default)]
    after: String,
}

fn asker(visit: &Visit) -> Asker {
    Asker { subject: visit.caller.subject(), request: Some(visit.meta.info()) }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn place(resource: &ResourceRef) -> String {
    format!("/account/sharing/{}/{}", encoded(&resource.kind), encoded(&resource.id))
}

/// `team:…` or an account, as the forms say it.
fn subject(text: &str) -> Result<Share, Failure> {
    let share = match text.strip_prefix("team:") {
        Some(team) => team.parse().ok().map(Share::Team),
        None => text.parse().ok().map(Share::Account),
    };
    share.ok_or_else(Failure::not_found)
}

/// GET /account/sharing
pub(crate) async fn list(
    State(console): State<Console>,
    Query(query): Query<After>,
    visit: Visit,
) -> Result<Response, Failure> {
    let found = console.relations.owned(&asker(&visit), query.after.parse().ok()).await;
    let (owned, next) = settle(&console, &visit, found).await?;
    let page = SharingPage {
        frame: visit.frame(&console, "sharing"),
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
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// GET /account/sharing/{type}/{id}
pub(crate) async fn show(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    Query(query): Query<After>,
    visit: Visit,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let asker = asker(&visit);
    let found = console.relations.object(&asker, &resource).await;
    let object = settle(&console, &visit, found).await?;
    let after = if query.after.is_empty() { None } else { Some(subject(&query.after)?) };
    let found = console.relations.shares(&asker, &resource, after).await;
    let (shares, next) = settle(&console, &visit, found).await?;
    let mut people: Vec<_> = shares.iter().filter_map(|share| share.granted_by).collect();
    people.extend(shares.iter().filter_map(|share| match share.to {
        Share::Account(id) => Some(id),
        Share::Team(_) => None,
    }));
    let names = console.identity.usernames(&people).await?;
    let name = |id| names.get(&id).map_or_else(|| "an account that is gone".to_owned(), ToString::to_string);
    let place = place(&resource);
    let page = SharesPage {
        frame: visit.frame(&console, "sharing"),
        more: next.map(|share| format!("{place}?after={}", subject_text(share))).unwrap_or_default(),
        place,
        kind: resource.kind,
        id: resource.id,
        public: object.public,
        owner: object.facts.relations().any(|relation| relation == Relation::Owner),
        shares: shares
            .into_iter()
            .map(|share| ShareRow {
                subject: subject_text(share.to),
                name: match share.to {
                    Share::Account(id) => name(id),
                    Share::Team(_) => "a team".to_owned(),
                },
                relation: share.relation,
                permissions: share.permissions.join(", "),
                until: share.expires_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
                since: share.created_at.to_rfc3339(),
                given_by: share.granted_by.map(name).unwrap_or_default(),
            })
            .collect(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /account/sharing/{type}/{id}/revoke
pub(crate) async fn revoke(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let from = subject(form.text("subject"))?;
    let done = console.relations.unshare(&asker(&form.visit), &resource, from).await;
    settle(&console, &form.visit, done).await?;
    Ok(go(&format!("{}?done=unshared", place(&resource))))
}

fn subject_text(share: Share) -> String {
    match share {
        Share::Account(id) => id.to_string(),
        Share::Team(id) => format!("team:{id}"),
    }
}

/// The result for the page; a denial is on record before it is told.
async fn settle<T>(console: &Console, visit: &Visit, result: Result<T, AccessError>) -> Result<T, Failure> {
    let error = match result {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    Err(match error {
        AccessError::NotFound => Failure::not_found(),
        AccessError::Denied(decision) => {
            let mut record = Record::new(console.clock.now(), decision.denied_event()).ended(Outcome::Denied);
            record = record.by(visit.caller.actor()).during(visit.meta.info());
            record.about = visit.caller.account().map(|caller| caller.account);
            console.audit.record_durable(record).await?;
            if decision.hides() { Failure::not_found() } else { Problem::new(ProblemKind::Forbidden).into() }
        }
        AccessError::Invalid { field, reason } => {
            Problem::invalid(format!("/{field}"), reason.to_owned()).into()
        }
        AccessError::Conflict(reason) => Problem::new(ProblemKind::Conflict).detail(reason).into(),
        AccessError::Audit(error) => error.into(),
        AccessError::Store(error) => {
            tracing::error!(%error, "an operation on relations failed");
            Problem::new(ProblemKind::Unavailable).into()
        }
    })
}
