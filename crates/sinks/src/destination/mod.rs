//! Where records go: one file for each kind of other side, all with the same two promises. A verdict of
//! *accepted* means that the other side has it; whatever else happens, nothing is lost and the record is tried again.

mod elastic;
mod files;
mod otlp;
mod splunk;
mod syslog;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use base::{Clock, Secret};
use bytes::Bytes;

use crate::TlsConfig;
use crate::form::{Form, Record, Writer};
use crate::http::{Answer, Http, printable};

/// The kind of other side, and where it is. A closed set.
#[derive(Debug, Clone)]
pub enum Target {
    /// Syslog (RFC 5424) over TLS 1.3 with octet counting (RFC 5425).
    Syslog(SyslogConfig),
    /// OpenTelemetry logs: OTLP over HTTP, protobuf.
    Otlp(HttpTarget),
    /// Splunk's HTTP event collector. `acknowledge` waits until the indexer has it.
    Splunk {
        /// Where.
        http: HttpTarget,
        /// Splunk's index; `None`: the token's own.
        index: Option<String>,
        /// Whether the token has indexer acknowledgement switched on.
        acknowledge: bool,
    },
    /// Elasticsearch's or OpenSearch's bulk API.
    Elastic {
        /// Where.
        http: HttpTarget,
        /// Index or data stream.
        index: String,
    },
    /// CloudEvents in a batch, signed as Standard Webhooks say.
    Webhook(WebhookConfig),
    /// JSON lines in files, with manifests.
    Files(FilesConfig),
}

/// A syslog receiver.
#[derive(Debug, Clone)]
pub struct SyslogConfig {
    /// Host name or address; also what its certificate must say.
    pub host: String,
    /// Port; 6514 by custom.
    pub port: u16,
    /// Whom to trust and our own certificate.
    pub tls: TlsConfig,
    /// The host name in every message.
    pub origin: String,
    /// Longest message in bytes; what is longer is sent without its details.
    pub max_message: usize,
}

/// A receiver over HTTP.
#[derive(Clone)]
pub struct HttpTarget {
    /// Its address.
    pub url: String,
    /// Its token, password or key, as its kind wants it.
    pub token: Option<Arc<Secret<String>>>,
    /// Whom to trust and our own certificate.
    pub tls: TlsConfig,
}

impl std::fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpTarget({})", self.url)
    }
}

/// A signed webhook.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where; the token is the signing key, `whsec_` and base64.
    pub http: HttpTarget,
    /// CloudEvents `source`: names this deployment, such as its public address.
    pub source: String,
}

/// A folder of JSON lines.
#[derive(Debug, Clone)]
pub struct FilesConfig {
    /// The folder; made with mode 0700 if absent.
    pub folder: PathBuf,
    /// A file is closed when it is larger than this many bytes.
    pub max_bytes: u64,
    /// A file is closed when it is older than this many milliseconds.
    pub max_age_ms: i64,
}

impl FilesConfig {
    /// Files of at most 16 MiB and an hour.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, max_bytes: 16 << 20, max_age_ms: 3_600_000 }
    }
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The other side has it.
    Accepted,
    /// Not now; the same record may be taken later.
    Later(String),
    /// The other side will not have this record.
    Refused(String),
}

/// Why nothing is known to have been taken.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// One line without personal data, for the trail and the log.
    pub(crate) reason: String,
    /// What the other side said, for an operator who tests the sink; not kept anywhere.
    pub(crate) said: Option<String>,
    pub(crate) what: What,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Try again, not before this time if the other side named one.
    Later(Option<Duration>),
    /// It is the content of the records: at least one of them will never be taken.
    Refused,
}

impl Trouble {
    pub(crate) fn later(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), said: None, what: What::Later(None) }
    }

    /// What a status other than success means, unless the protocol says more.
    fn of(answer: &Answer) -> Self {
        let what = match answer.status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                What::Refused
            }
            _ => What::Later(answer.retry_after),
        };
        Self { reason: format!("answered {}", answer.status), said: Some(answer.describe()), what }
    }
}

