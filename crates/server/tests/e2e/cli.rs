//! The command line: exit codes, one line per mistake, generated documents.

use std::process::{Command, Output, Stdio};

use crate::BINARY;

/// Runs a command in an empty folder, without settings from outside.
fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run_in(folder.path(), arguments)
}

fn run_in(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let output = Command::new(BINARY).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.expect("the program can be started");
    assert!(!folder.join("fortissimo-data").exists(), "{arguments:?} made data");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn mistakes_on_the_command_line_are_one_line_and_exit_code_2() {
    let cases: [(&[&str], &str); 11] = [
        (&["srve"], "srve"),
        (&["--lisen", "127.0.0.1:1"], "--listen"),
        (&["account", "disable"], "<ACCOUNT>"),
        (&["account"], "a command is missing: one of list, show"),
        // An option may stand before or behind the command.
        (&["serve", "--upstream", "nowhere"], "--upstream"),
        (&["account", "set-role", "ada", "king"], "super_admin"),
        (&["audit", "search", "--kind", "session.signed"], "did you mean session.signed_in?"),
        (&["audit", "search", "--from", "yesterday"], "2026-01-02T03:04:05Z"),
        (&["mail", "show", "1"], "not an identifier"),
        (&["--listen", "localhost", "config", "check"], "--listen: expected an address and port"),
        (&["--config", "none.toml", "config", "check"], "none.toml: cannot read the configuration"),
    ];
    for (arguments, words) in cases {
        let output = run(arguments);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert_eq!(told.lines().count(), 1, "{arguments:?}: {told}");
        assert!(told.starts_with("error: ") && told.contains(words), "{arguments:?}: {told}");
    }
}

#[test]
fn commands_make_no_data() {
    for arguments in [
        &["account", "list"][..],
        &["audit", "tail"],
        &["mail", "list"],
        &["keys", "list"],
        &["setup-link"],
        &["migrate", "--status"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&output).contains("run `fortissimo serve` first"),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn the_configuration_is_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let check = run_in(folder.path(), &["config", "check"]);
    assert_eq!(check.status.code(), Some(0));
    std::fs::write(folder.path().join("fortissimo.toml"), "[server]\ntrusted_hosts = [\"*\"]\n").unwrap();
    let check = run_in(folder.path(), &["config", "check"]);
    assert_eq!(
        (check.status.code(), stdout(&check).as_str()),
        (
            Some(0),
            "fortissimo.toml is right (keys, certificates and secrets that it names are opened by `fortissimo doctor`)\n"
        )
    );
    assert!(stderr(&check).starts_with("warning: fortissimo.toml:2:17: "), "{}", stderr(&check));
    let shown = stdout(&run_in(folder.path(), &["config", "show"]));
    std::fs::write(folder.path().join("fortissimo.toml"), &shown).unwrap();
    assert_eq!(
        stdout(&run_in(folder.path(), &["config", "show"])),
        shown,
        "what is shown is not what is read"
    );
    assert!(shown.contains("public_url = \"http://localhost:8080\""));
}

#[test]
fn help_and_version_are_no_mistakes() {
    for arguments in [&["--help"][..], &["--version"], &["audit", "search", "--help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            stdout(&output).to_lowercase().contains("fortissimo") && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    for arguments in [&["config", "schema"][..], &["--help"]] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(BINARY)
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("[server]\nlisten = \"127.0.0.1:{port}\"\nops_listen = \"127.0.0.1:0\"\n");
    std::fs::write(folder.path().join("fortissimo.toml"), settings).unwrap();
    let output = run_in(folder.path(), &["doctor"]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("FAIL  port: 127.0.0.1:{port} (server.listen)")), "{told}");
    assert!(told.contains("-> stop what uses it, or change server.listen"), "{told}");

    std::fs::write(
        folder.path().join("fortissimo.toml"),
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let output = run_in(folder.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));

    std::fs::write(folder.path().join("fortissimo.toml"), "[server]\nlistn = 1\n").unwrap();
    let output = run_in(folder.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("did you mean `listen`?"), "{}", stdout(&output));
}
