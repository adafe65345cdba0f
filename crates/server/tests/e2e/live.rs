//! Connections that last end with the decision that opened them, with a real WebSocket client and a real event stream.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use testkit::{Client, Program, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::start;

/// What ACCESS-9 grants.
pub(crate) const ALLOWED: Duration = Duration::from_secs(1);

/// A service that echoes over WebSockets and sends an event every 20 ms to whoever asks for anything else.
pub(crate) async fn studio() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 8 * 1024];
                let count = socket.peek(&mut head).await.unwrap_or(0);
                if String::from_utf8_lossy(&head[..count]).to_lowercase().contains("upgrade: websocket") {
                    let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else { return };
                    while let Some(Ok(message)) = socket.next().await {
                        if message.is_close() || socket.send(message).await.is_err() {
                            return;
                        }
                    }
                    return;
                }
                let _ = socket.read(&mut head).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                let mut sent = socket.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = socket.write_all(b"data: beat\n\n").await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    port
}

pub(crate) fn routes(port: u16) -> String {
    let route = |path: &str, access: &str| {
        format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"http://127.0.0.1:{port}\"\naccess = \"{access}\"\n"
        )
    };
    route("/rooms/{id}", "collab:real_time on project/{id}")
        + &route("/live/**", "collab:invite")
        + &route("/plain/**", "authenticated")
        + &route("/open/**", "public")
        + &route("/watch/{id}", "track:read on track/{id}")
}

