//! `fortissimo audit verify`: the log of the data folder, a log's files alone, or one proof. Nothing is changed and
//! no server is needed; one that runs is not disturbed.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use audit::Leaf;
use audit::verify::{
    Database, Findings, Folder, Rows, Source, Tree, Trust, VerifyError, anchored, rows, tree,
};
use base::{Clock, Entropy};
use crypto::log::{Checkpoint, NoteError, ProofFile, VerifierKey};
use keys::Keys;
use serde_json::{Value, json};
use store::Db;

use super::others::Others;
use crate::config::{Loaded, Resolved};
use crate::output::Failure;
use crate::services;

/// What is verified, and whom to trust.
#[derive(Debug, clap::Args)]
pub(in crate::command) struct Verify {
    /// A proof (.tlog-proof) or an export (.jsonl); without it, a whole log
    proof: Option<PathBuf>,
    /// The files of a log (checkpoint and tile/), alone; without it, files, second place and database of this
    /// installation
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// A key of the log as a vkey; may be given several times. Without it, the keys of this installation
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<VerifierKey>,
    /// A witness's key as a vkey; its signature is reported
    #[arg(long = "witness", value_name = "VKEY")]
    witnesses: Vec<VerifierKey>,
    /// The log's name; without it, the one in its key
    #[arg(long)]
    origin: Option<String>,
    /// A checkpoint that was kept in a second place
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// PEM file of the authority whose time stamps count; without it, the one of the settings
    #[arg(long, value_name = "FILE")]
    timestamp_ca: Option<PathBuf>,
    /// With a proof: the event's leaf, if the proof does not bring it
    #[arg(long, value_name = "FILE", requires = "proof")]
    leaf: Option<PathBuf>,
    /// With an export: a file whose digest its events may have put on record, to prove since when it exists
    #[arg(long, value_name = "FILE", requires = "proof")]
    file: Option<PathBuf>,
    /// One JSON object per finding, and one for the result
    #[arg(long)]
    json: bool,
}

/// Longer files are no proofs and no leaves.
const MAX_BYTES: u64 = 1024 * 1024;

pub(super) fn run(command: Verify, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    crate::logs::start(&crate::config::Log { level: "warn".to_owned(), ..loaded.config.log.clone() });
    crate::command::runtime(1)?.block_on(async {
        let mut report = Report { json: command.json, found: 0 };
        if let Some(path) =
            command.proof.as_ref().filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        {
            let trust = command.trust(&loaded.resolved).await?;
            report.found = super::export::check(path, command.file.as_deref(), &trust, command.json, out)?;
        } else if command.file.is_some() {
            let text = "--file goes with an export (.jsonl); a .tlog-proof does not bring the digest";
            return Err(Failure::Usage(text.into()));
        } else if let Some(path) = &command.proof {
            one_proof(&command, path, &loaded.resolved, &mut report, out).await?;
        } else if let Some(folder) = &command.log {
            files_alone(&command, folder, &loaded.resolved, &mut report, out).await?;
        } else {
            installation(&command, &loaded.resolved, &mut report, out).await?;
        }
        out.flush()?;
        if report.found == 0 { Ok(()) } else { Err(Failure::Found) }
    })
}

/// A log's files and nothing else.
async fn files_alone(
    command: &Verify,
    folder: &Path,
    config: &Resolved,
    report: &mut Report,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Err(Failure::Usage(format!("there is no folder {}", folder.display())));
    }
    let trust = command.trust(config).await?;
    let anchor = match &command.anchor {
        None => None,
        Some(path) => {
            let gone = || Failure::Usage(format!("{} is no file that can be read", path.display()));
            Some(beside(path)?.ok_or_else(gone)?)
        }
    };
    let others = Others::read(folder, command.timestamp_ca.as_deref())?;
    let found = look(&mut Folder::new(folder.to_owned()), &trust, anchor.as_deref(), &others.sizes()).await?;
    report.findings("files", &found.findings, out)?;
    if anchor.is_some() {
        report.findings("second place", &anchored(&found, anchor.as_deref(), &trust), out)?;
    }
    report.tree("files", &found, out)?;
    others.report(&found, &trust, report, out)?;
    report.verdict(&found, anchor.is_some(), out)
}

