//! Messages to operators: not about an account, hence not in its queue. Whoever sends one keeps it until it is delivered.

use std::time::{Duration, UNIX_EPOCH};

use base::{Email, Id, kind};
use lettre::message::{SinglePart, header};
use lettre::{Address, Message};

use super::deliver::{DeliveryError, Way};
use super::message::AutoSubmitted;
use crate::{Error, Identity};

impl Identity {
    /// Sends one plain message to an operator's address, now. `id` becomes its `Message-ID`, so that one which was sent
    /// twice is recognised as one.
    ///
    /// # Errors
    /// [`DeliveryError::Never`] without a mail server; the sealed outbox is for people's own mail.
    pub async fn send_notice(
        &self,
        id: Id<kind::Mail>,
        to: &Email,
        subject: &str,
        text: &str,
    ) -> Result<(), DeliveryError> {
        let delivery = &self.0.delivery;
        let address: Address = to
            .as_str()
            .parse()
            .map_err(|_| DeliveryError::Never("the address is not one for mail".into()))?;
        let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0.now().as_millis()).unwrap_or(0));
        let message = Message::builder()
            .from(delivery.from.clone())
            .to(lettre::message::Mailbox::new(None, address))
            .subject(subject)
            .date(date)
            .message_id(Some(format!("<{id}@{}>", delivery.from.email.domain())))
            .header(AutoSubmitted)
            .header(header::MIME_VERSION_1_0)
            .singlepart(SinglePart::plain(text.to_owned()))
            .map_err(|error| Error::Internal(error.into()))?
            .formatted();
        match &delivery.way {
            Way::Smtp(smtp) => smtp.send(&delivery.from, to, &message).await,
            Way::Folder(folder) if !folder.sealed => folder.write(id, message).await,
            Way::Folder(_) => Err(DeliveryError::Never("there is no mail server".into())),
        }
    }
}
