//! Requests that no client would make, over a plain socket: each gets a problem document, none a 5xx, and the
//! service behind sees none of them.

use std::fmt::Write as _;

use testkit::{Settings, raw};

use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_get_a_problem_document() {
    let program = start(Settings::default());
    let mut many_headers = String::from("GET / HTTP/1.1\r\nHost: localhost\r\n");
    for n in 0..300 {
        write!(many_headers, "X-{n}: 1\r\n").unwrap();
    }
    many_headers += "\r\n";
    let long_header = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(80_000));
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000));
    let head = |rest: &str| format!("POST /auth/login HTTP/1.1\r\nHost: localhost\r\n{rest}");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("TE and CL", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), &[400]),
        ("CL and TE", head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), &[400]),
        ("two lengths", head("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), &[400]),
        ("signed length", head("Content-Length: +5\r\n\r\nhello"), &[400]),
        ("huge length", head("Content-Length: 99999999999999999999\r\n\r\n"), &[400, 413]),
        (
            "length over the limit",
            head("Content-Type: application/json\r\nContent-Length: 999999999\r\n\r\n"),
            &[413],
        ),
        ("bare CR", "GET / HTTP/1.1\rHost: localhost\r\n\r\n".into(), &[400]),
        ("CR in a value", head("X: a\rb\r\n\r\n"), &[400]),
        ("NUL in a value", head("X: a\0b\r\n\r\n"), &[400]),
        ("NUL in the target", get("/a%00b"), &[400]),
        ("bad escape", get("/a%zz"), &[400]),
        ("cut escape", get("/a%2"), &[400]),
        ("climbing", get("/../../etc/passwd"), &[400]),
        ("climbing, encoded", get("/a/%2e%2e/%2e%2e/etc/passwd"), &[400]),
        ("encoded slash", get("/a%2f..%2fb"), &[400]),
        ("backslash", get("/a\\b"), &[400]),
        ("folded header", head("X: a\r\n b\r\n\r\n"), &[400]),
        ("space before the colon", head("X : a\r\n\r\n"), &[400]),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into(), &[400]),
        ("two hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n".into(), &[400]),
        ("foreign host", "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".into(), &[421]),
        ("many headers", many_headers, &[431]),
        ("long header", long_header, &[431]),
        ("long target", long_target, &[414, 431]),
        ("no HTTP", "HELO mail.example\r\n\r\n".into(), &[400]),
        ("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".into(), &[400]),
        ("odd method", "G\u{7f}T / HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), &[400]),
        (
            "bad chunk",
            head("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            &[400],
        ),
    ];
    for (name, request, statuses) in cases {
        let answer = raw(program.port, request.as_bytes());
        let status: u16 = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        assert!(statuses.contains(&status), "{name}: {answer:?}");
        assert!(answer.contains("application/problem+json"), "{name}: {answer}");
        assert!(answer.to_lowercase().contains("x-request-id: "), "{name}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let program = start(Settings::default());
    let answer = raw(
        program.port,
        b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n\
          GET /account/assets/icon.svg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    let statuses: Vec<&str> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses.len(), 3, "{answer}");
    assert_eq!((statuses[0], statuses[2]), ("200", "200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_answered_with_408() {
    let settings = Settings { sections: "[http]\nhead_timeout = \"300ms\"\n".into(), ..Settings::default() };
    let program = start(settings);
    let answer = raw(program.port, b"GET / HTTP/1.1\r\nHost: localh");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_json_names_the_field() {
    let program = start(Settings::default());
    let client = program.client();
    let send = |body: &'static str| {
        let client = client.clone();
        async move { client.upload("/auth/register", "application/json", body.into()).await }
    };
    let answer =
        send(r#"{"username":"a b","email":"ada@example.com","password":"correct horse battery staple"}"#)
            .await;
    assert_eq!(answer.problem(400, "invalid-field").json()["errors"][0]["pointer"], "/username");
    let answer = send(r#"{"username":"ada","email":"nope","password":"correct horse battery staple"}"#).await;
    assert_eq!(answer.problem(400, "invalid-field").json()["errors"][0]["pointer"], "/email");
    let answer = send(r#"{"username":"ada","email":"ada@example.com","password":"short"}"#).await;
    assert_eq!(answer.problem(400, "weak-password").json()["errors"][0]["pointer"], "/password");
    let answer = send(r#"{"username":"ada","email":"ada@example.com","password":"passwordpassword"}"#).await;
    answer.problem(400, "weak-password");
    assert_eq!(send("{").await.status, 400);
    assert_eq!(send(r#"{"username":5}"#).await.status, 400);
    assert_eq!(client.upload("/auth/register", "text/plain", "x".into()).await.status, 415);
    assert_eq!(client.get("/auth/register").await.status, 405);
    client.get("/auth/no-such-thing").await.problem(404, "not-found");
}
