//! One client's HTTP/1 connection below hyper.
//!
//! hyper answers what it cannot parse by itself, with an empty body, and lets pass or silently repairs
//! what has two readings. So every byte goes through [`Http1`] first. It follows the framing of the
//! messages, so that it sees every head, also of pipelined requests. A head that has one reading goes to
//! hyper as it is. One that has not never does: in its place hyper gets a harmless *stand-in* request,
//! and the service, told by [`Talk`], answers that with the problem document. This keeps hyper's order of
//! responses, its `Date` and its closing, without a second writer on the socket.

mod chunked;
mod head;
mod stream;
mod talk;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::ProblemKind;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::Limits;
use chunked::Chunked;
use head::Framing;

pub(crate) use head::Malformed;
pub(crate) use stream::ClientStream;
pub(crate) use talk::Talk;

/// What hyper gets instead of a malformed head.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// Bytes of another protocol that a client may send before it knows whether we switch to it.
const MOST_EARLY: usize = 16 * 1024;

/// How long a client may go on sending after the last response, so that it can read that response: if we
/// closed with unread bytes, the reset would overtake it.
const LINGER: Duration = Duration::from_secs(2);

const SLOW: Malformed =
    Malformed { kind: ProblemKind::RequestTimeout, detail: "The request head did not arrive in time." };
const CUT_OFF: Malformed = Malformed {
    kind: ProblemKind::MalformedRequest,
    detail: "The connection ended inside the request head.",
};

/// Where in the client's stream of messages the next byte stands.
#[derive(Debug)]
enum Phase {
    /// At, or inside, a head.
    Head,
    /// In a body with so many bytes to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// Behind a head that asks for another protocol, until it is known whether we switch.
    Upgrade,
    /// In another protocol: everything passes.
    Tunnel,
    /// Behind a malformed head: nothing is read any more.
    Refused,
    /// Behind a malformed chunk: reading fails.
    Broken,
}

/// What the reader waits for; each has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    /// For the rest of a head.
    Head,
    /// For the next request.
    Idle,
}

