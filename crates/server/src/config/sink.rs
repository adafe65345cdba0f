//! `[[sink]]`: other systems that receive the audit log.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Period, SecretRef, Size};

/// Another system that receives the audit log, event by event, at least once. Every record carries a key by which one
/// that came twice is recognised. A sink that is away slows nothing down: it goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Its name, in lower-case letters, digits and hyphens. How far it has come is remembered under this name.
    pub name: String,
    /// `syslog` (RFC 5424 over TLS 1.3), `otlp` (OpenTelemetry logs over HTTP), `splunk` (HTTP event collector), `elastic`
    /// (bulk API of Elasticsearch and OpenSearch), `webhook` (CloudEvents, signed) or `files` (JSON lines with manifests).
    pub kind: SinkKind,
    /// How events are written: `ocsf` (OCSF 1.8 JSON), `ecs` (Elastic Common Schema) or `cef` (ArcSight, text; not for
    /// `elastic` and `files`).
    #[serde(default)]
    pub form: SinkForm,
    /// For `syslog`: host and port of the receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub address: Option<String>,
    /// For the kinds over HTTP: the receiver's address. If it has no path, the usual one of the kind is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// By reference: the collector's token (`splunk`), API key (`elastic`), bearer token (`otlp`), or the signing key of
    /// Standard Webhooks, `whsec_` and base64 (`webhook`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub token: Option<SecretRef>,
    /// For `elastic`: index or data stream. For `splunk`: index; absent: the token's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub index: Option<String>,
    /// For `splunk`: whether to wait until the indexer acknowledges; the token must have that switched on.
    #[serde(default)]
    pub acknowledge: bool,
    /// PEM file of the authority that signed the receiver's certificate; then only that one is trusted. Absent: the
    /// system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate and its chain, for receivers that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub client_cert: Option<PathBuf>,
    /// PEM file of its key; readable by its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub client_key: Option<PathBuf>,
    /// For `files`: the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub folder: Option<PathBuf>,
    /// For `files`: a file is closed when it is larger than this.
    #[serde(default = "max_file")]
    pub max_file: Size,
    /// For `files`: a file is closed when it is older than this and something is to be written.
    #[serde(default = "max_age")]
    pub max_age: Period,
    /// For `syslog`: the longest message; what is longer is sent without its details.
    #[serde(default = "max_message")]
    pub max_message: Size,
    /// Kinds of events, such as `["session.*", "key.revoked"]`; empty: all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// OCSF severity from which on events are sent: 1 (all) to 6.
    #[serde(default = "min_severity")]
    pub min_severity: u8,
    /// Events that are sent together at most, 1 to 1000.
    #[serde(default = "batch")]
    pub batch: u16,
    /// How long an event waits for others.
    #[serde(default = "flush_every")]
    pub flush_every: Period,
    /// Limit of one exchange with the receiver.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// How often the newest signed checkpoint of the log goes along, if the log has grown.
    #[serde(default = "checkpoint_every")]
    pub checkpoint_every: Period,
}

/// The kind of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SinkKind {
    /// Syslog over TLS.
    Syslog,
    /// OpenTelemetry.
    Otlp,
    /// Splunk.
    Splunk,
    /// Elasticsearch, OpenSearch.
    Elastic,
    /// Signed webhook.
    Webhook,
    /// Files.
    Files,
}

impl SinkKind {
    /// As written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Otlp => "otlp",
            Self::Splunk => "splunk",
            Self::Elastic => "elastic",
            Self::Webhook => "webhook",
            Self::Files => "files",
        }
    }
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SinkForm {
    /// OCSF 1.8.
    #[default]
    Ocsf,
    /// Common Event Format.
    Cef,
    /// Elastic Common Schema.
    Ecs,
}

const fn max_file() -> Size {
    Size::from_mib(16)
}

const fn max_age() -> Period {
    Period::from_hours(1)
}

const fn max_message() -> Size {
    Size::from_kib(8)
}

const fn min_severity() -> u8 {
    1
}

const fn batch() -> u16 {
    500
}

const fn flush_every() -> Period {
    Period::from_secs(1)
}

const fn timeout() -> Period {
    Period::from_secs(10)
}

const fn checkpoint_every() -> Period {
    Period::from_secs(10)
}
