//! Forgotten, reset and changed passwords (AUTH-1, AUTH-2).

use audit::{Event, Outcome};
use base::{Actor, Email, Id, Scope, Secret, kind};
use keys::Purpose;
use store::{Change, Tx, params};

use crate::account::{self, Account};
use crate::attempt::Authenticator;
use crate::code::CodePurpose;
use crate::error::retry_races;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{AccountCaller, AccountStatus, Error, Identity, RequestMeta, secret_text};

store::sql! {
    /// Sets a password and starts a new epoch, which ends every session of the old one. `$2` is the hash that the
    /// decision was made on: of two changes at once the second finds another one.
    SET = "UPDATE account SET password = $3, pepper_epoch = $4, compromised = FALSE, epoch = epoch + 1, \
        updated_at = $5, password_short = $6 WHERE account_id = $1 AND password = $2 AND status = 'active' RETURNING epoch";
    /// Takes the caller's own session over into the new epoch.
    KEEP = "UPDATE session SET epoch = $3 WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL";
    /// A code that nobody has: written where there is no account, so that both cases write.
    DECOY = "INSERT INTO one_time_code (code_hash, purpose, account_id, created_at, expires_at) \
        VALUES ($1, 'reset', NULL, $2, $2)";
}

impl Identity {
    /// Mails a reset link if there is such an account; the answer never tells.
    ///
    /// # Errors
    /// Failures of the store only.
    pub async fn forgot_password(&self, email: &Email, meta: &RequestMeta) -> Result<(), Error> {
        self.evenly(async { retry_races!(self.0.try_forgot(email, meta)) }).await
    }

    /// Sets a new password by a reset link and ends all sessions. The link also lifts the *compromised* mark.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], [`Error::WeakPassword`] (the link stays usable), [`Error::Busy`], failures of the store.
    pub async fn reset_password(
        &self,
        code: &str,
        password: Secret<String>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let result = self.0.reset(code, &password, meta).await;
        self.0.note_bad_code(&result, "bad-reset-code", meta).await?;
        result
    }

    /// Sets a new password and ends all other sessions.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] if `current` is wrong, [`Error::WeakPassword`], [`Error::Busy`],
    /// [`Error::Conflict`] if it was changed meanwhile, failures of the store.
    pub async fn change_password(
        &self,
        caller: &AccountCaller,
        current: Secret<String>,
        new: Secret<String>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let account = inner.password_again(caller, &current, meta).await?;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        // The password has just been given; a second factor must have been given a little while ago.
        inner.must_have_second_factor(&mut tx, caller).await?;
        let email = account.email(inner, &mut tx).await?;
        let second_factor = inner.has_factor(&mut tx, account.id).await?;
        drop(tx);
        let hash = inner.new_hash(&account, &email, &new, second_factor).await?;
        let mut tx = inner.db.begin(Scope::System("password change")).await?;
        inner.may_be_short(&mut tx, &account, &hash).await?;
        let epoch = inner
            .set_password(&mut tx, &account, &hash)
            .await?
            .ok_or(Error::Conflict("The password was changed by somebody else meanwhile."))?;
        tx.execute(KEEP, params![caller.session, caller.account, epoch]).await?;
        // Whoever had the old password may have let their browser make a passkey.
        inner.drop_upgrades(&mut tx, account.id, "password-change", meta).await?;
        if second_factor {
            // It was given in this session a little while ago, so this password is its owner's.
            inner.vouch_for_password(&mut tx, account.id).await?;
        }
        let event = Event::PasswordChanged {};
        inner.after_new_password(tx, &account, &email, Some(caller.session), event, meta).await
    }
}

/// A hash and the pepper that it has.
struct NewHash {
    hash: String,
    pepper_epoch: u32,
    /// Good only beside a second factor.
    short: bool,
}

