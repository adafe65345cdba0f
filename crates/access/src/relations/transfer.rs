//! Another owner.

use audit::Event;
use base::{Id, kind};
use store::{Change, params};

use super::{AccessError, Asker, Relations, invalid, people, shares, shown};
use crate::{Relation, ResourceRef, Revision};

store::sql! {
    /// Only from the owner that the asker was found to be. It leaves what it was part of, unless that is the new owner's
    /// already: whoever owns the whole works on its parts, so the old owner would keep what they gave away.
    HAND_OVER = "UPDATE access_object SET account_id = $3, revision = $4, parent_id = (SELECT p.object_id \
            FROM access_object p WHERE p.object_id = access_object.parent_id AND p.account_id = $3) \
        WHERE object_id = $1 AND account_id = $2";
    /// What hung on a collaborator stands by itself when they own the object.
    FREE = "UPDATE access_relation SET hangs_on = NULL, revision = $3 WHERE object_id = $1 AND hangs_on = $2";
    DROP_OWN = "DELETE FROM access_relation WHERE object_id = $1 AND subject_id = $2";
}

impl Relations {
    /// Gives an object to somebody else, who gets it as it is, with everybody whom it was shared with, but taken out of
    /// what it was part of. The old owner keeps nothing, or stays as a collaborator if `keep` says so.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Denied`], [`AccessError::Invalid`] for a receiver who cannot be;
    /// [`AccessError::Conflict`] if it changed hands in the meantime.
    pub async fn transfer(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        to: Id<kind::Account>,
        keep: bool,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let known = inner.seen(&mut change.tx, Some(asker), resource, change.now).await?;
        shares::must_share(inner, &by.subject, &known.facts, Relation::Shared)?;
        // Administrators may share what is public, but give nothing away that is not theirs.
        if known.owner != asker {
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        }
        if to == asker {
            return Err(invalid("to", "is the owner already"));
        }
        people::must_be_active(&mut change.tx, to, "to").await?;
        let moved = change.tx.execute(HAND_OVER, params![known.id, asker, to, change.revision.0]).await?;
        if moved == 0 {
            return Err(AccessError::Conflict("It changed hands in the meantime."));
        }
        change.tx.execute(FREE, params![known.id, to, change.revision.0]).await?;
        change.tx.execute(DROP_OWN, params![known.id, to]).await?;
        // An owner needs none, and shall not come back with one when they own it no more.
        inner.decline_offers(&mut change, known.id, to).await?;
        if keep {
            let row = params![
                known.id,
                asker,
                asker,
                None::<Id<kind::Team>>,
                &resource.kind,
                Relation::Collaborator.as_str(),
                None::<String>,
                None::<Id<kind::Invitation>>,
                to,
                None::<Id<kind::Account>>,
                change.now,
                None::<i64>,
                change.revision.0
            ];
            change.tx.execute(shares::GIVE, row).await?;
        }
        let event = Event::AccessTransferred {
            resource: shown(resource),
            from: asker,
            to,
            revision: change.revision.0,
        };
        // Both are told: to one it was, to the other it is.
        inner.note(&mut change, by, Some(asker), event.clone()).await?;
        inner.note(&mut change, by, Some(to), event).await?;
        // What is part of it has another owner above it.
        inner.finish(change, Change::Relations).await
    }
}
