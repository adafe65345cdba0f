//! Passkeys at rest, and what their use changes.

use audit::{Event, Outcome, Short};
use base::{Id, Scope, kind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::mac::sha256;
use store::{Tx, params};
use webauthn_rs::prelude::{AuthenticationResult, Passkey, PublicKeyCredential};

use super::PasskeySignal;
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

store::sql! {
    INSERT = "INSERT INTO passkey (factor_id, account_id, credential_hash, credential_sealed, backup_eligible, \
        backup_state, sign_count) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    INSERT_FACTOR = "INSERT INTO factor (factor_id, account_id, kind, name_sealed, created_at, confirmed_at) \
        VALUES ($1, $2, 'passkey', $3, $4, $4)";
    UNDEMANDED = "UPDATE factor SET demanded = FALSE WHERE factor_id = $1 AND account_id = $2";
    DROP_UNDEMANDED = "DELETE FROM factor WHERE account_id = $1 AND kind = 'passkey' AND NOT demanded RETURNING factor_id";
    OF_ACCOUNT = "SELECT factor_id, credential_sealed, sign_count FROM passkey WHERE account_id = $1 \
        ORDER BY factor_id LIMIT 100";
    BY_CREDENTIAL = "SELECT factor_id, account_id, credential_sealed, sign_count FROM passkey WHERE credential_hash = $1";
    /// Only a counter that goes up (or stays 0) is taken, so that of two uses of a copy one is seen.
    USED = "UPDATE passkey SET credential_sealed = $3, backup_eligible = $4, backup_state = $5, sign_count = $6 \
        WHERE factor_id = $1 AND account_id = $2 AND (sign_count < $6 OR (sign_count = 0 AND $6 = 0))";
    TOUCH = "UPDATE factor SET last_used_at = $3 WHERE factor_id = $1 AND account_id = $2";
}

/// A passkey, opened.
pub(super) struct Stored {
    pub(super) factor: Id<kind::Factor>,
    pub(super) account: Id<kind::Account>,
    pub(super) passkey: Passkey,
    sign_count: u32,
}

impl Identity {
    /// The relying party id of all passkeys here.
    pub fn rp_id(&self) -> &str {
        &self.0.rp_id
    }

    /// What tells the browser which of the caller's passkeys still count.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn passkey_signal(&self, caller: &AccountCaller) -> Result<PasskeySignal, Error> {
        let mut tx = self.0.db.begin_read(caller.scope()).await?;
        let stored = self.0.passkeys_of(&mut tx, caller.account).await?;
        Ok(PasskeySignal {
            rp_id: self.0.rp_id.clone(),
            user_id: URL_SAFE_NO_PAD.encode(caller.account.as_bytes()),
            credential_ids: stored.iter().map(|one| URL_SAFE_NO_PAD.encode(one.passkey.cred_id())).collect(),
            name: caller.username.to_string(),
        })
    }
}