impl Inner {
    async fn try_forgot(&self, email: &Email, meta: &RequestMeta) -> Result<(), Error> {
        let index = self.email_index(email);
        let mut tx = self.db.begin(Scope::System("forgotten password")).await?;
        let within = self.within_mail_budget(&mut tx, index, "reset").await?;
        let other = self.stand_in(&mut tx, &index).await?;
        let (found, stand_in) =
            Account::find_either(&mut tx, account::EITHER_BY_EMAIL, index, other).await?.split();
        // A disabled account gets no link: it could do nothing with a password.
        let found = found.filter(|account| account.status == AccountStatus::Active);
        let mut record = self.record(meta, Event::PasswordResetRequested {});
        match found {
            _ if !within => {}
            Some(account) => {
                record.about = Some(account.id);
                let ttl = self.settings.reset_ttl_ms;
                let (code, _) = self.issue_code(&mut tx, CodePurpose::Reset, Some(account.id), ttl).await?;
                let link = self.link("reset", &code);
                let letter = Letter::Reset { username: &account.username, link: &link };
                self.queue_mail(&mut tx, &account, email, &letter).await?;
            }
            None => {
                let code = secret_text::random(&self.entropy);
                tx.execute(DECOY, params![secret_text::hash(code.expose()), self.now()]).await?;
                if let Some(stand_in) = stand_in {
                    let link = self.link("reset", &code);
                    let letter = Letter::Reset { username: &stand_in.username, link: &link };
                    self.queue_nothing(&mut tx, email, &letter, stand_in.language).await?;
                }
            }
        }
        self.audit.append(&mut tx, &record).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn reset(&self, code: &str, password: &Secret<String>, meta: &RequestMeta) -> Result<(), Error> {
        let mut tx = self.db.begin_read(Scope::System("password reset")).await?;
        let id = self.peek_code(&mut tx, CodePurpose::Reset, code).await?;
        let account = Account::load(&mut tx, id).await?;
        let email = account.email(self, &mut tx).await?;
        let second_factor = self.has_factor(&mut tx, id).await?;
        drop(tx);
        let hash = self.new_hash(&account, &email, password, second_factor).await?;
        let mut tx = self.db.begin(Scope::System("password reset")).await?;
        self.may_be_short(&mut tx, &account, &hash).await?;
        // The old password may have been somebody else's too, on any of these devices.
        self.forget_devices(&mut tx, id).await?;
        self.drop_upgrades(&mut tx, id, "password-reset", meta).await?;
        self.consume_code(&mut tx, CodePurpose::Reset, code).await?;
        self.set_password(&mut tx, &account, &hash).await?.ok_or(Error::InvalidCode)?;
        self.password_came_by_mail(&mut tx, id).await?;
        self.after_new_password(tx, &account, &email, None, Event::PasswordReset {}, meta).await
    }

    /// Checks the new password and hashes it. No transaction may be open meanwhile.
    async fn new_hash(
        &self,
        account: &Account,
        email: &Email,
        new: &Secret<String>,
        second_factor: bool,
    ) -> Result<NewHash, Error> {
        let own = [account.username.as_str(), email.as_str()];
        let password = self.acceptable(new, second_factor, &own).await?;
        let short = password.expose().chars().count() < self.settings.password_policy.min_alone;
        let pepper = self.keys.epoch(Purpose::Pepper);
        let pepper_epoch = pepper.number;
        Ok(NewHash { hash: self.pool.hash(password, pepper).await?, pepper_epoch, short })
    }

    /// A short password is only good while there is a second factor: looked at again in the transaction, against one
    /// that is removed meanwhile.
    async fn may_be_short(&self, tx: &mut Tx, account: &Account, new: &NewHash) -> Result<(), Error> {
        tx.query(crate::factor::LOCK, params![account.id]).await?;
        if new.short && !self.has_factor(tx, account.id).await? {
            return Err(Error::Conflict(
                "The second factor was removed meanwhile; choose a longer password.",
            ));
        }
        Ok(())
    }

    /// The account's new epoch; `None` if the password is not the one that was looked at any more.
    async fn set_password(
        &self,
        tx: &mut Tx,
        account: &Account,
        new: &NewHash,
    ) -> Result<Option<i64>, Error> {
        let params =
            params![account.id, &account.password, &new.hash, new.pepper_epoch, self.now(), new.short];
        Ok(tx.query_opt(SET, params).await?.map(|row| row.get(0)).transpose()?)
    }

    /// Ends the (other) sessions and the links of the old password, tells the owner, records it, commits.
    async fn after_new_password(
        &self,
        mut tx: Tx,
        account: &Account,
        email: &Email,
        keep: Option<Id<kind::Session>>,
        event: Event,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        self.end_sessions(&mut tx, account.id, keep).await?;
        self.void_codes(&mut tx, CodePurpose::Reset, account.id).await?;
        // A new password is a new authenticator: its failures begin anew, under both of the account's names.
        for name in [account.username.as_str(), email.as_str()] {
            let guess =
                self.guess(Authenticator::Password, name.as_bytes(), None, &RequestMeta::of(meta.request));
            self.forget_failures(&mut tx, &guess).await?;
        }
        self.unlock(&mut tx, account, "new-password", Actor::Account(account.id), meta).await?;
        let forgot = self.page("forgot");
        let letter = Letter::PasswordChanged { username: &account.username, at: self.now(), forgot: &forgot };
        self.queue_mail(&mut tx, account, email, &letter).await?;
        let record = self.record(meta, event).by_account(account.id).ended(Outcome::Success);
        self.audit.append(&mut tx, &record).await?;
        self.commit_change(tx, Change::Account(account.id)).await
    }
}
