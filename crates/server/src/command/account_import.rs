//! `fortissimo account import FILE`: accounts of another system, as JSON lines or CSV.
//!
//! The file is read twice: first every line is checked, and if one is wrong nothing is imported; then they are stored
//! in small transactions. Accounts that are there already are passed over, so an import that was interrupted is
//! resumed by the same command.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use access::{Permit, Role, Tier};
use clap::{Args, ValueEnum};
use identity::{ImportOutcome, ImportedAccount, ImportedHash, RequestMeta};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::account::PART;
use crate::output::Failure;
use crate::services::Services;

/// Accounts of one transaction.
const BATCH: usize = 100;
/// A longer line is not an account.
const MAX_LINE: u64 = 64 * 1024;
/// Wrong lines that are told; the rest is counted.
const TOLD: usize = 50;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file: one JSON object per line, or CSV with a header
    file: PathBuf,
    /// Its form; known by its name (.csv, otherwise JSON lines) if left out
    #[arg(long)]
    format: Option<Form>,
    /// Import the lines that are right and tell the others
    #[arg(long)]
    skip_bad: bool,
    /// Only check the file
    #[arg(long)]
    dry_run: bool,
    /// Take addresses as verified that the file does not call verified
    #[arg(long)]
    trust_addresses: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One JSON object per line
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
}

/// A line as written. The fields are those of docs/import.md.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, deserialize_with = "filled")]
    username: Option<String>,
    email: String,
    #[serde(default, deserialize_with = "filled")]
    full_name: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    password_hash: Option<String>,
    #[serde(default)]
    email_verified: Option<bool>,
    #[serde(default)]
    password_compromised: Option<bool>,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "filled")]
    role: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    tier: Option<String>,
}

/// An empty cell of a table is no value.
fn filled<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(source)?.filter(|text| !text.is_empty()))
}

impl Line {
    fn parse(self, trust_addresses: bool) -> Result<ImportedAccount, String> {
        fn field<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, String> {
            text.parse().map_err(|error| format!("{name}: {error}"))
        }
        if !self.email_verified.unwrap_or(false) && !trust_addresses {
            return Err(
                "email_verified: must be true, because nobody can sign in with an address that is not \
                        verified; --trust-addresses takes all of them as verified"
                    .to_owned(),
            );
        }
        let password = self
            .password_hash
            .as_deref()
            .map(|text| ImportedHash::parse(text).map_err(|error| format!("password_hash: {error}")))
            .transpose()?;
        Ok(ImportedAccount {
            username: self.username.as_deref().map(|text| field("username", text)).transpose()?,
            email: field("email", &self.email)?,
            full_name: self.full_name.as_deref().map(|text| field("full_name", text)).transpose()?,
            password,
            compromised: self.password_compromised.unwrap_or(false),
            role: self.role.as_deref().map_or(Ok(Role::User), |text| field("role", text))?,
            tier: self.tier.as_deref().map_or(Ok(Tier::Free), |text| field("tier", text))?,
            disabled: self.disabled.unwrap_or(false),
        })
    }
}

