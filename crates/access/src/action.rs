//! The permission catalogue of ACCESS-1.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Every built-in action, `resource:verb`, in the order of ACCESS-1.
pub const CATALOGUE: &[&str] = &[
    // Creative: granted by tiers.
    "project:create",
    "project:read",
    "project:update",
    "project:delete",
    "project:share",
    "project:export",
    "generate:create",
    "generate:view",
    "generate:download",
    "generate:commercial",
    "collab:invite",
    "collab:manage",
    "collab:real_time",
    "data:export",
    "data:delete",
    "analytics:view",
    // Library: granted by roles.
    "track:read",
    "track:write",
    "track:delete",
    "track:analyze",
    "playlist:read",
    "playlist:write",
    "playlist:delete",
    "playlist:share",
    "user:read",
    "user:write",
    "user:delete",
    "user:admin",
    "system:config",
    "system:logs",
    "system:metrics",
    "analytics:read",
    "analytics:export",
];

/// Verbs whose harm cannot be taken back.
const IMMEDIATE: &[&str] =
    &["delete", "export", "share", "admin", "manage", "invite", "config", "commercial"];

/// Whether a remembered fact is not good enough for an action of this name, whatever group it is in.
pub(crate) fn is_immediate(name: &str) -> bool {
    IMMEDIATE.contains(&name.rsplit(':').next().unwrap_or_default())
}

/// One permission: a name that stands in a catalogue. Made by parsing (`"track:read"` or `"track.read"`, the built-in
/// catalogue) or by [`Access::action`](crate::Access::action) (the loaded catalogue, which may hold more).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Action(pub(crate) Cow<'static, str>);

impl Action {
    /// `resource:verb`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// No such action; names the nearest one if there is any near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAction {
    /// What was asked for.
    pub given: String,
    /// The nearest known name.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no action {:?}", self.given)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean \"{nearest}\"?"),
            None => f.write_str("; actions are named like \"track:read\""),
        }
    }
}

impl std::error::Error for UnknownAction {}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let name = normalised(text);
        CATALOGUE
            .iter()
            .find(|known| **known == name)
            .map(|known| Self(Cow::Borrowed(known)))
            .ok_or_else(|| unknown(text, CATALOGUE.iter().copied()))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `resource.verb` is read as `resource:verb`.
pub(crate) fn normalised(text: &str) -> Cow<'_, str> {
    if text.contains('.') && !text.contains(':') {
        Cow::Owned(text.replacen('.', ":", 1))
    } else {
        Cow::Borrowed(text)
    }
}

/// The error for a name that is not among `known`. The given text is cut, because it comes from outside.
pub(crate) fn unknown<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> UnknownAction {
    let given: String = given.chars().take(64).collect();
    let wanted = normalised(&given).to_lowercase();
    let nearest = known
        .map(|name| (strsim::damerau_levenshtein(&wanted, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned());
    UnknownAction { given, nearest }
}
