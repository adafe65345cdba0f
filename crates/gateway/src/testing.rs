//! What the tests share: a listener on a free port, upstreams in this process, and a client that sends bytes.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::{Clock, Entropy};
use bytes::Bytes;
use guard::{Body, Connection, Refusal, Timeouts, Upstream};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::upstream::{Pool, Witness};
use crate::{Handler, Limits, ListenConfig, Listener, Shutdown, Tls, UpstreamConfig};

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running listener.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
}

pub(crate) async fn listen<H: Handler>(handler: H, limits: Limits, tls: Option<Tls>) -> Gateway {
    listen_with(handler, limits, tls, Shutdown::new()).await
}

pub(crate) async fn listen_with<H: Handler>(
    handler: H,
    limits: Limits,
    tls: Option<Tls>,
    shutdown: Shutdown,
) -> Gateway {
    let listener = Listener::bind(ListenConfig { address: ANY, tls, limits, lanes: 1 }).await.unwrap();
    let address = listener.address();
    tokio::spawn(listener.serve(handler, Clock::system(), Entropy::system(), shutdown.clone()));
    Gateway { address, shutdown }
}

impl Gateway {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the gateway closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut client = self.connect().await;
        // The gateway may answer and close before it has everything.
        let _ = client.write_all(bytes).await;
        read_all(&mut client).await
    }
}

/// Everything until the end, which must be an orderly one.
pub(crate) async fn read_all(client: &mut TcpStream) -> String {
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.expect("the connection ends in order");
    String::from_utf8_lossy(&received).into_owned()
}

/// Reads until the received text ends with `end`.
pub(crate) async fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut received = Vec::new();
    while !received.ends_with(end.as_bytes()) {
        let byte = client
            .read_u8()
            .await
            .unwrap_or_else(|e| panic!("{e} after {:?}", String::from_utf8_lossy(&received)));
        received.push(byte);
    }
    String::from_utf8(received).unwrap()
}

/// Answers with a function, and counts.
#[derive(Clone)]
pub(crate) struct Answers<F> {
    pub(crate) seen: Arc<AtomicUsize>,
    answer: F,
}

pub(crate) fn answers<F, R>(answer: F) -> Answers<F>
where
    F: Fn(Request<Body>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send,
{
    Answers { seen: Arc::default(), answer }
}

impl<F, R> Handler for Answers<F>
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send,
{
    async fn handle(&self, _: Connection, request: Request<Body>) -> Response<Body> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        (self.answer)(request).await
    }
}

/// The proxy without a pipeline.
#[derive(Clone)]
pub(crate) struct Proxy {
    pool: Arc<Pool>,
    timeouts: Timeouts,
}

impl Handler for Proxy {
    async fn handle(&self, _: Connection, request: Request<Body>) -> Response<Body> {
        self.pool
            .send(&self.timeouts, request, None, Witness::silent())
            .await
            .unwrap_or_else(|refusal| refused(&refusal))
    }
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(Body::from(refusal.why()));
    *response.status_mut() = StatusCode::from_u16(refusal.problem().kind.status()).unwrap();
    response
}

/// A gateway in front of an upstream, with short patience.
pub(crate) async fn proxy_to(upstream: SocketAddr) -> Gateway {
    let timeouts = Timeouts { connect_ms: 1_000, head_ms: 300, idle_ms: 300 };
    proxy_with(upstream, timeouts, UpstreamConfig::default()).await
}

pub(crate) async fn proxy_with(upstream: SocketAddr, timeouts: Timeouts, config: UpstreamConfig) -> Gateway {
    let shutdown = Shutdown::new();
    let authority = upstream.to_string();
    let origin = format!("http://{authority}").into();
    let upstream = Upstream { scheme: "http".into(), authority, origin };
    let connect = Duration::from_millis(timeouts.connect_ms);
    let pool = Arc::new(Pool::new(&upstream, connect, config, shutdown.clone()).unwrap());
    listen_with(Proxy { pool, timeouts }, Limits::default(), None, shutdown).await
}

/// An upstream in this process.
pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
    pub(crate) seen: Arc<AtomicUsize>,
}

pub(crate) type AnyBody = BoxBody<Bytes, std::io::Error>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

pub(crate) async fn behind<F, R>(answer: F) -> Behind
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<AnyBody>> + Send + 'static,
{
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(AtomicUsize::new(0));
    let upstream = Behind { address, accepted: accepted.clone(), seen: seen.clone() };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::SeqCst);
            let (answer, seen) = (answer.clone(), seen.clone());
            let service = service_fn(move |request| {
                seen.fetch_add(1, Ordering::SeqCst);
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    upstream
}

/// An upstream that speaks bytes: one script for each connection.
pub(crate) async fn scripted<F, R>(script: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((socket, _)) = listener.accept().await else { return };
            tokio::spawn(script(number, socket));
        }
    });
    address
}

/// Certificate and key for `localhost`, as files.
pub(crate) struct Certificate {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) der: rustls_pki_types::CertificateDer<'static>,
}

pub(crate) fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    Certificate { folder, der: made.cert.der().clone() }
}
