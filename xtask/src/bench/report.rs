//! The page of results.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::tools;

/// Rows of the table, remarks and the output of micro benchmarks.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<[String; 3]>,
    notes: Vec<String>,
    blocks: Vec<[String; 2]>,
}

impl Report {
    /// One measured figure beside what it must reach.
    pub(crate) fn row(&mut self, what: &str, goal: &str, measured: String) {
        println!("bench: {what}: {measured} (goal {goal})");
        self.rows.push([what.to_owned(), goal.to_owned(), measured]);
    }

    /// A remark below the table.
    pub(crate) fn note(&mut self, text: String) {
        println!("bench: {text}");
        self.notes.push(text);
    }

    /// Runs a crate's own bench and takes over its `row|what|goal|measured` and `note …` lines.
    pub(crate) fn run(&mut self, package: &str, bench: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new("cargo")
            .current_dir(tools::root())
            .args(["bench", "--quiet", "--package", package, "--bench", bench, "--"])
            .args(arguments)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "cargo bench -p {package} --bench {bench} failed:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        for line in text.lines() {
            if let Some(row) = line.strip_prefix("row|") {
                let mut parts = row.split('|');
                let mut part = || parts.next().unwrap_or_default().to_owned();
                let (what, goal) = (part(), part());
                self.row(&what, &goal, part());
            } else if let Some(note) = line.strip_prefix("note ") {
                self.note(note.to_owned());
            }
        }
        Ok(())
    }

    /// The output of a micro benchmark.
    pub(crate) fn block(&mut self, command: &str, output: &str) {
        println!("bench: {command}\n{output}");
        self.blocks.push([command.to_owned(), output.trim().to_owned()]);
    }

    /// Writes the page.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut page = String::from(
            "# Performance\n\nWritten by `cargo xtask bench`; do not edit by hand. Everything ran in one run on one machine of 2 cores \
             that the load generator, the peer and the upstream shared; ratios travel, absolute times do not.\n\n\
             | what | must reach | measured |\n|---|---|---|\n",
        );
        for [what, goal, measured] in &self.rows {
            writeln!(page, "| {what} | {goal} | {measured} |")?;
        }
        for note in &self.notes {
            write!(page, "\n{note}\n")?;
        }
        for [command, output] in &self.blocks {
            write!(page, "\n## `{command}`\n\n```text\n{output}\n```\n")?;
        }
        std::fs::write(path, page)?;
        Ok(())
    }
}
