//! How sure we are, and since when: assurance levels, and giving the factors again before what matters (AUTH-6).
//!
//! A session that gave two factors is at level 2 for a day, or until it was idle for an hour; after that it goes on at
//! level 1, instead of ending, because people who are signed out every day learn to type passwords without looking.
//! What can take an account away (address, password, factors, keys, export, erasure) demands all factors within ten
//! minutes, whatever the level.

use audit::{Event, Outcome};
use base::{Id, Scope, Secret, kind};
use store::{Change, Tx, params};

use crate::account::{Account, NO_PASSWORD};
use crate::attempt::Authenticator;
use crate::factor::PASSWORD;
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

store::sql! {
    TIMES = "SELECT authenticated_at, second_factor_at, risk FROM session \
        WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL";
    FIRST_AGAIN = "UPDATE session SET authenticated_at = $3 WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL";
    SECOND_AGAIN = "UPDATE session SET second_factor_at = $3, aal = 2 \
        WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL";
    /// The second factor was given again: whose sign-in looked like a stranger's is its owner. Only by a factor that the
    /// account had before, because a stranger could set up one of their own.
    CALM = "UPDATE session SET risk = 0 WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL AND risk > 0 \
        AND EXISTS (SELECT 1 FROM factor f WHERE f.account_id = $2 AND f.demanded AND f.confirmed_at < session.created_at)";
    LOWER = "UPDATE session SET aal = 1 WHERE session_id = $1 AND account_id = $2 AND aal = 2";
}

/// How strongly a session is proven (NIST SP 800-63B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aal {
    /// One factor.
    One,
    /// Two factors, or a passkey with user verification.
    Two,
}

impl Aal {
    /// 1 or 2, as in the database and in JSON.
    pub const fn level(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    pub(crate) const fn of(level: i64) -> Self {
        if level >= 2 { Self::Two } else { Self::One }
    }
}

/// The factors that somebody gives again. At least one.
#[derive(Debug, Default)]
pub struct Again {
    /// The password.
    pub password: Option<Secret<String>>,
    /// A code of an app, or a recovery code.
    pub code: Option<Secret<String>>,
}

impl Identity {
    /// Gives factors again in the caller's session: for ten minutes what demands them is allowed.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], [`Error::WrongCode`], [`Error::TooManyAttempts`], [`Error::Invalid`] if nothing is
    /// given, [`Error::Busy`], failures of the store.
    pub async fn reauthenticate(
        &self,
        caller: &AccountCaller,
        again: Again,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let Again { password, code } = again;
        if password.is_none() && code.is_none() {
            let detail = "is required, or a code".to_owned();
            return Err(Error::Invalid(vec![base::FieldError { pointer: "/password".to_owned(), detail }]));
        }
        if let Some(password) = &password {
            inner.password_again(caller, password, meta).await?;
        }
        let mut tx = inner.db.begin(Scope::System("re-authentication")).await?;
        if let Some(code) = &code {
            let method = if password.is_some() { PASSWORD } else { "" };
            let checked = inner.check_code(&mut tx, caller.account, method, code, meta).await?;
            let Some(proof) = checked else {
                tx.commit().await?;
                return Err(Error::WrongCode);
            };
            inner.note_passed(&mut tx, caller.account, &proof, Some(caller.session), meta).await?;
            inner.note_second_factor(&mut tx, caller.account, caller.session).await?;
            inner.calm(&mut tx, caller.account, caller.session).await?;
            if password.is_some() && !proof.by_mail {
                inner.vouch_for_password(&mut tx, caller.account).await?;
            }
        }
        if password.is_some() {
            tx.execute(FIRST_AGAIN, params![caller.session, caller.account, inner.now()]).await?;
            let event = Event::MfaPassed { factor: "password", session: Some(caller.session) };
            inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        }
        tx.announce(Change::Session(caller.session));
        inner.commit_change(tx, Change::Session(caller.session)).await
    }

    /// Whether what demands all factors within ten minutes would be allowed now.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`] if not; failures of the store.
    pub async fn must_be_fresh(&self, caller: &AccountCaller) -> Result<(), Error> {
        let mut tx = self.0.db.begin_read(caller.scope()).await?;
        self.0.must_be_fresh(&mut tx, caller).await
    }
}

impl Inner {
    /// All of the account's factors were given in this session within ten minutes.
    pub(crate) async fn must_be_fresh(&self, tx: &mut Tx, caller: &AccountCaller) -> Result<(), Error> {
        self.must_have_given(tx, caller, true).await
    }

    /// As [`Inner::must_be_fresh`], where the password is given with the operation itself.
    pub(crate) async fn must_have_second_factor(
        &self,
        tx: &mut Tx,
        caller: &AccountCaller,
    ) -> Result<(), Error> {
        self.must_have_given(tx, caller, false).await
    }

