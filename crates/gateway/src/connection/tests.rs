//! Bytes that are not one request, over real sockets. Nothing of them may reach the handler.

use std::sync::atomic::Ordering;
use std::time::Duration;

use guard::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Limits;
use crate::testing::{answers, listen, read_all, read_until};

async fn hello(_: Request<Body>) -> Response<Body> {
    Response::new(Body::from("hello"))
}

/// Reads the whole body and says what came.
async fn swallow(request: Request<Body>) -> Response<Body> {
    match request.into_body().collect().await {
        Ok(body) => Response::new(Body::from(body.to_bytes())),
        Err(_) => {
            let mut response = Response::new(Body::from("broken body"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}

#[track_caller]
fn assert_problem(answer: &str, status: u16, input: &str) {
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {input:?}: {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{input:?}: {answer}");
    for field in [
        "content-type: application/problem+json",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
        "x-request-id: ",
        "connection: close",
    ] {
        assert!(head.contains(field), "{field} is missing for {input:?}: {answer}");
    }
    assert!(body.starts_with("{\"type\":\"urn:fortissimo:problem:"), "{input:?}: {answer}");
    assert!(body.contains(&format!("\"status\":{status}")), "{input:?}: {answer}");
    let id = head.split("x-request-id: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(body.contains(&format!("\"instance\":\"urn:uuid:{id}\"")), "{input:?}: {answer}");
}

#[tokio::test]
async fn malformed_requests_are_answered_and_never_passed_on() {
    let handler = answers(swallow);
    let gateway = listen(handler.clone(), Limits::default(), None).await;
    let with = |fields: &str| format!("POST /x HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n0\r\n\r\n");
    let many: String = (0..100).map(|n| format!("f{n}: v\r\n")).collect();
    let long = "x".repeat(70 * 1024);
    let table = [
        (400, with("Transfer-Encoding: chunked\r\nContent-Length: 5")),
        (400, with("Content-Length: 5\r\nTransfer-Encoding: chunked")),
        (400, with("Content-Length: 5\r\nContent-Length: 6")),
        (400, with("Content-Length: +5")),
        (400, with("Content-Length: 5,5")),
        (400, with("Content-Length: 5 5")),
        (413, with("Content-Length: 99999999999999999999")),
        (400, with("Transfer-Encoding: chunked, identity")),
        (400, with("Transfer-Encoding : chunked")),
        (400, with("Transfer-Encoding:\x0bchunked")),
        (400, with("Transfer-Encoding: gzip")),
        (400, with("A: b\rc")),
        (400, with("A: b\0c")),
        (400, with("A: b\r\n folded: c")),
        (400, with("A: b\nC: d")),
        (400, with("Host: y")),
        (431, with(&many)),
        (431, with(&format!("A: {long}"))),
        (400, "GET / HTTP/1.1\nHost: x\n\n".into()),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        (414, format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(9_000))),
        (400, "G@T / HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        (400, "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n".into()),
        (400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
        (400, "GET / HTTP/9.9\r\nHost: x\r\n\r\n".into()),
        (400, "GET /\r\n\r\n".into()),
        (400, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into()),
        (400, "\r\n\r\n\r\n\r\n".into()),
        (400, "\u{1}\u{2}\u{3} nonsense \u{7f}\r\n".into()),
        (400, "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03".into()),
    ];
    for (status, input) in table {
        let shown: String = input.chars().take(80).collect();
        assert_problem(&gateway.exchange(input.as_bytes()).await, status, &shown);
    }
    assert_eq!(handler.seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_malformed_request_behind_a_good_one_is_answered_behind_it() {
    let handler = answers(hello);
    let gateway = listen(handler.clone(), Limits::default(), None).await;
    let smuggled = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = gateway
        .exchange(
            format!(
                "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
                 POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
            )
            .as_bytes(),
        )
        .await;
    let (first, second) = answer.split_once("hello").expect("the good one is answered first");
    assert!(first.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_problem(second, 400, "the second one");
    assert_eq!(
        handler.seen.load(Ordering::SeqCst),
        1,
        "neither the malformed nor the smuggled one came through"
    );
}

#[tokio::test]
async fn pipelined_requests_keep_their_bodies() {
    let gateway = listen(answers(swallow), Limits::default(), None).await;
    let requests = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst\
                    POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n\
                    GET / HTTP/1.1\r\nHost: x\r\n\r\n\
                    POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";
    let bodies = |answer: &str| -> Vec<String> {
        answer
            .split("HTTP/1.1 200 OK")
            .skip(1)
            .map(|r| r.split_once("\r\n\r\n").unwrap().1.to_owned())
            .collect()
    };
    assert_eq!(bodies(&gateway.exchange(requests.as_bytes()).await), ["first", "second", "", "last"]);
    // And the same when every byte comes alone.
    let mut client = gateway.connect().await;
    client.set_nodelay(true).unwrap();
    let (mut reading, mut writing) = client.split();
    let mut received = String::new();
    let send = async {
        for byte in requests.bytes() {
            writing.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (_, read) = tokio::join!(send, reading.read_to_string(&mut received));
    read.unwrap();
    assert_eq!(bodies(&received), ["first", "second", "", "last"]);
}

#[tokio::test]
async fn a_malformed_chunk_breaks_the_body_and_the_connection() {
    let gateway = listen(answers(swallow), Limits::default(), None).await;
    for chunk in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "-1\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let answer = gateway.exchange(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunk:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{chunk:?}: {answer}");
    }
}

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
    let handler = answers(hello);
    let gateway = listen(handler.clone(), limits, None).await;
    for piece in ["G", "GET / HTTP/1.1\r\nHost: x\r\nA: ", "PRI * HT"] {
        assert_problem(&gateway.exchange(piece.as_bytes()).await, 408, piece);
    }
    // Also behind a good one.
    let answer = gateway.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT").await;
    assert_problem(answer.split_once("hello").unwrap().1, 408, "second");
    assert_eq!(handler.seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn silence_is_ended_without_a_word() {
    let limits = Limits {
        head_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let gateway = listen(answers(hello), limits, None).await;
    assert_eq!(gateway.exchange(b"").await, "");
    let answer = gateway.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_long_answer_is_not_idleness() {
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let slow = answers(|request: Request<Body>| async move {
        tokio::time::sleep(Duration::from_millis(250)).await;
        hello(request).await
    });
    let gateway = listen(slow, limits, None).await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(read_until(&mut client, "hello").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_head_cut_off_by_the_client_is_malformed() {
    let gateway = listen(answers(hello), Limits::default(), None).await;
    let mut client = gateway.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    client.shutdown().await.unwrap();
    assert_problem(&read_all(&mut client).await, 400, "half a head");
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    // The handler answers without reading. If we closed with unread bytes, a reset would overtake the answer.
    let refuse = answers(|_| async {
        let mut response = Response::new(Body::from("too large"));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        response
    });
    let gateway = listen(refuse, Limits::default(), None).await;
    for _ in 0..10 {
        let mut client = gateway.connect().await;
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n").await.unwrap();
        for _ in 0..128 {
            client.write_all(&[0; 64 * 1024]).await.unwrap();
        }
        let answer = read_all(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_one_500() {
    let gateway = listen(
        answers(|request: Request<Body>| async move {
            assert!(request.uri().path() != "/panic", "as the test wants it");
            hello(request).await
        }),
        Limits::default(),
        None,
    )
    .await;
    let answer = gateway
        .exchange(
            b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("urn:fortissimo:problem:internal"), "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn fields_named_in_connection_are_gone_before_the_pipeline() {
    let show = answers(|request: Request<Body>| async move {
        let mut names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
        names.sort();
        Response::new(Body::from(names.join(" ")))
    });
    let gateway = listen(show, Limits::default(), None).await;
    let answer = gateway
        .exchange(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, fortissimo-assertion, X-A\r\nFortissimo-Assertion: a\r\n\
              X-A: b\r\nX-B: c\r\nTE: trailers\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\n\r\n",
        )
        .await;
    assert!(answer.ends_with("\r\n\r\nhost x-b"), "{answer}");
}

/// Random damage to good requests: whatever comes of it is either served or refused with a problem; hyper never
/// answers by itself, and there is never a 5xx.
#[test]
fn damaged_requests_never_get_an_answer_that_is_not_ours() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = Limits { head_timeout: Duration::from_secs(5), ..Limits::default() };
    let gateway = runtime.block_on(listen(answers(swallow), limits, None));
    let good = prop::sample::select(vec![
        "GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ]);
    let nasty = prop::sample::select(b"\0\t\n\r\x0b \"#%+,/:;<[\\]^`{|}~\x7f\x80\xff0aA".to_vec());
    let damage = prop::collection::vec((any::<prop::sample::Index>(), nasty, 0..3u8), 1..4);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&(good, damage), |(good, damage)| {
            let mut bytes = good.as_bytes().to_vec();
            for (place, byte, how) in damage {
                let at = place.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            let answer = runtime.block_on(async {
                let mut client = gateway.connect().await;
                let _ = client.write_all(&bytes).await;
                let _ = client.shutdown().await;
                let mut answer = Vec::new();
                let _ = client.read_to_end(&mut answer).await;
                String::from_utf8_lossy(&answer).into_owned()
            });
            for response in answer.split("HTTP/1.").skip(1) {
                let ours = response.contains("\"type\":\"urn:fortissimo:problem:")
                    || response.contains("broken body");
                let status: u16 = response[2..5].parse().unwrap();
                prop_assert!(
                    status == 200 || (ours && status < 500),
                    "{:?}: {answer}",
                    String::from_utf8_lossy(&bytes)
                );
            }
            Ok(())
        })
        .unwrap();
}
