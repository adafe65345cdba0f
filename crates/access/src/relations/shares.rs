//! Giving and taking relations.
//!
//! An owner gives as they like. A collaborator may pass on what they have themselves, for no longer than they have it;
//! what they gave hangs on them and goes when they go, along the whole chain and in the same transaction.

use audit::{Event, Short};
use base::{Id, Scope, Timestamp, kind};
use store::{Change, params};

use super::read::Known;
use super::{
    AccessError, Asker, Changing, Inner, Relations, account_word, invalid, objects::HAS_PARTS,
    offers::DROP_OFFER, people, shown, teams,
};
use crate::{Action, Facts, Hold, Relation, ResourceRef, Revision, Subject};

/// Shares of one page.
const PAGE: u32 = 200;

store::sql! {
    ROW = "SELECT relation, expires_at, hangs_on, invitation_id FROM access_relation \
        WHERE object_id = $1 AND subject_id = $2";
    pub(crate) GIVE = "INSERT INTO access_relation (object_id, subject_id, account_id, team_id, kind, relation, permissions, \
        invitation_id, granted_by, hangs_on, created_at, expires_at, revision) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
        ON CONFLICT (object_id, subject_id) DO UPDATE SET relation = excluded.relation, \
        permissions = excluded.permissions, invitation_id = excluded.invitation_id, granted_by = excluded.granted_by, \
        hangs_on = excluded.hangs_on, expires_at = excluded.expires_at, revision = excluded.revision";
    TAKE = "DELETE FROM access_relation WHERE object_id = $1 AND subject_id = $2";
    /// Everything that hangs on somebody, directly and along the chain.
    pub(crate) TAKE_CHAIN = "WITH RECURSIVE lost (id) AS (SELECT subject_id FROM access_relation \
            WHERE object_id = $1 AND hangs_on = $2 \
        UNION SELECT r.subject_id FROM lost JOIN access_relation r ON r.object_id = $1 AND r.hangs_on = lost.id) \
        DELETE FROM access_relation WHERE object_id = $1 AND hangs_on IS NOT NULL \
        AND subject_id IN (SELECT id FROM lost)";
    /// What hangs on somebody lasts no longer than they do.
    CLAMP_CHAIN = "WITH RECURSIVE held (id) AS (SELECT subject_id FROM access_relation \
            WHERE object_id = $1 AND hangs_on = $2 \
        UNION SELECT r.subject_id FROM held JOIN access_relation r ON r.object_id = $1 AND r.hangs_on = held.id) \
        UPDATE access_relation SET expires_at = $3, revision = $4 WHERE object_id = $1 AND hangs_on IS NOT NULL \
        AND subject_id IN (SELECT id FROM held) AND (expires_at IS NULL OR expires_at > $3)";
    LIST = "SELECT subject_id, team_id, relation, permissions, expires_at, granted_by, created_at FROM access_relation \
        WHERE object_id = $1 AND subject_id > $2 ORDER BY subject_id LIMIT $3";
}

/// Somebody who is given access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// A person.
    Account(Id<kind::Account>),
    /// The members of a team, and of the teams in it.
    Team(Id<kind::Team>),
}

impl Share {
    pub(crate) fn bytes(self) -> [u8; 16] {
        match self {
            Self::Account(id) => *id.as_bytes(),
            Self::Team(id) => *id.as_bytes(),
        }
    }

    pub(crate) fn word(self) -> Short {
        match self {
            Self::Account(id) => account_word(id),
            Self::Team(id) => Short::new(&format!("team/{id}")),
        }
    }
}

/// One line of "who has access".
#[derive(Debug, Clone)]
pub struct ShareView {
    /// Who.
    pub to: Share,
    /// How they stand to the object.
    pub relation: Relation,
    /// What the collaboration token names, if they came by one.
    pub permissions: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Who gave it, if their account still exists.
    pub granted_by: Option<Id<kind::Account>>,
    /// Since when.
    pub created_at: Timestamp,
}

