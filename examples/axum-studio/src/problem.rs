//! Refusals as problem documents (RFC 9457).

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};

/// A request that is answered with a problem document.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    detail: &'static str,
}

impl Refused {
    /// With a status and a sentence for people.
    pub const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail }
    }

    /// Something of ours failed; the log says what, the client does not hear it.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        eprintln!("a request could not be served: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let document = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (self.status, Json(document)).into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            fields.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Fortissimo-Assertion"));
        }
        response
    }
}