/// Everything that this installation has.
async fn installation(
    command: &Verify,
    config: &Resolved,
    report: &mut Report,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let (db, keys) = open(config).await?;
    let mut trust = command.given();
    trust.keys.extend(keys.log_verifiers());
    trust.witnesses.extend(config.audit.witnesses.iter().map(|witness| witness.vkey.0.clone()));
    // In this order: what is read later is never older.
    let anchor = beside(command.anchor.as_ref().unwrap_or(&config.log_anchor))?;

    let mut files = Folder::new(config.log_folder.clone());
    let mut tables = Database::new(db.clone());
    let ca = command.timestamp_ca.as_deref().or(config.audit.timestamp_ca_file.as_deref());
    let others = Others::read(&config.log_folder, ca)?;
    let mut sizes = others.sizes();
    sizes.extend([size_of(&mut files).await?, size_of(&mut tables).await?]);
    // Where there is a second place, there were files: the folder may not be gone as a whole.
    let of_files = if config.log_folder.exists() || anchor.is_some() {
        let found = look(&mut files, &trust, anchor.as_deref(), &sizes).await?;
        report.findings("files", &found.findings, out)?;
        // They are written before the second place, so that they are never behind it by themselves.
        if anchor.is_some() && found.findings.none() {
            report.findings("files", &anchored(&found, anchor.as_deref(), &trust), out)?;
        }
        Some(found)
    } else {
        None
    };
    let of_tables = look(&mut tables, &trust, anchor.as_deref(), &sizes).await?;
    report.findings("database", &of_tables.findings, out)?;
    // The files follow the database, never the other way round: a database that ends before them was cut.
    if let Some(found) = of_files.as_ref().filter(|found| !found.signed_by.is_empty()) {
        report.findings(
            "database against files",
            &anchored(&of_tables, Some(&found.checkpoint), &trust),
            out,
        )?;
    }
    report.findings("second place", &anchored(&of_tables, anchor.as_deref(), &trust), out)?;
    // What the files say of erasures is as good as what the database says, unless it was tampered with.
    let erasures = match &of_files {
        Some(found) if found.findings.none() && found.leaves >= of_tables.leaves => &found.erasures,
        _ => &of_tables.erasures,
    };
    let size = of_tables.head.as_ref().map_or(0, |head| head.size);
    let found = rows(&db, &keys, size, erasures).await.map_err(unreadable)?;
    report.findings("database", &found.findings, out)?;
    if let Some(of_files) = &of_files {
        report.tree("files", of_files, out)?;
    }
    report.tree("database", &of_tables, out)?;
    report.rows(&found, out)?;
    others.report(&of_tables, &trust, report, out)?;
    report.verdict(&of_tables, anchor.is_some(), out)?;
    if let Err(error) = db.close().await {
        tracing::warn!(%error, "the database did not close cleanly");
    }
    Ok(())
}

async fn one_proof(
    command: &Verify,
    path: &Path,
    config: &Resolved,
    report: &mut Report,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let proof = ProofFile::parse(&text(path)?).map_err(|error| usage(&error))?;
    let leaf = match (&command.leaf, &proof.extra) {
        (Some(path), _) => bytes(path)?,
        (None, Some(leaf)) => leaf.clone(),
        (None, None) => return Err(usage(&"it does not bring the event's leaf; give it with --leaf")),
    };
    let trust = command.trust(config).await?;
    let mut all = trust.keys.clone();
    all.extend(trust.witnesses.iter().cloned());
    let origin = match (&trust.origin, trust.keys.first()) {
        (Some(origin), _) => origin.clone(),
        (None, Some(key)) => key.name().to_owned(),
        (None, None) => return Err(Failure::Usage("give the log's key with --key".into())),
    };
    // The log's own signature must be there; witnesses' alone prove nothing about who wrote the entry.
    let checked = proof
        .verify(&leaf, &origin, &trust.keys)
        .and_then(|open| proof.verify(&leaf, &origin, &all).map(|with| (open, with)));
    match checked {
        Ok((open, with)) => {
            let head = open.checkpoint;
            let signed_by: Vec<&str> = with.signed_by.iter().map(|signed| all[signed.key].name()).collect();
            let id = Leaf::decode(&leaf).ok().map(|leaf| leaf.id.to_string());
            if report.json {
                let line = json!({
                    "verdict": "proven", "origin": head.origin, "index": proof.index, "size": head.size,
                    "signed_by": signed_by, "event": id, "leaf": String::from_utf8_lossy(&leaf),
                });
                writeln!(out, "{line}")?;
            } else {
                let event = id.map_or_else(String::new, |id| format!(" (event {id})"));
                writeln!(
                    out,
                    "proven: entry {}{event} is in {} among {} entries; signed by {}",
                    proof.index,
                    head.origin,
                    head.size,
                    signed_by.join(", ")
                )?;
            }
            Ok(())
        }
        Err(error) => {
            report.found += 1;
            let word = match error {
                NoteError::Unsigned | NoteError::OtherOrigin(_) => "foreign",
                NoteError::Forged(_) => "edited",
                NoteError::Malformed(_) => "altered",
            };
            if report.json {
                writeln!(out, "{}", json!({ "verdict": word, "why": error.to_string() }))?;
            } else {
                writeln!(out, "{word}: {error}")?;
            }
            Ok(())
        }
    }
}

impl Verify {
    fn given(&self) -> Trust {
        Trust { origin: self.origin.clone(), keys: self.keys.clone(), witnesses: self.witnesses.clone() }
    }

