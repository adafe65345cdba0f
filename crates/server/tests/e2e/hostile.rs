//! Others who mean harm: a folder that somebody made for `audit verify` and `audit prove`, a witness, an authority for time
//! stamps and a webhook that answer what they should not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::{Entropy, Timestamp};
use crypto::log::{Checkpoint, KeyType, LogSigner};
use serde_json::Value;
use testkit::{Program, Settings};

use crate::watch::Desk;
use crate::{BINARY, start};

/// Runs the binary somewhere, for at most half a minute: whoever hangs has lost.
fn alone(folder: &Path, arguments: &[&str]) -> Output {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .stdout(fs::File::create(folder.join("stdout")).unwrap())
        .stderr(fs::File::create(folder.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{arguments:?} hangs");
        }
        #[expect(clippy::disallowed_methods, reason = "waits for another process")]
        std::thread::sleep(Duration::from_millis(20));
    };
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    Output { status, stdout: read("stdout"), stderr: read("stderr") }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()));
}

#[test]
fn a_hostile_folder_is_judged_and_nobody_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let log = at.join("log");
    let (signer, _) =
        LogSigner::generate("hostile.example/log", KeyType::Ed25519, &Entropy::seeded(5)).unwrap();
    let vkey = signer.verifier().to_string();
    let verify = || alone(at, &["audit", "verify", "--log", "log", "--key", &vkey, "--anchor", "log/anchor"]);
    let prove = |what: &str| alone(at, &["audit", "prove", what, "--log", "log"]);
    let checkpoint = |size: u64| {
        let head = Checkpoint::new("hostile.example/log", size, [7; 32]).unwrap();
        head.sign(&[&signer], Timestamp::from_millis(0)).unwrap()
    };
    fs::create_dir_all(log.join("tile/entries")).unwrap();
    fs::create_dir_all(log.join("timestamps")).unwrap();
    fs::write(log.join("anchor"), checkpoint(5)).unwrap();

    // As many entries as a number can say, rightly signed; pipes and loops where tiles should be.
    fs::write(log.join("checkpoint"), checkpoint(u64::MAX >> 1)).unwrap();
    pipe(&log.join("tile/entries/000"));
    symlink("0", log.join("tile/0")).unwrap();
    pipe(&log.join("cosigned"));
    pipe(&log.join("timestamps/5.token"));
    symlink("/dev/zero", log.join("timestamps/5.checkpoint")).unwrap();
    fs::write(log.join("timestamps").join(std::ffi::OsStr::from_bytes(b"\xff\xfe.token")), "x").unwrap();
    fs::write(log.join("timestamps/99999999999999999999999.token"), "x").unwrap();
    let output = verify();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("files: "), "{}", said(&output));
    for wanted in ["0", "9223372036854775806", "0198c0de-0000-7000-8000-000000000000"] {
        let output = prove(wanted);
        assert_eq!(output.status.code(), Some(1), "{wanted}: {}", said(&output));
    }
    // With an authority for time stamps, what lies there is looked at: neither pipe nor device is waited for.
    let key = rcgen::generate_simple_self_signed(vec!["authority.example".to_owned()]).unwrap();
    fs::write(at.join("ca.pem"), key.cert.pem()).unwrap();
    let output = alone(at, &["audit", "verify", "--log", "log", "--key", &vkey, "--timestamp-ca", "ca.pem"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("time stamp"), "{}", said(&output));

    // A checkpoint that is a pipe, a device, a hole of a tebibyte, or full of terminal controls.
    let note = log.join("checkpoint");
    fs::remove_file(&note).unwrap();
    pipe(&note);
    assert_eq!(verify().status.code(), Some(1), "{}", said(&verify()));
    assert_eq!(prove("0").status.code(), Some(1));
    fs::remove_file(&note).unwrap();
    symlink("/dev/zero", &note).unwrap();
    assert_eq!(verify().status.code(), Some(1));
    fs::remove_file(&note).unwrap();
    fs::File::create(&note).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(verify().status.code(), Some(1));
    let evil = checkpoint(5).replacen("hostile.example", "\u{1b}[2Jhostile.example", 1);
    fs::write(&note, evil).unwrap();
    let output = verify();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !output.stdout.contains(&0x1b),
        "what strangers write does not reach the terminal: {}",
        said(&output)
    );
    // The second place is one, too.
    fs::write(&note, checkpoint(5)).unwrap();
    fs::remove_file(log.join("anchor")).unwrap();
    pipe(&log.join("anchor"));
    let output = verify();
    assert_ne!(output.status.code(), Some(0), "{}", said(&output));
}

