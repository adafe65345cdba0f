//! The first operator: made through a one-time link that only whoever runs the program sees.

use access::actions::SystemConfig;
use access::{Permit, Role};
use audit::Event;
use base::{Id, Scope, kind};
use keys::Purpose;
use store::{Change, Tx, params};

use crate::account::NewAccount;
use crate::code::CodePurpose;
use crate::error::retry_races;
use crate::service::Inner;
use crate::{AccountStatus, Error, Identity, RequestMeta, Setup, SetupLink, register, secret_text};

store::sql! {
    OPERATORS = "SELECT count(*) FROM account WHERE role = 'super_admin' AND status = 'active'";
    PEOPLE = "SELECT count(*) FROM account WHERE status <> 'pending'";
    /// Uses up every open set-up link at once; whoever comes at the same time finds none. The rows tell which there
    /// were.
    CLAIM = "UPDATE one_time_code SET used_at = $1 WHERE purpose = 'setup' AND used_at IS NULL AND expires_at > $1 \
        RETURNING code_hash";
    EMAIL_TAKEN = "SELECT count(*) FROM account WHERE email_index = $1 AND status <> 'pending'";
}

const EXISTS: &str = "There is an operator already.";

impl Identity {
    /// No operator exists yet, so that a set-up link would work.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn needs_setup(&self) -> Result<bool, Error> {
        let mut tx = self.0.db.begin_read(Scope::System("set-up")).await?;
        no_operator(&mut tx).await
    }

    /// A new set-up link. Several may be valid at once; all end once an operator exists.
    ///
    /// # Errors
    /// [`Error::Conflict`] once an operator exists; failures of the store.
    pub async fn issue_setup_link(
        &self,
        permit: Permit<SystemConfig>,
        meta: &RequestMeta,
    ) -> Result<SetupLink, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(Scope::System("set-up")).await?;
        if !no_operator(&mut tx).await? {
            return Err(Error::Conflict(EXISTS));
        }
        let (code, expires_at) =
            inner.issue_code(&mut tx, CodePurpose::Setup, None, inner.settings.setup_ttl_ms).await?;
        // A link for an empty house is how it begins; where people are, it is extraordinary.
        let empty = tx.query_one(PEOPLE, params![]).await?.get::<i64>(0)? == 0;
        let event = if empty {
            Event::FirstSetupLinkIssued { expires_at }
        } else {
            Event::SetupLinkIssued { expires_at }
        };
        let record = inner.record(meta, event).by(permit.actor());
        inner.audit.append(&mut tx, &record).await?;
        tx.commit().await?;
        Ok(SetupLink { url: inner.link("setup", &code), expires_at })
    }

    /// Makes the first operator: an active, verified super_admin.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] (also once an operator exists), [`Error::WeakPassword`], [`Error::Conflict`] if name or
    /// address are taken, [`Error::Busy`], failures of the store.
    pub async fn complete_setup(&self, setup: Setup, meta: &RequestMeta) -> Result<Id<kind::Account>, Error> {
        let result = self.0.complete_setup(&setup, meta).await;
        self.0.note_bad_code(&result, "bad-setup-code", meta).await?;
        result
    }
}

impl Inner {
    async fn complete_setup(&self, setup: &Setup, meta: &RequestMeta) -> Result<Id<kind::Account>, Error> {
        // Looked at first, so that strangers cannot make us hash.
        let mut tx = self.db.begin_read(Scope::System("set-up")).await?;
        if !no_operator(&mut tx).await? || !self.setup_code_exists(&mut tx, &setup.code).await? {
            return Err(Error::InvalidCode);
        }
        drop(tx);
        let own = [setup.username.as_str(), setup.email.as_str()];
        let password = self.acceptable(&setup.password, false, &own).await?;
        let pepper = self.keys.epoch(Purpose::Pepper);
        let pepper_epoch = pepper.number;
        let hash = self.pool.hash(password, pepper).await?;
        retry_races!(self.try_setup(setup, &hash, pepper_epoch, meta))
    }

    async fn try_setup(
        &self,
        setup: &Setup,
        hash: &str,
        pepper_epoch: u32,
        meta: &RequestMeta,
    ) -> Result<Id<kind::Account>, Error> {
        let mut tx = self.db.begin(Scope::System("set-up")).await?;
        let wanted = secret_text::hash(&setup.code);
        let mut claimed = false;
        for row in tx.query(CLAIM, params![self.now()]).await? {
            claimed |= row.get::<[u8; 32]>(0)? == wanted;
        }
        if !claimed || !no_operator(&mut tx).await? {
            return Err(Error::InvalidCode);
        }
        let email_index = self.email_index(&setup.email);
        let taken: i64 = tx.query_one(register::USERNAME_TAKEN, params![&setup.username]).await?.get(0)?;
        let email_taken: i64 = tx.query_one(EMAIL_TAKEN, params![email_index]).await?.get(0)?;
        if taken + email_taken > 0 {
            return Err(Error::Conflict("The name or the address belongs to another account."));
        }
        let id = Id::new(&self.clock, &self.entropy);
        self.insert_account(
            &mut tx,
            &NewAccount {
                id,
                username: &setup.username,
                email: &setup.email,
                email_index,
                full_name: setup.full_name.as_ref(),
                password: hash,
                pepper_epoch: Some(pepper_epoch),
                role: Role::SuperAdmin,
                status: AccountStatus::Active,
                language: meta.language,
                network: None,
            },
        )
        .await?;
        self.learn_from(&mut tx, id, meta).await?;
        let record = self.record(meta, Event::SetupCompleted {}).by_account(id);
        self.audit.append(&mut tx, &record).await?;
        tx.announce(Change::Account(id));
        self.commit_change(tx, Change::Account(id)).await?;
        Ok(id)
    }
}

async fn no_operator(tx: &mut Tx) -> Result<bool, Error> {
    Ok(tx.query_one(OPERATORS, params![]).await?.get::<i64>(0)? == 0)
}