    /// Keys from the command line, or else this installation's.
    async fn trust(&self, config: &Resolved) -> Result<Trust, Failure> {
        let mut trust = self.given();
        if trust.keys.is_empty() {
            let (db, keys) = open(config).await.map_err(|_| {
                Failure::Usage("give the log's key with --key; there is no installation here".into())
            })?;
            trust.keys = keys.log_verifiers();
            drop(keys);
            let _ = db.close().await;
        }
        Ok(trust)
    }
}

/// The database and its keys, without anything that writes.
pub(super) async fn open(config: &Resolved) -> Result<(Db, Keys), Failure> {
    services::demand_data(config)?;
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let db = services::connect(config, &clock).await?;
    let root = services::root_key(config, &entropy)?;
    let keys = Keys::open_with(&db, &root, services::signing(config), clock, entropy).await?;
    Ok((db, keys))
}

async fn look(
    source: &mut impl Source,
    trust: &Trust,
    anchor: Option<&str>,
    sizes: &[u64],
) -> Result<Tree, Failure> {
    let mut earlier = sizes.to_vec();
    earlier.extend(anchor.and_then(|note| Checkpoint::read_unverified(note).ok()).map(|head| head.size));
    earlier.sort_unstable();
    earlier.dedup();
    tree(source, trust, &earlier).await.map_err(unreadable)
}

/// The size that a source's checkpoint claims; 0 without one.
async fn size_of(source: &mut impl Source) -> Result<u64, Failure> {
    let note = source.read("checkpoint").await.map_err(|error| unreadable(error.into()))?;
    let head = note.and_then(|note| Checkpoint::read_unverified(std::str::from_utf8(&note).ok()?).ok());
    Ok(head.map_or(0, |head| head.size))
}

fn unreadable(error: VerifyError) -> Failure {
    Failure::Usage(error.to_string())
}

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: std::io::Error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(wrong)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

pub(super) fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(path)?).map_err(|_| Failure::Usage(format!("{} is not a text", path.display())))
}

/// A small file that lies beside a log, put there by whomever; `None` if there is none. What is no text is no checkpoint
/// either, and is judged as one.
pub(super) fn beside(path: &Path) -> Result<Option<String>, Failure> {
    Ok(bytes_beside(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn bytes_beside(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let read = audit::verify::read_regular(path, MAX_BYTES);
    read.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}

/// Writes lines and counts what was found.
pub(super) struct Report {
    pub(super) json: bool,
    found: u64,
}

impl Report {
    pub(super) fn findings(
        &mut self,
        place: &str,
        findings: &Findings,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        self.found += findings.listed.len() as u64 + findings.more;
        for finding in &findings.listed {
            if self.json {
                let mut line = serde_json::to_value(finding).unwrap_or(Value::Null);
                line["place"] = place.into();
                line["word"] = finding.word().into();
                line["text"] = finding.to_string().into();
                writeln!(out, "{line}")?;
            } else {
                writeln!(out, "{place}: {finding}")?;
            }
        }
        if findings.more > 0 && !self.json {
            writeln!(out, "{place}: and {} more", findings.more)?;
        }
        Ok(())
    }

    fn tree(&self, place: &str, tree: &Tree, out: &mut impl Write) -> Result<(), Failure> {
        if !self.json {
            let signed =
                if tree.signed_by.is_empty() { "nobody trusted" } else { &tree.signed_by.join(", ") };
            writeln!(out, "{place}: {} entries read, signed by {signed}", tree.leaves)?;
        }
        Ok(())
    }

    fn rows(&self, rows: &Rows, out: &mut impl Write) -> Result<(), Failure> {
        if !self.json {
            writeln!(out, "database: {} rows and {} bodies compared", rows.rows, rows.bodies)?;
        }
        for (by, bodies) in &rows.erased {
            if self.json {
                writeln!(out, "{}", json!({ "erased": bodies, "by": by }))?;
            } else {
                writeln!(out, "erased: {bodies} bodies, by the authority of entry {by}")?;
            }
        }
        Ok(())
    }

    fn verdict(&self, tree: &Tree, anchored: bool, out: &mut impl Write) -> Result<(), Failure> {
        let head = tree.head.as_ref();
        let verdict = if self.found == 0 { "whole" } else { "not whole" };
        if self.json {
            let line = json!({
                "verdict": verdict, "findings": self.found, "origin": head.map(|head| &head.origin),
                "size": head.map_or(0, |head| head.size), "entries": tree.leaves,
                "signed_by": tree.signed_by, "second_place": anchored,
            });
            writeln!(out, "{line}")?;
        } else {
            match (self.found, head) {
                (0, Some(head)) => writeln!(out, "whole: {}, {} entries", head.origin, head.size)?,
                (0, None) => writeln!(out, "whole: the log has no entries yet")?,
                (found, _) => writeln!(out, "not whole: {found} findings")?,
            }
            if !anchored && head.is_some() {
                writeln!(out, "note: without a second place, a cut or older copy is not noticed")?;
            }
        }
        Ok(())
    }
}
