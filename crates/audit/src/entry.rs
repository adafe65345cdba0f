//! What is read back: one event with its body opened, a page of them, and the question asked.

use std::net::IpAddr;

use base::{Actor, Id, Scope, Timestamp, kind as ids};
use serde::Serialize;

use crate::{Kind, Outcome, Place, RequestInfo, Threat};

/// One event as read back.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The event's id.
    pub id: Id<ids::Event>,
    /// When it happened, in milliseconds since 1970.
    pub at: Timestamp,
    /// The stable dotted name, such as `session.signed_in`.
    pub kind: String,
    /// OCSF severity: 1 informational to 6 fatal.
    pub severity: u8,
    /// `success`, `failure` or `denied`.
    pub outcome: String,
    /// Whose data it is.
    pub account: Option<Id<ids::Account>>,
    /// Who did it: `anonymous`, `account:<id>` or `system:<part>`.
    pub actor: String,
    /// During which request.
    pub request: Option<Id<ids::Request>>,
    /// The method.
    pub method: Option<String>,
    /// The route's template.
    pub route: Option<String>,
    /// The answer's status.
    pub status: Option<u16>,
    /// The client's address; withheld from readers who are neither it nor an operator.
    pub address: Option<IpAddr>,
    /// The user agent; withheld likewise.
    pub agent: Option<String>,
    /// The concrete path; withheld likewise.
    pub path: Option<String>,
    /// The actor's tier then; withheld likewise.
    pub tier: Option<String>,
    /// Where the address lies; withheld likewise.
    pub place: Option<Place>,
    /// What the assessment came to; `None` where nothing was assessed. Withheld likewise.
    pub threat: Option<Threat>,
    /// What the kind's own fields say; an object.
    pub details: serde_json::Value,
    /// The body cannot be read any more, because the person's key was destroyed.
    pub erased: bool,
    /// The body does not open although the key is there: it was altered or damaged.
    pub damaged: bool,
}

/// Who asks; goes into the `audit.searched` event and decides what is seen.
#[derive(Debug, Clone)]
pub struct Searcher {
    /// Who asks.
    pub actor: Actor,
    /// `Scope::Account` sees its own events only, `Scope::System` all.
    pub scope: Scope,
    /// During which request.
    pub request: Option<RequestInfo>,
}

/// What is looked for; everything that is set must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose data.
    pub account: Option<Id<ids::Account>>,
    /// Which kind.
    pub kind: Option<Kind>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before (exclusive).
    pub to: Option<Timestamp>,
    /// From this address (blind index, exact).
    pub address: Option<IpAddr>,
    /// During this request.
    pub request: Option<Id<ids::Request>>,
    /// Ended like this.
    pub outcome: Option<Outcome>,
}

/// A place in the trail: the last event of a page. New events never move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The event's time.
    pub at: Timestamp,
    /// The event's id.
    pub id: Id<ids::Event>,
}

/// Up to 200 events, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<Cursor>,
}
