//! What others have said about a log, beside its files: the cosigned checkpoint, and time stamps.

use std::fs;
use std::io::Write;
use std::path::Path;

use audit::verify::{Finding, Tree, Trust, anchored};
use crypto::log::{Checkpoint, Note};
use crypto::timestamp::verify_stamp;
use rustls_pki_types::CertificateDer;
use serde_json::json;

use super::verify::{Report, beside, bytes_beside};
use crate::evidence::certificates;
use crate::output::Failure;

/// Time stamps that are looked at: the newest ones.
const STAMPS: usize = 100;
/// Names in their folder that are looked at.
const LISTED: usize = 200_000;

/// Everything found beside the files. A log without any of it is no worse; it can only claim less.
#[derive(Default)]
pub(super) struct Others {
    cosigned: Option<String>,
    /// Checkpoint and token, the newest first.
    stamps: Vec<(String, Vec<u8>)>,
    /// Whose time stamps count; without them, none is judged.
    roots: Vec<CertificateDer<'static>>,
}

impl Others {
    /// Reads what lies in a log's folder.
    ///
    /// # Errors
    /// If a file is there and cannot be read.
    pub(super) fn read(folder: &Path, ca: Option<&Path>) -> Result<Self, Failure> {
        let cosigned = beside(&folder.join("cosigned"))?;
        let roots = ca.map(certificates).transpose().map_err(Failure::Usage)?.unwrap_or_default();
        let mut stamps = Vec::new();
        if !roots.is_empty() {
            let files = fs::read_dir(folder.join("timestamps")).into_iter().flatten().flatten().take(LISTED);
            let size = |name: &str| name.strip_suffix(".token")?.parse::<u64>().ok();
            let mut sizes: Vec<u64> = files.filter_map(|file| size(file.file_name().to_str()?)).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            for size in sizes.into_iter().take(STAMPS) {
                let path = |kind: &str| folder.join("timestamps").join(format!("{size}.{kind}"));
                // One without the other is judged as what it is: nothing that was stamped.
                let note = beside(&path("checkpoint"))?.unwrap_or_default();
                stamps.push((note, bytes_beside(&path("token"))?.unwrap_or_default()));
            }
        }
        Ok(Self { cosigned, stamps, roots })
    }

    /// The sizes of trees whose roots are needed for [`Others::report`].
    pub(super) fn sizes(&self) -> Vec<u64> {
        let notes = self.stamps.iter().map(|(note, _)| note).chain(&self.cosigned);
        notes.filter_map(|note| Checkpoint::read_unverified(note).ok()).map(|head| head.size).collect()
    }

    /// Says what each of it is worth: whether it is of this log, and whose word it is.
    pub(super) fn report(
        &self,
        tree: &Tree,
        trust: &Trust,
        report: &mut Report,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        if let Some(note) = &self.cosigned {
            report.findings("witnesses", &anchored(tree, Some(note), trust), out)?;
            let names: Vec<&str> = trust
                .witnesses
                .iter()
                .filter(|key| {
                    Note::parse(note).is_ok_and(|note| note.verify(std::slice::from_ref(key)).is_ok())
                })
                .map(|key| key.name())
                .collect();
            let size = Checkpoint::read_unverified(note).map_or(0, |head| head.size);
            let line = if names.is_empty() {
                format!(
                    "witnesses: the first {size} entries are cosigned by nobody whose key is known here (--witness)"
                )
            } else {
                format!("witnesses: the first {size} entries are cosigned by {}", names.join(", "))
            };
            say(report, &line, &json!({ "cosigned": size, "witnesses": names }), out)?;
        }
        for (at, (note, token)) in self.stamps.iter().enumerate() {
            let mut findings = anchored(tree, Some(note), trust);
            let size = Checkpoint::read_unverified(note).map_or(0, |head| head.size);
            match verify_stamp(token, note.as_bytes(), &self.roots) {
                Err(error) => {
                    findings.add(Finding::AnchorInvalid { why: format!("its time stamp: {error}") })
                }
                Ok(stamp) if at == 0 => {
                    let line = format!("time stamps: the first {size} entries existed at {}", stamp.at);
                    say(report, &line, &json!({ "stamped": size, "at": stamp.at.to_rfc3339() }), out)?;
                }
                Ok(_) => {}
            }
            report.findings("time stamps", &findings, out)?;
        }
        Ok(())
    }
}

fn say(report: &Report, line: &str, json: &serde_json::Value, out: &mut impl Write) -> Result<(), Failure> {
    if report.json {
        writeln!(out, "{json}")?
    } else {
        writeln!(out, "{line}")?
    }
    Ok(())
}
