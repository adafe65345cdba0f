//! One way to a provider and back: begun by a browser, finished by the same browser, once.

use access::Role;
use audit::{Event, Short};
use base::{Email, Id, Scope, Secret, constant_time_eq, kind};
use keys::{Field, Purpose};
use serde::{Deserialize, Serialize};
use store::{Change, Tx, params};
use threat::login::Circumstances;

use super::claims::Person;
use super::exchange::Proofs;
use super::{Provider, ProviderFault, links};
use crate::account::{self, Account, NO_PASSWORD, NewAccount};
use crate::challenge::Wish;
use crate::entry::Proven;
use crate::error::retry_races;
use crate::import::name_from;
use crate::service::Inner;
use crate::{
    Aal, AccountCaller, AccountStatus, BrowserSession, Error, Identity, RequestMeta, SessionKind, SignIn,
    secret_text,
};

/// A person has this long at the provider.
const TTL_MS: i64 = 10 * 60_000;
/// Longer codes are not kept by anybody.
const MAX_CODE: usize = 2_048;

store::sql! {
    INSERT = "INSERT INTO provider_flow (state_hash, flow_id, provider, browser_hash, body_sealed, created_at, \
        expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    /// Ends the way, whatever comes of it: an answer counts once.
    TAKE = "DELETE FROM provider_flow WHERE state_hash = $1 AND provider = $2 \
        RETURNING flow_id, browser_hash, body_sealed, expires_at";
}

/// What for.
pub enum ProviderPurpose<'a> {
    /// To sign in, with a new account if need be.
    SignIn,
    /// To sign in here with that account from now on, too.
    Link(&'a AccountCaller),
    /// To prove once more that it is them, in their session, by an account that is linked to theirs.
    Again(&'a AccountCaller),
}

/// The beginning of a way.
pub struct ProviderStart {
    /// Where the browser goes.
    pub url: String,
    /// What the browser keeps in a cookie (`HttpOnly`, `SameSite=Lax`) until it is back.
    pub browser: Secret<String>,
    /// For how long, in seconds.
    pub expires_in_s: u32,
}

/// What the browser brings back in the query.
#[derive(Default)]
pub struct ProviderAnswer {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: Option<String>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

/// The end of a way.
pub enum ProviderOutcome {
    /// Signed in, or halfway where the account has a second factor.
    SignIn {
        /// What it led to.
        sign_in: SignIn<BrowserSession>,
        /// Where the person wanted to go, as given at the start.
        next: String,
    },
    /// Linked to the caller's account.
    Linked,
    /// Given again: the caller's first factor is fresh.
    Again {
        /// Where the person wanted to go, as given at the start.
        next: String,
    },
}

/// What is kept, sealed, until the answer comes.
#[derive(Serialize, Deserialize)]
struct Kept {
    nonce: String,
    verifier: String,
    next: String,
    link: Option<(Id<kind::Account>, Id<kind::Session>)>,
    again: Option<Again>,
}

/// Whose first factor is given again, and since when it counts as that.
#[derive(Serialize, Deserialize)]
struct Again {
    account: Id<kind::Account>,
    session: Id<kind::Session>,
    begun_s: i64,
}

impl Identity {
    /// The providers to choose from: id and name.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.providers.iter().map(|one| (one.config.id.as_str(), one.config.name.as_str()))
    }

    /// Begins a sign-in or a linking. `next` is where the person wants to go afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown provider, [`Error::Provider`] if it cannot be reached,
    /// [`Error::ReauthenticationRequired`] for linking; failures of the store.
    pub async fn provider_start(
        &self,
        provider: &str,
        purpose: ProviderPurpose<'_>,
        next: &str,
    ) -> Result<ProviderStart, Error> {
        let inner = &*self.0;
        let provider = inner.provider(provider)?;
        if let ProviderPurpose::Link(caller) = &purpose {
            self.must_be_fresh(caller).await?;
        }
        let text = || secret_text::random(&inner.entropy);
        let (state, nonce, verifier, browser) = (text(), text(), text(), text());
        let now = inner.now();
        let proofs = Proofs { state: state.expose(), nonce: nonce.expose(), verifier: verifier.expose() };
        let again = matches!(purpose, ProviderPurpose::Again(_));
        let url = provider.authorize_url(&inner.provider_redirect(provider), &proofs, again, now).await?;
        let kept = Kept {
            nonce: nonce.expose().clone(),
            verifier: verifier.expose().clone(),
            next: next.to_owned(),
            link: match &purpose {
                ProviderPurpose::Link(caller) => Some((caller.account, caller.session)),
                _ => None,
            },
            again: match &purpose {
                ProviderPurpose::Again(caller) => {
                    Some(Again { account: caller.account, session: caller.session, begun_s: now.as_secs() })
                }
                _ => None,
            },
        };
        let row: [u8; 16] = inner.entropy.bytes();
        let body = serde_json::to_vec(&kept).map_err(|error| Error::Internal(error.into()))?;
        let sealed = inner.keys.seal_system(Purpose::Cookie, field(row), &body);
        let mut tx = inner.db.begin(Scope::System("sign-in with a provider")).await?;
        let params = params![
            secret_text::hash(state.expose()),
            row,
            provider.config.id.as_str(),
            secret_text::hash(browser.expose()),
            sealed,
            now,
            now.plus_ms(TTL_MS)
        ];
        tx.execute(INSERT, params).await?;
        tx.commit().await?;
        Ok(ProviderStart { url, browser, expires_in_s: u32::try_from(TTL_MS / 1000).unwrap_or(600) })
    }

    /// Finishes what [`Identity::provider_start`] began. `browser` is the value of the cookie, `caller` whoever is signed
    /// in. Every failure is on disk before the answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown provider, [`Error::Provider`], [`Error::AccountDisabled`]; failures of the
    /// store.
    pub async fn provider_finish(
        &self,
        provider: &str,
        answer: ProviderAnswer,
        browser: Option<&str>,
        caller: Option<&AccountCaller>,
        meta: &RequestMeta,
    ) -> Result<ProviderOutcome, Error> {
        let inner = &*self.0;
        let provider = inner.provider(provider)?;
        match inner.finish_flow(provider, answer, browser, caller, meta).await {
            Err(Error::Provider(fault)) => {
                inner.refuse(None, fault.code(), Error::Provider(fault), meta).await
            }
            result => result,
        }
    }
}

const fn field(row: [u8; 16]) -> Field<'static> {
    Field { table: "provider_flow", column: "body", row }
}

