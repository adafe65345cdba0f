//! Rights on pages that last or that show more than one thing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use testkit::Settings;

use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_sees_accounts_but_not_what_they_did() {
    let program = start(Settings::default());
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let artist = program.artist("ada").await;
    let ada = program.client().bearer(artist["access_token"].as_str().unwrap());
    let id = ada.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
    let page = format!("/console/accounts/{id}");
    assert!(operator.get(&page).await.expect(200).text().contains("account.verified"));
    operator.patch(&format!("/v1/accounts/{id}"), json!({"role": "moderator"})).await.expect(204);
    assert!(!ada.get(&page).await.expect(200).text().contains("account.verified"));
    ada.get("/console/events").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_ends_with_its_session_although_events_keep_coming() {
    let program = start(Settings::default());
    let operator = program.operator().await;
    let token = operator["access_token"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(("127.0.0.1", program.port)).unwrap();
    write!(
        stream,
        "GET /console/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    let mut seen = [0; 1024];
    assert!(stream.read(&mut seen).unwrap() > 0, "the stream is open");
    let client = program.client().bearer(&token);
    client.post("/auth/logout", json!({})).await.expect(204);
    // Less than the stream's own second between two events, for as long as it is open.
    let anonymous = program.client();
    let noise = tokio::spawn(async move {
        loop {
            anonymous.get("/.well-known/jwks.json").await.expect(200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let ended = tokio::task::spawn_blocking(move || {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut text = String::new();
        loop {
            match stream.read(&mut seen) {
                Ok(0) => return true,
                Ok(count) => {
                    text.push_str(&String::from_utf8_lossy(&seen[..count]));
                    // The last chunk; it may be the first thing behind the head.
                    if text.ends_with("0\r\n\r\n") {
                        return true;
                    }
                    if text.matches("event: audit").count() > 200 {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    });
    assert!(ended.await.unwrap(), "the stream outlived its session");
    noise.abort();
}
