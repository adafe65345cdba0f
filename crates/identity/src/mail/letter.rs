//! What we write to people, in their language. One source per letter gives the plain text and the HTML.

use base::{Language, Secret, Timestamp, Username};
use threat::login::ReasonCode;

use super::words::{Fill, find, say};
use crate::factor::FactorKind;

/// Every letter of identity, with what it needs.
#[derive(Debug)]
pub(crate) enum Letter<'a> {
    /// Follow this link to have your account.
    Verify { username: &'a Username, link: &'a Secret<String> },
    /// Somebody registered an address that has an account.
    AlreadyRegistered { username: &'a Username, sign_in: &'a str, forgot: &'a str },
    /// Follow this link to set a new password.
    Reset { username: &'a Username, link: &'a Secret<String> },
    /// The password is known to be compromised.
    Compromised { username: &'a Username, link: &'a Secret<String> },
    /// The password was changed.
    PasswordChanged { username: &'a Username, at: Timestamp, forgot: &'a str },
    /// A second factor was set up.
    FactorAdded { username: &'a Username, at: Timestamp, security: &'a str, kind: FactorKind },
    /// A second factor was taken away.
    FactorRemoved { username: &'a Username, at: Timestamp, security: &'a str, kind: FactorKind },
    /// A recovery code was used up.
    RecoveryCodeUsed { username: &'a Username, at: Timestamp, security: &'a str, remaining: u32 },
    /// The browser made a passkey by itself after a sign-in with a password.
    PasskeySaved { username: &'a Username, at: Timestamp, security: &'a str },
    /// Too many codes were wrong.
    CodesStopped { username: &'a Username, at: Timestamp, security: &'a str, sign_in: &'a str },
    /// Too many wrong passwords were tried from within.
    AccountLocked { username: &'a Username, at: Timestamp, forgot: &'a str },
    /// A code that stands in for the second factor once.
    FactorCode { username: &'a Username, code: &'a Secret<String> },
    /// An API key was made.
    ApiKeyCreated { username: &'a Username, at: Timestamp, security: &'a str, hint: &'a str },
    /// Confirm that this address shall be the account's.
    EmailChange { username: &'a Username, link: &'a Secret<String> },
    /// Somebody wanted this address for another account.
    AddressTaken { sign_in: &'a str, forgot: &'a str },
    /// To the old address: somebody asked for another one.
    EmailChangeAsked { username: &'a Username, at: Timestamp, forgot: &'a str },
    /// To the old address: it is not the account's any more.
    EmailChanged { username: &'a Username, at: Timestamp, forgot: &'a str },
    /// The owner closed the account; until then the link takes it back.
    AccountClosed { username: &'a Username, at: Timestamp, link: &'a Secret<String> },
    /// A used refresh token came back.
    RefreshReused { username: &'a Username, at: Timestamp, sign_in: &'a str },
    /// Somebody who knows the password waits to be let in.
    ConfirmSignIn { username: &'a Username, facts: &'a Facts, link: &'a Secret<String> },
    /// Somebody came in who looks new.
    NewSignIn { username: &'a Username, facts: &'a Facts, link: &'a Secret<String> },
    /// Somebody who knows the password was kept out.
    SignInDenied { username: &'a Username, facts: &'a Facts, forgot: &'a str },
    /// An administrator looks at something private of yours.
    BreakGlass {
        username: &'a Username,
        administrator: &'a str,
        resource: &'a str,
        reason: &'a str,
        until: Timestamp,
        sign_in: &'a str,
    },
    /// Somebody offers to share something with you.
    Offer { username: &'a Username, by: &'a str, resource: &'a str, until: Option<Timestamp>, page: &'a str },
}

/// What is told of a sign-in.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) at: Timestamp,
    pub(crate) address: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) agent: Option<String>,
    /// Why it is written about.
    pub(crate) reasons: Vec<ReasonCode>,
}

impl Facts {
    /// One sentence about when, where and what.
    fn sentence(&self, language: Language) -> String {
        let part = |id, name, value: &str| say(language, id, &[(name, value.into())]);
        let mut text = part("fact-when", "at", &day(language, self.at));
        if let Some(address) = &self.address {
            text.push_str(&part("fact-address", "address", address));
        }
        if let Some(country) = &self.country {
            text.push_str(&part("fact-country", "country", country));
        }
        if let Some(agent) = &self.agent {
            text.push_str(&part("fact-agent", "agent", agent));
        }
        text.push('.');
        text
    }

    /// One sentence about the reasons; empty if there is none to tell.
    fn why(&self, language: Language) -> String {
        let words = |reason: &ReasonCode| say(language, &format!("reason-{}", reason.name()), &[]);
        let reasons: Vec<String> = self.reasons.iter().map(words).collect();
        if reasons.is_empty() {
            return String::new();
        }
        say(language, "why", &[("reasons", reasons.join(", ").into())])
    }
}

/// A letter, ready to become a message.
pub(crate) struct Written {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// A letter's parts.
struct Parts<'a> {
    language: Language,
    subject: String,
    paragraphs: Vec<String>,
    /// Label and address.
    button: Option<(String, &'a str)>,
    closing: String,
}

impl Letter<'_> {
    /// The stable name of the letter, in the database, in events and for the outbox.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Verify { .. } => "verify",
            Self::AlreadyRegistered { .. } => "already_registered",
            Self::Reset { .. } => "reset",
            Self::Compromised { .. } => "compromised",
            Self::PasswordChanged { .. } => "password_changed",
            Self::RefreshReused { .. } => "refresh_reused",
            Self::FactorAdded { .. } => "factor_added",
            Self::FactorRemoved { .. } => "factor_removed",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
            Self::PasskeySaved { .. } => "passkey_saved",
            Self::CodesStopped { .. } => "codes_stopped",
            Self::AccountLocked { .. } => "account_locked",
            Self::FactorCode { .. } => "factor_code",
            Self::ApiKeyCreated { .. } => "api_key_created",
            Self::EmailChange { .. } => "email_change",
            Self::AddressTaken { .. } => "address_taken",
            Self::EmailChangeAsked { .. } => "email_change_asked",
            Self::EmailChanged { .. } => "email_changed",
            Self::AccountClosed { .. } => "account_closed",
            Self::ConfirmSignIn { .. } => "confirm_sign_in",
            Self::NewSignIn { .. } => "new_sign_in",
            Self::SignInDenied { .. } => "sign_in_denied",
            Self::BreakGlass { .. } => "break_glass",
            Self::Offer { .. } => "offer",
        }
    }

    /// Writes it.
    pub(crate) fn write(&self, language: Language) -> Written {
        let parts = self.parts(language);
        Written { text: plain(&parts), html: html(&parts), subject: parts.subject }
    }

    fn parts(&self, language: Language) -> Parts<'_> {
        let (fills, button) = self.fills(language);
        let part = |name: &str| find(language, &format!("{}-{name}", self.kind()), &fills);
        let text = part("text").unwrap_or_default();
        // A paragraph that came out empty (no reasons to tell) is none.
        let paragraphs = text.split("\n\n").map(|p| p.trim().replace('\n', " ")).filter(|p| !p.is_empty());
        Parts {
            language,
            subject: part("subject").unwrap_or_default(),
            paragraphs: paragraphs.collect(),
            button: part("button").zip(button),
            closing: part("closing").unwrap_or_default(),
        }
    }

    /// What fills the places of the letter's words, and where its button leads.
    fn fills(&self, language: Language) -> (Vec<Fill<'_>>, Option<&str>) {
        let day = |at: &Timestamp| day(language, *at).into();
        match self {
            Self::Verify { username, link }
            | Self::Reset { username, link }
            | Self::Compromised { username, link }
            | Self::EmailChange { username, link } => (named(username), Some(link.expose())),
            Self::AlreadyRegistered { username, sign_in, forgot } => {
                (with(username, [("sign_in", (*sign_in).into())]), Some(forgot))
            }
            Self::AddressTaken { sign_in, forgot } => (vec![("sign_in", (*sign_in).into())], Some(forgot)),
            Self::PasswordChanged { username, at, forgot }
            | Self::AccountLocked { username, at, forgot }
            | Self::EmailChangeAsked { username, at, forgot }
            | Self::EmailChanged { username, at, forgot } => {
                (with(username, [("at", day(at))]), Some(forgot))
            }
            Self::FactorAdded { username, at, security, kind }
            | Self::FactorRemoved { username, at, security, kind } => {
                let factor = say(language, &format!("factor-{}", kind.as_str()), &[]);
                (with(username, [("at", day(at)), ("factor", factor.into())]), Some(security))
            }
            Self::AccountClosed { username, at, link } => {
                (with(username, [("at", day(at))]), Some(link.expose()))
            }
            Self::PasskeySaved { username, at, security } => {
                (with(username, [("at", day(at))]), Some(security))
            }
            Self::CodesStopped { username, at, security, sign_in } => {
                (with(username, [("at", day(at)), ("security", (*security).into())]), Some(sign_in))
            }
            Self::FactorCode { username, code } => {
                (with(username, [("code", code.expose().as_str().into())]), None)
            }
            Self::RecoveryCodeUsed { username, at, security, remaining } => {
                let remaining = remaining.to_string().into();
                (with(username, [("at", day(at)), ("remaining", remaining)]), Some(security))
            }
            Self::ApiKeyCreated { username, at, security, hint } => {
                (with(username, [("at", day(at)), ("hint", (*hint).into())]), Some(security))
            }
            Self::RefreshReused { username, at, sign_in } => {
                (with(username, [("at", day(at))]), Some(sign_in))
            }
            Self::ConfirmSignIn { username, facts, link } | Self::NewSignIn { username, facts, link } => {
                (told(username, facts, language), Some(link.expose()))
            }
            Self::SignInDenied { username, facts, forgot } => (told(username, facts, language), Some(forgot)),
            Self::BreakGlass { username, administrator, resource, reason, until, sign_in } => {
                let fills = [
                    ("administrator", (*administrator).into()),
                    ("resource", (*resource).into()),
                    ("reason", (*reason).into()),
                    ("at", day(until)),
                ];
                (with(username, fills), Some(sign_in))
            }
            Self::Offer { username, by, resource, until, page } => {
                let until = until.map(|at| say(language, "offer-until", &[("at", day(&at))]));
                let fills = [
                    ("by", (*by).into()),
                    ("resource", (*resource).into()),
                    ("until", until.unwrap_or_default().into()),
                ];
                (with(username, fills), Some(page))
            }
        }
    }
}

