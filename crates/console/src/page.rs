//! From a typed page to an answer: the frame around every page, notices, and what goes wrong.

use askama::Template;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use base::{Problem, ProblemKind};
use http::{StatusCode, header};

use crate::visit::Visit;
use crate::words::Language;

/// What every page shows around its content.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) who: Option<Who>,
    pub(crate) section: &'static str,
    pub(crate) form_token: String,
    pub(crate) notice: Option<Notice>,
    pub(crate) language: Language,
}

impl Frame {
    /// The words with this id, in the visitor's language.
    pub(crate) fn t(&self, id: &str) -> &'static str {
        self.language.t(id)
    }

    /// A sentence that was made in English, in the visitor's language if we have it there.
    pub(crate) fn say<'a>(&self, sentence: &'a str) -> &'a str {
        self.language.say(sentence)
    }

    /// The sentences of a notice, in the visitor's language if we have them there.
    pub(crate) fn tell(&self, text: &str) -> String {
        self.language.tell(text)
    }

    /// The words of an id, or a text that is none: names, numbers, what others say.
    pub(crate) fn words(&self, text: &str) -> String {
        self.language.find(text).map_or_else(|| self.tell(text), str::to_owned)
    }

    /// What a relation is called.
    pub(crate) fn relation(&self, word: &str) -> &'static str {
        self.t(&format!("relation-{}", word.replace('_', "-")))
    }

    /// Our languages, as they call themselves.
    pub(crate) fn languages(&self) -> Vec<(&'static str, &'static str)> {
        Language::all().collect()
    }
}

/// The signed-in person, as the frame shows them.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) username: String,
    pub(crate) operator: bool,
}

/// One sentence above the content.
#[derive(Clone)]
pub(crate) struct Notice {
    pub(crate) tone: &'static str,
    pub(crate) text: String,
}

impl Notice {
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { tone: "bad", text: text.into() }
    }

    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { tone: "good", text: text.into() }
    }

    /// What a form has done, after its redirect (`?done=…`). Only known words, so that nobody can put
    /// a sentence of theirs on our page.
    pub(crate) fn from_query(query: &str) -> Option<Self> {
        let word = query.split('&').find_map(|pair| pair.strip_prefix("done="))?;
        let text = match word {
            "signed-out" => "You are signed out.",
            "verified" => "Your address is verified. Sign in to begin.",
            "reset" => "The password is set and all sessions have ended. Sign in with it.",
            "disowned" => "Everybody is signed out, and your old password counts no more. Set a new one.",
            "password" => "The password is changed and all other sessions have ended.",
            "linked" => "The two accounts are linked.",
            "unlinked" => "That account no longer signs in here.",
            "begin-again" => "That took too long, or the code was wrong too often. Sign in again.",
            "passkey-added" => "The passkey is added; it signs you in from now on.",
            "factor-added" => "The app is added; it is asked for at sign-in from now on.",
            "factor-removed" => "The second factor is removed.",
            "key-revoked" => "The key is revoked; it opens nothing any more.",
            "attested" => "On record. Download the proof, and keep it with the file.",
            "email" => "The new address belongs to your account.",
            "session" => "That session is signed out.",
            "others" => "All other sessions are signed out.",
            "named" => "The name is saved.",
            "account" => "The account is changed; it takes effect at once.",
            "unshared" => "Their access is taken away; it takes effect at once.",
            "shared" => "Shared; it takes effect at once.",
            "changed" => "Changed; it takes effect at once.",
            "offered" => "Offered. If there is such an account, the offer stands on its page under Sharing.",
            "withdrawn" => "The offer is withdrawn.",
            "accepted" => "You have access now.",
            "declined" => "The offer is gone. Nobody is told.",
            "link-revoked" => "The link opens nothing any more, and what came of it is taken away.",
            "transferred" => "It belongs to them now.",
            "team-made" => "The team is there; now add who shall be in it.",
            "team-left" => "You are not in the team any more.",
            "team-removed" => "The team is dissolved; what its members had through it has ended.",
            "member-added" => "They are in the team; it takes effect at once.",
            "member-removed" => "They are out of the team; it takes effect at once.",
            "confirmed" => "Thank you. Now it can be done.",
            "policies" => "These policies are in force; running nodes follow within a second.",
            "operator" => "There is an operator already, so the set-up link has had its time. Sign in.",
            "setup" => "The operator's account is ready. Sign in with it.",
            _ => return None,
        };
        Some(Self { tone: "good", text: text.to_owned() })
    }
}

