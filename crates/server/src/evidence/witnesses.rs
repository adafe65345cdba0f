//! The log's side of C2SP tlog-witness.

use audit::{AuditError, Evidence, Heard};
use bytes::Bytes;
use crypto::log::{AddCheckpoint, Checkpoint, Note, VerifierKey, accept_cosignatures, size_from_conflict};
use futures_util::future::join_all;
use http::header::HeaderMap;
use http::{StatusCode, Uri};
use parking_lot::Mutex;
use sinks::Http;

use super::{Answers, address, client};
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

    /// Asks every witness about the newest checkpoint; what is to be kept is the note with all their cosignatures.
    pub(super) async fn ask(&self, services: &Services) -> Result<Answers, AuditError> {
        let Some(note) = services.audit.checkpoint().await? else { return Ok(Answers::NONE) };
        let Ok(head) = Checkpoint::read_unverified(&note) else { return Ok(Answers::NONE) };
        let asked = self.all.iter().map(|witness| witness.ask(services, &note, head.size));
        let (mut cosigned, mut heard) = (note.clone(), Vec::new());
        for (witness, answer) in self.all.iter().zip(join_all(asked).await) {
            let how = match answer {
                Ok(lines) => {
                    cosigned.extend(lines);
                    Heard::Well
                }
                Err(how) => how,
            };
            // With the key's id: one witness may have several keys.
            heard.push((format!("witness {}+{:08x}", witness.key.name(), witness.key.id()), how));
        }
        let at = services.clock.now();
        // What nobody could read afterwards is no evidence.
        let readable = cosigned != note && Note::parse(&cosigned).is_ok();
        let evidence = readable.then(|| Evidence {
            size: head.size,
            checkpoint: note,
            evidence: cosigned.into_bytes(),
            at,
        });
        Ok(Answers { evidence, heard, size: head.size })
    }
}

impl Witness {
    /// Its cosignatures, or how it went instead.
    async fn ask(&self, services: &Services, note: &str, size: u64) -> Result<Vec<String>, Heard> {
        let failing = |why: String| Heard::Failing(why);
        let mut old = *self.follows.lock();
        if old > size {
            return Err(ahead(services, old, size).await);
        }
        for _ in 0..CORRECTIONS {
            let proof = services.audit.consistency(old.min(size), size).await;
            let request = AddCheckpoint {
                old_size: old,
                proof: proof.map_err(|error| failing(error.to_string()))?.unwrap_or_default(),
                checkpoint: note.to_owned(),
            };
            let body = Bytes::from(request.to_text());
            let answer = self.http.post(&self.url, &HeaderMap::new(), body).await.map_err(failing)?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            match answer.status {
                StatusCode::OK => {
                    let lines = accept_cosignatures(note, &text, std::slice::from_ref(&self.key));
                    let lines = lines.map_err(|error| failing(error.to_string()))?;
                    *self.follows.lock() = size;
                    return Ok(lines);
                }
                StatusCode::CONFLICT => match size_from_conflict(&text) {
                    Some(known) if known > size => return Err(ahead(services, known, size).await),
                    Some(known) if known != old => old = known,
                    Some(known) if known == size => {
                        let why = format!("it knows another tree of {size} entries: the log has forked");
                        return Err(Heard::Disputed(why));
                    }
                    // Refused for the size that it says it has, or for a reason that is no size.
                    _ => return Err(failing(answer.describe())),
                },
                // The proof is ours, over our own tree: what it does not lead on from is another history.
                StatusCode::UNPROCESSABLE_ENTITY => {
                    let why = format!("the log does not continue the one of {old} entries that it has seen");
                    return Err(Heard::Disputed(why));
                }
                _ => return Err(failing(answer.describe())),
            }
        }
        Err(failing("it did not settle on a size".to_owned()))
    }
}

/// The witness has seen a longer log than the one it was shown. Another node may have shown it meanwhile; else entries are
/// gone.
async fn ahead(services: &Services, known: u64, shown: u64) -> Heard {
    let now = services.audit.checkpoint().await.ok().flatten();
    let now = now.and_then(|note| Checkpoint::read_unverified(&note).ok()).map_or(shown, |head| head.size);
    if now >= known {
        return Heard::Failing(format!("another node has shown it {known} entries meanwhile"));
    }
    Heard::Disputed(format!("it has seen {known} entries, the log has {now}: it was cut or is an older copy"))
}