/// What giving a relation to such an object is called in the catalogue; `None` if it has no name, so that owning is
/// enough.
fn share_action(inner: &Inner, kind: &str, relation: Relation) -> Option<Action> {
    let name = match (kind, relation) {
        ("project", Relation::Collaborator | Relation::Token) => "collab:invite".to_owned(),
        _ => format!("{kind}:share"),
    };
    inner.access.action(&name).ok()
}

/// The asker may give this relation to the object.
pub(crate) fn must_share(
    inner: &Inner,
    subject: &Subject,
    facts: &Facts,
    relation: Relation,
) -> Result<(), AccessError> {
    inner.must_stand_well(subject, facts)?;
    match share_action(inner, &facts.resource.kind, relation) {
        Some(action) => {
            let decision = inner.access.decide(subject, &action, Some(facts));
            if decision.allowed { Ok(()) } else { Err(AccessError::Denied(Box::new(decision))) }
        }
        None if facts.hold(Relation::Owner).at(facts.now) => Ok(()),
        None => Err(AccessError::Denied(Box::new(inner.not_owner(subject, facts)))),
    }
}

/// Until when and hanging on whom the asker can give something.
pub(crate) struct Reach {
    pub(crate) limit: Hold,
    pub(crate) hangs_on: Option<Id<kind::Account>>,
}

/// Owners give freely; collaborators what they have by a row of their own. Who has it by a team or a folder has nothing
/// that could be taken from them alone, so nothing could hang on it.
pub(crate) fn reach(known: &Known, asker: Id<kind::Account>, now: Timestamp) -> Option<Reach> {
    if known.owner == asker {
        return Some(Reach { limit: Hold::Always, hangs_on: None });
    }
    let own =
        known.own.as_ref().filter(|own| own.relation == Relation::Collaborator && own.hold().at(now))?;
    Some(Reach { limit: own.hold(), hangs_on: Some(asker) })
}

impl Relations {
    /// Gives somebody a relation ([`Relation::Shared`] or [`Relation::Collaborator`]), or changes the one they have. The
    /// same again changes nothing.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if the asker may not know of the object, [`AccessError::Denied`] if they may not share
    /// it, [`AccessError::Invalid`] for whom or until when it cannot be, [`AccessError::Conflict`] if somebody else gave
    /// what they have.
    pub async fn share(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        to: Share,
        relation: Relation,
        expires_at: Option<Timestamp>,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        if !matches!(relation, Relation::Shared | Relation::Collaborator) {
            return Err(invalid("relation", "must be shared or collaborator"));
        }
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let known = inner.seen(&mut change.tx, Some(asker), resource, change.now).await?;
        must_share(inner, &by.subject, &known.facts, relation)?;
        let Some(reach) = reach(&known, asker, change.now) else {
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        };
        let expires_at = until(expires_at, reach.limit, change.now)?;
        check_receiver(&mut change, &known, asker, to).await?;
        let given =
            Given { to, accepted: None, relation, expires_at, granted_by: asker, hangs_on: reach.hangs_on };
        inner.put(change, by, &known, &given).await
    }

    /// Takes somebody's relation and all that hangs on it; what was offered to them counts as declined. For the owner, for who gave it, and for who has it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if there is none that the asker may know of; [`AccessError::Denied`].
    pub async fn unshare(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        from: Share,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let known = inner.seen(&mut change.tx, Some(asker), resource, change.now).await?;
        inner.must_stand_well(&by.subject, &known.facts)?;
        let row = change.tx.query_opt(ROW, params![known.id, from.bytes()]).await?;
        let gave = match &row {
            Some(row) => row.get::<Option<Id<kind::Account>>>(2)? == Some(asker),
            None => false,
        };
        if known.owner != asker && from != Share::Account(asker) && !gave {
            // Whether somebody else has access is not for them to know.
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        }
        if row.is_none() {
            return Err(AccessError::NotFound);
        }
        let also = inner.take(&mut change, known.id, from).await?;
        if let Share::Account(account) = from {
            inner.decline_offers(&mut change, known.id, account).await?;
        }
        let event = Event::AccessRevoked {
            resource: shown(resource),
            subject: from.word(),
            also,
            revision: change.revision.0,
        };
        inner.note(&mut change, by, Some(known.owner), event).await?;
        let told = inner.touched(&mut change, known.id).await?;
        inner.finish(change, told).await
    }

