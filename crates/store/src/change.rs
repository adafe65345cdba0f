//! "Something changed": what makes caches forget, in this process and on other nodes.

use base::{Id, kind};

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An account: role, tier, state, password, keys of its own.
    Account(Id<kind::Account>),
    /// A session: revoked or changed.
    Session(Id<kind::Session>),
    /// Epoch or signing keys.
    Keys,
    /// Access policies.
    Policies,
    /// Who has what to do with one object of a service.
    Object(Id<kind::Object>),
    /// Who has what to do with many of them: a team or a folder changed.
    Relations,
    /// Anything may have changed: another process wrote, or a connection was lost for a while.
    Everything,
}

impl Change {
    /// The text that travels in a NOTIFY.
    pub(crate) fn encode(self) -> String {
        match self {
            Self::Account(id) => format!("account {id}"),
            Self::Session(id) => format!("session {id}"),
            Self::Keys => "keys".into(),
            Self::Policies => "policies".into(),
            Self::Object(id) => format!("object {id}"),
            Self::Relations => "relations".into(),
            Self::Everything => "everything".into(),
        }
    }

    /// Reads [`encode`](Self::encode)'s text; what a newer node says and we do not know is Everything.
    pub(crate) fn decode(text: &str) -> Self {
        let (word, id) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "account" => id.parse().map_or(Self::Everything, Self::Account),
            "session" => id.parse().map_or(Self::Everything, Self::Session),
            "keys" => Self::Keys,
            "policies" => Self::Policies,
            "object" => id.parse().map_or(Self::Everything, Self::Object),
            "relations" => Self::Relations,
            _ => Self::Everything,
        }
    }
}
