//! What a service says about objects in its answers.
//!
//! A service that has just made an object for the caller says `Fortissimo-Register: track/42` (with `; public` if
//! everybody sees it): the gateway makes it known, with the caller as its owner, before the client hears that it is
//! there. After deleting the object that the route names it says `Fortissimo-Forget: track/42`. So nobody can register
//! what a service has not made yet, and services need no credentials for it.

use access::{AccessError, Asker, Registration, ResourceRef};
use base::ProblemKind;
use http::HeaderMap;

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Refusal, Route};

/// Made: `type/id`, or `type/id; public`.
pub const REGISTER_HEADER: &str = "fortissimo-register";
/// Deleted: `type/id`, which must be the route's object.
pub const FORGET_HEADER: &str = "fortissimo-forget";
/// Objects that one answer can make known.
const MAX: usize = 16;

/// Whether an answer has one of the two headers.
pub(crate) fn says_something(headers: &HeaderMap) -> bool {
    headers.contains_key(REGISTER_HEADER) || headers.contains_key(FORGET_HEADER)
}

/// Takes both headers out of an upstream's answer and does what they say.
pub(crate) async fn settle(
    pipeline: &Pipeline,
    exchange: &Exchange,
    route: &Route,
    named: Option<ResourceRef>,
    succeeded: bool,
    headers: &mut HeaderMap,
) -> Result<(), Refusal> {
    let register = take(headers, REGISTER_HEADER);
    let forget = take(headers, FORGET_HEADER);
    if !succeeded {
        return Ok(());
    }
    let asker = Asker { subject: exchange.caller.subject(), request: Some(exchange.request_info()) };
    for text in register.iter().take(MAX) {
        let Some((resource, public)) = parse(text).filter(|_| asker.subject.account.is_some()) else {
            return Err(nonsense(exchange, route, text));
        };
        let wanted = Registration { public, ..Registration::default() };
        if let Err(error) = pipeline.relations.vouch(&asker, &resource, &wanted).await {
            return Err(failed(exchange, route, &resource, &error));
        }
    }
    for text in &forget {
        let Some((resource, _)) = parse(text).filter(|(resource, _)| Some(resource) == named.as_ref()) else {
            return Err(nonsense(exchange, route, text));
        };
        if let Err(error) = pipeline.relations.vouch_forgotten(&asker, &resource).await {
            return Err(failed(exchange, route, &resource, &error));
        }
    }
    Ok(())
}

fn take(headers: &mut HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let values = values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect();
    headers.remove(name);
    values
}

fn parse(text: &str) -> Option<(ResourceRef, bool)> {
    let (name, word) = text.split_once(';').map_or((text, ""), |(name, word)| (name, word));
    let (kind, id) = name.trim().split_once('/')?;
    let public = match word.trim() {
        "" => false,
        "public" => true,
        _ => return None,
    };
    Some((ResourceRef { kind: kind.to_owned(), id: id.to_owned() }, public))
}

fn nonsense(exchange: &Exchange, route: &Route, text: &str) -> Refusal {
    let text: String = text.chars().take(80).collect();
    tracing::error!(request_id = exchange.id_str(), route = %route.name(), text, "a service named an object that cannot be");
    Refusal::at(Stage::Service, ProblemKind::BadGateway, "object_unreadable")
}

/// The object is there, but nobody could use it: the client is told that it did not work, and tries again.
fn failed(exchange: &Exchange, route: &Route, resource: &ResourceRef, error: &AccessError) -> Refusal {
    tracing::error!(request_id = exchange.id_str(), route = %route.name(), %resource, %error, "an object was not made known");
    Refusal::at(Stage::Service, ProblemKind::BadGateway, "object_unregistered")
}
