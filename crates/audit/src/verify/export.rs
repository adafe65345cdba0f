//! Verifying an export (`docs/audit-export.md`): from its lines alone, with nothing but the log's key.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use base::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::log::{Checkpoint, Hash, leaf_hash, verify_inclusion};
use serde::Deserialize;
use serde_json::Value;

use super::{Trust, signature};
use crate::leaf::{Leaf, SALT};
use crate::{Detail, EXPORT_FORMAT, Kind};

/// A line is one event: leaf, bodies and the event in OCSF have less than 64 KiB each.
const MAX_LINE: u64 = 1024 * 1024;
/// Faults that are listed at most.
const MAX_FAULTS: usize = 1_000;
/// Indexes that are remembered together.
const CHUNK: u64 = 65_536;

/// One thing that is wrong with an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFault {
    /// The line, counted from 1.
    pub line: u64,
    /// The event's index, where one is told.
    pub index: Option<u64>,
    /// In one word: `altered`, `edited`, `foreign`, `malformed`, `repeated`, `truncated`.
    pub word: &'static str,
    /// In a sentence.
    pub text: String,
}

/// What was found about an export.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// The head that everything is proven against.
    pub head: Option<Checkpoint>,
    /// Whose signatures on it are right.
    pub signed_by: Vec<String>,
    /// Events read.
    pub events: u64,
    /// Bodies that the export does not show, because they could not be opened.
    pub closed: u64,
    /// Where the file that was asked about is on record, in the order of the log; the first thousand of the export.
    pub attested: Vec<Attested>,
    /// What is wrong.
    pub faults: Vec<ExportFault>,
    /// How many further faults there are.
    pub more: u64,
}

/// A proven event that puts a file's digest on record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attested {
    /// The event's place in the log.
    pub index: u64,
    /// When, as the log says; nothing else is proven of it.
    pub at: Timestamp,
    /// How the person called the file, harmless on a terminal.
    pub name: Option<String>,
}

/// As many places of one file are remembered.
const MAX_ATTESTED: usize = 1_000;

#[derive(Deserialize)]
struct Head {
    format: String,
    tree_size: u64,
    checkpoint: String,
}

#[derive(Deserialize)]
struct Line {
    index: u64,
    leaf: String,
    proof: Vec<String>,
    bodies: Vec<Option<Body>>,
    event: Value,
}

#[derive(Deserialize)]
struct Body {
    salt: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    #[serde(rename = "end")]
    _end: bool,
    events: u64,
}

/// Verifies an export line by line: that it is whole, that its checkpoint is signed, that every leaf is in that tree,
/// that every body is the one its leaf commits to, and that what is said in OCSF is what the leaf says.
///
/// # Errors
/// If it cannot be read; what is wrong with it are faults.
pub fn export(input: impl BufRead, trust: &Trust) -> io::Result<Exported> {
    check(input, trust, None)
}

