//! Break-glass: an administrator looks at what is private, for a reason, for a while; and its owner is told.

use audit::{Detail, Event};
use base::{Id, Scope, Timestamp, kind};
use store::{Change, Row, Tx, params};

use super::{AccessError, Asker, Changing, Inner, Relations, invalid, read, shown};
use crate::{Action, Facts, ResourceRef, Revision};

/// Characters of a reason. A word is none.
const REASON: std::ops::RangeInclusive<usize> = 10..=200;
const PAGE: u32 = 200;

store::sql! {
    OPEN = "INSERT INTO access_break_glass (grant_id, object_id, account_id, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5)";
    CLOSE = "UPDATE access_break_glass SET revoked_at = $2 \
        WHERE grant_id = $1 AND revoked_at IS NULL AND expires_at > $2";
    ONE = "SELECT b.object_id, o.kind, o.name, o.account_id FROM access_break_glass b \
        JOIN access_object o ON o.object_id = b.object_id WHERE b.grant_id = $1";
    OPENED = "SELECT b.grant_id, b.account_id, o.kind, o.name, o.account_id, b.created_at, b.expires_at \
        FROM access_break_glass b JOIN access_object o ON o.object_id = b.object_id \
        WHERE b.expires_at > $1 AND b.revoked_at IS NULL ORDER BY b.expires_at, b.grant_id LIMIT $2";
    /// For the owner: who looks at what is theirs.
    ON_MINE = "SELECT b.grant_id, b.account_id, o.kind, o.name, o.account_id, b.created_at, b.expires_at \
        FROM access_break_glass b JOIN access_object o ON o.object_id = b.object_id \
        WHERE o.account_id = $1 AND b.expires_at > $2 AND b.revoked_at IS NULL ORDER BY b.expires_at, b.grant_id LIMIT $3";
}

/// One open look.
#[derive(Debug, Clone)]
pub struct Glass {
    /// The grant.
    pub id: Id<kind::BreakGlass>,
    /// Who looks.
    pub by: Id<kind::Account>,
    /// At what.
    pub resource: ResourceRef,
    /// Whose it is.
    pub owner: Id<kind::Account>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A grant that is not in force yet: whoever opens it tells the owner in the same transaction, then finishes it.
#[must_use = "it is in force only once it is finished"]
pub struct Opened {
    change: Changing,
    object: Id<kind::Object>,
    /// What will be in force.
    pub glass: Glass,
    /// Why, as the owner is told.
    pub reason: String,
}

impl Opened {
    /// For the letter to the owner.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.change.tx
    }
}