fn named(username: &Username) -> Vec<Fill<'_>> {
    vec![("username", username.as_str().into())]
}

fn with<'a, const N: usize>(username: &'a Username, more: [Fill<'a>; N]) -> Vec<Fill<'a>> {
    let mut fills = named(username);
    fills.extend(more);
    fills
}

/// Who, what happened, and why it is told.
fn told<'a>(username: &'a Username, facts: &Facts, language: Language) -> Vec<Fill<'a>> {
    with(username, [("facts", facts.sentence(language).into()), ("why", facts.why(language).into())])
}

/// Minutes are exact enough for people.
fn day(language: Language, at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let part = |range| text.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    let fills = [
        ("year", part(0..4).into()),
        ("month", part(5..7).into()),
        ("day", part(8..10).into()),
        ("time", part(11..16).into()),
    ];
    say(language, "when", &fills)
}

fn plain(parts: &Parts<'_>) -> String {
    let mut text = parts.paragraphs.join("\n\n");
    if let Some((label, address)) = &parts.button {
        text.push_str(&format!("\n\n{label}:\n{address}"));
    }
    text.push_str(&format!("\n\n{}\n", parts.closing));
    text
}

/// Only inline style and no images: it must look right everywhere and tell nobody that it was opened.
fn html(parts: &Parts<'_>) -> String {
    let mut body = String::new();
    for paragraph in &parts.paragraphs {
        body.push_str(&format!("<p>{}</p>\n", escape(paragraph)));
    }
    if let Some((label, address)) = &parts.button {
        body.push_str(&format!(
            "<p><a href=\"{0}\" style=\"display:inline-block;padding:10px 16px;border-radius:6px;background:#1f4e79;\
             color:#ffffff;text-decoration:none\">{1}</a></p>\n<p style=\"font-size:13px;color:#555555\">{0}</p>\n",
            escape(address),
            escape(label)
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font-family:sans-serif;line-height:1.5;color:#1b1b1b;max-width:34em;margin:2em auto;padding:0 1em\">\n\
         {body}<p style=\"color:#555555\">{}</p>\n</body></html>\n",
        parts.language.code(),
        escape(&parts.subject),
        escape(&parts.closing)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of every letter. The match makes whoever adds a letter add it here.
    fn one_of_each<'a>(
        username: &'a Username,
        link: &'a Secret<String>,
        facts: &'a Facts,
        page: &'a str,
        at: Timestamp,
    ) -> Vec<Letter<'a>> {
        let all = vec![
            Letter::Verify { username, link },
            Letter::AlreadyRegistered { username, sign_in: page, forgot: page },
            Letter::Reset { username, link },
            Letter::Compromised { username, link },
            Letter::PasswordChanged { username, at, forgot: page },
            Letter::RefreshReused { username, at, sign_in: page },
            Letter::FactorAdded { username, at, security: page, kind: FactorKind::Totp },
            Letter::FactorRemoved { username, at, security: page, kind: FactorKind::Passkey },
            Letter::RecoveryCodeUsed { username, at, security: page, remaining: 9 },
            Letter::PasskeySaved { username, at, security: page },
            Letter::CodesStopped { username, at, security: page, sign_in: page },
            Letter::AccountLocked { username, at, forgot: page },
            Letter::FactorCode { username, code: link },
            Letter::ApiKeyCreated { username, at, security: page, hint: "ftm_Abc" },
            Letter::EmailChange { username, link },
            Letter::AddressTaken { sign_in: page, forgot: page },
            Letter::EmailChangeAsked { username, at, forgot: page },
            Letter::EmailChanged { username, at, forgot: page },
            Letter::AccountClosed { username, at, link },
            Letter::ConfirmSignIn { username, facts, link },
            Letter::NewSignIn { username, facts, link },
            Letter::SignInDenied { username, facts, forgot: page },
            Letter::BreakGlass {
                username,
                administrator: "root",
                resource: "track/7",
                reason: "a court order",
                until: at,
                sign_in: page,
            },
            Letter::Offer { username, by: "bob", resource: "track/7", until: None, page },
            Letter::Offer { username, by: "bob", resource: "track/7", until: Some(at), page },
        ];
        for letter in &all {
            match letter {
                Letter::Verify { .. }
                | Letter::AlreadyRegistered { .. }
                | Letter::Reset { .. }
                | Letter::Compromised { .. }
                | Letter::PasswordChanged { .. }
                | Letter::RefreshReused { .. }
                | Letter::FactorAdded { .. }
                | Letter::FactorRemoved { .. }
                | Letter::RecoveryCodeUsed { .. }
                | Letter::PasskeySaved { .. }
                | Letter::CodesStopped { .. }
                | Letter::AccountLocked { .. }
                | Letter::FactorCode { .. }
                | Letter::ApiKeyCreated { .. }
                | Letter::EmailChange { .. }
                | Letter::AddressTaken { .. }
                | Letter::EmailChangeAsked { .. }
                | Letter::EmailChanged { .. }
                | Letter::AccountClosed { .. }
                | Letter::ConfirmSignIn { .. }
                | Letter::NewSignIn { .. }
                | Letter::SignInDenied { .. }
                | Letter::BreakGlass { .. }
                | Letter::Offer { .. } => {}
            }
        }
        assert_eq!(all.len(), 25);
        all
    }

    #[test]
    fn every_letter_is_whole_in_every_language_and_escapes_its_link() {
        let username: Username = "ada".parse().unwrap();
        let link = Secret::new("https://x.example/a?b=1&c=\"2\"".to_owned());
        let at = Timestamp::from_millis(1_767_323_045_678);
        let page = "https://x.example/p?q=1&r";
        let facts = Facts {
            at,
            address: Some("192.0.2.7".into()),
            country: Some("DE".into()),
            agent: Some("Firefox <b>".into()),
            reasons: vec![ReasonCode::NewPlace],
        };
        for language in Language::ALL {
            for letter in one_of_each(&username, &link, &facts, page, at) {
                let written = letter.write(language);
                let place = format!("{} in {}", letter.kind(), language.name());
                for text in [&written.subject, &written.text, &written.html] {
                    assert!(!text.trim().is_empty(), "{place}");
                    // A place that nothing filled shows as its name in braces.
                    assert!(!text.contains("{$") && !text.contains("{ $"), "{place}: {text}");
                }
                let parts = letter.parts(language);
                assert!(!parts.closing.is_empty() && !parts.paragraphs.is_empty(), "{place}");
                for paragraph in &parts.paragraphs {
                    assert!(written.html.contains(&format!("<p>{}</p>", escape(paragraph))), "{place}");
                }
                let address = if written.text.contains(page) { page } else { link.expose().as_str() };
                assert!(written.text.contains(address), "{place}");
                let code = matches!(letter, Letter::FactorCode { .. });
                assert_eq!(parts.button.is_none(), code, "{place}");
                assert_eq!(written.html.contains(&format!("href=\"{}\"", escape(address))), !code, "{place}");
                assert!(!written.html.contains(address), "{place}: not escaped");
                assert!(written.html.contains(&format!("<html lang=\"{}\">", language.code())), "{place}");
                // A stranger's address is not told whose account wanted it.
                let names = !matches!(letter, Letter::AddressTaken { .. });
                assert_eq!(written.text.contains("ada"), names, "{place}");
            }
        }
    }

    #[test]
    fn the_facts_of_a_sign_in_are_told() {
        let username: Username = "ada".parse().unwrap();
        let link = Secret::new("https://x.example/a".to_owned());
        let at = Timestamp::from_millis(1_767_323_045_678);
        let facts = Facts {
            at,
            address: Some("192.0.2.7".into()),
            country: Some("DE".into()),
            agent: Some("Firefox <b>".into()),
            reasons: vec![ReasonCode::NewPlace, ReasonCode::NewDevice],
        };
        let letter = Letter::NewSignIn { username: &username, facts: &facts, link: &link };
        let told = letter.write(Language::English);
        assert!(told.text.contains("from the network address 192.0.2.7 (country DE)"), "{}", told.text);
        let why = "because it was from a place you have not signed in from before, from a device";
        assert!(told.text.contains(why), "{}", told.text);
        assert!(told.html.contains("Firefox &lt;b&gt;") && !told.html.contains("<b>"));
        let german = letter.write(Language::German);
        assert!(
            german.text.contains("Es war am 02.01.2026 um 03:04 Uhr UTC, von der Netzadresse"),
            "{}",
            german.text
        );
        let changed =
            Letter::PasswordChanged { username: &username, at, forgot: "x" }.write(Language::English);
        assert!(changed.text.contains("on 2026-01-02 at 03:04 UTC."), "{}", changed.text);
        // Without reasons there is no empty paragraph.
        let facts = Facts { reasons: Vec::new(), ..facts };
        let letter = Letter::NewSignIn { username: &username, facts: &facts, link: &link };
        assert!(!letter.write(Language::English).text.contains("\n\n\n"));
    }
}
