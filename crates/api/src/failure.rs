//! Where a failure becomes a status: the one file of this transport that decides it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::{Problem, ProblemKind};
use guard::Passed;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// Why a handler did not do what was asked: what the client is told. What the log is told, the log has been told.
#[derive(Debug)]
pub(crate) struct Failure(Problem);

impl Failure {
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(Problem::invalid(pointer, detail))
    }

    /// The same failure, where a capability calls a field otherwise than our body does.
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        for error in self.0.errors.iter_mut().filter(|error| error.pointer == from) {
            to.clone_into(&mut error.pointer);
        }
        self
    }

    #[cfg(test)]
    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<ProblemKind> for Failure {
    fn from(kind: ProblemKind) -> Self {
        Self(Problem::new(kind))
    }
}

impl From<identity::Error> for Failure {
    fn from(error: identity::Error) -> Self {
        if matches!(error, identity::Error::Internal(_) | identity::Error::Unavailable(_)) {
            tracing::error!(error = %error, "an account operation failed");
        }
        Self(error.problem())
    }
}

impl From<audit::AuditError> for Failure {
    fn from(error: audit::AuditError) -> Self {
        tracing::error!(error = %error, "the audit trail failed");
        let kind = match error {
            audit::AuditError::Store(error) if !(error.is_outage() || error.is_retryable()) => {
                ProblemKind::Internal
            }
            audit::AuditError::Keys(_) => ProblemKind::Internal,
            _ => return Self(Problem::new(ProblemKind::Unavailable).retry_after(1)),
        };
        Self(Problem::new(kind))
    }
}

impl IntoResponse for Failure {
    /// Status and problem; [`finish`] writes the document, which needs the request's id.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Stands around all handlers: writes problem documents, and keeps answers out of caches unless a handler decided.
/// The [`Problem`] stays in the response's extensions for whoever wants to count it.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<Passed>().map(|passed| passed.request_id().to_string());
    let mut response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        // The router's own refusals carry no problem; what they mean is in the status.
        let problem = response.extensions().get::<Problem>().cloned().unwrap_or_else(|| {
            Problem::new(match status {
                StatusCode::NOT_FOUND => ProblemKind::NotFound,
                StatusCode::METHOD_NOT_ALLOWED => ProblemKind::MethodNotAllowed,
                _ if status.is_client_error() => ProblemKind::MalformedRequest,
                _ => ProblemKind::Internal,
            })
        });
        response = document(response, &problem, id.as_deref());
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn document(refused: Response, problem: &Problem, id: Option<&str>) -> Response {
    let (mut parts, _) = refused.into_parts();
    let headers = &mut parts.headers;
    headers.remove(http::header::CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.kind.status() == 401 {
        // RFC 9110 §15.5.2 demands a challenge with every 401; RFC 6750 §3.1 names the error for a token.
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static(match problem.kind {
                ProblemKind::InvalidToken => "Bearer realm=\"fortissimo\", error=\"invalid_token\"",
                _ => "Bearer realm=\"fortissimo\"",
            }),
        );
    }
    Response::from_parts(parts, problem.document(id).into())
}
