//! `fortissimo audit export`: a part of the trail as JSON lines with proofs, into a file or onto standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use audit::verify::{self, Attested, Exported, Trust};
use audit::{Kind, Selection};
use crypto::mac;
use serde_json::json;

use super::{When, event_kind, searcher, time};
use crate::output::Failure;
use crate::services::Services;

/// What is exported, and where to.
#[derive(Debug, clap::Args)]
pub(in crate::command) struct Export {
    /// Since this time: 2026-01-02T03:04:05Z, or how long ago: 30d
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<When>,
    /// Before this time, likewise
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<When>,
    /// Of this kind, for example session.signed_in; may be given several times
    #[arg(long = "kind", value_name = "KIND", value_parser = event_kind)]
    kinds: Vec<Kind>,
    /// The file to write; it must not exist yet. Without it, standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(services: &Services, command: Export, out: &mut impl Write) -> Result<(), Failure> {
    let selection = Selection {
        from: command.from.map(|when| when.resolve(&services.clock)),
        to: command.to.map(|when| when.resolve(&services.clock)),
        kinds: command.kinds,
    };
    let Some(path) = command.output else {
        write(services, selection, out).await?;
        return Ok(());
    };
    if path.exists() {
        return Err(Failure::Usage(format!("{} exists already; name another file", path.display())));
    }
    let events = to_file(services, selection, &path).await?;
    let lines = if events == 1 { "one event".to_owned() } else { format!("{events} events") };
    writeln!(out, "{lines} in {0}; check it with: fortissimo audit verify {0}", path.display())?;
    Ok(())
}

/// Written beside its place and moved there whole. It holds personal data, so nobody else may read it.
async fn to_file(services: &Services, selection: Selection, path: &Path) -> Result<u64, Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let wrong = |error: std::io::Error| Failure::Runtime(format!("cannot write {}: {error}", path.display()));
    let mut options = OpenOptions::new();
    let opened = options.create(true).write(true).truncate(true).mode(0o600).open(&partial).map_err(wrong)?;
    let mut file = BufWriter::new(opened);
    let written = match write(services, selection, &mut file).await {
        Ok(events) => file.into_inner().map_err(|error| wrong(error.into_error())).and_then(|file| {
            file.sync_all().map_err(wrong)?;
            fs::rename(&partial, path).map_err(wrong)?;
            Ok(events)
        }),
        Err(failure) => Err(failure),
    };
    if written.is_err() {
        // What is left of it is no export.
        let _ = fs::remove_file(&partial);
    }
    written
}

async fn write(services: &Services, selection: Selection, out: &mut impl Write) -> Result<u64, Failure> {
    let mut export = services.audit.export(&searcher(), selection).await?;
    while let Some(chunk) = export.next().await? {
        out.write_all(&chunk)?;
    }
    out.flush()?;
    Ok(export.events())
}

/// Checks an export, and whether it proves when a file was on record; gives how many faults were found.
pub(super) fn check(
    path: &Path,
    file: Option<&Path>,
    trust: &Trust,
    as_json: bool,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let wrong = |error: std::io::Error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    let digest_of = |file: &Path| {
        let wrong =
            |error: std::io::Error| Failure::Usage(format!("cannot read {}: {error}", file.display()));
        mac::sha256_of(&mut File::open(file).map_err(wrong)?).map_err(wrong)
    };
    let digest = file.map(digest_of).transpose()?;
    let input = BufReader::new(File::open(path).map_err(wrong)?);
    let found = match digest {
        Some(digest) => verify::export_attesting(input, trust, digest),
        None => verify::export(input, trust),
    };
    let found = found.map_err(wrong)?;
    for fault in &found.faults {
        let verify::ExportFault { line, index, word, text } = fault;
        if as_json {
            writeln!(out, "{}", json!({ "line": line, "index": index, "word": word, "text": text }))?;
        } else {
            let entry = index.map_or_else(String::new, |index| format!(", entry {index}"));
            writeln!(out, "line {line}{entry}: {word}: {text}")?;
        }
    }
    let faults = found.faults.len() as u64 + found.more;
    let head = found.head.as_ref();
    if as_json {
        let line = json!({
            "verdict": if faults == 0 { "whole" } else { "not whole" }, "findings": faults, "events": found.events,
            "closed_bodies": found.closed, "origin": head.map(|head| &head.origin),
            "size": head.map_or(0, |head| head.size), "signed_by": found.signed_by,
        });
        writeln!(out, "{line}")?;
    } else if faults == 0 {
        let origin = head.map_or("", |head| head.origin.as_str());
        let size = head.map_or(0, |head| head.size);
        writeln!(
            out,
            "whole: {} events of {origin} are proven against its tree of {size} entries, signed by {}; {} bodies are closed",
            found.events,
            found.signed_by.join(", "),
            found.closed
        )?;
    } else {
        writeln!(out, "not whole: {faults} faults in {} events", found.events)?;
    }
    Ok(faults + file.map_or(Ok(0), |file| tell_attested(file, &found, as_json, out))?)
}

/// Says since when the file is on record; that it is not is a finding.
fn tell_attested(file: &Path, found: &Exported, as_json: bool, out: &mut impl Write) -> Result<u64, Failure> {
    let shown = file.display();
    // Faults elsewhere in the export take nothing from an event that is proven, but an unsigned tree proves nothing.
    let proven: &[Attested] = if found.signed_by.is_empty() { &[] } else { &found.attested };
    for Attested { index, at, name } in proven {
        if as_json {
            writeln!(
                out,
                "{}",
                json!({ "file": shown.to_string(), "attested_at": at.to_rfc3339(), "index": index, "name": name })
            )?;
        } else {
            let called = name.as_ref().map_or_else(String::new, |name| format!(" as {name:?}"));
            writeln!(out, "{shown}: exactly this file was on record at {at}{called} (entry {index})")?;
        }
    }
    if proven.is_empty() {
        if as_json {
            writeln!(out, "{}", json!({ "file": shown.to_string(), "attested_at": null }))?;
        } else {
            writeln!(out, "{shown}: no event of this export puts this file on record")?;
        }
        return Ok(1);
    }
    Ok(0)
}
