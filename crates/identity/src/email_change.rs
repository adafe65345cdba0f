//! Another address for an account: confirmed at the new one, told to the old one.

use audit::Event;
use base::{Email, Scope, constant_time_eq};
use store::{Change, Tx, params};

use crate::account::Account;
use crate::error::retry_races;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{AccountCaller, AccountStatus, Error, Identity, RequestMeta, secret_text};

store::sql! {
    WISH = "INSERT INTO email_change (account_id, code_hash, email_sealed, email_index, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id) DO UPDATE SET code_hash = $2, email_sealed = $3, \
        email_index = $4, created_at = $5, expires_at = $6";
    /// Uses the link up. Of two at once one gets the row.
    TAKE = "DELETE FROM email_change WHERE code_hash = $1 AND expires_at > $2 \
        RETURNING account_id, email_sealed, email_index";
    SET = "UPDATE account SET email_sealed = $2, email_index = $3, updated_at = $4 \
        WHERE account_id = $1 AND status = 'active'";
    TAKEN = "SELECT count(*) FROM account WHERE email_index = $1 AND status <> 'pending'";
}

impl Identity {
    /// Asks for another address. A link goes to the new one and a notice to the old one; nothing changes before the
    /// link is followed. Whether the new address has an account already is told to that address only.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`]; failures of the store.
    pub async fn change_email(
        &self,
        caller: &AccountCaller,
        email: &Email,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        self.evenly(async { retry_races!(self.0.wish_email(caller, email, meta)) }).await
    }

    /// Follows the link at the new address.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] (also if the address got an account meanwhile); failures of the store.
    pub async fn confirm_email(&self, code: &str, meta: &RequestMeta) -> Result<(), Error> {
        let result = retry_races!(self.0.confirm_email(code, meta));
        self.0.note_bad_code(&result, "bad-email-code", meta).await?;
        result
    }
}

impl Inner {
    async fn wish_email(
        &self,
        caller: &AccountCaller,
        email: &Email,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let index = self.email_index(email);
        let mut tx = self.db.begin(Scope::System("change of address")).await?;
        self.must_be_fresh(&mut tx, caller).await?;
        let within = self.within_mail_budget(&mut tx, index, "email_change").await?;
        let account = Account::load(&mut tx, caller.account).await?;
        let old = account.email(self, &mut tx).await?;
        if constant_time_eq(old.as_str().as_bytes(), email.as_str().as_bytes()) {
            return Err(Error::Conflict("This is the account's address already."));
        }
        let code = secret_text::random(&self.entropy);
        let now = self.now();
        let row = *caller.account.as_bytes();
        let sealed =
            self.seal(&mut tx, caller.account, ("account", "email", row), email.as_str().as_bytes()).await?;
        tx.execute(
            WISH,
            params![
                caller.account,
                secret_text::hash(code.expose()),
                sealed,
                index,
                now,
                now.plus_ms(self.settings.reset_ttl_ms)
            ],
        )
        .await?;
        if within {
            let taken: i64 = tx.query_one(TAKEN, params![index]).await?.get(0)?;
            let (sign_in, forgot) = (self.page("sign-in"), self.page("forgot"));
            let link = self.link("email", &code);
            let letter = if taken == 0 {
                Letter::EmailChange { username: &account.username, link: &link }
            } else {
                // The link is thrown away: an address that has an account does not become another one's.
                Letter::AddressTaken { sign_in: &sign_in, forgot: &forgot }
            };
            self.queue_mail(&mut tx, &account, email, &letter).await?;
        }
        let forgot = self.page("forgot");
        let letter = Letter::EmailChangeAsked { username: &account.username, at: now, forgot: &forgot };
        self.queue_mail(&mut tx, &account, &old, &letter).await?;
        let event = Event::AccountProfileChanged { fields: &["email-wished"] };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(caller.account)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn confirm_email(&self, code: &str, meta: &RequestMeta) -> Result<(), Error> {
        if !secret_text::is_plausible(code, "") {
            return Err(Error::InvalidCode);
        }
        let mut tx = self.db.begin(Scope::System("change of address")).await?;
        let now = self.now();
        let row =
            tx.query_opt(TAKE, params![secret_text::hash(code), now]).await?.ok_or(Error::InvalidCode)?;
        let index: [u8; 32] = row.get(2)?;
        let account = Account::load(&mut tx, row.get(0)?).await?;
        if account.status != AccountStatus::Active
            || tx.query_one(TAKEN, params![index]).await?.get::<i64>(0)? > 0
        {
            return Err(Error::InvalidCode);
        }
        let old = account.email(self, &mut tx).await?;
        tx.execute(SET, params![account.id, row.get::<Vec<u8>>(1)?, index, now]).await?;
        let forgot = self.page("forgot");
        let letter = Letter::EmailChanged { username: &account.username, at: now, forgot: &forgot };
        self.queue_mail(&mut tx, &account, &old, &letter).await?;
        self.finish_email(tx, &account, meta).await
    }

    async fn finish_email(&self, mut tx: Tx, account: &Account, meta: &RequestMeta) -> Result<(), Error> {
        let event = Event::AccountProfileChanged { fields: &["email"] };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(account.id)).await?;
        tx.announce(Change::Account(account.id));
        self.commit_change(tx, Change::Account(account.id)).await
    }
}
