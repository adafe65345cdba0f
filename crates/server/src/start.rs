//! Starts everything in order and stops it in the opposite one.

use std::net::SocketAddr;
use std::time::Duration;

use access::Permit;
use audit::{Event, Record};
use base::{Actor, Clock, Entropy, Timestamp};
use gateway::{Forward, Guarded, ListenConfig, Listener, Shutdown, Tls, TlsFiles, UpstreamConfig, example};
use guard::{Guard, GuardConfig};
use identity::RequestMeta;
use sinks::Sinks;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Config, HostField, Resolved, Route, TlsVersion, validate};
use crate::error::StartError;
use crate::folder::{self, Lock};
use crate::front::Front;
use crate::ops::{self, Readiness};
use crate::services::{Mode, Services};
use crate::{evidence, policy_watch, sink_setup, tls_watch, vouch, worker};

/// A one-time link for the first operator.
#[derive(Debug, Clone)]
pub struct FirstLink {
    /// The link; whoever opens it first becomes the operator.
    pub url: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A running server.
pub struct Running {
    /// Where the public listener really listens.
    pub public_addr: SocketAddr,
    /// Where the operations listener really listens.
    pub ops_addr: SocketAddr,
    /// The link to set up the first operator; `None` once there is one.
    pub setup_link: Option<FirstLink>,
    /// Whether the built-in example stands behind the gateway.
    pub example: bool,
    /// The capabilities, for tests and embedders.
    pub services: Services,
    shutdown: Shutdown,
    stop: watch::Sender<bool>,
    public: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    // Held until everything else has stopped.
    lock: Lock,
}

/// Starts a server in this process: listeners bound, database migrated, keys open, first request answered from here on.
///
/// The ports are bound before anything is made, so that a port in use leaves no folder behind.
pub async fn start(config: &Config, clock: Clock, entropy: Entropy) -> Result<Running, StartError> {
    let (config, warnings) = validate(config).map_err(StartError::Config)?;
    let tls = tls(&config)?;
    let listener = bind_public(&config, tls.clone()).await?;
    let ops = bind_ops(&config).await?;
    let public_addr = listener.address();
    let ops_addr = ops
        .local_addr()
        .map_err(|source| StartError::System { what: "a listener has no address", source })?;
    let mut config = config.bound_to(public_addr);

    folder::prepare(&config.server.data_dir)?;
    let lock = folder::lock(&config.server.data_dir)?;
    // Before anything that keeps handles of metrics.
    ops::recorder();
    let services = Services::open(config.clone(), clock.clone(), entropy.clone(), Mode::Serve).await?;

    let shutdown = Shutdown::new();
    let example = config.route.is_empty();
    if example {
        let audience = vouch::Audience::default();
        let verify = vouch::verifier(&services, audience.clone());
        let address = example::start(verify, clock.clone(), entropy.clone(), shutdown.clone())
            .await
            .map_err(|error| StartError::Gateway(error.to_string()))?;
        let routes = example_routes(address);
        // The gateway names a service by its origin, and so does the assertion for it.
        let _ = audience.set(routes[0].upstream.to_string());
        config = config.with_routes(routes);
    }
    let guard = build_guard(&config, &services)?;
    // Opened before anything is announced: a certificate that cannot be read is a start that fails.
    let sinks = sink_setup::open(&services)?;
    let front = front(&config, &services, &guard, &sinks, &shutdown)?;
    let asking = evidence::open(&services)?;
    let alerts = sink_setup::open_alerts(&services)?;
    announce(&services).await?;
    let setup_link = first_link(&services).await?;

    let (stop, stopped) = watch::channel(false);
    let readiness = Readiness::of(&services, sinks.clone());
    let mut tasks = vec![
        tokio::spawn(ops::serve(ops, readiness, stopped.clone())),
        tokio::spawn(worker::run(services.clone(), stopped.clone())),
    ];
    let (audit, stop_counting, countries) =
        (services.audit.clone(), stopped.clone(), config.geo.city.is_some());
    tasks.push(tokio::spawn(async move { audit.count_hours(countries, stop_counting).await }));
    let (audit, stop_forgetting) = (services.audit.clone(), stopped.clone());
    tasks.push(tokio::spawn(async move { audit.forget_erased(stop_forgetting).await }));
    tasks.extend(sinks.start(&stopped)?);
    if let Some(asking) = asking {
        tasks.push(tokio::spawn(asking.run(stopped.clone())));
    }
    if config.alerts.enabled {
        tasks.push(alerts.start(stopped.clone()));
    }
    tasks.push(tokio::spawn(services.policies.clone().follow(stopped.clone())));
    if let (Some(folder), true) = (&config.access.policies, config.access.reload) {
        tasks.push(tokio::spawn(policy_watch::run(
            services.policies.clone(),
            config.access.clone(),
            folder.clone(),
            stopped.clone(),
        )));
    }
    if let (Some(tls), Some(files)) = (tls, &config.tls) {
        tasks.push(tokio::spawn(tls_watch::run(tls, files.clone(), stopped)));
    }
    // Only now: a start that fails says one thing, why.
    for warning in &warnings {
        tracing::warn!("configuration: {warning}");
    }
    let handler = Guarded { guard, service: front };
    let public = tokio::spawn(listener.serve(handler, clock, entropy, shutdown.clone()));
    Ok(Running { public_addr, ops_addr, setup_link, example, services, shutdown, stop, public, tasks, lock })
}

impl Running {
    /// Stops: accepts nothing new, lets what is in flight finish for `server.shutdown_timeout`, finishes running
    /// jobs, writes the audit trail out and closes the database. `reason` goes into the trail.
    pub async fn shutdown(self, reason: &'static str) {
        let patience = self.services.config.server.shutdown_timeout.as_duration();
        let drained = self.shutdown.drain(patience).await;
        tracing::info!(finished = drained.finished, cut = drained.cut, reason, "stopped accepting requests");
        finish(self.public, Duration::from_secs(1)).await;
        // Nobody waits for the receivers if they have ended already.
        let _ = self.stop.send(true);
        for task in self.tasks {
            finish(task, patience).await;
        }
        let stopped = Event::ServerStopped { reason: reason.into() };
        let record = Record::new(self.services.clock.now(), stopped).by(Actor::System("serve"));
        if let Err(error) = self.services.audit.record_durable(record).await {
            tracing::error!(%error, "the end of the server could not be recorded");
        }
        self.services.close().await;
        drop(self.lock);
    }
}

async fn finish(mut task: JoinHandle<()>, patience: Duration) {
    if tokio::time::timeout(patience, &mut task).await.is_err() {
        task.abort();
    }
}

pub(crate) fn tls(config: &Resolved) -> Result<Option<Tls>, StartError> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let files = TlsFiles {
        certificate: tls.cert.clone(),
        key: tls.key.clone(),
        tls12: tls.min_version == TlsVersion::V1_2,
    };
    Tls::load(files).map(Some).map_err(|error| StartError::Gateway(format!("[tls]: {error}")))
}

