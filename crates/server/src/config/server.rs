//! `[server]`: where the program listens, keeps its data, and whom it trusts about addresses and names.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use guard::ForwardedHeader;
use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::value::{HostPattern, HttpOrigin, Network, Period};

/// Where the program listens, keeps its data, and whom it trusts about addresses and names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Public listener. An address beyond loopback demands `[tls]`, or `tls_terminated_by = "proxy"`.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Listener for `/health`, `/ready` and `/metrics`; loopback only, because it asks nobody who they are.
    #[serde(deserialize_with = "address")]
    pub ops_listen: SocketAddr,
    /// Folder for everything the program keeps; made with mode 0700.
    pub data_dir: PathBuf,
    /// The address people use in their browser: scheme, host and port, without a path. Links in mails and the
    /// cookie rules follow it. Default: `http://localhost` (or `https://localhost` with `[tls]`) with the
    /// port of `listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HttpOrigin")]
    pub public_url: Option<HttpOrigin>,
    /// Host names that are answered: exact names or `*.example.com`; `*` accepts any and is warned about.
    /// Default: `["localhost"]`, and the loopback addresses while `listen` is on loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<HostPattern>")]
    pub trusted_hosts: Option<Vec<HostPattern>>,
    /// Networks of the proxies in front; only their forwarded headers tell the client's address.
    pub trusted_proxies: Vec<Network>,
    /// Which header those proxies write: `x-forwarded-for` or `forwarded`. Only this one is read.
    #[schemars(with = "String")]
    pub forwarded_header: ForwardedHeader,
    /// Who ends TLS: `fortissimo` itself, or a `proxy` in front, which must then be in `trusted_proxies`.
    pub tls_terminated_by: TlsTerminatedBy,
    /// How long requests in flight may take to finish when the program is asked to stop.
    pub shutdown_timeout: Period,
    /// Threads that serve requests; 0 means one per core.
    pub workers: u16,
}

/// The standard library's words for a wrong address do not say what would be right.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    const RIGHT: &str = "an address and port such as \"127.0.0.1:8080\"";
    struct Text;
    impl Visitor<'_> for Text {
        type Value = SocketAddr;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(RIGHT)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SocketAddr, E> {
            text.parse().map_err(|_| E::custom(format!("expected {RIGHT}")))
        }
    }
    deserializer.deserialize_str(Text)
}

/// Who ends TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum TlsTerminatedBy {
    /// This program, with the files in `[tls]`.
    Fortissimo,
    /// A proxy in front; its network is in `trusted_proxies`.
    Proxy,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            data_dir: "fortissimo-data".into(),
            public_url: None,
            trusted_hosts: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
            tls_terminated_by: TlsTerminatedBy::Fortissimo,
            shutdown_timeout: Period::from_secs(30),
            workers: 0,
        }
    }
}
