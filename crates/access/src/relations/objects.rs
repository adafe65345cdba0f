//! Making objects known, and changing what is theirs alone: who sees them without a share, what they are part of.

use audit::{Event, Record};
use base::{Actor, Id, Scope, Timestamp, kind};
use store::{Change, Tx, params};

use super::read::Known;
use super::{AccessError, Asker, Changing, Inner, Relations, invalid, people, read, shares, shown};
use crate::actions::SystemConfig;
use crate::{Facts, Permit, Relation, ResourceRef, Revision, Role, Subject, Tier};

/// Bytes of an object's identifier.
pub(crate) const MAX_NAME: usize = 256;
/// Objects that one account may own. An account that needs more is a service, which has administrators.
const MAX_OWNED: i64 = 1_000_000;

store::sql! {
    ADD = "INSERT INTO access_object (object_id, kind, name, account_id, public, parent_id, created_at, revision) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    SET = "UPDATE access_object SET public = $2, parent_id = $3, revision = $4 WHERE object_id = $1";
    FORGET = "DELETE FROM access_object WHERE object_id = $1 AND account_id = $2";
    BY_ID = "SELECT kind, name, account_id, parent_id FROM access_object WHERE object_id = $1";
    pub(crate) HAS_PARTS = "SELECT EXISTS (SELECT 1 FROM access_object WHERE parent_id = $1), \
        EXISTS (SELECT 1 FROM access_object c JOIN access_object p ON p.object_id = c.parent_id WHERE p.parent_id = $1)";
    OWNED = "SELECT count(*) FROM access_object WHERE account_id = $1";
}

/// On whose word an object is registered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The asker's.
    Own,
    /// That of the service which made it.
    Service,
    /// That of whoever commands the machine; the asker is the owner.
    Machine(Actor),
}

/// What is to be true of an object.
#[derive(Debug, Clone, Default)]
pub struct Registration {
    /// The owner of a new object; whoever registers it, if absent. Only administrators name somebody else.
    pub owner: Option<Id<kind::Account>>,
    /// Everybody sees it.
    pub public: bool,
    /// What it is part of.
    pub parent: Option<ResourceRef>,
}

/// An object, for those who may know of it.
#[derive(Debug, Clone)]
pub struct ObjectView {
    /// Its name.
    pub resource: ResourceRef,
    /// Whose it is.
    pub owner: Id<kind::Account>,
    /// Everybody sees it.
    pub public: bool,
    /// What it is part of.
    pub parent: Option<ResourceRef>,
    /// What the one who asks has to do with it.
    pub facts: Facts,
}

impl Relations {
    /// Makes an object known, or changes it. A new object belongs to whoever registers it. Says whether it is new.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for a bad name, an unknown kind, an owner or parent that cannot be;
    /// [`AccessError::NotFound`] if it is somebody else's and private; [`AccessError::Denied`] if it is known to the
    /// asker but not theirs, or they may not show it to everybody.
    pub async fn register(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        wanted: &Registration,
    ) -> Result<(Revision, bool), AccessError> {
        self.0.register(by, resource, wanted, Word::Own).await
    }

    /// As [`register`](Self::register), on the word of the service that has just made the object for the asker: whether
    /// people may register by themselves does not matter then, and neither does whether they may show it to everybody.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub async fn vouch(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        wanted: &Registration,
    ) -> Result<(Revision, bool), AccessError> {
        self.0.register(by, resource, wanted, Word::Service).await
    }

    /// As [`register`](Self::register), by whoever commands the machine and for an owner: to make known what a service had
    /// before it stood behind the gateway. What is registered already is changed if it is that owner's.
    ///
    /// # Errors
    /// As [`register`](Self::register); [`AccessError::NotFound`] if it is registered for somebody else.
    pub async fn register_for(
        &self,
        permit: Permit<SystemConfig>,
        owner: Id<kind::Account>,
        resource: &ResourceRef,
        wanted: &Registration,
    ) -> Result<(Revision, bool), AccessError> {
        let by = Asker { subject: Subject::account(owner, Role::User, Tier::Free), request: None };
        self.0.register(&by, resource, wanted, Word::Machine(permit.actor())).await
    }

    /// Forgets an object on the word of the service that has just deleted it for the asker, whose right to that was
    /// decided before. `None` if nobody knew it.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn vouch_forgotten(
        &self,
        by: &Asker,
        resource: &ResourceRef,
    ) -> Result<Option<Revision>, AccessError> {
        let inner = &*self.0;
        let mut change = inner.change().await?;
        match read::known(&mut change.tx, by.subject.account, resource, change.now).await? {
            Some(known) => inner.forget(change, by, &known).await.map(Some),
            None => Ok(None),
        }
    }

    /// Forgets an object and everybody's relation to it. For its owner and administrators; the object itself is the
    /// service's to delete.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Denied`]; failures of the database.
    pub async fn forget_object(&self, by: &Asker, resource: &ResourceRef) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let mut change = inner.change().await?;
        let asker = by.account()?;
        let known = read::known(&mut change.tx, Some(asker), resource, change.now).await?;
        let administers = is_administrator(&by.subject);
        let known = known.filter(|k| administers || k.facts.is_known()).ok_or(AccessError::NotFound)?;
        inner.must_stand_well(&by.subject, &known.facts)?;
        if known.owner != asker && !administers {
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        }
        inner.forget(change, by, &known).await
    }

    /// An object, as far as the asker may know of it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; failures of the database.
    pub async fn object(&self, by: &Asker, resource: &ResourceRef) -> Result<ObjectView, AccessError> {
        let mut tx = self.0.db.begin_read(Scope::System("an object's relations")).await?;
        let known = self.0.seen(&mut tx, by.subject.account, resource, self.0.now()).await?;
        let parent = match known.parent {
            Some(id) => by_id(&mut tx, id).await?.map(|(resource, ..)| resource),
            None => None,
        };
        let public = known.facts.hold(Relation::Public) != crate::Hold::No;
        Ok(ObjectView { resource: resource.clone(), owner: known.owner, public, parent, facts: known.facts })
    }
}

