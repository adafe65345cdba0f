//! The public listener: accepts under a permit, speaks TLS where configured, finds out the protocol, and
//! drives hyper until the client leaves or the gateway shuts down.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Entropy};
use guard::Connection;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::answer::Desk;
use crate::connection::{ClientStream, Http1, Talk};
use crate::handler::Handler;
use crate::lanes::Lanes;
use crate::shutdown::Open;
use crate::{Limits, Shutdown, Tls, round_trip};

/// Fields that hyper takes without being told.
const HYPERS_FIELDS: usize = 100;

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// TLS, or `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// What one client may do.
    pub limits: Limits,
    /// Threads that carry connections, each with a scheduler of its own; 0 carries them where the listener runs.
    pub lanes: usize,
}

impl ListenConfig {
    /// Plain HTTP at an address with the standard limits.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, limits: Limits::default(), lanes: 0 }
    }
}

/// The address cannot be used; the text says why and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", explain(source))]
pub struct ListenError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn explain(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the other program or choose another port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher port".to_owned()
        }
        _ => source.to_string(),
    }
}

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    limits: Arc<Limits>,
    lanes: usize,
}

impl Listener {
    /// Binds the address, so that a port in use is known before anything else starts.
    pub async fn bind(config: ListenConfig) -> Result<Self, ListenError> {
        let ListenConfig { address, tls, limits, lanes } = config;
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = bound.await.map_err(|source| ListenError { address, source })?;
        Ok(Self { socket, address, tls, limits: Arc::new(limits), lanes })
    }

    /// The address, with the port that the system chose.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the shutdown begins; each connection runs in a task of its own, which
    /// [`Shutdown::drain`] waits for.
    pub async fn serve<H: Handler>(self, handler: H, clock: Clock, entropy: Entropy, shutdown: Shutdown) {
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        let mut lanes = Lanes::start(self.lanes, &shutdown).unwrap_or_else(|error| {
            tracing::warn!(%error, "connections get no threads of their own");
            Lanes::none()
        });
        let desk = Arc::new(Desk { handler, limits: self.limits, clock, entropy });
        let mut begun = pin!(shutdown.begun());
        loop {
            let next = async {
                let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
                (self.socket.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                biased;
                () = &mut begun => return,
                next = next => next,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let round_trip = round_trip::of(&socket);
                    let socket = socket.into_std();
                    let open = shutdown.enter(permit);
                    let visit = Visit {
                        on: Connection { peer, tls: self.tls.is_some(), round_trip },
                        desk: desk.clone(),
                        shutdown: shutdown.clone(),
                    };
                    let tls = self.tls.clone();
                    lanes.run(async move {
                        // Handed over bare, so that the lane's own event queue takes it.
                        match socket.and_then(TcpStream::from_std) {
                            Ok(socket) => visit.run(socket, tls, open).await,
                            Err(error) => tracing::warn!(%error, "a connection could not change lanes"),
                        }
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: what is open goes on, and closing will free some.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// One client's connection.
struct Visit<H> {
    on: Connection,
    desk: Arc<Desk<H>>,
    shutdown: Shutdown,
}

impl<H: Handler> Visit<H> {
    async fn run(self, socket: TcpStream, tls: Option<Tls>, open: Open) {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.cut() => {}
            () = self.talk(socket, tls, open) => {}
        }
    }

    async fn talk(self, socket: TcpStream, tls: Option<Tls>, open: Open) {
        // Without this, small responses wait for the client's acknowledgement of the one before.
        let _ = socket.set_nodelay(true);
        let Some((stream, speaks_http2)) = self.begin(socket, tls, open).await else { return };
        let ended = if speaks_http2 { self.http2(stream).await } else { self.http1(stream).await };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection ended early");
        }
    }

    /// TLS handshake, or a look at the first bytes. `None`: there is nobody to talk to.
    async fn begin(&self, socket: TcpStream, tls: Option<Tls>, open: Open) -> Option<(ClientStream, bool)> {
        let limits = &self.desk.limits;
        if let Some(tls) = tls {
            let handshake =
                tokio::time::timeout(limits.handshake_timeout, tls.acceptor().accept(socket)).await;
            let stream = handshake
                .ok()?
                .inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed"))
                .ok()?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            return Some((ClientStream::tls(stream, open), http2));
        }
        let mut stream = ClientStream::plain(socket, open);
        let sniffed = tokio::select! {
            sniffed = tokio::time::timeout(limits.head_timeout, stream.sniff_http2()) => sniffed,
            () = self.shutdown.begun() => return None,
        };
        match sniffed {
            Ok(Ok(http2)) => Some((stream, http2)),
            Ok(Err(_)) => None,
            // Half a preface is half a head, and is answered as such.
            Err(_) => (!stream.silent()).then_some((stream, false)),
        }
    }

    async fn http1(self, stream: ClientStream) -> hyper::Result<()> {
        let talk = Arc::new(Talk::new());
        let limits = &self.desk.limits;
        let io = TokioIo::new(Http1::new(stream, limits.clone(), talk.clone()));
        let service = service_fn(|request| {
            let (desk, on, talk) = (self.desk.clone(), self.on, talk.clone());
            async move { Ok::<_, Infallible>(desk.http1(on, talk, request).await) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // Our reader has deadlines of its own, which are answered.
            .header_read_timeout(None)
            // Larger than the longest head that our reader lets through.
            .max_buf_size((2 * limits.head_bytes).max(64 * 1024));
        if limits.fields > HYPERS_FIELDS {
            // Only then: what is set here costs hyper an allocation per request.
            builder.max_headers(limits.fields);
        }
        let connection = builder.serve_connection(io, service).with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = self.shutdown.begun() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }

    async fn http2(self, stream: ClientStream) -> hyper::Result<()> {
        let talk = Arc::new(Talk::new());
        let limits = self.desk.limits.clone();
        let idle = talk.clone();
        let service = service_fn(|request| {
            let (desk, on, talk) = (self.desk.clone(), self.on, talk.clone());
            async move { Ok::<_, Infallible>(desk.http2(on, talk, request).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.h2_streams)
            // The desk refuses longer ones with a problem; this is where h2 gives up without one.
            .max_header_list_size(u32::try_from(2 * limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_send_buf_size(128 * 1024)
            .keep_alive_interval(limits.h2_ping)
            .keep_alive_timeout(limits.h2_ping)
            // Rapid reset (CVE-2023-44487) and its kin.
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(256)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let patience = tokio::select! {
            ended = connection.as_mut() => return ended,
            () = self.shutdown.begun() => None,
            () = until_idle(&idle, limits.idle_timeout) => Some(limits.write_stall_timeout),
        };
        connection.as_mut().graceful_shutdown();
        match patience {
            None => connection.await,
            // What is left are responses of which the client takes nothing; dropping the connection ends them.
            Some(patience) => tokio::time::timeout(patience, connection).await.unwrap_or(Ok(())),
        }
    }
}

/// Returns when the connection had nothing to do for that long.
async fn until_idle(talk: &Talk, timeout: Duration) {
    loop {
        let quiet = talk.quiet();
        if quiet >= timeout {
            return;
        }
        tokio::time::sleep(timeout - quiet).await;
    }
}
