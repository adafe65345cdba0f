//! The bulk API of Elasticsearch and OpenSearch. Every document has its deduplication key as `_id` and is
//! *created*: one that is there already (409) counts as taken, so that nothing is doubled.

use ::http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;

use super::{Endpoint, HttpTarget, Surroundings, Trouble, Verdict, code};
use crate::form::Record;

pub(crate) struct Elastic {
    endpoint: Endpoint,
    index: String,
}

/// What is read of the answer.
#[derive(Deserialize)]
struct Bulk {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Elastic {
    pub(super) fn open(target: &HttpTarget, index: &str, around: &Surroundings) -> Result<Self, String> {
        let endpoint =
            Endpoint::open(target, "/_bulk", "ApiKey", around)?.with(CONTENT_TYPE, "application/x-ndjson");
        Ok(Self { endpoint, index: index.to_owned() })
    }

    pub(super) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        let mut body = String::new();
        for record in records {
            body.push_str(&json!({ "create": { "_index": self.index, "_id": record.dedup } }).to_string());
            body.push('\n');
            body.push_str(&record.text);
            body.push('\n');
        }
        let answer = self.endpoint.post(body.into_bytes()).await?;
        if !answer.status.is_success() {
            return Err(Trouble::of(&answer));
        }
        if !answer.whole {
            return Err(Trouble::later("the answer is longer than 1 MiB; use smaller batches"));
        }
        let bulk: Bulk = serde_json::from_slice(&answer.body)
            .map_err(|_| Trouble::later("the answer is not one of the bulk API"))?;
        if bulk.items.len() != records.len() {
            return Err(Trouble::later("the answer speaks of another number of documents"));
        }
        Ok(bulk.items.into_iter().map(|item| verdict(item.create)).collect())
    }
}

fn verdict(done: Created) -> Verdict {
    let reason = || {
        let kind = done.error.as_ref().and_then(|error| error.kind.as_deref()).unwrap_or("no reason");
        format!("{} {}", done.status, code(kind))
    };
    match done.status {
        200..=299 | 409 => Verdict::Accepted,
        400 | 413 | 422 => Verdict::Refused(reason()),
        _ => Verdict::Later(reason()),
    }
}
