//! Proof of existence (AUDIT-7): a file's digest is put on record, and each record's export proves it to anybody, offline.

use askama::Template;
use audit::{Attestation, Cursor, Entry, Filter, Kind, Selection};
use axum::extract::{Query, State};
use axum::response::Response;
use base::Timestamp;
use http::StatusCode;
use serde::Deserialize;

use crate::Console;
use crate::activity::{hand_out, oneself};
use crate::events::{cursor, cursor_text};
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::view::filters;
use crate::visit::Visit;

/// At most so many stand on a page.
const SHOWN: usize = 25;
/// A search looks at a part of somebody's events at once; so many parts are looked at for a page.
const PARTS: usize = 8;

#[derive(Template)]
#[template(path = "works.html")]
struct WorksPage {
    frame: Frame,
    works: Vec<Work>,
    /// The link to those before; empty if there are none.
    older: String,
    /// The log's key, by which a proof is checked; empty before its first event.
    key: String,
    sha256: String,
    title: String,
    errors: Errors,
}

/// One file on record.
struct Work {
    at: String,
    ms: i64,
    name: String,
    sha256: String,
}

/// Where the page begins; empty at the newest.
#[derive(Deserialize)]
pub(crate) struct Place {
    #[serde(default)]
    before: String,
}

/// Which one, by its time in milliseconds.
#[derive(Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    at: String,
}

impl WorksPage {
    async fn of(console: &Console, visit: &Visit, before: Option<Cursor>) -> Result<Self, Failure> {
        let filter = Filter { kind: Some(Kind::WorkAttested), ..Filter::default() };
        let (mut works, mut next) = (Vec::new(), before);
        for _ in 0..PARTS {
            let found = console.audit.search(&oneself(visit)?, &filter, next, SHOWN - works.len()).await?;
            works.extend(found.entries.iter().map(Work::of));
            next = found.next;
            if next.is_none() || works.len() >= SHOWN {
                break;
            }
        }
        Ok(Self {
            frame: visit.frame(console, "account"),
            works,
            older: next.map(cursor_text).unwrap_or_default(),
            key: console.keys.log_verifiers().first().map(ToString::to_string).unwrap_or_default(),
            sha256: String::new(),
            title: String::new(),
            errors: Errors::default(),
        })
    }
}

impl Work {
    fn of(entry: &Entry) -> Self {
        let text = |name: &str| {
            let text = entry.details.get(name).and_then(serde_json::Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Self {
            at: entry.at.to_rfc3339(),
            ms: entry.at.as_millis(),
            name: text("name"),
            sha256: text("sha256"),
        }
    }
}

/// GET /account/works?before=…
pub(crate) async fn page(
    State(console): State<Console>,
    Query(place): Query<Place>,
    visit: Visit,
) -> Result<Response, Failure> {
    let before = match &*place.before {
        "" => None,
        text => Some(cursor(text).ok_or_else(Failure::not_found)?),
    };
    Ok(render(&visit, StatusCode::OK, &WorksPage::of(&console, &visit, before).await?))
}

/// POST /account/works
pub(crate) async fn attest(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let account = form.visit.account()?.account;
    let (sha256, name) = (form.text("sha256"), form.text("name"));
    match Attestation::new(sha256, Some(name).filter(|name| !name.is_empty())) {
        Ok(attestation) => {
            console.audit.attest(account, &attestation, form.visit.meta.info()).await?;
            Ok(go("/account/works?done=attested"))
        }
        Err(fault) => {
            let mut page = WorksPage::of(&console, &form.visit, None).await?;
            page.errors.refuse(fault.field, fault.reason);
            (page.sha256, page.title) = (sha256.to_owned(), name.to_owned());
            Ok(render_again(&form.visit, None, &page))
        }
    }
}

/// GET /account/works/proof?at=…: the export of what was put on record in this millisecond, in the form of
/// `docs/audit-export.md`.
pub(crate) async fn proof(
    State(console): State<Console>,
    Query(which): Query<Which>,
    visit: Visit,
) -> Result<Response, Failure> {
    let at = which.at.parse().map(Timestamp::from_millis).map_err(|_| Failure::not_found())?;
    let selection = Selection { from: Some(at), to: Some(at.plus_ms(1)), kinds: vec![Kind::WorkAttested] };
    hand_out(&console, &visit, selection, "proof", "/account/works").await
}
