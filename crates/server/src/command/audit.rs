//! `fortissimo audit tail|search|export|verify|prove`.

mod export;
mod others;
mod prove;
mod sinks;
mod verify;

use std::io::Write;
use std::net::IpAddr;

use audit::{Cursor, Entry, Filter, Kind, Outcome, Searcher};
use base::{Actor, Clock, Id, Scope, Timestamp, kind as ids};
use clap::Subcommand;

use super::with_services;
use crate::config::Loaded;
use crate::config::value::Period;
use crate::output::Failure;
use crate::services::Services;

/// How long a command waits until what was recorded before is in the log.
pub(super) const SETTLE: std::time::Duration = std::time::Duration::from_secs(2);
/// Events per page of a search.
const PAGE: usize = 200;

/// Read the audit trail. Reading it is recorded, too.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// The latest events, oldest first
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
        lines: u32,
        /// Go on with new ones as they are written
        #[arg(short, long)]
        follow: bool,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Events that match everything that is given, newest first
    Search(Search),
    /// A part of the trail as JSON lines, each event with its proof. The export is on record
    Export(export::Export),
    /// Verify the log, one proof or an export: offline, without changing anything. Exit code 0: whole, 1: something is wrong,
    /// 2: it could not be looked at
    Verify(verify::Verify),
    /// Write the proof that an event is in the log (.tlog-proof)
    Prove(prove::Prove),
    /// How far every sink has come, and how it is doing
    Sinks {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Send one test record to a sink and say what it answers
    SinkTest {
        /// The sink's name, from the configuration
        name: String,
    },
}

/// What is looked for.
#[derive(Debug, clap::Args)]
pub(super) struct Search {
    /// About this account
    #[arg(long, value_name = "ID")]
    account: Option<Id<ids::Account>>,
    /// Of this kind, for example session.signed_in
    #[arg(long, value_parser = event_kind)]
    kind: Option<Kind>,
    /// Since this time: 2026-01-02T03:04:05Z, or how long ago: 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<When>,
    /// Before this time, likewise
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<When>,
    /// From this network address
    #[arg(long)]
    address: Option<IpAddr>,
    /// During this request
    #[arg(long, value_name = "ID")]
    request: Option<Id<ids::Request>>,
    /// Ended in success, failure or denied
    #[arg(long, value_parser = outcome)]
    outcome: Option<Outcome>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// A time on the command line.
#[derive(Debug, Clone, Copy)]
enum When {
    At(Timestamp),
    Ago(Period),
}

impl When {
    fn resolve(self, clock: &Clock) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(period) => clock.now().plus_ms(-period.as_ms_i64()),
        }
    }
}

fn time(text: &str) -> Result<When, &'static str> {
    let at = Timestamp::parse_rfc3339(text).map(When::At);
    at.or_else(|| text.parse().ok().map(When::Ago))
        .ok_or("expected a time such as 2026-01-02T03:04:05Z, or 2h for two hours ago")
}

fn outcome(text: &str) -> Result<Outcome, &'static str> {
    Outcome::from_name(text).ok_or("expected success, failure or denied")
}

fn event_kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        match crate::config::nearest(text, &names) {
            Some(near) => format!("unknown kind; did you mean {near}?"),
            None => format!("unknown kind; known are {}", names.join(", ")),
        }
    })
}

fn searcher() -> Searcher {
    let part = "command line";
    Searcher { actor: Actor::System(part), scope: Scope::System(part), request: None }
}

pub(super) fn run(command: Audit, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    let command = match command {
        Audit::Verify(command) => return verify::run(command, loaded, out),
        Audit::Prove(command) => return prove::run(command, loaded, out),
        reading => reading,
    };
    with_services(loaded, async |services| {
        if matches!(command, Audit::Export(_) | Audit::Tail { .. } | Audit::Search(_)) {
            // Without a server nobody else puts what waits into the log. What cannot be put there is not shown.
            services.audit.settled_within(SETTLE).await?;
        }
        read(&services, command, out).await
    })
}

async fn read(services: &Services, command: Audit, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Audit::Verify(_) | Audit::Prove(_) => Ok(()),
        Audit::Export(command) => export::run(services, command, out).await,
        Audit::Sinks { json } => sinks::list(services, json, out).await,
        Audit::SinkTest { name } => sinks::test(services, &name, out).await,
        Audit::Tail { lines, follow, json } => {
            // Subscribed before the search, so that nothing falls in between; the overlap is cut by id.
            let live = follow.then(|| services.audit.subscribe());
            let mut latest = Vec::new();
            let keep = |entry: Entry| {
                latest.push(entry);
                Ok(())
            };
            each(services, &Filter::default(), lines, keep).await?;
            latest.reverse();
            for entry in &latest {
                print(entry, json, out)?;
            }
            out.flush()?;
            let Some(mut live) = live else { return Ok(()) };
            let seen: std::collections::HashSet<_> = latest.iter().map(|entry| entry.id).collect();
            loop {
                let next = tokio::select! {
                    next = live.next() => next,
                    _ = tokio::signal::ctrl_c() => None,
                };
                let Some(entry) = next else { return Ok(()) };
                if !seen.contains(&entry.id) {
                    print(&entry, json, out)?;
                    out.flush()?;
                }
            }
        }
        Audit::Search(search) => {
            let clock = &services.clock;
            let filter = Filter {
                account: search.account,
                kind: search.kind,
                kinds: Vec::new(),
                from: search.from.map(|when| when.resolve(clock)),
                to: search.to.map(|when| when.resolve(clock)),
                address: search.address,
                request: search.request,
                outcome: search.outcome,
            };
            let limit = if search.all { u32::MAX } else { search.limit };
            each(services, &filter, limit, |entry| print(&entry, search.json, out)).await
        }
    }
}

/// Hands up to `limit` events to `take`, newest first, a page at a time.
async fn each(
    services: &Services,
    filter: &Filter,
    limit: u32,
    mut take: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut cursor: Option<Cursor> = None;
    while left > 0 {
        let page = services.audit.search(&searcher(), filter, cursor, PAGE.min(left)).await?;
        left = left.saturating_sub(page.entries.len());
        page.entries.into_iter().try_for_each(&mut take)?;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(())
}

/// One event on one line.
fn print(entry: &Entry, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(entry)
            .map_err(|error| Failure::Runtime(format!("an event cannot be written as JSON: {error}")))?;
        return Ok(writeln!(out, "{text}")?);
    }
    write!(out, "{}  {:<24} {:<8} {}", entry.at, entry.kind, entry.outcome, entry.actor)?;
    if let Some(account) = entry.account {
        write!(out, " about:{account}")?;
    }
    if let (Some(method), Some(route)) = (&entry.method, &entry.route) {
        write!(out, " {method} {route}")?;
    }
    if let Some(status) = entry.status {
        write!(out, " {status}")?;
    }
    if let Some(address) = entry.address {
        write!(out, " from {address}")?;
    }
    if entry.erased {
        write!(out, " (erased)")?;
    } else if entry.details.as_object().is_some_and(|details| !details.is_empty()) {
        write!(out, " {}", entry.details)?;
    }
    if let Some(request) = entry.request {
        write!(out, " request:{request}")?;
    }
    Ok(writeln!(out)?)
}
