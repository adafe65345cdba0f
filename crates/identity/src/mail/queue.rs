//! Putting a letter into the outbox, within the transaction of its cause.

use std::hint::black_box;

use base::{Email, Id, Language, Timestamp, Username, kind};
use keys::{Field, Purpose};
use store::{Job, Tx, params};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::mail::letter::Letter;
use crate::mail::message;
use crate::service::Inner;
use crate::{AccountCaller, Error};

store::sql! {
    INSERT = "INSERT INTO mail (mail_id, account_id, kind, body_sealed, state, attempts, created_at) \
        VALUES ($1, $2, $3, $4, 'queued', 0, $5)";
}

impl Inner {
    /// Writes the letter in the owner's language, seals it under the account's key and queues its delivery. `to` need not
    /// be the account's address: a notice about a new address goes to the old one.
    pub(crate) async fn queue_mail(
        &self,
        tx: &mut Tx,
        owner: &Account,
        to: &Email,
        letter: &Letter<'_>,
    ) -> Result<(), Error> {
        let mail = Id::new(&self.clock, &self.entropy);
        let body = self.written(mail, to, letter, owner.language)?;
        self.queue_written(tx, owner, mail, letter.kind(), &body).await
    }

    /// Writes two letters, each in its language, and queues the first: which of them goes out does not show in the time.
    pub(crate) async fn queue_first(
        &self,
        tx: &mut Tx,
        owner: &Account,
        to: &Email,
        [(letter, language), (other, others)]: [(&Letter<'_>, Language); 2],
    ) -> Result<(), Error> {
        let mail = Id::new(&self.clock, &self.entropy);
        let body = self.written(mail, to, letter, language)?;
        black_box(self.written(mail, to, other, others)?);
        self.queue_written(tx, owner, mail, letter.kind(), &body).await
    }

    /// Does as if the letter were queued: everything but its row, and a job that finds nothing to deliver.
    pub(crate) async fn queue_nothing(
        &self,
        tx: &mut Tx,
        to: &Email,
        letter: &Letter<'_>,
        language: Language,
    ) -> Result<(), Error> {
        let mail: Id<kind::Mail> = Id::new(&self.clock, &self.entropy);
        let body = self.written(mail, to, letter, language)?;
        let place = Field { table: "mail", column: "body", row: *mail.as_bytes() };
        black_box(self.keys.seal_system(Purpose::Audit, place, &body));
        self.enqueue(tx, &Job::DeliverMail { mail }).await
    }

    fn written(
        &self,
        mail: Id<kind::Mail>,
        to: &Email,
        letter: &Letter<'_>,
        language: Language,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let from = &self.delivery.from;
        Ok(Zeroizing::new(message::build(mail, self.now(), from, to, letter, language)?))
    }

    async fn queue_written(
        &self,
        tx: &mut Tx,
        owner: &Account,
        mail: Id<kind::Mail>,
        kind: &str,
        body: &[u8],
    ) -> Result<(), Error> {
        let sealed = self.seal(tx, owner.id, ("mail", "body", *mail.as_bytes()), body).await?;
        tx.execute(INSERT, params![mail, owner.id, kind, sealed, self.now()]).await?;
        self.enqueue(tx, &Job::DeliverMail { mail }).await
    }

    /// Tells an account's owner of a change, at the account's address.
    pub(crate) async fn tell_account(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        letter: impl for<'a> FnOnce(&'a Username, Timestamp, &'a str) -> Letter<'a>,
    ) -> Result<(), Error> {
        let owner = Account::load(tx, account).await?;
        let email = owner.email(self, tx).await?;
        let security = self.page("security");
        self.queue_mail(tx, &owner, &email, &letter(&owner.username, self.now(), &security)).await
    }

    /// As [`Inner::tell_account`], for the caller.
    pub(crate) async fn tell(
        &self,
        tx: &mut Tx,
        caller: &AccountCaller,
        letter: impl for<'a> FnOnce(&'a Username, Timestamp, &'a str) -> Letter<'a>,
    ) -> Result<(), Error> {
        self.tell_account(tx, caller.account, letter).await
    }
}
