//! Reverse questions: which objects may this person … (ACCESS-7)? Who may … is `audience`.
//!
//! The policies are reduced to the smallest sets of relations that allow the action ([`Bundle::residual`]); for each set
//! one relation of it is looked for through an index, the rarest first, so that a million objects that the person has
//! nothing to do with cost nothing. Each row found is then decided like any other question: so a list says exactly what
//! single questions would say, whatever the policies are.
//!
//! [`Bundle::residual`]: crate::Bundle

use std::collections::BTreeMap;

use base::{Id, Scope, Timestamp, kind};
use store::{Tx, params};

use super::{AccessError, Relations, invalid, read};
use crate::{Action, Relation, ResourceRef, Revision, Subject};

/// Entries of one page.
pub(super) const MAX_PAGE: usize = 200;
/// Rounds of one page: what is found is nearly always allowed, so more would mean that something is odd.
pub(super) const ROUNDS: usize = 8;

store::sql! {
    pub(super) OWNED = "SELECT object_id, name FROM access_object WHERE account_id = $1 AND kind = $2 AND object_id > $3 \
        ORDER BY object_id LIMIT $4";
    pub(super) PUBLIC = "SELECT object_id, name FROM access_object WHERE public AND kind = $1 AND object_id > $2 \
        ORDER BY object_id LIMIT $3";
    pub(super) ANY = "SELECT object_id, name FROM access_object WHERE kind = $1 AND object_id > $2 ORDER BY object_id LIMIT $3";
    pub(super) GIVEN = "SELECT r.object_id, o.name FROM access_relation r JOIN access_object o ON o.object_id = r.object_id \
        WHERE r.subject_id = $1 AND r.kind = $2 AND r.object_id > $3 \
        AND (r.expires_at IS NULL OR r.expires_at > $5) AND $6 LIKE '%' || r.relation || '%' \
        ORDER BY r.object_id LIMIT $4";
    /// Through teams.
    pub(super) TEAMS = "SELECT DISTINCT r.object_id, o.name FROM access_relation r JOIN access_object o ON o.object_id = r.object_id \
        WHERE r.subject_id IN (SELECT m.team_id FROM access_member m WHERE m.member_id = $1 \
            UNION SELECT u.team_id FROM access_member m JOIN access_member u ON u.member_id = m.team_id \
                WHERE m.member_id = $1) \
        AND r.kind = $2 AND r.object_id > $3 AND (r.expires_at IS NULL OR r.expires_at > $5) \
        AND $6 LIKE '%' || r.relation || '%' ORDER BY r.object_id LIMIT $4";
    /// Through what objects are part of: from what the person has something to do with down to its parts and theirs. The
    /// joins stand in the order in which they are to be walked; in any other, everything of the kind would be.
    pub(super) PARTS = "WITH whole (id) AS (SELECT object_id FROM access_object WHERE account_id = $1 \
        UNION SELECT r.object_id FROM access_relation r WHERE r.subject_id = $1 AND r.relation <> 'token' \
            AND (r.expires_at IS NULL OR r.expires_at > $5) \
        UNION SELECT r.object_id FROM access_member m CROSS JOIN access_relation r WHERE m.member_id = $1 \
            AND r.subject_id = m.team_id AND (r.expires_at IS NULL OR r.expires_at > $5) \
        UNION SELECT r.object_id FROM access_member m CROSS JOIN access_member u CROSS JOIN access_relation r \
            WHERE m.member_id = $1 AND u.member_id = m.team_id AND r.subject_id = u.team_id \
            AND (r.expires_at IS NULL OR r.expires_at > $5)), \
        above (id) AS (SELECT id FROM whole UNION SELECT p.object_id FROM whole CROSS JOIN access_object p \
            WHERE p.parent_id = whole.id) \
        SELECT o.object_id, o.name FROM above CROSS JOIN access_object o WHERE o.parent_id = above.id \
        AND o.kind = $2 AND o.object_id > $3 ORDER BY o.object_id LIMIT $4";
    pub(super) GLASSES = "SELECT DISTINCT b.object_id, o.name FROM access_break_glass b CROSS JOIN access_object o \
        WHERE b.account_id = $1 AND o.object_id = b.object_id AND o.kind = $2 AND b.object_id > $3 \
        AND b.expires_at > $5 AND b.revoked_at IS NULL ORDER BY b.object_id LIMIT $4";
    NAMED = "SELECT object_id, name FROM access_object WHERE kind = $1 AND name = $2 AND object_id > $3";
}

/// One object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The object.
    pub resource: ResourceRef,
    /// When the right to it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Objects, in the order of their registration.
#[derive(Debug, Clone)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<Listed>,
    /// Where the next page begins. A page may have fewer entries than asked for, or none, and still have a next.
    pub next: Option<Id<kind::Object>>,
    /// The state of relations that was read.
    pub revision: Revision,
}

