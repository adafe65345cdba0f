//! Passkeys that a browser makes by itself after a sign-in with a password (conditional create, WebAuthn Level 3
//! §5.1.3): `navigator.credentials.create({ mediation: "conditional" })`.
//!
//! The browser asks nobody then, so the answer says that nobody was there (`UP` = 0, `UV` = 0), which §7.1 step 15 lets
//! pass for this ceremony only. webauthn-rs refuses it always and has no option. So the one bit is set before the answer
//! goes to the library, and **only** where that changes nothing that anybody vouched for: the attestation must be `none`,
//! whose statement is empty and signs nothing (an answer with a statement goes to the library as it is). Everything else
//! is the library's check, as strict as ever: type, challenge, origin, relying party, algorithm, key, backup flags. The
//! CBOR around that bit is decoded and encoded by the library that webauthn-rs itself uses.
//!
//! What stands in for the person's presence:
//! * the ceremony is of a kind of its own, of one session, for five minutes, once;
//! * that session **began with a password** at most five minutes ago, and had all the account's factors;
//! * its owner is told by mail;
//! * nobody depends on such a passkey: it makes no second factor demanded, and a reset or a change of the password ends it;
//! * it signs in only with user verification, like every other one.

use std::collections::BTreeMap;

use audit::{Event, Short};
use base::{Id, Scope, Timestamp, kind};
use serde_cbor_2::Value as Cbor;
use serde_json::Value;
use store::{Change, Tx, params};
use webauthn_rs::prelude::{CredentialID, Passkey, RegisterPublicKeyCredential};
use webauthn_rs_core::proto::{AttestationConveyancePreference, COSEAlgorithm, UserVerificationPolicy};

use super::PasskeyQuestion;
use super::ceremony::{Ceremony, TTL_MS};
use super::register::parsed;
use crate::factor::LOCK;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

/// How long after the password the browser may do it: as long as Chromium remembers that it filled one in.
const AFTER_PASSWORD_MS: i64 = 300_000;
/// Where the flags lie in authenticator data: behind the hash of the relying party's id (§6.1).
const FLAGS: usize = 32;
/// User present.
const UP: u8 = 1;

store::sql! {
    /// How and when the session began.
    BEGAN = "SELECT first_factor, created_at FROM session WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL";
}

