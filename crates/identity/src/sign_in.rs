//! Signing in with name and password (AUTH-2).
//!
//! One path for everybody: find somebody or who stands in for nobody, compare, and only then look at the account's state.
//! Who does not know the password learns the same from every answer, and takes it from the time of none: a name that
//! nobody has gets the rows, the key and the hash of another account (always the same one) read and compared with, two
//! comparisons are made before a refusal whether or not somebody waits for their verification, and refusals come at the
//! multiples of [`Settings::answer_step`](crate::Settings::answer_step).

use std::sync::Arc;

use audit::{Event, Outcome};
use base::{Email, FieldError, Id, Scope, Secret, Username, kind};
use crypto::password::Verdict;
use keys::{KeysError, Purpose, Subject};
use store::Value;
use threat::login::Circumstances;
use tokio::time::Instant;

use crate::account::{self, Account, NO_PASSWORD};
use crate::attempt::{Authenticator, Guess};
use crate::challenge::Wish;
use crate::code::CodePurpose;
use crate::entry::{Led, Proven};
use crate::even::next_step;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{
    Aal, AccountStatus, BrowserSession, Credentials, Error, Identity, RequestMeta, SessionKind, SignIn,
    TokenPair,
};

/// Whom a name or an address may mean.
#[derive(Default)]
pub(crate) struct Found {
    /// Whose it is: an active or disabled account.
    pub(crate) holder: Option<Account>,
    /// With whom the same is done if it is nobody's.
    pub(crate) stand_in: Option<Account>,
    /// The newest attempt to get it.
    pub(crate) attempt: Option<Account>,
}

impl Identity {
    /// Signs in a client that keeps tokens.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] without telling what is wrong; [`Error::TooManyAttempts`]; with the right password
    /// [`Error::EmailNotVerified`], [`Error::AccountDisabled`], [`Error::PasswordCompromised`],
    /// [`Error::ConfirmationRequired`]; [`Error::Busy`]; failures of the store.
    pub async fn sign_in(
        &self,
        credentials: Credentials,
        meta: &RequestMeta,
    ) -> Result<SignIn<TokenPair>, Error> {
        let inner = &*self.0;
        let audience = inner.checked_audience(credentials.audience.as_deref())?;
        let session_name = credentials.session_name.as_deref();
        let wish = Wish { kind: SessionKind::Token, audience, session_name };
        inner.by_password(&credentials, wish, meta).await?.tokens()
    }

    /// Signs in a browser. [`Credentials::audience`] means nothing here.
    ///
    /// # Errors
    /// As [`Identity::sign_in`].
    pub async fn sign_in_browser(
        &self,
        credentials: Credentials,
        meta: &RequestMeta,
    ) -> Result<SignIn<BrowserSession>, Error> {
        let inner = &*self.0;
        let session_name = credentials.session_name.as_deref();
        let wish = Wish { kind: SessionKind::Browser, audience: None, session_name };
        inner.by_password(&credentials, wish, meta).await?.browser()
    }
}

