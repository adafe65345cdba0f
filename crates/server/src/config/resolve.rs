//! Fills in what follows from other settings.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;

use super::value::{DatabaseUrl, HostPattern, HttpOrigin};
use super::{Config, MailTls, Route};

/// A configuration in which nothing is open any more. Dereferences to the [`Config`] it came from for
/// everything that has a fixed default.
#[derive(Debug, Clone)]
pub struct Resolved {
    config: Config,
    /// See `server.public_url`.
    pub public_url: HttpOrigin,
    /// See `server.trusted_hosts`.
    pub trusted_hosts: Vec<HostPattern>,
    /// See `database.url`.
    pub database_url: DatabaseUrl,
    /// See `database.migrate_url`.
    pub migrate_url: DatabaseUrl,
    /// See `keys.root_file`.
    pub root_file: PathBuf,
    /// See `tokens.issuer`.
    pub issuer: HttpOrigin,
    /// See `mail.port`.
    pub mail_port: u16,
    /// See `audit.origin`.
    pub log_origin: String,
    /// See `audit.folder`.
    pub log_folder: PathBuf,
    /// See `audit.anchor`.
    pub log_anchor: PathBuf,
}

impl Deref for Resolved {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.config
    }
}

impl Config {
    /// Fills in what follows from other settings.
    pub fn resolve(&self) -> Resolved {
        let server = &self.server;
        let public_url =
            server.public_url.clone().unwrap_or_else(|| default_url(server.listen, self.tls.is_some()));
        let trusted_hosts = server.trusted_hosts.clone().unwrap_or_else(|| default_hosts(server.listen));
        let database_url = self
            .database
            .url
            .clone()
            .unwrap_or_else(|| DatabaseUrl::Sqlite(server.data_dir.join("fortissimo.db")));
        let default_port = match self.mail.tls {
            MailTls::Starttls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        };
        Resolved {
            trusted_hosts,
            migrate_url: self.database.migrate_url.clone().unwrap_or_else(|| database_url.clone()),
            database_url,
            root_file: self.keys.root_file.clone().unwrap_or_else(|| server.data_dir.join("root.key")),
            issuer: self.tokens.issuer.clone().unwrap_or_else(|| public_url.clone()),
            mail_port: self.mail.port.unwrap_or(default_port),
            log_origin: self.audit.origin.clone().unwrap_or_else(|| default_log_origin(&public_url)),
            log_folder: self.audit.folder.clone().unwrap_or_else(|| server.data_dir.join("log")),
            log_anchor: self
                .audit
                .anchor
                .clone()
                .unwrap_or_else(|| server.data_dir.join("anchor/checkpoint")),
            public_url,
            config: self.clone(),
        }
    }
}

impl Resolved {
    /// A route as the guard takes it.
    pub fn guard_route(&self, route: &Route) -> guard::RouteConfig {
        let response_timeout = route.response_timeout.unwrap_or(self.upstream.response_timeout);
        guard::RouteConfig {
            host: route.host.as_ref().map(ToString::to_string),
            path: route.path.clone(),
            methods: route.methods.clone(),
            upstream: route.upstream.to_string(),
            access: route.access.clone(),
            inspect: route.inspect,
            rate: route.rate,
            max_body: route.max_body.unwrap_or(self.http.max_body).as_bytes(),
            timeouts: guard::Timeouts {
                connect_ms: self.upstream.connect_timeout.as_ms(),
                head_ms: response_timeout.as_ms(),
                idle_ms: self.upstream.body_idle_timeout.as_ms(),
            },
            permissions_policy: route.permissions_policy.clone(),
        }
    }

    /// The configuration with every derived value written out, for `config show`.
    pub fn written_out(&self) -> Config {
        let mut config = self.config.clone();
        config.server.public_url = Some(self.public_url.clone());
        config.server.trusted_hosts = Some(self.trusted_hosts.clone());
        config.database.url = Some(self.database_url.clone());
        config.database.migrate_url = Some(self.migrate_url.clone());
        config.keys.root_file = Some(self.root_file.clone());
        config.tokens.issuer = Some(self.issuer.clone());
        config.audit.origin = Some(self.log_origin.clone());
        config.audit.folder = Some(self.log_folder.clone());
        config.audit.anchor = Some(self.log_anchor.clone());
        if config.mail.host.is_some() {
            config.mail.port = Some(self.mail_port);
        }
        config
    }

    /// With other routes, for the built-in example.
    #[must_use]
    pub fn with_routes(mut self, routes: Vec<Route>) -> Self {
        self.config.route = routes;
        self
    }

    /// With the public address following the port that the listener really got, for `listen` with port 0.
    #[must_use]
    pub fn bound_to(&self, address: SocketAddr) -> Self {
        let mut config = self.config.clone();
        config.server.listen = address;
        config.resolve()
    }
}

// "localhost" is a secure context in browsers even over plain HTTP, so the strict cookies work there.
fn default_url(listen: SocketAddr, tls: bool) -> HttpOrigin {
    HttpOrigin::new(tls, "localhost", listen.port())
}

/// A log is known by a URL without its scheme (c2sp.org/tlog-checkpoint).
fn default_log_origin(public_url: &HttpOrigin) -> String {
    let url = public_url.to_string();
    let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
    format!("{place}/log")
}

fn default_hosts(listen: SocketAddr) -> Vec<HostPattern> {
    let mut hosts = vec!["localhost"];
    if is_loopback(listen.ip()) {
        hosts.extend(["127.0.0.1", "[::1]"]);
    }
    hosts.into_iter().map(|host| host.parse().expect("these are hosts")).collect()
}

/// Whether only this machine reaches the address (also as an IPv4 address written in IPv6).
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
