//! The service itself.

use std::sync::Arc;

use base::ProblemKind;
use http::Response;

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Body, Refusal, Service, Target, vouched};

use super::Stop;
use super::shape::{Shaped, too_large};

/// Proof: a service answered.
#[derive(Debug)]
pub struct Served {
    pub(crate) response: Response<Body>,
}

/// Asks the service. Whatever it made of a body that we cut, the client hears the real reason as long as no answer
/// has begun.
pub async fn serve<S: Service>(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    service: &S,
    shaped: Shaped,
) -> Result<Served, Stop> {
    let limit = shaped.route().max_body;
    let (route, named) = (Arc::clone(shaped.route()), shaped.object());
    let answered = service.call(shaped).await;
    if exchange.cut.too_large() {
        return Err(too_large(limit).into());
    }
    if exchange.cut.stalled() {
        return Err(Refusal::at(Stage::Shape, ProblemKind::RequestTimeout, "stalled").into());
    }
    let mut response = answered?;
    if matches!(route.target, Target::Upstream(_)) && vouched::says_something(response.headers()) {
        let succeeded = response.status().is_success();
        // Boxed: few answers need the room.
        Box::pin(vouched::settle(pipeline, exchange, &route, named, succeeded, response.headers_mut()))
            .await?;
    }
    exchange.note(Stage::Service, "ok");
    Ok(Served { response })
}
