//! Proof of existence (AUDIT-7): a file's digest is put on record, and each record's export proves it to anybody, offline.

use askama::Template;
use audit::{Attestation, Filter, Kind, Selection};
use axum::extract::{Query, State};
use axum::response::Response;
use base::Timestamp;
use http::StatusCode;
use serde::Deserialize;

use crate::Console;
use crate::activity::{hand_out, oneself};
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::view::filters;
use crate::visit::Visit;

/// The newest ones are shown; all of them are in the export of everything.
const SHOWN: usize = 100;

#[derive(Template)]
#[template(path = "works.html")]
struct WorksPage {
    frame: Frame,
    works: Vec<Work>,
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

/// Which one, by its time in milliseconds.
#[derive(Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    at: String,
}

impl WorksPage {
    async fn of(console: &Console, visit: &Visit) -> Result<Self, Failure> {
        let filter = Filter { kind: Some(Kind::WorkAttested), ..Filter::default() };
        let found = console.audit.search(&oneself(visit)?, &filter, None, SHOWN).await?;
        let works = found.entries.iter().map(|entry| {
            let text = |name: &str| {
                let text = entry.details.get(name).and_then(serde_json::Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            Work {
                at: entry.at.to_rfc3339(),
                ms: entry.at.as_millis(),
                name: text("name"),
                sha256: text("sha256"),
            }
        });
        Ok(Self {
            frame: visit.frame(console, "account"),
            works: works.collect(),
            key: console.keys.log_verifiers().first().map(ToString::to_string).unwrap_or_default(),
            sha256: String::new(),
            title: String::new(),
            errors: Errors::default(),
        })
    }
}

/// GET /account/works
pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    Ok(render(&visit, StatusCode::OK, &WorksPage::of(&console, &visit).await?))
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
            let mut page = WorksPage::of(&console, &form.visit).await?;
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
