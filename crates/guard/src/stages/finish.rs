//! Every answer leaves through here: problem documents, output headers, the record, the measures.

use std::sync::Arc;

use audit::{Event, Outcome};
use base::ProblemKind;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::measure::Measures;
use crate::refusal::Stage;
use crate::{Body, Refusal, Surface, Target, headers};

use super::Stop;
use super::serve::Served;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Proof: the answer has everything that every answer has, and is on record.
#[derive(Debug)]
pub struct Finished {
    response: Response<Body>,
}

impl Finished {
    /// The answer.
    pub fn into_response(self) -> Response<Body> {
        self.response
    }
}

/// Finishes what a service answered or a stage decided. Always gives an answer.
pub fn finish(pipeline: &Pipeline, exchange: &mut Exchange, outcome: Result<Served, Stop>) -> Finished {
    let refused = match &outcome {
        Err(Stop::Refused(refusal)) => Some((refusal.stage(), refusal.problem().kind)),
        _ => None,
    };
    let target = exchange.route.as_ref().map(|route| route.target);
    let served = outcome.is_ok();
    let from_upstream = served && matches!(target, Some(Target::Upstream(_)));
    let mut response = match outcome {
        Ok(Served { response }) => response,
        Err(Stop::Answered(response)) => *response,
        Err(Stop::Refused(refusal)) => refuse(pipeline, exchange, refusal),
    };
    let map = response.headers_mut();
    // Room for what comes, so that the map grows once.
    map.reserve(16);
    if served {
        headers::clean(map);
    }
    if from_upstream {
        headers::clean_upstream(map);
        let permissions = exchange.route.as_ref().and_then(|route| route.permissions_policy.as_ref());
        headers::secure_upstream(map, exchange.tls, permissions);
        if exchange.caller.holder().is_some() {
            headers::keep_private(map);
        }
    } else {
        headers::secure_own(map, exchange.tls);
    }
    if pipeline.origins.varies() {
        map.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = &exchange.cors_origin {
            map.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            map.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            let exposed = "x-request-id, ratelimit, ratelimit-policy, retry-after";
            map.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        }
    }
    if let Some(reading) = &exchange.reading {
        reading.write(map);
    }
    // Ours, never the client's or the upstream's: the one in the answer must be the one in the records.
    map.insert(REQUEST_ID, exchange.id_text.clone());
    record(pipeline, exchange, &response, refused);
    Finished { response }
}

fn refuse(pipeline: &Pipeline, exchange: &mut Exchange, refusal: Refusal) -> Response<Body> {
    exchange.note(refusal.stage(), refusal.why());
    Measures::refusal(&refusal);
    let status = refusal.problem().kind.status();
    if status >= 500 {
        let (stage, why) = (refusal.stage().as_str(), refusal.why());
        tracing::warn!(request_id = exchange.id_str(), status, stage, why, "a request could not be served");
    }
    let page = pipeline.problem_page.filter(|_| exchange.wants_page && is_own_page(exchange));
    let html = page.map(|page| page(refusal.problem(), exchange.id_str(), exchange.language));
    let mut response = refusal.into_response(exchange.id_str());
    if let Some(html) = html {
        *response.body_mut() = html.into();
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// A page of ours, or a path where one could be: people read pages, not JSON.
fn is_own_page(exchange: &Exchange) -> bool {
    match &exchange.route {
        Some(route) => route.target == Target::Own(Surface::Console),
        None => exchange.path.as_ref().is_some_and(|path| {
            let first = path.split('/').nth(1).unwrap_or_default();
            matches!(first, "account" | "console")
        }),
    }
}

fn record(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    response: &Response<Body>,
    refused: Option<(Stage, ProblemKind)>,
) {
    let status = response.status();
    let taken = exchange.started.elapsed();
    let number = exchange.route.as_ref().map(|route| route.number);
    pipeline.measures.request(number, status.as_u16(), taken.as_secs_f64());
    exchange.recorded = true;
    let duration_us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
    let (event, outcome) = match refused {
        Some((stage, kind)) => {
            // A network over its limit is a flood until shown otherwise; a sample of it is on record, all of it is counted.
            let flood = match stage {
                Stage::Client => kind == ProblemKind::RateLimited,
                // Refused before the network limit, but the trail must not grow faster for it.
                Stage::Admit => pipeline.rates.network(exchange.address, exchange.at).is_some(),
                _ => false,
            };
            if flood && !pipeline.rates.worth_recording(exchange.address, exchange.at) {
                return;
            }
            let (status, stages) = (status.as_u16(), exchange.stages);
            let stage = stage.recorded_as();
            let outcome = if status >= 500 { Outcome::Failure } else { Outcome::Denied };
            (Event::HttpRefused { status, stage, problem: kind.slug(), duration_us, stages }, outcome)
        }
        None => (
            served_event(exchange, status, response.body().exact_len().unwrap_or(0), duration_us),
            ended(status),
        ),
    };
    pipeline.record_traffic(exchange, event, outcome);
}

fn served_event(exchange: &Exchange, status: StatusCode, bytes_out: u64, duration_us: u64) -> Event {
    Event::HttpRequest {
        status: status.as_u16(),
        duration_us,
        bytes_in: exchange.bytes_in,
        bytes_out,
        stages: exchange.stages,
        upstream: exchange.upstream.as_ref().map(Arc::clone),
    }
}

fn ended(status: StatusCode) -> Outcome {
    match status.as_u16() {
        401 | 403 => Outcome::Denied,
        400.. => Outcome::Failure,
        _ => Outcome::Success,
    }
}

/// The client went away before an answer: there is nobody to tell, but the record is owed (as 499, which several
/// servers use for this).
pub(crate) fn abandoned(pipeline: &Pipeline, exchange: &mut Exchange) {
    if exchange.recorded {
        return;
    }
    exchange.recorded = true;
    let duration_us = u64::try_from(exchange.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let gone = StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT);
    let event = served_event(exchange, gone, 0, duration_us);
    pipeline.record_traffic(exchange, event, Outcome::Failure);
}
