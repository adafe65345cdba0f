//! What the request contains. For now the strict parse that every detector stands on; the detector (EDGE-7) comes into
//! this same place.

use audit::Threat;
use base::{Problem, ProblemKind};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, RANGE};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Inspect, Refusal};

use super::Stop;
use super::route::Routed;
use super::throttle::Throttled;

/// Byte ranges of one request. Many small ones make a service do much for little.
const MAX_RANGES: usize = 16;

/// Proof: the content was looked at as the route demands.
#[derive(Debug)]
pub struct Assessed {
    pub(crate) routed: Routed,
}

/// Looks at what the request says about its content. Path and query were parsed strictly in `admit`.
pub fn assess(_pipeline: &Pipeline, exchange: &mut Exchange, throttled: Throttled) -> Result<Assessed, Stop> {
    let Throttled { routed } = throttled;
    let finding = match routed.route.inspect {
        Inspect::Off => {
            exchange.note(Stage::Assess, "off");
            return Ok(Assessed { routed });
        }
        Inspect::Block | Inspect::Observe => find(routed.admitted.request.headers()),
    };
    match finding {
        Some(finding) if routed.route.inspect == Inspect::Block => {
            exchange.note(Stage::Assess, finding.code);
            let problem = Problem::new(ProblemKind::MalformedRequest).detail(finding.detail);
            Err(Refusal::at(Stage::Assess, problem, finding.code).into())
        }
        Some(finding) => {
            exchange.note(Stage::Assess, finding.code);
            Ok(Assessed { routed })
        }
        None => {
            // What was looked for was not found. Scores and methods other than this come with the detector; what the
            // strict parse refuses is named by the stage's code, not by a score that nobody computed.
            exchange.threat = Some(Threat::CLEAN);
            exchange.note(Stage::Assess, "ok");
            Ok(Assessed { routed })
        }
    }
}

struct Finding {
    code: &'static str,
    detail: &'static str,
}

fn find(headers: &HeaderMap) -> Option<Finding> {
    if headers.get(CONTENT_TYPE).is_some_and(|value| !is_media_type(value.as_bytes())) {
        return Some(Finding { code: "bad-media-type", detail: "the Content-Type is not a media type" });
    }
    let ranges =
        headers.get_all(RANGE).iter().map(|v| 1 + v.as_bytes().iter().filter(|b| **b == b',').count());
    if ranges.sum::<usize>() > MAX_RANGES {
        return Some(Finding { code: "too-many-ranges", detail: "the request asks for too many ranges" });
    }
    None
}

/// `type/subtype` of tokens (RFC 9110 §8.3.1), then nothing or parameters. A detector chooses its parser by it, so
/// what could be read in two ways is refused.
fn is_media_type(value: &[u8]) -> bool {
    let essence = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let mut halves = essence.split(|b| *b == b'/');
    let is_token = |part: Option<&[u8]>| {
        part.is_some_and(|part| {
            !part.is_empty()
                && part.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
        })
    };
    is_token(halves.next()) && is_token(halves.next()) && halves.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_type_and_subtype() {
        for right in ["text/html", "application/json; charset=utf-8", "multipart/form-data; boundary=\"a/b\""]
        {
            assert!(is_media_type(right.as_bytes()), "{right}");
        }
        for wrong in ["", "json", "a/b/c", "application/json, text/html", "/", "a /b", "a/"] {
            assert!(!is_media_type(wrong.as_bytes()), "{wrong:?}");
        }
    }
}
