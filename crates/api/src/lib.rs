//! JSON routes and the OpenAPI document.
//!
//! Thin: a handler takes the proof that the pipeline left on the request, calls the capability, and shapes the answer.
//! Bodies and queries are read strictly; every failure is a problem document (RFC 9457).
//!
//! What this crate refuses to do: it decides nothing about rights (it asks `access` for permits), stores nothing, sets
//! no cookie, and serves nothing that is not in [`endpoints`].

mod access_check;
mod accounts_own;
mod call;
mod discovery;
mod document;
mod events;
mod failure;
mod operators;
mod password;
mod sessions;
mod strict;
mod tokens;
mod words;

use access::Access;
use audit::Audit;
use axum::Router;
use axum::body::Bytes;
use axum::middleware::from_fn;
use axum::routing::get;
use base::Clock;
use guard::{Endpoint, RateClass};
use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use identity::Identity;
use keys::Keys;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The largest body that any route here takes.
const MAX_BODY: usize = guard::OWN_BODY as usize;

/// What the routes work with.
#[derive(Clone)]
pub struct Api {
    /// Accounts and sessions.
    pub identity: Identity,
    /// The audit trail.
    pub audit: Audit,
    /// Policies.
    pub access: Access,
    /// For the published key set.
    pub keys: Keys,
    /// Time.
    pub clock: Clock,
}

/// Every route, for the guard's route table. A path that is not listed here does not exist.
pub fn endpoints() -> Vec<Endpoint> {
    let get = |path, access| Endpoint::api(Method::GET, path, access);
    let post = |path, access| Endpoint::api(Method::POST, path, access);
    let patch = |path, access| Endpoint::api(Method::PATCH, path, access);
    let delete = |path, access| Endpoint::api(Method::DELETE, path, access);
    let (open, own) = ("public", "authenticated");
    vec![
        post("/auth/register", open).rate(RateClass::Registration),
        post("/auth/verify-email", open).rate(RateClass::SignIn),
        post("/auth/login", open).rate(RateClass::SignIn),
        post("/auth/refresh", open),
        post("/auth/logout", own),
        // A message goes out, as with a registration.
        post("/auth/password/forgot", open).rate(RateClass::Registration),
        post("/auth/password/reset", open).rate(RateClass::SignIn),
        // A password is tried, as with a sign-in.
        post("/auth/password/change", own).rate(RateClass::SignIn),
        get("/auth/profile", own),
        get("/auth/sessions", own),
        delete("/auth/sessions", own),
        patch("/auth/sessions/{id}", own),
        delete("/auth/sessions/{id}", own),
        get("/.well-known/jwks.json", open),
        get("/.well-known/openid-configuration", open),
        get("/.well-known/oauth-authorization-server", open),
        get(DOCUMENT, open),
        get("/v1/audit/events", "system:logs"),
        post("/v1/access/check", own),
        get("/v1/accounts", "user:read"),
        get("/v1/accounts/{id}", "user:read"),
        patch("/v1/accounts/{id}", "user:admin"),
    ]
}

const DOCUMENT: &str = "/v1/openapi.json";

/// The handlers behind those endpoints. Requests must come through the pipeline, which leaves its proof on them.
pub fn router(api: Api) -> Router {
    let public_url = api.identity.settings().public_url.clone();
    let (router, document) = collected().split_for_parts();
    let document = document::finish(&document, &endpoints(), &public_url);
    let document = Bytes::from(document.to_string());
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    router
        .route(DOCUMENT, get(move || async move { (headers, document) }))
        .layer(from_fn(failure::finish))
        .with_state(api)
}

/// The document itself stands in it by hand: it cannot be made before it is made.
fn collected() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::Base::openapi())
        .routes(routes!(accounts_own::register))
        .routes(routes!(accounts_own::verify_email))
        .routes(routes!(accounts_own::profile))
        .routes(routes!(tokens::login))
        .routes(routes!(tokens::refresh))
        .routes(routes!(tokens::logout))
        .routes(routes!(password::forgot))
        .routes(routes!(password::reset))
        .routes(routes!(password::change))
        .routes(routes!(sessions::list, sessions::revoke_others))
        .routes(routes!(sessions::name, sessions::revoke))
        .routes(routes!(discovery::jwks))
        .routes(routes!(discovery::openid))
        .routes(routes!(discovery::oauth))
        .routes(routes!(events::search))
        .routes(routes!(access_check::check))
        .routes(routes!(operators::list))
        .routes(routes!(operators::show, operators::change))
}
