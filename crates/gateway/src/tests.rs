//! The listener as a whole: HTTP/2, TLS, limits on connections, and ending well.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guard::Body;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testing::{
    ANY, Certificate, answers, behind, certificate, full, listen, proxy_to, read_all, read_until,
};
use crate::{Drained, Limits, ListenConfig, Listener, Tls, TlsError, TlsFiles};

async fn echo(request: Request<Body>) -> Response<Body> {
    let host = request.headers().get("host").map(|h| h.to_str().unwrap().to_owned()).unwrap_or_default();
    let text = format!("{:?} {host} {}", request.version(), request.uri().path());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Response::new(Body::from(format!("{text} {}", String::from_utf8_lossy(&body))))
}

type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Http2 {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(uri: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder().method("POST").uri(uri).body(Full::from(body)).unwrap()
}

async fn text(sender: &mut Http2, request: Request<Full<Bytes>>) -> (u16, String) {
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let gateway = listen(answers(echo), Limits::default(), None).await;
    let sender = http2(gateway.connect().await).await;
    let many = (0..50).map(|n| {
        let mut sender = sender.clone();
        async move { text(&mut sender, request(&format!("http://app.example/{n}"), "body")).await }
    });
    for (n, answer) in futures_util::future::join_all(many).await.into_iter().enumerate() {
        assert_eq!(answer, (200, format!("HTTP/2.0 app.example /{n} body")));
    }
}

#[tokio::test]
async fn malformed_heads_of_http2_are_problems_too() {
    let handler = answers(echo);
    let gateway = listen(handler.clone(), Limits::default(), None).await;
    let mut sender = http2(gateway.connect().await).await;
    let mut two_hosts = request("http://app.example/", "");
    two_hosts.headers_mut().insert("host", "other.example".parse().unwrap());
    let mut many = request("http://app.example/", "");
    for n in 0..101 {
        many.headers_mut().insert(http::HeaderName::try_from(format!("f{n}")).unwrap(), "v".parse().unwrap());
    }
    let mut large = request("http://app.example/", "");
    large.headers_mut().insert("large", "x".repeat(70 * 1024).parse().unwrap());
    let long = request(&format!("http://app.example/{}", "x".repeat(9_000)), "");
    for (status, refused) in [(400, two_hosts), (431, many), (431, large), (414, long)] {
        let (got, body) = text(&mut sender, refused).await;
        assert_eq!(got, status, "{body}");
        assert!(body.starts_with("{\"type\":\"urn:fortissimo:problem:"), "{body}");
    }
    assert_eq!(handler.seen.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(
        text(&mut sender, request("http://app.example/ok", "")).await.0,
        200,
        "the connection goes on"
    );
}

#[tokio::test]
async fn http2_goes_to_an_upstream_of_http1() {
    let upstream = behind(|request: Request<hyper::body::Incoming>| async move {
        let head =
            format!("{:?} {:?} {:?}", request.version(), request.headers()["host"], request.headers()["via"]);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(format!("{head} {body:?}")))
    })
    .await;
    let gateway = proxy_to(upstream.address).await;
    let mut sender = http2(gateway.connect().await).await;
    let answer = text(&mut sender, request("http://app.example/", "hello")).await;
    assert_eq!(answer, (200, "HTTP/1.1 \"app.example\" \"2 fortissimo\" b\"hello\"".into()));
}

#[tokio::test]
async fn a_client_of_http2_that_takes_nothing_gives_its_place_back() {
    struct Held(Arc<tokio::sync::Semaphore>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }
    let returned = Arc::new(tokio::sync::Semaphore::new(0));
    let place = returned.clone();
    let endless = answers(move |_| {
        let held = Arc::new(Held(place.clone()));
        let pieces = futures_util::stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(&[0; 16 * 1024])))
        });
        async move { Response::new(Body::stream(http_body_util::StreamBody::new(pieces))) }
    });
    let limits = Limits { write_stall_timeout: Duration::from_millis(100), ..Limits::default() };
    let gateway = listen(endless, limits, None).await;
    let mut sender = http2(gateway.connect().await).await;
    let mut response = sender.send_request(request("http://app.example/", "")).await.unwrap();
    let _ = returned.acquire().await.unwrap();
    // Whoever wakes up again learns that this is not the end.
    loop {
        match response.body_mut().frame().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => break,
            None => panic!("a response that was let go of looks complete"),
        }
    }
}

fn tls(made: &Certificate, tls12: bool) -> Tls {
    let certificate = made.folder.path().join("cert.pem");
    Tls::load(TlsFiles { certificate, key: made.folder.path().join("key.pem"), tls12 }).unwrap()
}

async fn secure(
    address: std::net::SocketAddr,
    made: &Certificate,
    alpn: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(address).await?;
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), socket)
        .await
}

