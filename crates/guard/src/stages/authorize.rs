//! May they: the route's requirement against the policies.

use access::{AccessError, Decision, Requirement};
use audit::{Event, Outcome};
use base::{Problem, ProblemKind};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Body, Refusal, Surface, Target};

use super::Stop;
use super::authenticate::Authenticated;
use super::route::Routed;

/// A path and query inside a query: everything but what is plainly harmless is escaped.
const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Proof: the caller may do what the route demands.
#[derive(Debug)]
pub struct Authorized {
    pub(crate) routed: Routed,
}

/// Decides. A refusal is on record before it is answered; what cannot be recorded is refused with 503.
pub async fn authorize(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    authenticated: Authenticated,
) -> Result<Authorized, Stop> {
    let Authenticated { routed } = authenticated;
    let signed_in = exchange.caller.holder().is_some();
    let by_key = matches!(exchange.caller, identity::Caller::Key(_));
    let own = matches!(routed.route.target, Target::Own(_));
    match &routed.route.requirement {
        Requirement::Public => exchange.note(Stage::Authorize, "public"),
        demand if !signed_in => {
            let action = match demand {
                Requirement::Action { action, .. } => action.as_str(),
                _ => "authenticated",
            };
            exchange.note(Stage::Authorize, "anonymous");
            return Err(match way_in(pipeline, exchange, &routed) {
                Some(shown) => shown,
                None => sign_in_first(pipeline, exchange, action).await,
            });
        }
        // One's own account is for people: a leaked key must not make more keys, or change the password.
        Requirement::Authenticated if by_key && own => {
            exchange.note(Stage::Authorize, "key_not_enough");
            return Err(beyond_key(pipeline, exchange, "authenticated").await);
        }
        Requirement::Authenticated => exchange.note(Stage::Authorize, "authenticated"),
        Requirement::Action { action, resource } => {
            let resource = resource.as_ref().map(|resource| {
                let value = routed.route.parameter(&resource.parameter, &routed.admitted.target);
                resource.fill(value.unwrap_or_default())
            });
            let subject = exchange.caller.subject();
            let decision = match pipeline.relations.check(&subject, action, resource.as_ref(), None).await {
                Ok(decision) => decision,
                Err(error) => return Err(undecided(exchange, &error)),
            };
            exchange.note(Stage::Authorize, decision.code);
            if !decision.allowed {
                return Err(deny(pipeline, exchange, decision).await);
            }
            // After the policies, which decide for the key's owner: a key never may more than they may now.
            if !exchange.caller.covers(action.as_str()) {
                exchange.note(Stage::Authorize, "scope");
                return Err(beyond_key(pipeline, exchange, action.as_str()).await);
            }
            // Without an object, the line of the request itself says who did what by which stage.
            if decision.resource.is_some() {
                pipeline.record_traffic(exchange, decision.allowed_event(&subject), Outcome::Success);
            }
        }
    }
    Ok(Authorized { routed })
}

/// A person opened a page, ours or a service's: show the way in. Nothing was denied, so this is traffic. Programs that
/// do not ask for HTML by name, and our own API, get the problem document.
fn way_in(pipeline: &Pipeline, exchange: &Exchange, routed: &Routed) -> Option<Stop> {
    let may_be_page = routed.route.target != Target::Own(Surface::Api);
    let reads = matches!(*routed.admitted.request.method(), Method::GET | Method::HEAD);
    let page = pipeline.sign_in_page.as_deref().filter(|_| may_be_page && reads && exchange.wants_page)?;
    let next = utf8_percent_encode(&routed.admitted.target.path_and_query(), IN_QUERY).to_string();
    Some(see_other(&format!("{page}?next={next}")))
}

async fn sign_in_first(pipeline: &Pipeline, exchange: &Exchange, action: &str) -> Stop {
    let event = Event::AuthzDenied {
        action: action.into(),
        code: "anonymous",
        rule: None,
        resource: None,
        policy_version: pipeline.access.version(),
    };
    match pipeline.record_critical(exchange, event, Outcome::Denied).await {
        Ok(()) => Refusal::at(Stage::Authorize, no_credentials(), "anonymous").into(),
        Err(unrecorded) => unrecorded.into(),
    }
}

/// The owner may, but this key of theirs may not.
async fn beyond_key(pipeline: &Pipeline, exchange: &Exchange, action: &str) -> Stop {
    let event = Event::AuthzDenied {
        action: action.into(),
        code: "scope",
        rule: None,
        resource: None,
        policy_version: pipeline.access.version(),
    };
    match pipeline.record_critical(exchange, event, Outcome::Denied).await {
        Ok(()) => {
            let problem =
                Problem::new(ProblemKind::Forbidden).detail("The scopes of this key do not cover this.");
            Refusal::at(Stage::Authorize, problem, "scope").into()
        }
        Err(unrecorded) => unrecorded.into(),
    }
}

fn no_credentials() -> Problem {
    Problem::new(ProblemKind::Unauthenticated)
        .detail("Send an access token (`Authorization: Bearer …`, POST /auth/login gives one) or the cookie of a session.")
}

async fn deny(pipeline: &Pipeline, exchange: &mut Exchange, decision: Decision) -> Stop {
    if decision.is_evaluation_error() {
        tracing::error!(request_id = exchange.id_str(), action = %decision.action, "a policy could not be evaluated");
    }
    if let Err(unrecorded) =
        pipeline.record_critical(exchange, decision.denied_event(), Outcome::Denied).await
    {
        return unrecorded.into();
    }
    Refusal::at(Stage::Authorize, decision.problem(), decision.code).into()
}

/// The facts could not be read. That is no denial to put on record (which could not be stored either), but nothing is let
/// through.
fn undecided(exchange: &mut Exchange, error: &AccessError) -> Stop {
    tracing::error!(request_id = exchange.id_str(), %error, "a request could not be decided");
    exchange.note(Stage::Authorize, "undecided");
    let problem = Problem::new(ProblemKind::Unavailable).retry_after(1);
    Refusal::at(Stage::Authorize, problem, "undecided").into()
}

fn see_other(location: &str) -> Stop {
    let Ok(location) = HeaderValue::from_str(location) else {
        return Refusal::at(Stage::Authorize, no_credentials(), "anonymous").into();
    };
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Stop::Answered(Box::new(response))
}
