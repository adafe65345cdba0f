//! The audit trail, searched: for operators all of it, for everybody what is about themselves (AUDIT-6).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use access::actions::SystemLogs;
use audit::{Cursor, Entry, Filter, Kind, LogEntry, Page, Searcher};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use base::{Id, ProblemKind, Scope, Timestamp, kind};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::call::{Call, PathId, Query};
use crate::failure::Failure;
use crate::strict;
use crate::words::OutcomeWord;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;
/// Kinds of one question.
const MAX_KINDS: usize = 32;
/// A proof is text (c2sp.org/tlog-proof); no media type of its own is registered.
const PROOF_TYPE: &str = "text/plain; charset=utf-8";

/// Which events; everything that is given must match.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// About this account's data.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>, format = Uuid)]
    account: Option<Id<kind::Account>>,
    /// Of this kind, such as `session.signed_in`, or of one of several, with commas between them.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>)]
    kind: Option<Kinds>,
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

/// Which of one's own events; everything that is given must match.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OwnEventsQuery {
    /// Of this kind, such as `session.signed_in`, or of one of several, with commas between them.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>)]
    kind: Option<Kinds>,
    /// Not before.
    #[serde(default, deserialize_with = "strict::from_rfc3339")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before.
    #[serde(default, deserialize_with = "strict::from_rfc3339")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
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

/// Kinds with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds =
            text.split(',').take(MAX_KINDS + 1).map(str::parse::<Kind>).collect::<Result<Vec<_>, _>>();
        let kinds = kinds.map_err(|error| error.to_string())?;
        if kinds.len() > MAX_KINDS {
            Err(format!("must be at most {MAX_KINDS} kinds"))
        } else {
            Ok(Self(kinds))
        }
    }
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
    /// Its place in the log, counted from 0.
    index: Option<u64>,
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
    /// Where it lies (ISO 3166-1), if the operator has a location file.
    country: Option<String>,
    /// Where it lies (ISO 3166-2).
    region: Option<String>,
    user_agent: Option<String>,
    path: Option<String>,
    /// The caller's tier then.
    tier: Option<String>,
    /// What the assessment came to; `null` where nothing was assessed.
    threat: Option<ThreatView>,
    /// The kind's own fields.
    #[schema(value_type = Object)]
    details: serde_json::Value,
    /// The person's key was destroyed: what was personal cannot be read any more.
    erased: bool,
    /// What was personal cannot be read although the key is there: it was altered.
    damaged: bool,
}

/// What an assessment came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ThreatView {
    /// From 0 (nothing) to 100.
    score: u8,
    /// `none`, `low`, `medium`, `high` or `critical`.
    level: &'static str,
    /// What found it; `none` if nothing was found.
    method: String,
}

impl From<Entry> for EventView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            index: entry.index,
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
            country: entry.place.map(|place| place.country().to_owned()),
            region: entry.place.and_then(|place| place.region()),
            user_agent: entry.agent,
            path: entry.path,
            tier: entry.tier,
            threat: entry.threat.map(|threat| ThreatView {
                score: threat.score,
                level: threat.level.name(),
                method: threat.method.into_owned(),
            }),
            details: entry.details,
            erased: entry.erased,
            damaged: entry.damaged,
        }
    }
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Events {
    events: Vec<EventView>,
    /// `cursor` for the next page; `null` if this was the last.
    next: Option<String>,
    /// Only on a page that was cut short because it looked at as many events as one may: back to here, everything that
    /// matches is on it. Go on with `next`.
    #[schema(format = DateTime)]
    searched_to: Option<String>,
}

impl From<Page> for Events {
    fn from(page: Page) -> Self {
        Self {
            events: page.entries.into_iter().map(EventView::from).collect(),
            next: page.next.map(|cursor| Place(cursor).to_string()),
            searched_to: page.searched_to.map(Timestamp::to_rfc3339),
        }
    }
}

/// Whoever may read the trail sees all of it.
pub(crate) fn operator(api: &Api, call: &Call) -> Result<Searcher, Failure> {
    let permit = call.permit::<SystemLogs>(api)?;
    Ok(Searcher {
        actor: permit.actor(),
        scope: Scope::System("an operator reads the audit trail"),
        request: Some(call.info()),
    })
}

/// Everybody sees what is about themselves.
pub(crate) fn oneself(call: &Call) -> Result<Searcher, Failure> {
    let scope = call.account()?.scope();
    Ok(Searcher { actor: call.actor(), scope, request: Some(call.info()) })
}

