//! CloudEvents 1.0 in the batched JSON form, signed as Standard Webhooks want it:
//! `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64 of HMAC-SHA-256>`
//! over `id.timestamp.body` (<https://www.standardwebhooks.com>).

use ::http::{HeaderMap, HeaderName, HeaderValue};
use base::{Clock, Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Surroundings, Trouble, Verdict, WebhookConfig, address, all};
use crate::form::Record;
use crate::http::Http;

/// Standard Webhooks want keys of 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

pub(crate) struct Webhook {
    envelope: Envelope,
    json: bool,
}

impl Webhook {
    pub(super) fn open(config: &WebhookConfig, around: &Surroundings) -> Result<Self, String> {
        Ok(Self {
            envelope: Envelope::open(config, around.timeout, around.clock.clone())?,
            json: around.writer.is_json(),
        })
    }

    pub(super) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        let events: Vec<Value> = records.iter().map(|record| self.event(record)).collect();
        let id = match records {
            [] => return Ok(Vec::new()),
            [only] => only.dedup.clone(),
            // The same batch has the same id when it is sent again.
            [first, .., last] => {
                format!("{}-{}", first.dedup, last.dedup.split_once(':').map_or("", |(_, place)| place))
            }
        };
        let body = Value::Array(events).to_string();
        self.envelope.post(&id, "application/cloudevents-batch+json", body).await?;
        Ok(all(records))
    }

    fn event(&self, record: &Record) -> Value {
        let data = match serde_json::from_str(&record.text) {
            Ok(data) if self.json => data,
            _ => Value::String(record.text.clone()),
        };
        let mut event = cloud_event(&record.dedup, &self.envelope.source, &record.kind, record.at);
        event.insert(
            "datacontenttype".into(),
            json!(if self.json { "application/json" } else { "text/plain" }),
        );
        event.insert("data".into(), data);
        if let Some(index) = record.index {
            // CloudEvents integers have 32 bits only.
            event.insert("logindex".into(), json!(index.to_string()));
        }
        Value::Object(event)
    }
}

/// The attributes that every CloudEvent has.
pub(crate) fn cloud_event(id: &str, source: &str, kind: &str, at: Timestamp) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("specversion".into(), json!("1.0"));
    event.insert("id".into(), json!(id));
    event.insert("source".into(), json!(source));
    event.insert("type".into(), json!(format!("fortissimo.{kind}")));
    event.insert("time".into(), json!(at.to_rfc3339()));
    event
}

/// Signs and posts messages; used by the sink and by the alerts.
#[derive(Clone)]
pub(crate) struct Envelope {
    http: Http,
    url: ::http::Uri,
    signer: Signer,
    clock: Clock,
    /// CloudEvents `source`.
    pub(crate) source: String,
}

impl Envelope {
    pub(crate) fn open(
        config: &WebhookConfig,
        timeout: std::time::Duration,
        clock: Clock,
    ) -> Result<Self, String> {
        let key = config.http.token.as_ref().ok_or_else(|| "token: the signing key is missing".to_owned())?;
        Ok(Self {
            http: Http::new(&config.http.tls, timeout)?,
            url: address(&config.http.url, "/")?,
            signer: Signer::parse(key)?,
            clock,
            source: config.source.clone(),
        })
    }

    /// Sends one message; every status of success means that the other side has it.
    pub(crate) async fn post(&self, id: &str, kind: &'static str, body: String) -> Result<(), Trouble> {
        let now = self.clock.now().as_secs();
        let mut headers = HeaderMap::new();
        let signed = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now.to_string()),
            ("webhook-signature", self.signer.sign(id, now, &body)),
        ];
        for (name, value) in signed {
            let value = HeaderValue::try_from(value).map_err(|_| Trouble::later("an id is not a header"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(::http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let answer = self.http.post(&self.url, &headers, Bytes::from(body)).await.map_err(Trouble::later)?;
        if answer.status.is_success() { Ok(()) } else { Err(Trouble::of(&answer)) }
    }
}

/// The signing key.
#[derive(Clone)]
pub(crate) struct Signer(std::sync::Arc<Secret<Vec<u8>>>);

impl Signer {
    /// From `whsec_` and base64; the prefix may be missing.
    pub(crate) fn parse(text: &Secret<String>) -> Result<Self, String> {
        let text = text.expose().trim();
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        let key = STANDARD.decode(encoded).ok().filter(|key| KEY_BYTES.contains(&key.len()));
        key.map(|key| Self(std::sync::Arc::new(Secret::new(key))))
            .ok_or_else(|| "token: expected \"whsec_\" and 24 to 64 bytes in base64".to_owned())
    }

    pub(crate) fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        sign(self.0.expose(), id, timestamp_s, body)
    }
}

/// The value of `webhook-signature`.
pub(crate) fn sign(key: &[u8], id: &str, timestamp_s: i64, body: &str) -> String {
    let mac = crypto::mac::hmac_sha256(key, format!("{id}.{timestamp_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac))
}
