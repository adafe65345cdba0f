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

    /// Puts this part's figures on the page; the other parts stay as they were measured. `order` is that of the page.
    pub(crate) fn write(&self, path: &Path, order: &[&str], part: &str) -> Result<()> {
        let before = std::fs::read_to_string(path).unwrap_or_default();
        std::fs::write(path, page(&before, order, part, &self.section()?))?;
        Ok(())
    }

    fn section(&self) -> Result<String> {
        let mut text = String::new();
        if !self.rows.is_empty() {
            text.push_str("| what | must reach | measured |\n|---|---|---|\n");
        }
        for [what, goal, measured] in &self.rows {
            writeln!(text, "| {what} | {goal} | {measured} |")?;
        }
        for note in &self.notes {
            write!(text, "\n{note}\n")?;
        }
        for [command, output] in &self.blocks {
            write!(text, "\n`{command}`:\n\n```text\n{output}\n```\n")?;
        }
        Ok(text)
    }
}

const HEAD: &str = "# Performance\n\nWritten by `cargo xtask bench`; do not edit by hand. Each part is one run on one \
    machine of 2 cores that the load generator, the peer and the upstream shared, and is measured again alone by \
    `cargo xtask bench --only PART`. Ratios travel, absolute times do not.\n";

/// The page with one part replaced.
fn page(before: &str, order: &[&str], part: &str, section: &str) -> String {
    let mut page = HEAD.to_owned();
    for name in order {
        let heading = format!("\n## {name}\n\n");
        let text = if *name == part {
            section
        } else {
            let Some((_, after)) = before.split_once(&heading) else { continue };
            after.split("\n## ").next().unwrap_or_default()
        };
        page.push_str(&heading);
        page.push_str(text);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn one_part_is_replaced_and_the_others_stay_in_their_order() {
        let order = ["a", "b", "c"];
        let once = page(&page("", &order, "c", "of c\n"), &order, "a", "of a\n");
        assert!(once.ends_with("\n## a\n\nof a\n\n## c\n\nof c\n"), "{once}");
        let twice = page(&page(&once, &order, "b", "of b\n"), &order, "a", "anew\n");
        assert!(twice.ends_with("\n## a\n\nanew\n\n## b\n\nof b\n\n## c\n\nof c\n"), "{twice}");
    }
}