    async fn must_have_given(&self, tx: &mut Tx, caller: &AccountCaller, first: bool) -> Result<(), Error> {
        let row = tx.query_opt(TIMES, params![caller.session, caller.account]).await?;
        // A session that has just ended may do nothing any more.
        let row = row.ok_or(Error::InvalidToken("session-revoked"))?;
        let oldest = self.now().plus_ms(-self.settings.reauthentication_ms);
        let second_factor = self.has_factor(tx, caller.account).await?;
        let second_at: Option<base::Timestamp> = row.get(1)?;
        // What was given at a sign-in that looked like a stranger's may have been passed on by one.
        let calm = row.get::<u8>(2)? < self.access.conditions().risk_limit;
        let fresh = (!first || row.get::<base::Timestamp>(0)? > oldest)
            && (!second_factor || (calm && second_at.is_some_and(|at| at > oldest)));
        if fresh { Ok(()) } else { Err(Error::ReauthenticationRequired { second_factor }) }
    }

    /// Notes that the first factor was given in this session now.
    pub(crate) async fn note_first_factor(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<(), Error> {
        tx.execute(FIRST_AGAIN, params![session, account, self.now()]).await?;
        Ok(())
    }

    /// Notes that the second factor was given in this session now.
    pub(crate) async fn note_second_factor(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<(), Error> {
        tx.execute(SECOND_AGAIN, params![session, account, self.now()]).await?;
        Ok(())
    }

    /// Notes that the second factor was given **again** in this session, which answers for how its sign-in looked.
    pub(crate) async fn calm(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<(), Error> {
        tx.execute(CALM, params![session, account]).await?;
        Ok(())
    }

    /// A session at level 2 that was idle too long goes on at level 1.
    pub(crate) async fn lower_assurance(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin(Scope::Account(account)).await?;
        tx.execute(LOWER, params![session, account]).await?;
        tx.announce(Change::Session(session));
        self.commit_change(tx, Change::Session(session)).await
    }

    /// Compares the caller's password, counted apart from the guesses of strangers.
    pub(crate) async fn password_again(
        &self,
        caller: &AccountCaller,
        password: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Account, Error> {
        let guess = self.guess(Authenticator::PasswordAgain, caller.account.as_bytes(), None, meta);
        let mut tx = self.db.begin_read(Scope::System("password again")).await?;
        self.may_try(&mut tx, &guess).await?;
        let account = Account::load(&mut tx, caller.account).await?;
        drop(tx);
        let right = self.compare(password, Some(&account)).await?.is_some();
        let mut tx = self.db.begin(Scope::System("password again")).await?;
        if right {
            self.count_success(&mut tx, &guess).await?;
            tx.commit().await?;
            return Ok(account);
        }
        self.count_failure(&mut tx, &guess, Some(caller.account), meta).await?;
        let event = Event::SignInFailed { reason: "wrong-password-again" };
        let record = self.record(meta, event).by_account(caller.account).ended(Outcome::Failure);
        self.audit.append(&mut tx, &record).await?;
        // The last try that was left locks the account.
        self.commit_change(tx, Change::Account(caller.account)).await?;
        Err(Error::WrongCredentials)
    }
}

/// What the caller can give again to show that it is still them.
#[derive(Debug, Clone)]
pub struct WaysAgain {
    /// The account has a password.
    pub password: bool,
    /// A code must be given beside it: the account has a second factor that is asked for.
    pub code: bool,
    /// A passkey stands for all factors.
    pub passkey: bool,
    /// Accounts elsewhere that are linked, for who has no password: id and name of each provider.
    pub providers: Vec<(String, String)>,
    /// The password has been given (or an account elsewhere) within the last ten minutes.
    pub first_is_fresh: bool,
}

impl Identity {
    /// The ways in which the caller can give their factors again.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn ways_again(&self, caller: &AccountCaller) -> Result<WaysAgain, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        let password = Account::load(&mut tx, caller.account).await?.password != NO_PASSWORD;
        let code = inner.has_factor(&mut tx, caller.account).await?;
        let passkey = inner.has_passkey(&mut tx, caller.account).await?;
        let row = tx.query_opt(TIMES, params![caller.session, caller.account]).await?;
        let row = row.ok_or(Error::InvalidToken("session-revoked"))?;
        let oldest = inner.now().plus_ms(-inner.settings.reauthentication_ms);
        let first_is_fresh = row.get::<base::Timestamp>(0)? > oldest;
        drop(tx);
        let mut providers: Vec<(String, String)> = Vec::new();
        if !password {
            let links = self.provider_links(caller).await?;
            for (id, name) in self.providers() {
                if links.iter().any(|link| link.provider == id) {
                    providers.push((id.to_owned(), name.to_owned()));
                }
            }
        }
        Ok(WaysAgain { password, code, passkey, providers, first_is_fresh })
    }
}
