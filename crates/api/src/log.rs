//! The log's files as anybody may read them (c2sp.org/tlog-tiles): `/log/checkpoint`, `/log/tile/<L>/<N>[.p/<W>]` and
//! `/log/tile/entries/<N>[.p/<W>]`. They come from the database, so every node serves the same log.

use audit::EvidenceSource;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::ProblemKind;
use guard::{Endpoint, RateClass};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, Method};

use crate::Api;
use crate::failure::Failure;

const CHECKPOINT: &str = "/log/checkpoint";
/// The newest checkpoint with the witnesses' cosignatures: a little older than the newest of all.
const COSIGNED: &str = "/log/cosigned";
/// A tile never changes: a wider one has another path.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A checkpoint is as good as its age.
const SOON_STALE: &str = "public, max-age=1";

/// The routes for the guard.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    // One verification reads many tiles; they count like the files of a page.
    let open = |path| Endpoint::api(Method::GET, path, "public").rate(RateClass::Page);
    vec![open(CHECKPOINT), open(COSIGNED), open("/log/tile/**")]
}

/// The handlers behind them.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route(CHECKPOINT, get(checkpoint))
        .route(COSIGNED, get(cosigned))
        .route("/log/{*path}", get(tile))
}

fn answer(bytes: Vec<u8>, content_type: &'static str, caching: &'static str) -> Response {
    let head: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, caching),
        // What is public for programs may be read by pages, too: verifiers run in browsers.
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (head, bytes).into_response()
}

async fn checkpoint(State(api): State<Api>) -> Result<Response, Failure> {
    let text = api.audit.checkpoint().await?.ok_or(ProblemKind::NotFound)?;
    Ok(answer(text.into_bytes(), "text/plain; charset=utf-8", SOON_STALE))
}

async fn cosigned(State(api): State<Api>) -> Result<Response, Failure> {
    let said = api.audit.evidence(EvidenceSource::Witnesses).await?.ok_or(ProblemKind::NotFound)?;
    Ok(answer(said.evidence, "text/plain; charset=utf-8", SOON_STALE))
}

async fn tile(State(api): State<Api>, Path(path): Path<String>) -> Result<Response, Failure> {
    let bytes = api.audit.tile(&path).await?.ok_or(ProblemKind::NotFound)?;
    Ok(answer(bytes, "application/octet-stream", FOR_EVER))
}
