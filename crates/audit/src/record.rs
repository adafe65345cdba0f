//! What is handed in: an event, by whom, about whom, during which request.

use std::net::IpAddr;
use std::sync::Arc;

use base::{Actor, Id, Timestamp, kind};

use crate::{Agent, Event, PathText, Place, Short, Threat};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and failed.
    Failure,
    /// It was refused by a rule.
    Denied,
}

impl Outcome {
    /// The stable name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }

    /// The one with this stored name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Denied].into_iter().find(|o| o.name() == name)
    }
}

/// The request during which it happened.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The request's id.
    pub id: Id<kind::Request>,
    /// The client's true network address. Personal: sealed, searched by blind index.
    pub address: Option<IpAddr>,
    /// The user agent. Personal: sealed.
    pub agent: Option<Agent>,
    /// The method. In clear.
    pub method: Option<Short>,
    /// The route's template, such as `/api/v1/tracks/{id}`. In clear; comes from configuration.
    pub route: Option<Arc<str>>,
    /// The concrete canonical path without its query. Personal: sealed.
    pub path: Option<PathText>,
    /// The caller's tier, such as `pro`. Personal: sealed.
    pub tier: Option<&'static str>,
    /// Where the address lies, if the operator has a location file. Personal: sealed.
    pub place: Option<Place>,
    /// What the assessment came to; `None` where nothing was assessed.
    pub threat: Option<Threat>,
}

impl RequestInfo {
    /// Only the id is known.
    pub const fn new(id: Id<kind::Request>) -> Self {
        Self {
            id,
            address: None,
            agent: None,
            method: None,
            route: None,
            path: None,
            tier: None,
            place: None,
            threat: None,
        }
    }
}

/// One line of the trail.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// Whose data the event is: that person sees it, and their key seals its body. `None` for
    /// what belongs to nobody.
    pub about: Option<Id<kind::Account>>,
    /// A second person whom it concerns, such as the one who is granted access: the fields that the catalogue calls
    /// [`crate::Whose::Other`] are theirs.
    pub other: Option<Id<kind::Account>>,
    /// During which request, if any.
    pub request: Option<RequestInfo>,
    /// How it ended.
    pub outcome: Outcome,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// A successful event by nobody known, about nobody, outside of a request.
    pub const fn new(at: Timestamp, event: Event) -> Self {
        Self {
            at,
            actor: Actor::Anonymous,
            about: None,
            other: None,
            request: None,
            outcome: Outcome::Success,
            event,
        }
    }

    /// Done by `actor`.
    #[must_use]
    pub const fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Done by an account, about itself.
    #[must_use]
    pub const fn by_account(mut self, account: Id<kind::Account>) -> Self {
        self.actor = Actor::Account(account);
        self.about = Some(account);
        self
    }

    /// About this account's data.
    #[must_use]
    pub const fn about(mut self, account: Id<kind::Account>) -> Self {
        self.about = Some(account);
        self
    }

    /// Concerns this second person too.
    #[must_use]
    pub const fn concerning(mut self, account: Id<kind::Account>) -> Self {
        self.other = Some(account);
        self
    }

    /// During this request.
    #[must_use]
    pub fn during(mut self, request: RequestInfo) -> Self {
        self.request = Some(request);
        self
    }

    /// Ended like this.
    #[must_use]
    pub const fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}
