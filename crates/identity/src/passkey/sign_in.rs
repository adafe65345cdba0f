//! Signing in with a passkey, alone or as the second factor, and giving one again.

use audit::{Event, Outcome};
use base::{Id, Scope, kind};
use serde_json::Value;
use store::Change;
use threat::login::Circumstances;
use webauthn_rs::prelude::{AuthenticationResult, Passkey, PublicKeyCredential, WebauthnError};

use super::PasskeyQuestion;
use super::ceremony::{Ceremony, TTL_MS};
use super::register::parsed;
use super::stored::Stored;
use crate::account::Account;
use crate::challenge::Wish;
use crate::entry::{Led, Proven};
use crate::factor::{FactorKind, Shown};
use crate::service::Inner;
use crate::{
    Aal, AccountCaller, AccountStatus, BrowserSession, Error, Identity, RequestMeta, SessionKind, SignIn,
    TokenPair,
};

/// What a passkey is asked for.
pub enum PasskeyPurpose<'a> {
    /// Whoever comes: the authenticator says who it is.
    Anybody,
    /// The second factor of this half sign-in.
    Second {
        /// The challenge.
        challenge: &'a str,
        /// What the sign-in shall become.
        kind: SessionKind,
    },
    /// Once more, before something that matters.
    Again(&'a AccountCaller),
}

impl Identity {
    /// Begins to ask for a passkey.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`], [`Error::Conflict`] if the account has no passkey; failures of the store.
    pub async fn passkey_start(
        &self,
        purpose: PasskeyPurpose<'_>,
        meta: &RequestMeta,
    ) -> Result<PasskeyQuestion, Error> {
        let inner = &*self.0;
        let (options, ceremony) = match purpose {
            PasskeyPurpose::Anybody => {
                let (options, state) =
                    inner.relying_party()?.start_discoverable_authentication().map_err(internal)?;
                (options, Ceremony::Discover { state })
            }
            PasskeyPurpose::Second { challenge, kind } => {
                let mut tx = inner.db.begin_read(Scope::System("second factor")).await?;
                let (account, _) = inner.peek_challenge(&mut tx, kind, challenge, meta).await?;
                let own = inner.passkeys_of(&mut tx, account).await?;
                let (options, state) = inner.ask(&own)?;
                (options, Ceremony::Second { challenge: challenge.to_owned(), state })
            }
            PasskeyPurpose::Again(caller) => {
                let mut tx = inner.db.begin_read(caller.scope()).await?;
                let own = inner.passkeys_of(&mut tx, caller.account).await?;
                let (options, state) = inner.ask(&own)?;
                (options, Ceremony::Again { account: caller.account, session: caller.session, state })
            }
        };
        let ceremony = inner.keep_ceremony(&ceremony).await?;
        let options = serde_json::to_value(options).map_err(|error| Error::Internal(error.into()))?;
        Ok(PasskeyQuestion { ceremony, options, expires_in_s: u32::try_from(TTL_MS / 1000).unwrap_or(300) })
    }

    /// Signs a client in that keeps tokens, by the passkey that [`Identity::passkey_start`] asked for.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`], [`Error::InvalidPasskey`] without telling what is wrong, [`Error::UnknownPasskey`],
    /// [`Error::AccountDisabled`]; failures of the store.
    pub async fn passkey_sign_in(
        &self,
        ceremony: &str,
        answer: &Value,
        audience: Option<&str>,
        session_name: Option<&str>,
        meta: &RequestMeta,
    ) -> Result<SignIn<TokenPair>, Error> {
        let audience = self.0.checked_audience(audience)?;
        let wish = Wish { kind: SessionKind::Token, audience, session_name };
        self.0.passkey_led(ceremony, answer, wish, meta).await?.tokens()
    }