    /// Who has access, by subject, from `after` on, at most 200; those whose time is over are left out. For the owner and
    /// for who works on it; anybody else sees themselves only.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; failures of the database.
    pub async fn shares(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        after: Option<Share>,
    ) -> Result<(Vec<ShareView>, Option<Share>), AccessError> {
        let now = self.0.now();
        let mut tx = self.0.db.begin_read(Scope::System("an object's shares")).await?;
        let known = self.0.seen(&mut tx, by.subject.account, resource, now).await?;
        let works = [Relation::Owner, Relation::Collaborator].iter().any(|r| known.facts.hold(*r).at(now));
        let start = after.map_or([0; 16], Share::bytes);
        let rows = tx.query_long(LIST, params![known.id, start, PAGE + 1]).await?;
        let full = rows.len() > PAGE as usize;
        let mut shares = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in rows.iter().take(PAGE as usize) {
            let to = match row.get::<Option<Id<kind::Team>>>(1)? {
                Some(team) => Share::Team(team),
                None => Share::Account(row.get(0)?),
            };
            last = Some(to);
            let mine = by.subject.account.is_some_and(|me| to == Share::Account(me));
            let expires_at = row.get(4)?;
            let Some(relation) = people::relation(&row.get::<String>(2)?) else { continue };
            if !(works || mine) || !Hold::until(expires_at).at(now) {
                continue;
            }
            let permissions: Option<String> = row.get(3)?;
            let permissions =
                permissions.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
            shares.push(ShareView {
                to,
                relation,
                permissions,
                expires_at,
                granted_by: row.get(5)?,
                created_at: row.get(6)?,
            });
        }
        Ok((shares, last.filter(|_| full)))
    }
}

/// In the future, and no later than the giver's own access.
pub(crate) fn until(
    wanted: Option<Timestamp>,
    limit: Hold,
    now: Timestamp,
) -> Result<Option<Timestamp>, AccessError> {
    if wanted.is_some_and(|end| end <= now) {
        return Err(invalid("expires_at", "must be in the future"));
    }
    match (Hold::until(wanted), limit) {
        (Hold::Always, limit) => Ok(limit.end()),
        (wanted, limit) if wanted > limit => {
            Err(invalid("expires_at", "must not be after your own access ends"))
        }
        (wanted, _) => Ok(wanted.end()),
    }
}

async fn check_receiver(
    change: &mut Changing,
    known: &Known,
    asker: Id<kind::Account>,
    to: Share,
) -> Result<(), AccessError> {
    match to {
        Share::Account(id) if id == asker => Err(invalid("subject", "is yourself")),
        Share::Account(id) if id == known.owner => Err(invalid("subject", "is the owner")),
        Share::Account(id) => people::must_be_active(&mut change.tx, id, "subject").await.map(drop),
        Share::Team(id) => teams::must_know(&mut change.tx, id, asker).await,
    }
}

/// A relation that somebody is about to have.
pub(crate) struct Given {
    pub(crate) to: Share,
    /// The offer that it comes from, which is used up.
    pub(crate) accepted: Option<Id<kind::Offer>>,
    pub(crate) relation: Relation,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) granted_by: Id<kind::Account>,
    pub(crate) hangs_on: Option<Id<kind::Account>>,
}

