//! When too many codes were wrong (NIST SP 800-63B-4 §3.2.2): the app's codes are not looked at any more, and the owner
//! has ways out that a guesser has not.
//!
//! Only who gave the right password can bring it this far, and then only for devices that the account does not know:
//! a device that signed in before has a counter of its own. The owner is told by mail. What lets them in meanwhile:
//! a device that is known, a passkey, a recovery code on paper, or, where there is no passkey, a **code by mail** beside
//! the password (§4.2.2: a recovery code that is sent to a validated address, and an authenticator that is bound to the
//! account). Once in, they set the app up anew: *that* is what ends the stop, and the old app with it. An operator can
//! lift it too.
//!
//! A mailbox must not be both factors. Whoever holds it sets the password by a mailed link, stops the codes as a stranger
//! and would get the second factor by mail, too. So the account remembers that its **password came by mail** until one of
//! the other second factors was given beside it, and the code by mail stands beside a password only: a provider may be
//! the same mailbox. It is looked at when it is offered, when it is sent and when it is given.
//!
//! The code by mail has 100 bits and no counter of its own, so nobody can use its tries up; a challenge takes five codes.

use access::Permit;
use access::actions::UserAdmin;
use audit::{Event, Outcome};
use base::{Id, Scope, kind};
use store::{Change, Tx, params};
use zeroize::Zeroizing;

use super::FactorKind;
use super::recovery::{ALPHABET, grouped};
use crate::account::Account;
use crate::attempt::Authenticator;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{Error, Identity, RequestMeta, SecondFactorOffer, SessionKind};

/// 100 bits in characters of five; four more than a code on paper, so that the two are told apart.
pub(super) const MAILED_LENGTH: usize = 20;

/// What a sign-in that began with a password says of itself.
pub(crate) const PASSWORD: &str = "password";

store::sql! {
    INSERT = "INSERT INTO recovery_code (code_hash, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";
    DROP_APPS = "DELETE FROM factor WHERE account_id = $1 AND kind = 'totp' AND confirmed_at IS NOT NULL \
        AND factor_id <> $2 RETURNING factor_id";
    MAILED_PASSWORD = "SELECT mailed_password FROM account WHERE account_id = $1";
    MARK = "UPDATE account SET mailed_password = TRUE WHERE account_id = $1";
    UNMARK = "UPDATE account SET mailed_password = FALSE WHERE account_id = $1 AND mailed_password";
    DEVICES = "SELECT device_id FROM known_device WHERE account_id = $1 ORDER BY device_id LIMIT 100";
}

impl Identity {
    /// Mails a code that stands in for the second factor of a half sign-in once, where the codes of the app are stopped
    /// and there is no passkey. More than the hour's budget is silently not sent: the codes that were sent still count.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`]; [`Error::Conflict`] if codes are not stopped here, there is a passkey, the sign-in began
    /// with something else than a password, or that password was set by a mailed link; failures of store and keys.
    pub async fn mail_code(
        &self,
        kind: SessionKind,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(Scope::System("code by mail")).await?;
        let (account, method) = inner.peek_challenge(&mut tx, kind, challenge, meta).await?;
        if !inner.second_factor_offer(&mut tx, account, &method, meta).await?.code_by_mail {
            return Err(Error::Conflict(
                "Codes are mailed only where the codes of the app are stopped, beside a password that did not come by mail.",
            ));
        }
        let account = Account::load(&mut tx, account).await?;
        let email = account.email(inner, &mut tx).await?;
        if inner.within_mail_budget(&mut tx, inner.email_index(&email), "factor_code").await? {
            let code = inner.mailed_code();
            let hash = inner.code_hash(account.id, &code);
            let now = inner.now();
            let end = now.plus_ms(inner.settings.reset_ttl_ms);
            tx.execute(INSERT, params![hash, account.id, now, end]).await?;
            let shown = grouped(&code);
            let letter = Letter::FactorCode { username: &account.username, code: &shown };
            inner.queue_mail(&mut tx, &account, &email, &letter).await?;
            let event = Event::RecoveryCodesIssued { count: 1 };
            inner.audit.append(&mut tx, &inner.record(meta, event).about(account.id)).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Lets an account's owner try again: what was counted against its names and factors is forgotten.
    ///
    /// # Errors
    /// [`Error::NotFound`]; failures of store and keys.
    pub async fn lift_stops(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(Scope::System("operator's change")).await?;
        let account = Account::load(&mut tx, account).await?;
        let email = account.email(inner, &mut tx).await?;
        for name in [account.username.as_str(), email.as_str()] {
            inner.forget_everywhere(&mut tx, &account, Authenticator::Password, name.as_bytes()).await?;
        }
        let id = *account.id.as_bytes();
        for authenticator in [Authenticator::Totp, Authenticator::RecoveryCode] {
            inner.forget_everywhere(&mut tx, &account, authenticator, &id).await?;
        }
        if !inner.unlock(&mut tx, &account, "operator", permit.actor(), meta).await? {
            let event = Event::AccountUnlocked { reason: "operator" };
            let record = inner.record(meta, event).by(permit.actor()).about(account.id);
            inner.audit.append(&mut tx, &record).await?;
        }
        inner.commit_change(tx, Change::Account(account.id)).await
    }

    /// Whether too many codes of the caller's app were wrong somewhere, so that it must be set up anew.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn app_is_stopped(&self, caller: &crate::AccountCaller) -> Result<bool, Error> {
        let mut tx = self.0.db.begin_read(Scope::System("stopped codes")).await?;
        self.0.app_is_stopped(&mut tx, caller.account).await
    }
}

impl Inner {
    /// What the account can be asked for as a second factor, in this browser or client, after this first one.
    pub(crate) async fn second_factor_offer(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        method: &str,
        meta: &RequestMeta,
    ) -> Result<SecondFactorOffer, Error> {
        let methods = self.factor_kinds(tx, account).await?;
        let codes_stopped = methods.contains(&FactorKind::Totp) && {
            let known = self.known_device(tx, Some(account), meta).await?;
            self.is_stopped(tx, &self.guess(Authenticator::Totp, account.as_bytes(), known, meta)).await?
        };
        let code_by_mail = codes_stopped
            && !methods.contains(&FactorKind::Passkey)
            && self.mail_is_another_factor(tx, account, method).await?;
        Ok(SecondFactorOffer { methods, codes_stopped, code_by_mail })
    }

