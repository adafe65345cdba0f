//! What the assessment of a request or a sign-in came to.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How bad it looks. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreatLevel {
    /// Nothing was found.
    None,
    /// Odd, but often harmless.
    Low,
    /// Worth a look or a further question.
    Medium,
    /// Very likely hostile.
    High,
    /// Hostile, and dangerous.
    Critical,
}

impl ThreatLevel {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// OCSF `risk_level_id`.
    pub const fn ocsf(self) -> u8 {
        self as u8
    }
}

/// An assessment. An event has none where nothing was assessed, which is not the same as nothing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threat {
    /// From 0 (nothing) to 100.
    pub score: u8,
    /// The score in words.
    pub level: ThreatLevel,
    /// What found it: the name of a detector or rule, or `none` if nothing was found.
    pub method: Cow<'static, str>,
}

impl Threat {
    /// Assessed, and nothing was found.
    pub const CLEAN: Self = Self { score: 0, level: ThreatLevel::None, method: Cow::Borrowed("none") };

    /// What this detector or rule found; scores above 100 are 100.
    pub const fn found(score: u8, level: ThreatLevel, method: &'static str) -> Self {
        Self { score: if score > 100 { 100 } else { score }, level, method: Cow::Borrowed(method) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_ocsf_numbers_in_their_order() {
        let levels = [
            ThreatLevel::None,
            ThreatLevel::Low,
            ThreatLevel::Medium,
            ThreatLevel::High,
            ThreatLevel::Critical,
        ];
        assert_eq!(levels.map(ThreatLevel::ocsf), [0, 1, 2, 3, 4]);
        for level in levels {
            assert_eq!(serde_json::to_value(level).unwrap(), level.name());
        }
        assert_eq!(Threat::found(250, ThreatLevel::High, "x").score, 100);
    }
}