pub(crate) async fn bind_public(config: &Resolved, tls: Option<Tls>) -> Result<Listener, StartError> {
    let (http, address) = (&config.http, config.server.listen);
    let limits = gateway::Limits {
        connections: usize::try_from(http.max_connections).unwrap_or(usize::MAX),
        head_bytes: http.max_head.as_usize(),
        target_bytes: http.max_target.as_usize(),
        fields: usize::from(http.max_headers),
        head_timeout: http.head_timeout.as_duration(),
        idle_timeout: http.keep_alive.as_duration(),
        write_stall_timeout: http.write_timeout.as_duration(),
        h2_streams: u32::from(http.max_streams),
        ..gateway::Limits::default()
    };
    let lanes = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => usize::from(workers),
    };
    Listener::bind(ListenConfig { address, tls, limits, lanes }).await.map_err(|error| StartError::Listen {
        address: error.address,
        setting: "server.listen (--listen)",
        source: error.source,
    })
}

async fn bind_ops(config: &Resolved) -> Result<TcpListener, StartError> {
    let address = config.server.ops_listen;
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen { address, setting: "server.ops_listen", source })
}

/// The example shows both kinds of route: one for everybody, one for signed-in people.
fn example_routes(address: SocketAddr) -> Vec<Route> {
    let upstream = crate::config::value::HttpOrigin::new(false, &address.ip().to_string(), address.port());
    let route = |path: &str, access: &str| Route {
        path: path.to_owned(),
        access: access.to_owned(),
        ..Route::catch_all(upstream.clone())
    };
    vec![route("/", "public"), route("/private/**", "authenticated")]
}

