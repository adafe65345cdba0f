//! Requests to upstreams over real sockets: what arrives, what comes back, and what happens when it does not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use guard::Timeouts;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::UpstreamConfig;
use crate::testing::{AnyBody, Gateway, behind, full, proxy_to, proxy_with, read_until, scripted};

/// One HTTP/1.1 request, and the bytes of its answer until the gateway closes.
async fn get(gateway: &Gateway, path: &str) -> String {
    gateway
        .exchange(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n").as_bytes())
        .await
}

/// Answers with the head it received.
async fn mirror(request: Request<Incoming>) -> Response<AnyBody> {
    let mut lines: Vec<String> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    let text = format!("{} {} {}", request.method(), request.uri(), lines.join("; "));
    let mut response = Response::new(full(text));
    for (name, value) in
        [("connection", "x-private"), ("x-private", "1"), ("keep-alive", "timeout=1"), ("x-public", "2")]
    {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn heads_cross_without_what_belongs_to_one_connection() {
    let upstream = behind(mirror).await;
    let gateway = proxy_to(upstream.address).await;
    let answer = gateway
        .exchange(
            b"GET /a/b?c=d HTTP/1.1\r\nHost: app.example\r\nX-A: 1\r\nConnection: close, x-a\r\nX-B: 2\r\n\
              Keep-Alive: 9\r\nProxy-Connection: x\r\n\r\n",
        )
        .await;
    assert!(answer.ends_with("GET /a/b?c=d host: app.example; via: 1.1 fortissimo; x-b: 2"), "{answer}");
    assert!(answer.contains("x-public: 2"), "{answer}");
    assert!(!answer.contains("x-private") && !answer.contains("keep-alive"), "{answer}");
}

#[tokio::test]
async fn the_upstreams_own_host_can_be_sent() {
    let upstream = behind(mirror).await;
    let config = UpstreamConfig { host: crate::HostField::Upstream, ..UpstreamConfig::default() };
    let gateway = proxy_with(upstream.address, Timeouts::default(), config).await;
    let answer = get(&gateway, "/").await;
    assert!(answer.contains(&format!("host: {};", upstream.address)), "{answer}");
}

#[tokio::test]
async fn connections_to_the_upstream_are_reused() {
    let upstream = behind(mirror).await;
    let gateway = proxy_to(upstream.address).await;
    for _ in 0..20 {
        assert!(get(&gateway, "/").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(upstream.seen.load(Ordering::SeqCst), 20);
    assert_eq!(upstream.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn lengths_and_bodiless_answers_keep_their_shape() {
    let upstream = behind(|request: Request<Incoming>| async move {
        let mut response = match request.uri().path() {
            "/empty" => Response::builder().status(204).body(full("")).unwrap(),
            "/same" => Response::builder().status(304).header("etag", "\"x\"").body(full("")).unwrap(),
            "/fixed" => Response::new(full("12345")),
            "/chunked" => {
                let pieces = ["one", "two"].map(|piece| Ok::<_, io::Error>(Frame::data(Bytes::from(piece))));
                Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(pieces))))
            }
            _ => {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("digest", "x".parse().unwrap());
                let frames =
                    [Ok::<_, io::Error>(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
                let body = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
                Response::builder().header("trailer", "digest").body(body).unwrap()
            }
        };
        response.headers_mut().insert("x-method", request.method().as_str().parse().unwrap());
        response
    })
    .await;
    let gateway = proxy_to(upstream.address).await;
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();

    let fixed = get(&gateway, "/fixed").await;
    assert!(fixed.contains("content-length: 5\r\n") && !fixed.contains("transfer-encoding"), "{fixed}");
    assert_eq!(body(&fixed), "12345");

    let chunked = get(&gateway, "/chunked").await;
    assert!(
        chunked.contains("transfer-encoding: chunked") && !chunked.contains("content-length"),
        "{chunked}"
    );
    assert_eq!(body(&chunked), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");

    let none = get(&gateway, "/empty").await;
    assert!(none.starts_with("HTTP/1.1 204") && body(&none).is_empty(), "{none}");
    let same = get(&gateway, "/same").await;
    assert!(
        same.starts_with("HTTP/1.1 304") && same.contains("etag: \"x\"") && body(&same).is_empty(),
        "{same}"
    );

    let head = gateway.exchange(b"HEAD /fixed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(
        head.contains("content-length: 5") && head.contains("x-method: HEAD") && body(&head).is_empty(),
        "{head}"
    );

    let trailers = gateway
        .exchange(b"GET /trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: te, close\r\n\r\n")
        .await;
    assert_eq!(body(&trailers), "4\r\nbody\r\n0\r\ndigest: x\r\n\r\n");
}

#[tokio::test]
async fn request_bodies_keep_their_shape_and_trailers_are_harmless() {
    let upstream = behind(|request: Request<Incoming>| async move {
        let length = format!(
            "{:?} {:?}",
            request.headers().get("content-length"),
            request.headers().get("transfer-encoding")
        );
        let body = request.into_body().collect().await.unwrap();
        let trailers =
            format!("{:?}", body.trailers().map(|t| t.keys().map(ToString::to_string).collect::<Vec<_>>()));
        Response::new(full(format!("{length} {:?} {trailers}", body.to_bytes())))
    })
    .await;
    let gateway = proxy_to(upstream.address).await;
    let answer = gateway
        .exchange(b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert!(answer.ends_with("Some(\"5\") None b\"hello\" None"), "{answer}");
    let answer = gateway
        .exchange(
            b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
              Trailer: digest, fortissimo-assertion\r\n\r\n\
              5\r\nhello\r\n0\r\nDigest: x\r\nFortissimo-Assertion: forged\r\n\r\n",
        )
        .await;
    assert!(answer.ends_with("None Some(\"chunked\") b\"hello\" Some([\"digest\"])"), "{answer}");
}

#[tokio::test]
async fn a_get_with_a_body_keeps_it_on_a_connection_that_is_not_used_again() {
    let upstream = behind(|request: Request<Incoming>| async move {
        Response::new(full(request.into_body().collect().await.unwrap().to_bytes()))
    })
    .await;
    let gateway = proxy_to(upstream.address).await;
    for (number, body) in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
            .into_iter()
            .enumerate()
    {
        let answer = gateway
            .exchange(format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{body}").as_bytes())
            .await;
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        assert_eq!(upstream.accepted.load(Ordering::SeqCst), number + 1, "nothing follows such a body");
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502_and_a_silent_one_504() {
    let closed = {
        let listener = tokio::net::TcpListener::bind(crate::testing::ANY).await.unwrap();
        listener.local_addr().unwrap()
    };
    let answer = get(&proxy_to(closed).await, "/").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("upstream_unreachable"), "{answer}");

    let silent = scripted(|_, mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let answer = get(&proxy_to(silent).await, "/").await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.ends_with("upstream_slow"), "{answer}");

    let resetting = scripted(|_, mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
    })
    .await;
    let answer = get(&proxy_to(resetting).await, "/").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("upstream_broken"), "{answer}");

    let babbling = scripted(|_, mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let answer = get(&proxy_to(babbling).await, "/").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn a_coding_that_we_would_lose_is_refused() {
    let odd = scripted(|_, mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
            .await;
    })
    .await;
    let answer = get(&proxy_to(odd).await, "/").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("upstream_framing"), "{answer}");
}

#[tokio::test]
async fn a_response_that_breaks_off_never_ends_cleanly() {
    for head in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        for dies in [true, false] {
            let upstream = scripted(move |_, mut socket| async move {
                let _ = socket.read(&mut [0; 1024]).await;
                let _ =
                    socket.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n5\r\nhello\r\n").as_bytes()).await;
                if !dies {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            })
            .await;
            let gateway = proxy_to(upstream).await;
            for version in ["1.1", "1.0"] {
                let mut client = gateway.connect().await;
                client
                    .write_all(format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes())
                    .await
                    .unwrap();
                let mut received = Vec::new();
                let ended = client.read_to_end(&mut received).await;
                assert!(
                    ended.is_err(),
                    "{head:?} {version} dies={dies}: {:?}",
                    String::from_utf8_lossy(&received)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_stale_pooled_connection_is_tried_again_for_get_only() {
    // Every connection answers once, promises to stay, and closes at the next request.
    let served = Arc::new(AtomicUsize::new(0));
    let counted = served.clone();
    let upstream = scripted(move |_, mut socket| {
        let counted = counted.clone();
        async move {
            let _ = socket.read(&mut [0; 4096]).await;
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = socket.read(&mut [0; 4096]).await;
        }
    })
    .await;
    let gateway = proxy_to(upstream).await;
    assert!(get(&gateway, "/").await.ends_with("ok"));
    assert!(get(&gateway, "/").await.ends_with("ok"), "the second request meets a closing connection");
    assert_eq!(served.load(Ordering::SeqCst), 2);
    let post = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let answer = gateway.exchange(post).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "a POST is never sent twice: {answer}");
    assert_eq!(served.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_not_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let upstream = scripted(move |_, mut socket| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { drop(socket.read(&mut [0; 1024]).await) }
    })
    .await;
    assert!(get(&proxy_to(upstream).await, "/").await.starts_with("HTTP/1.1 502"));
    assert_eq!(tries.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_may_wait_for_100_continue() {
    let upstream = behind(|request: Request<Incoming>| async move {
        assert!(request.headers().get("expect").is_none());
        Response::new(full(request.into_body().collect().await.unwrap().to_bytes()))
    })
    .await;
    let gateway = proxy_to(upstream.address).await;
    let mut client = gateway.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    assert!(crate::testing::read_all(&mut client).await.ends_with("hello"));
}

#[tokio::test]
async fn an_early_answer_arrives_while_the_body_still_streams() {
    let upstream = behind(|_| async { Response::builder().status(403).body(full("no need")).unwrap() }).await;
    let gateway = proxy_to(upstream.address).await;
    let mut client = gateway.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbeginning")
        .await
        .unwrap();
    let answer = read_until(&mut client, "no need").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_long_upload_is_not_mistaken_for_a_silent_upstream() {
    // Three pieces with pauses that together exceed the patience for the head, but never each alone.
    let upstream = behind(|request: Request<Incoming>| async move {
        Response::new(full(request.into_body().collect().await.unwrap().to_bytes()))
    })
    .await;
    let timeouts = Timeouts { connect_ms: 1_000, head_ms: 400, idle_ms: 2_000 };
    let gateway = proxy_with(upstream.address, timeouts, UpstreamConfig::default()).await;
    let mut client = gateway.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    for byte in b"slow" {
        tokio::time::sleep(Duration::from_millis(150)).await;
        client.write_all(&[*byte]).await.unwrap();
    }
    let answer = crate::testing::read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
}

#[tokio::test]
async fn a_body_that_the_client_breaks_off_is_not_the_upstreams_fault() {
    let upstream = behind(|request: Request<Incoming>| async move {
        let whole = request.into_body().collect().await.is_ok();
        Response::new(full(format!("{whole}")))
    })
    .await;
    let gateway = proxy_to(upstream.address).await;
    let answer = gateway
        .exchange(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nworse\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("request_body_broken"), "{answer}");
}

#[tokio::test]
async fn too_many_requests_in_flight_are_refused_not_queued() {
    let upstream = scripted(|_, mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let config = UpstreamConfig { in_flight: 1, ..UpstreamConfig::default() };
    let gateway = proxy_with(upstream, Timeouts { head_ms: 60_000, ..Timeouts::default() }, config).await;
    let mut first = gateway.connect().await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = loop {
        // The first one may not have arrived yet.
        let answer = tokio::time::timeout(Duration::from_millis(100), get(&gateway, "/")).await;
        if let Ok(answer) = answer {
            break answer;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("upstream_overloaded"), "{answer}");
}

const MIB: usize = 1024 * 1024;

/// A stream of `total` bytes that counts how many were asked for.
fn counted_stream(total: usize, pushed: Arc<AtomicUsize>) -> AnyBody {
    let piece = Bytes::from(vec![7; 64 * 1024]);
    let stream = futures_util::stream::unfold(0, move |sent| {
        let (piece, pushed) = (piece.clone(), pushed.clone());
        async move {
            (sent < total).then(|| {
                pushed.fetch_add(piece.len(), Ordering::SeqCst);
                (Ok::<_, io::Error>(Frame::data(piece.clone())), sent + piece.len())
            })
        }
    });
    BodyExt::boxed(StreamBody::new(
        Box::pin(stream) as std::pin::Pin<Box<dyn futures_util::Stream<Item = _> + Send + Sync>>
    ))
}

/// Waits until a counter stops growing.
async fn settled(counter: &AtomicUsize) -> usize {
    loop {
        let before = counter.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        if before > 0 && counter.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_the_upstream_instead_of_filling_memory() {
    let pushed = Arc::new(AtomicUsize::new(0));
    let count = pushed.clone();
    let upstream = behind(move |_| {
        let count = count.clone();
        async move { Response::new(counted_stream(64 * MIB, count)) }
    })
    .await;
    let timeouts = Timeouts { idle_ms: 10_000, ..Timeouts::default() };
    let gateway = proxy_with(upstream.address, timeouts, UpstreamConfig::default()).await;
    let mut client = gateway.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    // Nobody reads: what the upstream got rid of lies in four kernel buffers and our small ones.
    let stuck = settled(&pushed).await;
    assert!(stuck < 24 * MIB, "{stuck} bytes went somewhere");
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert!(received.len() > 64 * MIB);
    assert_eq!(pushed.load(Ordering::SeqCst), 64 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upstream_slows_the_client_instead_of_filling_memory() {
    let go = Arc::new(tokio::sync::Notify::new());
    let waits = go.clone();
    let upstream = behind(move |request: Request<Incoming>| {
        let waits = waits.clone();
        async move {
            waits.notified().await;
            let mut body = request.into_body();
            let mut received = 0;
            while let Some(frame) = body.frame().await {
                received += frame.unwrap().into_data().map_or(0, |data| data.len());
            }
            Response::new(full(received.to_string()))
        }
    })
    .await;
    let gateway = proxy_with(upstream.address, Timeouts::default(), UpstreamConfig::default()).await;
    let client = gateway.connect().await;
    let (mut reading, mut writing) = client.into_split();
    let pushed = Arc::new(AtomicUsize::new(0));
    let count = pushed.clone();
    let sending = tokio::spawn(async move {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            64 * MIB
        );
        writing.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![7; 64 * 1024];
        for _ in 0..64 * MIB / piece.len() {
            writing.write_all(&piece).await.unwrap();
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
        writing
    });
    let stuck = settled(&pushed).await;
    assert!(stuck < 24 * MIB, "{stuck} bytes went somewhere");
    go.notify_one();
    let mut answer = String::new();
    reading.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&(64 * MIB).to_string()), "{answer}");
    sending.await.unwrap();
}

/// An upstream that accepts WebSockets and sends everything back.
async fn echoing() -> std::net::SocketAddr {
    scripted(|_, socket| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn websocket(gateway: &Gateway) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    tokio_tungstenite::client_async("ws://app.example/live", gateway.connect().await).await.unwrap().0
}

#[tokio::test]
async fn websockets_pass_in_both_directions() {
    let gateway = proxy_to(echoing().await).await;
    let mut socket = websocket(&gateway).await;
    for text in ["one", "two", &"x".repeat(200_000)] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    assert_eq!(gateway.shutdown.open(), 1);
    socket.close(None).await.unwrap();
    while socket.next().await.is_some_and(|m| m.is_ok()) {}
    drop(socket);
    let drained = gateway.shutdown.drain(Duration::from_secs(5)).await;
    assert_eq!(drained.cut, 0, "the tunnel ended with the WebSocket");
}

#[tokio::test]
async fn a_handshake_with_a_body_is_no_handshake() {
    let upstream = behind(mirror).await;
    let gateway = proxy_to(upstream.address).await;
    let handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    for body in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    {
        let next = "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = gateway.exchange(format!("{handshake}{body}{next}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("upgrade: websocket"), "{answer}");
        assert!(answer.ends_with("GET /next host: x; via: 1.1 fortissimo"), "{answer}");
    }
}

#[tokio::test]
async fn a_silent_websocket_is_closed_and_a_shutdown_cuts_one_that_stays() {
    let upstream = echoing().await;
    let config = UpstreamConfig { websocket_idle: Duration::from_millis(200), ..UpstreamConfig::default() };
    let gateway = proxy_with(upstream, Timeouts::default(), config).await;
    let mut socket = websocket(&gateway).await;
    assert!(!matches!(socket.next().await, Some(Ok(_))), "closed after silence");

    let gateway = proxy_to(upstream).await;
    let mut socket = websocket(&gateway).await;
    socket.send(Message::text("here")).await.unwrap();
    socket.next().await.unwrap().unwrap();
    let drained = gateway.shutdown.drain(Duration::from_millis(200)).await;
    assert_eq!(drained, crate::Drained { finished: 0, cut: 1 });
    let Some(Ok(Message::Close(Some(close)))) = socket.next().await else { panic!("it was told why") };
    assert_eq!(u16::from(close.code), 1001);
    assert!(!matches!(socket.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn an_upstream_that_declines_a_websocket_is_heard_and_the_connection_goes_on() {
    let upstream = behind(mirror).await;
    let gateway = proxy_to(upstream.address).await;
    let mut client = gateway.connect().await;
    let upgrade = "GET /live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    // The second request was sent before the answer to the first: its bytes were kept, and belong to it.
    client
        .write_all(format!("{upgrade}GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let answer = crate::testing::read_all(&mut client).await;
    assert!(answer.contains("GET /live connection: upgrade; host: x; upgrade: websocket; via"), "{answer}");
    assert!(answer.contains("GET /next host: x; via"), "{answer}");
}

#[tokio::test]
async fn only_websocket_is_switched_to() {
    // An upstream that switches to anything, asked or not.
    let upstream = scripted(|_, mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
            .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    let gateway = proxy_to(upstream).await;
    for fields in
        ["", "Connection: upgrade\r\nUpgrade: h2c\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\n"]
    {
        let mut client = gateway.connect().await;
        client.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await.unwrap();
        let head = read_until(&mut client, "\r\n\r\n").await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {}", StatusCode::BAD_GATEWAY.as_u16())),
            "{fields:?}: {head}"
        );
    }
}
