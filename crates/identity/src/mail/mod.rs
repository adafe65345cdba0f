//! Messages: written in the transaction of their cause, delivered by a job, never in a request.

mod deliver;
mod mailer;

pub use deliver::DeliveryError;
pub use mailer::{Mailer, SmtpConfig, SmtpSecurity};
