//! Why the pipeline stopped, and the one place where that becomes a problem document (RFC 9457).

use base::{Problem, ProblemKind};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::Body;

/// The stages of the pipeline, for refusals, audit and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Structure and sizes.
    Admit,
    /// True address and network limit.
    Client,
    /// Route look-up.
    Route,
    /// CORS and cross-site protection.
    Origin,
    /// Who is calling.
    Authenticate,
    /// May they.
    Authorize,
    /// Rate limits.
    Throttle,
    /// What the request contains.
    Assess,
    /// Input models and sizes.
    Shape,
    /// The service itself.
    Service,
    /// Output.
    Finish,
}

impl Stage {
    /// The stage's name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Client => "client",
            Self::Route => "route",
            Self::Origin => "origin",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Throttle => "throttle",
            Self::Assess => "assess",
            Self::Shape => "shape",
            Self::Service => "service",
            Self::Finish => "finish",
        }
    }

    /// The audit trail's word for the stage: it counts look-up and origin to the client's side, and output to the
    /// service's.
    pub(crate) const fn recorded_as(self) -> audit::Stage {
        match self {
            Self::Admit => audit::Stage::Admit,
            Self::Client | Self::Route | Self::Origin => audit::Stage::Client,
            Self::Authenticate => audit::Stage::Authenticate,
            Self::Authorize => audit::Stage::Authorize,
            Self::Throttle => audit::Stage::Throttle,
            Self::Assess => audit::Stage::Assess,
            Self::Shape => audit::Stage::Shape,
            Self::Service | Self::Finish => audit::Stage::Service,
        }
    }
}

/// Why a request is not served. Carries what the client is told (a [`Problem`]) and, apart from it,
/// a fixed word for the records.
#[derive(Debug)]
pub struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    problem: Problem,
    stage: Stage,
    why: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal by a service; `why` is a fixed word for the records ("upstream_down"), never input.
    pub fn new(problem: impl Into<Problem>, why: &'static str) -> Self {
        Self::at(Stage::Service, problem, why)
    }

    /// A refusal by a stage of the pipeline.
    pub(crate) fn at(stage: Stage, problem: impl Into<Problem>, why: &'static str) -> Self {
        Self(Box::new(Inner { problem: problem.into(), stage, why, headers: Vec::new() }))
    }

    /// With one more response header (`Allow`, `WWW-Authenticate`).
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// What the client is told.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// The stage that refused.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The fixed word for the records.
    pub fn why(&self) -> &'static str {
        self.0.why
    }

    /// The problem document with this request's id. Headers that every answer carries come in `finish`.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let Inner { problem, headers, .. } = *self.0;
        let mut response = Response::new(Body::from(Bytes::from(problem.document(Some(request_id)))));
        *response.status_mut() =
            StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let map = response.headers_mut();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        map.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = problem.retry_after_s {
            map.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if problem.kind == ProblemKind::Unauthenticated {
            map.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"fortissimo\""));
        }
        if problem.kind == ProblemKind::InvalidToken {
            map.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"fortissimo\", error=\"invalid_token\""),
            );
        }
        for (name, value) in headers {
            map.insert(name, value);
        }
        response
    }

    /// A 405 with the methods that are offered.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        let value = HeaderValue::from_str(allow).unwrap_or(HeaderValue::from_static(""));
        Self::at(Stage::Route, ProblemKind::MethodNotAllowed, "method_not_allowed").header(ALLOW, value)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::new(problem, "refused_by_service")
    }
}

impl From<ProblemKind> for Refusal {
    fn from(kind: ProblemKind) -> Self {
        Self::from(Problem::new(kind))
    }
}