/// Gives each account of the file with its line's number, or what is wrong with that line, to `take`, which says
/// whether to go on.
fn read(
    path: &Path,
    form: Form,
    trust_addresses: bool,
    mut take: impl FnMut(u64, Result<ImportedAccount, String>) -> bool,
) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let parse = |line: Line| line.parse(trust_addresses);
    match form {
        Form::Jsonl => {
            let mut reader = BufReader::new(file);
            let mut text = Vec::new();
            for number in 1.. {
                text.clear();
                reader
                    .by_ref()
                    .take(MAX_LINE + 1)
                    .read_until(b'\n', &mut text)
                    .map_err(|error| unreadable(path, &error))?;
                if text.is_empty() {
                    break;
                }
                let one = if text.len() as u64 > MAX_LINE {
                    reader.skip_until(b'\n').map_err(|error| unreadable(path, &error))?;
                    Err(format!("is longer than {MAX_LINE} bytes"))
                } else if text.trim_ascii().is_empty() {
                    continue;
                } else {
                    serde_json::from_slice(&text).map_err(|error| described(&error)).and_then(parse)
                };
                if !take(number, one) {
                    break;
                }
            }
        }
        Form::Csv => {
            let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
            let mut rows = reader.deserialize::<Line>();
            loop {
                let number = rows.reader().position().line();
                let Some(row) = rows.next() else { break };
                let one = match row {
                    Ok(line) => parse(line),
                    Err(error) => match error.kind() {
                        csv::ErrorKind::Io(error) => return Err(unreadable(path, error)),
                        csv::ErrorKind::Deserialize { err, .. } => Err(err.kind().to_string()),
                        _ => Err(error.to_string()),
                    },
                };
                if !take(number, one) {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// serde's words without the position, which is the line's number here and may quote nothing personal.
fn described(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be read: {error}", path.display()))
}

/// What is wrong, in the order of the lines; told on standard error at the end of the pass.
#[derive(Default)]
struct Wrong {
    told: Vec<String>,
    count: u64,
}

impl Wrong {
    fn add(&mut self, number: u64, reason: &str) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("line {number}: {reason}"));
        }
    }

    fn tell(&self) {
        let mut error = io::stderr().lock();
        for line in &self.told {
            // Nothing can be done if even standard error is gone.
            let _ = writeln!(error, "{line}");
        }
        if self.count > self.told.len() as u64 {
            let _ = writeln!(error, "… and {} more", self.count - self.told.len() as u64);
        }
    }
}

/// Finds names and addresses that stand in the file twice, by hashes only.
#[derive(Default)]
struct Twice {
    hasher: RandomState,
    lines: HashMap<u64, u64>,
}

impl Twice {
    fn check(&mut self, number: u64, account: &ImportedAccount) -> Result<(), String> {
        let mut first =
            |field: &str, text: &str| match self.lines.insert(self.hasher.hash_one((field, text)), number) {
                None => Ok(()),
                Some(earlier) => Err(format!("{field}: line {earlier} has the same")),
            };
        first("email", account.email.as_str())?;
        account.username.as_ref().map_or(Ok(()), |name| first("username", name.as_str()))
    }
}

pub(super) async fn run(
    services: &Services,
    meta: &RequestMeta,
    import: &Import,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let is_csv = import.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let form = import.format.unwrap_or(if is_csv { Form::Csv } else { Form::Jsonl });
    let (mut good, mut wrong, mut twice) = (0, Wrong::default(), Twice::default());
    read(&import.file, form, import.trust_addresses, |number, one| {
        match one.and_then(|account| twice.check(number, &account)) {
            Ok(()) => good += 1,
            Err(reason) => wrong.add(number, &reason),
        }
        true
    })?;
    wrong.tell();
    if import.dry_run {
        writeln!(out, "{good} accounts could be imported, {} lines are wrong", wrong.count)?;
        return if wrong.count == 0 { Ok(()) } else { Err(Failure::Usage("lines are wrong".to_owned())) };
    }
    if wrong.count > 0 && !import.skip_bad {
        return Err(Failure::Usage(format!(
            "{} lines are wrong, and nothing was imported; mend them or pass over them with --skip-bad",
            wrong.count
        )));
    }
    if good == 0 {
        return Err(Failure::Usage(format!("{} holds no account", import.file.display())));
    }
    drop(twice);
    let done = store(services, meta, import, form, good).await?;
    done.taken.tell();
    writeln!(
        out,
        "imported {}, already there {}, passed over {}",
        done.made,
        done.there,
        wrong.count + done.taken.count
    )?;
    match done.taken.count {
        0 => Ok(()),
        taken => Err(Failure::Usage(format!(
            "{taken} names are taken by others; those accounts were not imported"
        ))),
    }
}

#[derive(Default)]
struct Done {
    made: u64,
    there: u64,
    taken: Wrong,
}

async fn store(
    services: &Services,
    meta: &RequestMeta,
    import: &Import,
    form: Form,
    good: u64,
) -> Result<Done, Failure> {
    let source = import.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    // Drawn on a terminal only.
    let bar = ProgressBar::new(good).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} accounts, {per_sec}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    // Reading blocks, so it has a thread of its own; two batches may wait.
    let (sender, mut batches) = tokio::sync::mpsc::channel::<Vec<(u64, ImportedAccount)>>(2);
    let (path, trust) = (import.file.clone(), import.trust_addresses);
    let reading = tokio::task::spawn_blocking(move || {
        let mut batch = Vec::with_capacity(BATCH);
        let mut twice = Twice::default();
        read(&path, form, trust, |number, one| {
            if let Ok(account) = one
                && twice.check(number, &account).is_ok()
            {
                batch.push((number, account));
            }
            batch.len() < BATCH || sender.blocking_send(std::mem::take(&mut batch)).is_ok()
        })?;
        // The other end is gone only if storing has failed, which is told there.
        let _ = sender.blocking_send(batch);
        Ok::<(), Failure>(())
    });
    let mut done = Done::default();
    while let Some(batch) = batches.recv().await {
        let (numbers, accounts): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let permit = Permit::for_system(PART);
        let outcomes = services.identity.import_accounts(permit, &source, &accounts, meta).await?;
        for (number, (outcome, account)) in numbers.into_iter().zip(outcomes.into_iter().zip(&accounts)) {
            match outcome {
                ImportOutcome::Made(..) => done.made += 1,
                ImportOutcome::AlreadyThere(_) => done.there += 1,
                ImportOutcome::NameTaken => {
                    let name = account.username.as_ref().map_or("", |name| name.as_str());
                    done.taken.add(number, &format!("username: {name} is taken by another account"));
                }
            }
        }
        bar.inc(accounts.len() as u64);
    }
    bar.finish_and_clear();
    reading.await.map_err(|_| Failure::Runtime("reading the file failed".to_owned()))??;
    Ok(done)
}