impl Relations {
    /// Begins a look of an administrator at somebody's private object.
    ///
    /// # Errors
    /// [`AccessError::Denied`] if the asker administers nothing; [`AccessError::NotFound`] if nobody registered the
    /// object; [`AccessError::Invalid`] for a reason that is none or a time that is too long.
    pub async fn break_glass(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        reason: &str,
        lasts_ms: i64,
    ) -> Result<Opened, AccessError> {
        let inner = &*self.0;
        inner.must_administer(by, resource)?;
        let reason = reason.trim();
        if !REASON.contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(invalid("reason", "must have 10 to 200 characters; the owner reads it"));
        }
        if !(1..=inner.settings.break_glass_max_ms).contains(&lasts_ms) {
            return Err(invalid("minutes", "must not be longer than is set for this installation"));
        }
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let known = read::known(&mut change.tx, Some(asker), resource, change.now).await?;
        let known = known.ok_or(AccessError::NotFound)?;
        if known.owner == asker {
            return Err(AccessError::Conflict("It is yours."));
        }
        let glass = Glass {
            id: Id::at(change.now, &inner.entropy),
            by: asker,
            resource: resource.clone(),
            owner: known.owner,
            created_at: change.now,
            expires_at: change.now.plus_ms(lasts_ms),
        };
        let row = params![glass.id, known.id, asker, change.now, glass.expires_at];
        change.tx.execute(OPEN, row).await?;
        let event = Event::BreakGlassOpened {
            grant: glass.id,
            resource: shown(resource),
            reason: Detail::new(reason),
            expires_at: glass.expires_at,
        };
        inner.note(&mut change, by, Some(known.owner), event).await?;
        Ok(Opened { change, object: known.id, glass, reason: reason.to_owned() })
    }

    /// Puts it in force, with the letter to the owner that was written into its transaction.
    ///
    /// # Errors
    /// Failures of the database: then nothing is in force and nobody is told.
    pub async fn finish_glass(&self, opened: Opened) -> Result<(Glass, Revision), AccessError> {
        let Opened { change, object, glass, .. } = opened;
        Ok((glass, self.0.finish(change, Change::Object(object)).await?))
    }

    /// Ends a look early. For who opened it and for other administrators.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if it is not open, [`AccessError::Denied`].
    pub async fn close_glass(
        &self,
        by: &Asker,
        grant: Id<kind::BreakGlass>,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asked = ResourceRef { kind: "break_glass".into(), id: grant.to_string() };
        inner.must_administer(by, &asked)?;
        let mut change = inner.change().await?;
        let row = change.tx.query_opt(ONE, params![grant]).await?.ok_or(AccessError::NotFound)?;
        let object: Id<kind::Object> = row.get(0)?;
        let resource = ResourceRef { kind: row.get(1)?, id: row.get(2)? };
        let owner = row.get(3)?;
        if change.tx.execute(CLOSE, params![grant, change.now]).await? == 0 {
            return Err(AccessError::NotFound);
        }
        let event = Event::BreakGlassClosed { grant, resource: shown(&resource) };
        inner.note(&mut change, by, Some(owner), event).await?;
        inner.finish(change, Change::Object(object)).await
    }

    /// Every look that is open now, at most 200.
    ///
    /// # Errors
    /// [`AccessError::Denied`]; failures of the database.
    pub async fn open_glasses(&self, by: &Asker) -> Result<Vec<Glass>, AccessError> {
        let asked = ResourceRef { kind: "break_glass".into(), id: String::new() };
        self.0.must_administer(by, &asked)?;
        let mut tx = self.0.db.begin_read(Scope::System("break-glass")).await?;
        let rows = tx.query(OPENED, params![self.0.now(), PAGE]).await?;
        rows.iter().map(glass).collect()
    }

    /// Every look at what is the asker's that is open now, at most 200.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn glasses_on_mine(&self, by: &Asker) -> Result<Vec<Glass>, AccessError> {
        let mut tx = self.0.db.begin_read(Scope::System("break-glass on one's own")).await?;
        let rows = tx.query(ON_MINE, params![by.account()?, self.0.now(), PAGE]).await?;
        rows.iter().map(glass).collect()
    }
}

fn glass(row: &Row) -> Result<Glass, AccessError> {
    Ok(Glass {
        id: row.get(0)?,
        by: row.get(1)?,
        resource: ResourceRef { kind: row.get(2)?, id: row.get(3)? },
        owner: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
    })
}

impl Inner {
    /// An administrator with a good session: asked as `user:delete`, which admin and super_admin have and which is
    /// sensitive.
    fn must_administer(&self, by: &Asker, resource: &ResourceRef) -> Result<(), AccessError> {
        let action = Action(std::borrow::Cow::Borrowed("user:delete"));
        let mut decision = self.access.decide(&by.subject, &action, None);
        if decision.allowed && super::objects::is_administrator(&by.subject) {
            return Ok(());
        }
        let facts = Facts::unrelated(resource.clone(), self.now());
        decision.resource = Some(facts.resource);
        if decision.allowed {
            decision.allowed = false;
            decision.code = crate::code::NO_GRANT;
        }
        Err(AccessError::Denied(Box::new(decision)))
    }
}
