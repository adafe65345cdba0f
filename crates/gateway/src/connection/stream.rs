//! The socket of one client, plain or TLS, with the bytes that were read to find out which protocol it
//! speaks, and with the permit that bounds how many there are.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::shutdown::Open;

/// What a client sends first when it speaks HTTP/2 without TLS (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's socket. It counts as an open connection until it is dropped, also after an upgrade.
pub(crate) struct ClientStream {
    socket: Socket,
    sniffed: BytesMut,
    _open: Open,
}

impl ClientStream {
    pub(crate) fn plain(socket: TcpStream, open: Open) -> Self {
        Self { socket: Socket::Plain(socket), sniffed: BytesMut::new(), _open: open }
    }

    pub(crate) fn tls(socket: TlsStream<TcpStream>, open: Open) -> Self {
        Self { socket: Socket::Tls(Box::new(socket)), sniffed: BytesMut::new(), _open: open }
    }

    /// Reads until the bytes differ from HTTP/2's preface or are the preface. They are not lost: reading
    /// starts with them again. `Ok(true)`: the client speaks HTTP/2. May be cancelled and asked again.
    pub(crate) async fn sniff_http2(&mut self) -> io::Result<bool> {
        let Socket::Plain(tcp) = &mut self.socket else { return Ok(false) };
        while self.sniffed.len() < PREFACE.len() && PREFACE.starts_with(&self.sniffed) {
            let mut piece = [0; PREFACE.len()];
            let read = tcp.read(&mut piece[..PREFACE.len() - self.sniffed.len()]).await?;
            if read == 0 {
                break;
            }
            self.sniffed.extend_from_slice(&piece[..read]);
        }
        Ok(self.sniffed == PREFACE)
    }

    /// Whether the client has not sent anything yet.
    pub(crate) fn silent(&self) -> bool {
        self.sniffed.is_empty()
    }

    /// Makes the end of this connection a reset, so that nobody takes it for the end of a response.
    pub(crate) fn reset_on_close(&self) {
        let tcp = match &self.socket {
            Socket::Plain(tcp) => tcp,
            Socket::Tls(tls) => tls.get_ref().0,
        };
        // If the socket is gone already, there is nothing to reset.
        let _ = tcp.set_zero_linger();
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.sniffed.is_empty() {
            let step = self.sniffed.len().min(buf.remaining());
            buf.put_slice(&self.sniffed[..step]);
            self.sniffed.advance(step);
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Socket::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
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
