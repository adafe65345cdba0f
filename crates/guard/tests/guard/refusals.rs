//! Bad input: malformed, oversized, for somebody else.

use guard::Body;
use http::{HeaderValue, Request};

use crate::fixture::{House, pieces, request, silence};

#[tokio::test]
async fn targets_that_can_be_read_in_two_ways_are_refused() {
    let house = House::new(|_| {}).await;
    for target in [
        "/open/%zz",
        "/open/%",
        "/open/a%00b",
        "/../etc/passwd",
        "/open/../../etc/passwd",
        "/open/%2e%2e/%2e%2e/%2e%2e/x",
        "/open/a%2Fb",
        "/open/a%252Fb",
        "/open/%c0%ae",
        "/open?x=%zz",
    ] {
        let answer = house.ask("GET", target, &[]).await;
        assert_eq!((answer.status, answer.slug().as_str()), (400, "malformed-request"), "{target}");
    }
    let long = format!("/open/{}", "a".repeat(9_000));
    assert_eq!(house.ask("GET", &long, &[]).await.slug(), "target-too-long");
}

#[tokio::test]
async fn paths_that_climb_within_the_root_are_judged_by_where_they_end() {
    let house = House::new(|_| {}).await;
    // `/open/../mine/x` is `/mine/x`, which is closed.
    assert_eq!(house.ask("GET", "/open/../mine/x", &[]).await.status, 401);
    assert_eq!(house.ask("GET", "/open/%6Dine/..//x", &[]).await.body.lines().next(), Some("GET /open/x"));
}

#[tokio::test]
async fn hosts_that_are_not_ours_are_misdirected() {
    let house = House::new(|_| {}).await;
    for host in ["localhost", "localhost:8080", "MUSIC.example", "a.studio.example", "a.b.studio.example:99"]
    {
        assert_eq!(house.ask("GET", "/open", &[("host", host)]).await.status, 200, "{host}");
    }
    for host in ["evil.example", "studio.example", "music.example.evil.example", "127.0.0.1"] {
        assert_eq!(
            house.ask("GET", "/open", &[("host", host)]).await.slug(),
            "misdirected-request",
            "{host}"
        );
    }
    for host in ["music example", "music.example:port", "user@music.example", "a/b"] {
        assert_eq!(house.ask("GET", "/open", &[("host", host)]).await.status, 400, "{host}");
    }
    assert_eq!(house.ask("GET", "/open", &[("host", "")]).await.status, 400, "none at all");
    let two = house.ask("GET", "/open", &[("host", "localhost"), ("host", "music.example")]).await;
    assert_eq!(two.status, 400);
    let differing = house.ask("GET", "http://music.example/open", &[("host", "localhost")]).await;
    assert_eq!(differing.status, 400);
}

#[tokio::test]
async fn lengths_that_disagree_are_refused() {
    let house = House::new(|_| {}).await;
    let both = [("transfer-encoding", "chunked"), ("content-length", "5")];
    assert_eq!(house.ask("POST", "/open", &both).await.slug(), "malformed-request");
    for headers in [
        &[("content-length", "5"), ("content-length", "6")][..],
        &[("content-length", "5, 5")],
        &[("content-length", "-1")],
        &[("content-length", "0x5")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "chunked, identity")],
    ] {
        assert_eq!(house.ask("POST", "/open", headers).await.status, 400, "{headers:?}");
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let house = House::new(|_| {}).await;
    let many: Vec<(String, &str)> = (0..150).map(|n| (format!("x-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(house.ask("GET", "/open", &many).await.slug(), "head-too-large");
    let long = "x".repeat(40_000);
    assert_eq!(house.ask("GET", "/open", &[("x-long", &long)]).await.slug(), "head-too-large");
}

#[tokio::test]
async fn methods_that_nobody_forwards_are_refused() {
    let house = House::new(|_| {}).await;
    for method in ["TRACE", "CONNECT", "PROPFIND"] {
        assert_eq!(house.ask(method, "/open", &[]).await.slug(), "method-not-allowed", "{method}");
    }
}

#[tokio::test]
async fn bodies_are_cut_at_the_limit_by_declaration_and_by_count() {
    let house = House::new(|_| {}).await;
    let declared = house.ask("POST", "/small", &[("content-length", "11")]).await;
    assert_eq!((declared.status, declared.slug().as_str()), (413, "too-large"));
    let streamed = pieces(vec![Ok(b"12345"), Ok(b"67890"), Ok(b"!")]);
    let streamed = house.send(request("POST", "/small", &[("transfer-encoding", "chunked")], streamed)).await;
    assert_eq!(streamed.slug(), "too-large", "not the 502 that the service made of it");
    let fits = pieces(vec![Ok(b"12345"), Ok(b"67890")]);
    let fits = house.send(request("POST", "/small", &[], fits)).await;
    assert!(fits.body.contains("body 10"));
    let whole = house.send(request("POST", "/small", &[], Body::from("twelve bytes"))).await;
    assert_eq!(whole.slug(), "too-large");
}

#[tokio::test]
async fn bodies_that_stall_or_break_off_are_told_apart() {
    let house = House::new(|_| {}).await;
    assert_eq!(house.send(request("POST", "/small", &[], silence())).await.slug(), "request-timeout");
    let broken = pieces(vec![Ok(b"123"), Err(std::io::Error::other("reset"))]);
    assert_eq!(house.send(request("POST", "/small", &[], broken)).await.slug(), "bad-gateway");
}

#[tokio::test]
async fn suspicious_content_is_blocked_or_observed_by_route() {
    let house = House::new(|_| {}).await;
    let odd = [("content-type", "json")];
    assert_eq!(house.ask("POST", "/open", &odd).await.slug(), "malformed-request");
    assert_eq!(house.ask("POST", "/observed", &odd).await.status, 200);
    let ranges = vec!["0-1"; 40].join(",");
    assert_eq!(house.ask("GET", "/open", &[("range", &format!("bytes={ranges}"))]).await.status, 400);
}

#[tokio::test]
async fn a_panic_is_a_500_and_nothing_more() {
    let house = House::new(|_| {}).await;
    let answer = house.ask("GET", "/open/panic", &[]).await;
    assert_eq!(answer.slug(), "internal");
    assert!(!answer.body.contains("fault"), "{}", answer.body);
    assert_eq!(house.ask("GET", "/open/fine", &[]).await.status, 200);
}

#[tokio::test]
async fn bytes_beyond_ascii_never_panic() {
    let house = House::new(|_| {}).await;
    for name in [
        "authorization",
        "cookie",
        "origin",
        "x-forwarded-for",
        "host",
        "content-type",
        "user-agent",
        "accept",
    ] {
        let mut request = Request::get("/open").header("host", "localhost").body(Body::Empty).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_bytes(b"\xff\xfe;=,\xff").unwrap());
        assert!(house.send(request).await.status < 500, "{name}");
    }
}
