//! The audit trail: durable events, proofs, `append`, verification, memory. The crate's own bench measures, beside a bare
//! `fdatasync` and a bare rusqlite loop on the same disk; here its lines become rows of the page.

use std::process::Command;

use anyhow::{Result, ensure};

use super::report::Report;
use crate::tools;

/// Events that go through the trail, unless somebody says otherwise.
pub(crate) const EVENTS: u64 = 300_000;
/// Events of the log that is searched, unless somebody says otherwise. The goal is for ten times as many, which is too much
/// for every run; what a page costs hardly depends on it as long as the memory holds the indexes.
pub(crate) const SEARCHED: u64 = 1_000_000;

/// Writing, proving and verifying.
pub(crate) fn measure(report: &mut Report, seconds: u32, events: u64) -> Result<()> {
    take_over(report, "log", &["--seconds", &seconds.to_string(), "--events", &events.to_string()])
}

/// Searching.
pub(crate) fn search(report: &mut Report, events: u64) -> Result<()> {
    take_over(report, "search", &["--events", &events.to_string()])
}

/// Runs a bench and takes over its figures.
fn take_over(report: &mut Report, bench: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new("cargo")
        .current_dir(tools::root())
        .args(["bench", "--quiet", "--package", "fortissimo-audit", "--bench", bench, "--"])
        .args(arguments)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the audit bench {bench} failed:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in text.lines() {
        if let Some(row) = line.strip_prefix("row|") {
            let mut parts = row.split('|').map(str::to_owned);
            let (what, goal) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            report.row(&what, &goal, parts.next().unwrap_or_default());
        } else if let Some(note) = line.strip_prefix("note ") {
            report.note(note.to_owned());
        }
    }
    Ok(())
}
