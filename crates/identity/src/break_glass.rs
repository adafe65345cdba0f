//! Telling somebody that an administrator looks at something private of theirs.

use base::{Id, Timestamp, kind};
use store::{Tx, params};

use crate::account::{self, Account};
use crate::mail::Letter;
use crate::{Error, Identity};

/// What the owner is told.
#[derive(Debug, Clone, Copy)]
pub struct GlassNotice<'a> {
    /// Whose object it is.
    pub owner: Id<kind::Account>,
    /// Who looks.
    pub administrator: Id<kind::Account>,
    /// `track/42`.
    pub resource: &'a str,
    /// Why, in the administrator's words.
    pub reason: &'a str,
    /// Until when.
    pub until: Timestamp,
}

impl Identity {
    /// Writes the letter into the transaction of the grant: without it there is no grant.
    ///
    /// # Errors
    /// [`Error::NotFound`] if an account is gone; failures of store and keys.
    pub async fn tell_break_glass(&self, tx: &mut Tx, notice: &GlassNotice<'_>) -> Result<(), Error> {
        let inner = &*self.0;
        let owner = Account::find(tx, account::BY_ID, params![notice.owner]).await?.ok_or(Error::NotFound)?;
        let administrator =
            Account::find(tx, account::BY_ID, params![notice.administrator]).await?.ok_or(Error::NotFound)?;
        let to = owner.email(inner, tx).await?;
        let sign_in = inner.page("sign-in");
        let letter = Letter::BreakGlass {
            username: &owner.username,
            administrator: administrator.username.as_str(),
            resource: notice.resource,
            reason: notice.reason,
            until: notice.until,
            sign_in: &sign_in,
        };
        inner.queue_mail(tx, &owner, &to, &letter).await
    }
}
