//! What operators see and change. Each operation takes the proof that it was allowed, by value.

use access::actions::{UserAdmin, UserRead};
use access::{Permit, Role, Tier};
use audit::{Event, Short};
use base::{Actor, Id, Scope, kind};
use store::{Change, Tx, params};

use crate::account::{self, Account};
use crate::closing::REOPEN;
use crate::service::Inner;
use crate::{
    AccountCaller, AccountLine, AccountPage, AccountQuery, AccountStatus, AccountView, Error, Identity,
    RequestMeta,
};

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;
const LAST_OPERATOR: &str = "This is the last active operator (super_admin); make another one first.";

store::sql! {
    /// Newest first. Each filter is off where its parameter is NULL (or empty, for the prefix).
    PAGE_OF = "SELECT account_id, username, role, tier, status, created_at FROM account \
        WHERE account_id < $1 AND (status = $2 OR $2 = '') AND substr(username, 1, $4) = $3 \
        ORDER BY account_id DESC LIMIT $5";
    /// The operators, locked against each other: two who disable one another at once must not both succeed.
    LOCK_OPERATORS =
        sqlite "SELECT account_id FROM account WHERE role = 'super_admin' AND status = 'active' ORDER BY account_id",
        postgres "SELECT account_id FROM account WHERE role = 'super_admin' AND status = 'active' \
            ORDER BY account_id FOR UPDATE";
    /// No link leads back any more; the rest of the closing goes on.
    STAY_CLOSED = "UPDATE account_closing SET code_hash = $2 WHERE account_id = $1";
    SET_STATUS = "UPDATE account SET status = $2, epoch = epoch + 1, updated_at = $4 \
        WHERE account_id = $1 AND status = $3";
    SET_ROLE = "UPDATE account SET role = $2, updated_at = $3 WHERE account_id = $1";
    SET_TIER = "UPDATE account SET tier = $2, updated_at = $3 WHERE account_id = $1";
    SET_COMPROMISED = "UPDATE account SET compromised = TRUE, updated_at = $2 WHERE account_id = $1";
}

impl Identity {
    /// The caller's own account.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn profile(&self, caller: &AccountCaller) -> Result<AccountView, Error> {
        let mut tx = self.0.db.begin_read(caller.scope()).await?;
        Account::load(&mut tx, caller.account).await?.view(&self.0, &mut tx).await
    }

    /// A page of accounts, newest first. The look is recorded.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn accounts(
        &self,
        permit: Permit<UserRead>,
        query: &AccountQuery,
        meta: &RequestMeta,
    ) -> Result<AccountPage, Error> {
        let limit = if query.limit == 0 { PAGE } else { query.limit.min(MAX_PAGE) };
        let after = query.after.unwrap_or(Id::from_bytes([0xff; 16]));
        let status = query.status.map_or("", AccountStatus::as_str);
        let prefix = query.username_prefix.as_deref().unwrap_or("").to_ascii_lowercase();
        let length = u32::try_from(prefix.chars().count()).unwrap_or(u32::MAX);
        let mut tx = self.0.db.begin_read(Scope::System("list of accounts")).await?;
        let rows = tx.query_long(PAGE_OF, params![after, status, prefix, length, limit + 1]).await?;
        drop(tx);
        let full = rows.len() > limit as usize;
        let damaged = || Error::internal("an account's row holds an unknown word");
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows.iter().take(limit as usize) {
            accounts.push(AccountLine {
                id: row.get(0)?,
                username: row.get::<String>(1)?.parse().map_err(|_| damaged())?,
                role: row.get::<String>(2)?.parse().map_err(|_| damaged())?,
                tier: row.get::<String>(3)?.parse().map_err(|_| damaged())?,
                status: AccountStatus::parse(&row.get::<String>(4)?).ok_or_else(damaged)?,
                created_at: row.get(5)?,
            });
        }
        let next = if full { accounts.last().map(|line| line.id) } else { None };
        self.0.note_look(permit.actor(), None, "accounts", accounts.len(), meta).await?;
        Ok(AccountPage { accounts, next })
    }

    /// One account with its personal data. The look is recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`]; failures of store and keys.
    pub async fn account(
        &self,
        permit: Permit<UserRead>,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<AccountView, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(Scope::System("account details")).await?;
        let view = Account::load(&mut tx, account).await?.view(inner, &mut tx).await?;
        drop(tx);
        inner.note_look(permit.actor(), Some(account), "account", 1, meta).await?;
        Ok(view)
    }

    /// The account with this username, e-mail address or id, for commands that get a name.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn find_account(
        &self,
        permit: Permit<UserRead>,
        name: &str,
        meta: &RequestMeta,
    ) -> Result<Option<Id<kind::Account>>, Error> {
        let found = match name.trim().parse::<Id<kind::Account>>() {
            Err(_) => {
                let found = self.0.find_by_name(name).await?;
                found.holder.or(found.attempt)
            }
            Ok(id) => {
                let mut tx = self.0.db.begin_read(Scope::System("account by id")).await?;
                Account::find(&mut tx, account::BY_ID, params![id]).await?
            }
        };
        let found = found.map(|account| account.id);
        self.0.note_look(permit.actor(), found, "account-name", usize::from(found.is_some()), meta).await?;
        Ok(found)
    }

    /// Disables an account and ends its sessions at once. The last active super_admin stays. Of an account that its owner
    /// has closed, the link by which they would come back ends.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`]; failures of the store.
    pub async fn disable_account(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let (mut tx, _) = inner.begin_change(account, true).await?;
        // Who sees the end coming may not shelter behind an end of their own.
        let stays_closed = params![account, inner.entropy.bytes::<32>()];
        if tx.execute(STAY_CLOSED, stays_closed).await? == 0 {
            inner.switch(&mut tx, account, AccountStatus::Active, AccountStatus::Disabled).await?;
            inner.end_sessions(&mut tx, account, None).await?;
        }
        inner.finish_change(tx, account, Event::AccountDisabled { reason: None }, permit.actor(), meta).await
    }

    /// Lets a disabled account sign in again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`]; failures of the store.
    pub async fn enable_account(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let (mut tx, before) = inner.begin_change(account, false).await?;
        // Who was erased has no address any more, and does not come back.
        before.email(inner, &mut tx).await?;
        inner.switch(&mut tx, account, AccountStatus::Disabled, AccountStatus::Active).await?;
        // Also of who closed it and asked the operator to take that back.
        tx.execute(REOPEN, params![account]).await?;
        inner.finish_change(tx, account, Event::AccountEnabled {}, permit.actor(), meta).await
    }

    /// Gives a role; takes effect at once. The last active super_admin stays one. An attempt to register gets none:
    /// anybody may attempt anybody's name, and it would become an account with that role.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`]; failures of the store.
    pub async fn set_role(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        role: Role,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let (mut tx, before) = inner.begin_change(account, role != Role::SuperAdmin).await?;
        before.must_be_verified()?;
        tx.execute(SET_ROLE, params![account, role.as_str(), inner.now()]).await?;
        let event = Event::AccountRoleChanged {
            from: Short::new(before.role.as_str()),
            to: Short::new(role.as_str()),
        };
        inner.finish_change(tx, account, event, permit.actor(), meta).await
    }

    /// Gives a tier; takes effect at once. Not to an attempt to register, as with roles.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`]; failures of the store.
    pub async fn set_tier(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        tier: Tier,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let (mut tx, before) = inner.begin_change(account, false).await?;
        before.must_be_verified()?;
        tx.execute(SET_TIER, params![account, tier.as_str(), inner.now()]).await?;
        let event = Event::AccountRoleChanged {
            from: Short::new(before.tier.as_str()),
            to: Short::new(tier.as_str()),
        };
        inner.finish_change(tx, account, event, permit.actor(), meta).await
    }

    /// Marks a password as compromised: the next sign-in demands a new one. Sessions go on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; failures of the store.
    pub async fn mark_compromised(
        &self,
        permit: Permit<UserAdmin>,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let (mut tx, _) = inner.begin_change(account, false).await?;
        tx.execute(SET_COMPROMISED, params![account, inner.now()]).await?;
        let event = Event::AccountProfileChanged { fields: &["compromised"] };
        inner.finish_change(tx, account, event, permit.actor(), meta).await
    }
}

