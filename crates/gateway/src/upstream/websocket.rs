//! WebSocket (RFC 6455) through the gateway: two upgraded connections, joined.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base::ProblemKind;
use guard::{Body, Refusal};
use http::header::UPGRADE;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::witness::Witness;
use crate::{Shutdown, fields};

/// Bytes in transit per direction.
const BUFFER: usize = 16 * 1024;

/// Whether this request wants a WebSocket and can have one: HTTP/1.1, GET, `Upgrade: websocket`. Behind a body the
/// reader expects the next head, and would take the tunnel's bytes for one.
pub(crate) fn wanted(request: &Request<Body>) -> bool {
    request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && *request.method() == Method::GET
        && request.headers().get(UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && request.extensions().get::<OnUpgrade>().is_some()
}

/// Answers the client with the upstream's 101 and joins both connections, in a task that ends when one side
/// closes, both are silent for `idle`, or the shutdown cuts. `held` lasts as long as the task.
pub(crate) fn join(
    client: OnUpgrade,
    mut response: Response<Incoming>,
    idle: Duration,
    shutdown: Shutdown,
    held: (OwnedSemaphorePermit, Witness),
) -> Result<Response<Body>, Refusal> {
    let agreed =
        response.headers().get(UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !agreed {
        return Err(Refusal::new(ProblemKind::BadGateway, "upstream_switched_to_other"));
    }
    let upstream = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        let (_permit, witness) = held;
        // The client's side completes when hyper has written the 101.
        let Ok((client, upstream)) = tokio::try_join!(client, upstream) else { return };
        witness.opened("websocket");
        let heard = Arc::new(Heard::new());
        let reason = tokio::select! {
            biased;
            () = shutdown.cut() => "shutdown",
            () = heard.silent_for(idle) => "idle",
            copied = copy(client, upstream, &heard) => if copied.is_ok() { "closed" } else { "broken" },
        };
        witness.closed(
            "websocket",
            heard.from_client.load(Ordering::Acquire),
            heard.from_upstream.load(Ordering::Acquire),
            reason,
        );
    });
    guard::strip_hop_by_hop(response.headers_mut());
    response.extensions_mut().clear();
    let mut response = response.map(|_| Body::Empty);
    fields::switch(response.headers_mut());
    Ok(response)
}

async fn copy(client: Upgraded, upstream: Upgraded, heard: &Arc<Heard>) -> io::Result<()> {
    let mut client = Noted { stream: TokioIo::new(client), heard: heard.clone(), is_client: true };
    let mut upstream = Noted { stream: TokioIo::new(upstream), heard: heard.clone(), is_client: false };
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await.map(|_| ())
}

/// What was heard from both sides.
struct Heard {
    started: Instant,
    last_ms: AtomicU64,
    from_client: AtomicU64,
    from_upstream: AtomicU64,
}

impl Heard {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { started: Instant::now(), last_ms: zero(), from_client: zero(), from_upstream: zero() }
    }

    fn note(&self, is_client: bool, bytes: usize) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Release);
        let count = if is_client { &self.from_client } else { &self.from_upstream };
        count.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    async fn silent_for(&self, idle: Duration) {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Acquire));
            let silent = self.started.elapsed().saturating_sub(last);
            if silent >= idle {
                return;
            }
            tokio::time::sleep(idle - silent).await;
        }
    }
}

/// A stream that notes when it was heard.
struct Noted {
    stream: TokioIo<Upgraded>,
    heard: Arc<Heard>,
    is_client: bool,
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.heard.note(self.is_client, buf.filled().len() - before);
        }
        polled
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
