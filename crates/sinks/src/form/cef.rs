//! ArcSight Common Event Format, version 0: one line of `CEF:0|vendor|product|version|id|name|severity|extension`.
//! In the header, `|` and `\` are escaped; in the extension, `=`, `\` and line breaks.

use std::fmt::Write as _;

use audit::Entry;

use super::{Place, is_real};

pub(super) fn write(entry: &Entry, place: &Place<'_>, version: &str) -> String {
    let mut line = format!(
        "CEF:0|Fortissimo|Fortissimo|{}|{}|{}|{}|",
        header(version),
        header(&entry.kind),
        header(&sentence(entry)),
        severity(entry.severity)
    );
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            let space = if line.ends_with('|') { "" } else { " " };
            let _ = write!(line, "{space}{key}={}", extension(value));
        }
    };
    add("rt", &entry.at.as_millis().to_string());
    add("cs1Label", "dedup");
    add("cs1", place.dedup);
    if let Some(index) = place.index {
        add("cn1Label", "logIndex");
        add("cn1", &index.to_string());
    }
    if is_real(place) {
        add("externalId", &entry.id.to_string());
    }
    add("act", &entry.kind);
    add("outcome", &entry.outcome);
    match entry.actor.split_once(':') {
        Some(("account", id)) => add("suid", id),
        Some(("system", part)) => add("sproc", part),
        _ => {}
    }
    if let Some(about) = entry.account {
        add("duid", &about.to_string());
    }
    if let Some(address) = entry.address {
        add(if address.is_ipv4() { "src" } else { "c6a2" }, &address.to_string());
        if address.is_ipv6() {
            add("c6a2Label", "Source IPv6 Address");
        }
    }
    add("requestMethod", entry.method.as_deref().unwrap_or_default());
    add("request", entry.path.as_deref().unwrap_or_default());
    add("requestClientApplication", entry.agent.as_deref().unwrap_or_default());
    if let Some(request) = entry.request {
        add("cs2Label", "requestId");
        add("cs2", &request.to_string());
    }
    if let Some(status) = entry.status {
        add("cn2Label", "status");
        add("cn2", &status.to_string());
    }
    if entry.details.as_object().is_some_and(|details| !details.is_empty()) {
        add("cs3Label", "details");
        add("cs3", &entry.details.to_string());
    }
    line
}

/// A few words for a person: the kind without its dots.
pub(super) fn sentence(entry: &Entry) -> String {
    let words = entry.kind.replace(['.', '_'], " ");
    if entry.outcome == "success" { words } else { format!("{words} ({})", entry.outcome) }
}

/// CEF counts from 0 to 10.
const fn severity(ocsf: u8) -> u8 {
    match ocsf {
        0 | 1 => 1,
        2 => 3,
        3 => 5,
        4 => 7,
        5 => 9,
        _ => 10,
    }
}

fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn extension(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('=', "\\=")
        .replace("\r\n", "\\n")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}
