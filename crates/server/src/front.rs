//! What stands behind the pipeline: services through the proxy, and our own two surfaces.

use axum::Router;
use gateway::Forward;
use guard::{Body, Refusal, Service, Shaped, Surface, Target};
use http::Response;
use tower::ServiceExt;

/// Sends a request that passed every stage to whoever answers its route.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) forward: Forward,
    pub(crate) api: Router,
    pub(crate) console: Router,
}

impl Service for Front {
    async fn call(&self, shaped: Shaped) -> Result<Response<Body>, Refusal> {
        match shaped.target() {
            Target::Upstream(_) => self.forward.call(shaped).await,
            Target::Own(Surface::Api) => Ok(own(&self.api, shaped).await),
            Target::Own(Surface::Console) => Ok(own(&self.console, shaped).await),
        }
    }
}

async fn own(router: &Router, shaped: Shaped) -> Response<Body> {
    let answered = router.clone().oneshot(shaped.into_request()).await;
    answered.unwrap_or_else(|never| match never {}).map(Body::stream)
}
