//! Splunk's HTTP event collector. With indexer acknowledgement a record counts as taken only once the indexer
//! says so; without, when the collector has answered.

use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderName, HeaderValue, Uri};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Endpoint, HttpTarget, Surroundings, Trouble, Verdict, all, code};
use crate::form::{Form, Record};
use crate::http::Answer;

/// How often the indexer is asked, with pauses that double: about half a minute. After that the batch is sent again.
const ASK_TIMES: u32 = 20;
const FIRST_ASK: Duration = Duration::from_millis(50);
const LONGEST_ASK: Duration = Duration::from_secs(2);

pub(crate) struct Splunk {
    endpoint: Endpoint,
    /// Where acknowledgements are asked for, if they are.
    acks: Option<Uri>,
    index: Option<String>,
    source_type: &'static str,
    json: bool,
    host: String,
}

#[derive(Deserialize)]
struct Said {
    text: Option<String>,
    code: Option<i64>,
    #[serde(rename = "invalid-event-number")]
    invalid: Option<usize>,
    #[serde(rename = "ackId")]
    ack: Option<u64>,
}

/// The collector's code for an event that it cannot read.
const INVALID: [i64; 5] = [5, 6, 12, 13, 15];

impl Splunk {
    pub(super) fn open(
        target: &HttpTarget,
        index: Option<String>,
        acknowledge: bool,
        around: &Surroundings,
    ) -> Result<Self, String> {
        if target.token.is_none() {
            return Err("token: the collector's token is missing".to_owned());
        }
        let path = "/services/collector/event";
        let mut endpoint =
            Endpoint::open(target, path, "Splunk", around)?.with(CONTENT_TYPE, "application/json");
        let mut acks = None;
        if acknowledge {
            // The channel keeps acknowledgements of several senders apart. It must be a UUID and stay the same.
            let id = channel(&around.writer.deployment);
            let value = HeaderValue::try_from(id).map_err(|_| "acknowledge: no channel".to_owned())?;
            endpoint.headers.insert(HeaderName::from_static("x-splunk-request-channel"), value);
            let whole = endpoint.url.to_string();
            let base = whole.strip_suffix("/event").unwrap_or(&whole);
            acks = Some(
                format!("{base}/ack")
                    .parse()
                    .map_err(|_| "url: no address for acknowledgements".to_owned())?,
            );
        }
        let source_type = match around.writer.form {
            Form::Ocsf => "fortissimo:ocsf",
            Form::Ecs => "fortissimo:ecs",
            Form::Cef => "fortissimo:cef",
        };
        let (json, host) = (around.writer.is_json(), around.writer.deployment.to_string());
        Ok(Self { endpoint, acks, index, source_type, json, host })
    }

    pub(super) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        let body: String = records.iter().map(|record| self.event(record)).collect();
        let answer = self.endpoint.post(body.into_bytes()).await?;
        let said: Option<Said> = serde_json::from_slice(&answer.body).ok();
        if !answer.status.is_success() {
            return refused(&answer, said, records.len());
        }
        let Some(acks) = self.acks.clone() else { return Ok(all(records)) };
        let id = said.and_then(|said| said.ack).ok_or_else(|| {
            Trouble::later("no ackId in the answer; is indexer acknowledgement on for the token?")
        })?;
        self.acknowledged(&acks, id).await?;
        Ok(all(records))
    }

    async fn acknowledged(&self, acks: &Uri, id: u64) -> Result<(), Trouble> {
        let mut pause = FIRST_ASK;
        let mut last = "the indexer did not acknowledge in time".to_owned();
        for _ in 0..ASK_TIMES {
            let body = Bytes::from(json!({ "acks": [id] }).to_string());
            match self.endpoint.http.post(acks, &self.endpoint.headers, body).await {
                Ok(answer) if answer.status.is_success() => {
                    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                    if said["acks"][id.to_string()] == json!(true) {
                        return Ok(());
                    }
                }
                // The records are there already: asking again is cheaper than sending again.
                Ok(answer) => {
                    last = format!("the question for acknowledgement was answered {}", answer.status)
                }
                Err(error) => last = error,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_ASK);
        }
        Err(Trouble::later(last))
    }

    fn event(&self, record: &Record) -> String {
        let event = match serde_json::from_str(&record.text) {
            Ok(event) if self.json => event,
            _ => Value::String(record.text.clone()),
        };
        let ms = record.at.as_millis();
        let mut whole = json!({
            "time": format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000)),
            "host": self.host,
            "source": "fortissimo",
            "sourcetype": self.source_type,
            "event": event,
            "fields": { "dedup": record.dedup },
        });
        if let Some(index) = record.index {
            // Indexed fields are text.
            whole["fields"]["log_index"] = json!(index.to_string());
        }
        if let Some(index) = &self.index {
            whole["index"] = json!(index);
        }
        whole.to_string()
    }
}

/// The collector names the first event that it cannot read; what stands before it was taken or will be again.
fn refused(answer: &Answer, said: Option<Said>, records: usize) -> Result<Vec<Verdict>, Trouble> {
    let Some(said) = said else { return Err(Trouble::of(answer)) };
    let reason = format!("{} {}", answer.status.as_u16(), code(said.text.as_deref().unwrap_or("no reason")));
    let readable = said.code.is_some_and(|code| INVALID.contains(&code));
    match said.invalid.filter(|number| readable && *number < records) {
        Some(number) => {
            Ok((0..records)
                .map(|at| {
                    if at == number {
                        Verdict::Refused(reason.clone())
                    } else {
                        Verdict::Later(reason.clone())
                    }
                })
                .collect())
        }
        None => Err(Trouble { reason, ..Trouble::of(answer) }),
    }
}

/// A UUID from the deployment's name.
fn channel(deployment: &str) -> String {
    let digits = hex::encode(&crypto::mac::sha256(deployment.as_bytes())[..16]);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
