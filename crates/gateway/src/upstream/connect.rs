//! Opens connections to upstreams: names are resolved off the async threads, TCP, and TLS for `https://`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

/// An `https://` upstream cannot be trusted, because the system's root certificates cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "an upstream speaks https, but the system has no usable root certificates (on Debian: install ca-certificates){0}"
)]
pub struct UpstreamTlsError(String);

/// Makes one connection per call, within one deadline.
#[derive(Clone)]
pub(crate) struct Connect {
    tcp: HttpConnector,
    tls: Option<TlsConnector>,
    time: Duration,
}

impl Connect {
    /// A connector that takes at most `time` per connection. `tls`: whether any upstream speaks https.
    pub(crate) fn new(time: Duration, tls: bool) -> Result<Self, UpstreamTlsError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(time));
        let tls = if tls { Some(connector()?) } else { None };
        Ok(Self { tcp, tls, time })
    }

    /// A connection to the upstream with this address.
    pub(crate) async fn open(&self, address: &Uri) -> io::Result<UpstreamStream> {
        match tokio::time::timeout(self.time, self.clone().connect(address.clone())).await {
            Ok(opened) => opened,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn connect(mut self, uri: Uri) -> io::Result<UpstreamStream> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let tcp = self.tcp.call(uri).await.map_err(|error| {
            // The reason is buried; what matters to us is whether it was time.
            let kind =
                if timed_out(&error) { io::ErrorKind::TimedOut } else { io::ErrorKind::ConnectionRefused };
            io::Error::new(kind, error)
        })?;
        if !secure {
            return Ok(UpstreamStream { socket: Socket::Plain(tcp) });
        }
        let tls = self.tls.ok_or_else(|| io::Error::other("https is not set up"))?;
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let stream = tls.connect(name, tcp.into_inner()).await?;
        Ok(UpstreamStream { socket: Socket::Tls(Box::new(TokioIo::new(stream))) })
    }
}

/// Whether an error, or one that it stems from, is a timeout.
pub(crate) fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut))
}

fn connector() -> Result<TlsConnector, UpstreamTlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(UpstreamTlsError(why));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| UpstreamTlsError(format!(": {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

enum Socket {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

/// A connection to an upstream.
pub(crate) struct UpstreamStream {
    socket: Socket,
}

impl Read for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl Write for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Socket::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Socket::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(tcp) => tcp.is_write_vectored(),
            Socket::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
