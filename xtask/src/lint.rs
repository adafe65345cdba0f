//! `cargo xtask lint`: what must hold before a change lands.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{tidy, tools};

/// Runs the lints in the order of their cost.
pub(crate) fn run() -> Result<()> {
    let cargo =
        |arguments: &[&str]| tools::run(Command::new("cargo").current_dir(tools::root()).args(arguments));
    println!("lint: tidy");
    tidy::check(&tools::root())?;
    println!("lint: format");
    cargo(&["fmt", "--all", "--check"])?;
    println!("lint: cargo-deny");
    deny()?;
    println!("lint: clippy");
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    println!("lint: documents");
    tools::run(
        Command::new("cargo")
            .current_dir(tools::root())
            .args(["doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Licences, bans and sources always; advisories from the database beside the checkout, because
/// the build machines reach package registries only.
fn deny() -> Result<()> {
    let deny = tools::cargo_deny()?;
    let root = tools::root();
    // It reads every crate of the lock file, also those of other platforms, and asks no registry itself.
    tools::run(Command::new("cargo").current_dir(&root).args(["fetch", "--locked"]))?;
    let run = |checks: &[&str]| {
        let mut command = Command::new(&deny);
        command.current_dir(&root).args(["--offline", "check", "--hide-inclusion-graph"]);
        tools::run(command.args(checks))
    };
    run(&["licenses", "bans", "sources"])?;
    let advisories = tools::test_data().map(|data| data.join("rustsec"));
    match advisories.filter(|folder| folder.exists()) {
        Some(folder) => {
            advisory_repository(&folder, &root.join("target/xtask/advisory-db"))?;
            run(&["advisories"])
        }
        None => {
            println!("lint: no advisory database beside the checkout; advisories are not checked");
            ensure!(!tools::in_ci(), "CI checks advisories: ../shared/data/rustsec is missing");
            Ok(())
        }
    }
}

/// cargo-deny reads advisories from a git repository in a folder whose name it derives from the
/// repository's address; it says that name when it misses it.
fn advisory_repository(data: &Path, base: &Path) -> Result<()> {
    const FOLDER: &str = "advisory-db-3157b0e258782691";
    let repository = base.join(FOLDER);
    let _ = std::fs::remove_dir_all(&repository);
    std::fs::create_dir_all(&repository)?;
    tools::run(Command::new("cp").arg("-r").arg(data.join("crates")).arg(&repository))?;
    let git = |arguments: &[&str]| {
        tools::run(
            Command::new("git")
                .current_dir(&repository)
                .args(["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"])
                .args(arguments)
                .stdout(Stdio::null()),
        )
    };
    git(&["init", "--quiet", "-b", "main"]).context("cannot make the advisory repository")?;
    git(&["add", "-A"])?;
    git(&["commit", "--quiet", "-m", "advisories"])?;
    // cargo-deny reads the age of the last fetch from this file.
    std::fs::write(repository.join(".git/FETCH_HEAD"), "")?;
    Ok(())
}