/// Kind and name, owner, parent.
async fn by_id(
    tx: &mut Tx,
    id: Id<kind::Object>,
) -> Result<Option<(ResourceRef, Id<kind::Account>, Option<Id<kind::Object>>)>, AccessError> {
    let Some(row) = tx.query_opt(BY_ID, params![id]).await? else { return Ok(None) };
    Ok(Some((ResourceRef { kind: row.get(0)?, id: row.get(1)? }, row.get(2)?, row.get(3)?)))
}

pub(crate) const fn is_administrator(subject: &Subject) -> bool {
    matches!(subject.role, Some(Role::Admin | Role::SuperAdmin))
}

impl Inner {
    async fn register(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        wanted: &Registration,
        word: Word,
    ) -> Result<(Revision, bool), AccessError> {
        self.check_name(resource)?;
        let asker = by.account()?;
        let mut change = self.change().await?;
        let found = read::known(&mut change.tx, Some(asker), resource, change.now).await?;
        // The same answer whether somebody else has it or nobody: what is not there is nobody's to know either.
        let theirs = found.as_ref().is_some_and(|known| known.facts.is_known());
        let administers = is_administrator(&by.subject);
        if !theirs && word == Word::Own && !administers && !self.settings.self_registration {
            return Err(AccessError::NotRegistered);
        }
        let facts = match &found {
            Some(known) if !known.facts.is_known() => return Err(AccessError::NotFound),
            Some(known) => known.facts.clone(),
            None => Facts::unrelated(resource.clone(), change.now).with(Relation::Owner, crate::Hold::Always),
        };
        self.must_stand_well(&by.subject, &facts)?;
        if facts.hold(Relation::Owner) == crate::Hold::No {
            return Err(AccessError::Denied(Box::new(self.not_owner(&by.subject, &facts))));
        }
        let was_public = found.is_some() && facts.hold(Relation::Public).at(change.now);
        if word == Word::Own && wanted.public && !was_public {
            // Showing it to everybody is sharing.
            shares::must_share(self, &by.subject, &facts, Relation::Shared)?;
        }
        let parent =
            self.parent(&mut change.tx, by, found.as_ref(), wanted.parent.as_ref(), change.now).await?;
        let revision = change.revision;
        let Some(known) = found else {
            let owner = self.first_owner(&mut change.tx, by, wanted.owner).await?;
            let id: Id<kind::Object> = Id::at(change.now, &self.entropy);
            let row = params![
                id,
                &resource.kind,
                &resource.id,
                owner,
                wanted.public,
                parent,
                change.now,
                revision.0
            ];
            change.tx.execute(ADD, row).await?;
            let event = Event::ObjectRegistered {
                resource: shown(resource),
                public: wanted.public,
                revision: revision.0,
            };
            self.note_word(&mut change, by, word, owner, event).await?;
            return Ok((self.finish(change, Change::Object(id)).await?, true));
        };
        if wanted.owner.is_some_and(|owner| owner != known.owner) {
            return Err(invalid("owner", "changes by a transfer only"));
        }
        let moved = parent != known.parent;
        if !moved && wanted.public == was_public {
            return Ok((change.unneeded(), false));
        }
        change.tx.execute(SET, params![known.id, wanted.public, parent, revision.0]).await?;
        let event = Event::ObjectChanged {
            resource: shown(resource),
            public: wanted.public,
            moved,
            revision: revision.0,
        };
        self.note_word(&mut change, by, word, known.owner, event).await?;
        // What is part of it inherits, too.
        let told = if moved { Change::Relations } else { Change::Object(known.id) };
        Ok((self.finish(change, told).await?, false))
    }

    /// Puts an event into the change, by who gave the word.
    async fn note_word(
        &self,
        change: &mut Changing,
        by: &Asker,
        word: Word,
        owner: Id<kind::Account>,
        event: Event,
    ) -> Result<(), AccessError> {
        let Word::Machine(actor) = word else { return self.note(change, by, Some(owner), event).await };
        let mut record = Record::new(change.now, event).by(actor);
        record.about = Some(owner);
        self.audit.append(&mut change.tx, &record).await?;
        Ok(())
    }