    /// Signs a browser in.
    ///
    /// # Errors
    /// As [`Identity::passkey_sign_in`].
    pub async fn passkey_sign_in_browser(
        &self,
        ceremony: &str,
        answer: &Value,
        meta: &RequestMeta,
    ) -> Result<SignIn<BrowserSession>, Error> {
        let wish = Wish { kind: SessionKind::Browser, audience: None, session_name: None };
        self.0.passkey_led(ceremony, answer, wish, meta).await?.browser()
    }

    /// A passkey given again in the caller's session stands for all factors.
    ///
    /// # Errors
    /// As [`Identity::passkey_sign_in`].
    pub async fn passkey_again(
        &self,
        caller: &AccountCaller,
        ceremony: &str,
        answer: &Value,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let Ceremony::Again { account, session, state } = inner.take_ceremony(ceremony).await? else {
            return Err(Error::InvalidChallenge);
        };
        if (account, session) != (caller.account, caller.session) {
            return Err(Error::InvalidChallenge);
        }
        let answer: PublicKeyCredential = parsed(answer)?;
        let result = inner.relying_party()?.finish_passkey_authentication(&answer, &state);
        let mut stored = inner.right_passkey(&answer, result, Some(account), meta).await?;
        let (stored, result) = (&mut stored.0, &stored.1);
        let mut tx = inner.db.begin(Scope::System("re-authentication")).await?;
        if !inner.use_passkey(&mut tx, stored, result, meta).await? {
            tx.commit().await?;
            return Err(Error::InvalidPasskey);
        }
        let shown = Shown { kind: FactorKind::Passkey, by_mail: false };
        inner.note_passed(&mut tx, account, &shown, Some(session), meta).await?;
        inner.note_first_factor(&mut tx, account, session).await?;
        inner.note_second_factor(&mut tx, account, session).await?;
        inner.calm(&mut tx, account, session).await?;
        tx.announce(Change::Session(session));
        inner.commit_change(tx, Change::Session(session)).await
    }
}

fn internal(error: WebauthnError) -> Error {
    Error::Internal(error.into())
}

impl Inner {
    fn ask(
        &self,
        own: &[Stored],
    ) -> Result<
        (webauthn_rs::prelude::RequestChallengeResponse, webauthn_rs::prelude::PasskeyAuthentication),
        Error,
    > {
        if own.is_empty() {
            return Err(Error::Conflict("This account has no passkey."));
        }
        let passkeys: Vec<Passkey> = own.iter().map(|stored| stored.passkey.clone()).collect();
        self.relying_party()?.start_passkey_authentication(&passkeys).map_err(internal)
    }

    async fn passkey_led(
        &self,
        ceremony: &str,
        answer: &Value,
        wish: Wish<'_>,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let answer: PublicKeyCredential = parsed(answer)?;
        match self.take_ceremony(ceremony).await {
            Ok(Ceremony::Discover { state }) => {
                let Ok((user, credential)) =
                    self.relying_party()?.identify_discoverable_authentication(&answer)
                else {
                    return self.refuse(None, "passkey-without-user", Error::InvalidPasskey, meta).await;
                };
                let owner: Id<kind::Account> = Id::from_bytes(*user.as_bytes());
                let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
                let stored = self.passkey_by_credential(&mut tx, credential).await?;
                drop(tx);
                if stored.is_none() {
                    return self.refuse(None, "unknown-passkey", Error::UnknownPasskey, meta).await;
                }
                // The user handle that the authenticator gives must be the credential's owner.
                let Some(stored) = stored.filter(|stored| stored.account == owner) else {
                    return self.refuse(None, "unknown-passkey", Error::InvalidPasskey, meta).await;
                };
                let result = self.relying_party()?.finish_discoverable_authentication_v2(
                    &answer,
                    state,
                    &stored.passkey,
                );
                let (mut stored, result) = self.right_passkey(&answer, result, Some(owner), meta).await?;
                self.enter_with_passkey(&mut stored, &result, wish, meta).await
            }
            Ok(Ceremony::Second { challenge, state }) => {
                let result = self.relying_party()?.finish_passkey_authentication(&answer, &state);
                let (mut stored, result) = self.right_passkey(&answer, result, None, meta).await?;
                self.complete_with_passkey(&challenge, &mut stored, &result, wish.kind, meta).await
            }
            Ok(Ceremony::Register { .. } | Ceremony::Upgrade { .. } | Ceremony::Again { .. })
            | Err(Error::InvalidChallenge) => {
                self.refuse(None, "invalid-challenge", Error::InvalidChallenge, meta).await
            }
            Err(error) => Err(error),
        }
    }

