//! Messages: written in the transaction of their cause, delivered by a job, never in a request.

mod deliver;
mod letter;
mod mailer;
mod message;
mod notice;
mod outbox;
mod queue;
mod reader;
mod smtp;
mod words;

pub use deliver::DeliveryError;
pub use mailer::{Mailer, SmtpConfig, SmtpSecurity};
pub use reader::ReadableLetter;

pub(crate) use deliver::{Delivery, Way};
pub(crate) use letter::{Facts, Letter};
