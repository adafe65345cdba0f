//! HTML pages for the artist (`/account`) and the operator (`/console`).
//!
//! Thin: a handler takes the proof that the pipeline left on the request, calls the capability, and renders
//! a typed page. Pages work without scripts and with the keyboard; the one script only keeps the live list fresh.
//!
//! What this crate refuses to do: it decides nothing about rights (it asks `access` for permits), stores
//! nothing, and loads nothing from elsewhere.

mod account;
mod accounts;
mod activity;
mod assets;
mod closing;
mod event;
mod events;
mod form;
mod live;
mod log;
mod mail;
mod notice;
mod page;
mod passkey;
mod policies;
mod provider;
mod recovery;
mod security;
mod shares;
mod sharing;
mod sign_in;
mod sign_up;
mod teams;
mod view;
mod visit;
mod words;
mod works;

use access::{Access, Policies, Relations};
use audit::Audit;
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use base::{Clock, Entropy};
use guard::{Endpoint, RateClass};
use http::Method;
use identity::Identity;
use keys::Keys;
use sinks::Sinks;

pub use page::problem_page;

/// Where a browser that is not signed in is sent.
pub const SIGN_IN_PAGE: &str = "/account/sign-in";

/// What the pages work with.
#[derive(Clone)]
pub struct Console {
    /// Accounts and sessions.
    pub identity: Identity,
    /// The audit trail.
    pub audit: Audit,
    /// Who takes events away; `None` if nobody does.
    pub sinks: Option<Sinks>,
    /// Policies.
    pub access: Access,
    /// Puts other policies in force.
    pub policies: Policies,
    /// Who owns and shares what.
    pub relations: Relations,
    /// For the key that form tokens are made with.
    pub keys: Keys,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
}

