//! The security page: second factors, recovery codes, API keys, the address, and giving factors again.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Id, Secret, kind};
use http::StatusCode;
use identity::{Again, Error, FactorKind, NewApiKey, TotpSetup, WaysAgain};
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, MessagePage, go, render, render_again};
use crate::recovery::{ConfirmPage, LinkCode};
use crate::sign_in::safe;
use crate::view::filters;
use crate::visit::Visit;

const DAY_MS: i64 = 86_400_000;

#[derive(Template)]
#[template(path = "security.html")]
struct SecurityPage<'a> {
    frame: Frame,
    factors: Vec<FactorRow>,
    recovery_codes: u32,
    /// Too many codes of the app were wrong somewhere.
    stopped: bool,
    /// Some factor is asked for at sign-in.
    demanded: bool,
    keys: Vec<KeyRow>,
    key_name: &'a str,
    key_scopes: &'a str,
    key_networks: &'a str,
    key_days: &'a str,
    errors: Errors,
}

struct FactorRow {
    id: String,
    kind: &'static str,
    name: String,
    created_at: String,
    last_used_at: String,
    demanded: bool,
}

struct KeyRow {
    id: String,
    hint: String,
    name: String,
    scopes: String,
    networks: String,
    expires_at: String,
    last_used_at: String,
    replaced: bool,
}

#[derive(Template)]
#[template(path = "again.html")]
struct AgainPage<'a> {
    frame: Frame,
    next: &'a str,
    ways: WaysAgain,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "totp.html")]
struct TotpPage<'a> {
    frame: Frame,
    factor: String,
    qr: &'a str,
    secret: String,
    url: &'a str,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "totp_again.html")]
struct TotpAgainPage<'a> {
    frame: Frame,
    factor: &'a str,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "shown_once.html")]
struct ShownOncePage<'a> {
    frame: Frame,
    heading: &'a str,
    lead: &'a str,
    values: &'a [String],
}

#[derive(Template)]
#[template(path = "last_factor.html")]
struct LastFactorPage<'a> {
    frame: Frame,
    factor: &'a str,
}

/// GET /account/security
pub(crate) async fn overview(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let page = security_page(&console, &visit).await?;
    Ok(render(&visit, StatusCode::OK, &page))
}

async fn security_page<'a>(console: &Console, visit: &Visit) -> Result<SecurityPage<'a>, Failure> {
    let caller = visit.account()?;
    let factors = console.identity.factors(caller).await?;
    let keys = console.identity.api_keys(caller).await?;
    let demanded = factors.factors.iter().any(|factor| factor.demanded);
    let time = |at: Option<base::Timestamp>| at.map(base::Timestamp::to_rfc3339).unwrap_or_default();
    Ok(SecurityPage {
        frame: visit.frame(console, "security"),
        factors: factors
            .factors
            .into_iter()
            .map(|factor| FactorRow {
                id: factor.id.to_string(),
                kind: kind_words(factor.kind),
                name: factor.name.unwrap_or_default(),
                created_at: factor.created_at.to_rfc3339(),
                last_used_at: time(factor.last_used_at),
                demanded: factor.demanded,
            })
            .collect(),
        recovery_codes: factors.recovery_codes,
        stopped: console.identity.app_is_stopped(caller).await?,
        demanded,
        keys: keys
            .into_iter()
            .map(|key| KeyRow {
                id: key.id.to_string(),
                hint: key.hint,
                name: key.name,
                scopes: key.scopes.join(" "),
                networks: key.networks.join(" "),
                expires_at: time(key.expires_at),
                last_used_at: time(key.last_used_at),
                replaced: key.successor.is_some(),
            })
            .collect(),
        key_name: "",
        key_scopes: "",
        key_networks: "",
        key_days: "",
        errors: Errors::default(),
    })
}

const fn kind_words(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "factor-totp",
        FactorKind::Passkey => "factor-passkey",
        FactorKind::RecoveryCode => "factor-codes",
    }
}

/// What is refused for its age leads to the page that asks again, and from there back.
pub(crate) fn or_again(error: Error) -> Result<Response, Failure> {
    match error {
        Error::ReauthenticationRequired { .. } => Ok(go("/account/confirm?next=/account/security")),
        error => Err(error.into()),
    }
}

/// The page that asks for the factors again, and leads from there to this place.
pub(crate) fn confirm_place(next: &str) -> String {
    let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
    format!("/account/confirm?next={next}")
}

/// The way there.
pub(crate) fn confirm(next: &str) -> Response {
    go(&confirm_place(next))
}