/// Where to look for objects.
#[derive(Debug, Clone, Default)]
struct Plan {
    owned: bool,
    public: bool,
    any: bool,
    glasses: bool,
    /// The words of rows that count, with blanks between.
    words: String,
}

impl Plan {
    /// For each smallest set of relations, its rarest: whoever has the set has that one.
    fn of(residual: &[u8]) -> Self {
        const RAREST: [Relation; 6] = [
            Relation::Owner,
            Relation::Token,
            Relation::BreakGlass,
            Relation::Collaborator,
            Relation::Shared,
            Relation::Public,
        ];
        let mut plan = Self::default();
        for set in residual {
            match RAREST.into_iter().find(|relation| set & relation.bit() != 0) {
                None => plan.any = true,
                Some(Relation::Owner) => plan.owned = true,
                Some(Relation::Public) => plan.public = true,
                Some(Relation::BreakGlass) => plan.glasses = true,
                Some(row) => {
                    plan.words.push_str(row.as_str());
                    plan.words.push(' ');
                }
            }
        }
        plan
    }
}

impl Relations {
    /// The objects of a kind to which `subject` may do `action`, at most `limit` (and 200), after `after`.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] if the action is not about such objects; failures of the database.
    pub async fn list_objects(
        &self,
        subject: &Subject,
        action: &Action,
        kind: &str,
        after: Option<Id<kind::Object>>,
        limit: usize,
    ) -> Result<ObjectPage, AccessError> {
        let inner = &*self.0;
        let bundle = inner.access.bundle();
        let residual = bundle
            .residual(inner.access.conditions(), subject, action, kind)
            .filter(|_| kind != "user")
            .ok_or_else(|| invalid("type", "is not what this action is about"))?;
        let plan = Plan::of(&residual);
        let named = bundle.named(action, kind);
        let limit = limit.clamp(1, MAX_PAGE);
        let now = inner.now();
        let mut tx = inner.db.begin_read(Scope::System("list of objects")).await?;
        let revision = read::revision(&mut tx).await?;
        let mut page = ObjectPage { objects: Vec::new(), next: None, revision };
        let mut cursor = after.unwrap_or(Id::from_bytes([0; 16]));
        for _ in 0..ROUNDS {
            let (found, more) = candidates(&mut tx, subject, kind, &plan, &named, cursor, limit, now).await?;
            for (id, name) in found {
                cursor = id;
                let resource = ResourceRef { kind: kind.to_owned(), id: name };
                let Some(known) = read::known(&mut tx, subject.account, &resource, now).await? else {
                    continue;
                };
                let decision =
                    bundle.decide_under(inner.access.conditions(), subject, action, Some(&known.facts));
                if decision.allowed {
                    if page.objects.len() == limit {
                        // There is more: the page ends before this one.
                        return Ok(page);
                    }
                    page.next = Some(id);
                    page.objects.push(Listed { resource, expires_at: decision.expires_at });
                }
            }
            if !more {
                page.next = None;
                return Ok(page);
            }
        }
        page.next = Some(cursor);
        Ok(page)
    }
}

type Found = BTreeMap<Id<kind::Object>, String>;

/// The next objects worth a question, in order, and whether there may be more after them.
#[expect(clippy::too_many_arguments, reason = "each is one parameter of the statements")]
async fn candidates(
    tx: &mut Tx,
    subject: &Subject,
    kind: &str,
    plan: &Plan,
    named: &[String],
    cursor: Id<kind::Object>,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<(Id<kind::Object>, String)>, bool), AccessError> {
    let take = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = Found::new();
    let mut more = false;
    let mut add = |rows: Vec<store::Row>, bounded: bool| -> Result<(), AccessError> {
        more |= bounded && rows.len() > limit;
        for row in rows {
            found.insert(row.get(0)?, row.get(1)?);
        }
        Ok(())
    };
    if plan.any {
        add(tx.query(ANY, params![kind, cursor, take]).await?, true)?;
    } else {
        if plan.public {
            add(tx.query(PUBLIC, params![kind, cursor, take]).await?, true)?;
        }
        if let Some(account) = subject.account {
            if plan.owned {
                add(tx.query(OWNED, params![account, kind, cursor, take]).await?, true)?;
            }
            if plan.glasses {
                add(tx.query(GLASSES, params![account, kind, cursor, take, now]).await?, true)?;
            }
            if !plan.words.is_empty() {
                let given = params![account, kind, cursor, take, now, &plan.words];
                add(tx.query(GIVEN, given).await?, true)?;
                add(tx.query_long(TEAMS, given).await?, true)?;
                add(tx.query_long(PARTS, params![account, kind, cursor, take, now]).await?, true)?;
            }
        }
    }
    for name in named {
        add(tx.query(NAMED, params![kind, name, cursor]).await?, false)?;
    }
    // Each source gave its first ones, so the first ones of all are right; later ones may have gaps between them.
    more |= found.len() > limit + 1;
    Ok((found.into_iter().take(limit + 1).collect(), more))
}