/// Every page and form, for the guard's route table. A path that is not listed here does not exist.
pub fn endpoints() -> Vec<Endpoint> {
    let get = |path, access| Endpoint::page(Method::GET, path, access);
    let post = |path, access| Endpoint::page(Method::POST, path, access);
    let own = "authenticated";
    vec![
        get("/account", own),
        get("/account/sign-up", "public"),
        post("/account/sign-up", "public").rate(RateClass::Registration),
        get("/account/verify", "public"),
        post("/account/verify", "public"),
        get("/account/sign-in", "public"),
        post("/account/sign-in", "public").rate(RateClass::SignIn),
        get("/auth/oauth/{provider}/start", "public").rate(RateClass::SignIn),
        get("/auth/oauth/{provider}/callback", "public").rate(RateClass::SignIn),
        get("/account/providers", own),
        post("/account/providers/{id}/unlink", own),
        post("/account/sign-in/second", "public").rate(RateClass::SignIn),
        // A message goes out.
        post("/account/sign-in/code", "public").rate(RateClass::Registration),
        post("/account/sign-out", own),
        post("/account/language", "public"),
        // Every view of the sign-in page begins one; only an answer is an attempt.
        post("/account/passkeys/start", "public").rate(RateClass::Standard),
        post("/account/passkeys/sign-in", "public").rate(RateClass::SignIn),
        post("/account/security/passkeys/start", own),
        post("/account/security/passkeys", own),
        post("/account/passkeys/upgrade/start", own),
        post("/account/passkeys/upgrade", own),
        post("/account/confirm/passkey/start", own),
        post("/account/confirm/passkey", own).rate(RateClass::SignIn),
        get("/account/security", own),
        get("/account/confirm", own),
        post("/account/confirm", own).rate(RateClass::SignIn),
        post("/account/security/totp", own),
        post("/account/security/totp/confirm", own).rate(RateClass::SignIn),
        post("/account/security/recovery-codes", own),
        post("/account/security/factors/{id}/name", own),
        post("/account/security/factors/{id}/remove", own),
        post("/account/security/api-keys", own),
        post("/account/security/api-keys/{id}/rotate", own),
        post("/account/security/api-keys/{id}/revoke", own),
        get("/account/security/email", own),
        post("/account/security/email", own).rate(RateClass::Registration),
        get("/account/close", own),
        post("/account/close", own).rate(RateClass::Registration),
        get("/account/reopen", "public"),
        post("/account/reopen", "public").rate(RateClass::SignIn),
        get("/account/email", "public"),
        post("/account/email", "public").rate(RateClass::SignIn),
        get("/account/sign-in-notice", "public"),
        post("/account/sign-in-notice", "public").rate(RateClass::SignIn),
        get("/account/activity", own),
        get("/account/activity/export", own).anew(),
        get("/account/works", own),
        post("/account/works", own),
        get("/account/works/proof", own).anew(),
        get("/account/forgot", "public"),
        post("/account/forgot", "public").rate(RateClass::Registration),
        get("/account/reset", "public"),
        post("/account/reset", "public").rate(RateClass::SignIn),
        get("/account/password", own),
        post("/account/password", own).rate(RateClass::SignIn),
        get("/account/setup", "public"),
        post("/account/setup", "public").rate(RateClass::SignIn),
        post("/account/sessions/revoke-others", own),
        post("/account/sessions/{id}/revoke", own),
        post("/account/sessions/{id}/name", own),
        get("/account/sharing", own),
        get("/account/sharing/{type}/{id}", own),
        // It sends mail.
        post("/account/sharing/{type}/{id}/offer", own).rate(RateClass::Registration),
        post("/account/sharing/{type}/{id}/share", own),
        post("/account/sharing/{type}/{id}/revoke", own),
        post("/account/sharing/{type}/{id}/withdraw", own),
        post("/account/sharing/{type}/{id}/links", own),
        post("/account/sharing/{type}/{id}/links/revoke", own),
        post("/account/sharing/{type}/{id}/transfer", own),
        get("/account/teams", own),
        post("/account/teams", own),
        get("/account/teams/{id}", own),
        post("/account/teams/{id}/add", own),
        post("/account/teams/{id}/take-out", own),
        post("/account/teams/{id}/leave", own),
        post("/account/teams/{id}/remove", own),
        post("/account/offers/{id}/accept", own),
        post("/account/offers/{id}/decline", own),
        get("/account/join", own),
        post("/account/join", own),
        get("/account/assets/{file}", "public"),
        get("/console", "system:logs"),
        get("/console/assets/{file}", "public"),
        get("/console/events", "system:logs"),
        get("/console/events/stream", "system:logs"),
        get("/console/events/{id}", "system:logs"),
        get("/console/events/{id}/proof", "system:logs"),
        post("/console/events/{id}/verify", "system:logs"),
        get("/console/log", "system:logs"),
        post("/console/log/verify", "system:logs"),
        get("/console/accounts", "user:read"),
        get("/console/accounts/{id}", "user:read"),
        post("/console/accounts/{id}/disable", "user:admin"),
        post("/console/accounts/{id}/enable", "user:admin"),
        post("/console/accounts/{id}/lift", "user:admin"),
        post("/console/accounts/{id}/role", "user:admin"),
        post("/console/accounts/{id}/tier", "user:admin"),
        get("/console/policies", "system:logs"),
        get("/console/policies/{serial}", "system:logs"),
        post("/console/policies/{serial}/activate", "system:config"),
        get("/console/roles", "user:read"),
        get("/console/explain", "system:logs"),
        post("/console/explain", "system:logs"),
        get("/console/mail", "user:admin"),
        get("/console/mail/{id}", "user:admin"),
    ]
}

