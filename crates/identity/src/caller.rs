//! Who calls: the outcome of authentication, and the facts about a request that events carry.

use std::net::IpAddr;
use std::sync::Arc;

use access::{Assurance, Role, Subject, Tier};
use audit::RequestInfo;
use base::{Actor, Clock, Entropy, Id, Language, Scope, Timestamp, Username, kind};

use crate::Aal;
use crate::api_key::KeyCaller;

/// What an operation knows about the request that caused it; goes into audit events and session lists.
#[derive(Debug, Clone)]
pub struct RequestMeta {
    /// The request (or command) that this belongs to.
    pub request: Id<kind::Request>,
    /// The client's true address.
    pub address: Option<IpAddr>,
    /// The user agent.
    pub agent: Option<audit::Agent>,
    /// The request's method, such as `POST`.
    pub method: Option<audit::Short>,
    /// The route's template, such as `/auth/login`.
    pub route: Option<Arc<str>>,
    /// The canonical path, without query.
    pub path: Option<audit::PathText>,
    /// The caller's tier.
    pub tier: Option<&'static str>,
    /// Where the address lies.
    pub place: Option<audit::Place>,
    /// What the assessment of the request came to.
    pub threat: Option<audit::Threat>,
    /// Round-trip time of the connection, where it goes straight to the client.
    pub rtt_ms: Option<u32>,
    /// The device cookie as it came; only its signature makes it a device.
    pub device: Option<Arc<str>>,
    /// The cookie of a half sign-in as it came: its challenge counts for nobody else.
    pub challenge: Option<Arc<str>>,
    /// The language that the request asks for.
    pub language: Option<Language>,
}

impl RequestMeta {
    /// For a request of which only the id is known.
    pub const fn of(request: Id<kind::Request>) -> Self {
        Self {
            request,
            address: None,
            agent: None,
            method: None,
            route: None,
            path: None,
            tier: None,
            place: None,
            threat: None,
            rtt_ms: None,
            device: None,
            challenge: None,
            language: None,
        }
    }

    /// For a command on the machine itself: a fresh id and nothing else.
    pub fn command(clock: &Clock, entropy: &Entropy) -> Self {
        Self::of(Id::new(clock, entropy))
    }

    /// As the audit trail wants it.
    pub fn info(&self) -> RequestInfo {
        RequestInfo {
            id: self.request,
            address: self.address,
            agent: self.agent.clone(),
            method: self.method.clone(),
            route: self.route.clone(),
            path: self.path.clone(),
            tier: self.tier,
            place: self.place,
            threat: self.threat.clone(),
        }
    }
}

impl From<RequestInfo> for RequestMeta {
    fn from(info: RequestInfo) -> Self {
        Self {
            request: info.id,
            address: info.address,
            agent: info.agent,
            method: info.method,
            route: info.route,
            path: info.path,
            tier: info.tier,
            place: info.place,
            threat: info.threat,
            rtt_ms: None,
            device: None,
            challenge: None,
            language: None,
        }
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No credentials were presented.
    Anonymous,
    /// A person with a live session.
    Account(AccountCaller),
    /// A program with a key of an account.
    Key(KeyCaller),
}

/// Whose rights a call has: a person's, whether they call themselves or a program does with a key of theirs.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The account.
    pub account: Id<kind::Account>,
    /// Its role now.
    pub role: Role,
    /// Its tier now.
    pub tier: Tier,
    /// Its name.
    pub username: &'a Username,
}

impl Caller {
    /// The person who calls, if one does; a program with a key is none.
    pub const fn account(&self) -> Option<&AccountCaller> {
        match self {
            Self::Anonymous | Self::Key(_) => None,
            Self::Account(caller) => Some(caller),
        }
    }

    /// Whose rights the call has.
    pub const fn holder(&self) -> Option<Holder<'_>> {
        match self {
            Self::Anonymous => None,
            Self::Account(AccountCaller { account, role, tier, username, .. })
            | Self::Key(KeyCaller { account, role, tier, username, .. }) => {
                Some(Holder { account: *account, role: *role, tier: *tier, username })
            }
        }
    }

    /// Whether the credential covers the action at all: a session covers what its person may do, a key its scopes.
    /// Asked beside the policies, never instead of them.
    pub fn covers(&self, action: &str) -> bool {
        match self {
            Self::Anonymous | Self::Account(_) => true,
            Self::Key(key) => key.covers(action),
        }
    }

    /// For audit events.
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Anonymous => Actor::Anonymous,
            Self::Account(caller) => Actor::Account(caller.account),
            Self::Key(key) => Actor::Account(key.account),
        }
    }

    /// For access decisions.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Anonymous => Subject::anonymous(),
            Self::Account(caller) => caller.subject(),
            Self::Key(key) => key.subject(),
        }
    }
}

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A bearer access token.
    Token,
    /// The session cookie of a browser.
    Cookie,
}

impl Method {
    /// For events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Cookie => "cookie",
        }
    }
}

/// A person with a live session. Only [`Identity`](crate::Identity) makes one outside of tests.
#[derive(Debug, Clone)]
pub struct AccountCaller {
    /// The account.
    pub account: Id<kind::Account>,
    /// The session.
    pub session: Id<kind::Session>,
    /// The account's role now.
    pub role: Role,
    /// The account's tier now.
    pub tier: Tier,
    /// The account's name.
    pub username: Username,
    /// How they proved it.
    pub method: Method,
    /// When the first factor (the password, say) was last given in this session.
    pub authenticated_at: Timestamp,
    /// When the second factor was last given in this session.
    pub second_factor_at: Option<Timestamp>,
    /// Whether the account has a second factor, so that one can be demanded.
    pub has_second_factor: bool,
    /// When this was found out: now, for whoever has just been let in.
    pub seen_at: Timestamp,
    /// How strongly the session is proven now.
    pub aal: Aal,
    /// How suspicious its sign-in looked, from 0 to 100; 0 again once the second factor was given in it.
    pub risk: u8,
    /// The account is locked: too many wrong passwords were tried from within.
    pub locked: bool,
    /// When this proof ends: the token's or the session's end, whichever comes first.
    pub expires_at: Timestamp,
}

impl AccountCaller {
    /// For access decisions. A caller exists only for active, verified accounts.
    pub fn subject(&self) -> Subject {
        let mfa_age_s = self.second_factor_at.map(|at| {
            let seconds = self.seen_at.since_ms(at).max(0) / 1000;
            u32::try_from(seconds).unwrap_or(u32::MAX)
        });
        let assurance = Assurance {
            second_factor: self.has_second_factor,
            mfa_age_s,
            risk: self.risk,
            locked: self.locked,
            expires_at: Some(self.expires_at),
        };
        Subject { assurance, ..Subject::account(self.account, self.role, self.tier) }
    }

    /// For transactions that see this person's rows only.
    pub const fn scope(&self) -> Scope {
        Scope::Account(self.account)
    }
}
