//! The audit trail, for operators (AUDIT-6).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use access::actions::SystemLogs;
use audit::{Cursor, Entry, Filter, Kind, Searcher};
use axum::Json;
use axum::extract::State;
use base::{Id, Scope, Timestamp, kind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::call::{Call, Query};
use crate::failure::Failure;
use crate::strict;
use crate::words::OutcomeWord;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;

/// Which events; everything that is given must match.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// About this account's data.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>, format = Uuid)]
    account: Option<Id<kind::Account>>,
    /// Of this kind, such as `session.signed_in`.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>)]
    kind: Option<Kind>,
    /// Not before.
    #[serde(default, deserialize_with = "strict::from_rfc3339")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before.
    #[serde(default, deserialize_with = "strict::from_rfc3339")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// From this network address, exactly.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// During this request.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>, format = Uuid)]
    request: Option<Id<kind::Request>>,
    /// That ended so.
    #[serde(default)]
    outcome: Option<OutcomeWord>,
    /// `next` of the page before.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>)]
    cursor: Option<Place>,
    /// Events per page.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// A [`Cursor`] as text. Clients should not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(Cursor);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.at.as_millis(), self.0.id)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (at, id) = text.split_once('.')?;
            Some(Cursor { at: Timestamp::from_millis(at.parse().ok()?), id: id.parse().ok()? })
        };
        parse().map(Self).ok_or("must be the next of the page before")
    }
}

/// One event.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventView {
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// Such as `session.signed_in`.
    kind: String,
    /// OCSF `severity_id`: 1 informational to 6 fatal.
    severity: u8,
    #[schema(value_type = OutcomeWord)]
    outcome: String,
    /// `anonymous`, `account:<id>` or `system:<part>`.
    actor: String,
    /// Whose data it is.
    #[schema(format = Uuid)]
    account: Option<String>,
    #[schema(format = Uuid)]
    request: Option<String>,
    method: Option<String>,
    /// The route's template.
    route: Option<String>,
    /// The answer's status.
    status: Option<u16>,
    /// The client's network address.
    address: Option<String>,
    user_agent: Option<String>,
    path: Option<String>,
    /// The kind's own fields.
    #[schema(value_type = Object)]
    details: serde_json::Value,
    /// The person's key was destroyed: what was personal cannot be read any more.
    erased: bool,
}

impl From<Entry> for EventView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            at: entry.at.to_rfc3339(),
            kind: entry.kind,
            severity: entry.severity,
            outcome: entry.outcome,
            actor: entry.actor,
            account: entry.account.map(|id| id.to_string()),
            request: entry.request.map(|id| id.to_string()),
            method: entry.method,
            route: entry.route,
            status: entry.status,
            address: entry.address.map(|address| address.to_string()),
            user_agent: entry.agent,
            path: entry.path,
            details: entry.details,
            erased: entry.erased,
        }
    }
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Events {
    events: Vec<EventView>,
    /// `cursor` for the next page; `null` if this was the last.
    next: Option<String>,
}

/// Search the audit trail. The search itself is an event.
#[utoipa::path(get, path = "/v1/audit/events", operation_id = "searchEvents", tag = "audit",
    params(EventsQuery), responses((status = 200, description = "A page.", body = Events)))]
pub(crate) async fn search(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Events>, Failure> {
    let permit = call.permit::<SystemLogs>(&api)?;
    let by = Searcher {
        actor: permit.actor(),
        scope: Scope::System("an operator searches the audit trail"),
        request: Some(call.info()),
    };
    let filter = Filter {
        account: query.account,
        kind: query.kind,
        kinds: Vec::new(),
        from: query.from,
        to: query.to,
        address: query.address,
        request: query.request,
        outcome: query.outcome.map(Into::into),
    };
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let page = api.audit.search(&by, &filter, query.cursor.map(|place| place.0), limit as usize).await?;
    Ok(Json(Events {
        events: page.entries.into_iter().map(EventView::from).collect(),
        next: page.next.map(|cursor| Place(cursor).to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_as_text() {
        let place =
            Place(Cursor { at: Timestamp::from_millis(1_700_000_000_123), id: Id::from_bytes([3; 16]) });
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in [
            "",
            ".",
            "1.",
            "1.x",
            "x.0198c0de-0000-7000-8000-000000000000",
            "99999999999999999999.0198c0de-0000-7000-8000-000000000000",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