impl Inner {
    /// An audience that tokens can be issued for; `None` is our own gateway.
    pub(crate) fn checked_audience<'a>(&self, audience: Option<&'a str>) -> Result<Option<&'a str>, Error> {
        let audience = audience.filter(|audience| *audience != self.settings.audience);
        if audience.is_some_and(|audience| !self.knows_audience(audience)) {
            let detail = "must be an audience that this server issues tokens for".to_owned();
            return Err(Error::Invalid(vec![FieldError { pointer: "/audience".to_owned(), detail }]));
        }
        Ok(audience)
    }

    /// From name and password to what they lead to. Who is told nothing waits for the next step of time.
    async fn by_password(
        &self,
        credentials: &Credentials,
        wish: Wish<'_>,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let begun = Instant::now();
        let result = self.try_password(credentials, wish, meta).await;
        if let Err(Error::WrongCredentials | Error::TooManyAttempts { .. }) = &result {
            next_step(begun, self.settings.answer_step).await;
        }
        result
    }

    async fn try_password(
        &self,
        credentials: &Credentials,
        wish: Wish<'_>,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let proven = self.prove(credentials, meta).await?;
        let (account, guess) = (proven.account.id, proven.guess.clone());
        let hashed_anew = proven.rehashed.is_some();
        match (self.sign_in_proven(proven, wish, meta).await, guess) {
            // The risk was too high. So that nobody learns that the password is right, this is a wrong attempt in all that
            // can be seen: two hashes are made, it counts, and the next ones wait.
            (Err(Error::WrongCredentials), Some(guess)) => {
                if !hashed_anew {
                    self.compare(&credentials.password, None).await?;
                }
                self.refuse_wrong(&guess, Some(account), "risk-denied", meta).await
            }
            (result, _) => result,
        }
    }

    /// Compares the password and then looks at the account's state. Every failure is on disk before the answer.
    async fn prove(&self, credentials: &Credentials, meta: &RequestMeta) -> Result<Proven, Error> {
        let found = self.find_by_name(&credentials.name).await?;
        let holder = found.holder.as_ref().map(|account| account.id);
        let about = holder.or(found.attempt.as_ref().map(|account| account.id));
        let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
        // What is noted below is sealed for somebody or for nobody; somebody's key is read here, and who stands in for
        // nobody has one, too. An erased one has none, which is no reason not to answer.
        if let Some(whose) = about.or(found.stand_in.as_ref().map(|account| account.id)) {
            match self.keys.prepare(&mut tx, Subject::Account(whose)).await {
                Ok(()) | Err(KeysError::Destroyed | KeysError::NoKey) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let known = self.known_device(&mut tx, holder, meta).await?;
        let guess = self.guess(Authenticator::Password, &normalised(&credentials.name), known, meta);
        let failures = self.may_try(&mut tx, &guess).await;
        drop(tx);
        let failures = match failures {
            Ok(failures) => failures,
            Err(error @ Error::TooManyAttempts { .. }) => {
                return self.refuse(about, "throttled", error, meta).await;
            }
            Err(error) => return Err(error),
        };
        let compared = found.holder.as_ref().or(found.stand_in.as_ref());
        let verdict = self.compare(&credentials.password, compared).await?;
        let Some((account, verdict)) = found.holder.zip(verdict) else {
            // The attempt is compared with after the holder or after nobody. If it were passed over where there is a
            // holder, whoever registers somebody's address could tell by their own password whether it has an account.
            // Where there is no attempt it is nobody's: who has just registered is not told by twice the time.
            let waits = self.compare(&credentials.password, found.attempt.as_ref()).await?.is_some();
            if let Some(attempt) = &found.attempt
                && waits
            {
                return self
                    .refuse_known(&guess, attempt.id, "not-verified", Error::EmailNotVerified, meta)
                    .await;
            }
            let reason = if about.is_some() { "wrong-password" } else { "unknown-name" };
            return self.refuse_wrong(&guess, about, reason, meta).await;
        };
        match account.status {
            AccountStatus::Pending => {
                return self
                    .refuse_known(&guess, account.id, "not-verified", Error::EmailNotVerified, meta)
                    .await;
            }
            AccountStatus::Disabled => {
                return self.refuse_known(&guess, account.id, "disabled", Error::AccountDisabled, meta).await;
            }
            AccountStatus::Active => {}
        }
        if account.compromised {
            let refused =
                self.refuse_known(&guess, account.id, "compromised", Error::PasswordCompromised, meta).await;
            if matches!(refused, Err(Error::PasswordCompromised)) {
                self.mail_compromised(&account).await?;
            }
            return refused;
        }
        let pepper = self.keys.epoch(Purpose::Pepper);
        let outdated = verdict == Verdict::RightRehash || account.pepper_epoch != Some(pepper.number);
        let circumstances = Circumstances {
            account_failures: failures.name,
            network_failures: failures.network,
            breached_password: self.is_breached(&credentials.password),
        };
        let rehashed = if outdated { self.rehash(&credentials.password).await } else { None };
        Ok(Proven { account, rehashed, method: "password", aal: Aal::One, guess: Some(guess), circumstances })
    }

    /// A wrong attempt: counted and recorded in one transaction. What came too early is answered as that.
    pub(crate) async fn refuse_wrong<T>(
        &self,
        guess: &Guess,
        about: Option<Id<kind::Account>>,
        reason: &'static str,
        meta: &RequestMeta,
    ) -> Result<T, Error> {
        let mut tx = self.db.begin(Scope::System("sign-in")).await?;
        match self.count_failure(&mut tx, guess, about, meta).await {
            Ok(()) => {}
            Err(error @ Error::TooManyAttempts { .. }) => {
                drop(tx);
                return self.refuse(about, "throttled", error, meta).await;
            }
            Err(error) => return Err(error),
        }
        metrics::counter!("identity_sign_ins_total", "outcome" => reason).increment(1);
        let mut record = self.record(meta, Event::SignInFailed { reason }).ended(Outcome::Failure);
        record.about = about;
        self.audit.append(&mut tx, &record).await?;
        tx.commit().await?;
        Err(Error::WrongCredentials)
    }

    /// The password was right, so the state may be told; unless the attempt came too early to be told anything.
    async fn refuse_known<T>(
        &self,
        guess: &Guess,
        about: Id<kind::Account>,
        reason: &'static str,
        error: Error,
        meta: &RequestMeta,
    ) -> Result<T, Error> {
        let mut tx = self.db.begin(Scope::System("sign-in")).await?;
        match self.count_success(&mut tx, guess).await {
            Ok(()) => tx.commit().await?,
            Err(early @ Error::TooManyAttempts { .. }) => {
                drop(tx);
                return self.refuse(Some(about), "throttled", early, meta).await;
            }
            Err(error) => return Err(error),
        }
        self.refuse(Some(about), reason, error, meta).await
    }

    /// Who has this name or address, and the newest attempt to get it.
    pub(crate) async fn find_by_name(&self, name: &str) -> Result<Found, Error> {
        let name = name.trim();
        let (holder, attempt, key) = if name.contains('@') {
            let Ok(email) = name.parse::<Email>() else { return Ok(Found::default()) };
            let key = Value::from(self.email_index(&email));
            (account::EITHER_BY_EMAIL, account::EITHER_PENDING_BY_EMAIL, key)
        } else {
            let Ok(username) = name.parse::<Username>() else { return Ok(Found::default()) };
            (account::EITHER_BY_USERNAME, account::EITHER_PENDING_BY_USERNAME, Value::from(&username))
        };
        let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
        let other = self.stand_in(&mut tx, &normalised(name)).await?;
        let (holder, stand_in) = Account::find_either(&mut tx, holder, key.clone(), other).await?.split();
        let (attempt, _) = Account::find_either(&mut tx, attempt, key, other).await?.split();
        Ok(Found { holder, stand_in, attempt })
    }

    /// Compares with the account's hash, or with nobody's. `None` is wrong.
    pub(crate) async fn compare(
        &self,
        password: &Secret<String>,
        account: Option<&Account>,
    ) -> Result<Option<Verdict>, Error> {
        // What the policy would never have taken is compared all the same, in an empty form: as much work.
        let password = self.settings.password_policy.normalise(password);
        let usable = password.is_some();
        let password = Arc::new(password.unwrap_or_else(|| Secret::new(String::new())));
        let nobodys = || (self.dummy_hash.clone(), Some(self.keys.epoch(Purpose::Pepper)));
        let (stored, pepper) = match account {
            None => nobodys(),
            Some(account) if account.password == NO_PASSWORD => nobodys(),
            Some(account) => match account.pepper_epoch {
                None => (account.password.clone(), None),
                Some(number) => match self.keys.epoch_number(Purpose::Pepper, number) {
                    Some(pepper) => (account.password.clone(), Some(pepper)),
                    None => {
                        tracing::error!(epoch = number, "the pepper of a stored password hash is not known");
                        nobodys()
                    }
                },
            },
        };
        let verdict = self.pool.verify(password, pepper, stored).await?;
        Ok((account.is_some() && usable && verdict != Verdict::Wrong).then_some(verdict))
    }

    /// A fresh hash; a sign-in does not fail because there was no time for it.
    async fn rehash(&self, password: &Secret<String>) -> Option<(String, u32)> {
        let password = self.settings.password_policy.normalise(password)?;
        let pepper = self.keys.epoch(Purpose::Pepper);
        let number = pepper.number;
        match self.pool.hash(password, pepper).await {
            Ok(hash) => Some((hash, number)),
            Err(error) => {
                tracing::info!(%error, "a password hash was not renewed this time");
                None
            }
        }
    }

    /// Records the failure and gives the error.
    pub(crate) async fn refuse<T>(
        &self,
        about: Option<Id<kind::Account>>,
        reason: &'static str,
        error: Error,
        meta: &RequestMeta,
    ) -> Result<T, Error> {
        metrics::counter!("identity_sign_ins_total", "outcome" => reason).increment(1);
        let mut record = self.record(meta, Event::SignInFailed { reason }).ended(Outcome::Failure);
        record.about = about;
        self.audit.record_durable(record).await?;
        Err(error)
    }

    /// Whoever holds a compromised password may not be the owner, so the way out goes by mail.
    async fn mail_compromised(&self, account: &Account) -> Result<(), Error> {
        let mut tx = self.db.begin(Scope::System("compromised password")).await?;
        let email = account.email(self, &mut tx).await?;
        let index = self.email_index(&email);
        if self.within_mail_budget(&mut tx, index, "compromised").await? {
            let ttl = self.settings.reset_ttl_ms;
            let (code, _) = self.issue_code(&mut tx, CodePurpose::Reset, Some(account.id), ttl).await?;
            let link = self.link("reset", &code);
            let letter = Letter::Compromised { username: &account.username, link: &link };
            self.queue_mail(&mut tx, account, &email, &letter).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// One form of a name as typed, by which attempts are counted; also of one that nobody can have.
fn normalised(name: &str) -> Vec<u8> {
    let name = name.trim();
    if let Ok(username) = name.parse::<Username>() {
        return username.as_str().as_bytes().to_vec();
    }
    if let Ok(email) = name.parse::<Email>() {
        return email.as_str().as_bytes().to_vec();
    }
    name.chars().take(255).collect::<String>().to_lowercase().into_bytes()
}
