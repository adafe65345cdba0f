//! The audit trail, searched.

use std::net::IpAddr;

use askama::Template;
use audit::{Cursor, Filter, Kind, Outcome, RequestInfo, Searcher};
use axum::extract::{Query, State};
use axum::response::Response;
use base::{Scope, Timestamp};
use http::StatusCode;
use serde::Deserialize;

use crate::Console;
use crate::page::{Failure, Frame, render};
use crate::view::{EventRow, filters};
use crate::visit::Visit;

const PER_PAGE: usize = 50;

/// The filter as typed.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct Typed {
    kind: String,
    outcome: String,
    account: String,
    address: String,
    request: String,
    from: String,
    to: String,
    before: String,
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    frame: Frame,
    filter: Typed,
    kinds: Vec<&'static str>,
    events: Vec<EventRow>,
    older: String,
    error: String,
}

/// GET /console/events
pub(crate) async fn page(
    State(console): State<Console>,
    Query(typed): Query<Typed>,
    visit: Visit,
) -> Result<Response, Failure> {
    let (mut events, mut older, mut error, mut status) =
        (Vec::new(), String::new(), String::new(), StatusCode::OK);
    match parse(&typed) {
        Ok((filter, cursor)) => {
            let found = console.audit.search(&searcher(&visit), &filter, cursor, PER_PAGE).await?;
            events = found.entries.iter().map(EventRow::of).collect();
            if let Some(next) = found.next {
                older = older_link(&typed, next);
            }
        }
        Err(text) => (error, status) = (text, StatusCode::BAD_REQUEST),
    }
    let page = EventsPage {
        frame: visit.frame(&console, "events"),
        kinds: Kind::ALL.iter().map(|kind| kind.name()).collect(),
        filter: typed,
        events,
        older,
        error,
    };
    Ok(render(&visit, status, &page))
}

/// Operators who may read the trail see all of it.
pub(crate) fn searcher(visit: &Visit) -> Searcher {
    Searcher {
        actor: visit.caller.actor(),
        scope: Scope::System("operator reads the audit trail"),
        request: Some(RequestInfo::new(visit.meta.request)),
    }
}

fn parse(typed: &Typed) -> Result<(Filter, Option<Cursor>), String> {
    fn field<T>(text: &str, wrong: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, String> {
        match text.trim() {
            "" => Ok(None),
            given => parse(given).map(Some).ok_or_else(|| wrong.to_owned()),
        }
    }
    let filter = Filter {
        account: field(&typed.account, "Account id: not an identifier.", |text| text.parse().ok())?,
        kind: field(&typed.kind, "Event: no such kind.", |text| {
            Kind::ALL.iter().copied().find(|kind| kind.name() == text)
        })?,
        kinds: Vec::new(),
        from: field(&typed.from, "From: write it like 2026-01-31T00:00:00Z.", Timestamp::parse_rfc3339)?,
        to: field(&typed.to, "To: write it like 2026-01-31T00:00:00Z.", Timestamp::parse_rfc3339)?,
        address: field(&typed.address, "Address: not an IP address.", |text| text.parse::<IpAddr>().ok())?,
        request: field(&typed.request, "Request id: not an identifier.", |text| text.parse().ok())?,
        outcome: field(&typed.outcome, "Outcome: success, failure or denied.", Outcome::from_name)?,
    };
    let cursor = field(&typed.before, "The link to older events is damaged.", |text| {
        let (at, id) = text.split_once('_')?;
        Some(Cursor { at: Timestamp::from_millis(at.parse().ok()?), id: id.parse().ok()? })
    })?;
    Ok((filter, cursor))
}

fn older_link(typed: &Typed, next: Cursor) -> String {
    let mut link = String::from("/console/events?");
    for (name, value) in [
        ("kind", &typed.kind),
        ("outcome", &typed.outcome),
        ("account", &typed.account),
        ("address", &typed.address),
        ("request", &typed.request),
        ("from", &typed.from),
        ("to", &typed.to),
    ] {
        if !value.is_empty() {
            let encoded = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            link += &format!("{name}={encoded}&");
        }
    }
    link + &format!("before={}_{}", next.at.as_millis(), next.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_filters_name_their_field() {
        for (typed, word) in [
            (Typed { account: "ada".into(), ..Typed::default() }, "Account id"),
            (Typed { address: "localhost".into(), ..Typed::default() }, "Address"),
            (Typed { from: "yesterday".into(), ..Typed::default() }, "From"),
            (Typed { kind: "no.such".into(), ..Typed::default() }, "Event"),
            (Typed { before: "x".into(), ..Typed::default() }, "older"),
        ] {
            assert!(parse(&typed).unwrap_err().contains(word));
        }
        assert!(parse(&Typed::default()).is_ok());
    }
}
