//! Teams: people who are given access together. A team may be in a team, and no deeper.

use audit::Event;
use base::{Id, Scope, Timestamp, kind};
use store::{Change, Tx, params};

use super::{AccessError, Asker, Changing, Inner, Relations, Share, invalid, people};
use crate::{Facts, ResourceRef, Revision};

/// Characters of a team's name.
const MAX_NAME: usize = 100;
/// Teams that one account may keep, and be in.
const MAX_TEAMS: i64 = 100;
/// Members of one team.
const MAX_MEMBERS: i64 = 10_000;
/// Members of one page.
const PAGE: u32 = 200;

store::sql! {
    MAKE = "INSERT INTO access_team (team_id, account_id, name, created_at, revision) VALUES ($1, $2, $3, $4, $5)";
    KEPT = "SELECT count(*) FROM access_team WHERE account_id = $1";
    OWNER = "SELECT account_id FROM access_team WHERE team_id = $1";
    KNOWS = "SELECT EXISTS (SELECT 1 FROM access_team WHERE team_id = $1 AND account_id = $2) \
        OR EXISTS (SELECT 1 FROM access_member WHERE team_id = $1 AND member_id = $2)";
    REMOVE = "DELETE FROM access_team WHERE team_id = $1 AND account_id = $2";
    JOIN = "INSERT INTO access_member (team_id, member_id, account_id, member_team_id, created_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    LEAVE = "DELETE FROM access_member WHERE team_id = $1 AND member_id = $2";
    SIZE = "SELECT count(*) FROM access_member WHERE team_id = $1";
    MEMBERSHIPS = "SELECT count(*) FROM access_member WHERE member_id = $1";
    HAS_TEAMS = "SELECT EXISTS (SELECT 1 FROM access_member WHERE team_id = $1 AND member_team_id IS NOT NULL)";
    IS_IN_TEAM = "SELECT EXISTS (SELECT 1 FROM access_member WHERE member_id = $1)";
    MEMBERS = "SELECT member_id, member_team_id, created_at FROM access_member \
        WHERE team_id = $1 AND member_id > $2 ORDER BY member_id LIMIT $3";
    MINE = "SELECT t.team_id, t.account_id, t.name, t.created_at FROM access_team t WHERE t.account_id = $1 \
        OR t.team_id IN (SELECT m.team_id FROM access_member m WHERE m.member_id = $1) ORDER BY t.team_id LIMIT 200";
}

/// A team.
#[derive(Debug, Clone)]
pub struct TeamView {
    /// Its id.
    pub id: Id<kind::Team>,
    /// Who keeps it.
    pub owner: Id<kind::Account>,
    /// What it is called.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// A member of a team.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// A person or a team.
    pub member: Share,
    /// Since when.
    pub created_at: Timestamp,
}

