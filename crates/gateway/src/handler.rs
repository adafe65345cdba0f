//! Who answers the requests of a listener.

use std::future::Future;

use guard::{Body, Connection, Guard};
use http::{Request, Response};

/// Answers every request of a listener. Must not fail: what goes wrong is a response too.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The request has a `Host` field and no fields of its connection; a request that
    /// asks for WebSocket has `Upgrade: websocket` and hyper's upgrade extension.
    fn handle(
        &self,
        connection: Connection,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// The pipeline in front of a service: what the public listener runs.
#[derive(Clone)]
pub struct Guarded<S> {
    /// The pipeline.
    pub guard: Guard,
    /// What stands behind it.
    pub service: S,
}

impl<S: guard::Service + Send + 'static> Handler for Guarded<S> {
    async fn handle(&self, connection: Connection, request: Request<Body>) -> Response<Body> {
        self.guard.handle(connection, request, &self.service).await
    }
}
