//! Who asks, and about what.

use std::fmt;
use std::str::FromStr;

use base::{Id, kind};
use serde::{Deserialize, Serialize};

/// A word that is neither a role nor a tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}; known are: {known}")]
pub struct UnknownWord {
    /// "role" or "tier".
    pub what: &'static str,
    /// The known words.
    pub known: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them, from least to most.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The name in policies, JSON and the database.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { what: $what, known: words!(@list $($text)*) }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }
    };
    (@list $first:literal $($text:literal)*) => { concat!($first $(, ", ", $text)*) };
}

words! {
    /// What somebody is in the library (ACCESS-2).
    Role, "role",
    /// May look at tracks.
    Guest = "guest",
    /// An ordinary person.
    User = "user",
    /// A paying listener.
    PremiumUser = "premium_user",
    /// Keeps the library in order.
    Moderator = "moderator",
    /// Runs the platform.
    Admin = "admin",
    /// May do everything.
    SuperAdmin = "super_admin",
}

words! {
    /// What somebody has subscribed to (ACCESS-3).
    Tier, "tier",
    /// Without payment.
    Free = "free",
    /// Professional.
    Pro = "pro",
    /// Everything creative.
    Studio = "studio",
}

/// The facts about who asks that decisions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The account; `None` for somebody who is not signed in.
    pub account: Option<Id<kind::Account>>,
    /// The role. Absent means that nothing is allowed.
    pub role: Option<Role>,
    /// The tier. Absent means that no tier grants anything.
    pub tier: Option<Tier>,
    /// The account is disabled.
    pub suspended: bool,
    /// The e-mail address has been verified.
    pub verified: bool,
}

impl Subject {
    /// Somebody who is not signed in: no role, so nothing is allowed.
    pub const fn anonymous() -> Self {
        Self { account: None, role: None, tier: None, suspended: false, verified: false }
    }

    /// A verified, active account.
    pub const fn account(account: Id<kind::Account>, role: Role, tier: Tier) -> Self {
        Self { account: Some(account), role: Some(role), tier: Some(tier), suspended: false, verified: true }
    }
}

/// The object that is asked about, for example `track` / `42`.
///
/// It is given to Cedar as the resource and carried in the [`Decision`](crate::Decision) for the audit. **For now only
/// the capability and the conditions gate decide**: who owns or shares the object is not known here yet, so a decision
/// about an object says that the subject may do such things at all, not that this object is theirs. An upstream must
/// still check ownership until relations arrive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceRef {
    /// The type, in lower case: `track`, `playlist`, `project`, `generation`, `user`.
    pub kind: String,
    /// The object's identifier, as it stands in the path.
    pub id: String,
}
