//! Closed sets of words, as the OpenAPI document names them. A test holds them against the types that they stand for.

use serde::Deserialize;
use utoipa::ToSchema;

/// A role (ACCESS-2).
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = Role)]
#[expect(dead_code, reason = "stands in the document for access::Role, which knows no OpenAPI")]
pub(crate) enum RoleWord {
    Guest,
    User,
    PremiumUser,
    Moderator,
    Admin,
    SuperAdmin,
}

/// A tier (ACCESS-3).
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = Tier)]
#[expect(dead_code, reason = "stands in the document for access::Tier, which knows no OpenAPI")]
pub(crate) enum TierWord {
    Free,
    Pro,
    Studio,
}

/// How somebody stands to an object (ACCESS-4).
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = Relation)]
#[expect(dead_code, reason = "stands in the document for access::Relation, which knows no OpenAPI")]
pub(crate) enum RelationWord {
    Owner,
    Collaborator,
    Shared,
    Public,
    Token,
    BreakGlass,
}

/// A relation that can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GivenRelation)]
pub(crate) enum ShareWord {
    /// Works on it with the owner.
    Collaborator,
    /// Sees it.
    Shared,
}

impl From<ShareWord> for access::Relation {
    fn from(word: ShareWord) -> Self {
        match word {
            ShareWord::Collaborator => Self::Collaborator,
            ShareWord::Shared => Self::Shared,
        }
    }
}

/// The state of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccountStatus)]
pub(crate) enum StatusWord {
    /// Registered, address not verified yet.
    Pending,
    /// May sign in.
    Active,
    /// Disabled by an operator.
    Disabled,
}

impl From<StatusWord> for identity::AccountStatus {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Pending => Self::Pending,
            StatusWord::Active => Self::Active,
            StatusWord::Disabled => Self::Disabled,
        }
    }
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Outcome)]
pub(crate) enum OutcomeWord {
    /// It was done.
    Success,
    /// It was tried and failed.
    Failure,
    /// It was refused by a rule.
    Denied,
}

impl From<OutcomeWord> for audit::Outcome {
    fn from(word: OutcomeWord) -> Self {
        match word {
            OutcomeWord::Success => Self::Success,
            OutcomeWord::Failure => Self::Failure,
            OutcomeWord::Denied => Self::Denied,
        }
    }
}
