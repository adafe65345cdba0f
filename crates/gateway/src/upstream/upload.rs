//! A request's body on its way to the upstream, and what its progress says about who is slow.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use guard::{Body, BodyError};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;

use crate::fields::strip_trailers;

/// How far an upload has come; shared with whoever waits for the response.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    /// When the upstream last took something, in milliseconds since `started`.
    last_ms: AtomicU64,
    /// The upstream wants more, and the client has not sent it.
    waits_for_client: AtomicBool,
    failed: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            last_ms: AtomicU64::new(0),
            waits_for_client: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// How long the upstream has been the one who is waited for.
    pub(crate) fn upstream_silent_for(&self) -> Duration {
        if self.waits_for_client.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Acquire)))
    }

    /// Whether the client's body broke off: then whatever went wrong with the upstream is not its fault.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn note(&self, waits_for_client: bool) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Release);
        self.waits_for_client.store(waits_for_client, Ordering::Release);
    }
}

/// The body that hyper's client sends.
pub(crate) struct Upload {
    body: Body,
    /// `None` for a body without bytes, which is sent at once.
    progress: Option<Arc<Progress>>,
}

impl Upload {
    pub(crate) fn new(body: Body) -> Self {
        let progress = (!body.is_end_stream()).then(|| Arc::new(Progress::new()));
        Self { body, progress }
    }

    pub(crate) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            progress.note(polled.is_pending());
            if matches!(polled, Poll::Ready(Some(Err(_)))) {
                progress.failed.store(true, Ordering::Release);
            }
        }
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            strip_trailers(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
