//! The guard as dependents see it.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use access::{Access, Relations};
use audit::{Audit, Event, Outcome, Record};
use base::{Clock, Entropy, Id, Language, Problem, ProblemKind};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use identity::Identity;
use keys::Keys;

use crate::assertion::Assertions;
use crate::exchange::Exchange;
use crate::measure::Measures;
use crate::refusal::Stage;
use crate::stages::Stop;
use crate::stages::admit::AdmitRules;
use crate::stages::client::ProxyRules;
use crate::stages::finish::{abandoned, finish};
use crate::stages::origin::OriginRules;
use crate::stages::throttle::RateRules;
use crate::tether::Ties;
use crate::{Body, GuardConfig, GuardError, Locate, Refusal, RouteTable, Shaped, pipeline};

/// What the listener knows about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The other end of the socket (or what a trusted PROXY header said).
    pub peer: SocketAddr,
    /// The connection is encrypted by us.
    pub tls: bool,
    /// How long a packet takes to the other end and back, if the system knows.
    pub round_trip: Option<Duration>,
}

/// What the guard works with.
#[derive(Clone)]
pub struct Parts {
    /// Who is calling.
    pub identity: Identity,
    /// What they may do, and to what.
    pub relations: Relations,
    /// Where it is recorded.
    pub audit: Audit,
    /// What signs statements for upstreams.
    pub keys: Keys,
    /// Time.
    pub clock: Clock,
    /// Randomness: request ids, the seed of the limiter's hash.
    pub entropy: Entropy,
}

/// Who answers a request that passed every stage: the proxy, our own routers, an embedder's router.
pub trait Service: Sync {
    /// Answers. A refusal becomes a problem document in the pipeline.
    fn call(&self, request: Shaped) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send;
}

/// The request pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Pipeline>);

/// What is configured, compiled once; every stage reads its own part.
pub struct Pipeline {
    pub(crate) routes: RouteTable,
    pub(crate) admit: AdmitRules,
    pub(crate) proxies: ProxyRules,
    pub(crate) origins: OriginRules,
    pub(crate) rates: RateRules,
    pub(crate) locate: Option<Locate>,
    pub(crate) identity: Identity,
    pub(crate) access: Access,
    pub(crate) relations: Relations,
    pub(crate) ties: Arc<Ties>,
    pub(crate) assertions: Assertions,
    pub(crate) measures: Measures,
    pub(crate) sign_in_page: Option<String>,
    pub(crate) problem_page: Option<fn(&Problem, &str, Language) -> String>,
    audit: Audit,
    clock: Clock,
    entropy: Entropy,
}

impl Guard {
    /// Compiles the configuration. Start the metrics recorder before: the guard takes its handles here.
    ///
    /// # Errors
    /// What cannot work, with the section and what would be right.
    pub fn new(config: GuardConfig, parts: Parts) -> Result<Self, GuardError> {
        let routes = RouteTable::build(&config.routes, &config.endpoints, parts.relations.access())?;
        let issuer = config.public_url.trim_end_matches('/').to_owned();
        Ok(Self(Arc::new(Pipeline {
            admit: AdmitRules::new(&config, &routes)?,
            proxies: ProxyRules::new(&config)?,
            origins: OriginRules::new(&config)?,
            rates: RateRules::new(&config.limits, &parts.entropy)?,
            locate: config.locate,
            measures: Measures::new(&routes),
            assertions: Assertions::new(issuer, parts.keys),
            sign_in_page: config.sign_in_page,
            problem_page: config.problem_page,
            routes,
            ties: Arc::new(Ties {
                identity: parts.identity.clone(),
                relations: parts.relations.clone(),
                clock: parts.clock.clone(),
            }),
            identity: parts.identity,
            access: parts.relations.access().clone(),
            relations: parts.relations,
            audit: parts.audit,
            clock: parts.clock,
            entropy: parts.entropy,
        })))
    }

    /// The routes, for the gateway's pools and the configuration check.
    pub fn routes(&self) -> &RouteTable {
        &self.0.routes
    }

    /// Leads one request through every stage and answers it, whatever happens: refusals and panics become problem
    /// documents, every answer has a request id and its security headers, every request has its record.
    pub fn handle<B, S>(
        &self,
        connection: Connection,
        request: Request<B>,
        service: &S,
    ) -> impl Future<Output = Response<Body>> + Send
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S: Service,
    {
        let request = request.map(Body::stream);
        async move {
            let pipeline = &*self.0;
            let now = pipeline.clock.now();
            let id = Id::at(now, &pipeline.entropy);
            let mut watch = Watch { pipeline, exchange: Exchange::new(connection, &request, id, now) };
            let run = AssertUnwindSafe(pipeline::run(pipeline, &mut watch.exchange, request, service));
            let outcome = run.catch_unwind().await.unwrap_or_else(|_panic| {
                // The panic hook has logged message and place; the client learns neither.
                Err(Stop::Refused(Refusal::at(Stage::Service, ProblemKind::Internal, "panic")))
            });
            finish(pipeline, &mut watch.exchange, outcome).into_response()
        }
    }
}

/// Owes the record of a request whose client went away: the future is dropped then, and nothing else runs.
struct Watch<'p> {
    pipeline: &'p Pipeline,
    exchange: Exchange,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        abandoned(self.pipeline, &mut self.exchange);
    }
}

impl Pipeline {
    /// Puts something on record before the answer. If that cannot be done, neither can the request.
    pub(crate) async fn record_critical(
        &self,
        exchange: &Exchange,
        event: Event,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        let record = self.record(exchange, event, outcome);
        self.audit.record_durable(record).await.map_err(|error| {
            tracing::error!(request_id = exchange.id_str(), error = %error, "a refusal could not be recorded");
            let problem = Problem::new(ProblemKind::Unavailable).retry_after(1);
            Refusal::at(Stage::Finish, problem, "unrecorded")
        })
    }

    /// Queues a record; under pressure, or on a full disk, traffic may be lost, which the trail counts as a gap.
    pub(crate) fn record_traffic(&self, exchange: &Exchange, event: Event, outcome: Outcome) {
        self.audit.record(self.record(exchange, event, outcome));
    }

    fn record(&self, exchange: &Exchange, event: Event, outcome: Outcome) -> Record {
        let mut record = Record::new(exchange.at, event).during(exchange.request_info()).ended(outcome);
        if let Some(caller) = exchange.caller.holder() {
            record = record.by_account(caller.account);
        }
        record
    }
}
