//! Finding the account that somebody wants to share something with, and telling its owner.

use base::{Id, Timestamp, kind};
use store::{Tx, params};

use crate::account::{self, Account};
use crate::mail::Letter;
use crate::{AccountStatus, Error, Identity};

/// What the receiver of an offer is told.
#[derive(Debug, Clone, Copy)]
pub struct OfferNotice<'a> {
    /// Who offers.
    pub by: Id<kind::Account>,
    /// Who may accept.
    pub receiver: Id<kind::Account>,
    /// `track/42`.
    pub resource: &'a str,
    /// When the access would end by itself.
    pub until: Option<Timestamp>,
}

impl Identity {
    /// The active account with this username or e-mail address. Whether there is one must not be told to who asks.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn receiver(&self, name: &str) -> Result<Option<Id<kind::Account>>, Error> {
        let found = self.0.find_by_name(name).await?.holder;
        Ok(found.filter(|account| account.status == AccountStatus::Active).map(|account| account.id))
    }

    /// Writes the letter to the receiver into the transaction of the offer; none if they had enough of them lately, for
    /// the offer stands on their page in any case.
    ///
    /// # Errors
    /// [`Error::NotFound`] if an account is gone; failures of store and keys.
    pub async fn tell_offer(&self, tx: &mut Tx, notice: &OfferNotice<'_>) -> Result<(), Error> {
        let inner = &*self.0;
        let by = Account::find(tx, account::BY_ID, params![notice.by]).await?.ok_or(Error::NotFound)?;
        let to = Account::find(tx, account::BY_ID, params![notice.receiver]).await?.ok_or(Error::NotFound)?;
        let address = to.email(inner, tx).await?;
        if !inner.within_mail_budget(tx, inner.email_index(&address), "offer").await? {
            return Ok(());
        }
        let page = inner.page("sharing");
        let letter = Letter::Offer {
            username: &to.username,
            by: by.username.as_str(),
            resource: notice.resource,
            until: notice.until,
            page: &page,
        };
        inner.queue_mail(tx, &to, &address, &letter).await
    }

    /// The address of one of the account's pages, as people reach it: `sharing` is `https://…/account/sharing`.
    pub fn page_address(&self, name: &str) -> String {
        self.0.page(name)
    }
}
