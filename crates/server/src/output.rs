//! What commands print and how they fail.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use crate::config::Finding;
use crate::error::StartError;

/// Why a command did not do what was asked. Each becomes one line (or one per finding) on standard error.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; exit code 2.
    Usage(String),
    /// The configuration is wrong; exit code 2.
    Config(Vec<Finding>),
    /// It could not be done; exit code 1.
    Runtime(String),
    /// Something is wrong with what was looked at, and has been said on standard output; exit code 1.
    Found,
    /// Whoever reads our output has seen enough, as `head` does; no failure.
    Closed,
}

impl Failure {
    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (lines, code) = match self {
            Self::Usage(line) => (vec![line], 2),
            Self::Config(findings) => (findings.iter().map(ToString::to_string).collect(), 2),
            Self::Runtime(line) => (vec![line], 1),
            Self::Found => return ExitCode::FAILURE,
            Self::Closed => return ExitCode::SUCCESS,
        };
        let mut error = io::stderr().lock();
        for line in lines {
            // Nothing can be done if even standard error is gone.
            let _ = writeln!(error, "error: {}", line.trim().replace('\n', "; "));
        }
        ExitCode::from(code)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Runtime(format!("cannot write the output: {error}")),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(findings) => Self::Config(findings),
            other => Self::Runtime(other.to_string()),
        }
    }
}

macro_rules! runtime_failures {
    ($($error:ty),*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Runtime(error.to_string())
            }
        }
    )* };
}
runtime_failures!(
    store::DbError,
    keys::KeysError,
    audit::AuditError,
    sinks::SinksError,
    identity::Error,
    crate::signing::StepError
);

/// Prints aligned columns; the last one is not padded.
pub(crate) fn table(out: &mut impl Write, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| -> io::Result<()> {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(&mut head.iter().copied())?;
    for row in rows {
        line(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let mut out = Vec::new();
        table(
            &mut out,
            &["name", "x"],
            &[vec!["ada".into(), String::new()], vec!["augusta".into(), "1".into()]],
        )
        .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "name     x\nada\naugusta  1\n");
    }
}
