//! How often a line changes its address.
//!
//! At home the address stays for weeks; behind a mobile carrier's translation every sign-in has a new one. A new address
//! means much on the first kind of line and nothing on the second, so each person's lines are judged by themselves,
//! starting from what lines in general are like.

use super::codec::{CorruptState, Reader, Writer};
use super::history::{History, Past};

/// Chances per sign-in that a line's address is one that was not seen before; the kinds of lines that there may be.
const RATES: [f32; 12] = [0.01, 0.03, 0.06, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 0.9, 0.97, 0.99];
/// What lines are like before anything was learned: most are sticky, some are pooled; worth this many sign-ins.
const PRIOR: [f32; 12] = [4.0, 4.0, 6.0, 8.0, 8.0, 4.0, 2.0, 1.0, 1.0, 2.0, 6.0, 10.0];

/// How common each kind of line is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lines([f32; 12]);

/// What this person's sign-ins through one provider say about its line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Sign-ins through it after the first.
    chances: u16,
    /// Those of them with a new address.
    changes: u16,
}

impl Seen {
    pub(crate) fn of(history: &History, provider: u64) -> Self {
        let lines: Vec<&Past> = history.past.iter().filter(|past| past.provider == provider).collect();
        let mut seen = Self::default();
        for (at, past) in lines.iter().enumerate().skip(1) {
            seen.chances += 1;
            seen.changes += u16::from(!lines[..at].iter().any(|earlier| earlier.line == past.line));
        }
        seen
    }
}

impl Lines {
    /// How probable each kind is for a line on which this was seen.
    fn posterior(&self, seen: Seen) -> [f32; 12] {
        let (changes, stays) = (f32::from(seen.changes), f32::from(seen.chances - seen.changes));
        let mut logs = [0.0; 12];
        for (kind, log) in logs.iter_mut().enumerate() {
            *log = (self.0[kind] + PRIOR[kind]).ln()
                + changes * RATES[kind].ln()
                + stays * (1.0 - RATES[kind]).ln();
        }
        let top = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logs.iter().map(|log| (log - top).exp()).sum();
        logs.map(|log| (log - top).exp() / sum)
    }

    /// The chance that the owner's next sign-in on this line has an address that was not seen on it.
    pub(crate) fn new_address(&self, seen: Seen) -> f32 {
        self.posterior(seen).iter().zip(RATES).map(|(share, rate)| share * rate).sum()
    }

    /// Learns from one more sign-in on a line.
    pub(crate) fn learn(&mut self, mut seen: Seen, new: bool) {
        seen.chances += 1;
        seen.changes += u16::from(new);
        // A line that is used every day must not count for hundreds.
        let weight = 1.0 / f32::from(seen.chances);
        let shares = self.posterior(seen);
        for (count, share) in self.0.iter_mut().zip(shares) {
            *count += weight * share;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }

    pub(crate) fn halve(&mut self) {
        self.0.iter_mut().for_each(|count| *count *= 0.5);
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        self.0.iter().for_each(|count| out.f32(*count));
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, CorruptState> {
        let mut counts = [0.0; 12];
        for count in &mut counts {
            *count = input.count()?;
        }
        Ok(Self(counts))
    }
}
