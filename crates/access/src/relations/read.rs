//! Reading the facts about one object and one person.

use std::sync::Arc;

use base::{Id, Timestamp, kind};
use store::{Row, Tx, params};

use super::{AccessError, Inner, people};
use crate::{Action, Facts, Hold, Relation, ResourceRef, Revision, TokenTerms};

store::sql! {
    REVISION = "SELECT revision FROM access_revision WHERE one = 1";
    /// The object and the person's own row: two look-ups by key, and three that mostly find nothing.
    pub(super) OBJECT = "SELECT o.object_id, o.account_id, o.public, o.parent_id, \
        EXISTS (SELECT 1 FROM access_member m WHERE m.member_id = $3), \
        (SELECT revision FROM access_revision WHERE one = 1), \
        (SELECT max(b.expires_at) FROM access_break_glass b \
            WHERE b.object_id = o.object_id AND b.account_id = $3 AND b.revoked_at IS NULL), \
        r.relation, r.expires_at, r.permissions, r.hangs_on \
        FROM access_object o LEFT JOIN access_relation r ON r.object_id = o.object_id AND r.subject_id = $3 \
        WHERE o.kind = $1 AND o.name = $2";
    /// What comes from what the object is part of, and from teams. Whoever owns what it is part of works on it. SQLite walks
    /// CROSS JOINs as they stand: at most three objects by as many teams as one is in, each row found by its key.
    pub(super) INHERITED =
        sqlite "WITH me (id) AS (SELECT $3 \
            UNION SELECT m.team_id FROM access_member m WHERE m.member_id = $3 \
            UNION SELECT u.team_id FROM access_member m JOIN access_member u ON u.member_id = m.team_id \
                WHERE m.member_id = $3), \
        place (id, owner) AS (SELECT object_id, account_id FROM access_object WHERE object_id IN ($1, $2) \
            UNION SELECT g.object_id, g.account_id FROM access_object p \
                JOIN access_object g ON g.object_id = p.parent_id WHERE p.object_id = $2) \
        SELECT 'collaborator', NULL FROM place WHERE owner = $3 AND id <> $1 \
        UNION ALL SELECT r.relation, r.expires_at FROM place CROSS JOIN me CROSS JOIN access_relation r \
            ON r.object_id = place.id AND r.subject_id = me.id \
            WHERE r.relation <> 'token' AND NOT (r.object_id = $1 AND r.subject_id = $3)",
        postgres "WITH me (id) AS (SELECT $3::uuid \
            UNION SELECT m.team_id FROM access_member m WHERE m.member_id = $3 \
            UNION SELECT u.team_id FROM access_member m JOIN access_member u ON u.member_id = m.team_id \
                WHERE m.member_id = $3), \
        place (id, owner) AS (SELECT object_id, account_id FROM access_object WHERE object_id IN ($1, $2) \
            UNION SELECT g.object_id, g.account_id FROM access_object p \
                JOIN access_object g ON g.object_id = p.parent_id WHERE p.object_id = $2) \
        SELECT 'collaborator', NULL::bigint FROM place WHERE owner = $3 AND id <> $1 \
        UNION ALL SELECT r.relation, r.expires_at FROM place CROSS JOIN me JOIN access_relation r \
            ON r.object_id = place.id AND r.subject_id = me.id \
            WHERE r.relation <> 'token' AND NOT (r.object_id = $1 AND r.subject_id = $3)";
}

/// A registered object, as its row and the person's own row say.
pub(crate) struct Known {
    pub(crate) id: Id<kind::Object>,
    pub(crate) owner: Id<kind::Account>,
    pub(crate) parent: Option<Id<kind::Object>>,
    /// The person's own row on this very object, which alone lets them invite others.
    pub(crate) own: Option<OwnRow>,
    pub(crate) facts: Facts,
}

pub(crate) struct OwnRow {
    pub(crate) relation: Relation,
    pub(crate) expires_at: Option<Timestamp>,
}

impl OwnRow {
    pub(crate) fn hold(&self) -> Hold {
        Hold::until(self.expires_at)
    }
}

/// The latest revision.
pub(crate) async fn revision(tx: &mut Tx) -> Result<Revision, AccessError> {
    Ok(Revision(tx.query_one(REVISION, params![]).await?.get(0)?))
}