#[tokio::test]
async fn tls_carries_both_protocols_and_keeps_1_2_out_unless_asked() {
    use rustls::version::{TLS12, TLS13};
    let made = certificate();
    let gateway = listen(answers(echo), Limits::default(), Some(tls(&made, false))).await;
    let stream = secure(gateway.address, &made, &["h2", "http/1.1"], &[&TLS13]).await.unwrap();
    let answer = text(&mut http2(stream).await, request("https://localhost/a", "b")).await;
    assert_eq!(answer, (200, "HTTP/2.0 localhost /a b".into()));

    let mut stream = secure(gateway.address, &made, &[], &[&TLS13]).await.unwrap();
    stream.write_all(b"GET /c HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("HTTP/1.1 localhost /c "), "{answer}");
    // Malformed requests are answered in TLS too.
    let mut stream = secure(gateway.address, &made, &["http/1.1"], &[&TLS13]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("problem+json"), "{answer}");

    assert!(secure(gateway.address, &made, &[], &[&TLS12]).await.is_err());
    let old = listen(answers(echo), Limits::default(), Some(tls(&made, true))).await;
    assert!(secure(old.address, &made, &[], &[&TLS12]).await.is_ok());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    use rustls::version::TLS13;
    let (made, renewed) = (certificate(), certificate());
    let files = tls(&made, false);
    let gateway = listen(answers(echo), Limits::default(), Some(files.clone())).await;
    assert!(secure(gateway.address, &renewed, &[], &[&TLS13]).await.is_err());
    for name in ["cert.pem", "key.pem"] {
        std::fs::copy(renewed.folder.path().join(name), made.folder.path().join(name)).unwrap();
    }
    files.reload().unwrap();
    assert!(secure(gateway.address, &renewed, &[], &[&TLS13]).await.is_ok());
    std::fs::write(made.folder.path().join("cert.pem"), "nothing").unwrap();
    assert!(matches!(files.reload(), Err(TlsError::NoCertificate(_))));
    std::fs::remove_file(made.folder.path().join("key.pem")).unwrap();
    std::fs::copy(renewed.folder.path().join("cert.pem"), made.folder.path().join("cert.pem")).unwrap();
    assert!(matches!(files.reload(), Err(TlsError::File { what: "the key", .. })));
    assert!(secure(gateway.address, &renewed, &[], &[&TLS13]).await.is_ok());
}

#[tokio::test]
async fn garbage_and_silence_on_a_tls_port_end() {
    let made = certificate();
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::default() };
    let gateway = listen(answers(echo), limits, Some(tls(&made, false))).await;
    for bytes in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""] {
        let mut client = gateway.connect().await;
        client.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let first = Listener::bind(ListenConfig::plain(ANY)).await.unwrap();
    let second = Listener::bind(ListenConfig::plain(first.address())).await.unwrap_err();
    assert_eq!(
        second.to_string(),
        format!(
            "cannot listen on {}: the port is in use; stop the other program or choose another port",
            first.address()
        )
    );
}

#[tokio::test]
async fn a_larger_limit_of_fields_is_hypers_too() {
    let limits = Limits { fields: 120, ..Limits::default() };
    let gateway = listen(answers(echo), limits, None).await;
    let with = |count| {
        let fields: String = (0..count).map(|n| format!("f{n}: v\r\n")).collect();
        format!("GET /many HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n")
    };
    let answer = gateway.exchange(with(118).as_bytes()).await;
    assert!(answer.ends_with("/many "), "{answer}");
    let answer = gateway.exchange(with(119).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431") && answer.contains("problem+json"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let gateway = listen(answers(echo), limits, None).await;
    let mut first = gateway.connect().await;
    first.write_all(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut first, "/1 ").await;
    let mut second = gateway.connect().await;
    second.write_all(b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(nothing.is_err(), "the second one waits");
    drop(first);
    assert!(read_all(&mut second).await.ends_with("/2 "));
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_in_flight_and_takes_nothing_new() {
    let slow = answers(|request: Request<Body>| async move {
        if request.uri().path() != "/idle" {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        echo(request).await
    });
    let gateway = listen(slow, Limits::default(), None).await;
    let mut in_flight = gateway.connect().await;
    in_flight.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut multiplexed = http2(gateway.connect().await).await;
    let multiplexed = tokio::spawn(async move { text(&mut multiplexed, request("http://x/two", "")).await });
    let mut idle = gateway.connect().await;
    idle.write_all(b"GET /idle HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut idle, "/idle ").await;
    in_flight.write_all(b"GET /pipelined HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut silent = gateway.connect().await;
    while gateway.shutdown.open() < 4 {
        tokio::task::yield_now().await;
    }
    let shutdown = gateway.shutdown.clone();
    let draining = tokio::spawn(async move { shutdown.drain(Duration::from_secs(10)).await });
    assert_eq!(read_all(&mut idle).await, "", "an idle connection is closed");
    assert_eq!(read_all(&mut silent).await, "");
    let answer = read_all(&mut in_flight).await;
    assert!(answer.contains("/slow "), "{answer}");
    assert_eq!(multiplexed.await.unwrap(), (200, "HTTP/2.0 x /two ".into()));
    let drained = draining.await.unwrap();
    assert_eq!(drained.cut, 0, "{drained:?}");
    assert!(TcpStream::connect(gateway.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_client_whose_body_is_refused_hears_that_the_connection_ends() {
    let strict = answers(|_| async {
        let mut response = Response::new(Body::from("too large"));
        *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        response
    });
    let gateway = listen(strict, Limits::default(), None).await;
    let mut client = gateway.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nfirst bytes")
        .await
        .unwrap();
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let asked = Arc::new(tokio::sync::Notify::new());
    let told = asked.clone();
    let stuck = answers(move |_| {
        told.notify_one();
        async { std::future::pending().await }
    });
    let gateway = listen(stuck, Limits::default(), None).await;
    let mut client = gateway.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    asked.notified().await;
    let drained = gateway.shutdown.drain(Duration::from_millis(100)).await;
    assert_eq!(drained, Drained { finished: 0, cut: 1 });
}
