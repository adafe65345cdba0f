//! A letter as an RFC 5322 message.

use std::time::{Duration, UNIX_EPOCH};

use base::{Email, Id, Timestamp, kind};
use lettre::message::{Mailbox, MultiPart, header};
use lettre::{Address, Message};

use crate::Error;
use crate::mail::letter::Letter;

/// Builds the message. Its `Message-ID` comes from the outbox row, so that one that was delivered twice (a crash
/// between sending and noting it) is recognised as one.
pub(crate) fn build(
    id: Id<kind::Mail>,
    now: Timestamp,
    from: &Mailbox,
    to: &Email,
    letter: &Letter<'_>,
) -> Result<Vec<u8>, Error> {
    let to: Address = to.as_str().parse().map_err(|_| Error::internal("an address is not one for mail"))?;
    let written = letter.write();
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(written.subject)
        .date(date)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        // Asks auto-responders not to answer (RFC 3834).
        .header(AutoSubmitted)
        .header(header::MIME_VERSION_1_0)
        .multipart(MultiPart::alternative_plain_html(written.text, written.html))
        .map_err(|error| Error::Internal(error.into()))?;
    Ok(message.formatted())
}

/// `Auto-Submitted: auto-generated`.
#[derive(Debug, Clone)]
struct AutoSubmitted;

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