/// The pages behind those endpoints.
pub fn router(console: Console) -> Router {
    Router::new()
        .route("/account", get(account::overview))
        .route("/account/sign-up", get(sign_up::form).post(sign_up::submit))
        .route("/account/verify", get(sign_up::verify_form).post(sign_up::verify))
        .route("/account/setup", get(sign_up::setup_form).post(sign_up::setup))
        .route("/account/sign-in", get(sign_in::form).post(sign_in::submit))
        .route("/auth/oauth/{provider}/start", get(provider::start))
        .route("/auth/oauth/{provider}/callback", get(provider::callback))
        .route("/account/providers", get(provider::list))
        .route("/account/providers/{id}/unlink", post(provider::unlink))
        .route("/account/sign-in/second", post(sign_in::second))
        .route("/account/sign-in/code", post(sign_in::mail_code))
        .route("/account/passkeys/start", post(passkey::start))
        .route("/account/passkeys/sign-in", post(passkey::sign_in))
        .route("/account/security/passkeys/start", post(passkey::register_start))
        .route("/account/security/passkeys", post(passkey::register))
        .route("/account/passkeys/upgrade/start", post(passkey::upgrade_start))
        .route("/account/passkeys/upgrade", post(passkey::upgrade))
        .route("/account/confirm/passkey/start", post(passkey::again_start))
        .route("/account/confirm/passkey", post(passkey::again))
        .route("/account/security", get(security::overview))
        .route("/account/confirm", get(security::again_form).post(security::again))
        .route("/account/security/totp", post(security::totp))
        .route("/account/security/totp/confirm", post(security::totp_confirm))
        .route("/account/security/recovery-codes", post(security::recovery_codes))
        .route("/account/security/factors/{id}/name", post(security::name_factor))
        .route("/account/security/factors/{id}/remove", post(security::remove_factor))
        .route("/account/security/api-keys", post(security::create_key))
        .route("/account/security/api-keys/{id}/rotate", post(security::rotate_key))
        .route("/account/security/api-keys/{id}/revoke", post(security::revoke_key))
        .route("/account/security/email", get(security::email_form).post(security::email))
        .route("/account/close", get(closing::form).post(closing::close))
        .route("/account/reopen", get(closing::reopen_form).post(closing::reopen))
        .route("/account/email", get(security::email_link).post(security::email_confirm))
        .route("/account/language", post(sign_in::language))
        .route("/account/sign-out", post(sign_in::sign_out))
        .route("/account/sign-in-notice", get(notice::form).post(notice::answer))
        .route("/account/activity", get(activity::page))
        .route("/account/activity/export", get(activity::export))
        .route("/account/works", get(works::page).post(works::attest))
        .route("/account/works/proof", get(works::proof))
        .route("/account/forgot", get(recovery::forgot_form).post(recovery::forgot))
        .route("/account/reset", get(recovery::reset_form).post(recovery::reset))
        .route("/account/password", get(recovery::change_form).post(recovery::change))
        .route("/account/sessions/revoke-others", post(account::revoke_others))
        .route("/account/sessions/{id}/revoke", post(account::revoke))
        .route("/account/sessions/{id}/name", post(account::name))
        .route("/account/sharing", get(sharing::list))
        .route("/account/sharing/{type}/{id}", get(shares::show))
        .route("/account/sharing/{type}/{id}/offer", post(shares::offer))
        .route("/account/sharing/{type}/{id}/share", post(shares::share))
        .route("/account/sharing/{type}/{id}/revoke", post(shares::revoke))
        .route("/account/sharing/{type}/{id}/withdraw", post(shares::withdraw))
        .route("/account/sharing/{type}/{id}/links", post(shares::make_link))
        .route("/account/sharing/{type}/{id}/links/revoke", post(shares::revoke_link))
        .route("/account/sharing/{type}/{id}/transfer", post(shares::transfer))
        .route("/account/teams", get(teams::list).post(teams::make))
        .route("/account/teams/{id}", get(teams::show))
        .route("/account/teams/{id}/add", post(teams::add))
        .route("/account/teams/{id}/take-out", post(teams::take_out))
        .route("/account/teams/{id}/leave", post(teams::leave))
        .route("/account/teams/{id}/remove", post(teams::remove))
        .route("/account/offers/{id}/accept", post(sharing::accept))
        .route("/account/offers/{id}/decline", post(sharing::decline))
        .route("/account/join", get(sharing::join_form).post(sharing::join))
        .route("/account/assets/{file}", get(assets::file))
        .route("/console/assets/{file}", get(assets::file))
        .route("/console", get(live::page))
        .route("/console/events", get(events::page))
        .route("/console/events/stream", get(live::stream))
        .route("/console/events/{id}", get(event::page))
        .route("/console/events/{id}/proof", get(event::proof))
        .route("/console/events/{id}/verify", post(event::verify))
        .route("/console/log", get(log::page))
        .route("/console/log/verify", post(log::verify))
        .route("/console/accounts", get(accounts::list))
        .route("/console/accounts/{id}", get(accounts::show))
        .route("/console/accounts/{id}/disable", post(accounts::disable))
        .route("/console/accounts/{id}/enable", post(accounts::enable))
        .route("/console/accounts/{id}/lift", post(accounts::lift))
        .route("/console/accounts/{id}/role", post(accounts::role))
        .route("/console/accounts/{id}/tier", post(accounts::tier))
        .route("/console/policies", get(policies::list))
        .route("/console/policies/{serial}", get(policies::show))
        .route("/console/policies/{serial}/activate", post(policies::activate))
        .route("/console/roles", get(policies::roles))
        .route("/console/explain", get(policies::explain_form).post(policies::explain))
        .route("/console/mail", get(mail::list))
        .route("/console/mail/{id}", get(mail::show))
        .layer(from_fn(page::speak))
        .with_state(console)
}
