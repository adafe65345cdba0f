//! What somebody owns, for their own overview.

use base::{Id, Scope, kind};
use store::params;

use super::{AccessError, Asker, Relations};
use crate::ResourceRef;

store::sql! {
    /// The objects of an owner, in the order of their registration.
    OWNED = "SELECT o.object_id, o.kind, o.name, o.public, \
        (SELECT count(*) FROM access_relation r WHERE r.object_id = o.object_id) \
        FROM access_object o WHERE o.account_id = $1 AND o.object_id > $2 ORDER BY o.object_id LIMIT $3";
}

/// Objects of one page.
const PAGE: u32 = 100;

/// An object of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The object.
    pub resource: ResourceRef,
    /// Everybody sees it.
    pub public: bool,
    /// How many were given access to it, those whose time is over included until they are swept away.
    pub shares: i64,
}

impl Relations {
    /// The objects that the asker owns, at most 100, after `after`; and where the next page begins.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] for somebody without an account; failures of the database.
    pub async fn owned(
        &self,
        by: &Asker,
        after: Option<Id<kind::Object>>,
    ) -> Result<(Vec<Owned>, Option<Id<kind::Object>>), AccessError> {
        let account = by.account()?;
        let mut tx = self.0.db.begin_read(Scope::Account(account)).await?;
        let from = after.unwrap_or(Id::from_bytes([0; 16]));
        let rows = tx.query(OWNED, params![account, from, PAGE + 1]).await?;
        let mut owned = Vec::new();
        let mut last = None;
        for row in rows.iter().take(PAGE as usize) {
            last = Some(row.get(0)?);
            owned.push(Owned {
                resource: ResourceRef { kind: row.get(1)?, id: row.get(2)? },
                public: row.get(3)?,
                shares: row.get(4)?,
            });
        }
        Ok((owned, last.filter(|_| rows.len() > PAGE as usize)))
    }
}
