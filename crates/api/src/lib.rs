//! JSON routes and the OpenAPI document.
//!
//! Thin: a handler takes the proof that the pipeline left on the request, calls the capability, and shapes the answer.
//! Bodies and queries are read strictly; every failure is a problem document (RFC 9457).
//!
//! What this crate refuses to do: it decides nothing about rights (it asks `access` for permits), stores nothing, sets
//! no cookie, and serves nothing that is not in [`endpoints`].
//!
//! ```no_run
//! # fn example(api: api::Api, mut config: guard::GuardConfig) {
//! config.endpoints.extend(api::endpoints()); // for the pipeline, which lets nothing else through
//! let router = api::router(api); // for whoever answers `Surface::Api`
//! # }
//! ```

mod access_check;
mod access_list;
mod accounts_own;
mod api_keys;
mod break_glass;
mod call;
mod closing;
mod collaboration;
mod discovery;
mod document;
mod email;
mod events;
mod factors;
mod failure;
mod log;
mod offers;
mod operators;
mod passkeys;
mod password;
mod relation;
mod report;
mod resources;
mod sessions;
mod strict;
mod teams;
mod tokens;
mod verification;
mod words;
mod works;

use access::{Access, Relations};
use audit::Audit;
use axum::body::Bytes;
use axum::middleware::from_fn;
use axum::{Extension, Router};
use base::Clock;
use guard::{Endpoint, RateClass};
use http::Method;
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
    /// Who owns and shares what.
    pub relations: Relations,
    /// For the published key set.
    pub keys: Keys,
    /// Time.
    pub clock: Clock,
}

/// Every route, for the guard's route table. A path that is not listed here does not exist.
pub fn endpoints() -> Vec<Endpoint> {
    let get = |path, access| Endpoint::api(Method::GET, path, access);
    let post = |path, access| Endpoint::api(Method::POST, path, access);
    let put = |path, access| Endpoint::api(Method::PUT, path, access);
    let patch = |path, access| Endpoint::api(Method::PATCH, path, access);
    let delete = |path, access| Endpoint::api(Method::DELETE, path, access);
    let (open, own) = ("public", "authenticated");
    vec![
        post("/auth/register", open).rate(RateClass::Registration),
        post("/auth/verify-email", open).rate(RateClass::SignIn),
        post("/auth/setup", open).rate(RateClass::SignIn),
        post("/auth/login", open).rate(RateClass::SignIn),
        post("/auth/login/mfa", open).rate(RateClass::SignIn),
        // A message goes out.
        post("/auth/login/mfa/mail", open).rate(RateClass::Registration),
        post("/auth/reauthenticate", own).rate(RateClass::SignIn),
        post("/auth/refresh", open),
        post("/auth/logout", own),
        // A message goes out, as with a registration.
        post("/auth/password/forgot", open).rate(RateClass::Registration),
        post("/auth/password/reset", open).rate(RateClass::SignIn),
        // A password is tried, as with a sign-in.
        post("/auth/password/change", own).rate(RateClass::SignIn),
        get("/auth/profile", own),
        // A message goes out.
        post("/auth/email/change", own).rate(RateClass::Registration),
        post("/auth/email/confirm", open).rate(RateClass::SignIn),
        post("/auth/account/close", own).rate(RateClass::Registration),
        post("/auth/account/reopen", open).rate(RateClass::SignIn),
        get("/auth/mfa/factors", own),
        patch("/auth/mfa/factors/{id}", own),
        delete("/auth/mfa/factors/{id}", own),
        post("/auth/mfa/totp/setup", own),
        post("/auth/mfa/totp/confirm", own).rate(RateClass::SignIn),
        post("/auth/mfa/totp/disable", own),
        post("/auth/mfa/recovery-codes", own),
        post("/auth/passkeys/register/start", own),
        post("/auth/passkeys/register/finish", own),
        post("/auth/passkeys/upgrade/start", own),
        post("/auth/passkeys/upgrade/finish", own),
        post("/auth/passkeys/login/start", open),
        post("/auth/passkeys/login/finish", open).rate(RateClass::SignIn),
        post("/auth/passkeys/reauthenticate/start", own),
        post("/auth/passkeys/reauthenticate/finish", own).rate(RateClass::SignIn),
        get("/auth/passkeys/signal", own),
        get("/auth/api-keys", own),
        post("/auth/api-keys", own),
        delete("/auth/api-keys/{id}", own),
        post("/auth/api-keys/{id}/rotate", own),
        get("/auth/sessions", own),
        delete("/auth/sessions", own),
        patch("/auth/sessions/{id}", own),
        delete("/auth/sessions/{id}", own),
        get("/.well-known/jwks.json", open),
        get("/.well-known/openid-configuration", open),
        get("/.well-known/oauth-authorization-server", open),
        get("/.well-known/passkey-endpoints", open),
        get("/.well-known/webauthn", open),
        get("/v1/openapi.json", open),
        get("/auth/events", own),
        get("/auth/events/export", own).anew(),
        get("/auth/events/{id}", own),
        get("/auth/events/{id}/proof", own),
        get("/v1/audit/events", "system:logs"),
        get("/v1/audit/events/{id}", "system:logs"),
        get("/v1/audit/events/{id}/proof", "system:logs"),
        get("/v1/audit/export", "system:logs").anew(),
        get("/v1/audit/aggregates", "system:logs"),
        post("/v1/audit/verify", "system:logs"),
        get("/v1/audit/verify", "system:logs"),
        post("/v1/works/attestations", own),
        post("/v1/access/check", own),
        post("/v1/access/list", own),
        get("/v1/resources/{type}/{id}", own),
        put("/v1/resources/{type}/{id}", own),
        delete("/v1/resources/{type}/{id}", own),
        get("/v1/resources/{type}/{id}/shares", own),
        put("/v1/resources/{type}/{id}/shares/{subject}", own),
        delete("/v1/resources/{type}/{id}/shares/{subject}", own),
        post("/v1/resources/{type}/{id}/transfer", own),
        post("/v1/resources/{type}/{id}/break-glass", "user:delete"),
        get("/v1/break-glass", "user:delete"),
        delete("/v1/break-glass/{id}", "user:delete"),
        get("/v1/resources/{type}/{id}/offers", own),
        // A message may go out.
        post("/v1/resources/{type}/{id}/offers", own).rate(RateClass::Registration),
        get("/v1/offers", own),
        post("/v1/offers/{id}/accept", own),
        delete("/v1/offers/{id}", own),
        get("/v1/teams", own),
        post("/v1/teams", own),
        delete("/v1/teams/{id}", own),
        get("/v1/teams/{id}/members", own),
        put("/v1/teams/{id}/members/{member}", own),
        delete("/v1/teams/{id}/members/{member}", own),
        get("/v1/projects/{id}/collaboration-tokens", own),
        post("/v1/projects/{id}/collaboration-tokens", own),
        // A secret is tried, as with a sign-in.
        post("/v1/collaboration-tokens/redeem", own).rate(RateClass::SignIn),
        delete("/v1/collaboration-tokens/{id}", own),
        get("/v1/accounts", "user:read"),
        get("/v1/accounts/{id}", "user:read"),
        patch("/v1/accounts/{id}", "user:admin"),
    ]
}