    /// Whether the mailbox proves something that this first factor did not: it was a password, which did not come by mail.
    pub(super) async fn mail_is_another_factor(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        method: &str,
    ) -> Result<bool, Error> {
        if method != PASSWORD {
            return Ok(false);
        }
        let row = tx.query_opt(MAILED_PASSWORD, params![account]).await?.ok_or(Error::NotFound)?;
        Ok(!row.get::<bool>(0)?)
    }

    /// The password that was just set is as good as the mailbox.
    pub(crate) async fn password_came_by_mail(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<(), Error> {
        tx.execute(MARK, params![account]).await?;
        Ok(())
    }

    /// The password was given together with a second factor that did not come by mail: it is its owner's.
    pub(crate) async fn vouch_for_password(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<(), Error> {
        tx.execute(UNMARK, params![account]).await?;
        Ok(())
    }

    /// Tells the owner that the last try was used up, and how they get in.
    pub(crate) async fn tell_stopped(
        &self,
        tx: &mut Tx,
        authenticator: Authenticator,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let reason = match authenticator {
            Authenticator::Totp => "wrong-app-codes",
            Authenticator::RecoveryCode => "wrong-recovery-codes",
            Authenticator::PasswordAgain => return self.lock(tx, account, meta).await,
            _ => return Ok(()),
        };
        let event = Event::AccountLocked { reason, until: None };
        let record = self.record(meta, event).about(account).ended(Outcome::Denied);
        self.audit.append(tx, &record).await?;
        let owner = Account::load(tx, account).await?;
        let email = owner.email(self, tx).await?;
        let (security, sign_in) = (self.page("security"), self.page("sign-in"));
        let letter = Letter::CodesStopped {
            username: &owner.username,
            at: self.now(),
            security: &security,
            sign_in: &sign_in,
        };
        self.queue_mail(tx, &owner, &email, &letter).await
    }

    /// An app was set up by somebody who is in: it takes the place of those whose codes were stopped.
    pub(super) async fn rebind_app(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        new: Id<kind::Factor>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        if !self.app_is_stopped(tx, account).await? {
            return Ok(());
        }
        for _ in tx.query(DROP_APPS, params![account, new]).await? {
            let event = Event::MfaRemoved { factor: FactorKind::Totp.as_str(), reason: "rebound" };
            self.audit.append(tx, &self.record(meta, event).by_account(account)).await?;
        }
        let owner = Account::load(tx, account).await?;
        self.forget_everywhere(tx, &owner, Authenticator::Totp, account.as_bytes()).await?;
        let event = Event::AccountUnlocked { reason: "rebound" };
        self.audit.append(tx, &self.record(meta, event).by_account(account)).await?;
        tx.announce(Change::Account(account));
        Ok(())
    }

    async fn app_is_stopped(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<bool, Error> {
        for known in self.devices_and_strangers(tx, account).await? {
            let meta = self.nobody();
            if self.is_stopped(tx, &self.guess(Authenticator::Totp, account.as_bytes(), known, &meta)).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets what was counted for this authenticator by strangers and by every device that is known.
    async fn forget_everywhere(
        &self,
        tx: &mut Tx,
        account: &Account,
        authenticator: Authenticator,
        subject: &[u8],
    ) -> Result<(), Error> {
        for known in self.devices_and_strangers(tx, account.id).await? {
            let guess = self.guess(authenticator, subject, known, &self.nobody());
            self.forget_failures(tx, &guess).await?;
        }
        Ok(())
    }

    /// Whose counters an account has: everybody's (`None`), and each known device's.
    async fn devices_and_strangers(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<Vec<Option<Id<kind::Device>>>, Error> {
        let mut all = vec![None];
        for row in tx.query(DEVICES, params![account]).await? {
            all.push(Some(row.get(0)?));
        }
        Ok(all)
    }

    fn nobody(&self) -> RequestMeta {
        RequestMeta::of(Id::new(&self.clock, &self.entropy))
    }

    fn mailed_code(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.entropy.bytes::<MAILED_LENGTH>());
        // 256 is a multiple of 32, so every letter is as likely as any other.
        Zeroizing::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
    }
}
