//! WebSocket (RFC 6455) through the gateway: two upgraded connections, joined for as long as the decision behind them
//! holds.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base::ProblemKind;
use guard::{Body, Refusal, Tether};
use http::header::UPGRADE;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional_with_sizes,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::frames::{Frames, close};
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

/// Time for a frame that is on its way when the decision ends, and for each side to take its Close frame.
const FAREWELL: Duration = Duration::from_millis(250);

/// Answers the client with the upstream's 101 and joins both connections, in a task that ends when one side
/// closes, both are silent for `idle`, the decision behind it no longer holds (`tether`), or the shutdown cuts. In the
/// last two cases both sides get a Close frame, if a frame is not half-way through. `held` lasts as long as the task.
pub(crate) fn join(
    client: OnUpgrade,
    mut response: Response<Incoming>,
    idle: Duration,
    tether: Option<Tether>,
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
        let (mut client, mut upstream) =
            (Noted::new(client, &heard, true), Noted::new(upstream, &heard, false));
        let severed = async {
            match tether {
                Some(tether) => tether.severed().await,
                None => std::future::pending().await,
            }
        };
        let (reason, code) = {
            let mut copying = pin!(copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER));
            let (reason, code) = tokio::select! {
                biased;
                () = shutdown.cut() => ("shutdown", Some(close::GOING_AWAY)),
                reason = severed => (reason, Some(close::POLICY)),
                () = heard.silent_for(idle) => ("idle", None),
                copied = &mut copying => (if copied.is_ok() { "closed" } else { "broken" }, None),
            };
            if code.is_some() && heard.stop_between_frames() {
                // The rest of a frame that is half-way through; then writing ends with an error of our own.
                let _ = tokio::time::timeout(FAREWELL, copying).await;
            }
            (reason, code)
        };
        if let Some(code) = code {
            tokio::join!(client.say_goodbye(code), upstream.say_goodbye(code));
        }
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

/// What was heard from both sides.
struct Heard {
    started: Instant,
    last_ms: AtomicU64,
    from_client: AtomicU64,
    from_upstream: AtomicU64,
    /// Nothing more is to be passed on but the rest of frames that have begun.
    stop: AtomicBool,
    /// Directions in which a frame is half-way through.
    half_way: [AtomicBool; 2],
}

impl Heard {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            started: Instant::now(),
            last_ms: zero(),
            from_client: zero(),
            from_upstream: zero(),
            stop: AtomicBool::new(false),
            half_way: [AtomicBool::new(false), AtomicBool::new(false)],
        }
    }

    /// Lets nothing more through but the rest of what has begun; gives whether there is any.
    fn stop_between_frames(&self) -> bool {
        self.stop.store(true, Ordering::Release);
        self.half_way.iter().any(|direction| direction.load(Ordering::Acquire))
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

/// A stream that notes when it was heard, and where the frames end that are written to it.
struct Noted {
    stream: TokioIo<Upgraded>,
    heard: Arc<Heard>,
    is_client: bool,
    written: Frames,
}

impl Noted {
    fn new(stream: Upgraded, heard: &Arc<Heard>, is_client: bool) -> Self {
        Self { stream: TokioIo::new(stream), heard: Arc::clone(heard), is_client, written: Frames::default() }
    }

    /// Sends a Close frame if that can be told from what came before it, ends writing, and reads on for a moment: a
    /// socket that is closed with unread bytes would take the frame back.
    async fn say_goodbye(&mut self, code: u16) {
        let farewell = async {
            if self.written.between() {
                // What a client sends is masked; with zeroes, since there is nothing to hide from caches here.
                let frame = close::frame(code, !self.is_client);
                self.stream.write_all(&frame).await?;
            }
            self.stream.shutdown().await?;
            let mut rest = [0; 1024];
            while self.stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        // Whoever does not take it in time loses the connection anyway.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
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
        let this = &mut *self;
        let mut bytes = bytes;
        if this.heard.stop.load(Ordering::Acquire) {
            bytes = &bytes[..this.written.rest(bytes)];
            if bytes.is_empty() {
                return Poll::Ready(Err(io::Error::other("the decision behind the connection ended")));
            }
        }
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            this.written.pass(&bytes[..count]);
            this.heard.half_way[usize::from(this.is_client)]
                .store(!this.written.between(), Ordering::Release);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