impl Relations {
    /// Makes a team without members; the asker keeps it and is not a member by that.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for the name, [`AccessError::Conflict`] for one team too many.
    pub async fn make_team(&self, by: &Asker, name: &str) -> Result<(Id<kind::Team>, Revision), AccessError> {
        let inner = &*self.0;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(invalid("name", "must have 1 to 100 characters"));
        }
        let asker = by.account()?;
        let mut change = inner.begin_team(by).await?;
        if change.tx.query_one(KEPT, params![asker]).await?.get::<i64>(0)? >= MAX_TEAMS {
            return Err(AccessError::Conflict("You keep as many teams as one can."));
        }
        let id: Id<kind::Team> = Id::at(change.now, &inner.entropy);
        change.tx.execute(MAKE, params![id, asker, name, change.now, change.revision.0]).await?;
        inner.note_team(&mut change, by, id, None, "made").await?;
        Ok((id, inner.finish(change, Change::Relations).await?))
    }

    /// Removes a team, and with it what its members have through it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if the asker keeps no such team.
    pub async fn remove_team(&self, by: &Asker, team: Id<kind::Team>) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.begin_team(by).await?;
        if change.tx.execute(REMOVE, params![team, asker]).await? == 0 {
            return Err(AccessError::NotFound);
        }
        inner.note_team(&mut change, by, team, None, "removed").await?;
        inner.finish(change, Change::Relations).await
    }

    /// Puts a person or a team into a team.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if the asker keeps no such team; [`AccessError::Invalid`] for who cannot be in it: no
    /// active account, the team itself, a team with teams, a team that is already in a team's team.
    pub async fn join_team(
        &self,
        by: &Asker,
        team: Id<kind::Team>,
        member: Share,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let mut change = inner.begin_team(by).await?;
        must_keep(&mut change.tx, team, by.account()?).await?;
        if change.tx.query_one(SIZE, params![team]).await?.get::<i64>(0)? >= MAX_MEMBERS {
            return Err(AccessError::Conflict("The team is as large as a team can be."));
        }
        let (account, inner_team) = match member {
            Share::Account(account) => {
                people::must_be_active(&mut change.tx, account, "member").await?;
                (Some(account), None)
            }
            Share::Team(other) => {
                check_nesting(&mut change.tx, team, other, by.account()?).await?;
                (None, Some(other))
            }
        };
        if change.tx.query_one(MEMBERSHIPS, params![member.bytes()]).await?.get::<i64>(0)? >= MAX_TEAMS {
            return Err(AccessError::Conflict("They are in as many teams as one can be."));
        }
        let row = params![team, member.bytes(), account, inner_team, change.now];
        if change.tx.execute(JOIN, row).await? == 0 {
            // Already in it: nothing changes.
            return Ok(change.unneeded());
        }
        inner.note_team(&mut change, by, team, Some(member), "joined").await?;
        inner.finish(change, Change::Relations).await
    }

    /// Takes a person or a team out of a team. For who keeps it, and for the person themselves.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub async fn leave_team(
        &self,
        by: &Asker,
        team: Id<kind::Team>,
        member: Share,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.begin_team(by).await?;
        if member != Share::Account(asker) {
            must_keep(&mut change.tx, team, asker).await?;
        }
        if change.tx.execute(LEAVE, params![team, member.bytes()]).await? == 0 {
            return Err(AccessError::NotFound);
        }
        inner.note_team(&mut change, by, team, Some(member), "left").await?;
        inner.finish(change, Change::Relations).await
    }

    /// The teams that the asker keeps or is in, at most 200.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn teams(&self, by: &Asker) -> Result<Vec<TeamView>, AccessError> {
        let mut tx = self.0.db.begin_read(Scope::System("teams")).await?;
        let mut teams = Vec::new();
        for row in tx.query(MINE, params![by.account()?]).await? {
            teams.push(TeamView {
                id: row.get(0)?,
                owner: row.get(1)?,
                name: row.get(2)?,
                created_at: row.get(3)?,
            });
        }
        Ok(teams)
    }

    /// The members of a team that the asker keeps or is in, from `after` on, at most 200.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; failures of the database.
    pub async fn members(
        &self,
        by: &Asker,
        team: Id<kind::Team>,
        after: Option<Share>,
    ) -> Result<(Vec<MemberView>, Option<Share>), AccessError> {
        let mut tx = self.0.db.begin_read(Scope::System("team members")).await?;
        if !tx.query_one(KNOWS, params![team, by.account()?]).await?.get::<bool>(0)? {
            return Err(AccessError::NotFound);
        }
        let start = after.map_or([0; 16], Share::bytes);
        let rows = tx.query(MEMBERS, params![team, start, PAGE + 1]).await?;
        let full = rows.len() > PAGE as usize;
        let mut members = Vec::with_capacity(rows.len());
        for row in rows.iter().take(PAGE as usize) {
            let member = match row.get::<Option<Id<kind::Team>>>(1)? {
                Some(team) => Share::Team(team),
                None => Share::Account(row.get(0)?),
            };
            members.push(MemberView { member, created_at: row.get(2)? });
        }
        let next = members.last().map(|last| last.member).filter(|_| full);
        Ok((members, next))
    }
}

impl Inner {
    async fn begin_team(&self, by: &Asker) -> Result<Changing, AccessError> {
        let name = ResourceRef { kind: "team".into(), id: String::new() };
        self.must_stand_well(&by.subject, &Facts::unrelated(name, self.now()))?;
        self.change().await
    }

    async fn note_team(
        &self,
        change: &mut Changing,
        by: &Asker,
        team: Id<kind::Team>,
        member: Option<Share>,
        what: &'static str,
    ) -> Result<(), AccessError> {
        let revision = change.revision.0;
        let event = Event::TeamChanged { team, member: member.map(Share::word), change: what, revision };
        let about = by.subject.account;
        self.note(change, by, about, event).await
    }
}

async fn must_keep(tx: &mut Tx, team: Id<kind::Team>, asker: Id<kind::Account>) -> Result<(), AccessError> {
    let row = tx.query_opt(OWNER, params![team]).await?.ok_or(AccessError::NotFound)?;
    if row.get::<Id<kind::Account>>(0)? == asker { Ok(()) } else { Err(AccessError::NotFound) }
}

/// The asker keeps the team or is in it, so that they may share with it.
pub(crate) async fn must_know(
    tx: &mut Tx,
    team: Id<kind::Team>,
    asker: Id<kind::Account>,
) -> Result<(), AccessError> {
    if tx.query_one(KNOWS, params![team, asker]).await?.get::<bool>(0)? {
        return Ok(());
    }
    Err(invalid("subject", "is no team that you keep or are in"))
}

/// Two levels: a team that has teams is in none, and a team that is in one has none. So there can be no cycle either.
async fn check_nesting(
    tx: &mut Tx,
    team: Id<kind::Team>,
    member: Id<kind::Team>,
    asker: Id<kind::Account>,
) -> Result<(), AccessError> {
    if team == member {
        return Err(invalid("member", "is the team itself"));
    }
    if !tx.query_one(KNOWS, params![member, asker]).await?.get::<bool>(0)? {
        return Err(invalid("member", "is no team that you keep or are in"));
    }
    if tx.query_one(HAS_TEAMS, params![member]).await?.get::<bool>(0)? {
        return Err(invalid("member", "has teams itself; teams are two deep"));
    }
    if tx.query_one(IS_IN_TEAM, params![team]).await?.get::<bool>(0)? {
        return Err(invalid("member", "would be three deep: the team is in a team itself"));
    }
    Ok(())
}