/// Search the audit trail. The search itself is an event.
#[utoipa::path(get, path = "/v1/audit/events", operation_id = "searchEvents", tag = "audit",
    params(EventsQuery), responses((status = 200, description = "A page.", body = Events)))]
pub(crate) async fn search(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Events>, Failure> {
    let by = operator(&api, &call)?;
    let filter = Filter {
        account: query.account,
        kind: None,
        kinds: query.kind.unwrap_or_default().0,
        from: query.from,
        to: query.to,
        address: query.address,
        request: query.request,
        outcome: query.outcome.map(Into::into),
    };
    page(&api, &by, &filter, query.cursor, query.limit).await
}

/// Search what is about oneself. The search itself is an event.
#[utoipa::path(get, path = "/auth/events", operation_id = "searchOwnEvents", tag = "audit",
    params(OwnEventsQuery), responses((status = 200, description = "A page.", body = Events)))]
pub(crate) async fn search_own(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<OwnEventsQuery>,
) -> Result<Json<Events>, Failure> {
    let by = oneself(&call)?;
    let filter = Filter {
        kinds: query.kind.unwrap_or_default().0,
        from: query.from,
        to: query.to,
        outcome: query.outcome.map(Into::into),
        ..Filter::default()
    };
    page(&api, &by, &filter, query.cursor, query.limit).await
}

async fn page(
    api: &Api,
    by: &Searcher,
    filter: &Filter,
    cursor: Option<Place>,
    limit: Option<u32>,
) -> Result<Json<Events>, Failure> {
    let limit = limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let page = api.audit.search(by, filter, cursor.map(|place| place.0), limit as usize).await?;
    Ok(Json(page.into()))
}

/// Read one event. That it was read is an event.
#[utoipa::path(get, path = "/v1/audit/events/{id}", operation_id = "readEvent", tag = "audit",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The event.", body = EventView)))]
pub(crate) async fn one(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Event>,
) -> Result<Json<EventView>, Failure> {
    let by = operator(&api, &call)?;
    found(&api, &by, id).await.map(|found| Json(found.entry.into()))
}

/// Read one event that is about oneself.
#[utoipa::path(get, path = "/auth/events/{id}", operation_id = "readOwnEvent", tag = "audit",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The event.", body = EventView)))]
pub(crate) async fn one_own(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Event>,
) -> Result<Json<EventView>, Failure> {
    let by = oneself(&call)?;
    found(&api, &by, id).await.map(|found| Json(found.entry.into()))
}

async fn found(api: &Api, by: &Searcher, id: Id<kind::Event>) -> Result<LogEntry, Failure> {
    api.audit.read(by, id).await?.ok_or_else(|| ProblemKind::NotFound.into())
}

/// Get the proof that an event is in the log: a file in the form of c2sp.org/tlog-proof, which anybody who has the
/// log's key can check without us.
#[utoipa::path(get, path = "/v1/audit/events/{id}/proof", operation_id = "proveEvent", tag = "audit",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "A `.tlog-proof` file.", body = String, content_type = "text/plain")))]
pub(crate) async fn proof(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Event>,
) -> Result<impl IntoResponse, Failure> {
    let by = operator(&api, &call)?;
    prove(&api, &by, id).await
}

/// Get the proof that an event about oneself is in the log.
#[utoipa::path(get, path = "/auth/events/{id}/proof", operation_id = "proveOwnEvent", tag = "audit",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "A `.tlog-proof` file.", body = String, content_type = "text/plain")))]
pub(crate) async fn proof_own(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Event>,
) -> Result<impl IntoResponse, Failure> {
    let by = oneself(&call)?;
    prove(&api, &by, id).await
}

async fn prove(api: &Api, by: &Searcher, id: Id<kind::Event>) -> Result<impl IntoResponse + use<>, Failure> {
    // Who may not see the event may not learn that it is there.
    found(api, by, id).await?;
    let proof = api.audit.proof(id).await?.ok_or(ProblemKind::NotFound)?;
    let name = format!("attachment; filename=\"{id}.tlog-proof\"");
    Ok(([(CONTENT_TYPE, PROOF_TYPE.to_owned()), (CONTENT_DISPOSITION, name)], proof))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_with_commas_between_them() {
        let both = Kinds(vec![Kind::SignedIn, Kind::SignedOut]);
        assert_eq!("session.signed_in,session.signed_out".parse(), Ok(both));
        for wrong in ["", ",", "session.signed_in,", "session.flown", &"session.signed_in,".repeat(40)] {
            assert!(wrong.parse::<Kinds>().is_err(), "{wrong}");
        }
    }

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