impl Account {
    /// Nothing is given to who has not proved that the address is theirs.
    fn must_be_verified(&self) -> Result<(), Error> {
        match self.status {
            AccountStatus::Pending => {
                Err(Error::Conflict("The address of this account is not verified yet."))
            }
            AccountStatus::Active | AccountStatus::Disabled => Ok(()),
        }
    }
}

impl Inner {
    /// Records that somebody looked at personal data that is not theirs.
    async fn note_look(
        &self,
        actor: Actor,
        about: Option<Id<kind::Account>>,
        by: &'static str,
        results: usize,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let results = u32::try_from(results).unwrap_or(u32::MAX);
        let mut record = self.record(meta, Event::AuditSearched { by: vec![by], results }).by(actor);
        record.about = about;
        self.audit.record_durable(record).await?;
        Ok(())
    }

    /// Opens the transaction of a change; `demotes` says that the account may be no active operator after it.
    pub(crate) async fn begin_change(
        &self,
        account: Id<kind::Account>,
        demotes: bool,
    ) -> Result<(Tx, Account), Error> {
        let mut tx = self.db.begin(Scope::System("operator's change")).await?;
        if demotes {
            let mut operators = Vec::new();
            for row in tx.query(LOCK_OPERATORS, params![]).await? {
                operators.push(row.get::<Id<kind::Account>>(0)?);
            }
            if operators == [account] {
                return Err(Error::Conflict(LAST_OPERATOR));
            }
        }
        let before = Account::load(&mut tx, account).await?;
        Ok((tx, before))
    }

    pub(crate) async fn switch(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        from: AccountStatus,
        to: AccountStatus,
    ) -> Result<(), Error> {
        match tx.execute(SET_STATUS, params![account, to.as_str(), from.as_str(), self.now()]).await? {
            0 => Err(Error::Conflict(match to {
                AccountStatus::Disabled => "Only an active account can be disabled.",
                _ => "Only a disabled account can be enabled.",
            })),
            _ => Ok(()),
        }
    }

    pub(crate) async fn finish_change(
        &self,
        mut tx: Tx,
        account: Id<kind::Account>,
        event: Event,
        actor: Actor,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        self.audit.append(&mut tx, &self.record(meta, event).by(actor).about(account)).await?;
        tx.announce(Change::Account(account));
        self.commit_change(tx, Change::Account(account)).await
    }
}
