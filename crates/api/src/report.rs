//! The trail in bulk: exports that prove themselves, and counts by the hour.

use audit::{DAY_MS, Grouping, HOUR_MS, MAX_COUNTS, Searcher, Selection};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use base::Timestamp;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::call::{Call, Query};
use crate::events::{Kinds, oneself, operator};
use crate::failure::Failure;
use crate::strict;

/// The longest time that is counted by the hour: a month.
const MAX_HOURS_MS: i64 = 31 * DAY_MS;
/// The longest time that is counted by the day: two years.
const MAX_DAYS_MS: i64 = 732 * DAY_MS;

/// Which events to export.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// Not before.
    #[serde(default, deserialize_with = "strict::from_rfc3339")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before.
    #[serde(default, deserialize_with = "strict::from_rfc3339")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Of this kind, or of one of several, with commas between them.
    #[serde(default, deserialize_with = "strict::from_text")]
    #[param(value_type = Option<String>)]
    kind: Option<Kinds>,
}

/// Export a part of the trail as JSON lines, each event with its leaf and its proof.
///
/// `docs/audit-export.md` describes the lines. An answer whose last line is not `{"end":true,…}` broke off. The export
/// is an event, which is on record before the first line.
#[utoipa::path(get, path = "/v1/audit/export", operation_id = "exportEvents", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "JSON lines.", body = String, content_type = "application/jsonl")))]
pub(crate) async fn export(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<ExportQuery>,
) -> Result<impl IntoResponse, Failure> {
    let by = operator(&api, &call)?;
    handed_out(&api, &by, query).await
}

/// Export what is about oneself, in the same form. Of events that are about somebody else, too, only one's own part is
/// shown; the others are `null`.
///
/// Needs a session in which all factors were given within the last ten minutes.
#[utoipa::path(get, path = "/auth/events/export", operation_id = "exportOwnEvents", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "JSON lines.", body = String, content_type = "application/jsonl")))]
pub(crate) async fn export_own(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<ExportQuery>,
) -> Result<impl IntoResponse, Failure> {
    api.identity.must_be_fresh(call.account()?).await?;
    let by = oneself(&call)?;
    handed_out(&api, &by, query).await
}

async fn handed_out(
    api: &Api,
    by: &Searcher,
    query: ExportQuery,
) -> Result<impl IntoResponse + use<>, Failure> {
    let selection = Selection { from: query.from, to: query.to, kinds: query.kind.unwrap_or_default().0 };
    let export = api.audit.export(by, selection).await?;
    let name = format!("attachment; filename=\"audit-{}.jsonl\"", export.tree_size());
    // The next chunk is read when the client has taken the one before.
    let lines = stream::try_unfold(export, async |mut export| {
        let chunk = export.next().await.inspect_err(|error| tracing::error!(%error, "an export broke off"));
        Ok::<_, audit::AuditError>(chunk?.map(|chunk| (chunk, export)))
    });
    let head = [(CONTENT_TYPE, "application/jsonl".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((head, Body::from_stream(lines)))
}

/// What is counted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AggregatesQuery {
    /// From the hour of this time.
    #[serde(deserialize_with = "strict::required_rfc3339")]
    #[param(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Before.
    #[serde(deserialize_with = "strict::required_rfc3339")]
    #[param(value_type = String, format = DateTime)]
    to: Timestamp,
    /// What counts are told apart by.
    #[serde(default)]
    #[param(inline)]
    by: ByWord,
    /// How much time one count covers. Days are those of UTC.
    #[serde(default)]
    #[param(inline)]
    span: SpanWord,
}

/// What counts are told apart by.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CountedBy)]
pub(crate) enum ByWord {
    /// Such as `session.signed_in`.
    #[default]
    Kind,
    /// `success`, `failure`, `denied`.
    Outcome,
    /// OCSF `severity_id`, 1 to 6.
    Severity,
    /// ISO 3166-1; empty where it is not known.
    Country,
}

/// How much time one count covers.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CountedSpan)]
pub(crate) enum SpanWord {
    #[default]
    Hour,
    Day,
}

/// Counts, by time and key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Aggregates {
    counts: Vec<CountView>,
    /// There are more; ask for a shorter time or longer spans.
    cut: bool,
    /// Every event of the log below this index is counted.
    counted_to: u64,
}

/// How many events there were.
#[derive(Serialize, ToSchema)]
pub(crate) struct CountView {
    /// When the hour or day begins.
    #[schema(format = DateTime)]
    from: String,
    /// The kind, outcome, severity or country.
    key: String,
    events: u64,
}

/// Count events by the hour or day.
#[utoipa::path(get, path = "/v1/audit/aggregates", operation_id = "countEvents", tag = "audit",
    params(AggregatesQuery), responses((status = 200, description = "Counts.", body = Aggregates)))]
pub(crate) async fn aggregates(
    State(api): State<Api>,
    call: Call,
    Query(query): Query<AggregatesQuery>,
) -> Result<Json<Aggregates>, Failure> {
    operator(&api, &call)?;
    let AggregatesQuery { from, to, by, span } = query;
    let (span_ms, longest, words) = match span {
        SpanWord::Hour => (HOUR_MS, MAX_HOURS_MS, "31 days after from; longer times are counted by span=day"),
        SpanWord::Day => (DAY_MS, MAX_DAYS_MS, "732 days after from"),
    };
    let time = to.as_millis().saturating_sub(from.as_millis());
    if time <= 0 {
        return Err(Failure::invalid("?to", "must be after from"));
    }
    if time > longest {
        return Err(Failure::invalid("?to", format!("must be at most {words}")));
    }
    let by = match by {
        ByWord::Kind => Grouping::Kind,
        ByWord::Outcome => Grouping::Outcome,
        ByWord::Severity => Grouping::Severity,
        ByWord::Country => Grouping::Country,
    };
    let found = api.audit.hourly(from, to, span_ms, by).await?;
    debug_assert!(found.counts.len() <= MAX_COUNTS);
    let view = |count: audit::Count| CountView {
        from: count.from.to_rfc3339(),
        key: count.key,
        events: count.events,
    };
    let counts = found.counts.into_iter().map(view).collect();
    Ok(Json(Aggregates { counts, cut: found.cut, counted_to: found.counted_to }))
}