    /// The passkey that was right. Every failure is on disk before the answer.
    async fn right_passkey(
        &self,
        answer: &PublicKeyCredential,
        result: Result<AuthenticationResult, WebauthnError>,
        owner: Option<Id<kind::Account>>,
        meta: &RequestMeta,
    ) -> Result<(Stored, AuthenticationResult), Error> {
        let result = match result {
            Ok(result) if result.user_verified() => result,
            Ok(_) => return self.refuse(owner, "passkey-unverified-user", Error::InvalidPasskey, meta).await,
            Err(error) => {
                tracing::info!(%error, "a passkey was refused");
                if matches!(error, WebauthnError::CredentialPossibleCompromise) {
                    self.suspect_clone(answer, meta).await?;
                }
                return self.refuse(owner, "wrong-passkey", Error::InvalidPasskey, meta).await;
            }
        };
        let mut tx = self.db.begin_read(Scope::System("passkey")).await?;
        // Removed meanwhile, or another account's.
        let stored = self.passkey_by_credential(&mut tx, result.cred_id()).await?;
        drop(tx);
        match stored {
            None => self.refuse(owner, "unknown-passkey", Error::UnknownPasskey, meta).await,
            Some(stored) if owner.is_none_or(|owner| stored.account == owner) => Ok((stored, result)),
            Some(_) => self.refuse(owner, "unknown-passkey", Error::InvalidPasskey, meta).await,
        }
    }

    /// Alone: possession and the authenticator's own check of the person are two factors.
    async fn enter_with_passkey(
        &self,
        stored: &mut Stored,
        result: &AuthenticationResult,
        wish: Wish<'_>,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let mut tx = self.db.begin(Scope::System("sign-in")).await?;
        let account = Account::load(&mut tx, stored.account).await?;
        if !self.use_passkey(&mut tx, stored, result, meta).await? {
            tx.commit().await?;
            return self.refuse(Some(account.id), "passkey-cloned", Error::InvalidPasskey, meta).await;
        }
        tx.commit().await?;
        if account.status != AccountStatus::Active {
            return self.refuse(Some(account.id), "disabled", Error::AccountDisabled, meta).await;
        }
        let proven = Proven {
            account,
            rehashed: None,
            method: "passkey",
            aal: Aal::Two,
            guess: None,
            circumstances: Circumstances::default(),
        };
        self.sign_in_proven(proven, wish, meta).await
    }

    /// After another factor.
    async fn complete_with_passkey(
        &self,
        challenge: &str,
        stored: &mut Stored,
        result: &AuthenticationResult,
        kind: SessionKind,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let weighed = self.weigh_challenge(kind, challenge, meta).await?;
        let mut tx = self.db.begin(Scope::System("second factor")).await?;
        let pending = self.take_try(&mut tx, kind, challenge, meta).await?;
        let right =
            pending.account.id == stored.account && self.use_passkey(&mut tx, stored, result, meta).await?;
        if !right {
            let event = Event::MfaFailed { factor: FactorKind::Passkey.as_str(), reason: "wrong-passkey" };
            let record = self.record(meta, event).about(pending.account.id).ended(Outcome::Failure);
            self.audit.append(&mut tx, &record).await?;
            tx.commit().await?;
            return Err(Error::InvalidPasskey);
        }
        let shown = Shown { kind: FactorKind::Passkey, by_mail: false };
        self.complete_led(tx, pending, kind, &shown, weighed, meta).await
    }
}
