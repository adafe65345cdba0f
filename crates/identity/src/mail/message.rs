//! A letter as an RFC 5322 message.

use std::time::{Duration, UNIX_EPOCH};

use base::{Email, Id, Language, Timestamp, kind};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart, header};
use lettre::{Address, Message};

use crate::Error;
use crate::mail::letter::Letter;

/// The longest line of RFC 5322, without its end.
const MAX_LINE: usize = 998;

/// Builds the message. Its `Message-ID` comes from the outbox row, so that one that was delivered twice (a crash
/// between sending and noting it) is recognised as one.
pub(crate) fn build(
    id: Id<kind::Mail>,
    now: Timestamp,
    from: &Mailbox,
    to: &Email,
    letter: &Letter<'_>,
    language: Language,
) -> Result<Vec<u8>, Error> {
    let to: Address = to.as_str().parse().map_err(|_| Error::internal("an address is not one for mail"))?;
    let written = letter.write(language);
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(written.subject)
        .date(date)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        // Asks auto-responders not to answer (RFC 3834).
        .header(AutoSubmitted)
        .header(ContentLanguage(language))
        .header(header::MIME_VERSION_1_0)
        .multipart(
            MultiPart::alternative()
                .singlepart(part(header::ContentType::TEXT_PLAIN, written.text))
                .singlepart(part(header::ContentType::TEXT_HTML, written.html)),
        )
        .map_err(|error| Error::Internal(error.into()))?;
    Ok(message.formatted())
}

/// As it is where RFC 5322 allows that (ASCII, lines of at most 998 bytes): whoever reads the source in the outbox gets
/// links that are not broken by quoted-printable, which lettre would choose from 76 bytes on.
fn part(kind: header::ContentType, text: String) -> SinglePart {
    let body = if text.is_ascii() && text.lines().all(|line| line.len() <= MAX_LINE) {
        let lines = text.replace('\n', "\r\n").into_bytes();
        Body::dangerous_pre_encoded(lines, header::ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    };
    SinglePart::builder().header(kind).body(body)
}

/// `Auto-Submitted: auto-generated`.
#[derive(Debug, Clone)]
pub(super) struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// `Content-Language` (RFC 3282).
#[derive(Debug, Clone)]
struct ContentLanguage(Language);

impl header::Header for ContentLanguage {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Content-Language")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(Language::of(text).ok_or("no language of ours")?))
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), self.0.code().to_owned())
    }
}