impl Inner {
    fn provider(&self, id: &str) -> Result<&Provider, Error> {
        self.providers.iter().find(|one| one.config.id == id).ok_or(Error::NotFound)
    }

    fn provider_redirect(&self, provider: &Provider) -> String {
        format!("{}/auth/oauth/{}/callback", self.settings.public_url, provider.config.id)
    }

    async fn finish_flow(
        &self,
        provider: &Provider,
        answer: ProviderAnswer,
        browser: Option<&str>,
        caller: Option<&AccountCaller>,
        meta: &RequestMeta,
    ) -> Result<ProviderOutcome, Error> {
        let kept = self.take_flow(provider, &answer.state, browser).await?;
        let now = self.now();
        // Whose answer this is, is checked before anything in it is used (RFC 9207, mix-up).
        if !provider.is_issuer(answer.iss.as_deref(), now).await? {
            return Err(ProviderFault::NotAuthentic.into());
        }
        if answer.error.is_some() {
            return Err(ProviderFault::Declined.into());
        }
        let code = answer.code.filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
        let code = code.ok_or(ProviderFault::Declined)?;
        let proofs = Proofs { state: &answer.state, nonce: &kept.nonce, verifier: &kept.verifier };
        let person = provider.person(code, &self.provider_redirect(provider), &proofs, now).await?;
        if let Some(again) = kept.again {
            self.given_again(provider, &person, &again, caller, meta).await?;
            return Ok(ProviderOutcome::Again { next: kept.next });
        }
        match kept.link {
            Some((account, session)) => {
                // Whoever began it must still be who is here.
                let same =
                    caller.is_some_and(|caller| (caller.account, caller.session) == (account, session));
                if !same {
                    return Err(ProviderFault::UnknownFlow.into());
                }
                retry_races!(self.link_person(provider, &person, account, meta))?;
                Ok(ProviderOutcome::Linked)
            }
            None => {
                let sign_in = self.sign_in_person(provider, &person, meta).await?;
                Ok(ProviderOutcome::SignIn { sign_in, next: kept.next })
            }
        }
    }

