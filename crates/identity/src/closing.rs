//! Closing one's own account, and erasing accounts (AUTH-6; the first step of PRIV-4).
//!
//! Who closes their account is gone at once: nothing of theirs opens any more. Erased they are after
//! [`Settings::erase_after_ms`](crate::Settings::erase_after_ms), because what is erased cannot be brought back, and a
//! session that was left open at a library must not cost anybody their work. Until then a link in the mail that tells them
//! takes it back; an operator can, too. Then the janitor erases, by the same function as `fortissimo account erase`.
//!
//! Erasing destroys the person's keys and clears what names them: the account's row stays as a tombstone without name,
//! address and password, because objects are still registered as its own, and whoever were given its id next would own
//! them. Its name and its address are free again.

use access::Permit;
use access::actions::UserAdmin;
use audit::{Detail, Erasure, Event};
use base::{Actor, FieldError, Id, Scope, Timestamp, Username, kind};
use store::{Change, Sql, Tx, params};

use crate::account;
use crate::error::retry_races;
use crate::mail::Letter;
use crate::register::SIBLINGS;
use crate::service::{Inner, hex};
use crate::{AccountCaller, AccountStatus, Error, Identity, RequestMeta, secret_text};

/// Accounts that one run of the janitor erases at most; the others wait for the next.
const AT_ONCE: u32 = 100;
/// When one that could not be erased is tried again: those behind it get their turn.
const AGAIN_MS: i64 = 3_600_000;

store::sql! {
    CLOSE = "INSERT INTO account_closing (account_id, code_hash, asked_at, erase_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (account_id) DO UPDATE SET code_hash = $2, asked_at = $3, erase_at = $4";
    /// Uses the link up. Of two at once one gets the row.
    TAKE_BACK = "DELETE FROM account_closing WHERE code_hash = $1 AND erase_at > $2 RETURNING account_id";
    pub(crate) REOPEN = "DELETE FROM account_closing WHERE account_id = $1";
    LATER = "UPDATE account_closing SET erase_at = $2 WHERE account_id = $1";
    DUE = "SELECT account_id FROM account_closing WHERE erase_at <= $1 ORDER BY erase_at LIMIT $2";
    /// Takes one that is still due: it may have been taken back since it was looked for.
    TAKE_DUE = "DELETE FROM account_closing WHERE account_id = $1 AND erase_at <= $2 RETURNING account_id";
    TOMBSTONE = "UPDATE account SET status = 'disabled', username = $2, email_index = $3, email_sealed = $6, \
        full_name_sealed = NULL, password = $4, pepper_epoch = NULL, locale = NULL, attempt_network = NULL, epoch = epoch + 1, updated_at = $5 \
        WHERE account_id = $1";
    WIPE_SESSION = "DELETE FROM session WHERE account_id = $1";
    WIPE_REFRESH_TOKEN = "DELETE FROM refresh_token WHERE account_id = $1";
    WIPE_ONE_TIME_CODE = "DELETE FROM one_time_code WHERE account_id = $1";
    WIPE_MAIL = "DELETE FROM mail WHERE account_id = $1";
    WIPE_FACTOR = "DELETE FROM factor WHERE account_id = $1";
    WIPE_RECOVERY_CODE = "DELETE FROM recovery_code WHERE account_id = $1";
    WIPE_SIGN_IN_CHALLENGE = "DELETE FROM sign_in_challenge WHERE account_id = $1";
    WIPE_KNOWN_DEVICE = "DELETE FROM known_device WHERE account_id = $1";
    WIPE_EMAIL_CHANGE = "DELETE FROM email_change WHERE account_id = $1";
    WIPE_LOGIN_HISTORY = "DELETE FROM login_history WHERE account_id = $1";
    WIPE_SIGN_IN_NOTICE = "DELETE FROM sign_in_notice WHERE account_id = $1";
    WIPE_PASSKEY = "DELETE FROM passkey WHERE account_id = $1";
    WIPE_API_KEY = "DELETE FROM api_key WHERE account_id = $1";
    WIPE_PROVIDER_LINK = "DELETE FROM provider_link WHERE account_id = $1";
    WIPE_ACCOUNT_CLOSING = "DELETE FROM account_closing WHERE account_id = $1";
}

/// What is deleted with a person, beside what their key opens.
const WIPES: [Sql; 15] = [
    WIPE_SESSION,
    WIPE_REFRESH_TOKEN,
    WIPE_ONE_TIME_CODE,
    WIPE_MAIL,
    WIPE_FACTOR,
    WIPE_RECOVERY_CODE,
    WIPE_SIGN_IN_CHALLENGE,
    WIPE_KNOWN_DEVICE,
    WIPE_EMAIL_CHANGE,
    WIPE_LOGIN_HISTORY,
    WIPE_SIGN_IN_NOTICE,
    WIPE_PASSKEY,
    WIPE_API_KEY,
    WIPE_PROVIDER_LINK,
    WIPE_ACCOUNT_CLOSING,
];