impl Inner {
    pub(crate) async fn has_passkey(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<bool, Error> {
        Ok(!tx.query(OF_ACCOUNT, params![account]).await?.is_empty())
    }

    pub(super) async fn passkeys_of(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<Vec<Stored>, Error> {
        let mut all = Vec::new();
        for row in tx.query(OF_ACCOUNT, params![account]).await? {
            let (factor, sealed): (Id<kind::Factor>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            all.push(self.open_passkey(tx, factor, account, &sealed, row.get(2)?).await?);
        }
        Ok(all)
    }

    /// The passkey with this credential id, of whomever.
    pub(super) async fn passkey_by_credential(
        &self,
        tx: &mut Tx,
        credential: &[u8],
    ) -> Result<Option<Stored>, Error> {
        let Some(row) = tx.query_opt(BY_CREDENTIAL, params![sha256(credential)]).await? else {
            return Ok(None);
        };
        let sealed: Vec<u8> = row.get(2)?;
        Ok(Some(self.open_passkey(tx, row.get(0)?, row.get(1)?, &sealed, row.get(3)?).await?))
    }

    async fn open_passkey(
        &self,
        tx: &mut Tx,
        factor: Id<kind::Factor>,
        account: Id<kind::Account>,
        sealed: &[u8],
        sign_count: u32,
    ) -> Result<Stored, Error> {
        let place = ("passkey", "credential", *factor.as_bytes());
        let text = self.open_text(tx, account, place, sealed).await?;
        let passkey = serde_json::from_str(&text).map_err(|error| Error::Internal(error.into()))?;
        Ok(Stored { factor, account, passkey, sign_count })
    }

    async fn seal_passkey(
        &self,
        tx: &mut Tx,
        factor: Id<kind::Factor>,
        account: Id<kind::Account>,
        passkey: &Passkey,
    ) -> Result<Vec<u8>, Error> {
        let text = serde_json::to_vec(passkey).map_err(|error| Error::Internal(error.into()))?;
        self.seal(tx, account, ("passkey", "credential", *factor.as_bytes()), &text).await
    }

    /// Takes back that a sign-in demands a second factor because of this one.
    pub(super) async fn undemand(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        factor: Id<kind::Factor>,
    ) -> Result<(), Error> {
        tx.execute(UNDEMANDED, params![factor, account]).await?;
        Ok(())
    }

    /// Ends the passkeys that browsers made by themselves: where a password is set anew, somebody else may have had the old
    /// one, and their browser too. The owner's comes back with their next sign-in.
    pub(crate) async fn drop_upgrades(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        reason: &'static str,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        for _ in tx.query(DROP_UNDEMANDED, params![account]).await? {
            let event = Event::MfaRemoved { factor: "passkey", reason };
            self.audit.append(tx, &self.record(meta, event).by_account(account)).await?;
        }
        Ok(())
    }

    /// Stores a new passkey with its factor.
    pub(super) async fn insert_passkey(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        name: Option<&str>,
        passkey: &Passkey,
    ) -> Result<Id<kind::Factor>, Error> {
        let factor: Id<kind::Factor> = Id::new(&self.clock, &self.entropy);
        let name = self.seal_factor_name(tx, account, factor, name).await?;
        tx.execute(INSERT_FACTOR, params![factor, account, name, self.now()]).await?;
        let sealed = self.seal_passkey(tx, factor, account, passkey).await?;
        let flags = Flags::of(passkey);
        let params = params![
            factor,
            account,
            sha256(passkey.cred_id()),
            sealed,
            flags.backup_eligible,
            flags.backup_state,
            flags.counter
        ];
        tx.execute(INSERT, params).await?;
        Ok(factor)
    }

    /// A rightly signed answer whose counter did not go up: somebody has a copy.
    pub(super) async fn suspect_clone(
        &self,
        answer: &PublicKeyCredential,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin(Scope::System("passkey")).await?;
        if let Some(stored) = self.passkey_by_credential(&mut tx, answer.get_credential_id()).await? {
            // Authenticator data (WebAuthn, section 6.1): 32 bytes of hash, one of flags, four of counter.
            let data: &[u8] = answer.response.authenticator_data.as_ref();
            let counter = data.get(33..37).and_then(|bytes| bytes.try_into().ok());
            self.note_clone(&mut tx, &stored, counter.map_or(0, u32::from_be_bytes), meta).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn note_clone(
        &self,
        tx: &mut Tx,
        stored: &Stored,
        received: u32,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let event = Event::PasskeyCloneSuspected {
            credential: Short::new(&stored.factor.to_string()),
            stored: stored.sign_count,
            received,
        };
        let record = self.record(meta, event).about(stored.account).ended(Outcome::Denied);
        self.audit.append(tx, &record).await?;
        Ok(())
    }

    /// Notes a use. A counter that did not go up means that the passkey was copied: it is refused, and said.
    pub(super) async fn use_passkey(
        &self,
        tx: &mut Tx,
        stored: &mut Stored,
        result: &AuthenticationResult,
        meta: &RequestMeta,
    ) -> Result<bool, Error> {
        let received = result.counter();
        stored.passkey.update_credential(result);
        let sealed = self.seal_passkey(tx, stored.factor, stored.account, &stored.passkey).await?;
        let params = params![
            stored.factor,
            stored.account,
            sealed,
            result.backup_eligible(),
            result.backup_state(),
            received
        ];
        if tx.execute(USED, params).await? == 0 {
            self.note_clone(tx, stored, received, meta).await?;
            return Ok(false);
        }
        tx.execute(TOUCH, params![stored.factor, stored.account, self.now()]).await?;
        Ok(true)
    }
}

/// What the library keeps to itself but writes out.
#[derive(Default)]
struct Flags {
    backup_eligible: bool,
    backup_state: bool,
    counter: u32,
}

impl Flags {
    fn of(passkey: &Passkey) -> Self {
        let document = serde_json::to_value(passkey).unwrap_or_default();
        let flag = |name: &str| document["cred"][name].as_bool().unwrap_or(false);
        Self {
            backup_eligible: flag("backup_eligible"),
            backup_state: flag("backup_state"),
            counter: document["cred"]["counter"]
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
        }
    }
}
