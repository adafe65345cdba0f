//! The one body type that travels through the pipeline, in both directions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A body that somebody else produces, behind one pointer.
pub type BoxedBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

/// A request's or response's body. Never read whole by the pipeline: it streams through.
#[derive(Default)]
pub enum Body {
    /// No bytes at all. Costs nothing.
    #[default]
    Empty,
    /// All bytes at once (own answers).
    Full(Bytes),
    /// Bytes as they come.
    Stream(BoxedBody),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the route allows.
    #[error("the body is larger than the {0} bytes allowed here")]
    TooLarge(u64),
    /// The sender paused for longer than the route allows.
    #[error("the body stalled for longer than allowed")]
    Stalled,
    /// The sender broke off, or the connection did.
    #[error("the body broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl BodyError {
    /// Wraps the error of whoever produced the body.
    pub fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broken(source.into())
    }
}

impl Body {
    /// A streaming body of any producer. A body that is already at its end becomes [`Body::Empty`],
    /// so that a plain GET allocates nothing.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::Stream(Box::pin(Mapped(Box::pin(body))))
    }

    /// This body with at most `limit` bytes and at most `idle` between two pieces; what goes beyond
    /// ends in an error and is noted in the returned [`Cut`].
    pub(crate) fn limited(self, limit: u64, idle: Duration) -> (Self, Cut) {
        let cut = Cut::default();
        match self {
            Self::Stream(inner) => {
                let sleep = Box::pin(tokio::time::sleep(idle));
                let note = cut.clone();
                let limited = Limited {
                    inner,
                    limit,
                    left: limit,
                    idle,
                    sleep,
                    waiting: false,
                    cut: note,
                    ended: false,
                };
                (Self::Stream(Box::pin(limited)), cut)
            }
            whole => (whole, cut),
        }
    }

    /// The length if it is known exactly.
    pub fn exact_len(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Only the shape: bodies carry other people's data.
        match self {
            Self::Empty => f.write_str("Body::Empty"),
            Self::Full(bytes) => write!(f, "Body::Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Body::Stream"),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(inner) => inner.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(inner) => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(inner) => inner.size_hint(),
        }
    }
}

/// Turns a producer's own error into ours.
struct Mapped<B>(Pin<Box<B>>);

impl<B> HttpBody for Mapped<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.as_mut().poll_frame(cx).map_err(|error| {
            let error = error.into();
            // A body of ours that went through another library comes back as itself.
            match error.downcast::<BodyError>() {
                Ok(ours) => *ours,
                Err(other) => BodyError::Broken(other),
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Whether, and why, a request body was cut. The pipeline looks at it when the service is done: whatever
/// the service made of the broken body, the client hears the real reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(Arc<AtomicU8>);

impl Cut {
    const TOO_LARGE: u8 = 1;
    const STALLED: u8 = 2;

    pub(crate) fn too_large(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::TOO_LARGE
    }

    pub(crate) fn stalled(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::STALLED
    }
}

struct Limited {
    inner: BoxedBody,
    limit: u64,
    left: u64,
    idle: Duration,
    sleep: Pin<Box<Sleep>>,
    /// The sender is being waited for, and `sleep` runs. While the receiver is slow, it does not.
    waiting: bool,
    cut: Cut,
    ended: bool,
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.inner.as_mut().poll_frame(cx);
        match polled {
            // Trailers of a request were not looked at, and some services take them for headers.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                if size > self.left {
                    self.ended = true;
                    self.cut.0.store(Cut::TOO_LARGE, Ordering::Release);
                    return Poll::Ready(Some(Err(BodyError::TooLarge(self.limit))));
                }
                self.left -= size;
                self.waiting = false;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => {
                self.ended = true;
                Poll::Ready(other)
            }
            Poll::Pending => {
                if !self.waiting {
                    self.waiting = true;
                    let until = Instant::now() + self.idle;
                    self.sleep.as_mut().reset(until);
                }
                match self.sleep.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => {
                        self.ended = true;
                        self.cut.0.store(Cut::STALLED, Ordering::Release);
                        Poll::Ready(Some(Err(BodyError::Stalled)))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn streamed(frames: Vec<Frame<Bytes>>) -> Body {
        let frames = frames.into_iter().map(Ok::<_, std::io::Error>);
        Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
    }

    const IDLE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn the_limit_is_exact() {
        let pieces =
            || vec![Frame::data(Bytes::from_static(b"12345")), Frame::data(Bytes::from_static(b"678"))];
        let (body, cut) = streamed(pieces()).limited(8, IDLE);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "12345678");
        assert!(!cut.too_large());
        let (mut body, cut) = streamed(pieces()).limited(7, IDLE);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(matches!(body.frame().await, Some(Err(BodyError::TooLarge(7)))));
        assert!(body.frame().await.is_none(), "nothing comes after the cut");
        assert!(cut.too_large());
    }

    #[tokio::test]
    async fn trailers_of_requests_go_nowhere() {
        let mut trailers = HeaderMap::new();
        trailers.insert("fortissimo-assertion", "forged".parse().unwrap());
        let frames = vec![Frame::data(Bytes::from_static(b"1")), Frame::trailers(trailers)];
        let (body, _cut) = streamed(frames).limited(8, IDLE);
        let collected = body.collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "1");
    }

    #[tokio::test]
    async fn a_slow_receiver_is_not_a_slow_sender() {
        let idle = Duration::from_millis(20);
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(4);
        let stream = futures_util::stream::unfold(receiver, |mut r| async { Some((r.recv().await?, r)) });
        let (mut body, cut) = Body::stream(StreamBody::new(Box::pin(stream))).limited(100, idle);
        sender.send(Ok(Frame::data(Bytes::from_static(b"1")))).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        // Nobody reads for a while: that is not the sender's fault.
        tokio::time::sleep(idle * 3).await;
        let late = tokio::spawn(async move {
            tokio::task::yield_now().await;
            sender.send(Ok(Frame::data(Bytes::from_static(b"2")))).await.unwrap();
            std::future::pending::<()>().await;
        });
        assert!(body.frame().await.unwrap().is_ok());
        assert!(matches!(body.frame().await, Some(Err(BodyError::Stalled))), "now it is");
        assert!(cut.stalled());
        late.abort();
    }

    #[test]
    fn bodies_do_not_print_what_they_carry() {
        assert_eq!(format!("{:?}", Body::from("secret")), "Body::Full(6 bytes)");
    }
}