/// An open destination.
pub(crate) enum Destination {
    Syslog(syslog::Syslog),
    Otlp(otlp::Otlp),
    Splunk(splunk::Splunk),
    Elastic(elastic::Elastic),
    Webhook(webhook::Webhook),
    Files(files::Files),
}

/// What a destination needs beside its own settings.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) writer: Writer,
    pub(crate) clock: Clock,
    pub(crate) timeout: Duration,
}

impl Destination {
    /// Opens it without speaking to anybody. The error begins with the name of the field that is wrong.
    pub(crate) fn open(target: &Target, around: &Surroundings) -> Result<Self, String> {
        let form = around.writer.form;
        Ok(match target {
            Target::Syslog(config) => Self::Syslog(syslog::Syslog::open(config, around)?),
            Target::Otlp(http) => Self::Otlp(otlp::Otlp::open(http, around)?),
            Target::Splunk { http, index, acknowledge } => {
                Self::Splunk(splunk::Splunk::open(http, index.clone(), *acknowledge, around)?)
            }
            Target::Elastic { .. } | Target::Files(_) if form == Form::Cef => {
                return Err(
                    "form: \"cef\" is text, and this kind of sink takes JSON; use \"ocsf\" or \"ecs\""
                        .to_owned(),
                );
            }
            Target::Elastic { http, index } => Self::Elastic(elastic::Elastic::open(http, index, around)?),
            Target::Webhook(config) => Self::Webhook(webhook::Webhook::open(config, around)?),
            Target::Files(config) => Self::Files(files::Files::open(config, around)),
        })
    }

    /// Sends records, in their order; one verdict for each, in the same order.
    pub(crate) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        match self {
            Self::Syslog(to) => to.send(records).await,
            Self::Otlp(to) => to.send(records).await,
            Self::Splunk(to) => to.send(records).await,
            Self::Elastic(to) => to.send(records).await,
            Self::Webhook(to) => to.send(records).await,
            Self::Files(to) => to.send(records).await,
        }
    }
}

/// An address and the headers that every request carries.
#[derive(Clone)]
struct Endpoint {
    http: Http,
    url: Uri,
    headers: HeaderMap,
}

impl Endpoint {
    /// `path` is added if the address names no path of its own; `scheme` stands before the token.
    fn open(target: &HttpTarget, path: &str, scheme: &str, around: &Surroundings) -> Result<Self, String> {
        let url = address(&target.url, path)?;
        let mut headers = HeaderMap::new();
        if let (Some(token), false) = (&target.token, scheme.is_empty()) {
            let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose()))
                .map_err(|_| "token: has characters that no header may carry".to_owned())?;
            value.set_sensitive(true);
            headers.insert(::http::header::AUTHORIZATION, value);
        }
        Ok(Self { http: Http::new(&target.tls, around.timeout)?, url, headers })
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    async fn post(&self, body: Vec<u8>) -> Result<Answer, Trouble> {
        self.http.post(&self.url, &self.headers, Bytes::from(body)).await.map_err(Trouble::later)
    }
}

/// An absolute `http` or `https` address.
fn address(text: &str, path: &str) -> Result<Uri, String> {
    let wrong = || format!("url: expected an address such as https://siem.example.com{path}");
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let usable =
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty());
    if !usable || url.authority().is_some_and(|whole| whole.as_str().contains('@')) {
        return Err(wrong());
    }
    if url.path() != "/" || url.query().is_some() {
        return Ok(url);
    }
    format!("{}{path}", text.trim_end_matches('/')).parse().map_err(|_| wrong())
}

/// One verdict for all.
fn all(records: &[&Record]) -> Vec<Verdict> {
    vec![Verdict::Accepted; records.len()]
}

/// A word from outside that is safe in the trail: a code of the other side's vocabulary.
fn code(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    printable(&text.chars().filter(plain).take(48).collect::<String>())
}

pub(crate) use webhook::{Envelope, cloud_event};
