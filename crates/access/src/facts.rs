//! What is known about an object, and about somebody's relation to it.

use std::sync::Arc;

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::subject::words;
use crate::{Action, ResourceRef, Subject, UnknownWord};

words! {
    /// How somebody stands to an object.
    Relation, "relation",
    /// It is theirs.
    Owner = "owner",
    /// They work on it with the owner.
    Collaborator = "collaborator",
    /// It is shown to them.
    Shared = "shared",
    /// It is shown to everybody.
    Public = "public",
    /// They redeemed a collaboration token, which names what they may.
    Token = "token",
    /// An administrator looks at it for a reason that is on record.
    BreakGlass = "break_glass",
}

impl Relation {
    /// Its bit in a set of relations.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The number of sets of relations.
pub(crate) const RELATION_SETS: usize = 1 << Relation::ALL.len();
/// Every relation at once.
pub(crate) const ALL_RELATIONS: u8 = (RELATION_SETS - 1) as u8;

/// Counts the changes of all relations: a change that is known by its revision is seen by whatever is at least as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// Whether and for how long a relation holds. Orders from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Hold {
    /// Not at all.
    #[default]
    No,
    /// Up to this moment, which is not part of it.
    Until(Timestamp),
    /// Until it is taken away.
    Always,
}

impl Hold {
    /// From a column: no end is `Always`.
    pub fn until(end: Option<Timestamp>) -> Self {
        end.map_or(Self::Always, Self::Until)
    }

    /// Whether it holds at that moment.
    pub fn at(self, now: Timestamp) -> bool {
        match self {
            Self::No => false,
            Self::Until(end) => now < end,
            Self::Always => true,
        }
    }

    /// When it ends by itself.
    pub const fn end(self) -> Option<Timestamp> {
        match self {
            Self::Until(end) => Some(end),
            Self::No | Self::Always => None,
        }
    }
}

/// What a collaboration token gave: never more than its inviter may do at the moment of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// The actions that it names.
    pub permissions: Vec<Action>,
    /// Who invited, as they stand now.
    pub inviter: Subject,
    /// The inviter's own relation to the object.
    pub inviter_relation: Relation,
}

/// What is known about one object and one person at one moment. Hand it to [`Access::decide`](crate::Access::decide);
/// [`Relations`](crate::Relations) reads it from the database, and who has another store makes it by hand:
///
/// ```
/// use access::{Access, Facts, Hold, Relation, ResourceRef, Role, Subject, Tier};
/// use base::{Clock, Entropy, Id};
/// let (access, clock) = (Access::builtin().unwrap(), Clock::controlled(0));
/// let ada = Subject::account(Id::new(&clock, &Entropy::seeded(1)), Role::User, Tier::Free);
/// let write = access.action("playlist:write").unwrap();
/// let nobodys = Facts::unrelated(ResourceRef { kind: "playlist".into(), id: "7".into() }, clock.now());
/// assert!(!access.decide(&ada, &write, Some(&nobodys)).allowed);
/// let theirs = nobodys.with(Relation::Owner, Hold::Always);
/// assert!(access.decide(&ada, &write, Some(&theirs)).allowed);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The object.
    pub resource: ResourceRef,
    /// The moment of the question.
    pub now: Timestamp,
    /// Somebody registered the object, so that its relations are known. Nothing is allowed to what nobody registered.
    pub registered: bool,
    holds: [Hold; Relation::ALL.len()],
    /// What the relation [`Relation::Token`] is worth; without terms it is worth nothing.
    pub token: Option<Arc<TokenTerms>>,
    /// The state of relations that was read; zero where facts were made by hand.
    pub revision: Revision,
}

impl Facts {
    /// An object that the person has nothing to do with.
    pub const fn unrelated(resource: ResourceRef, now: Timestamp) -> Self {
        let holds = [Hold::No; Relation::ALL.len()];
        Self { resource, now, registered: true, holds, token: None, revision: Revision(0) }
    }

    /// An object of which nothing is known.
    pub const fn unregistered(resource: ResourceRef, now: Timestamp) -> Self {
        let mut facts = Self::unrelated(resource, now);
        facts.registered = false;
        facts
    }

    /// Adds a relation; of two terms for one relation the longer counts.
    #[must_use]
    pub fn with(mut self, relation: Relation, hold: Hold) -> Self {
        let slot = &mut self.holds[relation as usize];
        *slot = (*slot).max(hold);
        self
    }

    /// The same facts, asked about at another moment.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Whether and for how long a relation holds.
    pub const fn hold(&self, relation: Relation) -> Hold {
        self.holds[relation as usize]
    }

    /// The relations that hold now, from most to least.
    pub fn relations(&self) -> impl Iterator<Item = Relation> + '_ {
        self.relations_at(self.now)
    }

    /// The relations that hold at a moment, from most to least.
    pub(crate) fn relations_at(&self, now: Timestamp) -> impl Iterator<Item = Relation> + '_ {
        Relation::ALL.iter().copied().filter(move |relation| self.hold(*relation).at(now))
    }

    /// Whether the person may know that the object exists: any relation tells them.
    pub fn is_known(&self) -> bool {
        self.set_at(self.now) != 0
    }

    /// The relations that hold at a moment, as bits.
    pub(crate) fn set_at(&self, now: Timestamp) -> u8 {
        Relation::ALL
            .iter()
            .filter(|relation| self.hold(**relation).at(now))
            .fold(0, |set, relation| set | relation.bit())
    }

    /// Whether a relation held once and had ended by itself at that moment.
    pub(crate) fn has_lapsed_at(&self, now: Timestamp) -> bool {
        self.holds.iter().any(|hold| hold.end().is_some_and(|end| end <= now))
    }
}
