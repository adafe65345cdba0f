//! One HTTP/1.1 connection to an upstream, and the shelf where unused ones wait.
//!
//! A connection has no task of its own: whoever uses it drives it. A request that hands its bytes to another task and is
//! woken by it pays for two hand-overs; here the bytes go out and come in within the request's own task.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use parking_lot::Mutex;

use crate::{busy_poll, lanes};

use super::connect::UpstreamStream;
use super::upload::Upload;

/// Bytes of a response's head and of the read buffer.
const BUFFER: usize = 256 * 1024;
/// Lanes that are told apart; more share.
const LANES: usize = 64;

/// A connection that somebody holds.
pub(crate) struct Link {
    sender: SendRequest<Upload>,
    connection: Box<Connection<UpstreamStream, Upload>>,
    ended: bool,
    /// It has carried a response before. The upstream may be closing such a connection at this very moment.
    used: bool,
}

impl Link {
    /// Makes a connection ready for requests.
    pub(crate) async fn open(stream: UpstreamStream) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().max_buf_size(BUFFER).handshake(stream).await?;
        Ok(Self { sender, connection: Box::new(connection), ended: false, used: false })
    }

    /// For a protocol that takes the connection over: it gets a task, because nobody else will poll it.
    pub(crate) async fn send_upgrading(
        mut self,
        request: Request<Upload>,
    ) -> hyper::Result<Response<Incoming>> {
        tokio::spawn(async move {
            // How it ended is seen by the two sides that were joined.
            let _ = self.connection.with_upgrades().await;
        });
        self.sender.send_request(request).await
    }

    /// Sends a request and gives the head of its response. The body comes as long as this link is driven.
    pub(crate) async fn send(&mut self, request: Request<Upload>) -> hyper::Result<Response<Incoming>> {
        busy_poll::expect();
        let mut sending = std::pin::pin!(self.sender.send_request(request));
        std::future::poll_fn(|cx| {
            drive(&mut self.connection, &mut self.ended, cx);
            sending.as_mut().poll(cx)
        })
        .await
        .inspect(|_| self.used = true)
    }

    /// Whether it has carried a response before.
    pub(crate) const fn used(&self) -> bool {
        self.used
    }

    /// Lets bytes go out and come in.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, &mut self.ended, cx);
    }

    /// Whether it can carry a request now: open, nothing in flight, nothing unread.
    fn ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

/// A connection that has ended must not be polled again; its end is told by whoever waits for a response.
fn drive(connection: &mut Connection<UpstreamStream, Upload>, ended: &mut bool, cx: &mut Context<'_>) {
    if !*ended && let Poll::Ready(end) = Pin::new(connection).poll(cx) {
        *ended = true;
        if let Err(error) = end {
            tracing::debug!(%error, "a connection to an upstream ended");
        }
    }
}

/// Unused connections to one upstream, the one used last on top.
pub(crate) struct Shelf {
    /// By the lane that opened them: a connection's events arrive there, and using it elsewhere would wake two threads.
    lanes: [Mutex<VecDeque<(Instant, Link)>>; LANES],
    size: usize,
    keep: Duration,
}

impl Shelf {
    /// For at most `size` connections per lane, each for at most `keep`.
    pub(crate) fn new(size: usize, keep: Duration) -> Arc<Self> {
        Arc::new(Self { lanes: std::array::from_fn(|_| Mutex::default()), size, keep })
    }

    fn lane(&self) -> &Mutex<VecDeque<(Instant, Link)>> {
        &self.lanes[lanes::current() % LANES]
    }

    /// The connection used last that is still open.
    pub(crate) fn take(&self) -> Option<Link> {
        loop {
            let (since, mut link) = self.lane().lock().pop_back()?;
            if since.elapsed() < self.keep && link.ready() {
                return Some(link);
            }
        }
    }

    /// Takes a connection back if it can be used again; closes it otherwise.
    pub(crate) fn put(&self, mut link: Link) {
        if !link.ready() {
            return;
        }
        let mut links = self.lane().lock();
        if links.len() < self.size {
            links.push_back((Instant::now(), link));
        }
    }

    /// Closes what has waited too long, or what the upstream has closed.
    pub(crate) fn sweep(&self) {
        for lane in &self.lanes {
            lane.lock().retain_mut(|(since, link)| since.elapsed() < self.keep && link.ready());
        }
    }
}
