//! Putting a letter into the outbox, within the transaction of its cause.

use base::{Email, Id, Timestamp, Username, kind};
use store::{Job, Tx, params};

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
        let (mail, account) = (Id::new(&self.clock, &self.entropy), owner.id);
        let now = self.now();
        let message = message::build(mail, now, &self.delivery.from, to, letter, owner.language)?;
        let body = zeroize::Zeroizing::new(message);
        let sealed = self.seal(tx, account, ("mail", "body", *mail.as_bytes()), &body).await?;
        tx.execute(INSERT, params![mail, account, letter.kind(), sealed, now]).await?;
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
