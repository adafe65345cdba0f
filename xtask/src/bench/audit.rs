//! The audit trail: durable events, proofs, `append`, verification, memory, search. The crate's own benches measure, beside a
//! bare `fdatasync` and a bare rusqlite loop on the same disk; here their lines become rows of the page.

use anyhow::Result;

use super::Effort;
use super::report::Report;

/// Events that go through the trail, unless somebody says otherwise.
const EVENTS: u64 = 300_000;
/// Events of the log that is searched, unless somebody says otherwise. The goal is for ten times as many, which is too much
/// for every run; what a page costs hardly depends on it as long as the memory holds the indexes.
const SEARCHED: u64 = 1_000_000;

/// Writing, proving and verifying.
pub(crate) fn measure(report: &mut Report, effort: &Effort) -> Result<()> {
    let (seconds, events) = (effort.seconds.to_string(), effort.events.unwrap_or(EVENTS).to_string());
    report.run("fortissimo-audit", "log", &["--seconds", &seconds, "--events", &events])
}

/// Searching.
pub(crate) fn search(report: &mut Report, effort: &Effort) -> Result<()> {
    let events = effort.events.unwrap_or(SEARCHED).to_string();
    report.run("fortissimo-audit", "search", &["--events", &events])
}