    /// The first factor of a session, given again by an account elsewhere that is linked to the session's account.
    async fn given_again(
        &self,
        provider: &Provider,
        person: &Person,
        again: &Again,
        caller: Option<&AccountCaller>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let (account, session) = (again.account, again.session);
        // Whoever began it must still be who is here.
        if caller.is_none_or(|caller| (caller.account, caller.session) != (account, session)) {
            return Err(ProviderFault::UnknownFlow.into());
        }
        if !provider.asked_again(person, again.begun_s, self.now()).await? {
            return Err(ProviderFault::NotFresh.into());
        }
        let index = self.subject_index(provider, person);
        let mut tx = self.db.begin(Scope::System("re-authentication")).await?;
        if self.linked_account(&mut tx, index).await? != Some(account) {
            return Err(ProviderFault::AnotherPerson.into());
        }
        links::touch(&mut tx, index, self.now()).await?;
        self.note_first_factor(&mut tx, account, session).await?;
        let event = Event::MfaPassed { factor: "provider", session: Some(session) };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(account)).await?;
        tx.announce(Change::Session(session));
        self.commit_change(tx, Change::Session(session)).await
    }

    async fn take_flow(
        &self,
        provider: &Provider,
        state: &str,
        browser: Option<&str>,
    ) -> Result<Kept, Error> {
        let unknown = || Error::Provider(ProviderFault::UnknownFlow);
        if !secret_text::is_plausible(state, "") {
            return Err(unknown());
        }
        let mut tx = self.db.begin(Scope::System("sign-in with a provider")).await?;
        let params = params![secret_text::hash(state), provider.config.id.as_str()];
        let row = tx.query_opt(TAKE, params).await?.ok_or_else(unknown)?;
        tx.commit().await?;
        let (id, hash): ([u8; 16], [u8; 32]) = (row.get(0)?, row.get(1)?);
        let (sealed, expires_at): (Vec<u8>, base::Timestamp) = (row.get(2)?, row.get(3)?);
        let same_browser =
            browser.is_some_and(|browser| constant_time_eq(&secret_text::hash(browser), &hash));
        if !same_browser || expires_at <= self.now() {
            return Err(unknown());
        }
        let body = self.keys.open_system(Purpose::Cookie, field(id), &sealed)?;
        serde_json::from_slice(&body).map_err(|error| Error::Internal(error.into()))
    }

    /// The account that is linked to this person, or a new one.
    async fn account_of(
        &self,
        provider: &Provider,
        person: &Person,
        meta: &RequestMeta,
    ) -> Result<Account, Error> {
        let index = self.subject_index(provider, person);
        let mut tx = self.db.begin(Scope::System("sign-in with a provider")).await?;
        let account = match self.linked_account(&mut tx, index).await? {
            Some(id) => {
                links::touch(&mut tx, index, self.now()).await?;
                Account::load(&mut tx, id).await?
            }
            None => self.account_for(&mut tx, provider, person, meta).await?,
        };
        tx.commit().await?;
        Ok(account)
    }

    /// Lets this person in, as far as the provider's word goes: a second factor of ours is asked for all the same.
    async fn sign_in_person(
        &self,
        provider: &Provider,
        person: &Person,
        meta: &RequestMeta,
    ) -> Result<SignIn<BrowserSession>, Error> {
        let account = retry_races!(self.account_of(provider, person, meta))?;
        if account.status != AccountStatus::Active {
            return self.refuse(Some(account.id), "disabled", Error::AccountDisabled, meta).await;
        }
        let proven = Proven {
            account,
            rehashed: None,
            method: "provider",
            aal: Aal::One,
            guess: None,
            circumstances: Circumstances::default(),
        };
        let wish = Wish { kind: SessionKind::Browser, audience: None, session_name: None };
        self.sign_in_proven(proven, wish, meta).await?.browser()
    }

    /// A new account for somebody whose address the provider vouches for and nobody has.
    async fn account_for(
        &self,
        tx: &mut Tx,
        provider: &Provider,
        person: &Person,
        meta: &RequestMeta,
    ) -> Result<Account, Error> {
        let email = person.verified_email.as_deref().and_then(|text| text.parse::<Email>().ok());
        let email = email.ok_or(ProviderFault::NoAddress)?;
        let email_index = self.email_index(&email);
        if Account::find(tx, account::BY_EMAIL, params![email_index]).await?.is_some() {
            return Err(ProviderFault::AddressTaken.into());
        }
        let username = self.free_username(tx, &name_from(&email)?).await?;
        let id = Id::new(&self.clock, &self.entropy);
        let new = NewAccount {
            id,
            username: &username,
            email: &email,
            email_index,
            full_name: None,
            password: NO_PASSWORD,
            pepper_epoch: None,
            role: Role::User,
            status: AccountStatus::Active,
            language: meta.language,
            network: None,
        };
        self.insert_account(tx, &new).await?;
        for event in [Event::AccountRegistered {}, Event::AccountVerified {}] {
            self.audit.append(tx, &self.record(meta, event).by_account(id)).await?;
        }
        self.insert_link(tx, provider, person, id, meta).await?;
        tx.announce(Change::Account(id));
        Account::load(tx, id).await
    }

    async fn link_person(
        &self,
        provider: &Provider,
        person: &Person,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let index = self.subject_index(provider, person);
        let mut tx = self.db.begin(Scope::System("linking a provider's account")).await?;
        match self.linked_account(&mut tx, index).await? {
            Some(other) if other != account => return Err(ProviderFault::LinkedElsewhere.into()),
            Some(_) => return Ok(()),
            None => self.insert_link(&mut tx, provider, person, account, meta).await?,
        }
        tx.commit().await?;
        Ok(())
    }

    async fn insert_link(
        &self,
        tx: &mut Tx,
        provider: &Provider,
        person: &Person,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let index = self.subject_index(provider, person);
        self.write_link(tx, account, &provider.config.id, index, person.label.as_deref()).await?;
        let event = Event::ProviderLinked { provider: Short::new(&provider.config.id) };
        self.audit.append(tx, &self.record(meta, event).by_account(account)).await?;
        Ok(())
    }

    /// Where (issuer, subject) is looked up; the length of the one cannot be taken for the other.
    fn subject_index(&self, provider: &Provider, person: &Person) -> [u8; 32] {
        let issuer = provider.issuer();
        let mut value = Vec::with_capacity(8 + issuer.len() + person.subject.len());
        value.extend((issuer.len() as u64).to_be_bytes());
        value.extend(issuer.as_bytes());
        value.extend(person.subject.as_bytes());
        self.keys.blind_index("provider_link", "subject", &value)
    }
}
