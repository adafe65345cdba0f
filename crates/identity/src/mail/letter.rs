//! What we write to people. One source per letter gives the plain text and the HTML.

use base::{Secret, Timestamp, Username};

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
    /// Why it is written about, in words.
    pub(crate) reasons: Vec<&'static str>,
}

impl Facts {
    /// One sentence about when, where and what.
    fn sentence(&self) -> String {
        let mut text = format!("It was on {}", day(self.at));
        if let Some(address) = &self.address {
            text.push_str(&format!(", from the network address {address}"));
        }
        if let Some(country) = &self.country {
            text.push_str(&format!(" (country {country})"));
        }
        if let Some(agent) = &self.agent {
            text.push_str(&format!(", with the program \"{agent}\""));
        }
        text.push('.');
        text
    }

    /// One sentence about the reasons; empty if there is none to tell.
    fn why(&self) -> String {
        if self.reasons.is_empty() {
            return String::new();
        }
        format!("We write because it was {}.", self.reasons.join(", "))
    }
}

/// A letter's parts.
struct Parts<'a> {
    subject: &'static str,
    paragraphs: Vec<String>,
    /// Label and address.
    button: Option<(&'static str, &'a str)>,
    closing: &'static str,
}

/// A letter, ready to become a message.
pub(crate) struct Written {
    pub(crate) subject: &'static str,
    pub(crate) text: String,
    pub(crate) html: String,
}

