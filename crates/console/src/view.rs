//! How things are shown: rows of events and accounts, and the filters of the templates.

use audit::{Entry, FaultPlace, Report};
use identity::{AccountLine, AccountStatus, AccountView};
use serde::Serialize;

/// A row of the event table, and the JSON of the live stream.
#[derive(Serialize)]
pub(crate) struct EventRow {
    pub(crate) id: String,
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) outcome: String,
    pub(crate) tone: &'static str,
    pub(crate) account: String,
    pub(crate) actor: String,
    pub(crate) what: String,
    pub(crate) status: String,
    pub(crate) address: String,
    pub(crate) request: String,
}

impl EventRow {
    pub(crate) fn of(entry: &Entry) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        // What the program did to the trail, the alerts and the like says more than the path that asked for it.
        let own = ["audit.", "log.", "alert.", "sink."].iter().any(|part| entry.kind.starts_with(part));
        let what = match (&entry.path, &entry.route) {
            _ if own => details(&entry.details),
            // What was found says more than where it was asked.
            _ if entry.kind.starts_with("risk.") => details(&entry.details),
            (Some(path), _) => format!("{} {path}", text(&entry.method)),
            (None, Some(route)) => format!("{} {route}", text(&entry.method)),
            (None, None) => details(&entry.details),
        };
        Self {
            id: entry.id.to_string(),
            at: entry.at.to_rfc3339(),
            kind: entry.kind.clone(),
            outcome: entry.outcome.clone(),
            tone: tone_of(&entry.outcome),
            account: entry.account.map(|id| id.to_string()).unwrap_or_default(),
            actor: entry.actor.clone(),
            what: match entry {
                Entry { erased: true, .. } => "(erased)".to_owned(),
                Entry { damaged: true, .. } => "(altered: cannot be read)".to_owned(),
                _ => what.trim().to_owned(),
            },
            status: entry.status.map(|status| status.to_string()).unwrap_or_default(),
            address: entry.address.map(|address| address.to_string()).unwrap_or_default(),
            request: entry.request.map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}

/// The colour of an outcome.
pub(crate) fn tone_of(outcome: &str) -> &'static str {
    match outcome {
        "success" => "good",
        "denied" => "bad",
        _ => "warn",
    }
}

/// What a verification came to, in words.
pub(crate) struct Verdict {
    pub(crate) right: bool,
    pub(crate) verdict: String,
    pub(crate) sentence: String,
    pub(crate) faults: Vec<String>,
    pub(crate) tree_size: u64,
    pub(crate) index: String,
    pub(crate) checkpoint: String,
    pub(crate) signed_by: String,
    pub(crate) compared: String,
}

impl Verdict {
    pub(crate) fn of(report: &Report) -> Self {
        let sentence = match (report.right, report.what) {
            (true, "proof") => {
                "the leaf leads to the signed checkpoint, and today's log continues it.".to_owned()
            }
            (true, _) => format!(
                "all {} entries and {} sealed bodies are what was signed. Verified at {} UTC in {} ms.",
                report.leaves,
                report.bodies,
                report.at.to_rfc3339().replace('T', " ").chars().take(19).collect::<String>(),
                report.took_ms
            ),
            (false, _) => {
                let all = report.faults.len() as u64 + report.more;
                let faults = if all == 1 { "one fault".to_owned() } else { format!("{all} faults") };
                match report.index {
                    Some(index) => format!("{faults}, the first at entry {index}."),
                    None => format!("{faults}."),
                }
            }
        };
        let place = |place: FaultPlace| match place {
            FaultPlace::Database => "Database",
            FaultPlace::Files => "Files",
            FaultPlace::Anchor => "Second place",
            FaultPlace::Proof => "Proof",
        };
        let mut faults: Vec<String> = report
            .faults
            .iter()
            .take(50)
            .map(|fault| format!("{}: {}", place(fault.place), fault.text))
            .collect();
        let more = report.more + report.faults.len().saturating_sub(50) as u64;
        if more > 0 {
            faults.push(format!("… and {more} more"));
        }
        let erased: u64 = report.erased.iter().map(|erased| erased.bodies).sum();
        let compared = match report.what {
            "proof" => String::new(),
            _ => format!(
                "{} Erased with authority: {erased} bodies.",
                match (report.files, report.anchor) {
                    (true, true) => "Database, files and the checkpoint in the second place were compared.",
                    (true, false) => "Database and files were compared; there is no second place.",
                    (false, true) =>
                        "Database and the checkpoint in the second place were compared; there are no files.",
                    (false, false) => "The database was verified; there are no files and no second place.",
                }
            ),
        };
        Self {
            right: report.right,
            verdict: report.verdict.clone(),
            sentence,
            faults,
            tree_size: report.tree_size,
            index: report.index.map(|index| index.to_string()).unwrap_or_default(),
            checkpoint: report.checkpoint.clone(),
            signed_by: report.signed_by.join(", "),
            compared,
        }
    }
}

