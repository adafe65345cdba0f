//! What others say about the log: a witness of our own kind, and Debian's `openssl ts` as authority for time stamps.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crypto::log::{Checkpoint, VerifierKey};
use testkit::{Program, Settings, free_port};

use crate::{BINARY, start};

/// Waits for a file that satisfies.
async fn eventually(path: &Path, mut holds: impl FnMut(&str) -> bool) -> String {
    for _ in 0..600 {
        if let Ok(text) = fs::read_to_string(path)
            && holds(&text)
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{} never became as it should: {:?}", path.display(), fs::read_to_string(path));
}

/// Waits until something is so.
async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never became so");
}

pub(crate) fn log_key(program: &Program) -> VerifierKey {
    let listed = String::from_utf8(program.output(&["keys", "list"]).stdout).unwrap();
    listed.lines().find_map(|line| line.strip_prefix("log")).unwrap().trim().parse().unwrap()
}

fn restart_with(program: &mut Program, sections: &str) {
    assert!(program.stop());
    let configuration = fs::read_to_string(program.configuration()).unwrap();
    fs::write(program.configuration(), configuration + sections).unwrap();
    program.run();
}

/// A running `fortissimo witness`.
struct Witness {
    child: Child,
    folder: tempfile::TempDir,
    keys: Vec<VerifierKey>,
    port: u16,
}

