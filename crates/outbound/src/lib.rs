//! The HTTP client with which the product speaks to others whose address the operator configured: identity providers,
//! log sinks, witnesses.
//!
//! Every exchange is bounded in time and in what is read. What this crate refuses to do: it follows no redirect (the
//! other side must not choose whom we speak to), uses no proxy and no environment, keeps no cookies, and retries
//! nothing; whoever calls knows whether a retry is safe.

mod tls;

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use tls::{ClientCertificate, Tls};

/// Why there is no answer. The text is one sentence without secrets.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The connection could not be made or broke.
    #[error("{0}")]
    Exchange(String),
    /// No whole answer in time.
    #[error("no whole answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The answer is longer than allowed; it was not read to its end.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// A client. Cheap to clone; idle connections are kept for half a minute.
#[derive(Clone)]
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    max_answer: usize,
}

impl Outbound {
    /// A client that trusts and shows itself as `tls` says. `timeout` bounds a whole exchange, from the connection to
    /// the end of the answer; `max_answer` bounds an answer's body, in bytes.
    ///
    /// # Errors
    /// A sentence that names the part of `tls` which is not usable.
    pub fn new(tls: &Tls, timeout: Duration, max_answer: usize) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeout));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config(false)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client, timeout, max_answer })
    }

    /// Sends a request whose URI is absolute and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, OutboundError> {
        let (answer, whole) = self.send_partly(request).await?;
        if whole { Ok(answer) } else { Err(OutboundError::TooLong(self.max_answer)) }
    }

    /// As [`Outbound::send`], for whom the status says enough: of a longer answer only the beginning is read, and the
    /// second part of the result is false.
    ///
    /// # Errors
    /// [`OutboundError`] but for [`OutboundError::TooLong`].
    pub async fn send_partly(
        &self,
        request: Request<Bytes>,
    ) -> Result<(Response<Bytes>, bool), OutboundError> {
        let mut request = request.map(Full::new);
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("Fortissimo"));
        let exchange = async {
            let response =
                self.client.request(request).await.map_err(|error| OutboundError::Exchange(whole(&error)))?;
            let (head, mut rest) = response.into_parts();
            let (mut body, mut complete) = (BytesMut::new(), true);
            while let Some(frame) = rest.frame().await {
                let frame = frame
                    .map_err(|error| OutboundError::Exchange(format!("the answer broke off: {error}")))?;
                let Some(data) = frame.data_ref() else { continue };
                let room = self.max_answer - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    complete = false;
                    break;
                }
            }
            Ok((Response::from_parts(head, body.freeze()), complete))
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| OutboundError::TimedOut(self.timeout))?
    }
}

/// The client's own words hide why; the sources say it.
fn whole(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes.
    async fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await.unwrap();
            socket.write_all(answer).await.unwrap();
            // Held open: only a length or the time ends the answer.
            tokio::time::sleep(Duration::from_secs(5)).await;
        });
        format!("http://{address}/")
    }

    async fn get(url: &str) -> Result<Response<Bytes>, OutboundError> {
        let client = Outbound::new(&Tls::default(), Duration::from_millis(500), 64).unwrap();
        client.send(Request::get(url).body(Bytes::new()).unwrap()).await
    }

    #[tokio::test]
    async fn answers_are_read_whole_and_redirects_are_not_followed() {
        let url =
            server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nhi")
                .await;
        let answer = get(&url).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (302, &b"hi"[..]));
    }

    #[tokio::test]
    async fn of_a_long_answer_the_beginning_can_be_had() {
        let long = server(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 70\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx").await;
        let client = Outbound::new(&Tls::default(), Duration::from_millis(500), 64).unwrap();
        let ask = || Request::get(&long).body(Bytes::new()).unwrap();
        let (answer, whole) = client.send_partly(ask()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().len(), whole), (400, 64, false));
    }

    #[tokio::test]
    async fn long_slow_and_broken_answers_are_errors() {
        let long = server(b"HTTP/1.1 200 OK\r\ncontent-length: 65\r\n\r\n").await;
        assert!(matches!(get(&long).await, Err(OutboundError::TimedOut(_))));
        let chunked = server(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n41\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n").await;
        assert!(matches!(get(&chunked).await, Err(OutboundError::TooLong(64))));
        let slow = server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi").await;
        assert!(matches!(get(&slow).await, Err(OutboundError::TimedOut(_))));
        let garbage = server(b"220 smtp.example.com\r\n\r\n").await;
        assert!(matches!(get(&garbage).await, Err(OutboundError::Exchange(_))));
        assert!(matches!(get("http://127.0.0.1:1/").await, Err(OutboundError::Exchange(_))));
    }
}
