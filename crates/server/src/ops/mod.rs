//! The second listener, on loopback: is the process alive, may it get requests, what does it count.
//!
//! It asks nobody who they are, so it says nothing about people; `/metrics` carries route templates, never paths.

mod metrics;
mod ready;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub(crate) use metrics::recorder;
pub(crate) use ready::Readiness;

/// A monitoring system needs one connection; a few more do no harm.
const MAX_CONNECTIONS: usize = 32;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest life of a connection; a stuck reader does not hold a place for ever.
const MAX_AGE: Duration = Duration::from_secs(300);

/// What the listener answers from.
struct Desk {
    readiness: Readiness,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
}

/// Serves until `stop` becomes true.
pub(crate) async fn serve(listener: TcpListener, readiness: Readiness, mut stop: watch::Receiver<bool>) {
    let desk = Arc::new(Desk { readiness, metrics: recorder() });
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut open = JoinSet::new();
    let mut upkeep = tokio::time::interval(Duration::from_secs(5));
    while !*stop.borrow() {
        while open.try_join_next().is_some() {}
        tokio::select! {
            _ = stop.changed() => {}
            // Histograms collect samples until somebody folds them.
            _ = upkeep.tick() => desk.metrics.run_upkeep(),
            accepted = accept(&listener, &permits) => match accepted {
                Ok((socket, permit)) => {
                    let desk = Arc::clone(&desk);
                    open.spawn(async move {
                        let _permit = permit;
                        let _ = tokio::time::timeout(MAX_AGE, converse(socket, desk)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the operations listener cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    let (socket, _): (_, SocketAddr) = listener.accept().await?;
    Ok((socket, permit))
}

async fn converse(socket: tokio::net::TcpStream, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(&desk, &request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the operations listener broke");
    }
}

async fn answer(desk: &Desk, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "GET only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        // Only that the process runs its loop: restarting it would not mend a full disk.
        "/health" => respond(StatusCode::OK, "application/json", "{\"status\":\"alive\"}\n"),
        "/ready" => {
            let checks = desk.readiness.check().await;
            let ready = checks.iter().all(|check| check.ok);
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            respond(status, "application/json", ready::document(ready, &checks))
        }
        "/metrics" => {
            respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", desk.metrics.render())
        }
        _ => respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "/health, /ready, /metrics\n"),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
