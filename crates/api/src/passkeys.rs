//! Passkeys (AUTH-8): a question for the browser, and its answer. Both are in WebAuthn's own JSON forms, as
//! `PublicKeyCredential.parseCreationOptionsFromJSON` and `toJSON` have them.

use axum::Json;
use axum::extract::State;
use http::{StatusCode, header};
use identity::{PasskeyPurpose, PasskeyQuestion, SessionKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;
use crate::tokens::{LoginAnswer, with_device};

/// What to ask the browser.
#[derive(Serialize, ToSchema)]
pub(crate) struct Question {
    /// Opaque; goes back with the answer. Once.
    ceremony: String,
    /// Argument of `navigator.credentials.create` or `get`.
    #[schema(value_type = Object)]
    options: Value,
    /// Seconds until the ceremony ends.
    expires_in: u32,
}

impl From<PasskeyQuestion> for Question {
    fn from(question: PasskeyQuestion) -> Self {
        Self {
            ceremony: question.ceremony.expose().clone(),
            options: question.options,
            expires_in: question.expires_in_s,
        }
    }
}

/// Begin to register a passkey. The session must have given its factors within ten minutes.
#[utoipa::path(post, path = "/auth/passkeys/register/start", operation_id = "startPasskeyRegistration", tag = "passkey",
    responses((status = 200, description = "What to ask the browser.", body = Question)))]
pub(crate) async fn register_start(State(api): State<Api>, call: Call) -> Result<Json<Question>, Failure> {
    Ok(Json(api.identity.passkey_register_start(call.account()?).await?.into()))
}

/// The browser's answer to a registration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registered {
    #[schema(max_length = 64)]
    ceremony: String,
    /// `RegistrationResponseJSON` of WebAuthn Level 3.
    #[schema(value_type = Object)]
    credential: Value,
    /// What the person calls it.
    #[serde(default)]
    #[schema(max_length = 100)]
    name: Option<String>,
}

/// A passkey that was registered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passkey {
    #[schema(format = Uuid)]
    id: String,
    /// With the first factor of the account: ten recovery codes, shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
}

/// Finish the registration of a passkey.
#[utoipa::path(post, path = "/auth/passkeys/register/finish", operation_id = "finishPasskeyRegistration", tag = "passkey",
    request_body = Registered, responses((status = 201, description = "Registered.", body = Passkey),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn register_finish(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Registered>,
) -> Result<(StatusCode, Json<Passkey>), Failure> {
    let Registered { ceremony, credential, name } = body;
    let new = api
        .identity
        .passkey_register_finish(call.account()?, &ceremony, &credential, name.as_deref(), call.meta())
        .await?;
    let recovery_codes =
        new.recovery_codes.map(|codes| codes.iter().map(|code| code.expose().clone()).collect());
    Ok((StatusCode::CREATED, Json(Passkey { id: new.factor.to_string(), recovery_codes })))
}

/// Begin a passkey that the client makes without asking (`mediation: conditional`; automatic passkey upgrades).
///
/// Only in a session that began with a password within five minutes and gave all the account's factors. Whether the
/// client makes one is its own business. Nobody is asked for such a passkey, and a reset of the password ends it.
#[utoipa::path(post, path = "/auth/passkeys/upgrade/start", operation_id = "startPasskeyUpgrade", tag = "passkey",
    responses((status = 200, description = "What to ask the browser.", body = Question),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn upgrade_start(State(api): State<Api>, call: Call) -> Result<Json<Question>, Failure> {
    Ok(Json(api.identity.passkey_upgrade_start(call.account()?).await?.into()))
}

/// The client's answer to an upgrade.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upgraded {
    #[schema(max_length = 64)]
    ceremony: String,
    /// `RegistrationResponseJSON` of WebAuthn Level 3.
    #[schema(value_type = Object)]
    credential: Value,
}

/// Finish the passkey that the client made without asking.
#[utoipa::path(post, path = "/auth/passkeys/upgrade/finish", operation_id = "finishPasskeyUpgrade", tag = "passkey",
    request_body = Upgraded, responses((status = 201, description = "Registered.", body = Passkey),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn upgrade_finish(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Upgraded>,
) -> Result<(StatusCode, Json<Passkey>), Failure> {
    let Upgraded { ceremony, credential } = body;
    let factor =
        api.identity.passkey_upgrade_finish(call.account()?, &ceremony, &credential, call.meta()).await?;
    Ok((StatusCode::CREATED, Json(Passkey { id: factor.to_string(), recovery_codes: None })))
}

/// Whose passkey is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    /// The challenge of a half sign-in whose second factor the passkey shall be; absent: whoever comes.
    #[serde(default)]
    #[schema(max_length = 64)]
    challenge: Option<String>,
}

/// Begin to sign in with a passkey, alone (discoverable) or as the second factor.
#[utoipa::path(post, path = "/auth/passkeys/login/start", operation_id = "startPasskeyLogin", tag = "passkey",
    request_body = Begin, responses((status = 200, description = "What to ask the browser.", body = Question)))]
pub(crate) async fn login_start(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Begin>,
) -> Result<Json<Question>, Failure> {
    let purpose = match &body.challenge {
        None => PasskeyPurpose::Anybody,
        Some(challenge) => PasskeyPurpose::Second { challenge, kind: SessionKind::Token },
    };
    Ok(Json(api.identity.passkey_start(purpose, call.meta()).await?.into()))
}

