//! PyPI's `pymerkle` as judge.

use std::process::Command;

use crate::{Exhibit, python, source};

#[test]
fn pymerkle_agrees() {
    let Some(python) = python() else { return };
    let exhibit = Exhibit::new();
    let output = Command::new(python).arg(source("judge.py")).arg(exhibit.path()).output().unwrap();
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complaint}");
    assert!(said.starts_with("agreed: "), "{said}");
}