const NOT_YOU: &str = "If this was not you, you need not do anything: without this link nothing happens.";

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
            Self::ApiKeyCreated { .. } => "api_key_created",
            Self::EmailChange { .. } => "email_change",
            Self::AddressTaken { .. } => "address_taken",
            Self::EmailChangeAsked { .. } => "email_change_asked",
            Self::EmailChanged { .. } => "email_changed",
            Self::ConfirmSignIn { .. } => "confirm_sign_in",
            Self::NewSignIn { .. } => "new_sign_in",
            Self::SignInDenied { .. } => "sign_in_denied",
            Self::BreakGlass { .. } => "break_glass",
            Self::Offer { .. } => "offer",
        }
    }

    /// Writes it.
    pub(crate) fn write(&self) -> Written {
        let parts = self.parts();
        Written { subject: parts.subject, text: plain(&parts), html: html(&parts) }
    }

    fn parts(&self) -> Parts<'_> {
        match self {
            Self::Verify { username, link } => Parts {
                subject: "Confirm your e-mail address",
                paragraphs: vec![
                    format!("Welcome, {username}."),
                    "Confirm that this address is yours, and your account is ready. The link works once, within 24 hours."
                        .into(),
                ],
                button: Some(("Confirm the address", link.expose())),
                closing: NOT_YOU,
            },
            Self::AlreadyRegistered { username, sign_in, forgot } => Parts {
                subject: "You have an account already",
                paragraphs: vec![
                    "Somebody, probably you, wanted to register with this address. It has an account already.".into(),
                    format!("Its name is {username}. Sign in here: {sign_in}"),
                ],
                button: Some(("Set a new password", forgot)),
                closing: "If this was not you, you need not do anything: nothing was changed.",
            },
            Self::Reset { username, link } => Parts {
                subject: "Set a new password",
                paragraphs: vec![
                    format!("Hello {username},"),
                    "you asked for a new password. The link works once, within one hour. Setting a new password signs \
                     you out everywhere."
                        .into(),
                ],
                button: Some(("Set a new password", link.expose())),
                closing: NOT_YOU,
            },
            Self::Compromised { username, link } => Parts {
                subject: "Your password must be changed",
                paragraphs: vec![
                    format!("Hello {username},"),
                    "your password is known to be in the wrong hands, so we did not sign you in with it. Set a new one, \
                     and use it nowhere else. The link works once, within one hour."
                        .into(),
                ],
                button: Some(("Set a new password", link.expose())),
                closing: "If it was not you who tried to sign in, somebody else knows your password: change it now.",
            },
            Self::PasswordChanged { username, at, forgot } => Parts {
                subject: "Your password was changed",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("the password of your account was changed on {}.", day(*at)),
                    "Other devices were signed out.".into(),
                ],
                button: Some(("It was not me: set a new password", forgot)),
                closing: "If it was you, you need not do anything.",
            },
            Self::FactorAdded { username, at, security, kind } => Parts {
                subject: "A second factor was added",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("{} was added to your account on {}. It is asked for at sign-in from now on.", factor(*kind), day(*at)),
                ],
                button: Some(("Look at your security settings", security)),
                closing: IF_NOT_YOU,
            },
            Self::FactorRemoved { username, at, security, kind } => Parts {
                subject: "A second factor was removed",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("{} was removed from your account on {}.", factor(*kind), day(*at)),
                ],
                button: Some(("Look at your security settings", security)),
                closing: IF_NOT_YOU,
            },
            Self::RecoveryCodeUsed { username, at, security, remaining } => Parts {
                subject: "A recovery code was used",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("one of your recovery codes was used on {}; {remaining} are left.", day(*at)),
                    "If few are left, make new ones: the old ones end with that.".into(),
                ],
                button: Some(("Look at your security settings", security)),
                closing: IF_NOT_YOU,
            },
            Self::ApiKeyCreated { username, at, security, hint } => Parts {
                subject: "An API key was made",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("a key for programs was made for your account on {}. It begins with {hint}.", day(*at)),
                ],
                button: Some(("Look at your keys", security)),
                closing: IF_NOT_YOU,
            },
            Self::EmailChange { username, link } => Parts {
                subject: "Confirm your new e-mail address",
                paragraphs: vec![
                    format!("Hello {username},"),
                    "confirm that this address is yours, and it becomes the address of your account. The link works once, \
                     within one hour."
                        .into(),
                ],
                button: Some(("Confirm the address", link.expose())),
                closing: NOT_YOU,
            },
            Self::AddressTaken { sign_in, forgot } => Parts {
                subject: "You have an account already",
                paragraphs: vec![
                    "Somebody wanted this address for another account. It has an account already, so nothing was changed.".into(),
                    format!("Sign in here: {sign_in}"),
                ],
                button: Some(("Set a new password", forgot)),
                closing: "If this was not you, you need not do anything: nothing was changed.",
            },
            Self::EmailChangeAsked { username, at, forgot } => Parts {
                subject: "Another e-mail address was asked for",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("on {} somebody who is signed in to your account asked for another e-mail address. Until it is \
                             confirmed there, this one stays.", day(*at)),
                ],
                button: Some(("It was not me: set a new password", forgot)),
                closing: "If it was you, you need not do anything.",
            },
            Self::EmailChanged { username, at, forgot } => Parts {
                subject: "Your e-mail address was changed",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!("since {} another address belongs to your account, and this one does not any more.", day(*at)),
                ],
                button: Some(("Sign in or set a new password", forgot)),
                closing: "If this was not you, ask the operator of this service for help at once: this message proves that \
                          the address was yours.",
            },
            Self::RefreshReused { username, at, sign_in } => Parts {
                subject: "We signed one of your devices out",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!(
                        "on {} a sign-in ticket of one of your devices was used a second time. Two devices with the same \
                         ticket mean that it was copied, so we signed both out.",
                        day(*at)
                    ),
                ],
                button: Some(("Sign in again", sign_in)),
                closing: "If this happens again, check the device for malware and change your password.",
            },
            Self::ConfirmSignIn { username, facts, link } => Parts {
                subject: "Is it you who wants to sign in?",
                paragraphs: told(
                    format!("Hello {username}, somebody gave your right password, and we did not let them in yet."),
                    facts,
                    "If it is you, open the page, say so, and sign in again within 15 minutes.",
                ),
                button: Some(("Answer", link.expose())),
                closing: "If it is not you, say so on that page: somebody knows your password, and it must be changed.",
            },
            Self::NewSignIn { username, facts, link } => Parts {
                subject: "A new sign-in to your account",
                paragraphs: told(format!("Hello {username}, somebody signed in to your account."), facts, ""),
                button: Some(("It was not me", link.expose())),
                closing: "If it was you, you need not do anything. If not, the button signs everybody out and lets you \
                          set a new password.",
            },
            Self::SignInDenied { username, facts, forgot } => Parts {
                subject: "We kept somebody out of your account",
                paragraphs: told(
                    format!("Hello {username}, somebody gave your right password, and we did not let them in."),
                    facts,
                    "Somebody else probably knows your password, so set a new one. If it was you, try again from a \
                     device and a network that you have used before.",
                ),
                button: Some(("Set a new password", forgot)),
                closing: "Use the new password nowhere else.",
            },
            Self::BreakGlass { username, administrator, resource, reason, until, sign_in } => Parts {
                subject: "An administrator opened something private of yours",
                paragraphs: vec![
                    format!("Hello {username},"),
                    format!(
                        "the administrator {administrator} opened {resource}, which is yours and private, and can look at it \
                         until {}.",
                        day(*until)
                    ),
                    format!("They gave this reason: {reason}"),
                ],
                button: Some(("Sign in", sign_in)),
                closing: "This is on record. If you do not understand why, ask the people who run this service.",
            },
            Self::Offer { username, by, resource, until, page } => Parts {
                subject: "Somebody wants to share something with you",
                paragraphs: vec![
                    format!("Hello {username},"),
                    match until {
                        Some(until) => format!("{by} offers to share {resource} with you, until {}.", day(*until)),
                        None => format!("{by} offers to share {resource} with you."),
                    },
                ],
                button: Some(("Look at the offer", page)),
                closing: "Nothing is shared unless you accept. If you do not know them, you need not do anything.",
            },
        }
    }
}