/// The handlers behind those endpoints. Requests must come through the pipeline, which leaves its proof on them.
pub fn router(api: Api) -> Router {
    let public_url = api.identity.settings().public_url.clone();
    let (router, document) = collected().split_for_parts();
    let document = document::finish(&document, &endpoints(), &public_url);
    let document = document::Document(Bytes::from(document.to_string()));
    let router = router.merge(log::routes());
    router.layer(Extension(document)).layer(from_fn(failure::finish)).with_state(api)
}

/// All handlers. A test holds them against [`endpoints`].
fn collected() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::Base::openapi())
        .routes(routes!(accounts_own::register))
        .routes(routes!(accounts_own::verify_email))
        .routes(routes!(accounts_own::set_up))
        .routes(routes!(accounts_own::profile))
        .routes(routes!(tokens::login))
        .routes(routes!(tokens::login_mfa))
        .routes(routes!(tokens::mail_code))
        .routes(routes!(tokens::refresh))
        .routes(routes!(factors::reauthenticate))
        .routes(routes!(factors::list))
        .routes(routes!(factors::rename, factors::remove))
        .routes(routes!(factors::totp_setup))
        .routes(routes!(factors::totp_confirm))
        .routes(routes!(factors::totp_disable))
        .routes(routes!(factors::recovery_codes))
        .routes(routes!(passkeys::register_start))
        .routes(routes!(passkeys::register_finish))
        .routes(routes!(passkeys::upgrade_start))
        .routes(routes!(passkeys::upgrade_finish))
        .routes(routes!(passkeys::login_start))
        .routes(routes!(passkeys::login_finish))
        .routes(routes!(passkeys::again_start))
        .routes(routes!(passkeys::again_finish))
        .routes(routes!(passkeys::signal))
        .routes(routes!(passkeys::endpoints))
        .routes(routes!(passkeys::related_origins))
        .routes(routes!(email::change))
        .routes(routes!(email::confirm))
        .routes(routes!(closing::close))
        .routes(routes!(closing::reopen))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(api_keys::rotate))
        .routes(routes!(tokens::logout))
        .routes(routes!(password::forgot))
        .routes(routes!(password::reset))
        .routes(routes!(password::change))
        .routes(routes!(sessions::list, sessions::revoke_others))
        .routes(routes!(sessions::name, sessions::revoke))
        .routes(routes!(discovery::jwks))
        .routes(routes!(discovery::openid))
        .routes(routes!(discovery::oauth))
        .routes(routes!(document::show))
        .routes(routes!(events::search))
        .routes(routes!(events::one))
        .routes(routes!(events::proof))
        .routes(routes!(works::attest))
        .routes(routes!(events::search_own))
        .routes(routes!(events::one_own))
        .routes(routes!(events::proof_own))
        .routes(routes!(report::export))
        .routes(routes!(report::export_own))
        .routes(routes!(report::aggregates))
        .routes(routes!(verification::start, verification::show))
        .routes(routes!(access_check::check))
        .routes(routes!(access_list::list))
        .routes(routes!(resources::show, resources::put, resources::forget))
        .routes(routes!(resources::shares))
        .routes(routes!(resources::put_share, resources::delete_share))
        .routes(routes!(resources::transfer))
        .routes(routes!(offers::of_object, offers::make))
        .routes(routes!(offers::to_me))
        .routes(routes!(offers::accept))
        .routes(routes!(offers::end))
        .routes(routes!(break_glass::open))
        .routes(routes!(break_glass::list))
        .routes(routes!(break_glass::close))
        .routes(routes!(teams::list, teams::make))
        .routes(routes!(teams::remove))
        .routes(routes!(teams::members))
        .routes(routes!(teams::join, teams::leave))
        .routes(routes!(collaboration::list, collaboration::make))
        .routes(routes!(collaboration::redeem))
        .routes(routes!(collaboration::revoke))
        .routes(routes!(operators::list))
        .routes(routes!(operators::show, operators::change))
}

