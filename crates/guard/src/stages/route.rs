//! Which service is meant.

use std::sync::Arc;

use http::{Method, header};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Route, Target};

use super::Stop;
use super::admit::Admitted;
use super::client::Located;

/// Proof: there is a service for this host, path and method.
#[derive(Debug)]
pub struct Routed {
    pub(crate) admitted: Admitted,
    pub(crate) route: Arc<Route>,
    /// A CORS preflight: asks about the method that the route was looked up with.
    pub(crate) preflight: bool,
}

/// Looks up the route. A preflight is about the method that it names, not about OPTIONS.
pub fn route(pipeline: &Pipeline, exchange: &mut Exchange, located: Located) -> Result<Routed, Stop> {
    let Located { admitted } = located;
    let wanted = preflight_method(&admitted);
    let method = wanted.as_ref().unwrap_or(admitted.request.method());
    let route = Arc::clone(pipeline.routes.find(&admitted.host, method, &admitted.target)?);
    if let Target::Upstream(index) = route.target {
        exchange.upstream = Some(Arc::clone(&pipeline.routes.upstreams()[index].origin));
    }
    exchange.route = Some(Arc::clone(&route));
    exchange.note(Stage::Route, "ok");
    Ok(Routed { admitted, route, preflight: wanted.is_some() })
}

fn preflight_method(admitted: &Admitted) -> Option<Method> {
    if admitted.request.method() != Method::OPTIONS
        || !admitted.request.headers().contains_key(header::ORIGIN)
    {
        return None;
    }
    let asked = admitted.request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}
