//! The other way round: who may … this object (ACCESS-7)?
//!
//! People come from several places: owners, shares, teams, open looks, and roles and tiers that are enough by themselves.
//! Each place gives its next few in the order of accounts, so that a page of an object with a million shares costs no more
//! than one of an object with a hundred. Each one found is then decided like any other question.

use std::collections::BTreeSet;

use base::{Id, Scope, Timestamp, kind};
use store::{Row, Tx, params};

use super::list::{MAX_PAGE, ROUNDS};
use super::{AccessError, Asker, Relations, invalid, objects, people, read};
use crate::{Action, Bundle, Conditions, Facts, Relation, ResourceRef, Revision, Role, Subject, Tier};

store::sql! {
    /// The object and what it is part of, with their owners.
    PLACE = "SELECT o.object_id, o.account_id, p.object_id, p.account_id, g.object_id, g.account_id \
        FROM access_object o LEFT JOIN access_object p ON p.object_id = o.parent_id \
        LEFT JOIN access_object g ON g.object_id = p.parent_id WHERE o.object_id = $1";
    pub(super) GIVEN = "SELECT subject_id FROM access_relation WHERE object_id = $1 AND subject_id > $2 \
        AND team_id IS NULL ORDER BY subject_id LIMIT $3";
    /// The members of the teams that were given one of three objects, and of the teams in them.
    pub(super) MEMBERS = "WITH given (id) AS (SELECT team_id FROM access_relation \
            WHERE object_id IN ($1, $2, $3) AND team_id IS NOT NULL), \
        team (id) AS (SELECT id FROM given UNION SELECT m.member_team_id FROM given CROSS JOIN access_member m \
            WHERE m.team_id = given.id AND m.member_team_id IS NOT NULL) \
        SELECT DISTINCT m.account_id FROM team CROSS JOIN access_member m WHERE m.team_id = team.id \
        AND m.member_id > $4 AND m.account_id IS NOT NULL ORDER BY m.account_id LIMIT $5";
    pub(super) LOOKERS = "SELECT DISTINCT account_id FROM access_break_glass WHERE object_id = $1 AND account_id > $2 \
        AND revoked_at IS NULL ORDER BY account_id LIMIT $3";
    /// Accounts of one role and tier, who need nothing to do with it.
    pub(super) STANDING = "SELECT account_id FROM account WHERE status = 'active' AND role = $1 AND tier = $2 \
        AND account_id > $3 ORDER BY account_id LIMIT $4";
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

impl Relations {
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
        let standings = standings_enough(&bundle, inner.access.conditions(), action, resource, public, now);
        let named = bundle.named_accounts(action, &resource.kind);
        let revision = known.facts.revision;
        let mut page = SubjectPage { subjects: Vec::new(), next: None, revision };
        let mut cursor = after.unwrap_or(Id::from_bytes([0; 16]));
        for _ in 0..ROUNDS {
            let (found, more) = receivers(&mut tx, known.id, &standings, &named, cursor, limit).await?;
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

/// The next people worth a question, in order, and whether there may be more after them.
async fn receivers(
    tx: &mut Tx,
    object: Id<kind::Object>,
    standings: &[(Role, Tier)],
    named: &[String],
    cursor: Id<kind::Account>,
    limit: usize,
) -> Result<(Vec<Id<kind::Account>>, bool), AccessError> {
    let take = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = BTreeSet::new();
    let mut more = false;
    let mut add = |rows: Vec<Row>| -> Result<(), AccessError> {
        more |= rows.len() > limit;
        for row in rows {
            found.insert(row.get(0)?);
        }
        Ok(())
    };
    let row = tx.query_one(PLACE, params![object]).await?;
    let mut owners: Vec<Id<kind::Account>> = Vec::new();
    let mut place: [Option<Id<kind::Object>>; 3] = [None; 3];
    for (at, id) in place.iter_mut().enumerate() {
        *id = row.get(at * 2)?;
        owners.extend(row.get::<Option<Id<kind::Account>>>(at * 2 + 1)?);
        if let Some(id) = id {
            add(tx.query(GIVEN, params![*id, cursor, take]).await?)?;
        }
    }
    add(tx.query_long(MEMBERS, params![place[0], place[1], place[2], cursor, take]).await?)?;
    add(tx.query(LOOKERS, params![object, cursor, take]).await?)?;
    for (role, tier) in standings {
        add(tx.query(STANDING, params![role.as_str(), tier.as_str(), cursor, take]).await?)?;
    }
    let named = named.iter().filter_map(|id| id.parse().ok());
    found.extend(named.chain(owners).filter(|id| *id > cursor));
    more |= found.len() > limit + 1;
    Ok((found.into_iter().take(limit + 1).collect(), more))
}

/// The roles and tiers that need no relation of their own to the object.
fn standings_enough(
    bundle: &Bundle,
    conditions: &Conditions,
    action: &Action,
    resource: &ResourceRef,
    public: bool,
    now: Timestamp,
) -> Vec<(Role, Tier)> {
    let mut facts = Facts::unrelated(resource.clone(), now);
    if public {
        facts = facts.with(Relation::Public, crate::Hold::Always);
    }
    let all = Role::ALL.iter().flat_map(|role| Tier::ALL.iter().map(move |tier| (*role, *tier)));
    all.filter(|(role, tier)| {
        // Nobody: who is named by a policy is looked at one by one.
        let somebody = Subject::account(Id::from_bytes([0; 16]), *role, *tier);
        bundle.decide_under(conditions, &somebody, action, Some(&facts)).allowed
    })
    .collect()
}