/// Somebody who is asked over HTTP and answers as a test says.
struct Answering {
    port: u16,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Answering {
    /// Ends with the test's process.
    fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, answer): (Arc<AtomicUsize>, _) =
            (Arc::default(), Arc::new(Mutex::new(answer.as_bytes().to_vec())));
        let (count, text) = (Arc::clone(&asked), Arc::clone(&answer));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let text = text.lock().unwrap().clone();
                std::thread::spawn(move || reply(socket, &text));
            }
        });
        Self { port, asked, answer }
    }

    fn say(&self, answer: &str) {
        *self.answer.lock().unwrap() = answer.as_bytes().to_vec();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn reply(mut socket: TcpStream, text: &[u8]) {
    let mut request = [0; 65_536];
    let _ = socket.read(&mut request);
    if socket.write_all(text).is_err() || !text.ends_with(b"\r\n\r\nendless") {
        return;
    }
    // Without end, until the other side has had enough.
    while socket.write_all(&[b'x'; 65_536]).is_ok() {}
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn status(line: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn events(program: &Program, kind: &str) -> Vec<Value> {
    let output = program.output(&["audit", "search", "--kind", kind, "--json"]);
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn witnesses_and_authorities_that_mean_harm_are_told_of_and_do_none() {
    let desk = Desk::open();
    let folder = tempfile::tempdir().unwrap();
    // Where nobody may be led to.
    let inside = Answering::start(&status("200 OK", "secret"));
    let witness = Answering::start(&redirect(&format!("http://127.0.0.1:{}/", inside.port)));
    let authority = Answering::start(&redirect("file:///etc/passwd"));
    let (signer, _) =
        LogSigner::generate("witness.example/w1", KeyType::CosignatureEd25519, &Entropy::seeded(6)).unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["authority.example".to_owned()]).unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, key.cert.pem()).unwrap();
    let sections = format!(
        "{}[audit]\nwitness_every = \"1s\"\nwitnesses = [{{ url = \"http://127.0.0.1:{}\", vkey = \"{}\" }}]\n\
         timestamp_url = \"http://127.0.0.1:{}/\"\ntimestamp_ca_file = {ca:?}\ntimestamp_every = \"1s\"\n",
        desk.sections(folder.path()),
        witness.port,
        signer.verifier(),
        authority.port
    );
    let program = start(Settings { sections, ..Settings::default() });
    program.operator().await;
    until("both failures are on record", || events(&program, "evidence.failing").len() == 2).await;
    desk.next("of-the-log", 0, "a witness that leads elsewhere").await;
    until("the built-in rule tells of it", || desk.count("evidence-failing") > 0).await;
    let sources: Vec<String> = events(&program, "evidence.failing")
        .iter()
        .map(|event| event["details"]["source"].to_string())
        .collect();
    assert!(sources.iter().any(|source| source.contains("witness.example/w1")), "{sources:?}");
    assert!(sources.iter().any(|source| source.contains("time stamps")), "{sources:?}");

    // Whatever they say: garbage, too much, a wrong signature, a number beyond reason, no HTTP at all.
    for answer in [
        status("200 OK", "— witness.example/w1 AAAA\n"),
        status("200 OK", &"x".repeat(70_000)),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nendless".to_owned(),
        status("409 Conflict", "99999999999999999999999999\n"),
        status("409 Conflict", "not a number"),
        status("500 Oh", "\u{1b}[2J<script>"),
        "SSH-2.0-nothing\r\n".to_owned(),
    ] {
        let (before, stamps) = (witness.asked(), authority.asked());
        witness.say(&answer);
        authority.say(&answer);
        until("both are asked again", || witness.asked() > before + 1 && authority.asked() > stamps + 1)
            .await;
    }
    assert_eq!(events(&program, "evidence.failing").len(), 2, "said once, whatever they say");
    assert_eq!(events(&program, "log.disputed").len(), 0, "none of that is a witness' word about the log");
    assert_eq!(inside.asked(), 0, "nobody was led inside");

    // A witness that says to have seen more than there is: that is what they are for.
    let before = desk.count("of-the-log");
    witness.say(&status("409 Conflict", "1000000\n"));
    until("the dispute is on record", || events(&program, "log.disputed").len() == 1).await;
    desk.next("of-the-log", before, "a dispute").await;
    until("and is critical", || desk.count("log-tampering") > 0).await;
    let dispute = events(&program, "log.disputed").remove(0);
    assert_eq!(dispute["severity"], 6);
    assert!(dispute["details"]["reason"].as_str().unwrap().contains("1000000"), "{dispute}");
    // It may cry wolf: the service goes on, and is ready.
    testkit::Client::new(program.ops_port).get("/ready").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_webhook_that_leads_elsewhere_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Answering::start(&status("200 OK", "secret"));
    let outside = Answering::start(&redirect(&format!("http://127.0.0.1:{}/", inside.port)));
    let key = folder.path().join("webhook.key");
    fs::write(&key, "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=").unwrap();
    let sections = format!(
        "[alerts]\nwebhook = \"http://127.0.0.1:{}/\"\nwebhook_key = \"file:{}\"\n\
         [[alert]]\nname = \"of-sessions\"\nkinds = [\"session.*\"]\nseverity = \"high\"\n",
        outside.port,
        key.display()
    );
    let program = start(Settings { sections, ..Settings::default() });
    program.operator().await;
    until("it was asked twice, because that was no delivery", || outside.asked() > 1).await;
    outside.say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nendless");
    let before = outside.asked();
    until("it is asked again", || outside.asked() > before).await;
    assert_eq!(inside.asked(), 0, "nobody was led inside");
    let ready = testkit::Client::new(program.ops_port).get("/ready").await;
    assert_eq!(ready.status, 200);
}
