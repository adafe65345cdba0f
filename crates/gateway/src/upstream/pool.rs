//! Sends a request to an upstream over a pooled HTTP/1.1 connection and brings the response back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base::ProblemKind;
use guard::{Body, Refusal, Tether, Timeouts, Upstream};
use http::header::{
    CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect::{Connect, UpstreamTlsError};
use super::download::Download;
use super::link::{Link, Shelf};
use super::upload::{Progress, Upload};
use super::websocket;
use super::witness::Witness;
use crate::Shutdown;
use crate::fields::{self, Trailers};

/// Which `Host` an upstream sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostField {
    /// The one that the client named: the service can make links that work.
    #[default]
    Preserve,
    /// The upstream's own, for services that serve several hosts under other names.
    Upstream,
}

/// How requests reach upstreams; what routes set themselves is not here.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Which `Host` the upstream sees.
    pub host: HostField,
    /// Requests in flight per upstream; further ones are answered 503, so that one slow service does not take
    /// the memory of all.
    pub in_flight: usize,
    /// How many unused connections are kept per upstream.
    pub pool_size: usize,
    /// How long an unused connection is kept.
    pub pool_idle: Duration,
    /// Silence in both directions after which a WebSocket is closed.
    pub websocket_idle: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            host: HostField::Preserve,
            in_flight: 4_096,
            pool_size: 256,
            pool_idle: Duration::from_secs(30),
            websocket_idle: Duration::from_secs(600),
        }
    }
}

/// Connections to one upstream.
pub(crate) struct Pool {
    connect: Connect,
    address: Uri,
    shelf: Arc<Shelf>,
    host: HeaderValue,
    permits: Arc<Semaphore>,
    config: UpstreamConfig,
    shutdown: Shutdown,
}

impl Pool {
    /// A pool for one upstream that takes at most `connect` per connection. Opens no connection yet. Tunnels
    /// end with `shutdown`.
    pub(crate) fn new(
        upstream: &Upstream,
        connect: Duration,
        config: UpstreamConfig,
        shutdown: Shutdown,
    ) -> Result<Self, UpstreamTlsError> {
        // The route table has parsed both before.
        let scheme = if upstream.scheme == "https" { Scheme::HTTPS } else { Scheme::HTTP };
        let authority: Authority =
            upstream.authority.parse().expect("the route table only holds authorities that parse");
        let host = HeaderValue::from_str(authority.as_str()).expect("an authority is a field value");
        let connect = Connect::new(connect, scheme == Scheme::HTTPS)?;
        let address = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        let address = address.expect("scheme, authority and path make an address");
        let shelf = Shelf::new(config.pool_size, config.pool_idle);
        let permits = Arc::new(Semaphore::new(config.in_flight));
        Ok(Self { connect, address, shelf, host, permits, config, shutdown })
    }

    /// Closes connections that have not been used for long.
    pub(crate) fn sweep(&self) {
        self.shelf.sweep();
    }

    /// Sends one request. Refusals: 502 if the upstream is down or breaks off, 504 if it is slow, 503 if it has too
    /// much to do, 400 if the client's own body broke off.
    pub(crate) async fn send(
        &self,
        timeouts: &Timeouts,
        mut request: Request<Body>,
        tether: Option<Tether>,
        witness: Witness,
    ) -> Result<Response<Body>, Refusal> {
        let permit = self
            .permits
            .clone()
            .try_acquire_owned()
            .map_err(|_| refusal(ProblemKind::Unavailable, "upstream_overloaded"))?;
        let websocket = websocket::wanted(&request);
        let client_side = websocket.then(|| hyper::upgrade::on(&mut request));
        self.address(websocket, &mut request)?;
        let head_time = Duration::from_millis(timeouts.head_ms);
        let (response, link) = self.exchange(request, head_time, websocket).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(client_side) = client_side else {
                return Err(refusal(ProblemKind::BadGateway, "upstream_switched_unasked"));
            };
            let idle = self.config.websocket_idle;
            let held = (permit, witness);
            return websocket::join(client_side, response, idle, tether, self.shutdown.clone(), held);
        }
        let link = link.map(|link| (link, self.shelf.clone()));
        deliver(response, link, Duration::from_millis(timeouts.idle_ms), tether, witness, permit)
    }

    /// Turns the client's request into one for the upstream.
    fn address(&self, websocket: bool, request: &mut Request<Body>) -> Result<(), Refusal> {
        let target =
            request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(target);
        let came_by = request.version();
        *request.version_mut() = Version::HTTP_11;
        let trailers: Option<Trailers> = request.extensions_mut().remove();
        let odd_body =
            matches!(*request.method(), Method::GET | Method::HEAD) && !request.body().is_end_stream();
        let chunked = odd_body && request.body().size_hint().exact().is_none();
        let fields = request.headers_mut();
        guard::strip_hop_by_hop(fields);
        // Answered by hyper towards the client, when the upload begins; waiting twice would only cost time.
        fields.remove(EXPECT);
        if websocket {
            fields::switch(fields);
        } else if let Some(trailers) = trailers {
            trailers.say(fields);
        }
        if odd_body {
            // A service that does not expect a body here may take it for the next request of the connection, one that
            // nobody judged. There shall be none.
            fields.append(CONNECTION, HeaderValue::from_static("close"));
        }
        if chunked {
            // hyper leaves the body of these methods out unless its framing is written down.
            fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if self.config.host == HostField::Upstream || !fields.contains_key(HOST) {
            fields.insert(HOST, self.host.clone());
        }
        let via = if came_by == Version::HTTP_2 { "2 fortissimo" } else { "1.1 fortissimo" };
        fields.append(VIA, HeaderValue::from_static(via));
        Ok(())
    }

    /// Sends, and waits for the head of the response; once more if a pooled connection turned out to be closed.
    async fn exchange(
        &self,
        request: Request<Body>,
        head_time: Duration,
        websocket: bool,
    ) -> Result<Answered, Refusal> {
        let again = repeatable(&request);
        match (self.attempt(request.map(Upload::new), head_time, websocket).await, again) {
            (Err(Failure::Stale(_)), Some(again)) => {
                let again = again.map(|()| Upload::new(Body::Empty));
                self.attempt(again, head_time, websocket).await.map_err(Failure::into_refusal)
            }
            (outcome, _) => outcome.map_err(Failure::into_refusal),
        }
    }

    async fn attempt(
        &self,
        request: Request<Upload>,
        head_time: Duration,
        websocket: bool,
    ) -> Result<Answered, Failure> {
        let progress = request.body().progress();
        let shelved = if websocket { None } else { self.shelf.take() };
        let link = match shelved {
            Some(link) => link,
            None => self.open().await?,
        };
        let used = link.used();
        let mut sending = std::pin::pin!(async move {
            let mut link = link;
            if websocket {
                return Ok((link.send_upgrading(request).await?, None));
            }
            let response = link.send(request).await?;
            Ok((response, Some(link)))
        });
        let mut left = head_time;
        let sent = loop {
            match tokio::time::timeout(left, sending.as_mut()).await {
                Ok(sent) => break sent,
                Err(_) => {
                    let silent = progress.as_ref().map_or(head_time, |p| p.upstream_silent_for());
                    left = head_time.saturating_sub(silent);
                    if left.is_zero() {
                        return Err(Failure::Slow);
                    }
                }
            }
        };
        sent.map_err(|error| Failure::of(error, used, progress.as_deref()))
    }

    /// A new connection.
    async fn open(&self) -> Result<Link, Failure> {
        let stream = self.connect.open(&self.address).await.map_err(|error| {
            if error.kind() == io::ErrorKind::TimedOut {
                Failure::ConnectSlow
            } else {
                Failure::Connect(error)
            }
        })?;
        Link::open(stream).await.map_err(Failure::Broken)
    }
}

