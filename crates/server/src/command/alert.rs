//! `fortissimo alert list|acknowledge|close`.

use std::io::Write;

use base::{Actor, Id, kind};
use clap::Subcommand;
use sinks::AlertState;
use sinks::alert::severity_name;

use super::with_services;
use crate::config::Loaded;
use crate::output::{Failure, table};

/// Alerts of one page.
const PAGE: usize = 500;

/// See alerts, and say that you look into them.
#[derive(Debug, Subcommand)]
pub(super) enum Alert {
    /// List alerts, newest first
    List {
        /// Only those in this state: open, acknowledged or closed
        #[arg(long, value_parser = state)]
        state: Option<AlertState>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// One JSON object per line, with runbook and deliveries
        #[arg(long)]
        json: bool,
    },
    /// Say that somebody looks into it; further events are still counted on it
    Acknowledge {
        /// Its id, from `alert list`
        id: Id<kind::Alert>,
    },
    /// Say that it is over; further events open another alert
    Close {
        /// Its id, from `alert list`
        id: Id<kind::Alert>,
    },
}

fn state(text: &str) -> Result<AlertState, &'static str> {
    AlertState::from_name(text).ok_or("expected open, acknowledged or closed")
}

pub(super) fn run(command: Alert, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    with_services(loaded, async |services| {
        let alerts = crate::sink_setup::alerts_for_command(&services)?;
        let by = Actor::System("command line");
        match command {
            Alert::List { state, limit, json } => {
                let found = alerts.list(state, None, usize::from(limit).min(PAGE)).await?;
                if json {
                    for alert in &found {
                        let text = serde_json::to_string(alert).map_err(|error| {
                            Failure::Runtime(format!("an alert cannot be written as JSON: {error}"))
                        })?;
                        writeln!(out, "{text}")?;
                    }
                    return Ok(());
                }
                let row = |alert: &sinks::Alert| {
                    vec![
                        alert.id.to_string(),
                        alert.opened_at.to_rfc3339(),
                        alert.state.name().to_owned(),
                        severity_name(alert.severity).to_owned(),
                        alert.rule.clone(),
                        alert.count.to_string(),
                        alert.group.clone(),
                    ]
                };
                let rows: Vec<_> = found.iter().map(row).collect();
                table(out, &["id", "raised", "state", "severity", "rule", "events", "about"], &rows)?;
                Ok(())
            }
            Alert::Acknowledge { id } => {
                report(alerts.handle(id, AlertState::Acknowledged, by).await?, "acknowledged", out)
            }
            Alert::Close { id } => report(alerts.handle(id, AlertState::Closed, by).await?, "closed", out),
        }
    })
}

fn report(done: bool, what: &str, out: &mut impl Write) -> Result<(), Failure> {
    if !done {
        return Err(Failure::Runtime(format!(
            "there is no such alert that could be {what}; see `fortissimo alert list`"
        )));
    }
    Ok(writeln!(out, "{what}")?)
}
