//! OpenTelemetry logs: OTLP/HTTP with protobuf (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! The few messages are declared here in the shapes of `opentelemetry/proto/logs/v1/logs.proto`; the crate that has
//! them all would bring an SDK along. A test lets PyPI's `opentelemetry-proto` read what is sent.

use ::http::header::CONTENT_TYPE;
use prost::Message as _;

use super::{Endpoint, HttpTarget, Surroundings, Trouble, Verdict, all};
use crate::form::Record;

pub(crate) struct Otlp {
    endpoint: Endpoint,
    deployment: String,
    version: String,
}

impl Otlp {
    pub(super) fn open(target: &HttpTarget, around: &Surroundings) -> Result<Self, String> {
        let endpoint = Endpoint::open(target, "/v1/logs", "Bearer", around)?
            .with(CONTENT_TYPE, "application/x-protobuf");
        let (deployment, version) = (around.writer.deployment.to_string(), around.writer.version.to_string());
        Ok(Self { endpoint, deployment, version })
    }

    pub(super) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        let answer = self.endpoint.post(self.encode(records)).await?;
        if !answer.status.is_success() {
            return Err(Trouble::of(&answer));
        }
        let said = wire::Response::decode(&*answer.body).unwrap_or_default();
        let rejected = said.partial_success.map_or(0, |partial| partial.rejected_log_records);
        if rejected > 0 && records.len() > 1 {
            // OTLP does not say which. Alone each gets a verdict of its own; those that were taken come again with
            // the same key.
            return Err(Trouble {
                reason: format!("{rejected} of {} records were rejected", records.len()),
                said: None,
                what: super::What::Refused,
            });
        }
        if rejected > 0 {
            return Ok(vec![Verdict::Refused("rejected".to_owned())]);
        }
        Ok(all(records))
    }

    fn encode(&self, records: &[&Record]) -> Vec<u8> {
        let resource = vec![
            wire::text("service.name", "fortissimo"),
            wire::text("service.version", &self.version),
            wire::text("service.instance.id", &self.deployment),
        ];
        let scope = wire::Scope { name: "fortissimo.audit".to_owned(), version: self.version.clone() };
        let log_records = records.iter().map(|record| log_record(record)).collect();
        wire::Request {
            resource_logs: vec![wire::ResourceLogs {
                resource: Some(wire::Resource { attributes: resource }),
                scope_logs: vec![wire::ScopeLogs { scope: Some(scope), log_records }],
            }],
        }
        .encode_to_vec()
    }
}

fn log_record(record: &Record) -> wire::LogRecord {
    let nanoseconds = u64::try_from(record.at.as_millis()).unwrap_or(0).saturating_mul(1_000_000);
    let mut attributes = vec![wire::text("fortissimo.dedup", &record.dedup)];
    if let Some(index) = record.index {
        attributes.push(wire::integer("fortissimo.log.index", i64::try_from(index).unwrap_or(i64::MAX)));
    }
    let (severity_number, severity_text) = severity(record.severity);
    wire::LogRecord {
        time_unix_nano: nanoseconds,
        observed_time_unix_nano: nanoseconds,
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(wire::AnyValue { value: Some(wire::Value::Text(record.text.clone())) }),
        attributes,
        event_name: record.kind.clone(),
    }
}

/// OpenTelemetry's severity for OCSF's.
const fn severity(ocsf: u8) -> (i32, &'static str) {
    match ocsf {
        0 | 1 => (9, "INFO"),
        2 => (10, "INFO2"),
        3 => (13, "WARN"),
        4 => (17, "ERROR"),
        5 => (21, "FATAL"),
        _ => (24, "FATAL4"),
    }
}

/// The messages, with the tags of opentelemetry-proto 1.x.
mod wire {
    use prost::{Message, Oneof};

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "1")]
        pub(super) resource_logs: Vec<ResourceLogs>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct ResourceLogs {
        #[prost(message, optional, tag = "1")]
        pub(super) resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub(super) scope_logs: Vec<ScopeLogs>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub(super) attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct ScopeLogs {
        #[prost(message, optional, tag = "1")]
        pub(super) scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        pub(super) log_records: Vec<LogRecord>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Scope {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) version: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct LogRecord {
        #[prost(fixed64, tag = "1")]
        pub(super) time_unix_nano: u64,
        #[prost(fixed64, tag = "11")]
        pub(super) observed_time_unix_nano: u64,
        #[prost(int32, tag = "2")]
        pub(super) severity_number: i32,
        #[prost(string, tag = "3")]
        pub(super) severity_text: String,
        #[prost(message, optional, tag = "5")]
        pub(super) body: Option<AnyValue>,
        #[prost(message, repeated, tag = "6")]
        pub(super) attributes: Vec<KeyValue>,
        #[prost(string, tag = "12")]
        pub(super) event_name: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct KeyValue {
        #[prost(string, tag = "1")]
        pub(super) key: String,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<AnyValue>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct AnyValue {
        #[prost(oneof = "Value", tags = "1, 3")]
        pub(super) value: Option<Value>,
    }

    #[derive(Clone, PartialEq, Oneof)]
    pub(super) enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(int64, tag = "3")]
        Integer(i64),
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Response {
        #[prost(message, optional, tag = "1")]
        pub(super) partial_success: Option<PartialSuccess>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct PartialSuccess {
        #[prost(int64, tag = "1")]
        pub(super) rejected_log_records: i64,
        #[prost(string, tag = "2")]
        pub(super) error_message: String,
    }

    pub(super) fn text(key: &str, value: &str) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Text(value.to_owned())) }) }
    }

    pub(super) fn integer(key: &str, value: i64) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Integer(value)) }) }
    }
}
