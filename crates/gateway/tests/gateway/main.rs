//! The whole way over sockets: listener, pipeline, proxy, upstream.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;

use std::time::Duration;

use audit::Entry;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use fixture::{House, scripted, telling};

#[tokio::test]
async fn nobody_but_the_gateway_vouches() {
    let house = House::new(telling().await, |_| {}).await;
    let answer = house
        .exchange(
            "GET /open/a HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close, fortissimo-assertion, x-forwarded-for\r\n\
             Fortissimo-Assertion: forged\r\nX-Forwarded-For: 203.0.113.9\r\nX-Request-Id: mine\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let got = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(!got.contains("forged") && !got.contains("fortissimo-assertion"), "{got}");
    assert!(got.contains("x-forwarded-for: 127.0.0.1"), "{got}");
    let id = answer.split("x-request-id: ").nth(1).unwrap()[..36].to_owned();
    assert!(got.contains(&format!("x-request-id: {id}")), "one id in the answer and behind: {answer}");
}

#[tokio::test]
async fn a_signed_in_caller_is_vouched_for_whatever_connection_names() {
    let house = House::new(telling().await, |_| {}).await;
    let token = house.operator_token().await;
    let answer = house
        .exchange(&format!(
            "GET /mine/a HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close, Fortissimo-Assertion\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("fortissimo-assertion: ey"), "{answer}");
    assert!(!answer.contains(&token), "the upstream never sees the token");
    let refused =
        house.exchange("GET /mine/a HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
}

#[tokio::test]
async fn failures_of_the_upstream_are_problems_with_the_request_id() {
    let silent = scripted(|mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let house = House::new(silent, |route| route.timeouts.head_ms = 100).await;
    let answer =
        house.exchange("GET /open/a HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(answer.contains("urn:fortissimo:problem:gateway-timeout"), "{answer}");
    let id = answer.split("x-request-id: ").nth(1).unwrap()[..36].to_owned();
    assert!(answer.contains(&format!("\"instance\":\"urn:uuid:{id}\"")), "{answer}");
}

#[tokio::test]
async fn bodies_are_cut_where_the_route_says() {
    let house = House::new(telling().await, |route| {
        route.max_body = 10;
        route.timeouts.idle_ms = 150;
    })
    .await;
    let head = "POST /open/a HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let table = [
        (413, "6\r\nhello \r\n6\r\nworld!\r\n0\r\n\r\n"),
        (408, "6\r\nhello "),
        (400, "6\r\nhello world!\r\n0\r\n\r\n"),
    ];
    for (status, body) in table {
        let answer = house.exchange(&format!("{head}{body}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

fn of_kind<'e>(events: &'e [std::sync::Arc<Entry>], kind: &str) -> &'e Entry {
    events
        .iter()
        .find(|entry| entry.kind == kind)
        .unwrap_or_else(|| panic!("{kind} is not on record: {events:?}"))
}

#[tokio::test]
async fn a_websocket_is_on_record_with_its_beginning_and_end() {
    let echo = scripted(|socket| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await;
    let house = House::new(echo, |_| {}).await;
    let seen = house
        .events_of(3, async {
            let stream = house.connect().await;
            let url = "ws://localhost:8080/open/live";
            let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
            socket.send(Message::text("through the whole house")).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("through the whole house"));
            socket.close(None).await.unwrap();
            while socket.next().await.is_some_and(|m| m.is_ok()) {}
        })
        .await;
    let (request, opened) = (of_kind(&seen, "http.request"), of_kind(&seen, "connection.opened"));
    assert_eq!(request.status, Some(101));
    assert_eq!(opened.request, request.request);
    let closed = of_kind(&seen, "connection.closed");
    assert_eq!(closed.request, request.request);
    assert!(closed.details["bytes_in"].as_u64().unwrap() > 23, "{closed:?}");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_on_record() {
    let dying = scripted(|mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello").await;
    })
    .await;
    let house = House::new(dying, |_| {}).await;
    let seen = house
        .events_of(2, async {
            let mut client = house.connect().await;
            client.write_all(b"GET /open/a HTTP/1.1\r\nHost: localhost:8080\r\n\r\n").await.unwrap();
            let mut received = Vec::new();
            assert!(client.read_to_end(&mut received).await.is_err(), "the connection is aborted");
        })
        .await;
    let closed = of_kind(&seen, "connection.closed");
    assert_eq!(closed.outcome, "failure");
    assert_eq!(closed.details["reason"], "upstream_broke_off");
    assert_eq!(closed.details["bytes_out"], 5);
    assert_eq!(closed.request, of_kind(&seen, "http.request").request);
}