/// Makes an object known, as an operator does.
pub(crate) fn registered(program: &Program, object: &str, owner: &str) {
    let output = program.output(&["object", "register", object, "--owner", owner]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) type Socket = WebSocketStream<TcpStream>;

pub(crate) async fn open(port: u16, path: &str, token: &str) -> Socket {
    let mut request = format!("ws://localhost:{port}{path}").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    lives(&mut socket).await;
    socket
}

pub(crate) async fn lives(socket: &mut Socket) {
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still here"));
}

/// Waits for the Close frame; gives its code.
pub(crate) async fn closed(socket: &mut Socket) -> u16 {
    closed_within(socket, 20).await
}

/// As [`closed`], with more patience, in seconds.
pub(crate) async fn closed_within(socket: &mut Socket, seconds: u64) -> u16 {
    let patience = Duration::from_secs(seconds);
    let message = tokio::time::timeout(patience, socket.next()).await.expect("still open");
    match message {
        Some(Ok(Message::Close(Some(close)))) => close.code.into(),
        other => panic!("no Close frame: {other:?}"),
    }
}

/// The connections of one person: a WebSocket for each kind of route, and an event stream.
pub(crate) struct Person {
    pub(crate) token: String,
    pub(crate) client: Client,
    pub(crate) id: String,
}

pub(crate) async fn person(program: &Program, name: &str) -> Person {
    let token = program.artist(name).await["access_token"].as_str().unwrap().to_owned();
    let client = program.client().bearer(&token);
    let id = client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
    Person { token, client, id }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_ends_with_the_decision_that_opened_it() {
    let program = start(Settings { sections: routes(studio().await), ..Settings::default() });
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let ada = person(&program, "ada").await;
    let account = format!("/v1/accounts/{}", ada.id);
    let bystander = person(&program, "bob").await;
    let mut other = open(program.port, "/plain/room", &bystander.token).await;
    let mut public = open(program.port, "/open/room", &ada.token).await;

    // The tier that grants the action is taken away.
    operator.patch(&account, json!({"tier": "pro"})).await.expect(204);
    let mut socket = open(program.port, "/live/room", &ada.token).await;
    let mut plain = open(program.port, "/plain/room", &ada.token).await;
    operator.patch(&account, json!({"tier": "free"})).await.expect(204);
    let changed = Instant::now();
    assert_eq!(closed(&mut socket).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
    // A change that does not touch the decision does not touch the connection.
    lives(&mut plain).await;
    // Nor is a new one opened.
    ada.client.get("/live/room").await.problem(403, "forbidden");

    // The account is suspended, by another process at that.
    let output = program.output(&["account", "disable", "ada"]);
    assert!(output.status.success());
    let changed = Instant::now();
    assert_eq!(closed(&mut plain).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());

    // Sign-out.
    operator.patch(&account, json!({"status": "active"})).await.expect(204);
    let token = program.sign_in("ada", "violet thunder under the bridge").await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut socket = open(program.port, "/plain/room", &token).await;
    program.client().bearer(&token).post("/auth/logout", json!({})).await.expect(204);
    let changed = Instant::now();
    assert_eq!(closed(&mut socket).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());

    // Nobody else's ended, nor what anybody may see.
    lives(&mut other).await;
    lives(&mut public).await;
    drop((other, public));
    let opened = program.output(&["audit", "search", "--kind", "connection.closed"]);
    let opened = String::from_utf8_lossy(&opened.stdout).into_owned();
    assert!(opened.contains("connection.closed") && opened.contains("denied"), "{opened}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_policies_end_what_they_deny() {
    let program = start(Settings { sections: routes(studio().await), ..Settings::default() });
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let ada = person(&program, "ada").await;
    operator.patch(&format!("/v1/accounts/{}", ada.id), json!({"tier": "pro"})).await.expect(204);
    let mut socket = open(program.port, "/live/room", &ada.token).await;
    let mut plain = open(program.port, "/plain/room", &ada.token).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("quiet.cedar"),
        r#"@id("quiet-hours") forbid (principal, action == Fortissimo::Action::"collab:invite", resource);"#,
    )
    .unwrap();
    let output = program.output(&["policy", "activate", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let changed = Instant::now();
    assert_eq!(closed(&mut socket).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
    lives(&mut plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_taken_away_or_runs_out_ends_its_connections() {
    let program = start(Settings { sections: routes(studio().await), ..Settings::default() });
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let (ada, bob) = (person(&program, "ada").await, person(&program, "bob").await);
    for one in [&ada, &bob] {
        operator.patch(&format!("/v1/accounts/{}", one.id), json!({"tier": "studio"})).await.expect(204);
    }
    let put = async |path: &str, body: serde_json::Value| {
        let headers = [("content-type", "application/json")];
        ada.client.send(http::Method::PUT, path, &headers, body.to_string().into()).await
    };
    registered(&program, "project/song", "ada");
    let share = format!("/v1/resources/project/song/shares/{}", bob.id);
    bob.client.get("/rooms/song").await.problem(404, "not-found");
    put(&share, json!({"relation": "collaborator"})).await.expect(200);
    let mut owner = open(program.port, "/rooms/song", &ada.token).await;
    let mut socket = open(program.port, "/rooms/song", &bob.token).await;
    ada.client.delete(&share).await.expect(200);
    let changed = Instant::now();
    assert_eq!(closed(&mut socket).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
    lives(&mut owner).await;

    let end = base::Clock::system().now().plus_ms(2_500);
    put(&share, json!({"relation": "collaborator", "expires_at": end.to_rfc3339()})).await.expect(200);
    let mut socket = open(program.port, "/rooms/song", &bob.token).await;
    assert_eq!(closed(&mut socket).await, 1008);
    let late = base::Clock::system().now().since_ms(end);
    assert!((-50..1_000).contains(&late), "{late} ms after its end");
    lives(&mut owner).await;

    // Each joining and leaving is an event: who, where, and why it ended. They are written behind the connections.
    let mut left = Vec::new();
    for _ in 0..100 {
        left = of(&operator, "connection.closed", &bob.id).await;
        if left.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let joined = of(&operator, "connection.opened", &bob.id).await;
    assert_eq!((joined.len(), left.len()), (2, 2), "{joined:?} {left:?}");
    for event in joined.iter().chain(&left) {
        assert_eq!(
            (&event["route"], &event["actor"]),
            (&"/rooms/{id}".into(), &format!("account:{}", bob.id).into())
        );
        assert_eq!(event["details"]["protocol"], "websocket");
    }
    let why: Vec<_> =
        left.iter().map(|event| (event["outcome"].clone(), event["details"]["reason"].clone())).collect();
    // The newest first.
    assert_eq!(why, [("denied".into(), "lapsed".into()), ("denied".into(), "no-relation".into())]);
    assert!(joined.iter().all(|event| event["outcome"] == "success"), "{joined:?}");
    assert_eq!(
        of(&operator, "connection.closed", &ada.id).await,
        [json!(null); 0],
        "the owner is still there"
    );
}

/// The events of a kind about somebody, newest first.
async fn of(operator: &Client, kind: &str, account: &str) -> Vec<serde_json::Value> {
    let page =
        operator.get(&format!("/v1/audit/events?kind={kind}&account={account}")).await.expect(200).json();
    page["events"].as_array().unwrap().clone()
}

/// Opens an event stream of a service and waits for its first event.
async fn listen(port: u16, token: &str) -> TcpStream {
    listen_to(port, "/plain/events", token, "data: beat").await
}

/// Opens an event stream and waits until this stands in it.
pub(crate) async fn listen_to(port: u16, path: &str, token: &str, sign: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(sign) {
        assert!(stream.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
    }
    stream
}

/// Reads to the clean end of a chunked answer.
async fn ended(stream: &mut TcpStream) {
    ended_within(stream, 20).await;
}

/// As [`ended`], with more patience for the next thing that is said, in seconds.
pub(crate) async fn ended_within(stream: &mut TcpStream, seconds: u64) {
    let mut rest = Vec::new();
    // The last chunk; it may be the first thing that is read here.
    while !rest.ends_with(b"\r\n0\r\n\r\n") && rest != b"0\r\n\r\n" {
        let read = tokio::time::timeout(Duration::from_secs(seconds), stream.read_buf(&mut rest)).await;
        assert!(read.expect("still open").unwrap() > 0, "it broke off");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_of_a_service_ends_cleanly_however_much_it_says() {
    let program = start(Settings { sections: routes(studio().await), ..Settings::default() });
    let ada = person(&program, "ada").await;
    let mut stream = listen(program.port, &ada.token).await;
    ada.client.post("/auth/logout", json!({})).await.expect(204);
    let changed = Instant::now();
    ended(&mut stream).await;
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_node_ends_connections_on_another() {
    let Some(url) = testkit::test_tool("FORTISSIMO_TEST_POSTGRES") else { return };
    let database = testkit::PostgresDatabase::create(url.to_str().unwrap());
    let sections = format!("[tokens]\nissuer = \"http://localhost\"\n{}", routes(studio().await));
    let settings = Settings {
        sections,
        migrate: database.owner_url,
        database: database.service_url,
        ..Settings::default()
    };
    let one = start(settings.clone());
    let operator = one.client().bearer(one.operator().await["access_token"].as_str().unwrap());
    // Before there is a second node, which might deliver the mail into a folder of its own.
    let ada = person(&one, "ada").await;
    let two = Program::start_beside(settings, &one);
    let account = format!("/v1/accounts/{}", ada.id);
    operator.patch(&account, json!({"tier": "pro"})).await.expect(204);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let mut live = open(two.port, "/live/room", &ada.token).await;
    let mut plain = open(two.port, "/plain/room", &ada.token).await;
    let mut stream = listen(two.port, &ada.token).await;
    operator.patch(&account, json!({"tier": "free"})).await.expect(204);
    let changed = Instant::now();
    assert_eq!(closed(&mut live).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
    lives(&mut plain).await;
    operator.patch(&account, json!({"status": "disabled"})).await.expect(204);
    let changed = Instant::now();
    assert_eq!(closed(&mut plain).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
    ended(&mut stream).await;
    assert!(changed.elapsed() < ALLOWED, "{:?}", changed.elapsed());
}