/// As [`export`], and looks for events that put the file with this SHA-256 digest on record.
///
/// # Errors
/// As [`export`].
pub fn export_attesting(input: impl BufRead, trust: &Trust, file: [u8; 32]) -> io::Result<Exported> {
    check(input, trust, Some(file.iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn check(input: impl BufRead, trust: &Trust, file: Option<String>) -> io::Result<Exported> {
    let mut check = Check { found: Exported::default(), file, line: 0, seen: HashMap::new(), ended: false };
    let mut input = input;
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        check.line += 1;
        if line.last() != Some(&b'\n') {
            // Too long, or the file ends within a line: nothing behind it can be found again.
            check.fault(None, "truncated", "the line is cut");
            break;
        }
        check.take(&line, trust);
    }
    if !check.ended {
        check.fault(None, "truncated", "the last line is missing: the export is not whole");
    }
    Ok(check.found)
}

struct Check {
    found: Exported,
    /// In hexadecimal.
    file: Option<String>,
    line: u64,
    /// Indexes that were seen, as bits.
    seen: HashMap<u64, Box<[u64; 1024]>>,
    ended: bool,
}

impl Check {
    fn fault(&mut self, index: Option<u64>, word: &'static str, text: impl Into<String>) {
        // It may quote the file, which must not speak on a terminal in our name.
        let text = Detail::from(text.into()).as_str().to_owned();
        if self.found.faults.len() == MAX_FAULTS {
            self.found.more += 1;
        } else {
            self.found.faults.push(ExportFault { line: self.line, index, word, text });
        }
    }

    fn take(&mut self, line: &[u8], trust: &Trust) {
        if self.line == 1 {
            return self.head(line, trust);
        }
        if self.ended {
            return self.fault(None, "malformed", "there is something behind the last line");
        }
        if let Ok(End { events, .. }) = serde_json::from_slice::<End>(line) {
            self.ended = true;
            if events != self.found.events {
                let text = format!("it ends after {events} events, but has {}", self.found.events);
                self.fault(None, "truncated", text);
            }
            return;
        }
        match serde_json::from_slice::<Line>(line) {
            Err(error) => self.fault(None, "malformed", format!("it is no event: {error}")),
            Ok(line) => {
                self.found.events += 1;
                let index = line.index;
                if let Err((word, text)) = self.event(&line) {
                    self.fault(Some(index), word, text);
                }
            }
        }
    }

    fn head(&mut self, line: &[u8], trust: &Trust) {
        let head = match serde_json::from_slice::<Head>(line) {
            Ok(head) if head.format == EXPORT_FORMAT => head,
            Ok(head) => return self.fault(None, "malformed", format!("its form is {:?}", head.format)),
            Err(error) => {
                return self.fault(None, "malformed", format!("it does not begin as an export: {error}"));
            }
        };
        let checked = signature::check(&head.checkpoint, trust);
        self.found.signed_by = checked.signed_by;
        if let Some(finding) = checked.finding {
            self.fault(None, finding.word(), finding.to_string());
        }
        if checked.head.as_ref().is_some_and(|signed| signed.size != head.tree_size) {
            self.fault(None, "altered", "its tree size is not the checkpoint's");
        }
        self.found.head = checked.head;
    }

    fn event(&mut self, line: &Line) -> Result<(), (&'static str, String)> {
        let malformed = |what: &str| ("malformed", format!("its {what} cannot be read"));
        let leaf_bytes = STANDARD.decode(&line.leaf).map_err(|_| malformed("leaf"))?;
        let hashes: Option<Vec<Hash>> = line.proof.iter().map(|text| hash(text)).collect();
        let hashes = hashes.ok_or_else(|| malformed("proof"))?;
        let Some(head) = &self.found.head else { return Ok(()) };
        if !verify_inclusion(&leaf_hash(&leaf_bytes), line.index, head.size, &hashes, &head.root) {
            return Err(("altered", "its leaf is not in the tree at this index".into()));
        }
        if !self.first_time(line.index) {
            return Err(("repeated", "the event stands in the export twice".into()));
        }
        // A newer version's leaf is proven all the same; what it says is not known here.
        let Ok(leaf) = Leaf::decode(&leaf_bytes) else { return Ok(()) };
        if line.bodies.len() != leaf.bodies.len() {
            return Err(("altered", "it has another number of bodies than its leaf".into()));
        }
        for (number, (body, commitment)) in line.bodies.iter().zip(&leaf.bodies).enumerate() {
            let Some(body) = body else {
                self.found.closed += 1;
                continue;
            };
            let mut plain = STANDARD
                .decode(&body.salt)
                .ok()
                .filter(|salt| salt.len() == SALT)
                .ok_or_else(|| malformed("salt"))?;
            plain.extend_from_slice(body.text.as_bytes());
            if !commitment.is_of_body(&plain) {
                return Err(("altered", format!("body {number} is not the one that its leaf commits to")));
            }
        }
        if let Some(field) = unequal(&line.event, line.index, &leaf) {
            return Err(("altered", format!("{field} of its OCSF form is not what its leaf says")));
        }
        self.attested(line, &leaf);
        Ok(())
    }

    /// Notes a proven event that has the file's digest. What counts is the body: the leaf commits to it.
    fn attested(&mut self, line: &Line, leaf: &Leaf) {
        #[derive(Deserialize)]
        struct Text {
            details: Details,
        }
        #[derive(Deserialize)]
        struct Details {
            sha256: String,
            name: Option<String>,
        }
        let Some(file) = self.file.as_ref().filter(|_| leaf.kind == Kind::WorkAttested.name()) else {
            return;
        };
        let Some(Some(body)) = line.bodies.first() else { return };
        let Ok(Text { details }) = serde_json::from_str(&body.text) else { return };
        if details.sha256 == *file && self.found.attested.len() < MAX_ATTESTED {
            self.found.attested.push(Attested {
                index: line.index,
                at: leaf.at,
                name: details.name.map(|name| Detail::from(name).as_str().to_owned()),
            });
            self.found.attested.sort_unstable();
        }
    }

    fn first_time(&mut self, index: u64) -> bool {
        let bits = self.seen.entry(index / CHUNK).or_insert_with(|| Box::new([0; 1024]));
        let at = usize::try_from(index % CHUNK / 64).unwrap_or(0);
        let bit = 1 << (index % 64);
        let first = bits[at] & bit == 0;
        bits[at] |= bit;
        first
    }
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The field of the event in OCSF that differs from what the leaf says.
fn unequal(event: &Value, index: u64, leaf: &Leaf) -> Option<&'static str> {
    let metadata = &event["metadata"];
    let fields = [
        ("metadata.uid", metadata["uid"] == leaf.id.to_string()),
        ("metadata.sequence", metadata["sequence"] == index),
        ("metadata.event_code", metadata["event_code"] == leaf.kind),
        ("class_uid", event["class_uid"] == leaf.class),
        ("time", event["time"] == leaf.at.as_millis()),
        ("severity_id", event["severity_id"] == leaf.severity),
        // A finding has another status than its outcome.
        ("status", event["status"] == leaf.outcome || leaf.class == 2004),
    ];
    fields.into_iter().find(|(_, equal)| !equal).map(|(name, _)| name)
}
