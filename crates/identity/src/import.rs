//! Accounts that come from another system, with the password hashes of that system (AUTH-2).
//!
//! An address that was verified there is taken as verified here: whoever gives the file answers for it. A hash is
//! compared with at the next sign-in and then replaced by one of ours. Importing the same file again changes nothing,
//! so an import that was cut off is resumed by starting it again.

use access::actions::UserAdmin;
use access::{Permit, Role, Tier};
use audit::{Event, Short};
use base::{Email, FullName, Id, Scope, Username, kind};
use crypto::password::{UnsupportedHash, check_import};
use store::{Change, Tx, params};

use crate::account::{self, Account, NO_PASSWORD, NewAccount};
use crate::error::retry_races;
use crate::register::USERNAME_TAKEN;
use crate::service::Inner;
use crate::{AccountStatus, Error, Identity, RequestMeta};

/// Accounts of one call at most; they are stored together or not at all.
pub const MAX_IMPORT: usize = 200;

store::sql! {
    COMPLETE = "UPDATE account SET tier = $2, compromised = $3 WHERE account_id = $1";
}

/// A password hash of another system that can be compared with here.
#[derive(Clone)]
pub struct ImportedHash(String);

impl ImportedHash {
    /// Reads a hash in one of the forms of [`crypto::password::Hasher::verify`]; no hash is computed.
    ///
    /// # Errors
    /// If no password could ever be compared with it.
    pub fn parse(text: &str) -> Result<Self, UnsupportedHash> {
        check_import(text)?;
        Ok(Self(text.to_owned()))
    }

    fn scheme(&self) -> &str {
        check_import(&self.0).unwrap_or("unknown")
    }
}

/// One account to import.
#[derive(Clone)]
pub struct ImportedAccount {
    /// The wished name; without one it is made from the address, and a free variant of it is taken.
    pub username: Option<Username>,
    /// A verified address.
    pub email: Email,
    /// Optional.
    pub full_name: Option<FullName>,
    /// Without one the first sign-in goes through "forgot password".
    pub password: Option<ImportedHash>,
    /// Whether the password must be changed before the first sign-in.
    pub compromised: bool,
    /// The role.
    pub role: Role,
    /// The tier.
    pub tier: Tier,
    /// Whether it may not sign in for now.
    pub disabled: bool,
}

/// What became of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It was made, with this name.
    Made(Id<kind::Account>, Username),
    /// The address has an account already; nothing was changed.
    AlreadyThere(Id<kind::Account>),
    /// Somebody else has the wished name; nothing was changed.
    NameTaken,
}

impl Identity {
    /// Imports up to [`MAX_IMPORT`] accounts from `source` (a short name for the trail), all in one transaction.
    /// Gives one outcome for each, in order.
    ///
    /// # Errors
    /// Failures of the store and the keys; nothing of the batch is stored then.
    pub async fn import_accounts(
        &self,
        permit: Permit<UserAdmin>,
        source: &str,
        batch: &[ImportedAccount],
        meta: &RequestMeta,
    ) -> Result<Vec<ImportOutcome>, Error> {
        if batch.len() > MAX_IMPORT {
            return Err(Error::internal("a batch of an import is too large"));
        }
        retry_races!(self.0.try_import(&permit, source, batch, meta))
    }
}

impl Inner {
    async fn try_import(
        &self,
        permit: &Permit<UserAdmin>,
        source: &str,
        batch: &[ImportedAccount],
        meta: &RequestMeta,
    ) -> Result<Vec<ImportOutcome>, Error> {
        let mut tx = self.db.begin(Scope::System("import of accounts")).await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for one in batch {
            let outcome = self.import_one(&mut tx, one).await?;
            if let ImportOutcome::Made(id, _) = &outcome {
                let hash = one.password.as_ref().map_or("none", ImportedHash::scheme);
                let event = Event::AccountImported { source: Short::new(source), hash: Short::new(hash) };
                let record = self.record(meta, event).by(permit.actor()).about(*id);
                self.audit.append(&mut tx, &record).await?;
                tx.announce(Change::Account(*id));
            }
            outcomes.push(outcome);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    async fn import_one(&self, tx: &mut Tx, one: &ImportedAccount) -> Result<ImportOutcome, Error> {
        let email_index = self.email_index(&one.email);
        if let Some(holder) = Account::find(tx, account::BY_EMAIL, params![email_index]).await? {
            return Ok(ImportOutcome::AlreadyThere(holder.id));
        }
        let username = match &one.username {
            None => self.free_username(tx, &name_from(&one.email)?).await?,
            Some(wished) => {
                if tx.query_one(USERNAME_TAKEN, params![wished]).await?.get::<i64>(0)? > 0 {
                    return Ok(ImportOutcome::NameTaken);
                }
                wished.clone()
            }
        };
        let id = Id::new(&self.clock, &self.entropy);
        let status = if one.disabled { AccountStatus::Disabled } else { AccountStatus::Active };
        let new = NewAccount {
            id,
            username: &username,
            email: &one.email,
            email_index,
            full_name: one.full_name.as_ref(),
            password: one.password.as_ref().map_or(NO_PASSWORD, |hash| &hash.0),
            pepper_epoch: None,
            role: one.role,
            status,
            language: None,
            network: None,
        };
        self.insert_account(tx, &new).await?;
        tx.execute(COMPLETE, params![id, one.tier.as_str(), one.compromised]).await?;
        Ok(ImportOutcome::Made(id, username))
    }
}

/// A name made of what stands before the `@`.
pub(crate) fn name_from(email: &Email) -> Result<Username, Error> {
    let local = email.as_str().split('@').next().unwrap_or_default();
    let mut name: String = local
        .chars()
        .take(45)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' })
        .collect();
    while name.len() < 3 {
        name.push('-');
    }
    name.parse().map_err(|_| Error::internal("letters, digits and hyphens make a name"))
}
