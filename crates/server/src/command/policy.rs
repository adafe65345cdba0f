//! `fortissimo policy validate|test|matrix|diff|activate|rollback|history`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{Activation, Bundle, CellChange, Example, LifeError, Matrix, Permit, PolicyFile, Requirement};
use clap::Subcommand;

use super::with_services;
use crate::config::{Loaded, Resolved};
use crate::output::{Failure, table};
use crate::replay::replay as again;
use crate::services::Services;

/// Who acts, in the audit trail.
const PART: &str = "command line";

/// Check, compare and put in force who may do what. FOLDER is `access.policies` if it is not named
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Check a folder of policies, and the routes against it; changes nothing
    Validate {
        /// The folder
        folder: Option<PathBuf>,
    },
    /// Ask the questions of a TOML file and compare the answers
    Test {
        /// The file with its `[[case]]` entries
        cases: PathBuf,
        /// The folder
        folder: Option<PathBuf>,
    },
    /// Print who may do what, as tables
    Matrix {
        /// The folder
        folder: Option<PathBuf>,
    },
    /// Show what a folder of policies would change; where the program cvc5 is installed, proves it
    Diff {
        /// The folder
        folder: Option<PathBuf>,
        /// Compare with the built-in policies instead of those in force
        #[arg(long, conflicts_with_all = ["with", "requests"])]
        builtin: bool,
        /// Compare with this activation of the history
        #[arg(long, value_name = "SERIAL")]
        with: Option<i64>,
        /// Also decide this many of the last recorded requests again
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        requests: Option<u32>,
    },
    /// Put a folder of policies in force, on every node at once
    Activate {
        /// The folder
        folder: Option<PathBuf>,
        /// The built-in policies alone, without any folder
        #[arg(long, conflicts_with = "folder")]
        builtin: bool,
        /// Why; goes into the history and the audit trail
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Put the policies before the present ones in force again
    Rollback {
        /// Those of this activation; 0: what the configuration names
        #[arg(long, value_name = "SERIAL")]
        to: Option<i64>,
        /// Why; goes into the history and the audit trail
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Show what was in force when, by whom and why, newest first
    History {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Policy, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Policy::Validate { folder } => validate(&loaded.resolved, folder, out),
        Policy::Test { cases, folder } => test(&loaded.resolved, &cases, folder, out),
        Policy::Matrix { folder } => {
            let bundle = bundle(&loaded.resolved, folder.as_deref())?;
            Ok(write!(out, "{}", Matrix::of(&bundle))?)
        }
        Policy::Diff { folder, builtin: true, .. } => {
            let new = Arc::new(bundle(&loaded.resolved, folder.as_deref())?);
            let old = Arc::new(Bundle::builtin().map_err(|error| refused(&error))?);
            super::runtime(1)?.block_on(diff(&old, &new, out))
        }
        Policy::Diff { folder, builtin: false, with, requests } => with_services(loaded, async |services| {
            let new = Arc::new(bundle(&services.config, folder.as_deref())?);
            let active = services.policies.active().await.map_err(failed)?;
            let old = match (with, active) {
                (Some(serial), _) => services.policies.bundle_of(serial).await.map_err(failed)?,
                (None, Some(_)) => services.access.bundle(),
                // The configured folder is what is being looked at, so that it is no measure.
                (None, None) => {
                    writeln!(out, "nothing was ever activated; compared with the built-in policies")?;
                    Arc::new(Bundle::builtin().map_err(|error| refused(&error))?)
                }
            };
            diff(&old, &new, out).await?;
            match requests {
                None => Ok(()),
                Some(count) => replay(&services, &old, &new, count, out).await,
            }
        }),
        Policy::Activate { folder, builtin, comment } => with_services(loaded, async |services| {
            let files = if builtin {
                services.config.access.files(None).map_err(|error| refused(&error))?
            } else {
                files(&services.config, folder.as_deref())?
            };
            // A route whose action is gone would answer 404 to everybody.
            if let Ok(bundle) = Bundle::from_files(files.clone()) {
                routes(&services.config, &bundle)?;
            }
            let active = services.policies.activate(Permit::for_system(PART), files, &comment).await;
            in_force(&active.map_err(failed)?, out)
        }),
        Policy::Rollback { to, comment } => with_services(loaded, async |services| {
            let active = services.policies.roll_back(Permit::for_system(PART), to, &comment).await;
            in_force(&active.map_err(failed)?, out)
        }),
        Policy::History { limit, json } => with_services(loaded, async |services| {
            let history = services.policies.history(None, limit).await.map_err(failed)?;
            show(&services, &history, json, out)
        }),
    }
}

fn failed(error: LifeError) -> Failure {
    match error {
        LifeError::Refused(error) => refused(&error),
        other => Failure::Runtime(other.to_string()),
    }
}

fn refused(error: &access::PolicyError) -> Failure {
    Failure::Usage(error.to_string())
}

fn files(config: &Resolved, folder: Option<&Path>) -> Result<Vec<PolicyFile>, Failure> {
    let folder = folder.or(config.access.policies.as_deref()).ok_or_else(|| {
        Failure::Usage(
            "no folder of policies: name one, or set access.policies (or --builtin to activate none)".into(),
        )
    })?;
    config.access.files(Some(folder)).map_err(|error| refused(&error))
}

fn bundle(config: &Resolved, folder: Option<&Path>) -> Result<Bundle, Failure> {
    if folder.is_none() && config.access.policies.is_none() {
        let files = config.access.files(None).map_err(|error| refused(&error))?;
        return Bundle::from_files(files).map_err(|error| refused(&error));
    }
    Bundle::from_files(files(config, folder)?).map_err(|error| refused(&error))
}

/// The routes of the configuration must find their actions.
fn routes(config: &Resolved, bundle: &Bundle) -> Result<(), Failure> {
    for (index, route) in config.route.iter().enumerate() {
        if let Err(error) = Requirement::parse_with(&route.access, bundle) {
            let text =
                format!("route {} ({}) would not work with these policies: {error}", index + 1, route.path);
            return Err(Failure::Usage(text));
        }
    }
    Ok(())
}

fn validate(config: &Resolved, folder: Option<PathBuf>, out: &mut impl Write) -> Result<(), Failure> {
    let bundle = bundle(config, folder.as_deref())?;
    routes(config, &bundle)?;
    writeln!(
        out,
        "right: {} files on top of the built-in ones, {} policies, {} actions, version {}",
        bundle.files().len(),
        bundle.policy_ids().count(),
        bundle.actions().count(),
        bundle.version()
    )?;
    Ok(())
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Example>,
}

fn test(
    config: &Resolved,
    path: &Path,
    folder: Option<PathBuf>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    /// More is no file of examples.
    const MAX_BYTES: u64 = 4 << 20;
    let name = path.display();
    let wrong = |message: String| Failure::Usage(format!("{name}: {message}"));
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(wrong("larger than 4 MiB; is it the right file?".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let cases: Cases = toml::from_str(&text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
        let line = before.matches('\n').count() + 1;
        Failure::Usage(format!("{name}:{line}: {}", error.message()))
    })?;
    let bundle = bundle(config, folder.as_deref())?;
    let failures = bundle.test(&cases.case);
    for failure in &failures {
        writeln!(out, "{failure}")?;
    }
    let count = cases.case.len();
    if failures.is_empty() {
        return Ok(writeln!(out, "all {count} cases are as expected")?);
    }
    out.flush()?;
    Err(Failure::Runtime(format!("{} of {count} cases are not as expected", failures.len())))
}

async fn diff(old: &Arc<Bundle>, new: &Arc<Bundle>, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{} → {}", old.version(), new.version())?;
    let removed: Vec<&str> =
        old.policy_ids().filter(|id| !new.policy_ids().any(|other| other == *id)).collect();
    let added: Vec<&str> =
        new.policy_ids().filter(|id| !old.policy_ids().any(|other| other == *id)).collect();
    for (word, ids) in [("new policies", added), ("gone policies", removed)] {
        if !ids.is_empty() {
            writeln!(out, "{word}: {}", ids.join(", "))?;
        }
    }
    let changes = Matrix::of(old).changes(&Matrix::of(new));
    if changes.is_empty() {
        writeln!(out, "no cell of the matrix (role, tier, relation, action) changes")?;
    } else {
        table(out, &["action", "relation", "role", "tiers", "before", "after"], &rows(&changes))?;
        let wider = changes.iter().filter(|one| one.is_widening()).count();
        writeln!(
            out,
            "{} cells change: {wider} newly allowed, {} newly denied",
            changes.len(),
            changes.len() - wider
        )?;
    }
    for line in crate::proof::lines(old, new).await {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// One line for the tiers that change alike.
fn rows(changes: &[CellChange]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for one in changes {
        let action =
            if one.kind.is_empty() { one.action.clone() } else { format!("{} on {}", one.action, one.kind) };
        let tier = one.tier.map_or("none", |tier| tier.as_str());
        let row = [&action, one.relation, one.role.as_str(), tier, one.before, one.after].map(str::to_owned);
        match rows.last_mut() {
            Some(last) if (0..6).all(|at| at == 3 || last[at] == row[at]) => {
                last[3] += ",";
                last[3] += tier;
            }
            _ => rows.push(row.into()),
        }
    }
    rows
}

async fn replay(
    services: &Services,
    old: &Bundle,
    new: &Bundle,
    count: u32,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let replayed = again(services, old, new, count).await?;
    writeln!(out, "{replayed}")?;
    if !replayed.changed.is_empty() {
        let rows: Vec<Vec<String>> = replayed
            .changed
            .iter()
            .map(|one| {
                let after = if one.allowed_after { "allowed" } else { "denied" };
                vec![one.action.clone(), after.to_owned(), one.requests.to_string(), one.people.to_string()]
            })
            .collect();
        table(out, &["action", "would be", "requests", "people"], &rows)?;
    }
    Ok(())
}

fn in_force(active: &Activation, out: &mut impl Write) -> Result<(), Failure> {
    Ok(writeln!(
        out,
        "in force: {} ({} policies), number {} of the history; running nodes follow within a second",
        active.version, active.policies, active.serial
    )?)
}

fn show(
    services: &Services,
    history: &[Activation],
    json: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if json {
        for one in history {
            let line = serde_json::to_string(one).map_err(|error| Failure::Runtime(error.to_string()))?;
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let row = |one: &Activation| {
        let what = if one.digest.is_some() { "a folder" } else { "the configuration" };
        vec![
            one.serial.to_string(),
            one.at.to_rfc3339(),
            one.act.clone(),
            one.version.clone(),
            one.policies.to_string(),
            what.to_owned(),
            one.by.clone(),
            one.comment.clone(),
        ]
    };
    if history.is_empty() {
        writeln!(
            out,
            "nothing was ever activated; {} of the configuration is in force",
            services.access.version()
        )?;
        return Ok(());
    }
    let rows: Vec<_> = history.iter().map(row).collect();
    table(out, &["number", "when", "act", "version", "policies", "of", "by", "comment"], &rows)?;
    Ok(())
}
