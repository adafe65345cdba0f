//! The page of results.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

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

    /// The figures of a crate's own bench: lines `row|what|goal|measured` and `note …`.
    pub(crate) fn take_over(&mut self, output: &str) {
        for line in output.lines() {
            if let Some(row) = line.strip_prefix("row|") {
                let mut parts = row.split('|').map(str::to_owned);
                let (what, goal) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                self.row(&what, &goal, parts.next().unwrap_or_default());
            } else if let Some(note) = line.strip_prefix("note ") {
                self.note(note.to_owned());
            }
        }
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
