//! The services behind the gateway: connections to them, requests to them, their responses back.

mod connect;
mod download;
mod frames;
mod link;
mod pool;
#[cfg(test)]
mod tests;
mod upload;
mod websocket;
mod witness;

use std::sync::{Arc, Weak};
use std::time::Duration;

use audit::Audit;
use base::{Clock, ProblemKind};
use guard::{Body, Refusal, RouteTable, Service, Shaped, Target};
use http::Response;

use crate::Shutdown;
pub(crate) use pool::Pool;
pub(crate) use witness::{Trail, Witness};

pub use connect::UpstreamTlsError;
pub use pool::{HostField, UpstreamConfig};

/// The proxy: a [`Service`] for requests whose route names an upstream. Clones share the connections.
#[derive(Clone)]
pub struct Forward {
    pools: Arc<[Pool]>,
    trail: Option<Arc<Trail>>,
}

impl Forward {
    /// Prepares a pool for every upstream of the routes; opens no connection yet. Needs a tokio runtime. WebSockets end with `shutdown`.
    pub fn new(
        routes: &RouteTable,
        config: &UpstreamConfig,
        shutdown: &Shutdown,
    ) -> Result<Self, UpstreamTlsError> {
        let pools = routes.upstreams().iter().enumerate().map(|(number, upstream)| {
            // Routes share connections, so the most patient one decides.
            let to_it = routes.routes().iter().filter(|route| route.target == Target::Upstream(number));
            let connect_ms = to_it.map(|route| route.timeouts.connect_ms).max().unwrap_or(5_000);
            Pool::new(upstream, Duration::from_millis(connect_ms), config.clone(), shutdown.clone())
        });
        let pools: Arc<[Pool]> = pools.collect::<Result<_, _>>()?;
        tokio::spawn(sweep(Arc::downgrade(&pools), config.pool_idle));
        Ok(Self { pools, trail: None })
    }

    /// Records what happens behind the pipeline's back: WebSockets that open and close, and responses that break off
    /// when their head, and so the pipeline's record, is long gone.
    #[must_use]
    pub fn recording(mut self, audit: Audit, clock: Clock) -> Self {
        self.trail = Some(Arc::new(Trail { audit, clock }));
        self
    }
}

/// Closes unused connections, also when no request comes by. Ends with the pools.
async fn sweep(pools: Weak<[Pool]>, every: Duration) {
    loop {
        tokio::time::sleep(every.max(Duration::from_millis(10))).await;
        let Some(pools) = pools.upgrade() else { return };
        pools.iter().for_each(Pool::sweep);
    }
}

impl Service for Forward {
    async fn call(&self, shaped: Shaped) -> Result<Response<Body>, Refusal> {
        let Target::Upstream(number) = shaped.target() else {
            // Whoever composes the services sends own surfaces elsewhere.
            return Err(Refusal::new(ProblemKind::NotFound, "not_an_upstream"));
        };
        let Some(pool) = self.pools.get(number) else {
            return Err(Refusal::new(ProblemKind::BadGateway, "no_upstream"));
        };
        let route = shaped.route().clone();
        let witness = Witness::new(self.trail.clone(), &shaped);
        let tether = shaped.tether().cloned();
        pool.send(&route.timeouts, shaped.into_request(), tether, witness).await
    }
}
