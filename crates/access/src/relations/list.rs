//! Reverse questions: which objects may this person …, and who may … this object (ACCESS-7).
//!
//! The policies are reduced to the smallest sets of relations that allow the action ([`Bundle::residual`]); for each set
//! one relation of it is looked for through an index, the rarest first, so that a million objects that the person has
//! nothing to do with cost nothing. Each row found is then decided like any other question: so a list says exactly what
//! single questions would say, whatever the policies are.
//!
//! [`Bundle::residual`]: crate::Bundle

use std::collections::{BTreeMap, BTreeSet};

use base::{Id, Scope, Timestamp, kind};
use store::{Tx, params};

use super::{AccessError, Asker, Relations, invalid, objects, people, read};
use crate::{Access, Action, Facts, Relation, ResourceRef, Revision, Role, Subject, Tier};

/// Entries of one page.
const MAX_PAGE: usize = 200;
/// Rounds of one page: what is found is nearly always allowed, so more would mean that something is odd.
const ROUNDS: usize = 8;

store::sql! {
    OWNED = "SELECT object_id, name FROM access_object WHERE account_id = $1 AND kind = $2 AND object_id > $3 \
        ORDER BY object_id LIMIT $4";
    PUBLIC = "SELECT object_id, name FROM access_object WHERE public AND kind = $1 AND object_id > $2 \
        ORDER BY object_id LIMIT $3";
    ANY = "SELECT object_id, name FROM access_object WHERE kind = $1 AND object_id > $2 ORDER BY object_id LIMIT $3";
    GIVEN = "SELECT r.object_id, o.name FROM access_relation r JOIN access_object o ON o.object_id = r.object_id \
        WHERE r.subject_id = $1 AND r.kind = $2 AND r.object_id > $3 \
        AND (r.expires_at IS NULL OR r.expires_at > $5) AND $6 LIKE '%' || r.relation || '%' \
        ORDER BY r.object_id LIMIT $4";
    /// Through teams.
    TEAMS = "SELECT DISTINCT r.object_id, o.name FROM access_relation r JOIN access_object o ON o.object_id = r.object_id \
        WHERE r.subject_id IN (SELECT m.team_id FROM access_member m WHERE m.member_id = $1 \
            UNION SELECT u.team_id FROM access_member m JOIN access_member u ON u.member_id = m.team_id \
                WHERE m.member_id = $1) \
        AND r.kind = $2 AND r.object_id > $3 AND (r.expires_at IS NULL OR r.expires_at > $5) \
        AND $6 LIKE '%' || r.relation || '%' ORDER BY r.object_id LIMIT $4";
    /// Through what objects are part of.
    PARTS = "WITH whole (id) AS (SELECT object_id FROM access_object WHERE account_id = $1 \
        UNION SELECT r.object_id FROM access_relation r WHERE r.relation <> 'token' \
            AND (r.expires_at IS NULL OR r.expires_at > $5) AND (r.subject_id = $1 \
            OR r.subject_id IN (SELECT m.team_id FROM access_member m WHERE m.member_id = $1) \
            OR r.subject_id IN (SELECT u.team_id FROM access_member m JOIN access_member u ON u.member_id = m.team_id \
                WHERE m.member_id = $1))) \
        SELECT object_id, name FROM access_object WHERE kind = $2 AND object_id > $3 AND parent_id IS NOT NULL \
        AND (parent_id IN (SELECT id FROM whole) OR parent_id IN (SELECT p.object_id FROM access_object p \
            WHERE p.parent_id IN (SELECT id FROM whole))) ORDER BY object_id LIMIT $4";
    GLASSES = "SELECT DISTINCT b.object_id, o.name FROM access_break_glass b JOIN access_object o \
        ON o.object_id = b.object_id WHERE b.account_id = $1 AND o.kind = $2 AND b.object_id > $3 \
        AND b.expires_at > $5 AND b.revoked_at IS NULL ORDER BY b.object_id LIMIT $4";
    NAMED = "SELECT object_id, name FROM access_object WHERE kind = $1 AND name = $2 AND object_id > $3";
    /// Everybody who has something to do with an object without its being public.
    PEOPLE = "WITH place (id, owner) AS (SELECT object_id, account_id FROM access_object WHERE object_id = $1 \
            UNION SELECT p.object_id, p.account_id FROM access_object o \
                JOIN access_object p ON p.object_id = o.parent_id WHERE o.object_id = $1 \
            UNION SELECT g.object_id, g.account_id FROM access_object o \
                JOIN access_object p ON p.object_id = o.parent_id \
                JOIN access_object g ON g.object_id = p.parent_id WHERE o.object_id = $1), \
        given (id) AS (SELECT r.subject_id FROM access_relation r WHERE r.object_id IN (SELECT id FROM place)), \
        team (id) AS (SELECT t.team_id FROM access_team t WHERE t.team_id IN (SELECT id FROM given) \
            UNION SELECT m.member_team_id FROM access_member m WHERE m.team_id IN (SELECT id FROM given) \
                AND m.member_team_id IS NOT NULL) \
        SELECT a.account_id FROM account a WHERE a.account_id > $2 AND (a.account_id IN (SELECT owner FROM place) \
            OR a.account_id IN (SELECT id FROM given) \
            OR a.account_id IN (SELECT m.account_id FROM access_member m WHERE m.team_id IN (SELECT id FROM team) \
                AND m.account_id IS NOT NULL) \
            OR a.account_id IN (SELECT b.account_id FROM access_break_glass b WHERE b.object_id = $1 \
                AND b.revoked_at IS NULL)) ORDER BY a.account_id LIMIT $3";
    /// Accounts of certain roles and tiers, who need nothing to do with it.
    ROLES = "SELECT account_id FROM account WHERE account_id > $1 AND status = 'active' \
        AND $2 LIKE '% ' || role || '/' || tier || ' %' ORDER BY account_id LIMIT $3";
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

/// One person of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSubject {
    /// Who.
    pub account: Id<kind::Account>,
    /// What they have to do with it.
    pub relations: Vec<Relation>,
    /// When their right ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// People, in the order of their accounts.
#[derive(Debug, Clone)]
pub struct SubjectPage {
    /// The people.
    pub subjects: Vec<ListedSubject>,
    /// Where the next page begins.
    pub next: Option<Id<kind::Account>>,
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

    /// Who may do `action` to an object: everybody whose role, tier and relation allow it with a good session. For its
    /// owner, who works on it, and administrators.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Denied`]; [`AccessError::Invalid`] if the action is not about it.
    pub async fn list_subjects(
        &self,
        by: &Asker,
        action: &Action,
        resource: &ResourceRef,
        after: Option<Id<kind::Account>>,
        limit: usize,
    ) -> Result<SubjectPage, AccessError> {
        let inner = &*self.0;
        let bundle = inner.access.bundle();
        if !bundle.is_about(action, &resource.kind) || resource.kind == "user" {
            return Err(invalid("action", "is not about such objects"));
        }
        let now = inner.now();
        let limit = limit.clamp(1, MAX_PAGE);
        let mut tx = inner.db.begin_read(Scope::System("who has access")).await?;
        let known = read::known(&mut tx, by.subject.account, resource, now).await?;
        let administers = objects::is_administrator(&by.subject);
        let known = known.filter(|k| administers || k.facts.is_known()).ok_or(AccessError::NotFound)?;
        inner.must_stand_well(&by.subject, &known.facts)?;
        let works = [Relation::Owner, Relation::Collaborator].iter().any(|r| known.facts.hold(*r).at(now));
        if !works && !administers {
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        }
        let public = known.facts.hold(Relation::Public).at(now);
        let roles = roles_enough(&inner.access, action, resource, public, now);
        let named = bundle.named_accounts(action, &resource.kind);
        let revision = known.facts.revision;
        let mut page = SubjectPage { subjects: Vec::new(), next: None, revision };
        let mut cursor = after.unwrap_or(Id::from_bytes([0; 16]));
        for _ in 0..ROUNDS {
            let (found, more) = receivers(&mut tx, known.id, &roles, &named, cursor, limit).await?;
            for account in found {
                cursor = account;
                let Some(subject) = people::standing(&mut tx, account).await? else { continue };
                let Some(facts) = read::known(&mut tx, Some(account), resource, now).await?.map(|k| k.facts)
                else {
                    return Err(AccessError::NotFound);
                };
                let decision = bundle.decide_under(inner.access.conditions(), &subject, action, Some(&facts));
                if decision.allowed {
                    if page.subjects.len() == limit {
                        return Ok(page);
                    }
                    page.next = Some(account);
                    let (relations, expires_at) = (decision.relations, decision.expires_at);
                    page.subjects.push(ListedSubject { account, relations, expires_at });
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
                add(tx.query(TEAMS, given).await?, true)?;
                add(tx.query(PARTS, params![account, kind, cursor, take, now]).await?, true)?;
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

/// The next people worth a question, in order, and whether there may be more after them.
async fn receivers(
    tx: &mut Tx,
    object: Id<kind::Object>,
    roles: &str,
    named: &[String],
    cursor: Id<kind::Account>,
    limit: usize,
) -> Result<(Vec<Id<kind::Account>>, bool), AccessError> {
    let take = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = BTreeSet::new();
    let people = tx.query_long(PEOPLE, params![object, cursor, take]).await?;
    let mut more = people.len() > limit;
    for row in people {
        found.insert(row.get(0)?);
    }
    if !roles.is_empty() {
        let everybody = tx.query_long(ROLES, params![cursor, roles, take]).await?;
        more |= everybody.len() > limit;
        for row in everybody {
            found.insert(row.get(0)?);
        }
    }
    let named = named.iter().filter_map(|id| id.parse::<Id<kind::Account>>().ok());
    found.extend(named.filter(|id| *id > cursor));
    more |= found.len() > limit + 1;
    Ok((found.into_iter().take(limit + 1).collect(), more))
}

/// The roles and tiers that need no relation of their own to the object, as ` user/free user/pro `.
fn roles_enough(
    access: &Access,
    action: &Action,
    resource: &ResourceRef,
    public: bool,
    now: Timestamp,
) -> String {
    let mut facts = Facts::unrelated(resource.clone(), now);
    if public {
        facts = facts.with(Relation::Public, crate::Hold::Always);
    }
    let mut words = String::new();
    for role in Role::ALL {
        for tier in Tier::ALL {
            // Nobody: who is named by a policy is looked at one by one.
            let somebody = Subject::account(Id::from_bytes([0; 16]), *role, *tier);
            if access.decide(&somebody, action, Some(&facts)).allowed {
                words.push_str(&format!(" {role}/{tier} "));
            }
        }
    }
    words
}
