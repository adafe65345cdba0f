//! A whole server inside the test: its listeners, its folder, its end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use base::{Clock, Entropy};

use crate::config::Config;
use crate::{Running, StartError, start};

const NOW_MS: i64 = 1_800_000_000_000;

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.ops_listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.data_dir = folder.join("data");
    config.accounts.hash_workers = 1;
    config
}

async fn run(config: &Config) -> Result<Running, StartError> {
    Box::pin(start(config, Clock::controlled(NOW_MS), Entropy::seeded(1))).await
}

/// One request on a connection of its own; the whole answer as text.
async fn ask(address: SocketAddr, head: &str) -> String {
    let request = format!("{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let exchange = move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_answers_and_stops_and_starts_again_on_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let running = run(&config).await.unwrap();
    assert!(running.example);
    let link = running.setup_link.clone().expect("there is no operator yet");
    assert!(
        link.url.starts_with(&format!("http://localhost:{}/account/setup?code=", running.public_addr.port()))
    );

    assert!(ask(running.public_addr, "GET /").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(running.public_addr, "GET /private/x").await.starts_with("HTTP/1.1 401 "));
    assert!(ask(running.public_addr, "GET /nowhere").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(running.public_addr, "GET /health").await.starts_with("HTTP/1.1 404 "));

    let ops = running.ops_addr;
    assert!(ask(ops, "GET /health").await.contains("{\"status\":\"alive\"}"));
    let ready = ask(ops, "GET /ready").await;
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("\"status\":\"ready\""), "{ready}");
    assert!(ask(ops, "GET /metrics").await.contains("fortissimo_http_requests_total"));
    assert!(ask(ops, "GET /account").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(ops, "POST /ready").await.starts_with("HTTP/1.1 405 "));

    assert!(matches!(run(&config).await, Err(StartError::Locked { .. })));
    running.shutdown("test").await;

    let again = run(&config).await.unwrap();
    let second = again.setup_link.clone().expect("there is still no operator");
    assert_ne!(second.url, link.url);
    again.shutdown("test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_names_port_and_setting_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.server.ops_listen = taken.local_addr().unwrap();
    let error = run(&config).await.err().expect("the port is taken").to_string();
    let port = config.server.ops_listen.port();
    assert_eq!(
        error,
        format!("port {port} is in use (127.0.0.1:{port}); stop what uses it, or change server.ops_listen")
    );
    assert!(!config.server.data_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_or_certificate_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = config(folder.path());
    wrong.server.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(matches!(run(&wrong).await, Err(StartError::Config(findings)) if findings.len() == 1));
    let mut wrong = config(folder.path());
    wrong.tls = Some(crate::config::Tls {
        cert: folder.path().join("none.pem"),
        key: folder.path().join("none.pem"),
        min_version: crate::config::TlsVersion::V1_3,
    });
    assert!(run(&wrong).await.err().expect("there is no certificate").to_string().starts_with("[tls]: "));
    assert!(!wrong.server.data_dir.exists());
}