    /// Deletes the row, and with it everybody's relation.
    async fn forget(&self, mut change: Changing, by: &Asker, known: &Known) -> Result<Revision, AccessError> {
        change.tx.execute(FORGET, params![known.id, known.owner]).await?;
        let resource = shown(&known.facts.resource);
        let event = Event::ObjectForgotten { resource, revision: change.revision.0 };
        self.note(&mut change, by, Some(known.owner), event).await?;
        self.finish(change, Change::Relations).await
    }

    /// A kind of the loaded schema, and an identifier that can stand in a path and a log.
    pub(crate) fn check_name(&self, resource: &ResourceRef) -> Result<(), AccessError> {
        if resource.kind == "user" || !self.access.bundle().has_kind(&resource.kind) {
            return Err(invalid("type", "is no type of objects that have owners"));
        }
        let id = &resource.id;
        if id.is_empty() || id.len() > MAX_NAME || id.chars().any(char::is_control) {
            return Err(invalid("id", "must have 1 to 256 bytes and no control characters"));
        }
        Ok(())
    }

    /// Not suspended, verified, not locked, with a role: what binds every change, whatever it is. Asked as the right
    /// that everybody has.
    pub(crate) fn must_stand_well(&self, subject: &Subject, facts: &Facts) -> Result<(), AccessError> {
        let bundle = self.access.bundle();
        let Ok(action) = bundle.action("data:delete") else { return Err(AccessError::NotFound) };
        // The second factor and risk are for the sensitive actions themselves, which are asked by name.
        let calm =
            crate::Assurance { second_factor: false, risk: 0, mfa_age_s: Some(0), ..subject.assurance };
        let mut decision = self.access.decide(&Subject { assurance: calm, ..*subject }, &action, None);
        if decision.allowed {
            return Ok(());
        }
        decision.resource = Some(facts.resource.clone());
        decision.visible = facts.is_known();
        Err(AccessError::Denied(Box::new(decision)))
    }

    /// The denial of what only an owner may do.
    pub(crate) fn not_owner(&self, subject: &Subject, facts: &Facts) -> crate::Decision {
        let bundle = self.access.bundle();
        let name = bundle.actions().find(|name| name.starts_with(&format!("{}:", facts.resource.kind)));
        let action = crate::Action(std::borrow::Cow::Owned(name.unwrap_or("object:own").to_owned()));
        let mut decision = self.access.decide(subject, &action, Some(facts));
        decision.allowed = false;
        decision.code = crate::code::NO_RELATION;
        decision.rule = None;
        decision.expires_at = None;
        decision.missing = std::sync::Arc::new([crate::Grant::Relation(Relation::Owner)]);
        decision
    }

    async fn first_owner(
        &self,
        tx: &mut Tx,
        by: &Asker,
        wanted: Option<Id<kind::Account>>,
    ) -> Result<Id<kind::Account>, AccessError> {
        let asker = by.account()?;
        let owner = wanted.unwrap_or(asker);
        if owner != asker && !is_administrator(&by.subject) {
            return Err(invalid("owner", "must be yourself; only administrators register for others"));
        }
        people::must_be_active(tx, owner, "owner").await?;
        if tx.query_one(OWNED, params![owner]).await?.get::<i64>(0)? >= MAX_OWNED {
            return Err(AccessError::Conflict("This account owns as many objects as an account can."));
        }
        Ok(owner)
    }

    /// What the object shall be part of: something that the asker works on, so that nobody puts things into another's
    /// project; not a part of itself; at most two above one another.
    async fn parent(
        &self,
        tx: &mut Tx,
        by: &Asker,
        known: Option<&Known>,
        wanted: Option<&ResourceRef>,
        now: Timestamp,
    ) -> Result<Option<Id<kind::Object>>, AccessError> {
        let Some(wanted) = wanted else { return Ok(None) };
        let missing = || invalid("parent", "is no object that you work on");
        let parent = read::known(tx, by.subject.account, wanted, now).await?.ok_or_else(missing)?;
        let works = [Relation::Owner, Relation::Collaborator];
        if !works.iter().any(|relation| parent.facts.hold(*relation).at(now)) {
            return Err(missing());
        }
        let (mut above, mut next) = (1, parent.parent);
        let own = known.map(|known| known.id);
        if own == Some(parent.id) {
            return Err(invalid("parent", "is the object itself"));
        }
        while let Some(id) = next {
            if own == Some(id) {
                return Err(invalid("parent", "is part of the object itself"));
            }
            above += 1;
            if above > 2 {
                return Err(invalid("parent", "is part of something that is part of something already"));
            }
            next = by_id(tx, id).await?.and_then(|(.., parent)| parent);
        }
        if let Some(own) = own {
            let row = tx.query_one(HAS_PARTS, params![own]).await?;
            let below = usize::from(row.get::<bool>(0)?) + usize::from(row.get::<bool>(1)?);
            if above + below > 2 {
                return Err(invalid("parent", "is too deep for an object that has parts itself"));
            }
        }
        Ok(Some(parent.id))
    }
}
