//! `fortissimo doctor`: looks at one installation and says what to do. Changes nothing.

mod clock;
mod database;
mod files;
mod network;
mod tls;

use std::io::Write;

use crate::config::{Finding, Loaded};
use crate::output::Failure;

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Debug)]
struct Line {
    level: Level,
    text: String,
    /// What to do about it.
    remedy: Option<String>,
}

impl Line {
    fn ok(text: impl Into<String>) -> Self {
        Self { level: Level::Ok, text: text.into(), remedy: None }
    }
    fn warn(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, text: text.into(), remedy: Some(remedy.into()) }
    }
    fn fail(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mark = match self.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        writeln!(out, "{mark}  {}", self.text)?;
        match &self.remedy {
            Some(remedy) => writeln!(out, "      -> {remedy}"),
            None => Ok(()),
        }
    }
}

/// Prints the report; gives whether nothing failed.
pub(crate) async fn run(loaded: Result<Loaded, Vec<Finding>>, out: &mut impl Write) -> Result<bool, Failure> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(findings) => {
            for finding in findings {
                let remedy = "see docs/configuration.md; everything else is checked once this is right";
                Line::fail(format!("configuration: {finding}"), remedy).print(out)?;
            }
            return Ok(false);
        }
    };
    let mut lines = configuration(&loaded);
    let config = &loaded.resolved;
    lines.extend(files::check(config));
    lines.extend(database::check(config).await);
    lines.extend(clock::check(config));
    lines.extend(tls::check(config));
    lines.extend(network::check(config).await);
    for line in &lines {
        line.print(out)?;
    }
    let count = |level| lines.iter().filter(|line| line.level == level).count();
    let (failed, warned) = (count(Level::Fail), count(Level::Warn));
    writeln!(out, "\n{} checks: {failed} failed, {warned} warnings", lines.len())?;
    Ok(failed == 0)
}

fn configuration(loaded: &Loaded) -> Vec<Line> {
    let source = match &loaded.file {
        Some(file) => format!("configuration: {} is right", file.display()),
        None => "configuration: no file, the defaults hold".to_owned(),
    };
    let warnings = loaded
        .warnings
        .iter()
        .map(|one| Line::warn(format!("configuration: {one}"), "decide whether this is meant"));
    std::iter::once(Line::ok(source)).chain(warnings).collect()
}
