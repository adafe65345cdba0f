//! Delivery by the job worker.

use audit::{Event, Outcome, Record};
use base::{Actor, Email, Id, Scope, Timestamp, kind};
use keys::{Field, Subject};
use lettre::message::Mailbox;
use store::params;
use zeroize::Zeroizing;

use crate::mail::outbox::Folder;
use crate::mail::smtp::Smtp;
use crate::{Error, Identity, Mailer, Settings};

store::sql! {
    /// A message that waits.
    QUEUED = "SELECT account_id, kind, body_sealed, attempts, created_at FROM mail \
        WHERE mail_id = $1 AND state = 'queued'";
    DELIVERED = "UPDATE mail SET state = 'delivered', delivered_at = $3, body_sealed = NULL, attempts = attempts + 1 \
        WHERE mail_id = $1 AND account_id = $2 AND state = 'queued'";
    FAILED_ONCE = "UPDATE mail SET attempts = attempts + 1 WHERE mail_id = $1 AND account_id = $2 AND state = 'queued'";
    FAILED = "UPDATE mail SET state = 'failed', body_sealed = NULL, attempts = attempts + 1 \
        WHERE mail_id = $1 AND account_id = $2 AND state = 'queued'";
}

/// After this long a message is of no use: its links have ended.
const TOO_OLD_MS: i64 = 24 * 3_600_000;

/// Why a message was not delivered. Texts hold no personal data.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Try again later: the job worker's backoff decides when.
    #[error("delivery failed for now: {0}")]
    Later(String),
    /// It will never work; the message is marked as failed and the job is done.
    #[error("delivery is impossible: {0}")]
    Never(String),
}

impl From<Error> for DeliveryError {
    fn from(error: Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// Where messages go, ready for use.
pub(crate) struct Delivery {
    pub(crate) from: Mailbox,
    pub(crate) way: Way,
}

pub(crate) enum Way {
    Folder(Folder),
    Smtp(Smtp),
}

impl Delivery {
    pub(crate) fn open(mailer: Mailer, settings: &Settings) -> Result<Self, Error> {
        let from = settings.mail_from.parse().map_err(|_| {
            Error::Settings("the sender of mails must look like: Fortissimo <no-reply@example.com>")
        })?;
        let way = match mailer {
            Mailer::Outbox { dir } => Way::Folder(Folder { dir, sealed: true }),
            Mailer::OutboxPlain { dir } => Way::Folder(Folder { dir, sealed: false }),
            Mailer::Smtp(config) => Way::Smtp(Smtp::open(config)?),
        };
        Ok(Self { from, way })
    }
}

struct Queued {
    account: Id<kind::Account>,
    kind: String,
    attempts: u32,
    created_at: Timestamp,
    to: Email,
    body: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// Delivers one queued message; called by the job worker, never in a request. A message that was delivered
    /// already (or whose account is gone) is done.
    ///
    /// # Errors
    /// [`DeliveryError`]; `Later` leaves the message in the queue.
    pub async fn deliver_mail(&self, mail: Id<kind::Mail>) -> Result<(), DeliveryError> {
        let Some(queued) = self.queued(mail).await? else { return Ok(()) };
        let result = if self.0.now().since_ms(queued.created_at) > TOO_OLD_MS {
            Err(DeliveryError::Never("the message became too old".into()))
        } else {
            self.hand_over(mail, &queued).await
        };
        self.note(mail, &queued, &result).await?;
        result
    }

    async fn queued(&self, mail: Id<kind::Mail>) -> Result<Option<Queued>, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(Scope::System("mail delivery")).await?;
        let Some(row) = tx.query_opt(QUEUED, params![mail]).await? else { return Ok(None) };
        let account: Id<kind::Account> = row.get(0)?;
        let field = Field { table: "mail", column: "body", row: *mail.as_bytes() };
        let body =
            inner.keys.open_field(&mut tx, Subject::Account(account), field, &row.get::<Vec<u8>>(2)?).await?;
        // The message says where it goes: a notice about a new address goes to the old one.
        let to = mail_parser::MessageParser::default()
            .parse(body.as_slice())
            .and_then(|message| message.to()?.first()?.address()?.parse::<Email>().ok())
            .ok_or_else(|| Error::internal("a queued message has no recipient"))?;
        Ok(Some(Queued {
            account,
            kind: row.get(1)?,
            attempts: row.get(3)?,
            created_at: row.get(4)?,
            to,
            body,
        }))
    }

    async fn hand_over(&self, mail: Id<kind::Mail>, queued: &Queued) -> Result<(), DeliveryError> {
        match &self.0.delivery.way {
            Way::Smtp(smtp) => smtp.send(&self.0.delivery.from, &queued.to, &queued.body).await,
            Way::Folder(folder) => {
                let content = if folder.sealed {
                    self.sealed_for_outbox(mail, queued.account, &queued.body).await?
                } else {
                    queued.body.to_vec()
                };
                folder.write(mail, content).await
            }
        }
    }

    /// Notes the outcome, together with its event.
    async fn note(
        &self,
        mail: Id<kind::Mail>,
        queued: &Queued,
        result: &Result<(), DeliveryError>,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let template = audit::Short::new(&queued.kind);
        let now = inner.now();
        let (sql, outcome, event) = match result {
            Ok(()) => (DELIVERED, Outcome::Success, Event::MailDelivered { mail, template }),
            Err(error) => {
                let never = matches!(error, DeliveryError::Never(_));
                let error = audit::Detail::new(&error.to_string());
                let event = Event::MailFailed { mail, template, attempt: queued.attempts + 1, error };
                (if never { FAILED } else { FAILED_ONCE }, Outcome::Failure, event)
            }
        };
        let mut tx = inner.db.begin(Scope::System("mail delivery")).await?;
        if result.is_ok() {
            tx.execute(sql, params![mail, queued.account, now]).await?;
        } else {
            tx.execute(sql, params![mail, queued.account]).await?;
        }
        let record = Record::new(now, event).by(Actor::System("mail")).about(queued.account).ended(outcome);
        inner.audit.append(&mut tx, &record).await?;
        tx.commit().await?;
        Ok(())
    }
}