impl Identity {
    /// Closes the caller's account: it ends everywhere at once and is erased later. Gives the time of that. `typed` must be
    /// the account's name: a click that slipped closes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name; [`Error::ReauthenticationRequired`]; [`Error::Conflict`] for the last active super_admin; failures of store and keys.
    pub async fn close_account(
        &self,
        caller: &AccountCaller,
        typed: &Username,
        meta: &RequestMeta,
    ) -> Result<Timestamp, Error> {
        let inner = &*self.0;
        let id = caller.account;
        let (mut tx, account) = inner.begin_change(id, true).await?;
        if account.username != *typed {
            let detail = "must be the name of your account".to_owned();
            return Err(Error::Invalid(vec![FieldError { pointer: "/username".to_owned(), detail }]));
        }
        inner.must_be_fresh(&mut tx, caller).await?;
        inner.switch(&mut tx, id, AccountStatus::Active, AccountStatus::Disabled).await?;
        inner.end_sessions(&mut tx, id, None).await?;
        let (code, now) = (secret_text::random(&inner.entropy), inner.now());
        let erase_at = now.plus_ms(inner.settings.erase_after_ms);
        tx.execute(CLOSE, params![id, secret_text::hash(code.expose()), now, erase_at]).await?;
        let link = inner.link("reopen", &code);
        let letter = Letter::AccountClosed { username: &account.username, at: erase_at, link: &link };
        let email = account.email(inner, &mut tx).await?;
        inner.queue_mail(&mut tx, &account, &email, &letter).await?;
        let event = Event::AccountDisabled { reason: Some(Detail::new("closed by its owner")) };
        inner.finish_change(tx, id, event, Actor::Account(id), meta).await?;
        Ok(erase_at)
    }

    /// Takes the closing of an account back by the link of its mail. Nobody is signed in by that.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], also when the time is over; failures of the store.
    pub async fn reopen_account(&self, code: &str, meta: &RequestMeta) -> Result<(), Error> {
        let result = self.0.reopen(code, meta).await;
        self.0.note_bad_code(&result, "bad-reopening-code", meta).await?;
        result
    }

    /// Erases an account for good, whatever its state. `false` if it was erased already.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active super_admin; failures of store and keys.
    pub async fn erase_account(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        reason: &str,
        meta: &RequestMeta,
    ) -> Result<bool, Error> {
        retry_races!(async {
            let (tx, _) = self.0.begin_change(account, true).await?;
            let order = Erasure { reason: Some(reason), ..Erasure::new(permit.actor(), "operator") };
            self.0.erase(tx, account, Erasure { request: Some(meta.info()), ..order }).await
        })
    }
}

impl Inner {
    async fn reopen(&self, code: &str, meta: &RequestMeta) -> Result<(), Error> {
        if !secret_text::is_plausible(code, "") {
            return Err(Error::InvalidCode);
        }
        let mut tx = self.db.begin(Scope::System("reopening an account")).await?;
        let row = tx.query_opt(TAKE_BACK, params![secret_text::hash(code), self.now()]).await?;
        let id: Id<kind::Account> = row.ok_or(Error::InvalidCode)?.get(0)?;
        self.switch(&mut tx, id, AccountStatus::Disabled, AccountStatus::Active).await?;
        self.finish_change(tx, id, Event::AccountEnabled {}, Actor::Account(id), meta).await
    }

    /// Erases those whose time has come.
    pub(crate) async fn erase_closed(&self) -> Result<u64, Error> {
        let mut tx = self.db.begin_read(Scope::System("janitor")).await?;
        let rows = tx.query(DUE, params![self.now(), AT_ONCE]).await?;
        drop(tx);
        let mut erased = 0;
        for row in &rows {
            let id: Id<kind::Account> = row.get(0)?;
            match self.erase_due(id).await {
                Ok(done) => erased += u64::from(done),
                // One that cannot be erased now must not keep the others.
                Err(error) => {
                    tracing::error!(%error, "an account that was closed could not be erased");
                    let mut tx = self.db.begin(Scope::System("janitor")).await?;
                    tx.execute(LATER, params![id, self.now().plus_ms(AGAIN_MS)]).await?;
                    tx.commit().await?;
                }
            }
        }
        Ok(erased)
    }

    async fn erase_due(&self, id: Id<kind::Account>) -> Result<bool, Error> {
        let mut tx = self.db.begin(Scope::System("janitor")).await?;
        if tx.query_opt(TAKE_DUE, params![id, self.now()]).await?.is_none() {
            return Ok(false);
        }
        self.erase(tx, id, Erasure::new(Actor::System("janitor"), "owner")).await
    }

    /// Destroys the person's keys, clears what names them and ends everything of theirs, in one transaction.
    async fn erase(&self, mut tx: Tx, id: Id<kind::Account>, order: Erasure<'_>) -> Result<bool, Error> {
        // Others' attempts to register this address name the person as well.
        for row in tx.query(SIBLINGS, params![id]).await? {
            self.delete_pending(&mut tx, row.get(0)?).await?;
        }
        for wipe in WIPES {
            tx.execute(wipe, params![id]).await?;
        }
        // Free for whoever comes next; an index of no address, as long as one. Nobody can have taken the name before.
        let name = format!("erased-{}", hex(&self.entropy.bytes::<16>()));
        let nobodys = self.entropy.bytes::<32>();
        let row = params![id, name, nobodys, account::NO_PASSWORD, self.now(), account::NO_ADDRESS];
        tx.execute(TOMBSTONE, row).await?;
        let erased = self.audit.erase_subject(&mut tx, id, order).await?;
        tx.announce(Change::Account(id));
        self.commit_change(tx, Change::Account(id)).await?;
        Ok(erased)
    }
}
