//! Patience with clients of HTTP/2 that take nothing of a response. On HTTP/1 a write to the socket stalls, which the
//! reader sees. A stream whose window is never opened stalls nothing: the client answers pings, and the response would
//! hold its upstream, and its place among the requests in flight, for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use guard::{Body, BodyError};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A body that is let go of when nobody has asked for its next piece for some time. `H` goes with it.
pub(crate) struct Impatient<H> {
    shared: Arc<Shared<H>>,
    watch: AbortHandle,
}

struct Shared<H> {
    /// `None` once let go of.
    body: Mutex<Option<(Body, H)>>,
    started: Instant,
    /// When the client last made room, in milliseconds since `started`.
    asked_ms: AtomicU64,
    /// The client has made room, and the service has nothing for it yet: that is not the client's fault.
    waits_for_service: AtomicBool,
}

impl<H: Send + 'static> Impatient<H> {
    /// Must be called within a runtime.
    pub(crate) fn new(body: Body, held: H, patience: Duration) -> Self {
        let shared = Arc::new(Shared {
            body: Mutex::new(Some((body, held))),
            started: Instant::now(),
            asked_ms: AtomicU64::new(0),
            waits_for_service: AtomicBool::new(false),
        });
        let watch = tokio::spawn(watch(shared.clone(), patience)).abort_handle();
        Self { shared, watch }
    }
}

async fn watch<H>(shared: Arc<Shared<H>>, patience: Duration) {
    let mut left = patience;
    while !left.is_zero() {
        tokio::time::sleep(left).await;
        left = if shared.waits_for_service.load(Ordering::Acquire) {
            patience
        } else {
            let asked = Duration::from_millis(shared.asked_ms.load(Ordering::Acquire));
            patience.saturating_sub(shared.started.elapsed().saturating_sub(asked))
        };
    }
    tracing::debug!("a client took nothing of its response; it was let go of");
    let abandoned = shared.body.lock().take();
    drop(abandoned);
}

impl<H> Drop for Impatient<H> {
    fn drop(&mut self) {
        self.watch.abort();
        // The aborted task may hold the other half for a moment; the service must be free now.
        let finished = self.shared.body.lock().take();
        drop(finished);
    }
}

impl<H> http_body::Body for Impatient<H> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut body = self.shared.body.lock();
        let Some((body, _)) = body.as_mut() else {
            return Poll::Ready(Some(Err(BodyError::broken("the client took nothing for too long"))));
        };
        let polled = Pin::new(body).poll_frame(cx);
        let now = u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.shared.asked_ms.store(now, Ordering::Release);
        self.shared.waits_for_service.store(polled.is_pending(), Ordering::Release);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.shared.body.lock().as_ref().is_some_and(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.shared.body.lock().as_ref().map_or_else(SizeHint::default, |(body, _)| body.size_hint())
    }
}
