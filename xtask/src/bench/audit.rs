//! The audit trail: durable events, proofs, `append`, verification, memory. The crate's own bench measures, beside a bare
//! `fdatasync` and a bare rusqlite loop on the same disk; here its lines become rows of the page.

use anyhow::Result;

use super::report::Report;

/// Runs the bench and takes over its figures.
pub(crate) fn measure(report: &mut Report, seconds: u32, events: u64) -> Result<()> {
    let (seconds, events) = (seconds.to_string(), events.to_string());
    report.run("fortissimo-audit", "log", &["--seconds", &seconds, "--events", &events])
}