/// Renders a page for a visitor.
pub(crate) fn render(visit: &Visit, status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return Failure::from(Problem::new(ProblemKind::Internal)).into_response();
        }
    };
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response();
    if let Some(cookie) = visit.cookie().and_then(|cookie| cookie.parse().ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The page of a form again, because what it asked for was refused: with the refusal's own status, and with when to try
/// again. Without a refusal, the form itself was not right.
pub(crate) fn render_again(visit: &Visit, refused: Option<&Problem>, template: &impl Template) -> Response {
    let status = refused.and_then(|problem| StatusCode::from_u16(problem.kind.status()).ok());
    let mut response = render(visit, status.unwrap_or(StatusCode::BAD_REQUEST), template);
    if let Some(seconds) = refused.and_then(|problem| problem.retry_after_s) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// See-other after a form.
pub(crate) fn go(location: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store")])
        .into_response()
}

/// Why there is no page. The person sees a page that says so.
pub(crate) struct Failure(Problem);

impl Failure {
    /// A handler was called without the pipeline before it: our own fault.
    pub(crate) fn outside_pipeline() -> Self {
        Self(Problem::new(ProblemKind::Internal))
    }

    /// Nobody is signed in where somebody must be.
    pub(crate) fn signed_out() -> Self {
        Self(Problem::new(ProblemKind::Unauthenticated))
    }

    /// Something that does not exist, or not for this person.
    pub(crate) fn not_found() -> Self {
        Self(Problem::new(ProblemKind::NotFound))
    }

    /// A form that this visitor did not get from us.
    pub(crate) fn foreign_form() -> Self {
        Self(Problem::new(ProblemKind::CrossSite).detail(
            "This form is too old or was not made for this browser. Go back, reload the page and try again.",
        ))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<identity::Error> for Failure {
    fn from(error: identity::Error) -> Self {
        if let identity::Error::Internal(source) = &error {
            tracing::error!(%source, "an operation of identity failed");
        }
        Self(error.problem())
    }
}

impl From<Box<access::Decision>> for Failure {
    fn from(denied: Box<access::Decision>) -> Self {
        Self(denied.problem())
    }
}

impl From<audit::AuditError> for Failure {
    fn from(error: audit::AuditError) -> Self {
        tracing::error!(%error, "the audit trail could not be read");
        Self(Problem::new(ProblemKind::Unavailable))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let page = problem_page(&self.0, "", base::Language::default());
        let mut response = (status, Html(page)).into_response();
        // The router, which knows whom it is for, says it in their language.
        response.extensions_mut().insert(Shown(self.0.clone()));
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The problem that a page shows.
#[derive(Clone)]
struct Shown(Problem);

/// Says what went wrong in the language of whoever asked.
pub(crate) async fn speak(request: Request, next: Next) -> Response {
    let language = request.extensions().get::<guard::Passed>().and_then(|passed| passed.meta().language);
    let mut response = next.run(request).await;
    if let (Some(language), Some(Shown(problem))) = (language, response.extensions_mut().remove::<Shown>()) {
        *response.body_mut() = problem_page(&problem, "", language).into();
    }
    response
}

#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct MessagePage<'a> {
    pub(crate) frame: Frame,
    pub(crate) heading: &'a str,
    pub(crate) paragraphs: &'a [&'a str],
    pub(crate) link: &'a str,
    pub(crate) link_text: &'a str,
}

/// A refusal as a page, for browsers.
pub fn problem_page(problem: &Problem, request_id: &str, language: base::Language) -> String {
    let language = Language::from(language);
    let mut paragraphs: Vec<String> = problem.detail.iter().cloned().collect();
    if let Some(seconds) = problem.retry_after_s {
        paragraphs.push(format!("{} {seconds} s.", language.t("try-again-in")));
    }
    paragraphs.extend(problem.errors.iter().map(|wrong| wrong.detail.clone()));
    if !request_id.is_empty() {
        paragraphs.push(format!("{} {request_id}.", language.t("quote-request")));
    }
    let paragraphs: Vec<&str> = paragraphs.iter().map(String::as_str).collect();
    let (link, link_text) = match problem.kind {
        ProblemKind::Unauthenticated | ProblemKind::InvalidToken => (crate::SIGN_IN_PAGE, "sign-in"),
        _ => ("/account", "to-account"),
    };
    let frame = Frame { who: None, section: "", form_token: String::new(), notice: None, language };
    MessagePage { frame, heading: problem.kind.title(), paragraphs: &paragraphs, link, link_text }
        .render()
        .unwrap_or_else(|_| problem.kind.title().to_owned())
}
