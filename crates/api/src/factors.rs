//! Second factors, and giving factors again (AUTH-6, AUTH-7).

use axum::Json;
use axum::extract::State;
use base::{Id, Secret, kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use identity::{Again, FactorView, Factors};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::{Call, PathId};
use crate::failure::Failure;
use crate::strict;

/// The factors that are given again; at least one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reauthenticate {
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, max_length = 128)]
    password: Option<Secret<String>>,
    /// Six digits of an app, or a recovery code.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 64)]
    code: Option<Secret<String>>,
}

/// Give factors again: for ten minutes the session may change address, password, factors and keys.
///
/// Where the account has a second factor, both are needed, in one request or in two.
#[utoipa::path(post, path = "/auth/reauthenticate", operation_id = "reauthenticate", tag = "factor",
    request_body = Reauthenticate, responses((status = 204, description = "Noted.")))]
pub(crate) async fn reauthenticate(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Reauthenticate>,
) -> Result<StatusCode, Failure> {
    let Reauthenticate { password, code } = body;
    api.identity.reauthenticate(call.account()?, Again { password, code }, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One second factor.
#[derive(Serialize, ToSchema)]
pub(crate) struct Factor {
    #[schema(format = Uuid)]
    id: String,
    /// `totp` or `passkey`.
    kind: &'static str,
    /// What the person calls it.
    name: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// A sign-in asks for a second factor because of it; `false` for a passkey that the browser made by itself.
    demanded: bool,
}

impl From<FactorView> for Factor {
    fn from(view: FactorView) -> Self {
        Self {
            id: view.id.to_string(),
            kind: view.kind.as_str(),
            name: view.name,
            created_at: view.created_at.to_rfc3339(),
            last_used_at: view.last_used_at.map(base::Timestamp::to_rfc3339),
            demanded: view.demanded,
        }
    }
}

/// The caller's second factors.
#[derive(Serialize, ToSchema)]
pub(crate) struct FactorList {
    factors: Vec<Factor>,
    /// Recovery codes that are left.
    recovery_codes_left: u32,
}

/// List the caller's second factors.
#[utoipa::path(get, path = "/auth/mfa/factors", operation_id = "listFactors", tag = "factor",
    responses((status = 200, description = "The factors.", body = FactorList)))]
pub(crate) async fn list(State(api): State<Api>, call: Call) -> Result<Json<FactorList>, Failure> {
    let Factors { factors, recovery_codes } = api.identity.factors(call.account()?).await?;
    Ok(Json(FactorList {
        factors: factors.into_iter().map(Factor::from).collect(),
        recovery_codes_left: recovery_codes,
    }))
}

/// What the factor shall be called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameFactor {
    /// At most 100 characters; `null` takes the name away.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, max_length = 100)]
    name: Option<String>,
}

