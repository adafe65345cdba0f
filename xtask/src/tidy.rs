//! Checks that no compiler makes: arrows between crates, machine paths, unfinished markers,
//! and documents that must name what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which workspace crates each one may use (without tests): the arrows of ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("crypto", &["base"]),
    ("inspect", &["base"]),
    ("threat", &["base"]),
    ("outbound", &["base"]),
    ("store", &["base"]),
    ("keys", &["base", "crypto", "store"]),
    ("audit", &["base", "crypto", "store", "keys"]),
    ("access", &["base", "crypto", "store", "keys", "audit"]),
    ("sinks", &["base", "crypto", "store", "keys", "audit", "outbound"]),
    ("identity", &["base", "crypto", "threat", "store", "keys", "audit", "access", "outbound"]),
    ("guard", &["base", "crypto", "inspect", "store", "keys", "audit", "access", "identity"]),
    ("gateway", &["base", "audit", "guard"]),
    ("api", &["base", "crypto", "store", "keys", "audit", "access", "identity", "guard"]),
    ("console", &["base", "crypto", "store", "keys", "audit", "sinks", "access", "identity", "guard"]),
    (
        "server",
        &[
            "base", "crypto", "inspect", "threat", "store", "keys", "audit", "sinks", "access", "identity",
            "guard", "gateway", "api", "console",
        ],
    ),
    // A service of somebody else's, which decides by the same policies.
    ("axum-studio", &["base", "access"]),
];

/// Only these may name these outside crates directly (prefix match on the dependency's name).
const OWNERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("tokio-postgres", &["store"]),
    ("deadpool-postgres", &["store"]),
    ("aws-lc-rs", &["crypto"]),
    ("argon2", &["crypto"]),
    ("cedar-policy", &["access"]),
    ("axum", &["api", "console", "server", "axum-studio"]),
    ("hyper", &["outbound", "gateway", "server", "testkit", "axum-studio"]),
    ("lettre", &["identity"]),
];

/// Runs all checks on the workspace at `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut wrong = arrows(root)?;
    wrong.extend(texts(root)?);
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} untidy places:\n{}", wrong.len(), wrong.join("\n"))
}

/// Forbidden dependencies between crates, one line each.
fn arrows(root: &Path) -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .context("cargo metadata failed")?;
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let members: BTreeSet<String> = metadata.packages.iter().map(|p| short(&p.name)).collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let from = short(&package.name);
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
            let to = short(&dependency.name);
            if members.contains(&to)
                && !matches!(from.as_str(), "testkit" | "xtask")
                && !allowed.get(from.as_str()).is_some_and(|list| list.contains(&to.as_str()))
            {
                wrong.push(format!("{from} may not depend on {to} (arrows point down; see ARCHITECTURE.md)"));
            }
            for (outside, owners) in OWNERS {
                let is_it =
                    dependency.name == *outside || dependency.name.starts_with(&format!("{outside}-"));
                if is_it && !owners.contains(&from.as_str()) {
                    wrong.push(format!(
                        "{from} may not use {}: that is for {}",
                        dependency.name,
                        owners.join(", ")
                    ));
                }
            }
        }
        if to_be_listed(&from) && !allowed.contains_key(from.as_str()) {
            wrong.push(format!("{from} has no row in xtask's table of arrows"));
        }
    }
    Ok(wrong)
}

fn to_be_listed(name: &str) -> bool {
    !matches!(name, "testkit" | "xtask") && !name.ends_with("-studio")
}

fn short(package: &str) -> String {
    match package {
        "fortissimo" => "server".to_owned(),
        other => other.strip_prefix("fortissimo-").unwrap_or(other).to_owned(),
    }
}

/// Machine paths and unfinished markers in tracked text files.
fn texts(root: &Path) -> Result<Vec<String>> {
    // Spelled in two parts, so that this file does not find itself.
    let forbidden = [
        concat!("/wor", "k/"),
        concat!("/roo", "t/"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("#[igno", "re"),
    ];
    let listed =
        Command::new("git").current_dir(root).args(["ls-files", "-z"]).output().context("git ls-files")?;
    let mut wrong = Vec::new();
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        if name.ends_with(".lock") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root.join(name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = forbidden.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down() {
        assert_eq!(arrows(&crate::tools::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn texts_are_tidy() {
        assert_eq!(texts(&crate::tools::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_table_of_arrows_has_no_cycle() {
        // Each crate may only use crates that stand above it in the table.
        for (row, (name, uses)) in ARROWS.iter().enumerate() {
            for used in *uses {
                let at = ARROWS.iter().position(|(other, _)| other == used).unwrap();
                assert!(at < row, "{name} uses {used}, which stands below it");
            }
        }
    }
}
