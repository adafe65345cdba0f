//! The audit trail, searched.

use std::net::IpAddr;

use askama::Template;
use audit::{Cursor, Filter, Kind, Outcome, Searcher};
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
/// Kinds of one question.
const MAX_KINDS: usize = 32;

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
    groups: Vec<Group>,
    events: Vec<EventRow>,
    older: String,
    /// The search stopped here because it had looked at as much as one page may.
    searched_to: String,
    error: String,
}

/// Kinds with the same first word.
struct Group {
    name: &'static str,
    kinds: Vec<&'static str>,
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in Kind::ALL {
        let name = kind.name().split('.').next().unwrap_or_default();
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.kinds.push(kind.name()),
            None => groups.push(Group { name, kinds: vec![kind.name()] }),
        }
    }
    groups.sort_by_key(|group| group.name);
    groups
}

/// GET /console/events
pub(crate) async fn page(
    State(console): State<Console>,
    Query(typed): Query<Typed>,
    visit: Visit,
) -> Result<Response, Failure> {
    let (mut events, mut older, mut error, mut status) =
        (Vec::new(), String::new(), String::new(), StatusCode::OK);
    let mut searched_to = String::new();
    match parse(&typed) {
        Ok((filter, cursor)) => {
            let found = console.audit.search(&searcher(&visit), &filter, cursor, PER_PAGE).await?;
            events = found.entries.iter().map(EventRow::of).collect();
            searched_to = found.searched_to.map(Timestamp::to_rfc3339).unwrap_or_default();
            if let Some(next) = found.next {
                older = older_link(&typed, next);
            }
        }
        Err(text) => (error, status) = (text, StatusCode::BAD_REQUEST),
    }
    let page = EventsPage {
        frame: visit.frame(&console, "events"),
        groups: groups(),
        filter: Typed { from: as_field(&typed.from), to: as_field(&typed.to), ..typed },
        events,
        older,
        searched_to,
        error,
    };
    Ok(render(&visit, status, &page))
}

/// Operators who may read the trail see all of it.
pub(crate) fn searcher(visit: &Visit) -> Searcher {
    Searcher {
        actor: visit.caller.actor(),
        scope: Scope::System("operator reads the audit trail"),
        request: Some(visit.meta.info()),
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
        kind: None,
        kinds: field(&typed.kind, "Event: no such kind.", |text| {
            text.split(',')
                .take(MAX_KINDS)
                .map(|kind| kind.trim().parse().ok())
                .collect::<Option<Vec<Kind>>>()
        })?
        .unwrap_or_default(),
        from: field(&typed.from, "From: write it like 2026-01-31T00:00.", time)?,
        to: field(&typed.to, "To: write it like 2026-01-31T00:00.", time)?,
        address: field(&typed.address, "Address: not an IP address.", |text| text.parse::<IpAddr>().ok())?,
        request: field(&typed.request, "Request id: not an identifier.", |text| text.parse().ok())?,
        outcome: field(&typed.outcome, "Outcome: success, failure or denied.", Outcome::from_name)?,
    };
    let cursor = field(&typed.before, "The link to older events is damaged.", cursor)?;
    Ok((filter, cursor))
}

/// A time as browsers send it from their own fields (`2026-01-31T00:00`, taken as UTC), or with its zone.
fn time(text: &str) -> Option<Timestamp> {
    let zoned = Timestamp::parse_rfc3339(text);
    zoned
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}:00Z")))
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
}

/// A time as those fields want it: without its zone. What cannot be read stays as it was typed.
fn as_field(text: &str) -> String {
    time(text.trim()).map_or_else(|| text.to_owned(), |at| at.to_rfc3339().chars().take(16).collect())
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
    link + &format!("before={}", cursor_text(next))
}

/// A cursor as it stands in a link.
pub(crate) fn cursor_text(cursor: Cursor) -> String {
    format!("{}_{}", cursor.at.as_millis(), cursor.id)
}

/// The cursor that a link names; `None` if it is damaged.
pub(crate) fn cursor(text: &str) -> Option<Cursor> {
    let (at, id) = text.split_once('_')?;
    Some(Cursor { at: Timestamp::from_millis(at.parse().ok()?), id: id.parse().ok()? })
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
            (Typed { kind: "session.signed_in,no.such".into(), ..Typed::default() }, "Event"),
            (Typed { to: "2026-13-01T00:00".into(), ..Typed::default() }, "To"),
            (Typed { before: "x".into(), ..Typed::default() }, "older"),
        ] {
            assert!(parse(&typed).unwrap_err().contains(word));
        }
        assert!(parse(&Typed::default()).is_ok());
    }

    #[test]
    fn times_are_read_as_browsers_and_people_write_them_and_given_back_as_browsers_want_them() {
        let at = Timestamp::parse_rfc3339("2026-01-31T10:20:00Z");
        for text in
            ["2026-01-31T10:20", "2026-01-31T10:20:00", "2026-01-31T10:20:00Z", "2026-01-31T11:20:00+01:00"]
        {
            assert_eq!(time(text), at, "{text}");
            assert_eq!(as_field(text), "2026-01-31T10:20");
        }
        assert_eq!(time("2026-01-31"), Timestamp::parse_rfc3339("2026-01-31T00:00:00Z"));
        for wrong in ["", "10:20", "2026-01-31T25:00", "2026-01-31T10", "<b>"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        assert_eq!(as_field("soon"), "soon");
    }

    #[test]
    fn every_kind_can_be_chosen() {
        let listed: usize = groups().iter().map(|group| group.kinds.len()).sum();
        assert_eq!(listed, Kind::ALL.len());
        let both = parse(&Typed { kind: "session.signed_in, session.signed_out".into(), ..Typed::default() });
        assert_eq!(both.unwrap().0.kinds, [Kind::SignedIn, Kind::SignedOut]);
    }
}
