//! `fortissimo witness`: a C2SP tlog-witness. It trusts nobody: not the logs, whose every step it verifies, and not
//! its callers, whom it does not ask who they are.
//!
//! The newest cosigned checkpoint of each log is a file; looking at it and replacing it happens under one lock, and
//! it is on disk before the cosignature leaves. A witness that forgot what it signed would sign a fork.

mod key;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base::Clock;
use bytes::Bytes;
use crypto::log::{AddCheckpoint, LogSigner, Note, Refusal, VerifierKey, judge};
use gateway::Handler;
use guard::{Body, Connection};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Semaphore;

pub(crate) use key::signers;
pub(crate) use store::Store;

/// Requests that wait for the store at most; further ones are told to come later.
const WAITING: usize = 64;
/// Time for a body to arrive.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// One witness. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Inner>);

struct Inner {
    signers: Vec<LogSigner>,
    logs: Vec<VerifierKey>,
    store: Store,
    clock: Clock,
    places: Semaphore,
}

/// Why there is no cosignature.
enum Failed {
    Refused(Refusal),
    /// The store cannot be read or written, or contradicts itself. Nothing was signed.
    Store(std::io::Error),
}

impl Witness {
    pub(crate) fn new(signers: Vec<LogSigner>, logs: Vec<VerifierKey>, store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner { signers, logs, store, clock, places: Semaphore::new(WAITING) }))
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if request.uri().path() != "/add-checkpoint" {
            return plain(StatusCode::NOT_FOUND, "this is a witness: POST /add-checkpoint\n");
        }
        if request.method() != Method::POST {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "POST only\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let Ok(_place) = self.0.places.try_acquire() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once\n");
        };
        let collected = Limited::new(request.into_body(), AddCheckpoint::MAX_BYTES).collect();
        let body = match tokio::time::timeout(BODY_TIMEOUT, collected).await {
            Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request takes too long\n"),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n");
            }
            Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the request broke off\n"),
            Ok(Ok(body)) => body.to_bytes(),
        };
        // Reads, signs, writes and waits for the disk: not for a thread that serves connections.
        let inner = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || inner.add_checkpoint(&body)).await {
            Ok(Ok(lines)) => plain(StatusCode::OK, lines),
            Ok(Err(Failed::Refused(refusal))) => refuse(refusal),
            Ok(Err(Failed::Store(error))) => {
                tracing::error!(%error, "a checkpoint could not be stored, so it was not cosigned");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the checkpoint cannot be stored\n")
            }
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be answered\n"),
        }
    }
}

impl Inner {
    fn add_checkpoint(&self, body: &[u8]) -> Result<String, Failed> {
        let bad = |_| Failed::Refused(Refusal::Bad);
        let request = AddCheckpoint::parse(body).map_err(bad)?;
        let origin = request.origin().map_err(bad)?;
        let trusted: Vec<VerifierKey> =
            self.logs.iter().filter(|key| key.name() == origin).cloned().collect();
        // Before anything is looked up on disk: names come from strangers.
        if trusted.is_empty() {
            return Err(Failed::Refused(Refusal::UnknownLog));
        }
        let turn = self.store.turn();
        let latest = turn.latest(&origin).map_err(Failed::Store)?;
        let head = judge(&request, &trusted, latest).map_err(|refusal| {
            if matches!(refusal, Refusal::OtherRoot | Refusal::Inconsistent) {
                // The log has signed both: that is evidence, not noise.
                tracing::warn!(origin, %refusal, "a log asked for a cosignature of a tree that does not continue its own");
            }
            Failed::Refused(refusal)
        })?;
        let note = Note::parse(&request.checkpoint).map_err(bad)?;
        let now = self.clock.now();
        let lines: Result<String, _> =
            self.signers.iter().map(|signer| signer.sign_line(note.text, now)).collect();
        let lines = lines.map_err(bad)?;
        turn.put(&origin, &request.checkpoint).map_err(Failed::Store)?;
        drop(turn);
        tracing::info!(origin, size = head.size, "cosigned");
        Ok(lines)
    }
}

impl Handler for Witness {
    async fn handle(&self, _: Connection, request: Request<Body>) -> Response<Body> {
        self.answer(request).await
    }
}

fn refuse(refusal: Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refusal {
        Refusal::AtOtherSize(size) => {
            let mut response = plain(status, format!("{size}\n"));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x.tlog.size"));
            response
        }
        other => plain(status, format!("{other}\n")),
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Full(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
