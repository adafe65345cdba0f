//! The accounts elsewhere that sign in to an account here.

use audit::{Event, Short};
use base::{Id, Timestamp, kind};
use store::{Tx, params};

use crate::account::{Account, NO_PASSWORD};
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

store::sql! {
    FIND = "SELECT account_id FROM provider_link WHERE subject_index = $1";
    TOUCH = "UPDATE provider_link SET last_used_at = $2 WHERE subject_index = $1";
    INSERT = "INSERT INTO provider_link (link_id, account_id, provider, subject_index, label_sealed, created_at, \
        last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $6)";
    LIST = "SELECT link_id, provider, label_sealed, created_at, last_used_at FROM provider_link \
        WHERE account_id = $1 ORDER BY created_at LIMIT 50";
    DELETE = "DELETE FROM provider_link WHERE link_id = $1 AND account_id = $2 RETURNING provider";
}

/// An account elsewhere that signs in to one's own.
#[derive(Debug, Clone)]
pub struct ProviderLink {
    /// Names it here.
    pub id: Id<kind::ProviderLink>,
    /// The provider's id in the configuration when it was linked.
    pub provider: String,
    /// What the person knows it by.
    pub label: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it signed in last.
    pub last_used_at: Timestamp,
}

impl Identity {
    /// The caller's linked accounts.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn provider_links(&self, caller: &AccountCaller) -> Result<Vec<ProviderLink>, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        let mut links = Vec::new();
        for row in tx.query(LIST, params![caller.account]).await? {
            let id: Id<kind::ProviderLink> = row.get(0)?;
            let sealed: Option<Vec<u8>> = row.get(2)?;
            let label = match sealed {
                None => None,
                Some(sealed) => {
                    let place = ("provider_link", "label", *id.as_bytes());
                    Some(inner.open_text(&mut tx, caller.account, place, &sealed).await?)
                }
            };
            links.push(ProviderLink {
                id,
                provider: row.get(1)?,
                label,
                created_at: row.get(3)?,
                last_used_at: row.get(4)?,
            });
        }
        Ok(links)
    }

    /// Unlinks an account elsewhere. The last way to sign in stays.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if the account would have no password and no other link.
    pub async fn unlink_provider(
        &self,
        caller: &AccountCaller,
        link: Id<kind::ProviderLink>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        let removed = tx.query_opt(DELETE, params![link, caller.account]).await?.ok_or(Error::NotFound)?;
        let left = tx.query(LIST, params![caller.account]).await?.len();
        let account = Account::load(&mut tx, caller.account).await?;
        if left == 0 && account.password == NO_PASSWORD {
            // Not committed: the link stays.
            return Err(Error::Conflict(
                "This is the only way to sign in to this account; set a password first (forgot password).",
            ));
        }
        let provider = Short::new(&removed.get::<String>(0)?);
        let event = Event::ProviderUnlinked { provider, reason: "owner" };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Inner {
    pub(super) async fn linked_account(
        &self,
        tx: &mut Tx,
        index: [u8; 32],
    ) -> Result<Option<Id<kind::Account>>, Error> {
        Ok(tx.query_opt(FIND, params![index]).await?.map(|row| row.get(0)).transpose()?)
    }

    pub(super) async fn write_link(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        provider: &str,
        index: [u8; 32],
        label: Option<&str>,
    ) -> Result<(), Error> {
        let id: Id<kind::ProviderLink> = Id::new(&self.clock, &self.entropy);
        let label = match label {
            None => None,
            Some(label) => {
                let place = ("provider_link", "label", *id.as_bytes());
                Some(self.seal(tx, account, place, label.as_bytes()).await?)
            }
        };
        tx.execute(INSERT, params![id, account, provider, index, label, self.now()]).await?;
        Ok(())
    }
}

/// Notes the use.
pub(super) async fn touch(tx: &mut Tx, index: [u8; 32], now: Timestamp) -> Result<(), Error> {
    tx.execute(TOUCH, params![index, now]).await?;
    Ok(())
}
