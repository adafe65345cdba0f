//! How the log is: its tree, what is wrong with it, and the button that verifies all of it.

use std::time::Duration;

use askama::Template;
use audit::{EvidenceSource, Filter, Kind, Progress};
use axum::extract::State;
use axum::response::Response;
use base::Timestamp;
use http::StatusCode;

use crate::Console;
use crate::events::searcher;
use crate::form::Submitted;
use crate::page::{Failure, Frame, go, render};
use crate::view::{EventRow, Verdict, filters};
use crate::visit::Visit;

/// How long the button waits for the verdict; the page looks again for what takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
const SHOWN: usize = 15;

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    figures: Vec<Figure>,
    problems: Vec<String>,
    checkpoint: String,
    /// Since when a verification runs.
    running: String,
    failed: bool,
    verdict: Option<Verdict>,
    sinks: Vec<SinkRow>,
    seals: Vec<Seal>,
    asked: Vec<AskedRow>,
    events: Vec<EventRow>,
}

/// A sink, as its row shows it.
struct SinkRow {
    name: String,
    kind: &'static str,
    lag: u64,
    sent: u64,
    last: String,
    tone: &'static str,
    state: String,
}

/// What somebody else has said about the log.
struct Seal {
    who: &'static str,
    size: u64,
    at: String,
}

/// Somebody who is asked about the log.
struct AskedRow {
    who: String,
    tone: &'static str,
    state: String,
}

struct Figure {
    value: String,
    label: &'static str,
}

/// GET /console/log
pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let filter = Filter { kinds: of_itself(), ..Filter::default() };
    let found = console.audit.search(&searcher(&visit), &filter, None, SHOWN).await?;
    let health = console.audit.health();
    let head = console.audit.tree().borrow().clone();
    let (mut running, mut failed, mut verdict) = (String::new(), false, None);
    match console.audit.verification() {
        Progress::None => {}
        Progress::Running(since) => running = since.to_rfc3339(),
        Progress::Done(report) => verdict = Some(Verdict::of(&report)),
        Progress::Failed(_) => failed = true,
    }
    let figure = |value: String, label| Figure { value, label };
    let page = LogPage {
        frame: visit.frame(&console, "log"),
        figures: vec![
            figure(head.size.to_string(), "events in the tree"),
            figure(age(head.at, console.clock.now(), head.size), "since the newest checkpoint"),
            figure(health.queued.to_string(), "events waiting to be written"),
            figure(health.dropped.to_string(), "traffic lines lost since start"),
        ],
        problems: health.failure.into_iter().chain(health.problems).collect(),
        checkpoint: head.checkpoint.to_string(),
        running,
        failed,
        verdict,
        sinks: sinks(&console).await,
        seals: seals(&console).await?,
        asked: asked(&console).await?,
        events: found.entries.iter().map(EventRow::of).collect(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /console/log/verify
pub(crate) async fn verify(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    console.audit.verify_log(&searcher(&form.visit), PATIENCE).await;
    Ok(go("/console/log"))
}

/// How the sinks are doing. A page about the log is shown even if that cannot be said.
async fn sinks(console: &Console) -> Vec<SinkRow> {
    let Some(sinks) = &console.sinks else { return Vec::new() };
    let statuses = sinks.status().await.unwrap_or_else(|error| {
        tracing::error!(%error, "the state of the sinks cannot be read");
        Vec::new()
    });
    let row = |status: sinks::SinkStatus| SinkRow {
        tone: if status.is_well() { "good" } else { "bad" },
        state: match (status.failing_since, status.last_error) {
            (Some(since), Some(error)) => format!("failing since {}: {error}", minute(since)),
            (Some(since), None) => format!("failing since {}", minute(since)),
            (None, _) => "well".to_owned(),
        },
        name: status.name,
        kind: status.kind,
        lag: status.lag,
        sent: status.sent,
        last: status.last_sent_at.map(minute).unwrap_or_default(),
    };
    statuses.into_iter().map(row).collect()
}

/// What witnesses and time stamping authorities have said last.
async fn seals(console: &Console) -> Result<Vec<Seal>, Failure> {
    let mut seals = Vec::new();
    for (source, who) in
        [(EvidenceSource::Witnesses, "Witnesses"), (EvidenceSource::TimeStamps, "Time stamp")]
    {
        if let Some(said) = console.audit.evidence(source).await? {
            seals.push(Seal { who, size: said.size, at: minute(said.at) });
        }
    }
    Ok(seals)
}

/// How everybody is who is asked about the log.
async fn asked(console: &Console) -> Result<Vec<AskedRow>, Failure> {
    let states = console.audit.evidence_states().await?;
    let row = |one: audit::EvidenceState| {
        let since = one.failing_since.map(minute).unwrap_or_default();
        let why = one.failure.unwrap_or_default();
        AskedRow {
            tone: if one.failing_since.is_some() { "bad" } else { "good" },
            state: match (one.failing_since, one.disputed) {
                (None, _) => "well".to_owned(),
                (Some(_), true) => format!("says since {since} that this is another log: {why}"),
                (Some(_), false) => format!("failing since {since}: {why}"),
            },
            who: one.who,
        }
    };
    Ok(states.into_iter().map(row).collect())
}

fn minute(at: Timestamp) -> String {
    at.to_rfc3339().replace('T', " ").chars().take(16).collect()
}

/// What the trail records about itself.
fn of_itself() -> Vec<Kind> {
    let kinds = Kind::ALL.iter().copied();
    kinds
        .filter(|kind| {
            let name = kind.name();
            name.starts_with("log.")
                || name.starts_with("evidence.")
                || matches!(
                    kind,
                    Kind::AuditGap | Kind::AuditVerified | Kind::AuditExported | Kind::SubjectErased
                )
        })
        .collect()
}

/// A time span as people say it.
fn age(from: Timestamp, now: Timestamp, size: u64) -> String {
    if size == 0 {
        return "–".to_owned();
    }
    match now.as_millis().saturating_sub(from.as_millis()).max(0) / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_one_unit() {
        let at = |s: i64| age(Timestamp::from_millis(0), Timestamp::from_millis(s * 1_000), 1);
        assert_eq!(
            [at(-5), at(3), at(300), at(7_300), at(900_000)],
            ["0 s", "3 s", "5 min", "2 h", "10 days"]
        );
        assert_eq!(age(Timestamp::from_millis(0), Timestamp::from_millis(1), 0), "–");
    }
}