/// Greeting, facts, reasons, advice.
fn told(greeting: String, facts: &Facts, advice: &str) -> Vec<String> {
    let parts = [greeting, facts.sentence(), facts.why(), advice.to_owned()];
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

const IF_NOT_YOU: &str = "If this was not you, set a new password now and sign out all other devices.";

const fn factor(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "An authenticator app",
        FactorKind::Passkey => "A passkey",
        FactorKind::RecoveryCode => "A set of recovery codes",
    }
}

/// Minutes are exact enough for people.
fn day(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(time)) => format!("{date} at {time} UTC"),
        _ => text,
    }
}

fn plain(parts: &Parts<'_>) -> String {
    let mut text = parts.paragraphs.join("\n\n");
    if let Some((label, address)) = parts.button {
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
    if let Some((label, address)) = parts.button {
        body.push_str(&format!(
            "<p><a href=\"{0}\" style=\"display:inline-block;padding:10px 16px;border-radius:6px;background:#1f4e79;\
             color:#ffffff;text-decoration:none\">{1}</a></p>\n<p style=\"font-size:13px;color:#555555\">{0}</p>\n",
            escape(address),
            escape(label)
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font-family:sans-serif;line-height:1.5;color:#1b1b1b;max-width:34em;margin:2em auto;padding:0 1em\">\n\
         {body}<p style=\"color:#555555\">{}</p>\n</body></html>\n",
        escape(parts.subject),
        escape(parts.closing)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_says_its_link_in_both_forms_and_escapes_it() {
        let username: Username = "ada".parse().unwrap();
        let link = Secret::new("https://x.example/a?b=1&c=\"2\"".to_owned());
        let at = Timestamp::from_millis(1_767_323_045_678);
        let page = "https://x.example/p?q=1&r";
        let facts = Facts {
            at,
            address: Some("192.0.2.7".into()),
            country: Some("DE".into()),
            agent: Some("Firefox <b>".into()),
            reasons: vec!["from a new place"],
        };
        for letter in [
            Letter::Verify { username: &username, link: &link },
            Letter::AlreadyRegistered { username: &username, sign_in: page, forgot: page },
            Letter::Reset { username: &username, link: &link },
            Letter::Compromised { username: &username, link: &link },
            Letter::PasswordChanged { username: &username, at, forgot: page },
            Letter::RefreshReused { username: &username, at, sign_in: page },
            Letter::FactorAdded { username: &username, at, security: page, kind: FactorKind::Totp },
            Letter::FactorRemoved { username: &username, at, security: page, kind: FactorKind::Passkey },
            Letter::RecoveryCodeUsed { username: &username, at, security: page, remaining: 9 },
            Letter::ApiKeyCreated { username: &username, at, security: page, hint: "ftm_Abc" },
            Letter::EmailChange { username: &username, link: &link },
            Letter::AddressTaken { sign_in: page, forgot: page },
            Letter::EmailChangeAsked { username: &username, at, forgot: page },
            Letter::EmailChanged { username: &username, at, forgot: page },
            Letter::ConfirmSignIn { username: &username, facts: &facts, link: &link },
            Letter::NewSignIn { username: &username, facts: &facts, link: &link },
            Letter::SignInDenied { username: &username, facts: &facts, forgot: page },
            Letter::BreakGlass {
                username: &username,
                administrator: "root",
                resource: "track/7",
                reason: "a court order",
                until: at,
                sign_in: page,
            },
            Letter::Offer { username: &username, by: "bob", resource: "track/7", until: None, page },
            Letter::Offer { username: &username, by: "bob", resource: "track/7", until: Some(at), page },
        ] {
            let written = letter.write();
            let address = if written.text.contains(page) { page } else { link.expose().as_str() };
            assert!(written.text.contains(address), "{}", letter.kind());
            assert!(written.html.contains(&format!("href=\"{}\"", escape(address))), "{}", letter.kind());
            assert!(!written.html.contains(address), "{}: not escaped", letter.kind());
            // A stranger's address is not told whose account wanted it.
            let names = !matches!(letter, Letter::AddressTaken { .. });
            assert_eq!(written.text.contains("ada"), names, "{}", letter.kind());
        }
        let told = Letter::NewSignIn { username: &username, facts: &facts, link: &link }.write();
        assert!(told.text.contains("from the network address 192.0.2.7 (country DE)"), "{}", told.text);
        assert!(told.text.contains("because it was from a new place."));
        assert!(told.html.contains("Firefox &lt;b&gt;") && !told.html.contains("<b>"));
        let changed = Letter::PasswordChanged { username: &username, at, forgot: page }.write();
        assert!(changed.text.contains("on 2026-01-02 at 03:04 UTC."));
    }
}
