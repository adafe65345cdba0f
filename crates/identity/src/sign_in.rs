//! Signing in with name and password (AUTH-2).
//!
//! One path for everybody: find somebody or nobody, compare one hash in any case, and only then look at the
//! account's state. Who does not know the password learns the same from every answer.

use std::sync::Arc;

use audit::{Event, Outcome};
use base::{Email, FieldError, Id, Scope, Secret, Username, kind};
use crypto::password::Verdict;
use keys::Purpose;
use store::{Tx, params};
use threat::login::Circumstances;

use crate::account::{self, Account, NO_PASSWORD};
use crate::attempt::{Authenticator, Guess};
use crate::challenge::{Pending, Wish};
use crate::code::CodePurpose;
use crate::factor::Shown;
use crate::mail::Letter;
use crate::risk::{Attempt, Proof, Weighed};
use crate::service::Inner;
use crate::session::NewSession;
use crate::{
    Aal, AccountStatus, BrowserSession, Credentials, Error, FactorKind, Identity, Partial, RequestMeta,
    SessionKind, SignIn, TokenPair, secret_text,
};

store::sql! {
    /// Replaces a hash by one of the same password; not if the password was changed meanwhile.
    REHASH = "UPDATE account SET password = $3, pepper_epoch = $4 WHERE account_id = $1 AND password = $2";
}

/// A session to be made.
struct Entry<'a> {
    account: &'a Account,
    wish: Wish<'a>,
    method: String,
    aal: Aal,
    weighed: Weighed,
}

/// Whom a name or an address may mean.
#[derive(Default)]
pub(crate) struct Found {
    /// Whose it is: an active or disabled account.
    pub(crate) holder: Option<Account>,
    /// The newest attempt to get it.
    pub(crate) attempt: Option<Account>,
}

/// Somebody whose first factor was right and who may sign in, as far as that goes.
pub(crate) struct Proven {
    pub(crate) account: Account,
    /// A hash of today's cost and pepper, if the stored one is older.
    pub(crate) rehashed: Option<(String, u32)>,
    /// The first factor, for events: `password` …
    pub(crate) method: &'static str,
    /// What the first factor alone is worth. At level 2 no second one is asked for.
    pub(crate) aal: Aal,
    /// The attempt that is settled with the session, if one is counted.
    pub(crate) guess: Option<Guess>,
    pub(crate) circumstances: Circumstances,
}

