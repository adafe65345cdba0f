//! Lengths of time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in milliseconds, written as a whole number and a unit: `250ms`, `10s`, `15m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const MAX_MS: u64 = 3_650 * 86_400_000;

impl Period {
    /// From milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }
    /// From seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }
    /// From minutes.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(minutes * 60_000)
    }
    /// From hours.
    pub const fn from_hours(hours: u64) -> Self {
        Self(hours * 3_600_000)
    }
    /// From days of 24 hours.
    pub const fn from_days(days: u64) -> Self {
        Self(days * 86_400_000)
    }
    /// In milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }
    /// In milliseconds as the signed number that timestamps are added with; at most ten years, so it fits.
    pub const fn as_ms_i64(self) -> i64 {
        self.0.cast_signed()
    }
    /// In whole seconds, rounded up.
    pub const fn as_secs(self) -> u64 {
        self.0.div_ceil(1_000)
    }
    /// As a standard duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "expected a length of time such as \"250ms\", \"10s\", \"15m\", \"24h\" or \"7d\"".to_owned();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(wrong)?;
        let ms = number.checked_mul(*factor).filter(|ms| *ms <= MAX_MS);
        ms.map(Self).ok_or_else(|| "a length of time is at most 3650d".to_owned())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            UNITS.iter().rev().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

super::text_value!(Period, "Period", "a length of time such as \"10s\" or \"15m\"");
