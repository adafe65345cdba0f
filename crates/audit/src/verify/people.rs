//! The columns that name people. No leaf commits to them, but what opens does: a body opens only as its owner's, and it
//! says the address. Of whoever was erased, the columns say nothing any more (see `forget.rs`).

use std::net::IpAddr;

use base::{Id, kind as ids};
use serde::Deserialize;

use crate::forget::SOMEBODY;
use crate::leaf::{Leaf, SALT};
use crate::{Kind, Whose};

/// Whose a body turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It opened under the key of the person whom its column names.
    Person,
    /// It opened under the trail's own key: of nobody, or of somebody who had no key any more.
    Nobody,
    /// An event of the log destroyed its key.
    Gone,
    /// Something is wrong with it, which is a finding already.
    Unclear,
}

/// A body's owner, and what the column says of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) account: Option<Id<ids::Account>>,
    pub(super) owner: Owner,
}

/// Whether the column `actor` may say this.
pub(super) fn is_actor(column: &str, leaf: &Leaf, people: &[Person]) -> bool {
    if leaf.actor != SOMEBODY {
        return column == leaf.actor;
    }
    let mut candidates = slots(leaf, people.len()).filter_map(|slot| people.get(slot));
    match column.strip_prefix("account:") {
        // Whoever did it has a body of their own, or the first one if it is about themselves.
        Some(id) => candidates.any(|person| {
            person.owner == Owner::Unclear || person.account.is_some_and(|account| account.to_string() == id)
        }),
        None => {
            column == SOMEBODY
                && candidates.any(|person| match person.owner {
                    Owner::Gone | Owner::Nobody => person.account.is_none(),
                    Owner::Unclear => true,
                    Owner::Person => false,
                })
        }
    }
}

/// The bodies that may be the actor's: after the one of the person whom the event is about comes theirs, then that of a
/// second person whom the event concerns.
fn slots(leaf: &Leaf, bodies: usize) -> std::ops::Range<usize> {
    let concerns = leaf
        .kind
        .parse::<Kind>()
        .map_or(true, |kind| kind.spec().personal.iter().any(|field| field.whose == Whose::Other));
    match bodies {
        0 | 1 => 0..1,
        2 if concerns => 0..2,
        _ => 1..2,
    }
}

/// What the bodies say of the address, to compare the blind index with.
#[derive(Debug, Default)]
pub(super) struct Address {
    said: Option<[u8; 16]>,
    /// A body that may have said it could not be read.
    unread: bool,
}

impl Address {
    /// Takes note of a body that opened: salt and text.
    pub(super) fn read(&mut self, index: impl Fn(IpAddr) -> [u8; 16], plain: &[u8]) {
        #[derive(Deserialize)]
        struct Said {
            address: Option<IpAddr>,
        }
        // It stands first where there is one; most of the work is saved where there is none.
        let text = plain.get(SALT..).filter(|text| text.starts_with(b"{\"address\":"));
        let said = text.and_then(|text| serde_json::from_slice::<Said>(text).ok());
        if let Some(address) = said.and_then(|said| said.address) {
            self.said = Some(index(address));
        }
    }

    /// Takes note of a body's owner. Of somebody who had no key any more, nothing personal was kept in the first place.
    pub(super) fn see(&mut self, person: Option<&Person>) {
        self.unread |= person.is_some_and(|person| match person.owner {
            Owner::Gone | Owner::Unclear => true,
            Owner::Nobody => person.account.is_some(),
            Owner::Person => false,
        });
    }

    /// Whether the column may say this.
    pub(super) fn is(&self, column: Option<&[u8]>) -> bool {
        match (&self.said, column) {
            (Some(said), Some(column)) => said[..] == *column,
            (Some(_), None) => false,
            (None, Some(_)) => self.unread,
            (None, None) => true,
        }
    }
}
