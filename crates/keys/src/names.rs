//! What a key is for, and what a sealed value is bound to.

use base::{Id, Scope, kind};

/// Whose key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person's account.
    Account(Id<kind::Account>),
}

impl Subject {
    /// Its name in the table `subject_key`.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Account(_) => "account",
        }
    }

    /// Its 16 bytes.
    pub(crate) fn id(self) -> [u8; 16] {
        match self {
            Self::Account(id) => *id.as_bytes(),
        }
    }

    /// The account that owns it, for the row's owner column.
    pub(crate) const fn account(self) -> Id<kind::Account> {
        match self {
            Self::Account(id) => id,
        }
    }

    /// Whether a transaction of this scope may use the subject's key.
    pub(crate) fn is_covered_by(self, scope: Scope) -> bool {
        match scope {
            Scope::System(_) => true,
            Scope::Account(id) => id == self.account(),
        }
    }

    /// How it appears in a context: kind and id, so that equal ids of two kinds differ.
    pub(crate) fn context(self) -> Vec<u8> {
        [self.kind().as_bytes(), b":", &self.id()].concat()
    }
}

/// Where a sealed value lives. It can be opened there and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's id.
    pub row: [u8; 16],
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$item_doc])* $item,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// The stable name, as stored.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)* }
            }

            /// The one with this stored name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$item),)* _ => None }
            }
        }
    };
}

named! {
    /// What an epoch key is for. One key never serves two purposes.
    Purpose {
        /// Wraps subject keys.
        SubjectWrap = "subject_wrap",
        /// Makes blind indexes.
        BlindIndex = "blind_index",
        /// Seals audit bodies that belong to nobody.
        Audit = "audit",
        /// Seals backups.
        Backup = "backup",
        /// Peppers passwords.
        Pepper = "pepper",
        /// Authenticates cookies.
        Cookie = "cookie",
        /// Seals token signing keys.
        Signing = "signing",
        /// Derives refresh tokens' successors.
        Refresh = "refresh",
    }
}

named! {
    /// What a token signing key signs. Keys of one use never verify tokens of another.
    KeyUse {
        /// Access tokens (`at+jwt`).
        AccessToken = "access_token",
        /// Identity assertions for upstreams.
        Assertion = "assertion",
        /// Collaboration tokens, which services may check by themselves.
        Collaboration = "collaboration",
    }
}

impl KeyUse {
    /// How long a key of this use stays published at least after it stopped signing, in milliseconds: as long as what
    /// it signed may live, and a minute for clocks that differ.
    pub(crate) const fn keep_at_least_ms(self) -> i64 {
        match self {
            Self::AccessToken | Self::Assertion => 0,
            Self::Collaboration => 24 * 3_600_000 + 60_000,
        }
    }
}
