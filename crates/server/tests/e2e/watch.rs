//! The log watches its own files, and somebody hears of it: real files under a running program, a real webhook.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Program, Settings};

use crate::start;

/// 32 bytes in base64.
const KEY: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// Whoever is told of alerts.
pub(crate) struct Desk {
    port: u16,
    told: Arc<Mutex<Vec<(Instant, Value)>>>,
}

impl Desk {
    /// Ends with the test's process.
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told: Arc<Mutex<Vec<(Instant, Value)>>> = Arc::default();
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if let Some(event) = hear(socket) {
                    kept.lock().unwrap().push((Instant::now(), event));
                }
            }
        });
        Self { port, told }
    }

    /// The sections that have alerts sent here; each group of the log's own events is an alert of its own.
    pub(crate) fn sections(&self, folder: &Path) -> String {
        let key = folder.join("webhook.key");
        fs::write(&key, KEY).unwrap();
        format!(
            "[alerts]\nwebhook = \"http://127.0.0.1:{}/\"\nwebhook_key = \"file:{}\"\n\
             [[alert]]\nname = \"of-the-log\"\nkinds = [\"log.*\", \"evidence.*\"]\nseverity = \"critical\"\nwindow = \"1s\"\nquiet = \"1s\"\n",
            self.port,
            key.display()
        )
    }

    /// How many alerts of this rule have come.
    pub(crate) fn count(&self, rule: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|(_, event)| event["data"]["rule"] == rule).count()
    }

    fn nth(&self, rule: &str, before: usize) -> Option<(Instant, Value)> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|(_, event)| event["data"]["rule"] == rule).nth(before).cloned()
    }

    /// Waits for an alert of this rule beyond the first `before`; when it came.
    pub(crate) async fn next(&self, rule: &str, before: usize, what: &str) -> Instant {
        for _ in 0..1_200 {
            let heard = self.nth(rule, before);
            if let Some((at, event)) = heard {
                assert_eq!(
                    (&event["type"], &event["specversion"]),
                    (&"fortissimo.alert.raised".into(), &"1.0".into())
                );
                assert!(!event["data"]["summary"].as_str().unwrap().is_empty());
                return at;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nobody was told of {what}: {:?}", self.told.lock().unwrap());
    }
}

fn hear(mut socket: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    let (mut length, mut line, mut signed) = (0, String::new(), false);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        signed |= lower.starts_with("webhook-signature: v1,");
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    assert!(signed, "the webhook is signed");
    serde_json::from_slice(&body).ok()
}

/// The details of the newest event of a kind.
fn newest(program: &Program, kind: &str) -> Value {
    let output = program.output(&["audit", "search", "--kind", kind, "--limit", "1", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .next()
        .unwrap_or_else(|| panic!("no {kind}: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str::<Value>(line).unwrap()["details"].clone()
}

fn size(log: &Path) -> u64 {
    let checkpoint = fs::read_to_string(log.join("checkpoint")).unwrap_or_default();
    checkpoint.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

/// Waits until the log has a full tile and its files are there.
async fn a_full_tile(program: &Program, log: &Path) {
    let client = program.client();
    for _ in 0..270 {
        client.get("/").await;
    }
    for _ in 0..800 {
        if size(log) > 260 && log.join("tile/0/000").exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the files do not follow: {}", size(log));
}

/// What is done to a file, and how it is told.
struct Case<'a> {
    what: &'a str,
    kind: &'a str,
    /// Fields of the event that must say this.
    says: &'a [(&'a str, &'a str)],
    hands: &'a dyn Fn(),
}

/// Each in its turn; how many were told within five seconds.
async fn each(program: &Program, desk: &Desk, cases: &[Case<'_>]) -> usize {
    let mut quick = 0;
    for case in cases {
        // What follows within a second would belong to the alert before.
        tokio::time::sleep(Duration::from_millis(3_000)).await;
        let before = desk.count("of-the-log");
        let begun = Instant::now();
        (case.hands)();
        let told = desk.next("of-the-log", before, case.what).await.duration_since(begun);
        quick += usize::from(told < Duration::from_secs(5));
        // A database that is another one has nothing to say.
        let details = if case.says.is_empty() { Value::Null } else { newest(program, case.kind) };
        for (field, value) in case.says {
            assert_eq!(details[*field], *value, "{}: {details}", case.what);
        }
    }
    quick
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hands_on_the_files_are_told_within_seconds() {
    let desk = Desk::open();
    let folder = tempfile::tempdir().unwrap();
    let program = start(Settings { sections: desk.sections(folder.path()), ..Settings::default() });
    let data = program.data();
    let log = data.join("log");
    a_full_tile(&program, &log).await;
    let (database, away) = (data.join("fortissimo.db"), data.join("away.db"));
    let flip = |path: PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let changed = "log.file_changed";
    let quick = each(
        &program,
        &desk,
        &[
            Case {
                what: "a checkpoint that is gone",
                kind: changed,
                says: &[("file", "mirror/checkpoint"), ("what", "deleted")],
                hands: &|| fs::remove_file(log.join("checkpoint")).unwrap(),
            },
            Case {
                what: "a link in the place of the second place",
                kind: changed,
                says: &[("file", "anchor/checkpoint"), ("what", "altered")],
                hands: &|| {
                    fs::remove_file(data.join("anchor/checkpoint")).unwrap();
                    symlink("/dev/zero", data.join("anchor/checkpoint")).unwrap();
                },
            },
            Case {
                what: "a tile that is cut",
                kind: changed,
                says: &[("file", "tile/0/000"), ("what", "truncated")],
                hands: &|| fs::write(log.join("tile/0/000"), [0; 32]).unwrap(),
            },
            Case {
                what: "a tile that is replaced",
                kind: changed,
                says: &[("file", "tile/0/000"), ("what", "altered")],
                hands: &|| flip(log.join("tile/0/000")),
            },
            Case {
                what: "entries that are replaced",
                kind: changed,
                says: &[("file", "tile/entries/000"), ("what", "altered")],
                hands: &|| flip(log.join("tile/entries/000")),
            },
            Case {
                what: "a database that is replaced",
                kind: changed,
                says: &[],
                hands: &|| {
                    fs::rename(&database, &away).unwrap();
                    fs::write(&database, "another database").unwrap();
                },
            },
        ],
    )
    .await;
    // In its place again: it is the same file, and everything is well.
    fs::rename(&away, &database).unwrap();
    assert_eq!(newest(&program, changed)["file"], "database");
    assert_eq!(newest(&program, changed)["what"], "replaced");
    assert!(quick > 3, "only {quick} of six were told within five seconds");
    assert!(desk.count("log-tampering") >= 1, "the built-in rule told of it, too");
    // What could be repaired was, and the log is whole.
    for _ in 0..400 {
        if program.output(&["audit", "verify"]).status.success() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let output = program.output(&["audit", "verify"]);
    panic!("{}", String::from_utf8_lossy(&output.stdout));
}

/// A file system of its own, unmounted in the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        #[expect(clippy::disallowed_methods, reason = "a test may ask where it runs")]
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "CI has the right to mount a small file system");
        eprintln!("not tested here: no right to mount a small file system");
        None
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let mounted = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(mounted.is_ok_and(|status| status.success()), "{how}");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_or_read_only_disk_is_told_within_seconds() {
    let desk = Desk::open();
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(&folder.path().join("small")) else { return };
    let log = small.0.join("log");
    let sections = format!("{}[audit]\nfolder = {log:?}\n", desk.sections(folder.path()));
    let program = start(Settings { sections, ..Settings::default() });
    a_full_tile(&program, &log).await;
    let filler = small.0.join("filler");
    let quick = each(
        &program,
        &desk,
        &[
            Case {
                what: "a disk that is nearly full",
                kind: "log.disk_nearly_full",
                says: &[("folder", "mirror")],
                hands: &|| {
                    // Until nothing more goes in, and a little back.
                    let _ = fs::write(&filler, vec![7_u8; 16 << 20]);
                    let all = fs::metadata(&filler).unwrap().len();
                    fs::File::options()
                        .write(true)
                        .open(&filler)
                        .unwrap()
                        .set_len(all - (200 << 10))
                        .unwrap();
                },
            },
            Case {
                what: "a file system that is read-only",
                kind: "log.read_only",
                says: &[("folder", "mirror")],
                hands: &|| {
                    fs::remove_file(&filler).unwrap();
                    small.remount("ro");
                },
            },
        ],
    )
    .await;
    assert!(quick > 0, "nobody was told within five seconds");
    // It goes on without its files, says so, and makes up for them.
    assert!(testkit::Client::new(program.ops_port).get("/ready").await.text().contains("mirror"));
    program.client().get("/account/sign-in").await.expect(200);
    small.remount("rw");
    let before = size(&log);
    program.client().get("/").await;
    for _ in 0..800 {
        if size(&log) > before && program.output(&["audit", "verify"]).status.success() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the files do not follow again: {before}");
}

/// Debian's libfaketime, if it is there.
fn faketime() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists());
    if found.is_none() {
        #[expect(clippy::disallowed_methods, reason = "a test may ask where it runs")]
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "CI has libfaketime (cargo xtask test installs it)");
        eprintln!("not tested here: there is no libfaketime");
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_set_back_is_told() {
    let Some(library) = faketime() else { return };
    let desk = Desk::open();
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    fs::write(&offset, "+0\n").unwrap();
    let mut program = start(Settings { sections: desk.sections(folder.path()), ..Settings::default() });
    assert!(program.stop());
    program.run_with(&[
        ("LD_PRELOAD", library.as_os_str()),
        ("FAKETIME_TIMESTAMP_FILE", offset.as_os_str()),
        ("FAKETIME_NO_CACHE", "1".as_ref()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref()),
    ]);
    let quick = each(
        &program,
        &desk,
        &[Case {
            what: "a clock that is set back",
            kind: "log.clock_stepped_back",
            says: &[],
            hands: &|| fs::write(&offset, "-120\n").unwrap(),
        }],
    )
    .await;
    println!("{quick} within five seconds");
    let by = newest(&program, "log.clock_stepped_back")["by_ms"].as_u64().unwrap();
    assert!((110_000..200_000).contains(&by), "{by}");
}
