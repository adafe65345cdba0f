//! A lock on an account: what the hard stop of AUTH-3 means for who is already in.
//!
//! Strangers who guess at the door reach the stop of a *name*, and lock nobody: the owner's devices have budgets of their
//! own, and sessions that are open go on. A password that is asked for *again* is guessed from within a session, so
//! whoever guesses it again and again (`[attempts] hard_stop`) sits in a session that is not theirs. Then the policies allow nothing more to the
//! account (`condition.locked`), in no session and by no key, until its owner sets a new password by a mailed link, which
//! ends every session, or an operator lifts it.

use audit::{Event, Outcome};
use base::{Actor, Id, kind};
use store::{Change, Tx, params};

use crate::account::Account;
use crate::attempt::Authenticator;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{Error, RequestMeta};

store::sql! {
    LOCK = "UPDATE account SET locked_at = $2 WHERE account_id = $1 AND locked_at IS NULL";
    UNLOCK = "UPDATE account SET locked_at = NULL WHERE account_id = $1 AND locked_at IS NOT NULL";
}

impl Inner {
    /// Locks the account in the transaction that counted the last wrong password, and tells its owner the way out.
    pub(crate) async fn lock(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let now = self.now();
        if tx.execute(LOCK, params![account, now]).await? == 0 {
            return Ok(());
        }
        let event = Event::AccountLocked { reason: "wrong-passwords-again", until: None };
        self.audit.append(tx, &self.record(meta, event).about(account).ended(Outcome::Denied)).await?;
        tx.announce(Change::Account(account));
        let owner = Account::load(tx, account).await?;
        let email = owner.email(self, tx).await?;
        let forgot = self.page("forgot");
        let letter = Letter::AccountLocked { username: &owner.username, at: now, forgot: &forgot };
        self.queue_mail(tx, &owner, &email, &letter).await
    }

    /// Ends the lock and what was counted towards it; `false` if there was none. The caller commits the change.
    pub(crate) async fn unlock(
        &self,
        tx: &mut Tx,
        account: &Account,
        reason: &'static str,
        by: Actor,
        meta: &RequestMeta,
    ) -> Result<bool, Error> {
        let guess = self.guess(Authenticator::PasswordAgain, account.id.as_bytes(), None, meta);
        self.forget_failures(tx, &guess).await?;
        if tx.execute(UNLOCK, params![account.id]).await? == 0 {
            return Ok(false);
        }
        let event = Event::AccountUnlocked { reason };
        self.audit.append(tx, &self.record(meta, event).by(by).about(account.id)).await?;
        tx.announce(Change::Account(account.id));
        Ok(true)
    }
}
