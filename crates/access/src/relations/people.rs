//! What relations need to know about accounts: whether they exist, and how an inviter stands. The table is identity's;
//! here it is only read.

use base::{Id, kind};
use store::{Tx, params};

use super::AccessError;
use crate::{Assurance, Subject, facts::Relation};

store::sql! {
    STANDING = "SELECT role, tier, status, locked_at IS NOT NULL FROM account WHERE account_id = $1";
}

/// An account as a decision sees it; `None` if there is none that has been active.
pub(crate) async fn standing(
    tx: &mut Tx,
    account: Id<kind::Account>,
) -> Result<Option<Subject>, AccessError> {
    let Some(row) = tx.query_opt(STANDING, params![account]).await? else { return Ok(None) };
    let status: String = row.get(2)?;
    // An attempt to register is nobody yet. An unknown word gives no role, and no role may do nothing.
    if status == "pending" {
        return Ok(None);
    }
    Ok(Some(Subject {
        account: Some(account),
        role: row.get::<String>(0)?.parse().ok(),
        tier: row.get::<String>(1)?.parse().ok(),
        suspended: status != "active",
        assurance: Assurance { locked: row.get(3)?, ..Assurance::NONE },
        ..Subject::account(account, crate::Role::Guest, crate::Tier::Free)
    }))
}

/// Somebody who can be given access now.
pub(crate) async fn must_be_active(
    tx: &mut Tx,
    account: Id<kind::Account>,
    field: &'static str,
) -> Result<Subject, AccessError> {
    match standing(tx, account).await? {
        Some(subject) if !subject.suspended => Ok(subject),
        _ => Err(super::invalid(field, "is no active account")),
    }
}

/// The word of a relation that has a row.
pub(crate) fn relation(word: &str) -> Option<Relation> {
    word.parse().ok().filter(|r| matches!(r, Relation::Collaborator | Relation::Shared | Relation::Token))
}
