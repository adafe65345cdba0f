//! Signing in for clients that keep tokens: sign in, refresh, sign out (AUTH-4, AUTH-5).

use axum::Json;
use axum::extract::State;
use base::Secret;
use http::StatusCode;
use identity::{Credentials, RequestMeta, SessionKind, SignIn, TokenPair};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// Who, and the proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// Username or e-mail address. `username` and `email` are read as the same field.
    #[serde(alias = "username", alias = "email")]
    #[schema(max_length = 255)]
    identifier: String,
    #[schema(value_type = String, format = Password, max_length = 128)]
    password: Secret<String>,
    /// What the person calls this device; shown in the list of sessions.
    #[serde(default)]
    #[schema(max_length = 100)]
    session_name: Option<String>,
    /// For whom the access tokens are; the gateway itself unless said otherwise.
    #[serde(default)]
    #[schema(max_length = 255)]
    audience: Option<String>,
    /// The `device_token` of an earlier sign-in on this device, so that strangers' wrong attempts do not make it wait.
    #[serde(default)]
    #[schema(max_length = 128)]
    device_token: Option<String>,
}

/// Tokens, named as in OAuth 2 (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// JWT (RFC 9068) for `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u32,
    /// Opaque. Each use gives the next one and ends this one.
    refresh_token: String,
    /// Seconds until the refresh token ends, if it is not used.
    refresh_expires_in: u32,
    /// The session that both belong to.
    #[schema(format = Uuid)]
    session_id: String,
    /// The mark of this device; keep it, and send it with the next sign-in. Proves nothing by itself. Absent after a
    /// refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
}

/// The password was right; the second factor is awaited (`POST /auth/login/mfa`). Nothing here opens anything.
#[derive(Serialize, ToSchema)]
pub(crate) struct MfaRequired {
    /// Always `mfa_required`.
    status: &'static str,
    /// Always `true`.
    mfa_required: bool,
    /// Opaque; for this client, once, with at most five wrong codes.
    challenge: String,
    /// Seconds until the challenge ends.
    expires_in: u32,
    /// What the account has: `totp`, `passkey`, `recovery_code`.
    methods: Vec<&'static str>,
    /// Codes of apps are not looked at from here any more: too many were wrong. A device that signed in before, a
    /// passkey, a recovery code or (beside a password that did not come by mail) a code by mail still open, and an app
    /// that is set up anew counts again.
    codes_stopped: bool,
    /// `POST /auth/login/mfa/mail` mails a code that stands in for the second factor once.
    code_by_mail: bool,
}

/// Tokens, or the question for the second factor.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LoginAnswer {
    Tokens(Tokens),
    MfaRequired(MfaRequired),
}

impl From<SignIn<TokenPair>> for LoginAnswer {
    fn from(signed_in: SignIn<TokenPair>) -> Self {
        match signed_in {
            SignIn::Done(pair) => Self::Tokens(pair.into()),
            SignIn::SecondFactor(partial) => Self::MfaRequired(MfaRequired {
                status: "mfa_required",
                mfa_required: true,
                challenge: partial.challenge.expose().clone(),
                expires_in: partial.expires_in_s,
                methods: partial.offer.methods.into_iter().map(identity::FactorKind::as_str).collect(),
                codes_stopped: partial.offer.codes_stopped,
                code_by_mail: partial.offer.code_by_mail,
            }),
        }
    }
}

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token.expose().clone(),
            token_type: "Bearer",
            expires_in: pair.expires_in_s,
            refresh_token: pair.refresh_token.expose().clone(),
            refresh_expires_in: pair.refresh_expires_in_s,
            session_id: pair.session.to_string(),
            device_token: pair.device.map(|device| device.expose().clone()),
        }
    }
}