/// The object and what the person has to do with it; `None` if nobody registered it.
pub(crate) async fn known(
    tx: &mut Tx,
    account: Option<Id<kind::Account>>,
    resource: &ResourceRef,
    now: Timestamp,
) -> Result<Option<Known>, AccessError> {
    let row = tx.query_opt(OBJECT, params![&resource.kind, &resource.id, account]).await?;
    let Some(row) = row else { return Ok(None) };
    let mut known = Known {
        id: row.get(0)?,
        owner: row.get(1)?,
        parent: row.get(3)?,
        own: own_row(&row)?,
        facts: Facts::unrelated(resource.clone(), now),
    };
    known.facts.revision = Revision(row.get(5)?);
    let mut facts = known.facts.clone();
    if account == Some(known.owner) {
        facts = facts.with(Relation::Owner, Hold::Always);
    }
    if row.get(2)? {
        facts = facts.with(Relation::Public, Hold::Always);
    }
    if let Some(end) = row.get::<Option<Timestamp>>(6)? {
        facts = facts.with(Relation::BreakGlass, Hold::Until(end));
    }
    if let Some(own) = &known.own {
        facts = facts.with(own.relation, own.hold());
        if own.relation == Relation::Token && own.hold().at(now) {
            facts.token = terms(tx, &known, &row, now).await?.map(Arc::new);
        }
    }
    let in_team: bool = row.get(4)?;
    if account.is_some() && (in_team || known.parent.is_some()) {
        for row in tx.query(INHERITED, params![known.id, known.parent, account]).await? {
            if let Some(relation) = people::relation(&row.get::<String>(0)?) {
                facts = facts.with(relation, Hold::until(row.get(1)?));
            }
        }
    }
    known.facts = facts;
    Ok(Some(known))
}

fn own_row(row: &Row) -> Result<Option<OwnRow>, AccessError> {
    let Some(word) = row.get::<Option<String>>(7)? else { return Ok(None) };
    let Some(relation) = people::relation(&word) else { return Ok(None) };
    Ok(Some(OwnRow { relation, expires_at: row.get(8)? }))
}

/// What the token is worth now: its words, and its inviter as they stand.
async fn terms(
    tx: &mut Tx,
    known: &Known,
    row: &Row,
    now: Timestamp,
) -> Result<Option<TokenTerms>, AccessError> {
    let words: Option<String> = row.get(9)?;
    // An owner's invitation hangs on nobody; whoever owns the object now stands behind it.
    let (inviter, relation) = match row.get::<Option<Id<kind::Account>>>(10)? {
        None => (known.owner, Some(Relation::Owner)),
        Some(inviter) => (inviter, own_relation(tx, known.id, inviter, now).await?),
    };
    let Some(inviter) = people::standing(tx, inviter).await? else { return Ok(None) };
    let Some(inviter_relation) = relation else { return Ok(None) };
    let permissions = words.unwrap_or_default();
    let permissions = permissions.split(' ').filter(|word| !word.is_empty());
    let permissions = permissions.map(|word| Action(std::borrow::Cow::Owned(word.to_owned()))).collect();
    Ok(Some(TokenTerms { permissions, inviter, inviter_relation }))
}

store::sql! {
    OWN = "SELECT relation, expires_at FROM access_relation WHERE object_id = $1 AND subject_id = $2";
}

/// The live relation of somebody's own row.
pub(crate) async fn own_relation(
    tx: &mut Tx,
    object: Id<kind::Object>,
    account: Id<kind::Account>,
    now: Timestamp,
) -> Result<Option<Relation>, AccessError> {
    let Some(row) = tx.query_opt(OWN, params![object, account]).await? else { return Ok(None) };
    let live = Hold::until(row.get(1)?).at(now);
    Ok(people::relation(&row.get::<String>(0)?).filter(|_| live))
}

impl Inner {
    /// The object for somebody who may know of it. Nothing is told apart: not registered, not theirs.
    pub(crate) async fn seen(
        &self,
        tx: &mut Tx,
        account: Option<Id<kind::Account>>,
        resource: &ResourceRef,
        now: Timestamp,
    ) -> Result<Known, AccessError> {
        let known = known(tx, account, resource, now).await?.filter(|known| known.facts.is_known());
        known.ok_or(AccessError::NotFound)
    }
}
