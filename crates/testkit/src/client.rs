//! A small HTTP client: one connection a request, so that nothing is shared between steps by accident.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// A client of one address; carries a bearer token and cookies if told to.
#[derive(Clone)]
pub struct Client {
    port: u16,
    host: String,
    token: Option<String>,
    cookies: Vec<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is something else; the message shows it.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Panics unless the status is this one; the message shows the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{} {:?}", self.text(), self.headers);
        self
    }

    /// Panics unless this is a problem document of the given kind, with our request id.
    #[track_caller]
    pub fn problem(self, status: u16, slug: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text());
        assert_eq!(answer.json()["type"], format!("urn:fortissimo:problem:{slug}"), "{}", answer.text());
        assert!(!answer.header("x-request-id").is_empty(), "a problem without a request id");
        answer
    }
}

impl Client {
    /// A client of a loopback port, without credentials.
    pub fn new(port: u16) -> Self {
        Self { port, host: format!("127.0.0.1:{port}"), token: None, cookies: Vec::new() }
    }

    /// The port that it talks to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// With a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.cookies.push(format!("{name}={value}"));
        with
    }

    /// With another `Host`.
    #[must_use]
    pub fn host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// POST of a JSON document.
    pub async fn post(&self, path: &str, document: Value) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], document.to_string().into())
            .await
    }

    /// PATCH of a JSON document.
    pub async fn patch(&self, path: &str, document: Value) -> Answer {
        self.send(Method::PATCH, path, &[("content-type", "application/json")], document.to_string().into())
            .await
    }

    /// POST of a body.
    pub async fn upload(&self, path: &str, media_type: &str, body: Bytes) -> Answer {
        self.send(Method::POST, path, &[("content-type", media_type)], body).await
    }

    /// Any request.
    ///
    /// # Panics
    /// If no answer comes; see [`Client::try_send`] for when that is expected.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Any request; fails if the connection or the answer breaks off.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !self.cookies.is_empty() {
            request = request.header(header::COOKIE, self.cookies.join("; "));
        }
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// Sends bytes as they are and reads until the other side closes (or 15 s pass); for requests that no client
/// would make.
pub fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the program listens");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout can be set");
    // The program may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