/// Name one of the caller's second factors.
#[utoipa::path(patch, path = "/auth/mfa/factors/{id}", operation_id = "nameFactor", tag = "factor",
    params(("id" = String, Path, format = Uuid, description = "The factor.")), request_body = RenameFactor,
    responses((status = 204, description = "Named."), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn rename(
    State(api): State<Api>,
    call: Call,
    PathId(factor): PathId<kind::Factor>,
    strict::Json(body): strict::Json<RenameFactor>,
) -> Result<StatusCode, Failure> {
    api.identity.name_factor(call.account()?, factor, body.name.as_deref(), call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether it may be the last one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveQuery {
    /// `true`: remove it even if it is the last second factor.
    #[serde(default, deserialize_with = "strict::from_text")]
    confirm_last: Option<bool>,
}

/// Remove a second factor.
///
/// The last one goes only with `confirm_last=true`, and only if the password is long enough to stand alone.
#[utoipa::path(delete, path = "/auth/mfa/factors/{id}", operation_id = "removeFactor", tag = "factor",
    params(
        ("id" = String, Path, format = Uuid, description = "The factor."),
        ("confirm_last" = Option<bool>, Query, description = "Remove it even if it is the last one.")),
    responses((status = 204, description = "Removed."), (status = 404, response = crate::document::Problem),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn remove(
    State(api): State<Api>,
    call: Call,
    PathId(factor): PathId<kind::Factor>,
    crate::call::Query(query): crate::call::Query<RemoveQuery>,
) -> Result<StatusCode, Failure> {
    let even_last = query.confirm_last == Some(true);
    api.identity.remove_factor(call.account()?, factor, even_last, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An app to be set up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUpTotp {
    /// What the person calls it.
    #[serde(default)]
    #[schema(max_length = 100)]
    name: Option<String>,
}

/// An app that waits for its first right code. The secret is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct TotpSetup {
    #[schema(format = Uuid)]
    factor_id: String,
    /// 160 bits in base32, for typing.
    secret: String,
    /// `otpauth://totp/…`, for apps.
    otpauth_url: String,
    /// A QR code of the URL: an SVG document.
    qr_svg: String,
    /// The same as a PNG image, in base64.
    qr_png_base64: String,
    /// When it must have been confirmed.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Prepare an authenticator app. It counts for nothing before it is confirmed.
#[utoipa::path(post, path = "/auth/mfa/totp/setup", operation_id = "setUpTotp", tag = "factor",
    request_body = SetUpTotp, responses(
        (status = 201, description = "Show it to the app, then confirm.", body = TotpSetup),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn totp_setup(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<SetUpTotp>,
) -> Result<(StatusCode, Json<TotpSetup>), Failure> {
    let setup = api.identity.setup_totp(call.account()?, body.name.as_deref(), call.meta()).await?;
    let answer = TotpSetup {
        factor_id: setup.factor.to_string(),
        secret: setup.secret.expose().clone(),
        otpauth_url: setup.url.expose().clone(),
        qr_svg: setup.qr_svg()?,
        qr_png_base64: STANDARD.encode(setup.qr_png()?),
        expires_at: setup.expires_at.to_rfc3339(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// A first code of the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmTotp {
    #[schema(value_type = String, format = Uuid)]
    factor_id: Id<kind::Factor>,
    /// Six digits.
    #[schema(value_type = String, max_length = 16)]
    code: Secret<String>,
}

/// The app counts from now on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Confirmed {
    /// With the first second factor of an account: ten codes for the day when the app is gone. Shown here and never
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
}

/// Confirm an app by a code that it shows.
#[utoipa::path(post, path = "/auth/mfa/totp/confirm", operation_id = "confirmTotp", tag = "factor",
    request_body = ConfirmTotp, responses((status = 200, description = "It counts.", body = Confirmed),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn totp_confirm(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<ConfirmTotp>,
) -> Result<Json<Confirmed>, Failure> {
    let ConfirmTotp { factor_id, code } = body;
    let codes = api.identity.confirm_totp(call.account()?, factor_id, &code, call.meta()).await?;
    Ok(Json(Confirmed { recovery_codes: codes.map(|codes| shown(&codes)) }))
}

/// Which app shall go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisableTotp {
    #[schema(value_type = String, format = Uuid)]
    factor_id: Id<kind::Factor>,
    /// Remove it even if it is the last second factor.
    #[serde(default)]
    confirm_last: bool,
}

/// Remove an authenticator app; the same as `DELETE /auth/mfa/factors/{id}`.
#[utoipa::path(post, path = "/auth/mfa/totp/disable", operation_id = "disableTotp", tag = "factor",
    request_body = DisableTotp, responses((status = 204, description = "Removed."),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn totp_disable(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<DisableTotp>,
) -> Result<StatusCode, Failure> {
    api.identity.remove_factor(call.account()?, body.factor_id, body.confirm_last, call.meta()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ten new codes. Shown here and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Make new recovery codes; the old ones end.
#[utoipa::path(post, path = "/auth/mfa/recovery-codes", operation_id = "newRecoveryCodes", tag = "factor",
    responses((status = 201, description = "The codes.", body = RecoveryCodes),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn recovery_codes(
    State(api): State<Api>,
    call: Call,
) -> Result<(StatusCode, Json<RecoveryCodes>), Failure> {
    let codes = api.identity.new_recovery_codes(call.account()?, call.meta()).await?;
    Ok((StatusCode::CREATED, Json(RecoveryCodes { recovery_codes: shown(&codes) })))
}

fn shown(codes: &[Secret<String>]) -> Vec<String> {
    codes.iter().map(|code| code.expose().clone()).collect()
}