/// The log's files, for the guard's route table beside [`endpoints`]. Their form is C2SP's (tlog-tiles), not JSON, so
/// they are not part of the OpenAPI document.
pub fn log_endpoints() -> Vec<Endpoint> {
    log::endpoints()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn document() -> Value {
        let (_, document) = collected().split_for_parts();
        document::finish(&document, &endpoints(), "https://music.example")
    }

    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().expect("paths");
        let of_path = |(path, item): (&String, &Value)| {
            let operations = item.as_object().expect("an object").iter();
            operations
                .map(|(method, op)| (method.to_uppercase(), path.clone(), op.clone()))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    #[test]
    fn handlers_document_and_route_table_agree() {
        let document = document();
        let documented: BTreeSet<(String, String)> =
            operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
        let listed: BTreeSet<(String, String)> =
            endpoints().iter().map(|e| (e.method.to_string(), e.path.to_owned())).collect();
        assert_eq!(documented, listed);
        assert_eq!(endpoints().len(), listed.len(), "an endpoint is listed twice");
    }

    #[test]
    fn every_operation_says_how_to_get_in_and_what_can_go_wrong() {
        let document = document();
        let mut names = BTreeSet::new();
        for (method, path, operation) in operations(&document) {
            let place = format!("{method} {path}");
            assert!(names.insert(operation["operationId"].as_str().expect("a name").to_owned()), "{place}");
            assert!(operation["security"].is_array(), "{place}");
            let responses = operation["responses"].as_object().expect("responses");
            for (status, response) in responses {
                let problem = response["$ref"] == "#/components/responses/Problem";
                assert_eq!(problem, status.as_str() >= "400", "{place} {status}: {response}");
            }
            assert!(responses.contains_key("429") && responses.contains_key("500"), "{place}");
            assert_eq!(operation.get("requestBody").is_some(), responses.contains_key("415"), "{place}");
        }
        let secured = &document["paths"]["/v1/accounts/{id}"]["patch"];
        assert_eq!(secured["x-required-action"], "user:admin");
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            if let Some(target) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
            }
            match value {
                Value::Object(fields) => fields.values().for_each(|inner| walk(inner, document)),
                Value::Array(items) => items.iter().for_each(|inner| walk(inner, document)),
                _ => {}
            }
        }
        let document = document();
        walk(&document, &document);
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    }

    #[test]
    fn words_of_the_document_are_those_of_the_types() {
        let document = document();
        let words = |name: &str| {
            let words = document["components"]["schemas"][name]["enum"].as_array().expect("an enumeration");
            words.iter().map(|word| word.as_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(words("Role"), access::Role::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>());
        assert_eq!(words("Tier"), access::Tier::ALL.iter().map(|t| t.as_str()).collect::<Vec<_>>());
        assert_eq!(words("AccountStatus"), ["pending", "active", "disabled"]);
        assert_eq!(words("Outcome"), ["success", "failure", "denied"]);
    }
}