/// Sign in with name and password.
///
/// A wrong password and an unknown name are answered alike, in words and in time. Where the account has a second factor,
/// the answer holds no token but a challenge.
#[utoipa::path(post, path = "/auth/login", operation_id = "login", tag = "session",
    request_body = Login, responses((status = 200, description = "Signed in, or halfway.", body = LoginAnswer)))]
pub(crate) async fn login(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Login>,
) -> Result<Json<LoginAnswer>, Failure> {
    let Login { identifier, password, session_name, audience, device_token } = body;
    let credentials = Credentials { name: identifier, password, session_name, audience };
    let meta = with_device(call.meta(), device_token);
    Ok(Json(api.identity.sign_in(credentials, &meta).await?.into()))
}

/// Programs without a cookie jar give the device's mark in the body.
pub(crate) fn with_device(meta: &RequestMeta, device: Option<String>) -> RequestMeta {
    let mut meta = meta.clone();
    meta.device = device.map(Into::into).or(meta.device);
    meta
}

/// The second factor of a sign-in that is halfway.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginMfa {
    /// The challenge of `POST /auth/login`.
    #[schema(value_type = String, max_length = 256)]
    challenge: Secret<String>,
    /// Six digits of an app, a recovery code, or a code that was mailed.
    #[schema(value_type = String, max_length = 64)]
    code: Secret<String>,
    /// As in `POST /auth/login`.
    #[serde(default)]
    #[schema(max_length = 128)]
    device_token: Option<String>,
}

/// Sign in with the second factor.
///
/// A challenge ends after five minutes or five wrong codes, and counts for the client that began only.
#[utoipa::path(post, path = "/auth/login/mfa", operation_id = "loginMfa", tag = "session",
    request_body = LoginMfa, responses((status = 200, description = "Signed in.", body = Tokens)))]
pub(crate) async fn login_mfa(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<LoginMfa>,
) -> Result<Json<Tokens>, Failure> {
    let LoginMfa { challenge, code, device_token } = body;
    let meta = with_device(call.meta(), device_token);
    Ok(Json(api.identity.sign_in_with_code(challenge.expose(), &code, &meta).await?.into()))
}

/// The challenge of a sign-in whose codes are stopped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailCode {
    /// The challenge of `POST /auth/login`.
    #[schema(value_type = String, max_length = 256)]
    challenge: Secret<String>,
    /// As in `POST /auth/login`.
    #[serde(default)]
    #[schema(max_length = 128)]
    device_token: Option<String>,
}

/// Have a code mailed that stands in for the second factor once.
///
/// Only where `code_by_mail` says so. More than a few within an hour are silently not sent; those that were sent count.
#[utoipa::path(post, path = "/auth/login/mfa/mail", operation_id = "mailMfaCode", tag = "session",
    request_body = MailCode, responses((status = 202, description = "On its way."),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn mail_code(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<MailCode>,
) -> Result<StatusCode, Failure> {
    let MailCode { challenge, device_token } = body;
    let meta = with_device(call.meta(), device_token);
    api.identity.mail_code(SessionKind::Token, challenge.expose(), &meta).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    #[schema(value_type = String, max_length = 256)]
    refresh_token: Secret<String>,
}

/// The next pair of tokens.
///
/// The same token gives the same successor for ten seconds; later it ends the session, because somebody has a copy.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "refresh", tag = "session",
    request_body = Refresh, responses((status = 200, description = "The next pair.", body = Tokens)))]
pub(crate) async fn refresh(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Refresh>,
) -> Result<Json<Tokens>, Failure> {
    Ok(Json(api.identity.refresh(body.refresh_token.expose(), call.meta()).await?.into()))
}

/// Sign out: ends the session at once, here and at the gateway.
#[utoipa::path(post, path = "/auth/logout", operation_id = "logout", tag = "session",
    responses((status = 204, description = "The session has ended.")))]
pub(crate) async fn logout(State(api): State<Api>, call: Call) -> Result<StatusCode, Failure> {
    api.identity.sign_out(call.account()?, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}
