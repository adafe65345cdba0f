//! Who visits a page, and the token that ties a form to the visitor.

use axum::extract::FromRequestParts;
use base::constant_time_eq;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guard::{Passed, Tether};
use http::header;
use http::request::Parts;
use identity::{AccountCaller, Caller, RequestMeta};
use keys::Purpose;

use crate::Console;
use crate::page::{Failure, Frame, Notice, Who};
use crate::words::Language;

/// Holds a random value for visitors who are not signed in, so that their forms cannot be forged either.
const FORM_COOKIE: &str = "__Host-fortissimo-form";

/// One request for a page.
pub(crate) struct Visit {
    pub(crate) caller: Caller,
    pub(crate) meta: RequestMeta,
    /// What an answer that lasts hangs on.
    pub(crate) tether: Option<Tether>,
    /// What form tokens are bound to: the session, or the visitor's random value.
    binding: String,
    /// The random value is new and must be given to the browser.
    fresh: bool,
    operator: bool,
    notice: Option<Notice>,
    language: Language,
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let passed = parts.extensions.get::<Passed>().ok_or_else(Failure::outside_pipeline)?;
        let (caller, meta) = (passed.caller().clone(), passed.meta().clone());
        let tether = passed.tether().cloned();
        let (binding, fresh) = match (&caller, cookie(parts, FORM_COOKIE)) {
            (Caller::Account(account), _) => (account.session.to_string(), false),
            (_, Some(value)) if value.len() == 22 => (value, false),
            // A program with a key reaches no page for people.
            (Caller::Anonymous | Caller::Key(_), _) => {
                (URL_SAFE_NO_PAD.encode(console.entropy.bytes::<16>()), true)
            }
        };
        let operator = console.access.permit::<access::actions::SystemLogs>(&caller.subject()).is_ok();
        let notice = parts.uri.query().and_then(Notice::from_query);
        let language = meta.language.map_or(Language::FIRST, Language::from);
        Ok(Self { caller, meta, tether, binding, fresh, operator, notice, language })
    }
}

impl Visit {
    /// The signed-in person. Pages for signed-in people are only reached through the pipeline's check.
    pub(crate) fn account(&self) -> Result<&AccountCaller, Failure> {
        self.caller.account().ok_or_else(Failure::signed_out)
    }

    /// The words with this id, in the visitor's language.
    pub(crate) fn say(&self, id: &str) -> &'static str {
        self.language.t(id)
    }

    /// A sentence that was made in English, in the visitor's language if we have it there.
    pub(crate) fn translate(&self, sentence: &'static str) -> &'static str {
        self.language.say(sentence)
    }

    /// What every page shows around its content.
    pub(crate) fn frame(&self, console: &Console, section: &'static str) -> Frame {
        Frame {
            who: self
                .caller
                .account()
                .map(|account| Who { username: account.username.to_string(), operator: self.operator }),
            section,
            form_token: self.form_token(console),
            notice: self.notice.clone(),
            language: self.language,
        }
    }

    /// HMAC of the binding under the cookie key.
    fn form_token(&self, console: &Console) -> String {
        let key = console.keys.epoch(Purpose::Cookie);
        let bound = format!("form\0{}", self.binding);
        URL_SAFE_NO_PAD.encode(crypto::mac::hmac_sha256(key.key.expose(), bound.as_bytes()))
    }

    /// Whether a submitted form was made for this visitor.
    pub(crate) fn owns(&self, console: &Console, token: &str) -> bool {
        !self.fresh && constant_time_eq(token.as_bytes(), self.form_token(console).as_bytes())
    }

    /// The cookie to set with a page that holds a form.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.fresh
            .then(|| format!("{FORM_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", self.binding))
    }
}

/// A cookie's value in the request.
pub(crate) fn cookie(parts: &Parts, name: &str) -> Option<String> {
    parts
        .headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}