impl Identity {
    /// Whether the browser may be asked now to make a passkey by itself.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn may_upgrade(&self, caller: &AccountCaller) -> Result<bool, Error> {
        let inner = &*self.0;
        if inner.webauthn.is_none() {
            return Ok(false);
        }
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        match inner.must_be_upgradable(&mut tx, caller).await {
            // Who has a passkey needs none that they did not ask for.
            Ok(()) => Ok(inner.passkeys_of(&mut tx, caller.account).await?.is_empty()),
            Err(Error::ReauthenticationRequired { .. } | Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins a passkey that the browser makes without asking, if it wants to.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`] unless the session began with a password within five minutes and has given all
    /// factors, [`Error::Conflict`] with too many factors; failures of the store.
    pub async fn passkey_upgrade_start(&self, caller: &AccountCaller) -> Result<PasskeyQuestion, Error> {
        let inner = &*self.0;
        let core = &inner.offered()?.core;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        inner.must_be_upgradable(&mut tx, caller).await?;
        let own: Vec<CredentialID> = inner
            .passkeys_of(&mut tx, caller.account)
            .await?
            .iter()
            .map(|stored| stored.passkey.cred_id().clone())
            .collect();
        drop(tx);
        let username = caller.username.as_str();
        let (options, state) = core
            .new_challenge_register_builder(caller.account.as_bytes(), username, username)
            .and_then(|builder| {
                core.generate_challenge_register(
                    builder
                        .attestation(AttestationConveyancePreference::None)
                        .credential_algorithms(COSEAlgorithm::secure_algs())
                        .user_verification_policy(UserVerificationPolicy::Preferred)
                        .require_resident_key(true)
                        .exclude_credentials(Some(own)),
                )
            })
            .map_err(|error| Error::Internal(error.into()))?;
        let ceremony = Ceremony::Upgrade { account: caller.account, session: caller.session, state };
        let ceremony = inner.keep_ceremony(&ceremony).await?;
        let mut options = serde_json::to_value(options).map_err(|error| Error::Internal(error.into()))?;
        options["mediation"] = "conditional".into();
        Ok(PasskeyQuestion { ceremony, options, expires_in_s: u32::try_from(TTL_MS / 1000).unwrap_or(300) })
    }

    /// Takes the passkey that the browser made.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`] for a ceremony that is not this session's (or not of this kind),
    /// [`Error::InvalidPasskey`], [`Error::ReauthenticationRequired`] if too much time went by, [`Error::Conflict`] if it
    /// is registered already; failures of the store.
    pub async fn passkey_upgrade_finish(
        &self,
        caller: &AccountCaller,
        ceremony: &str,
        answer: &Value,
        meta: &RequestMeta,
    ) -> Result<Id<kind::Factor>, Error> {
        let inner = &*self.0;
        let Ceremony::Upgrade { account, session, state } = inner.take_ceremony(ceremony).await? else {
            return Err(Error::InvalidChallenge);
        };
        if (account, session) != (caller.account, caller.session) {
            return Err(Error::InvalidChallenge);
        }
        let mut answer: RegisterPublicKeyCredential = parsed(answer)?;
        if let Some(present) = with_presence(&answer.response.attestation_object) {
            answer.response.attestation_object = present;
        }
        let credential =
            inner.offered()?.core.register_credential(&answer, &state, None).map_err(|error| {
                tracing::info!(%error, "a passkey was refused at its upgrade");
                Error::InvalidPasskey
            })?;
        let passkey = Passkey::from(credential);
        let mut tx = inner.db.begin(Scope::System("passkey upgrade")).await?;
        inner.must_be_upgradable(&mut tx, caller).await?;
        tx.query(LOCK, params![caller.account]).await?;
        if inner.passkey_by_credential(&mut tx, passkey.cred_id()).await?.is_some() {
            return Err(Error::Conflict("This passkey is registered already."));
        }
        let factor = inner.insert_passkey(&mut tx, caller.account, None, &passkey).await?;
        // In the same transaction: nobody ever sees it demanded.
        inner.undemand(&mut tx, caller.account, factor).await?;
        let event = Event::PasskeyRegistered {
            credential: Short::new(&factor.to_string()),
            name: Short::new("made by the browser after a password"),
        };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        inner
            .tell(&mut tx, caller, |username, at, security| Letter::PasskeySaved { username, at, security })
            .await?;
        tx.announce(Change::Account(caller.account));
        inner.commit_change(tx, Change::Account(caller.account)).await?;
        Ok(factor)
    }
}

impl Inner {
    /// The session began with a password a moment ago, and all the account's factors were given in it.
    async fn must_be_upgradable(&self, tx: &mut Tx, caller: &AccountCaller) -> Result<(), Error> {
        self.must_be_fresh(tx, caller).await?;
        let row = tx.query_opt(BEGAN, params![caller.session, caller.account]).await?;
        let row = row.ok_or(Error::InvalidToken("session-revoked"))?;
        let began: Timestamp = row.get(1)?;
        if row.get::<String>(0)? != "password" || self.now().since_ms(began) >= AFTER_PASSWORD_MS {
            return Err(Error::ReauthenticationRequired { second_factor: caller.has_second_factor });
        }
        self.may_have_another_factor(tx, caller.account).await
    }
}

/// The attestation object with the user marked as present, if nobody vouched for that bit: its format is `none` and its
/// statement empty. `None` for everything else, which the library then judges as it came.
fn with_presence(attestation_object: &[u8]) -> Option<Vec<u8>> {
    let Ok(Cbor::Map(mut object)) = serde_cbor_2::from_slice::<Cbor>(attestation_object) else { return None };
    let text = |name: &str| Cbor::Text(name.to_owned());
    let unsigned = object.get(&text("fmt")) == Some(&text("none"))
        && object.get(&text("attStmt")) == Some(&Cbor::Map(BTreeMap::new()));
    let Some(Cbor::Bytes(data)) = object.get_mut(&text("authData")) else { return None };
    let flags = data.get_mut(FLAGS).filter(|_| unsigned)?;
    *flags |= UP;
    serde_cbor_2::to_vec(&Cbor::Map(object)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(format: &str, statement: BTreeMap<Cbor, Cbor>, data: &[u8]) -> Vec<u8> {
        let text = |name: &str| Cbor::Text(name.to_owned());
        let map = BTreeMap::from([
            (text("fmt"), text(format)),
            (text("attStmt"), Cbor::Map(statement)),
            (text("authData"), Cbor::Bytes(data.to_vec())),
        ]);
        serde_cbor_2::to_vec(&Cbor::Map(map)).unwrap()
    }

    #[test]
    fn only_the_bit_of_an_unsigned_answer_is_set() {
        let mut data: Vec<u8> = (0..80).collect();
        data[FLAGS] = 0b0101_1000;
        let before = object("none", BTreeMap::new(), &data);
        data[FLAGS] |= UP;
        assert_eq!(with_presence(&before).unwrap(), object("none", BTreeMap::new(), &data));
    }

    #[test]
    fn what_somebody_vouched_for_and_what_is_broken_stays_as_it_is() {
        let signed = BTreeMap::from([(Cbor::Text("sig".into()), Cbor::Bytes(vec![1]))]);
        for wrong in [
            object("packed", signed.clone(), &[0; 80]),
            object("none", signed, &[0; 80]),
            object("packed", BTreeMap::new(), &[0; 80]),
            object("none", BTreeMap::new(), &[0; 32]),
            object("none", BTreeMap::new(), &[]),
            Vec::new(),
            vec![0xff; 100],
            vec![0x9f; 100_000],
        ] {
            assert!(with_presence(&wrong).is_none(), "{:?}", &wrong[..wrong.len().min(20)]);
        }
    }
}
