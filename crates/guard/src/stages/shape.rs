//! The form in which a service gets the request: body limits, and the headers that only we write.

use std::sync::Arc;
use std::time::Duration;

use access::{Requirement, ResourceRef};
use base::{Id, Problem, ProblemKind, kind};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue, Method, Request};
use identity::{Caller, RequestMeta};
use inspect::CanonicalTarget;

use crate::assertion::{ASSERTION_HEADER, Who};
use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Body, Passed, Refusal, Route, Target, Tether, cookies, strip};

use super::Stop;
use super::assess::Assessed;
use super::route::Routed;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that passed every stage before the service. Only the pipeline makes one.
#[derive(Debug)]
pub struct Shaped {
    request: Request<Body>,
    route: Arc<Route>,
    request_id: Id<kind::Request>,
    caller: Caller,
    tether: Option<Tether>,
    object: Option<ResourceRef>,
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

    /// The object that the path names, where the route demands an action on one.
    pub fn object(&self) -> Option<ResourceRef> {
        self.object.clone()
    }

    /// Our id of this request.
    pub fn request_id(&self) -> Id<kind::Request> {
        self.request_id
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What an answer that lasts must hang on; `None` where nothing was demanded of the caller.
    pub fn tether(&self) -> Option<&Tether> {
        self.tether.as_ref()
    }

    /// The request. Its target is canonical; its headers are stripped of what only we may say. For an upstream they
    /// carry our own statements, `Host` as the client named it, and nothing of the client's connection but a WebSocket
    /// handshake; for our own services the extensions carry [`Passed`].
    pub fn request(&self) -> &Request<Body> {
        &self.request
    }

    /// Takes the request.
    pub fn into_request(self) -> Request<Body> {
        self.request
    }
}

/// Checks the declared length, cuts the stream at the limit, and dresses the request for its service.
pub fn shape(pipeline: &Pipeline, exchange: &mut Exchange, assessed: Assessed) -> Result<Shaped, Stop> {
    let Routed { admitted, route, .. } = assessed.routed;
    let (mut parts, body) = admitted.request.into_parts();
    // The declared length first: it costs nothing, and the client need not send what will be refused.
    let declared = exchange.bytes_in.max(http_body::Body::size_hint(&body).lower());
    if declared > route.max_body {
        return Err(too_large(route.max_body).into());
    }
    let object = object(&route, &admitted.target);
    let tether = tether(pipeline, exchange, &route, object.clone());
    let (body, cut) = body.limited(route.max_body, Duration::from_millis(route.timeouts.idle_ms));
    exchange.cut = cut;

    let headers = &mut parts.headers;
    strip::claims(headers);
    match route.target {
        Target::Upstream(index) => {
            strip::hop_by_hop_but_websocket(headers);
            cookies::strip_request(headers);
            // HTTP/2 carries the host outside of the headers; upstreams get it where they look for it.
            if !headers.contains_key(HOST)
                && let Ok(host) = HeaderValue::from_str(&admitted.host.to_string())
            {
                headers.insert(HOST, host);
            }
            if let Some(host) = headers.get(HOST).cloned() {
                headers.insert(HeaderName::from_static("x-forwarded-host"), host);
            }
            let proto = if exchange.tls { "https" } else { "http" };
            headers.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(proto));
            if let Ok(address) = HeaderValue::from_str(&exchange.address.to_string()) {
                headers.insert(HeaderName::from_static("x-forwarded-for"), address);
            }
            headers.insert(REQUEST_ID, exchange.id_text.clone());
            if let Some(who) = Who::of(&exchange.caller) {
                // What opens our door is not for the services behind it.
                if who.bearer {
                    headers.remove(AUTHORIZATION);
                }
                let audience = &pipeline.routes.upstreams()[index].origin;
                let Some(statement) = pipeline.assertions.about(&who, index, audience, exchange.at) else {
                    return Err(Refusal::at(Stage::Shape, ProblemKind::Internal, "assertion_failed").into());
                };
                headers.insert(HeaderName::from_static(ASSERTION_HEADER), statement);
            }
        }
        Target::Own(_) => {
            let mut meta = RequestMeta::from(exchange.request_info());
            meta.device = cookies::device(headers).map(Into::into);
            meta.rtt_ms = exchange.round_trip.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
            meta.challenge = cookies::challenge(headers).map(Into::into);
            meta.language = cookies::language(headers);
            parts.extensions.insert(Passed::new(exchange.caller.clone(), meta, exchange.tls, tether.clone()));
        }
    }
    exchange.note(Stage::Shape, "ok");
    let request = Request::from_parts(parts, body);
    Ok(Shaped { request, route, request_id: exchange.id, caller: exchange.caller.clone(), tether, object })
}

/// The object that the path names.
fn object(route: &Route, target: &CanonicalTarget) -> Option<ResourceRef> {
    match &route.requirement {
        Requirement::Action { resource: Some(resource), .. } => {
            Some(resource.fill(route.parameter(&resource.parameter, target).unwrap_or_default()))
        }
        _ => None,
    }
}

/// Only reads can be answered by something that lasts, so that nothing else pays for it.
fn tether(
    pipeline: &Pipeline,
    exchange: &Exchange,
    route: &Arc<Route>,
    object: Option<ResourceRef>,
) -> Option<Tether> {
    if exchange.method != Method::GET || route.requirement == Requirement::Public {
        return None;
    }
    let caller = exchange.caller.account()?.clone();
    Some(Tether::new(&pipeline.ties, caller, Arc::clone(route), object))
}

pub(crate) fn too_large(limit: u64) -> Refusal {
    let problem =
        Problem::new(ProblemKind::TooLarge).detail(format!("The body may have at most {limit} bytes here."));
    Refusal::at(Stage::Shape, problem, "too_large")
}