/// Every endpoint and page of our own, as the guard's route table has them. What is not in this list does not exist, and
/// a test tries each one as everybody.
pub fn own_endpoints() -> Vec<guard::Endpoint> {
    let mut endpoints = api::endpoints();
    endpoints.extend(api::log_endpoints());
    endpoints.extend(console::endpoints());
    endpoints
}

fn build_guard(config: &Resolved, services: &Services) -> Result<Guard, StartError> {
    let endpoints = own_endpoints();
    let mut guard = GuardConfig::new(config.public_url.to_string());
    guard.trusted_hosts = config.trusted_hosts.iter().map(ToString::to_string).collect();
    guard.trusted_proxies = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    guard.forwarded = config.server.forwarded_header;
    guard.routes = config.route.iter().map(|route| config.guard_route(route)).collect();
    guard.endpoints = endpoints;
    guard.limits = config.limits.clone();
    guard.cors = guard::CorsConfig {
        origins: config.cors.origins.iter().map(ToString::to_string).collect(),
        max_age_s: u32::try_from(config.cors.max_age.as_secs()).unwrap_or(u32::MAX),
    };
    guard.head = guard::HeadConfig {
        fields: usize::from(config.http.max_headers),
        bytes: config.http.max_head.as_usize(),
        target_bytes: config.http.max_target.as_usize(),
    };
    guard.locate = services.places.locate();
    guard.sign_in_page = Some(console::SIGN_IN_PAGE.to_owned());
    guard.problem_page = Some(console::problem_page);
    let parts = guard::Parts {
        identity: services.identity.clone(),
        relations: services.relations.clone(),
        audit: services.audit.clone(),
        keys: services.keys.clone(),
        clock: services.clock.clone(),
        entropy: services.entropy.clone(),
    };
    Ok(Guard::new(guard, parts)?)
}

fn front(
    config: &Resolved,
    services: &Services,
    guard: &Guard,
    sinks: &Sinks,
    shutdown: &Shutdown,
) -> Result<Front, StartError> {
    let upstream = &config.upstream;
    let pool = UpstreamConfig {
        host: match upstream.host {
            HostField::Preserve => gateway::HostField::Preserve,
            HostField::Upstream => gateway::HostField::Upstream,
        },
        in_flight: usize::try_from(upstream.max_in_flight).unwrap_or(usize::MAX),
        pool_size: usize::from(upstream.max_idle),
        pool_idle: upstream.idle_timeout.as_duration(),
        websocket_idle: upstream.websocket_idle_timeout.as_duration(),
    };
    let forward = Forward::new(guard.routes(), &pool, shutdown)
        .map_err(|error| StartError::Gateway(error.to_string()))?
        .recording(services.audit.clone(), services.clock.clone());
    let console = console::Console {
        identity: services.identity.clone(),
        audit: services.audit.clone(),
        sinks: Some(sinks.clone()),
        access: services.access.clone(),
        policies: services.policies.clone(),
        relations: services.relations.clone(),
        keys: services.keys.clone(),
        clock: services.clock.clone(),
        entropy: services.entropy.clone(),
    };
    let api = api::Api {
        identity: services.identity.clone(),
        audit: services.audit.clone(),
        access: services.access.clone(),
        relations: services.relations.clone(),
        keys: services.keys.clone(),
        clock: services.clock.clone(),
    };
    Ok(Front { forward, api: api::router(api), console: console::router(console) })
}

/// The trail says when the server started and which policies it decides by; a server that cannot record does not start.
async fn announce(services: &Services) -> Result<(), StartError> {
    let events = [
        Event::ServerStarted { version: env!("CARGO_PKG_VERSION").into() },
        Event::ConfigLoaded { what: "policies".into(), version: (&*services.access.version()).into() },
    ];
    for event in events {
        let record = Record::new(services.clock.now(), event).by(Actor::System("serve"));
        services.audit.record_durable(record).await?;
    }
    Ok(())
}

async fn first_link(services: &Services) -> Result<Option<FirstLink>, StartError> {
    if !services.identity.needs_setup().await? {
        return Ok(None);
    }
    let meta = RequestMeta::command(&services.clock, &services.entropy);
    let link = services.identity.issue_setup_link(Permit::for_system("serve"), &meta).await?;
    Ok(Some(FirstLink { url: link.url.expose().clone(), expires_at: link.expires_at }))
}
