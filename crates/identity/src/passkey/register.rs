//! A new passkey.

use audit::{Event, Short};
use base::{FieldError, Id, Secret, kind};
use serde_json::Value;
use store::{Change, params};
use webauthn_rs::prelude::{CredentialID, RegisterPublicKeyCredential, Uuid};

use super::PasskeyQuestion;
use super::ceremony::{Ceremony, TTL_MS};
use crate::factor::{FactorKind, LOCK, checked_name};
use crate::mail::Letter;
use crate::{AccountCaller, Error, Identity, RequestMeta};

/// A passkey that was registered.
pub struct NewPasskey {
    /// Its factor.
    pub factor: Id<kind::Factor>,
    /// With the first factor of the account: ten recovery codes, shown here and never again.
    pub recovery_codes: Option<Vec<Secret<String>>>,
}

impl Identity {
    /// Begins a registration. The options ask for a discoverable credential with user verification, and exclude the
    /// account's own.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`], [`Error::Conflict`] with too many factors; failures of the store.
    pub async fn passkey_register_start(&self, caller: &AccountCaller) -> Result<PasskeyQuestion, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        inner.may_have_another_factor(&mut tx, caller.account).await?;
        let own: Vec<CredentialID> = inner
            .passkeys_of(&mut tx, caller.account)
            .await?
            .iter()
            .map(|stored| stored.passkey.cred_id().clone())
            .collect();
        drop(tx);
        let username = caller.username.as_str();
        let (options, state) = inner
            .relying_party()?
            .start_passkey_registration(
                Uuid::from_bytes(*caller.account.as_bytes()),
                username,
                username,
                Some(own),
            )
            .map_err(|error| Error::Internal(error.into()))?;
        let ceremony = Ceremony::Register { account: caller.account, session: caller.session, state };
        let ceremony = inner.keep_ceremony(&ceremony).await?;
        let mut options = serde_json::to_value(options).map_err(|error| Error::Internal(error.into()))?;
        // Discoverable, so that it signs in without a name; an authenticator that cannot may say so.
        if let Some(selection) = options["publicKey"]["authenticatorSelection"].as_object_mut() {
            selection.insert("residentKey".to_owned(), "required".into());
            selection.insert("requireResidentKey".to_owned(), true.into());
        }
        Ok(PasskeyQuestion { ceremony, options, expires_in_s: u32::try_from(TTL_MS / 1000).unwrap_or(300) })
    }

    /// Finishes a registration with the browser's answer.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`] for a ceremony that is not this session's, [`Error::InvalidPasskey`],
    /// [`Error::Invalid`] for the name, [`Error::Conflict`] if the passkey is registered already; failures of the store.
    pub async fn passkey_register_finish(
        &self,
        caller: &AccountCaller,
        ceremony: &str,
        answer: &Value,
        name: Option<&str>,
        meta: &RequestMeta,
    ) -> Result<NewPasskey, Error> {
        let inner = &*self.0;
        let name = checked_name(name)?;
        let Ceremony::Register { account, session, state } = inner.take_ceremony(ceremony).await? else {
            return Err(Error::InvalidChallenge);
        };
        if (account, session) != (caller.account, caller.session) {
            return Err(Error::InvalidChallenge);
        }
        let answer: RegisterPublicKeyCredential = parsed(answer)?;
        let passkey =
            inner.relying_party()?.finish_passkey_registration(&answer, &state).map_err(|error| {
                tracing::info!(%error, "a passkey was refused at its registration");
                Error::InvalidPasskey
            })?;
        let mut tx = inner.db.begin(base::Scope::System("passkey registration")).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        tx.query(LOCK, params![caller.account]).await?;
        if inner.passkey_by_credential(&mut tx, passkey.cred_id()).await?.is_some() {
            return Err(Error::Conflict("This passkey is registered already."));
        }
        let first = !inner.has_factor(&mut tx, caller.account).await?;
        let factor = inner.insert_passkey(&mut tx, caller.account, name, &passkey).await?;
        let recovery_codes =
            if first { Some(inner.issue_codes(&mut tx, caller.account).await?) } else { None };
        // Whoever registered it was verified by it just now.
        inner.note_second_factor(&mut tx, caller.account, caller.session).await?;
        let event = Event::PasskeyRegistered {
            credential: Short::new(&factor.to_string()),
            name: Short::new(name.unwrap_or_default()),
        };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        inner
            .tell(&mut tx, caller, |username, at, security| Letter::FactorAdded {
                username,
                at,
                security,
                kind: FactorKind::Passkey,
            })
            .await?;
        // All sessions of the account: a second factor can be demanded from now on.
        tx.announce(Change::Account(caller.account));
        inner.commit_change(tx, Change::Account(caller.account)).await?;
        Ok(NewPasskey { factor, recovery_codes })
    }
}

/// The browser's answer in WebAuthn's JSON form.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(answer: &Value) -> Result<T, Error> {
    T::deserialize(answer).map_err(|error| {
        let detail = format!("must be a credential in WebAuthn's JSON form: {error}");
        Error::Invalid(vec![FieldError { pointer: "/credential".to_owned(), detail }])
    })
}