/// The browser's answer to a sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asserted {
    #[schema(max_length = 64)]
    ceremony: String,
    /// `AuthenticationResponseJSON` of WebAuthn Level 3.
    #[schema(value_type = Object)]
    credential: Value,
    /// As at `/auth/login`.
    #[serde(default)]
    #[schema(max_length = 60)]
    session_name: Option<String>,
    /// As at `/auth/login`.
    #[serde(default)]
    #[schema(max_length = 255)]
    audience: Option<String>,
    /// As at `/auth/login`.
    #[serde(default)]
    #[schema(max_length = 128)]
    device_token: Option<String>,
}

/// Finish a sign-in with a passkey.
#[utoipa::path(post, path = "/auth/passkeys/login/finish", operation_id = "finishPasskeyLogin", tag = "passkey",
    request_body = Asserted, responses((status = 200, description = "Signed in.", body = LoginAnswer)))]
pub(crate) async fn login_finish(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Asserted>,
) -> Result<Json<LoginAnswer>, Failure> {
    let Asserted { ceremony, credential, session_name, audience, device_token } = body;
    let meta = with_device(call.meta(), device_token);
    let done = api
        .identity
        .passkey_sign_in(&ceremony, &credential, audience.as_deref(), session_name.as_deref(), &meta)
        .await?;
    Ok(Json(done.into()))
}

/// Begin to give a passkey again in one's own session.
#[utoipa::path(post, path = "/auth/passkeys/reauthenticate/start", operation_id = "startPasskeyAgain", tag = "passkey",
    responses((status = 200, description = "What to ask the browser.", body = Question),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn again_start(State(api): State<Api>, call: Call) -> Result<Json<Question>, Failure> {
    let purpose = PasskeyPurpose::Again(call.account()?);
    Ok(Json(api.identity.passkey_start(purpose, call.meta()).await?.into()))
}

/// The browser's answer to giving a passkey again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenAgain {
    #[schema(max_length = 64)]
    ceremony: String,
    /// `AuthenticationResponseJSON` of WebAuthn Level 3.
    #[schema(value_type = Object)]
    credential: Value,
}

/// Give a passkey again: it stands for all factors, for ten minutes.
#[utoipa::path(post, path = "/auth/passkeys/reauthenticate/finish", operation_id = "finishPasskeyAgain", tag = "passkey",
    request_body = GivenAgain, responses((status = 204, description = "Noted.")))]
pub(crate) async fn again_finish(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<GivenAgain>,
) -> Result<StatusCode, Failure> {
    api.identity.passkey_again(call.account()?, &body.ceremony, &body.credential, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which of the caller's passkeys still count.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signal {
    /// Relying party id.
    rp_id: String,
    /// The user handle, base64url.
    user_id: String,
    /// Credential ids, base64url.
    all_accepted_credential_ids: Vec<String>,
    /// The name as authenticators show it.
    name: String,
    /// The name as authenticators show it.
    display_name: String,
}

/// What `PublicKeyCredential.signalAllAcceptedCredentials` and `signalCurrentUserDetails` take, so that authenticators
/// forget passkeys that were removed here.
#[utoipa::path(get, path = "/auth/passkeys/signal", operation_id = "passkeySignal", tag = "passkey",
    responses((status = 200, description = "The caller's passkeys.", body = Signal)))]
pub(crate) async fn signal(State(api): State<Api>, call: Call) -> Result<Json<Signal>, Failure> {
    let signal = api.identity.passkey_signal(call.account()?).await?;
    Ok(Json(Signal {
        rp_id: signal.rp_id,
        user_id: signal.user_id,
        all_accepted_credential_ids: signal.credential_ids,
        display_name: signal.name.clone(),
        name: signal.name,
    }))
}

/// Where passkeys are added and managed (W3C passkey endpoints).
#[derive(Serialize, ToSchema)]
pub(crate) struct Endpoints {
    enroll: String,
    manage: String,
}

/// Where password managers send people to add or manage a passkey.
#[utoipa::path(get, path = "/.well-known/passkey-endpoints", operation_id = "passkeyEndpoints", tag = "discovery",
    security(()), responses((status = 200, description = "The addresses.", body = Endpoints)))]
pub(crate) async fn endpoints(State(api): State<Api>) -> Json<Endpoints> {
    let page = format!("{}/account/security", api.identity.settings().public_url);
    Json(Endpoints { enroll: page.clone(), manage: page })
}

/// Further origins at which these passkeys may be used (WebAuthn related origins).
#[derive(Serialize, ToSchema)]
pub(crate) struct RelatedOrigins {
    origins: Vec<String>,
}

/// Which other origins may use these passkeys.
#[utoipa::path(get, path = "/.well-known/webauthn", operation_id = "relatedOrigins", tag = "discovery",
    security(()), responses((status = 200, description = "The origins.", body = RelatedOrigins)))]
pub(crate) async fn related_origins(
    State(api): State<Api>,
) -> ([(header::HeaderName, &'static str); 1], Json<RelatedOrigins>) {
    let settings = api.identity.settings();
    let mut origins = vec![settings.public_url.clone()];
    origins.extend(settings.passkey_related_origins.iter().cloned());
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(RelatedOrigins { origins }))
}