/// A session that was made, and what opens it.
enum Made {
    Tokens(TokenPair),
    Browser(BrowserSession),
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
        let proven = inner.prove(&credentials, meta).await?;
        let session_name = credentials.session_name.as_deref();
        inner
            .sign_in_proven(proven, Wish { kind: SessionKind::Token, audience, session_name }, meta)
            .await?
            .tokens()
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
        let proven = inner.prove(&credentials, meta).await?;
        let session_name = credentials.session_name.as_deref();
        let wish = Wish { kind: SessionKind::Browser, audience: None, session_name };
        inner.sign_in_proven(proven, wish, meta).await?.browser()
    }

    /// Completes a partial sign-in of a client that keeps tokens, by a code of an app or a recovery code.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`], [`Error::WrongCode`], [`Error::TooManyAttempts`]; failures of the store.
    pub async fn sign_in_with_code(
        &self,
        challenge: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<TokenPair, Error> {
        match self.0.complete_with_code(SessionKind::Token, challenge, code, meta).await? {
            Made::Tokens(pair) => Ok(pair),
            Made::Browser(_) => Err(Error::internal("tokens were asked for")),
        }
    }

    /// Completes a partial sign-in of a browser.
    ///
    /// # Errors
    /// As [`Identity::sign_in_with_code`].
    pub async fn sign_in_browser_with_code(
        &self,
        challenge: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<BrowserSession, Error> {
        match self.0.complete_with_code(SessionKind::Browser, challenge, code, meta).await? {
            Made::Browser(session) => Ok(session),
            Made::Tokens(_) => Err(Error::internal("a browser session was asked for")),
        }
    }

    /// What the account of a browser's partial sign-in has to offer; takes none of its tries.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`]; failures of the store.
    pub async fn challenge_methods(
        &self,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<Vec<FactorKind>, Error> {
        let mut tx = self.0.db.begin_read(Scope::System("second factor")).await?;
        let account = self.0.peek_challenge(&mut tx, SessionKind::Browser, challenge, meta).await?;
        self.0.factor_kinds(&mut tx, account).await
    }
}

/// What a first factor led to.
pub(crate) enum Led {
    /// A session.
    In(SignedIn),
    /// A challenge.
    Halfway(Partial),
}

/// A session that was made; opaque, so that only its own kind comes out.
pub(crate) struct SignedIn(Made);

impl Led {
    /// As a client that keeps tokens sees it.
    pub(crate) fn tokens(self) -> Result<SignIn<TokenPair>, Error> {
        match self {
            Self::In(SignedIn(Made::Tokens(pair))) => Ok(SignIn::Done(pair)),
            Self::In(SignedIn(Made::Browser(_))) => Err(Error::internal("tokens were asked for")),
            Self::Halfway(partial) => Ok(SignIn::SecondFactor(partial)),
        }
    }

    /// As a browser sees it.
    pub(crate) fn browser(self) -> Result<SignIn<BrowserSession>, Error> {
        match self {
            Self::In(SignedIn(Made::Browser(session))) => Ok(SignIn::Done(session)),
            Self::In(SignedIn(Made::Tokens(_))) => Err(Error::internal("a browser session was asked for")),
            Self::Halfway(partial) => Ok(SignIn::SecondFactor(partial)),
        }
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

    /// From a first factor to a session, or to a challenge where the account has a second one. The one way in for every
    /// first factor. No transaction may be open.
    pub(crate) async fn sign_in_proven(
        &self,
        proven: Proven,
        wish: Wish<'_>,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let account = proven.account.id;
        let methods = if proven.aal == Aal::Two {
            Vec::new()
        } else {
            let mut tx = self.db.begin_read(Scope::Account(account)).await?;
            self.factor_kinds(&mut tx, account).await?
        };
        if !methods.is_empty() {
            let mut tx = self.db.begin(Scope::System("sign-in")).await?;
            self.settle(&mut tx, &proven).await?;
            let partial =
                self.leave_challenge(&mut tx, &proven.account, proven.method, &wish, methods, meta).await?;
            tx.commit().await?;
            metrics::counter!("identity_sign_ins_total", "outcome" => "second-factor-asked").increment(1);
            return Ok(Led::Halfway(partial));
        }
        let proof = if proven.aal == Aal::Two { Proof::Strong } else { Proof::Password };
        // Looked at before the judgement, because its mails would tell a guesser at a stopped name that one was right.
        if let Some(guess) = &proven.guess {
            let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
            self.may_try(&mut tx, guess).await?;
        }
        let attempt = Attempt { proof, circumstances: proven.circumstances };
        let weighed = self.weigh(&proven.account, attempt, meta).await?;
        let mut tx = self.db.begin(Scope::System("sign-in")).await?;
        self.settle(&mut tx, &proven).await?;
        let entry = Entry {
            account: &proven.account,
            wish,
            method: proven.method.to_owned(),
            aal: proven.aal,
            weighed,
        };
        Ok(Led::In(SignedIn(self.enter(tx, entry, None, meta).await?)))
    }

    /// Counts the attempt as right, and keeps the renewed hash.
    async fn settle(&self, tx: &mut Tx, proven: &Proven) -> Result<(), Error> {
        if let Some(guess) = &proven.guess {
            self.count_success(tx, guess).await?;
        }
        if let Some((hash, pepper_epoch)) = &proven.rehashed {
            let account = &proven.account;
            tx.execute(REHASH, params![account.id, &account.password, hash, *pepper_epoch]).await?;
        }
        Ok(())
    }

    async fn complete_with_code(
        &self,
        kind: SessionKind,
        challenge: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Made, Error> {
        let weighed = self.weigh_challenge(kind, challenge, meta).await?;
        let mut tx = self.db.begin(Scope::System("second factor")).await?;
        let pending = match self.take_try(&mut tx, kind, challenge, meta).await {
            Ok(pending) => pending,
            Err(Error::InvalidChallenge) => {
                drop(tx);
                return self.refuse(None, "invalid-challenge", Error::InvalidChallenge, meta).await;
            }
            Err(error) => return Err(error),
        };
        match self.check_code(&mut tx, pending.account.id, code, meta).await {
            Ok(Some(shown)) => Ok(self.complete(tx, pending, kind, &shown, weighed, meta).await?),
            Ok(None) => {
                tx.commit().await?;
                Err(Error::WrongCode)
            }
            Err(error) => Err(error),
        }
    }

    /// Judges the sign-in that a challenge would become; nothing more can be asked for, so nothing is refused. No
    /// transaction may be open.
    pub(crate) async fn weigh_challenge(
        &self,
        kind: SessionKind,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<Weighed, Error> {
        let mut tx = self.db.begin_read(Scope::System("second factor")).await?;
        let account = match self.peek_challenge(&mut tx, kind, challenge, meta).await {
            Ok(account) => Account::load(&mut tx, account).await?,
            Err(Error::InvalidChallenge) => {
                drop(tx);
                return self.refuse(None, "invalid-challenge", Error::InvalidChallenge, meta).await;
            }
            Err(error) => return Err(error),
        };
        drop(tx);
        let attempt = Attempt { proof: Proof::Strong, circumstances: Circumstances::default() };
        self.weigh(&account, attempt, meta).await
    }

    /// As [`Inner::complete`], for whoever gives another factor than a code.
    pub(crate) async fn complete_led(
        &self,
        tx: Tx,
        pending: Pending,
        kind: SessionKind,
        shown: &Shown,
        weighed: Weighed,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        Ok(Led::In(SignedIn(self.complete(tx, pending, kind, shown, weighed, meta).await?)))
    }

    /// Ends a challenge with the session that it was for, after its second factor was right.
    async fn complete(
        &self,
        mut tx: Tx,
        pending: Pending,
        kind: SessionKind,
        shown: &Shown,
        weighed: Weighed,
        meta: &RequestMeta,
    ) -> Result<Made, Error> {
        self.use_challenge(&mut tx, &pending).await?;
        let wish = Wish {
            kind,
            audience: pending.audience.as_deref(),
            session_name: pending.session_name.as_deref(),
        };
        let method = format!("{}+{}", pending.method, shown.kind.as_str());
        let entry = Entry { account: &pending.account, wish, method, aal: Aal::Two, weighed };
        self.enter(tx, entry, Some(shown), meta).await
    }

    /// Makes the session and all that belongs to it, and commits.
    async fn enter(
        &self,
        mut tx: Tx,
        entry: Entry<'_>,
        shown: Option<&Shown>,
        meta: &RequestMeta,
    ) -> Result<Made, Error> {
        let Entry { account, wish, method, aal, weighed } = entry;
        let id = account.id;
        let cookie = (wish.kind == SessionKind::Browser).then(|| secret_text::random(&self.entropy));
        let new = NewSession {
            account,
            kind: wish.kind,
            audience: wish.audience,
            name: wish.session_name,
            cookie: cookie.as_ref(),
            aal,
        };
        let (session, session_end) = self.insert_session(&mut tx, &new, meta).await?;
        let refresh = match &cookie {
            Some(_) => None,
            None => {
                let token = secret_text::encode(crate::refresh::PREFIX, &self.entropy.bytes());
                let end = self.insert_refresh(&mut tx, &token, id, session, session_end).await?;
                Some((token, end, self.access_token(id, session, wish.audience, session_end)?))
            }
        };
        let device = self.note_device(&mut tx, id, meta).await?;
        if let Some(shown) = shown {
            self.note_passed(&mut tx, id, shown, Some(session), meta).await?;
        }
        let event = Event::SignedIn { session, method: known_method(&method) };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(id)).await?;
        self.remember_sign_in(&mut tx, account, weighed, meta).await?;
        tx.commit().await?;
        metrics::counter!("identity_sign_ins_total", "outcome" => "success").increment(1);
        Ok(match (cookie, refresh) {
            (Some(cookie), _) => Made::Browser(BrowserSession {
                cookie,
                session,
                account: id,
                expires_at: session_end,
                device,
            }),
            (None, Some((refresh_token, refresh_end, (access_token, expires_in_s)))) => {
                Made::Tokens(TokenPair {
                    access_token,
                    expires_in_s,
                    refresh_token,
                    refresh_expires_in_s: self.seconds_until(refresh_end),
                    session,
                    account: id,
                    device: Some(device),
                })
            }
            (None, None) => return Err(Error::internal("a token session has a refresh token")),
        })
    }

    /// Compares the password and then looks at the account's state. Every failure is on disk before the answer.
    async fn prove(&self, credentials: &Credentials, meta: &RequestMeta) -> Result<Proven, Error> {
        let found = self.find_by_name(&credentials.name).await?;
        let holder = found.holder.as_ref().map(|account| account.id);
        let about = holder.or(found.attempt.as_ref().map(|account| account.id));
        let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
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
        let verdict = self.compare(&credentials.password, found.holder.as_ref()).await?;
        let Some((account, verdict)) = found.holder.zip(verdict) else {
            // The attempt is compared with after the holder or after nobody. If it were passed over where there is a
            // holder, whoever registers somebody's address could tell by their own password whether it has an account.
            if let Some(attempt) = &found.attempt
                && self.compare(&credentials.password, Some(attempt)).await?.is_some()
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
            (account::BY_EMAIL, account::PENDING_BY_EMAIL, params![self.email_index(&email)].to_vec())
        } else {
            let Ok(username) = name.parse::<Username>() else { return Ok(Found::default()) };
            (account::BY_USERNAME, account::PENDING_BY_USERNAME, params![&username].to_vec())
        };
        let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
        Ok(Found {
            holder: Account::find(&mut tx, holder, &key).await?,
            attempt: Account::find(&mut tx, attempt, &key).await?,
        })
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
            self.queue_mail(&mut tx, account.id, &email, &letter).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(crate) fn seconds_until(&self, end: base::Timestamp) -> u32 {
        u32::try_from(end.since_ms(self.now()).max(0) / 1000).unwrap_or(u32::MAX)
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

/// Events have a closed set of words.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "password",
        "password+totp",
        "password+recovery_code",
        "password+passkey",
        "passkey",
        "provider",
        "provider+totp",
        "provider+recovery_code",
        "provider+passkey",
    ];
    KNOWN.iter().find(|known| **known == method).copied().unwrap_or("other")
}
