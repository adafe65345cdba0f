//! The log's side of C2SP tlog-witness.

use audit::Evidence;
use bytes::Bytes;
use crypto::log::{AddCheckpoint, Checkpoint, VerifierKey, accept_cosignatures, size_from_conflict};
use futures_util::future::join_all;
use http::header::HeaderMap;
use http::{StatusCode, Uri};
use parking_lot::Mutex;
use sinks::Http;

use super::{address, client};
use crate::config::Resolved;
use crate::services::Services;

/// How often a witness may correct the size that we believed it to have.
const CORRECTIONS: usize = 3;

/// All witnesses of the log.
pub(super) struct Witnesses {
    all: Vec<Witness>,
    pub(super) every_ms: i64,
}

struct Witness {
    http: Http,
    url: Uri,
    key: VerifierKey,
    /// The size up to which it has followed, as far as we know.
    follows: Mutex<u64>,
}

impl Witnesses {
    pub(super) fn open(config: &Resolved) -> Result<Option<Self>, String> {
        let audit = &config.audit;
        let open = |one: &crate::config::LogWitness| {
            let url = address(&format!("{}/add-checkpoint", one.url.trim_end_matches('/')))?;
            let http = client(one.ca_file.as_deref())?;
            Ok(Witness { http, url, key: one.vkey.0.clone(), follows: Mutex::new(0) })
        };
        let all: Vec<Witness> = audit.witnesses.iter().map(open).collect::<Result<_, String>>()?;
        let every_ms = audit.witness_every.as_ms_i64();
        Ok((!all.is_empty()).then_some(Self { all, every_ms }))
    }

    /// Asks every witness about the newest checkpoint; the answer is the note with all their cosignatures. `None` if
    /// there is nothing new to ask about.
    pub(super) async fn ask(&self, services: &Services) -> Result<Option<Evidence>, String> {
        let note = services.audit.checkpoint().await.map_err(|error| error.to_string())?;
        let Some(note) = note else { return Ok(None) };
        let head = Checkpoint::read_unverified(&note).map_err(|error| error.to_string())?;
        let asked = self.all.iter().map(|witness| witness.ask(services, &note, head.size));
        let (mut cosigned, mut silent) = (note.clone(), Vec::new());
        for (witness, answer) in self.all.iter().zip(join_all(asked).await) {
            match answer {
                Ok(lines) => cosigned.extend(lines),
                Err(why) => silent.push(format!("{}: {why}", witness.key.name())),
            }
        }
        if cosigned == note {
            return Err(silent.join("; "));
        }
        for why in silent {
            tracing::warn!(why, "a witness did not cosign");
        }
        let at = services.clock.now();
        Ok(Some(Evidence { size: head.size, checkpoint: note, evidence: cosigned.into_bytes(), at }))
    }
}

impl Witness {
    async fn ask(&self, services: &Services, note: &str, size: u64) -> Result<Vec<String>, String> {
        let mut old = *self.follows.lock();
        for _ in 0..CORRECTIONS {
            let proof =
                services.audit.consistency(old.min(size), size).await.map_err(|error| error.to_string())?;
            let request = AddCheckpoint {
                old_size: old,
                proof: proof.unwrap_or_default(),
                checkpoint: note.to_owned(),
            };
            let body = Bytes::from(request.to_text());
            let answer = self.http.post(&self.url, &HeaderMap::new(), body).await?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            match answer.status {
                StatusCode::OK => {
                    let lines = accept_cosignatures(note, &text, std::slice::from_ref(&self.key));
                    *self.follows.lock() = size;
                    return lines.map_err(|error| error.to_string());
                }
                StatusCode::CONFLICT => match size_from_conflict(&text) {
                    // It is ahead of this node: another one asked it meanwhile, or this log lost entries.
                    Some(known) if known > size => {
                        return Err(format!("it has seen {known} entries, the log has {size}"));
                    }
                    Some(known) if known != old => old = known,
                    _ => return Err("it knows another tree of this size: the log has forked".into()),
                },
                _ => return Err(answer.describe()),
            }
        }
        Err("it did not settle on a size".into())
    }
}
