//! Ports, services behind the gateway, and the mail server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Line;
use crate::config::Resolved;
use crate::error::StartError;
use crate::folder;

/// Time for one connection.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn check(config: &Resolved) -> Vec<Line> {
    let serving = is_serving(config);
    let mut lines = vec![
        port("server.listen", config.server.listen, serving).await,
        port("server.ops_listen", config.server.ops_listen, serving).await,
    ];
    let services: BTreeSet<(String, u16)> =
        config.route.iter().map(|route| (route.upstream.host().to_owned(), route.upstream.port())).collect();
    for (host, port) in services {
        lines.push(service(&host, port).await);
    }
    lines.push(mail(config).await);
    lines
}

/// Whether a `serve` of ours holds the data folder.
fn is_serving(config: &Resolved) -> bool {
    folder::lock_path(&config.server.data_dir).exists()
        && matches!(folder::lock(&config.server.data_dir), Err(StartError::Locked { .. }))
}

async fn port(setting: &str, address: SocketAddr, serving: bool) -> Line {
    match TcpListener::bind(address).await {
        Ok(_) => Line::ok(format!("port: {address} ({setting}) is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && serving => Line::ok(format!(
            "port: {address} ({setting}) is used by the fortissimo that runs on this data folder"
        )),
        Err(error) => Line::fail(
            format!("port: {address} ({setting}): {error}"),
            format!("stop what uses it, or change {setting}"),
        ),
    }
}

async fn reach(host: &str, port: u16) -> Result<(), String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn service(host: &str, port: u16) -> Line {
    match reach(host, port).await {
        Ok(()) => Line::ok(format!("service: {host}:{port} accepts connections")),
        Err(reason) => Line::warn(
            format!("service: {host}:{port}: {reason}"),
            "start it; until then its routes are answered 502",
        ),
    }
}

async fn mail(config: &Resolved) -> Line {
    let Some(host) = &config.mail.host else {
        return match &config.mail.outbox_dir {
            Some(folder) => Line::warn(
                format!("mail: messages lie in the clear in {}", folder.display()),
                "use this for development only; set mail.host to send them",
            ),
            None => Line::ok("mail: no server; messages stay sealed in the outbox (`fortissimo mail list`)"),
        };
    };
    match reach(host, config.mail_port).await {
        Ok(()) => Line::ok(format!("mail: {host}:{} accepts connections", config.mail_port)),
        Err(reason) => Line::fail(
            format!("mail: {host}:{}: {reason}", config.mail_port),
            "nobody can verify an address or reset a password: check mail.host, mail.port and the firewall",
        ),
    }
}
