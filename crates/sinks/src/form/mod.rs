//! How an event is written for the other side.

mod cef;
mod ecs;
mod ocsf;

use std::sync::Arc;

use audit::{Entry, TreeHead};
use base::Timestamp;
use serde_json::{Value, json};

use crate::Item;

/// The written form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// OCSF 1.8.0, JSON.
    #[default]
    Ocsf,
    /// ArcSight Common Event Format (CEF:0), text.
    Cef,
    /// Elastic Common Schema 8.17, JSON.
    Ecs,
}

/// What is written about.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    /// An event of the log.
    Event(Box<Item>),
    /// A signed checkpoint of the log, so that the other side can tell later what it should have.
    Checkpoint(TreeHead),
    /// Whether the other side takes anything at all.
    Test(Timestamp),
}

/// One record as it leaves.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The same for the same record, whenever and by whichever node it is sent.
    pub(crate) dedup: String,
    /// Its place in the log; `None` for a checkpoint or a test.
    pub(crate) index: Option<u64>,
    pub(crate) at: Timestamp,
    /// The stable dotted name, such as `session.signed_in`.
    pub(crate) kind: String,
    /// OCSF severity: 1 informational to 6 fatal.
    pub(crate) severity: u8,
    /// The event in its form: one line; JSON unless the form is CEF.
    pub(crate) text: String,
}

/// What OCSF calls a dedicated place for the log's own fields, in every form.
pub(crate) struct Place<'a> {
    pub(crate) dedup: &'a str,
    pub(crate) index: Option<u64>,
}

/// Writes records.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// Names the deployment: 32 hexadecimal digits.
    pub(crate) deployment: Arc<str>,
    /// The program's version.
    pub(crate) version: Arc<str>,
    pub(crate) form: Form,
}

impl Writer {
    /// Whether the records are JSON objects.
    pub(crate) const fn is_json(&self) -> bool {
        !matches!(self.form, Form::Cef)
    }

    pub(crate) fn write(&self, note: &Note) -> Record {
        let (entry, dedup, index) = match note {
            Note::Event(item) => {
                (item.entry.clone(), format!("{}:{}", self.deployment, item.index), Some(item.index))
            }
            Note::Checkpoint(head) => {
                let details = json!({ "size": head.size, "checkpoint": &*head.checkpoint });
                let dedup = format!("{}:checkpoint:{}", self.deployment, head.size);
                (synthetic("log.checkpoint", head.at, details), dedup, None)
            }
            Note::Test(at) => {
                let details = json!({ "note": "A test of the connection; nothing happened." });
                let dedup = format!("{}:test:{}", self.deployment, at.as_millis());
                (synthetic("sink.test", *at, details), dedup, None)
            }
        };
        let place = Place { dedup: &dedup, index };
        let text = match self.form {
            Form::Ocsf => ocsf::write(&entry, &place, &self.version).to_string(),
            Form::Ecs => ecs::write(&entry, &place, &self.version).to_string(),
            Form::Cef => cef::write(&entry, &place, &self.version),
        };
        Record { index, at: entry.at, severity: entry.severity, kind: entry.kind, text, dedup }
    }
}

/// A record that is not an event of the log.
fn synthetic(kind: &str, at: Timestamp, details: Value) -> Entry {
    Entry {
        id: base::Id::from_bytes([0; 16]),
        index: None,
        at,
        kind: kind.to_owned(),
        severity: 1,
        outcome: "success".to_owned(),
        account: None,
        actor: "system:sinks".to_owned(),
        request: None,
        method: None,
        route: None,
        status: None,
        address: None,
        agent: None,
        path: None,
        tier: None,
        place: None,
        threat: None,
        details,
        erased: false,
        damaged: false,
    }
}

/// Whether the entry is an event of the log, with an id of its own.
fn is_real(place: &Place<'_>) -> bool {
    place.index.is_some()
}

#[cfg(test)]
pub(crate) mod tests;
