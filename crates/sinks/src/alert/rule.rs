//! What a rule says: which events, how many in what time, by whom, how bad that is, and what to do.

use audit::Entry;
use base::{Id, kind};
use serde::{Deserialize, Serialize};

use crate::Pattern;

/// A window longer than this would have to be remembered for too long.
const MAX_WINDOW_MS: i64 = 24 * 3_600_000;
/// So many times are kept for each group.
const MAX_THRESHOLD: u32 = 1_000;

/// Whom a rule counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// Everybody.
    #[default]
    None,
    /// Each account by itself; what is about nobody counts together.
    Account,
    /// Each network address by itself; what has none counts together.
    Address,
}

/// A rule. The defaults of its fields are in [`Rule::new`].
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Kinds of events; empty: all.
    pub kinds: Vec<Pattern>,
    /// OCSF severity from which on an event counts.
    pub min_severity: u8,
    /// How the event must have ended (`success`, `failure`, `denied`); `None`: any way.
    pub outcome: Option<String>,
    /// So many events …
    pub threshold: u32,
    /// … within this time, in milliseconds.
    pub window_ms: i64,
    /// Counted together for whom.
    pub group: Group,
    /// OCSF severity of the alert: 2 low, 3 medium, 4 high, 5 critical.
    pub severity: u8,
    /// While events of the same group follow each other within this time, it is one alert. Milliseconds.
    pub quiet_ms: i64,
    /// What a person who reads the alert should do.
    pub runbook: String,
    /// Only for what no other rule is about.
    pub fallback: bool,
}

/// Why a rule is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    /// The field at fault.
    pub field: &'static str,
    /// What would be right.
    pub message: String,
}

/// Who an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    Everybody,
    Account(Id<kind::Account>),
    Address(std::net::IpAddr),
    /// Too many groups at once: all further ones together.
    Others,
}

impl Rule {
    /// A rule that raises an alert of severity 4 at each event of these kinds.
    pub fn new(name: &str, kinds: Vec<Pattern>) -> Self {
        Self {
            name: name.to_owned(),
            kinds,
            min_severity: 1,
            outcome: None,
            threshold: 1,
            window_ms: 300_000,
            group: Group::None,
            severity: 4,
            quiet_ms: 1_800_000,
            runbook: String::new(),
            fallback: false,
        }
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self) -> Result<(), RuleError> {
        let wrong = |field, message: &str| Err(RuleError { field, message: message.to_owned() });
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 48 || !self.name.bytes().all(letters) {
            return wrong("name", "expected 1 to 48 lower-case letters, digits and hyphens");
        }
        if self.threshold == 0 || self.threshold > MAX_THRESHOLD {
            return wrong("threshold", "must be between 1 and 1000");
        }
        if self.window_ms < 1_000 || self.window_ms > MAX_WINDOW_MS {
            return wrong("window", "must be between 1s and 24h");
        }
        if self.quiet_ms < 1_000 || self.quiet_ms > 7 * MAX_WINDOW_MS {
            return wrong("quiet", "must be between 1s and 7d");
        }
        if self.kinds.is_empty() && self.min_severity < 3 {
            return wrong("kinds", "name the kinds of events, or a min_severity of at least 3");
        }
        if self.runbook.chars().count() > 1_000 {
            return wrong("runbook", "must be at most 1000 characters; link to the rest");
        }
        Ok(())
    }

    /// Whether the event counts. What alerts say of themselves never does: that would go round in circles.
    pub(crate) fn counts(&self, entry: &Entry) -> bool {
        !entry.kind.starts_with("alert.")
            && entry.severity >= self.min_severity
            && (self.kinds.is_empty() || self.kinds.iter().any(|pattern| pattern.matches(&entry.kind)))
            && self.outcome.as_ref().is_none_or(|outcome| *outcome == entry.outcome)
    }

    /// With whom the event is counted.
    pub(crate) fn who(&self, entry: &Entry) -> Who {
        match self.group {
            Group::None => Who::Everybody,
            Group::Account => entry.account.map_or(Who::Everybody, Who::Account),
            Group::Address => entry.address.map_or(Who::Everybody, Who::Address),
        }
    }
}

impl Who {
    /// The account, if it is one.
    pub(crate) const fn account(&self) -> Option<Id<kind::Account>> {
        match self {
            Self::Account(id) => Some(*id),
            _ => None,
        }
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Everybody => "all together".to_owned(),
            Self::Account(id) => format!("account {id}"),
            Self::Address(address) => format!("address {address}"),
            Self::Others => "many others".to_owned(),
        }
    }
}

/// The names of severities, as configured and shown.
pub fn severity_name(severity: u8) -> &'static str {
    match severity {
        0 | 1 => "informational",
        2 => "low",
        3 => "medium",
        4 => "high",
        5 => "critical",
        _ => "fatal",
    }
}
