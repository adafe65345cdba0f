//! What we write to people. One source per letter gives the plain text and the HTML.

use base::{Secret, Timestamp, Username};

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
    /// A used refresh token came back.
    RefreshReused { username: &'a Username, at: Timestamp, sign_in: &'a str },
    /// An administrator looks at something private of yours.
    BreakGlass {
        username: &'a Username,
        administrator: &'a str,
        resource: &'a str,
        reason: &'a str,
        until: Timestamp,
        sign_in: &'a str,
    },
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
            Self::BreakGlass { .. } => "break_glass",
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
        }
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
        for letter in [
            Letter::Verify { username: &username, link: &link },
            Letter::AlreadyRegistered { username: &username, sign_in: page, forgot: page },
            Letter::Reset { username: &username, link: &link },
            Letter::Compromised { username: &username, link: &link },
            Letter::PasswordChanged { username: &username, at, forgot: page },
            Letter::RefreshReused { username: &username, at, sign_in: page },
            Letter::BreakGlass {
                username: &username,
                administrator: "root",
                resource: "track/7",
                reason: "a court order",
                until: at,
                sign_in: page,
            },
        ] {
            let written = letter.write();
            let address = if written.text.contains(page) { page } else { link.expose().as_str() };
            assert!(written.text.contains(address), "{}", letter.kind());
            assert!(written.html.contains(&format!("href=\"{}\"", escape(address))), "{}", letter.kind());
            assert!(!written.html.contains(address), "{}: not escaped", letter.kind());
            assert!(written.text.contains("ada"), "{}", letter.kind());
        }
        let changed = Letter::PasswordChanged { username: &username, at, forgot: page }.write();
        assert!(changed.text.contains("on 2026-01-02 at 03:04 UTC."));
    }
}
