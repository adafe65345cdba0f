//! The audit trail: durable events, proofs, `append`, verification, memory. The crate's own bench measures, beside a bare
//! `fdatasync` and a bare rusqlite loop on the same disk; here its lines become rows of the page.

use std::process::Command;

use anyhow::{Result, ensure};

use super::report::Report;
use crate::tools;

/// Runs the bench and takes over its figures.
pub(crate) fn measure(report: &mut Report, seconds: u32, events: u64) -> Result<()> {
    let output = Command::new("cargo")
        .current_dir(tools::root())
        .args(["bench", "--quiet", "--package", "fortissimo-audit", "--bench", "log", "--"])
        .args(["--seconds", &seconds.to_string(), "--events", &events.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the audit bench failed:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    report.take_over(&text);
    Ok(())
}
