//! One HTTP client for every sink that speaks HTTP: POST, bounded in time and in what it reads.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::tls::TlsConfig;

/// More than this is not read of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// What an error message shows of an answer.
const SHOWN: usize = 200;

/// A client of one other side. It follows no redirects and uses no proxy.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// What the other side said.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// After what time the other side wants to be asked again.
    pub retry_after: Option<Duration>,
    /// At most a mebibyte.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Http {
    /// A client; `timeout` bounds a whole exchange, from the connection to the end of the answer.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub fn new(tls: &TlsConfig, timeout: Duration) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeout));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config(false)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client, timeout })
    }

    /// Sends `body` and reads the answer; the error is one sentence without secrets.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn post(&self, url: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("Fortissimo"));
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| whole(&error))?;
            let (head, mut rest) = response.into_parts();
            let retry_after = head.headers.get(RETRY_AFTER).and_then(seconds);
            let (mut body, mut complete) = (Vec::new(), true);
            while let Some(frame) = rest.frame().await {
                let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
                let Some(data) = frame.data_ref() else { continue };
                let room = MAX_ANSWER - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    complete = false;
                    break;
                }
            }
            Ok(Answer { status: head.status, retry_after, body, whole: complete })
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no whole answer within {} ms", self.timeout.as_millis())),
        }
    }
}

/// The form that the seconds have; a date is left alone, our own back-off does.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The client's own words hide why; the sources say it.
fn whole(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    printable(&text)
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