/// The kind's own fields on one short line.
fn details(value: &serde_json::Value) -> String {
    let Some(fields) = value.as_object() else { return String::new() };
    let words: Vec<String> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    words.join(" ").chars().take(160).collect()
}

/// An account in a list or on its page; holds nothing sealed.
pub(crate) struct AccountRow {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) status: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) role: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) created_at: String,
}

impl From<&AccountLine> for AccountRow {
    fn from(line: &AccountLine) -> Self {
        Self {
            id: line.id.to_string(),
            username: line.username.to_string(),
            status: line.status.as_str(),
            tone: tone(line.status),
            role: line.role.as_str(),
            tier: line.tier.as_str(),
            created_at: line.created_at.to_rfc3339(),
        }
    }
}

impl From<&AccountView> for AccountRow {
    fn from(view: &AccountView) -> Self {
        Self {
            id: view.id.to_string(),
            username: view.username.to_string(),
            status: view.status.as_str(),
            tone: tone(view.status),
            role: view.role.as_str(),
            tier: view.tier.as_str(),
            created_at: view.created_at.to_rfc3339(),
        }
    }
}

const fn tone(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "good",
        AccountStatus::Pending => "warn",
        AccountStatus::Disabled => "bad",
    }
}

/// A user agent in words that its owner recognises ("Firefox · Linux"); an unknown one is cut short. What a browser
/// says of itself is a hint for people, never a fact to decide by.
pub(crate) fn device(agent: &str) -> String {
    // The order matters: most browsers also claim to be the ones further down.
    const PROGRAMS: &[(&str, &str)] = &[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
        ("python", "Python"),
    ];
    const SYSTEMS: &[(&str, &str)] = &[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let known = |table: &[(&str, &'static str)]| {
        table.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (known(PROGRAMS), known(SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} · {system}"),
        (Some(program), None) => program.to_owned(),
        _ => agent.chars().take(60).collect(),
    }
}

/// Filters that the templates use on RFC 3339 times and ids.
#[expect(unreachable_pub, reason = "the attribute makes a public type beside each function")]
pub(crate) mod filters {
    use std::fmt::Display;

    fn cut(text: impl Display, end: usize) -> String {
        text.to_string().replace('T', " ").chars().take(end).collect()
    }

    /// The date.
    #[askama::filter_fn]
    pub(crate) fn day(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(cut(text, 10))
    }

    /// Date and time to the minute.
    #[askama::filter_fn]
    pub(crate) fn minute(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(cut(text, 16))
    }

    /// Date and time to the second.
    #[askama::filter_fn]
    pub(crate) fn second(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(cut(text, 19))
    }

    /// The last group of an id: enough to tell two apart by eye.
    #[askama::filter_fn]
    pub(crate) fn tail(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        let text = text.to_string();
        Ok(text.rsplit('-').next().unwrap_or("").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn devices_are_named_as_people_know_them() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome · Linux");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19.0 Safari/604.1";
        assert_eq!(device(phone), "Safari · iPhone");
        assert_eq!(device("curl/8.5.0"), "curl");
        assert_eq!(device(&"x".repeat(500)).len(), 60);
    }
}