/// Where to go afterwards.
#[derive(Deserialize, Default)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// GET /account/confirm
pub(crate) async fn again_form(
    State(console): State<Console>,
    Query(query): Query<Next>,
    visit: Visit,
) -> Result<Response, Failure> {
    let ways = console.identity.ways_again(visit.account()?).await?;
    let next = safe(&query.next).unwrap_or("/account/security");
    let page = AgainPage { frame: visit.frame(&console, "security"), next, ways, errors: Errors::default() };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /account/confirm
pub(crate) async fn again(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let (password, code) = (form.secret("password"), form.secret("code"));
    let next = safe(form.text("next")).unwrap_or("/account/security").to_owned();
    let caller = form.visit.account()?;
    let ways = console.identity.ways_again(caller).await?;
    let again = Again { password: ways.password.then_some(password), code: ways.code.then_some(code) };
    match console.identity.reauthenticate(caller, again, &form.visit.meta).await {
        Ok(()) => Ok(go(&next)),
        Err(error) => {
            let mut errors = Errors::default();
            let mut frame = form.visit.frame(&console, "security");
            match error {
                Error::WrongCredentials => errors.add("password", "This is not your password."),
                Error::WrongCode => errors.add("code", "This code is wrong, or was used already."),
                _ => frame.notice = errors.take(&error),
            }
            let page = AgainPage { frame, next: &next, ways, errors };
            Ok(render_again(&form.visit, Some(&error.problem()), &page))
        }
    }
}

/// POST /account/security/totp
pub(crate) async fn totp(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    match console.identity.setup_totp(form.visit.account()?, None, &form.visit.meta).await {
        Ok(setup) => totp_page(&console, &form.visit, &setup),
        Err(error) => or_again(error),
    }
}

fn totp_page(console: &Console, visit: &Visit, setup: &TotpSetup) -> Result<Response, Failure> {
    let svg = setup.qr_svg()?;
    // Within a page it has no prologue of its own.
    let qr = svg.split_once("?>").map_or(svg.as_str(), |(_, rest)| rest);
    let secret = setup.secret.expose().as_bytes().chunks(4);
    let secret: Vec<&str> = secret.map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    let page = TotpPage {
        frame: visit.frame(console, "security"),
        factor: setup.factor.to_string(),
        qr,
        secret: secret.join(" "),
        url: setup.url.expose(),
        errors: Errors::default(),
    };
    Ok(render(visit, StatusCode::OK, &page))
}

/// POST /account/security/totp/confirm
pub(crate) async fn totp_confirm(
    State(console): State<Console>,
    mut form: Submitted,
) -> Result<Response, Failure> {
    let code = form.secret("code");
    let id = form.text("factor").to_owned();
    let caller = form.visit.account()?;
    match console.identity.confirm_totp(caller, factor_id(&id)?, &code, &form.visit.meta).await {
        Ok(Some(codes)) => Ok(shown_codes(&console, &form.visit, &codes)),
        Ok(None) => Ok(go("/account/security?done=factor-added")),
        Err(Error::WrongCode) => {
            let mut errors = Errors::default();
            errors.add("code", "This code is wrong.");
            let page = TotpAgainPage { frame: form.visit.frame(&console, "security"), factor: &id, errors };
            Ok(render_again(&form.visit, Some(&Error::WrongCode.problem()), &page))
        }
        Err(error) => or_again(error),
    }
}

/// The first recovery codes of an account.
pub(crate) fn shown_codes(console: &Console, visit: &Visit, codes: &[Secret<String>]) -> Response {
    let codes: Vec<String> = codes.iter().map(|code| code.expose().clone()).collect();
    shown_once(console, visit, "codes-heading", "codes-lead-first", &codes)
}

fn shown_once(console: &Console, visit: &Visit, heading: &str, lead: &str, values: &[String]) -> Response {
    let page = ShownOncePage { frame: visit.frame(console, "security"), heading, lead, values };
    render(visit, StatusCode::OK, &page)
}

/// POST /account/security/recovery-codes
pub(crate) async fn recovery_codes(
    State(console): State<Console>,
    form: Submitted,
) -> Result<Response, Failure> {
    match console.identity.new_recovery_codes(form.visit.account()?, &form.visit.meta).await {
        Ok(codes) => Ok(shown_once(
            &console,
            &form.visit,
            "codes-heading",
            "codes-lead",
            &codes.iter().map(|code| code.expose().clone()).collect::<Vec<_>>(),
        )),
        Err(error) => or_again(error),
    }
}

/// POST /account/security/factors/{id}/name
pub(crate) async fn name_factor(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let name = Some(form.text("name")).filter(|name| !name.is_empty());
    match console.identity.name_factor(form.visit.account()?, factor_id(&id)?, name, &form.visit.meta).await {
        Ok(()) => Ok(go("/account/security?done=named")),
        Err(error) => or_again(error),
    }
}

/// POST /account/security/factors/{id}/remove
pub(crate) async fn remove_factor(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let factor = factor_id(&id)?;
    let even_last = form.text("confirm_last") == "yes";
    match console.identity.remove_factor(form.visit.account()?, factor, even_last, &form.visit.meta).await {
        Ok(()) => Ok(go("/account/security?done=factor-removed")),
        Err(Error::LastFactor) => {
            let page =
                LastFactorPage { frame: form.visit.frame(&console, "security"), factor: &factor.to_string() };
            Ok(render(&form.visit, StatusCode::OK, &page))
        }
        Err(error) => or_again(error),
    }
}

/// POST /account/security/api-keys
pub(crate) async fn create_key(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let words = |name| form.text(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut errors = Errors::default();
    let days = match form.text("days") {
        "" => None,
        text => text.parse::<u16>().ok().filter(|days| *days > 0).or_else(|| {
            errors.add("days", "Write a number of days, such as 90.");
            None
        }),
    };
    let wish = NewApiKey {
        name: form.text("name").to_owned(),
        scopes: words("scopes"),
        networks: words("networks"),
        expires_at: days.map(|days| console.clock.now().plus_ms(i64::from(days) * DAY_MS)),
    };
    let mut refused = None;
    let mut notice = None;
    if errors.is_empty() {
        match console.identity.create_api_key(form.visit.account()?, &wish, &form.visit.meta).await {
            Ok(made) => return Ok(shown_key(&console, &form.visit, made.key.expose())),
            Err(error @ Error::ReauthenticationRequired { .. }) => return or_again(error),
            Err(error) => {
                refused = Some(error.problem());
                notice = errors.take(&error);
            }
        }
    }
    let mut page = security_page(&console, &form.visit).await?;
    page.frame.notice = notice.or(page.frame.notice);
    let page = SecurityPage {
        key_name: form.text("name"),
        key_scopes: form.text("scopes"),
        key_networks: form.text("networks"),
        key_days: form.text("days"),
        errors: errors.of_lists(),
        ..page
    };
    Ok(render_again(&form.visit, refused.as_ref(), &page))
}

fn shown_key(console: &Console, visit: &Visit, key: &str) -> Response {
    shown_once(console, visit, "key-heading", "key-lead", &[key.to_owned()])
}

/// POST /account/security/api-keys/{id}/rotate
pub(crate) async fn rotate_key(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let id = id.parse().map_err(|_| Failure::not_found())?;
    match console.identity.rotate_api_key(form.visit.account()?, id, &form.visit.meta).await {
        Ok(made) => Ok(shown_key(&console, &form.visit, made.key.expose())),
        Err(error) => or_again(error),
    }
}

/// POST /account/security/api-keys/{id}/revoke
pub(crate) async fn revoke_key(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let id = id.parse().map_err(|_| Failure::not_found())?;
    console.identity.revoke_api_key(form.visit.account()?, id, &form.visit.meta).await?;
    Ok(go("/account/security?done=key-revoked"))
}

/// GET /account/security/email
pub(crate) async fn email_form(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    match console.identity.must_be_fresh(visit.account()?).await {
        Ok(()) => {
            Ok(render(&visit, StatusCode::OK, &ConfirmPage::new_email(visit.frame(&console, "security"))))
        }
        Err(Error::ReauthenticationRequired { .. }) => {
            Ok(go("/account/confirm?next=/account/security/email"))
        }
        Err(error) => Err(error.into()),
    }
}

/// POST /account/security/email
pub(crate) async fn email(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let mut errors = Errors::default();
    let (mut notice, mut refused) = (None, None);
    if let Some(email) = form.parse("email", &mut errors) {
        match console.identity.change_email(form.visit.account()?, &email, &form.visit.meta).await {
            Ok(()) => {
                let page = MessagePage {
                    frame: form.visit.frame(&console, "security"),
                    heading: "check-mail",
                    paragraphs: &["email-on-its-way", "email-stays"],
                    link: "/account/security",
                    link_text: "back",
                };
                return Ok(render(&form.visit, StatusCode::OK, &page));
            }
            Err(error @ Error::ReauthenticationRequired { .. }) => return or_again(error),
            Err(error) => {
                refused = Some(error.problem());
                notice = errors.take(&error);
            }
        }
    }
    let mut frame = form.visit.frame(&console, "security");
    frame.notice = notice.or(frame.notice);
    Ok(render_again(&form.visit, refused.as_ref(), &ConfirmPage::new_email(frame).with(errors)))
}

/// GET /account/email?code=… shows a button: programs that only look at links must not use them up.
pub(crate) async fn email_link(
    State(console): State<Console>,
    Query(link): Query<LinkCode>,
    visit: Visit,
) -> Response {
    render(&visit, StatusCode::OK, &ConfirmPage::confirm_email(visit.frame(&console, "security"), &link.code))
}

/// POST /account/email
pub(crate) async fn email_confirm(
    State(console): State<Console>,
    form: Submitted,
) -> Result<Response, Failure> {
    console.identity.confirm_email(form.text("code"), &form.visit.meta).await?;
    let signed_in = form.visit.caller.account().is_some();
    Ok(go(if signed_in { "/account/security?done=email" } else { "/account/sign-in?done=email" }))
}

fn factor_id(text: &str) -> Result<Id<kind::Factor>, Failure> {
    text.parse().map_err(|_| Failure::not_found())
}