impl Witness {
    fn start(log: &VerifierKey) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\ndata_dir = {:?}\n[witness]\nname = \"witness.example/w1\"\nlogs = [\"{log}\"]\n",
            folder.path().join("data")
        );
        fs::write(folder.path().join("witness.toml"), text).unwrap();
        let mut witness = Self { child: Self::spawn(&folder), folder, keys: Vec::new(), port };
        witness.greet();
        witness
    }

    fn spawn(folder: &tempfile::TempDir) -> Child {
        Command::new(BINARY)
            .args(["witness", "--config", "witness.toml"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn greet(&mut self) {
        let lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let lines: Vec<String> = lines.map_while(Result::ok).take(3).collect();
        assert!(lines[0].contains("is ready at"), "{lines:?}");
        self.keys = lines[1..].iter().map(|line| line.trim().parse().unwrap()).collect();
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_witness_cosigns_and_remembers_when_it_is_killed() {
    let mut program = start(Settings::default());
    program.operator().await;
    eventually(&program.data().join("log/checkpoint"), |_| true).await;
    let key = log_key(&program);
    let mut witness = Witness::start(&key);
    // Its Ed25519 key alone, then both kinds.
    let url = format!("http://127.0.0.1:{}", witness.port);
    let one = |vkey: &VerifierKey| format!("{{ url = \"{url}\", vkey = \"{vkey}\" }}");
    restart_with(
        &mut program,
        &format!("\n[audit]\nwitness_every = \"1s\"\nwitnesses = [{}]\n", one(&witness.keys[0])),
    );
    let trusted = [key.clone(), witness.keys[0].clone()];
    let signed_by_both =
        |note: &str| Checkpoint::open(note, key.name(), &trusted).is_ok_and(|open| open.signed_by.len() == 2);
    let cosigned = program.data().join("log/cosigned");
    let note = eventually(&cosigned, signed_by_both).await;
    let before = Checkpoint::read_unverified(&note).unwrap().size;

    let _ = witness.child.kill();
    let _ = witness.child.wait();
    // That it is silent is on record, once, and that it is there again.
    let told = |kind: &str| {
        let output = program.output(&["audit", "search", "--kind", kind, "--json"]);
        String::from_utf8_lossy(&output.stdout).lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    until(|| told("evidence.failing").len() == 1).await;
    assert!(told("evidence.failing")[0].contains("witness.example/w1"), "{:?}", told("evidence.failing"));
    witness.child = Witness::spawn(&witness.folder);
    witness.greet();
    assert_eq!(trusted[1], witness.keys[0]);
    until(|| told("evidence.recovered").len() == 1).await;
    assert_eq!((told("evidence.failing").len(), told("log.disputed").len()), (1, 0));
    // More events; the witness goes on from where it was.
    for _ in 0..20 {
        program.client().get("/").await;
    }
    let longer =
        |note: &str| signed_by_both(note) && Checkpoint::read_unverified(note).unwrap().size > before;
    eventually(&cosigned, longer).await;
    // Whoever has a proof made from now on has the witness's word in it, too.
    let told = program.output(&["audit", "verify"]);
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("entries are cosigned by witness.example/w1\n"), "{told}");
    let proof = program.folder().join("one.tlog-proof");
    assert!(program.output(&["audit", "prove", "0", "-o", proof.to_str().unwrap()]).status.success());
    let (key, other) = (key.to_string(), trusted[1].to_string());
    let verified =
        program.output(&["audit", "verify", proof.to_str().unwrap(), "--key", &key, "--witness", &other]);
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && said.contains("witness.example/w1"), "{said}");
}

/// `openssl ts` behind a minimal HTTP listener.
struct Authority {
    folder: tempfile::TempDir,
    port: u16,
}

impl Authority {
    fn start() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            #[expect(clippy::disallowed_methods, reason = "CI is told by its environment")]
            let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!ci, "in CI nothing is skipped");
            eprintln!("skipped: there is no openssl");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| openssl(folder.path(), arguments);
        fs::write(folder.path().join("serial"), "01\n").unwrap();
        fs::write(
            folder.path().join("tsa.cnf"),
            "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n\
             certs = root.pem\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n",
        )
        .unwrap();
        fs::write(folder.path().join("usage"), "extendedKeyUsage = critical, timeStamping\n").unwrap();
        run(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Root", "-keyout", "root.key",
            "-out", "root.pem",
        ]);
        run(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=Authority",
            "-keyout",
            "tsa.key",
            "-out",
            "tsa.csr",
        ]);
        run(&[
            "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-extfile", "usage",
            "-out", "tsa.pem",
        ]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let path = folder.path().to_owned();
        // Ends with the test's process.
        std::thread::spawn(move || listener.incoming().flatten().for_each(|socket| answer(socket, &path)));
        Some(Self { folder, port })
    }
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn answer(mut socket: std::net::TcpStream, folder: &Path) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() || length == 0 {
        return;
    }
    fs::write(folder.join("query"), body).unwrap();
    openssl(folder, &["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"]);
    let reply = fs::read(folder.join("reply")).unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reply.len()
    );
    let _ = socket.write_all(&[head.as_bytes(), &reply].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checkpoints_are_time_stamped_and_openssl_verifies_them() {
    let Some(authority) = Authority::start() else { return };
    let mut program = start(Settings::default());
    program.operator().await;
    let root = authority.folder.path().join("root.pem");
    let sections = format!(
        "\n[audit]\ntimestamp_url = \"http://127.0.0.1:{}/\"\ntimestamp_ca_file = {root:?}\ntimestamp_every = \"1s\"\n",
        authority.port
    );
    restart_with(&mut program, &sections);
    let stamps = program.data().join("log/timestamps");
    let mut found: Option<PathBuf> = None;
    for _ in 0..600 {
        let files = fs::read_dir(&stamps).into_iter().flatten().flatten().map(|file| file.path());
        found = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "token"));
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let token = found.expect("a checkpoint is stamped");
    let note = token.with_extension("checkpoint");
    let said = openssl(
        authority.folder.path(),
        &[
            "ts",
            "-verify",
            "-data",
            note.to_str().unwrap(),
            "-in",
            token.to_str().unwrap(),
            "-token_in",
            "-CAfile",
            "root.pem",
        ],
    );
    assert!(said.contains("Verification: OK"), "{said}");
    // The stamped bytes are the log's own signed word.
    let key = log_key(&program);
    let verified = program.output(&["audit", "verify"]);
    let told = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && told.contains("\ntime stamps: the first "), "{told}");
    let mut altered = fs::read(&token).unwrap();
    // The signature stands last.
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&token, altered).unwrap();
    let told = program.output(&["audit", "verify"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stdout).contains("its time stamp: "));
    let note = fs::read_to_string(note).unwrap();
    assert!(Checkpoint::open(&note, key.name(), std::slice::from_ref(&key)).is_ok());
}
