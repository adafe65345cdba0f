//! How a connection to PostgreSQL is made: address, time limits, TLS.

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, poll_fn};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{DbConfig, DbError, DbUrl};

/// What the server says between answers.
pub(super) type Messages = BoxStream<'static, Result<AsyncMessage, Error>>;

/// Makes connections to one address.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Connector {
    /// Reads the address. `sslmode` is `disable`, or `require`, `verify-ca`, `verify-full`, which all check the
    /// server's certificate and name against `sslrootcert` or the system's authorities: TLS to somebody
    /// unknown protects from nobody. Without `sslmode`, TLS is left out on this machine only.
    pub(super) fn new(url: &str, shown: &DbUrl, limits: &DbConfig) -> Result<Self, DbError> {
        let wrong = |message: String| DbError::Config(format!("{shown}: {message}"));
        let (plain, options) = split_tls_options(url);
        let mut config =
            Config::from_str(&plain).map_err(|error| wrong(format!("not a PostgreSQL address ({error})")))?;
        if config.get_user().is_none() {
            return Err(wrong("name the role, as in postgres://role@host/database".into()));
        }
        let tls = match options.mode.as_deref() {
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            None => !config.get_hosts().iter().all(is_local),
            Some(_) => {
                return Err(wrong(
                    "sslmode must be disable or verify-full; the others would fall back to plain text".into(),
                ));
            }
        };
        let options_text = format!(
            "{} -c statement_timeout={timeout} -c lock_timeout={timeout} -c idle_in_transaction_session_timeout=60000",
            config.get_options().unwrap_or(""),
            timeout = limits.statement_timeout_ms,
        );
        config
            .application_name("fortissimo")
            .connect_timeout(Duration::from_millis(u64::from(limits.connect_timeout_ms)))
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(15))
            .ssl_mode(if tls { SslMode::Require } else { SslMode::Disable })
            .options(options_text);
        let tls = if tls {
            Some(MakeRustlsConnect::new(tls_config(options.root.as_deref(), &wrong)?))
        } else {
            None
        };
        Ok(Self { config, tls })
    }

    /// The role that connects.
    pub(super) fn role(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// Connects. The stream must be polled for the client to work.
    pub(super) async fn connect(&self) -> Result<(Client, Messages), Error> {
        match &self.tls {
            None => {
                let (client, mut connection) = self.config.connect(NoTls).await?;
                Ok((client, poll_fn(move |cx| connection.poll_message(cx)).boxed()))
            }
            Some(tls) => {
                let (client, mut connection) = self.config.connect(tls.clone()).await?;
                Ok((client, poll_fn(move |cx| connection.poll_message(cx)).boxed()))
            }
        }
    }

    /// Connects and polls in a task of its own, which ends with the client.
    pub(super) async fn connect_alone(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, mut messages) = self.connect().await?;
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if let Err(error) = message {
                    tracing::debug!(%error, "a connection to PostgreSQL ended");
                    break;
                }
            }
        });
        Ok((client, task))
    }
}

impl deadpool_postgres::Connect for Connector {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(self.connect_alone())
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[derive(Default)]
struct TlsOptions {
    mode: Option<String>,
    root: Option<String>,
}

/// Takes `sslmode` and `sslrootcert` out of the address; the driver knows less of them than libpq.
fn split_tls_options(url: &str) -> (String, TlsOptions) {
    let mut found = TlsOptions::default();
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), found) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => found.mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => found.root = Some(value.replace("%2F", "/").replace("%2f", "/")),
            _ => rest.push(pair),
        }
    }
    let query = rest.join("&");
    (if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }, found)
}

fn tls_config(root: Option<&str>, wrong: &impl Fn(String) -> DbError) -> Result<ClientConfig, DbError> {
    let mut roots = RootCertStore::empty();
    let found: Vec<CertificateDer<'static>> = match root {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(format!("cannot read sslrootcert {file}: {error}")))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err(wrong("no certificate authority found: name a PEM file as sslrootcert=FILE".into()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(url: &str) -> Result<Connector, DbError> {
        let parsed: DbUrl = url.parse().unwrap();
        Connector::new(url, &parsed, &DbConfig::new(parsed.clone()))
    }

    #[test]
    fn plain_text_is_for_this_machine_only() {
        assert!(connector("postgres://a@127.0.0.1/d").unwrap().tls.is_none());
        assert!(connector("postgres://a@localhost:1234/d").unwrap().tls.is_none());
        assert!(connector("postgres://a@db.example/d?sslmode=disable").unwrap().tls.is_none());
        assert!(connector("postgres://a@db.example/d?sslmode=prefer").is_err());
        let missing =
            connector("postgres://a:geheim@db.example/d?sslmode=verify-full&sslrootcert=/no/such.pem");
        let text = missing.err().unwrap().to_string();
        assert!(text.contains("/no/such.pem") && !text.contains("geheim"), "{text}");
    }

    #[test]
    fn other_options_stay_in_the_address() {
        let (url, options) = split_tls_options("postgres://a@h/d?sslmode=require&application_name=x");
        assert_eq!(
            (url.as_str(), options.mode.as_deref()),
            ("postgres://a@h/d?application_name=x", Some("require"))
        );
    }
}
