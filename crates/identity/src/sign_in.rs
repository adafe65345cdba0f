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

use crate::account::{self, Account};
use crate::code::CodePurpose;
use crate::mail::Letter;
use crate::risk::{Attempt, Proof, Weighed};
use crate::service::Inner;
use crate::session::NewSession;
use crate::{
    AccountStatus, BrowserSession, Credentials, Error, Identity, RequestMeta, SessionKind, TokenPair,
    secret_text,
};

store::sql! {
    /// Replaces a hash by one of the same password; not if the password was changed meanwhile.
    REHASH = "UPDATE account SET password = $3, pepper_epoch = $4 WHERE account_id = $1 AND password = $2";
}

/// Whom a name or an address may mean.
#[derive(Default)]
pub(crate) struct Found {
    /// Whose it is: an active or disabled account.
    pub(crate) holder: Option<Account>,
    /// The newest attempt to get it.
    pub(crate) attempt: Option<Account>,
}

/// Somebody whose password was right and who may sign in.
struct Proven {
    account: Account,
    /// A hash of today's cost and pepper, if the stored one is older.
    rehashed: Option<(String, u32)>,
    /// What the attempt's risk came to.
    weighed: Weighed,
}

impl Identity {
    /// Signs in a client that keeps tokens.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] without telling what is wrong; with the right password [`Error::EmailNotVerified`],
    /// [`Error::AccountDisabled`], [`Error::PasswordCompromised`]; [`Error::Busy`]; failures of the store.
    pub async fn sign_in(&self, credentials: Credentials, meta: &RequestMeta) -> Result<TokenPair, Error> {
        let inner = &*self.0;
        let audience =
            credentials.audience.as_deref().filter(|audience| *audience != inner.settings.audience);
        if audience.is_some_and(|audience| !inner.knows_audience(audience)) {
            let detail = "must be an audience that this server issues tokens for".to_owned();
            return Err(Error::Invalid(vec![FieldError { pointer: "/audience".to_owned(), detail }]));
        }
        let proven = inner.prove(&credentials, meta).await?;
        let account = proven.account.id;
        let mut tx = inner.db.begin(Scope::Account(account)).await?;
        let new = NewSession {
            account: &proven.account,
            kind: SessionKind::Token,
            audience,
            name: credentials.session_name.as_deref(),
            cookie: None,
        };
        let (session, session_end) = inner.insert_session(&mut tx, &new, meta).await?;
        let refresh_token = secret_text::encode(crate::refresh::PREFIX, &inner.entropy.bytes());
        let refresh_end =
            inner.insert_refresh(&mut tx, &refresh_token, account, session, session_end).await?;
        let (access_token, expires_in_s) = inner.access_token(account, session, audience, session_end)?;
        inner.finish_sign_in(tx, proven, session, meta).await?;
        Ok(TokenPair {
            access_token,
            expires_in_s,
            refresh_token,
            refresh_expires_in_s: inner.seconds_until(refresh_end),
            session,
            account,
        })
    }

    /// Signs in a browser. [`Credentials::audience`] means nothing here.
    ///
    /// # Errors
    /// As [`Identity::sign_in`].
    pub async fn sign_in_browser(
        &self,
        credentials: Credentials,
        meta: &RequestMeta,
    ) -> Result<BrowserSession, Error> {
        let inner = &*self.0;
        let proven = inner.prove(&credentials, meta).await?;
        let account = proven.account.id;
        let cookie = secret_text::random(&inner.entropy);
        let mut tx = inner.db.begin(Scope::Account(account)).await?;
        let new = NewSession {
            account: &proven.account,
            kind: SessionKind::Browser,
            audience: None,
            name: credentials.session_name.as_deref(),
            cookie: Some(&cookie),
        };
        let (session, expires_at) = inner.insert_session(&mut tx, &new, meta).await?;
        inner.finish_sign_in(tx, proven, session, meta).await?;
        Ok(BrowserSession { cookie, session, account, expires_at })
    }
}

impl Inner {
    /// Compares the password and then looks at the account's state. Every failure is on disk before the answer.
    async fn prove(&self, credentials: &Credentials, meta: &RequestMeta) -> Result<Proven, Error> {
        let found = self.find_by_name(&credentials.name).await?;
        let verdict = self.compare(&credentials.password, found.holder.as_ref()).await?;
        let about = found.holder.as_ref().or(found.attempt.as_ref()).map(|account| account.id);
        let Some((account, verdict)) = found.holder.zip(verdict) else {
            // The attempt is compared with after the holder or after nobody. If it were passed over where there is a
            // holder, whoever registers somebody's address could tell by their own password whether it has an account.
            if let Some(attempt) = &found.attempt
                && self.compare(&credentials.password, Some(attempt)).await?.is_some()
            {
                return self.refuse(Some(attempt.id), "not-verified", Error::EmailNotVerified, meta).await;
            }
            let reason = if about.is_some() { "wrong-password" } else { "unknown-name" };
            return self.refuse(about, reason, Error::WrongCredentials, meta).await;
        };
        match account.status {
            AccountStatus::Pending => {
                return self.refuse(about, "not-verified", Error::EmailNotVerified, meta).await;
            }
            AccountStatus::Disabled => {
                return self.refuse(about, "disabled", Error::AccountDisabled, meta).await;
            }
            AccountStatus::Active => {}
        }
        if account.compromised {
            self.mail_compromised(&account).await?;
            return self.refuse(about, "compromised", Error::PasswordCompromised, meta).await;
        }
        let pepper = self.keys.epoch(Purpose::Pepper);
        let outdated = verdict == Verdict::RightRehash || account.pepper_epoch != Some(pepper.number);
        let circumstances = Circumstances {
            breached_password: self.is_breached(&credentials.password),
            ..Circumstances::default()
        };
        let weighed = self.weigh(&account, Attempt { proof: Proof::Password, circumstances }, meta).await?;
        let rehashed = if outdated { self.rehash(&credentials.password).await } else { None };
        Ok(Proven { account, rehashed, weighed })
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

    async fn finish_sign_in(
        &self,
        mut tx: Tx,
        proven: Proven,
        session: Id<kind::Session>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let account = &proven.account;
        if let Some((hash, pepper_epoch)) = &proven.rehashed {
            tx.execute(REHASH, params![account.id, &account.password, hash, *pepper_epoch]).await?;
        }
        let event = Event::SignedIn { session, method: "password" };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(account.id)).await?;
        self.remember_sign_in(&mut tx, account, proven.weighed, meta).await?;
        tx.commit().await?;
        metrics::counter!("identity_sign_ins_total", "outcome" => "success").increment(1);
        Ok(())
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
