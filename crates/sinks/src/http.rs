//! One HTTP client for every sink that speaks HTTP: POST, bounded in time and in what it reads.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use outbound::Outbound;

use crate::TlsConfig;

/// More than this is not read of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// What an error message shows of an answer.
const SHOWN: usize = 200;

/// A client of one other side.
#[derive(Clone)]
pub struct Http(Outbound);

/// What the other side said.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// After what time the other side wants to be asked again.
    pub retry_after: Option<Duration>,
    /// At most a mebibyte.
    pub body: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Http {
    /// A client; `timeout` bounds a whole exchange, from the connection to the end of the answer.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub fn new(tls: &TlsConfig, timeout: Duration) -> Result<Self, String> {
        Outbound::new(tls, timeout, MAX_ANSWER).map(Self)
    }

    /// Sends `body` and reads the answer; the error is one sentence without secrets.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn post(&self, url: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers.clone();
        let sent = self.0.send_partly(request).await;
        let (answer, whole) = sent.map_err(|error| printable(&error.to_string()))?;
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(seconds);
        Ok(Answer { status: answer.status(), retry_after, body: answer.into_body(), whole })
    }
}

/// The form that the seconds have; a date is left alone, our own back-off does.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Text from outside for a message: bounded, on one line.
pub(crate) fn printable(text: &str) -> String {
    audit::Detail::new(text).as_str().chars().take(SHOWN).collect()
}

impl Answer {
    /// The status and the beginning of the answer.
    pub fn describe(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * SHOWN)]);
        let text = printable(text.trim());
        if text.is_empty() { self.status.to_string() } else { format!("{}: {text}", self.status) }
    }
}