/// The wrapper between hyper and the socket.
pub(crate) struct Http1 {
    stream: ClientStream,
    limits: Arc<Limits>,
    talk: Arc<Talk>,
    phase: Phase,
    /// Received, not yet given to hyper.
    held: BytesMut,
    /// How many of `held`, from its start, hyper may have.
    passed: usize,
    wait: Wait,
    timer: Option<Pin<Box<Sleep>>>,
    stall: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl Http1 {
    pub(crate) fn new(stream: ClientStream, limits: Arc<Limits>, talk: Arc<Talk>) -> Self {
        Self {
            stream,
            limits,
            talk,
            phase: Phase::Head,
            held: BytesMut::new(),
            passed: 0,
            wait: Wait::Nothing,
            timer: None,
            stall: None,
            linger: None,
        }
    }

    /// Follows the messages through `bytes` and returns how many of them hyper may have now.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.phase {
                Phase::Head => match head::examine(&bytes[at..], &self.limits) {
                    Ok(None) => break,
                    Ok(Some(head)) => {
                        at += head.length;
                        self.talk.deliver();
                        self.phase = match head.framing {
                            Framing::Chunked => Phase::Chunked(Chunked::new()),
                            Framing::Length(0) if head.upgrade => Phase::Upgrade,
                            Framing::Length(0) => Phase::Head,
                            Framing::Length(length) => Phase::Length(length),
                        };
                    }
                    Err(malformed) => {
                        self.talk.deliver_refused(malformed);
                        self.phase = Phase::Refused;
                    }
                },
                Phase::Length(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += step;
                    *left -= step as u64;
                    if *left == 0 {
                        self.phase = Phase::Head;
                    }
                }
                Phase::Chunked(body) => match body.advance(&bytes[at..]) {
                    Ok(step) => {
                        at += step;
                        if body.ended() {
                            self.phase = Phase::Head;
                        }
                    }
                    Err(chunked::BadChunk) => self.phase = Phase::Broken,
                },
                Phase::Tunnel => at = bytes.len(),
                Phase::Upgrade | Phase::Refused | Phase::Broken => break,
            }
        }
        at
    }

    /// Follows what is held, and marks what hyper may have of it.
    fn follow_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        self.passed = self.follow(&held);
        if matches!(self.phase, Phase::Refused) {
            held.truncate(self.passed);
            held.extend_from_slice(STAND_IN);
            self.passed = held.len();
        }
        self.held = held;
    }

    /// Refuses the head that has begun, or would begin, now.
    fn refuse(&mut self, malformed: Malformed) {
        self.talk.deliver_refused(malformed);
        self.phase = Phase::Refused;
        self.held.clear();
        self.held.extend_from_slice(STAND_IN);
        self.passed = self.held.len();
    }

    /// Gives hyper what it may have of what is held.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let step = self.passed.min(buf.remaining());
        buf.put_slice(&self.held[..step]);
        self.held.advance(step);
        self.passed -= step;
    }

    /// Reads straight into hyper's buffer, and takes back what it may not have yet. Nothing is held.
    fn poll_direct(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let received = buf.filled().len() - before;
        let passed = self.follow(&buf.filled()[before..]);
        if matches!(self.phase, Phase::Refused) {
            self.held.extend_from_slice(STAND_IN);
            self.passed = STAND_IN.len();
        } else {
            self.held.extend_from_slice(&buf.filled()[before + passed..]);
        }
        buf.set_filled(before + passed);
        Poll::Ready(Ok(received))
    }

    /// Reads more behind what is held.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; 4096];
        let mut piece = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.held.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Reads while a head has begun but is not complete.
    fn poll_rest_of_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let known = self.held.len();
        if ready!(self.poll_more(cx))? == 0 {
            self.refuse(CUT_OFF);
        } else if self.held[known..].contains(&b'\n') || self.held.len() > self.limits.head_bytes {
            // Only a line end can complete a head; examining at each byte would be quadratic.
            self.follow_held();
        }
        Poll::Ready(Ok(()))
    }

    /// While it is open whether we switch: early bytes are kept, the end is passed on.
    fn poll_undecided(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // hyper does not ask again by itself when the response is through.
        self.talk.wake_when_decided(cx.waker());
        if self.talk.upgraded() {
            self.phase = Phase::Tunnel;
            self.passed = self.held.len();
        } else if self.talk.in_flight() == 0 {
            self.phase = Phase::Head;
            self.follow_held();
        } else if self.held.len() >= MOST_EARLY {
            return Poll::Pending;
        } else if ready!(self.poll_more(cx))? == 0 {
            return Poll::Ready(Ok(false));
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for whatever the phase waits for; ready when its time is over.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        let wait = match self.phase {
            Phase::Head if self.held.is_empty() => Wait::Idle,
            Phase::Head => Wait::Head,
            // Bodies have the pipeline's deadline, tunnels their own.
            _ => Wait::Nothing,
        };
        let changed = std::mem::replace(&mut self.wait, wait) != wait;
        if wait == Wait::Nothing {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::ZERO)));
        if changed {
            // A client that connects and says nothing gets no more time than one that says half a head.
            let first = wait == Wait::Head || self.talk.delivered() == 0;
            let time = if first { self.limits.head_timeout } else { self.limits.idle_timeout };
            timer.as_mut().reset(Instant::now() + time);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            // Moving the timer at every request would cost more than looking here once a minute, whether
            // there were requests meanwhile.
            let quiet = self.talk.quiet();
            if wait == Wait::Head || self.talk.delivered() == 0 || quiet >= self.limits.idle_timeout {
                return Poll::Ready(wait);
            }
            timer.as_mut().reset(Instant::now() + (self.limits.idle_timeout - quiet));
        }
    }

    /// Fails a write that makes no progress for too long.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let time = self.limits.write_stall_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(stall.as_mut().poll(cx));
        self.stream.reset_on_close();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Http1 {
    fn drop(&mut self) {
        // hyper drops a connection whose response broke off; to a client of HTTP/1.0 that would be the end
        // of the response.
        if self.talk.aborted() {
            self.stream.reset_on_close();
        }
    }
}

impl AsyncRead for Http1 {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.passed > 0 {
                this.hand_over(buf);
                return Poll::Ready(Ok(()));
            }
            let polled = match this.phase {
                Phase::Refused => return Poll::Pending,
                Phase::Broken => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunk")));
                }
                Phase::Upgrade => match ready!(this.poll_undecided(cx))? {
                    true => continue,
                    false => return Poll::Ready(Ok(())),
                },
                _ if this.held.is_empty() => {
                    let before = buf.filled().len();
                    match this.poll_direct(cx, buf)? {
                        Poll::Ready(0) => return Poll::Ready(Ok(())),
                        Poll::Ready(_) if buf.filled().len() > before => return Poll::Ready(Ok(())),
                        Poll::Ready(_) => continue,
                        Poll::Pending => Poll::Pending,
                    }
                }
                _ => this.poll_rest_of_head(cx)?,
            };
            if polled.is_ready() {
                continue;
            }
            match ready!(this.poll_deadline(cx)) {
                Wait::Head => this.refuse(SLOW),
                // To hyper this looks as if the client had closed, between two requests.
                Wait::Idle | Wait::Nothing => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Http1 {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_stalled(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.talk.aborted() {
            this.stream.reset_on_close();
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if this.linger.is_none() {
            let closed = Pin::new(&mut this.stream).poll_shutdown(cx);
            ready!(this.poll_stalled(cx, closed))?;
            let between_messages = matches!(this.phase, Phase::Head | Phase::Upgrade) && this.held.is_empty();
            if between_messages || matches!(this.phase, Phase::Tunnel) {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        // The client is still sending something that nobody wants.
        let mut waste = [0; 16 * 1024];
        loop {
            let mut piece = ReadBuf::new(&mut waste);
            match Pin::new(&mut this.stream).poll_read(cx, &mut piece) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