/// The head of a response, and the connection that brings its body (but for one that was handed over).
type Answered = (Response<Incoming>, Option<Link>);

/// Why there is no response.
enum Failure {
    /// The client's body broke off.
    Client,
    /// The upstream did not answer in time.
    Slow,
    /// No connection in time.
    ConnectSlow,
    /// No connection.
    Connect(io::Error),
    /// A connection that had been used before failed: the upstream may have closed it as we sent.
    Stale(hyper::Error),
    /// The upstream closed, reset, or sent something that is not HTTP.
    Broken(hyper::Error),
}

impl Failure {
    fn of(error: hyper::Error, used: bool, progress: Option<&Progress>) -> Self {
        if progress.is_some_and(Progress::failed) {
            return Self::Client;
        }
        if used { Self::Stale(error) } else { Self::Broken(error) }
    }

    fn into_refusal(self) -> Refusal {
        let (kind, why, error): (_, _, Option<Box<dyn std::error::Error>>) = match self {
            Self::Client => (ProblemKind::MalformedRequest, "request_body_broken", None),
            Self::Slow => (ProblemKind::GatewayTimeout, "upstream_slow", None),
            Self::ConnectSlow => (ProblemKind::GatewayTimeout, "upstream_connect_slow", None),
            Self::Connect(error) => (ProblemKind::BadGateway, "upstream_unreachable", Some(error.into())),
            Self::Stale(error) | Self::Broken(error) => {
                (ProblemKind::BadGateway, "upstream_broken", Some(error.into()))
            }
        };
        metrics::counter!("fortissimo_upstream_failures_total", "why" => why).increment(1);
        if let Some(error) = error {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(why, %error, source, "an upstream failed");
        }
        Refusal::new(kind, why)
    }
}

fn refusal(kind: ProblemKind, why: &'static str) -> Refusal {
    metrics::counter!("fortissimo_upstream_failures_total", "why" => why).increment(1);
    Refusal::new(kind, why)
}

/// The head of a request that may be sent twice: nothing changes by it, and it has no body that is gone.
fn repeatable(request: &Request<Body>) -> Option<Request<()>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_end_stream() || request.headers().contains_key(UPGRADE) {
        return None;
    }
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// The upstream's response as the client may see it.
fn deliver(
    mut response: Response<Incoming>,
    link: Option<(Link, Arc<Shelf>)>,
    idle: Duration,
    tether: Option<Tether>,
    witness: Witness,
    permit: OwnedSemaphorePermit,
) -> Result<Response<Body>, Refusal> {
    if !framing_understood(response.headers()) {
        return Err(refusal(ProblemKind::BadGateway, "upstream_framing"));
    }
    fields::detach_response(&mut response);
    *response.version_mut() = Version::HTTP_11;
    response.extensions_mut().clear();
    let stream = is_event_stream(response.headers());
    Ok(response.map(|body| {
        let download = Download::new(body, link, idle, witness, permit);
        Body::stream(if stream { download.lasting(tether) } else { download })
    }))
}

/// An answer that may go on for as long as the page is open (`text/event-stream` of the HTML standard).
fn is_event_stream(fields: &HeaderMap) -> bool {
    let named = fields.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let kind = named.and_then(|value| value.split(|byte| *byte == b';').next());
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// A coding that we remove without undoing it would leave bytes that nobody can read.
fn framing_understood(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}
