//! Who is calling: a bearer token, a program's key, or the session cookie of a browser.

use audit::{Event, Outcome};
use base::{Problem, ProblemKind};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use identity::{Caller, Error};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Refusal, cookies};

use super::Stop;
use super::origin::Screened;
use super::route::Routed;

/// Proof: we know who calls, or that nobody says so.
#[derive(Debug)]
pub struct Authenticated {
    pub(crate) routed: Routed,
}

/// Finds out who calls. A token that is presented must be right, even where none is needed: whoever sends one
/// relies on being that person. For what cannot be taken back, role, tier, session and account are read anew, so that a
/// change on another node counts before anybody was told of it. A stale cookie is sent by the browser on its own, so it only means "not signed in".
pub async fn authenticate(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    screened: Screened,
) -> Result<Authenticated, Stop> {
    let Screened { routed } = screened;
    let headers = routed.admitted.request.headers();
    let recall = routed.route.recall(pipeline.relations.access());
    let found = if let Some(key) = bearer(headers).filter(|token| identity::Identity::is_key(token)) {
        match pipeline.identity.authenticate_key_with(key, exchange.address, recall).await {
            Ok(caller) => Ok((Caller::Key(caller), "api_key")),
            Err(Error::InvalidToken(reason)) => {
                exchange.note(Stage::Authenticate, reason);
                let event = Event::TokenRefused { reason, credential: "api-key" };
                pipeline.record_critical(exchange, event, Outcome::Denied).await?;
                let problem = Problem::new(ProblemKind::InvalidToken).detail(
                    "The key is unknown, mistyped, expired, revoked or not allowed from this network.",
                );
                Err(Refusal::at(Stage::Authenticate, problem, reason))
            }
            Err(other) => Err(failed(&other, exchange)),
        }
    } else if let Some(token) = bearer(headers) {
        match pipeline.identity.authenticate_token_with(token, recall).await {
            Ok(caller) => Ok((Caller::Account(caller), "token")),
            Err(Error::InvalidToken(reason)) => {
                exchange.note(Stage::Authenticate, reason);
                let event = Event::TokenRefused { reason, credential: "token" };
                pipeline.record_critical(exchange, event, Outcome::Denied).await?;
                let problem = Problem::new(ProblemKind::InvalidToken).detail(
                    "It is unknown, expired or ended. Refresh it (POST /auth/refresh) or sign in again.",
                );
                Err(Refusal::at(Stage::Authenticate, problem, reason))
            }
            Err(other) => Err(failed(&other, exchange)),
        }
    } else if let Some(value) = cookies::session(headers) {
        match pipeline.identity.authenticate_cookie_with(value, recall).await {
            Ok(caller) => Ok((Caller::Account(caller), "cookie")),
            Err(Error::InvalidToken(_)) => Ok((Caller::Anonymous, "stale_cookie")),
            Err(other) => Err(failed(&other, exchange)),
        }
    } else {
        Ok((Caller::Anonymous, "anonymous"))
    };
    let (caller, how) = found?;
    exchange.caller = caller;
    exchange.note(Stage::Authenticate, how);
    Ok(Authenticated { routed })
}

/// The bearer token (RFC 6750 §2.1). Other schemes are the upstream's business.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    // What is not text is not a token; it is refused as one, not passed over.
    Some(std::str::from_utf8(token).map_or("", str::trim))
}

/// Not the client's fault: the store is away, or a promise of ours broke.
fn failed(error: &Error, exchange: &Exchange) -> Refusal {
    tracing::error!(request_id = exchange.id_str(), error = %error, "cannot tell who calls");
    Refusal::at(Stage::Authenticate, error.problem(), "authentication_failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_credentials_are_ours() {
        let token = |value: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(token(b"Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token(b"bEARER  abc ").as_deref(), Some("abc"));
        assert_eq!(token(b"Bearer ").as_deref(), Some(""));
        assert_eq!(token(b"Bearer \xff").as_deref(), Some(""));
        assert_eq!(token(b"Basic abc"), None);
        assert_eq!(token(b"Bea"), None);
    }
}