impl Inner {
    /// Writes the row of a relation, and what follows from having less than before. Offers to who has it count no more. The
    /// same again changes nothing but those.
    pub(crate) async fn put(
        &self,
        mut change: Changing,
        by: &Asker,
        known: &Known,
        given: &Given,
    ) -> Result<Revision, AccessError> {
        let &Given { to, accepted, relation, expires_at, granted_by, hangs_on } = given;
        if let Some(row) = change.tx.query_opt(ROW, params![known.id, to.bytes()]).await? {
            let (was, until): (Option<Relation>, Option<Timestamp>) =
                (people::relation(&row.get::<String>(0)?), row.get(1)?);
            let lapsed = !Hold::until(until).at(change.now);
            if !lapsed && hangs_on.is_some() && row.get::<Option<Id<kind::Account>>>(2)? != hangs_on {
                return Err(AccessError::Conflict("They have access already, and not from you."));
            }
            if was == Some(relation) && until == expires_at {
                if self.settle_offers(&mut change, known, to, accepted).await? == 0 {
                    return Ok(change.unneeded());
                }
                // No decision stands on an offer.
                change.tx.commit().await?;
                return Ok(change.revision);
            }
            self.weaken(&mut change, known, to, was, relation, expires_at).await?;
        }
        let (account, team) = match to {
            Share::Account(id) => (Some(id), None),
            Share::Team(id) => (None, Some(id)),
        };
        let row = params![
            known.id,
            to.bytes(),
            account,
            team,
            &known.facts.resource.kind,
            relation.as_str(),
            None::<String>,
            None::<Id<kind::Invitation>>,
            granted_by,
            hangs_on,
            change.now,
            expires_at,
            change.revision.0
        ];
        change.tx.execute(GIVE, row).await?;
        self.settle_offers(&mut change, known, to, accepted).await?;
        let event = Event::AccessGranted {
            resource: shown(&known.facts.resource),
            subject: to.word(),
            relation: relation.as_str(),
            expires_at,
            revision: change.revision.0,
        };
        self.note(&mut change, by, Some(known.owner), event).await?;
        let told = self.touched(&mut change, known.id).await?;
        self.finish(change, told).await
    }

    /// Ends the offer that was accepted and puts the others to the same account aside; says how many there were.
    async fn settle_offers(
        &self,
        change: &mut Changing,
        known: &Known,
        to: Share,
        accepted: Option<Id<kind::Offer>>,
    ) -> Result<u64, AccessError> {
        let used = match accepted {
            Some(offer) => change.tx.execute(DROP_OFFER, params![offer]).await?,
            None => 0,
        };
        match to {
            Share::Account(account) => Ok(used + self.decline_offers(change, known.id, account).await?),
            Share::Team(_) => Ok(used),
        }
    }

    /// What a change of an object's shares changes: what is part of it inherits them.
    pub(crate) async fn touched(
        &self,
        change: &mut Changing,
        object: Id<kind::Object>,
    ) -> Result<Change, AccessError> {
        let whole = change.tx.query_one(HAS_PARTS, params![object]).await?.get::<bool>(0)?;
        Ok(if whole { Change::Relations } else { Change::Object(object) })
    }

    /// If somebody has less than before, so has who came by them.
    async fn weaken(
        &self,
        change: &mut Changing,
        known: &Known,
        to: Share,
        was: Option<Relation>,
        relation: Relation,
        expires_at: Option<Timestamp>,
    ) -> Result<(), AccessError> {
        let Share::Account(account) = to else { return Ok(()) };
        if was == Some(Relation::Collaborator) && relation != Relation::Collaborator {
            change.tx.execute(TAKE_CHAIN, params![known.id, account]).await?;
        } else if let Some(end) = expires_at {
            change.tx.execute(CLAMP_CHAIN, params![known.id, account, end, change.revision.0]).await?;
        }
        Ok(())
    }

    /// Takes one row and what hangs on it; says how many hung.
    pub(crate) async fn take(
        &self,
        change: &mut Changing,
        object: Id<kind::Object>,
        from: Share,
    ) -> Result<u32, AccessError> {
        let also = match from {
            Share::Account(account) => change.tx.execute(TAKE_CHAIN, params![object, account]).await?,
            Share::Team(_) => 0,
        };
        change.tx.execute(TAKE, params![object, from.bytes()]).await?;
        Ok(u32::try_from(also).unwrap_or(u32::MAX))
    }
}
