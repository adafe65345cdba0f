//! One event with its proof, and the button that verifies it.

use askama::Template;
use audit::{Entry, LogEntry};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base::{Id, kind};
use http::{StatusCode, header};

use crate::Console;
use crate::events::searcher;
use crate::form::Submitted;
use crate::page::{Failure, Frame, render};
use crate::view::{EventRow, Verdict, filters};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    event: EventRow,
    facts: Vec<Fact>,
    details: Vec<Fact>,
    index: u64,
    tree_size: u64,
    erased: bool,
    damaged: bool,
    verdict: Option<Verdict>,
}

/// A line of facts.
struct Fact {
    name: String,
    value: String,
    link: String,
    mono: bool,
}

/// GET /console/events/{id}
pub(crate) async fn page(
    State(console): State<Console>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, Failure> {
    let found = find(&console, &visit, &id).await?;
    Ok(show(&console, &visit, found, None))
}

/// GET /console/events/{id}/proof: the file to keep.
pub(crate) async fn proof(
    State(console): State<Console>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, Failure> {
    let found = find(&console, &visit, &id).await?;
    let id = found.entry.id;
    let proof = console.audit.proof(id).await?.ok_or_else(Failure::not_found)?;
    let head = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.tlog-proof\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((head, proof).into_response())
}

/// POST /console/events/{id}/verify: proves the event anew and checks the proof against the log and its keys.
pub(crate) async fn verify(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let found = find(&console, &form.visit, &id).await?;
    let proof = console.audit.proof(found.entry.id).await?.ok_or_else(Failure::not_found)?;
    let report = console.audit.verify_proof(&searcher(&form.visit), &proof, None).await?;
    Ok(show(&console, &form.visit, found, Some(Verdict::of(&report))))
}

async fn find(console: &Console, visit: &Visit, id: &str) -> Result<LogEntry, Failure> {
    let id: Id<kind::Event> = id.parse().map_err(|_| Failure::not_found())?;
    console.audit.read(&searcher(visit), id).await?.ok_or_else(Failure::not_found)
}

fn show(console: &Console, visit: &Visit, found: LogEntry, verdict: Option<Verdict>) -> Response {
    let LogEntry { index, entry } = found;
    let page = EventPage {
        frame: visit.frame(console, "events"),
        event: EventRow::of(&entry),
        facts: facts(&entry),
        details: details(&entry),
        index,
        tree_size: console.audit.tree().borrow().size.max(index + 1),
        erased: entry.erased,
        damaged: entry.damaged,
        verdict,
    };
    render(visit, StatusCode::OK, &page)
}

fn facts(entry: &Entry) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>, link: String, mono: bool| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.push(Fact { name: name.to_owned(), value, link, mono });
        }
    };
    let account = entry.account.map(|id| id.to_string());
    let request = entry.request.map(|id| id.to_string());
    let address = entry.address.map(|address| address.to_string());
    let severities = ["unknown", "informational", "low", "medium", "high", "critical", "fatal"];
    let severity = severities.get(usize::from(entry.severity)).copied().unwrap_or("unknown");
    let link = |path: &str, value: &Option<String>| {
        let encoded = |value: &String| {
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        value.as_ref().map(|value| format!("{path}{}", encoded(value))).unwrap_or_default()
    };
    add("Id", Some(entry.id.to_string()), String::new(), true);
    add("Severity", Some(severity.to_owned()), String::new(), false);
    let actor_account = entry.actor.strip_prefix("account:").map(ToOwned::to_owned);
    add("Done by", Some(entry.actor.clone()), link("/console/accounts/", &actor_account), true);
    add("About account", account.clone(), link("/console/accounts/", &account), true);
    add("Request", request.clone(), link("/console/events?request=", &request), true);
    add("Network address", address.clone(), link("/console/events?address=", &address), true);
    let place = entry.place.map(|place| place.region().unwrap_or_else(|| place.country().to_owned()));
    add("Country and region", place, String::new(), false);
    add("User agent", entry.agent.clone(), String::new(), true);
    add("Tier", entry.tier.clone(), String::new(), false);
    let what = entry.path.clone().or_else(|| entry.route.clone());
    let what =
        what.map(|path| format!("{} {path}", entry.method.as_deref().unwrap_or_default()).trim().to_owned());
    add("Asked for", what, String::new(), true);
    add("Route", entry.route.clone(), String::new(), true);
    add("Answered", entry.status.map(|status| status.to_string()), String::new(), false);
    let threat = entry.threat.as_ref();
    let threat = threat.map(|t| match t.level {
        audit::ThreatLevel::None => "nothing found".to_owned(),
        level => format!("{} ({} of 100), found by {}", level.name(), t.score, t.method),
    });
    add("Assessment", threat, String::new(), false);
    facts
}

fn details(entry: &Entry) -> Vec<Fact> {
    let Some(fields) = entry.details.as_object() else { return Vec::new() };
    let fact = |(name, value): (&String, &serde_json::Value)| {
        let value = match value {
            serde_json::Value::Null => return None,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(Fact { name: name.replace('_', " "), value, link: String::new(), mono: true })
    };
    fields.iter().filter_map(fact).collect()
}
