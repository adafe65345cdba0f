//! What goes wrong around the program: each is one clear line and an exit code, and nothing is half-made.

use std::process::{Command, Output};

use testkit::{Settings, free_port};

use crate::{BINARY, start};

fn serve(configuration: &str) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = configuration.replace("DATA", data.to_str().unwrap());
    std::fs::write(folder.path().join("fortissimo.toml"), text).unwrap();
    let output = Command::new(BINARY).arg("serve").current_dir(folder.path()).output().unwrap();
    (folder, output)
}

#[track_caller]
fn one_line(output: &Output, code: i32, words: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    // Log lines may come before it; the reason is the one line that is not one.
    let lines: Vec<&str> =
        told.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('{')).collect();
    assert_eq!(lines.len(), 1, "{told}");
    for word in words {
        assert!(lines[0].contains(word), "{word:?} is missing: {told}");
    }
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let ops = free_port();
    let (folder, output) = serve(&format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\nops_listen = \"127.0.0.1:{ops}\"\ndata_dir = \"DATA\"\n[database]\nurl = \"sqlite:DATA/f.db\"\n"
    ));
    one_line(&output, 1, &[&port.to_string(), "listen"]);
    assert!(!folder.path().join("data/f.db").exists(), "half-made");
}

#[test]
fn an_unknown_key_is_told_with_line_and_suggestion() {
    let (_folder, output) = serve("[server]\nlistne = \"127.0.0.1:1\"\n");
    one_line(&output, 2, &["fortissimo.toml", "2", "listne", "listen"]);
}

#[test]
fn a_corrupt_database_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(
        data.join("f.db"),
        b"this is not a database, but long enough to look at it twice ".repeat(40),
    )
    .unwrap();
    let (port, ops) = (free_port(), free_port());
    std::fs::write(
        folder.path().join("fortissimo.toml"),
        format!("[server]\nlisten = \"127.0.0.1:{port}\"\nops_listen = \"127.0.0.1:{ops}\"\ndata_dir = {data:?}\n[database]\nurl = \"sqlite:{}/f.db\"\n", data.display()),
    )
    .unwrap();
    let output = Command::new(BINARY).arg("serve").current_dir(folder.path()).output().unwrap();
    one_line(&output, 1, &["f.db"]);
}

#[test]
fn a_second_program_on_the_same_folder_is_refused() {
    let program = start(Settings::default());
    let (port, ops) = (free_port(), free_port());
    let output = program
        .command(&["serve"])
        .env("FORTISSIMO__SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("FORTISSIMO__SERVER__OPS_LISTEN", format!("127.0.0.1:{ops}"))
        .output()
        .unwrap();
    one_line(&output, 1, &["data"]);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let (port, ops) = (free_port(), free_port());
    std::fs::write(
        folder.path().join("fortissimo.toml"),
        format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nops_listen = \"127.0.0.1:{ops}\"\ndata_dir = {:?}\n",
            folder.path().join("file/data")
        ),
    )
    .unwrap();
    let output = Command::new(BINARY).arg("serve").current_dir(folder.path()).output().unwrap();
    one_line(&output, 1, &["file/data"]);
}

#[test]
fn a_root_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut program = start(Settings::default());
    assert!(program.stop());
    let key = program.data().join("root.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = program.output(&["serve"]);
    one_line(&output, 1, &["root.key", "chmod"]);
    // A missing root key for a database that has keys: nothing new is made.
    std::fs::remove_file(&key).unwrap();
    let output = program.output(&["serve"]);
    one_line(&output, 1, &["root.key"]);
    assert!(!key.exists(), "a new root key was made over an old database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_must_be_recorded_and_says_so() {
    // A small file system of its own needs the right to mount one; CI has it.
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&small).status();
    if !mounted.is_ok_and(|status| status.success()) {
        #[expect(clippy::disallowed_methods, reason = "a test may ask where it runs")]
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "CI has the right to mount a small file system");
        eprintln!("not tested here: no right to mount a small file system");
        return;
    }
    let _unmount = Unmount(small.clone());
    let database = small.join("fortissimo.db");
    let program =
        start(Settings { database: format!("sqlite:{}", database.display()), ..Settings::default() });
    let pair = program.operator().await;
    let client = program.client();
    let signed_in = client.bearer(pair["access_token"].as_str().unwrap());
    // Fill what is left.
    let filled = std::fs::write(small.join("filler"), vec![7_u8; 16 << 20]);
    assert!(filled.is_err(), "the small file system holds more than it should");
    let mut refused = false;
    for _ in 0..50 {
        let answer = client
            .post(
                "/auth/login",
                serde_json::json!({"identifier": "operator", "password": "wrong but long enough"}),
            )
            .await;
        if answer.status == 503 {
            answer.problem(503, "unavailable");
            refused = true;
            break;
        }
    }
    assert!(refused, "sign-in failures were answered although they could not be recorded");
    // What needs no record is still served, and readiness says what is wrong.
    signed_in.get("/.well-known/jwks.json").await.expect(200);
    client.get("/account/sign-in").await.expect(200);
    let ready = testkit::Client::new(program.ops_port).get("/ready").await.expect(503);
    assert!(ready.text().contains("database") || ready.text().contains("audit"), "{}", ready.text());
    // Room again: everything again.
    std::fs::remove_file(small.join("filler")).unwrap();
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if testkit::Client::new(program.ops_port).get("/ready").await.status == 200 {
            break;
        }
    }
    testkit::Client::new(program.ops_port).get("/ready").await.expect(200);
    program.sign_in("operator", "an operator keeps good notes").await;
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
