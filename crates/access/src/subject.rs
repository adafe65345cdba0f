//! Who asks, and about what.

use std::fmt;

use base::{Id, Timestamp, kind};
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
            /// All of them, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The name in policies, JSON and the database.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { what: $what, known: $crate::subject::words!(@list $($text)*) }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }
    };
    (@list $first:literal $($text:literal)*) => { concat!($first $(, ", ", $text)*) };
}
pub(crate) use words;

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
    /// What the session proves and how the person stands at this moment.
    pub assurance: Assurance,
}

/// What a session proves, and how the account stands right now. The default is a plain session of an account without a
/// second factor: nothing is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assurance {
    /// The account is locked, because too many wrong passwords were tried from within. Strangers who try at the door
    /// lock nobody out.
    pub locked: bool,
    /// The account has a second factor, so that one can be demanded.
    pub second_factor: bool,
    /// Seconds since a second factor was shown in this session; `None` if it never was.
    pub mfa_age_s: Option<u32>,
    /// How suspicious the session's sign-in looked, from 0 to 100, if nobody has answered for it since.
    pub risk: u8,
    /// When the session or token ends: no decision outlives it.
    pub expires_at: Option<Timestamp>,
}

impl Assurance {
    /// The default, for constants.
    pub const NONE: Self =
        Self { locked: false, second_factor: false, mfa_age_s: None, risk: 0, expires_at: None };
}

/// What delete, export, share and administration demand beyond a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepUp {
    /// Nothing.
    Off,
    /// A second factor shown lately, from accounts that have one.
    #[default]
    Enrolled,
    /// A second factor shown lately; who has none is refused.
    Always,
}

/// The numbers behind the conditions, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Who must show a second factor.
    pub step_up: StepUp,
    /// How long that counts, in seconds.
    pub step_up_max_age_s: u32,
    /// From this risk on (0–100) what can be lost or leaked is refused.
    pub risk_limit: u8,
}

impl Default for Conditions {
    /// A second factor within 15 minutes where there is one; risk from 80 on.
    fn default() -> Self {
        Self { step_up: StepUp::default(), step_up_max_age_s: 900, risk_limit: 80 }
    }
}

impl Conditions {
    /// Whether the session is strong enough for what demands a second factor.
    pub(crate) fn is_strong(&self, assurance: &Assurance) -> bool {
        let fresh = assurance.mfa_age_s.is_some_and(|age| age <= self.step_up_max_age_s);
        match self.step_up {
            StepUp::Off => true,
            StepUp::Enrolled => !assurance.second_factor || fresh,
            StepUp::Always => fresh,
        }
    }

    pub(crate) const fn is_risky(&self, assurance: &Assurance) -> bool {
        assurance.risk >= self.risk_limit
    }
}

impl Subject {
    /// Somebody who is not signed in: no role, so nothing is allowed.
    pub const fn anonymous() -> Self {
        Self {
            account: None,
            role: None,
            tier: None,
            suspended: false,
            verified: false,
            assurance: Assurance::NONE,
        }
    }

    /// A verified, active account.
    pub const fn account(account: Id<kind::Account>, role: Role, tier: Tier) -> Self {
        Self {
            account: Some(account),
            role: Some(role),
            tier: Some(tier),
            suspended: false,
            verified: true,
            assurance: Assurance::NONE,
        }
    }
}

/// The object that is asked about, for example `track` / `42`. A name, not a promise that it exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceRef {
    /// The type, in lower case: `track`, `playlist`, `project`, `generation`, `user`, or one of the operator's.
    pub kind: String,
    /// The object's identifier, as it stands in the path.
    pub id: String,
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}
