//! The product's own binary on a temporary folder.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Client, code_in, raw, wait_for_mail};

/// A port that was free a moment ago, and that this process has not named before. Below those that the system gives to
/// whoever connects, one of which would otherwise be taken in the meantime now and then.
///
/// # Panics
/// If no port is free.
pub fn free_port() -> u16 {
    static NAMED: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const MANY: u32 = 12_000;
    let own = std::process::id().wrapping_mul(97);
    let mut ports = std::iter::repeat_with(|| {
        let next = own.wrapping_add(NAMED.fetch_add(1, Ordering::Relaxed));
        u16::try_from(FIRST + next % MANY).expect("below 32,000")
    });
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.by_ref().take(MANY as usize).find(free).expect("a free port")
}

/// How the program is started.
#[derive(Clone, Default)]
pub struct Settings {
    /// Lines for `[server]`.
    pub server: String,
    /// Further sections, for example routes.
    pub sections: String,
    /// Database URL; the embedded default if empty.
    pub database: String,
    /// Database URL for migrations, if another role makes them.
    pub migrate: String,
    /// Keep the rate limits on (off otherwise: tests are impatient).
    pub limits: bool,
    /// Keep mail in the sealed outbox (written as plain files otherwise).
    pub sealed_mail: bool,
}

/// The running program.
pub struct Program {
    binary: PathBuf,
    settings: Settings,
    child: Option<Child>,
    folder: tempfile::TempDir,
    output: Arc<Mutex<String>>,
    /// Public port.
    pub port: u16,
    /// Port of `/health`, `/ready`, `/metrics`.
    pub ops_port: u16,
}

impl Program {
    /// Starts the binary on a new folder and waits until it answers.
    pub fn start(binary: &str, settings: Settings) -> Self {
        let mut program = Self::prepare(binary, settings);
        program.run();
        program
    }

    fn prepare(binary: &str, settings: Settings) -> Self {
        let folder =
            tempfile::Builder::new().prefix("fortissimo-test-").tempdir().expect("a temporary folder");
        let program = Self {
            binary: PathBuf::from(binary),
            settings,
            child: None,
            folder,
            output: Arc::default(),
            port: free_port(),
            ops_port: free_port(),
        };
        program.write_configuration();
        program
    }

    /// Starts a second node on the same database: its own folder and ports, the first one's root key.
    pub fn start_beside(settings: Settings, first: &Self) -> Self {
        let mut program = Self::prepare(&first.binary.display().to_string(), settings);
        // Whichever node delivers a message, it is found where the first one keeps its own.
        let own = format!("{:?}", program.folder().join("mail"));
        let text = std::fs::read_to_string(program.configuration()).expect("the configuration was written");
        let text = text.replace(&own, &format!("{:?}", first.folder().join("mail")));
        std::fs::write(program.configuration(), text).expect("the configuration is written");
        std::fs::create_dir_all(program.data()).expect("a data folder");
        std::fs::set_permissions(program.data(), PermissionsExt::from_mode(0o700)).expect("its mode");
        std::fs::copy(first.data().join("root.key"), program.data().join("root.key"))
            .expect("the root key is copied");
        program.run();
        program
    }

    /// The temporary folder: configuration, `data/`, `mail/`, `stderr`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder().join("fortissimo.toml")
    }

    fn write_configuration(&self) {
        let (port, ops, data) = (self.port, self.ops_port, self.data());
        let database = match self.settings.database.as_str() {
            "" => format!("sqlite:{}", data.join("fortissimo.db").display()),
            url => url.to_owned(),
        };
        let migrate = match self.settings.migrate.as_str() {
            "" => String::new(),
            url => format!("migrate_url = \"{url}\"\n"),
        };
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nops_listen = \"127.0.0.1:{ops}\"\ndata_dir = {data:?}\n\
             public_url = \"http://localhost:{port}\"\n{}\n[database]\nurl = \"{database}\"\n{migrate}[limits]\nenabled = {}\n",
            self.settings.server, self.settings.limits
        );
        if !self.settings.sealed_mail {
            text += &format!("[mail]\noutbox_dir = {:?}\n", self.folder().join("mail"));
        }
        std::fs::write(self.configuration(), text + &self.settings.sections)
            .expect("the configuration is written");
    }

    /// Starts the program again on the same folder and ports.
    pub fn run(&mut self) {
        self.run_with(&[]);
    }

    /// As [`Program::run`], with these variables in its environment.
    pub fn run_with(&mut self, environment: &[(&str, &OsStr)]) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder().join("stderr"));
        let mut child = self
            .command(&["serve"])
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log file"))
            .spawn()
            .expect("the program can be started");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let output = Arc::clone(&self.output);
        std::thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
                output.lock().expect("nobody panics with it").push_str(&line);
                line.clear();
            }
            let _ = stdout.read_to_string(&mut line);
        });
        self.child = Some(child);
        let begun = Instant::now();
        loop {
            let answer = std::net::TcpStream::connect(("127.0.0.1", self.port)).map(|_| {
                raw(
                    self.port,
                    b"GET /account/sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                )
            });
            if answer.is_ok_and(|text| text.starts_with("HTTP/1.1 200")) {
                return;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(20),
                "does not answer:\n{}",
                self.log()
            );
            #[expect(
                clippy::disallowed_methods,
                reason = "waits for another process before the test begins"
            )]
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A command of the same binary with the same configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--config").arg(self.configuration()).current_dir(self.folder());
        command
    }

    /// Runs a command of the same binary to its end.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program can be started")
    }

    /// What it printed so far.
    pub fn printed(&self) -> String {
        self.output.lock().expect("nobody panics with it").clone()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("stderr")).unwrap_or_default()
    }

    /// Kills it where it stands (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop (SIGTERM) and waits for its end; gives whether it ended well.
    pub fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return true };
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        child.wait().is_ok_and(|status| status.success())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Resident memory in KiB, from the kernel.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
    }

    /// A client of the public port.
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// The code of the set-up link that it printed.
    ///
    /// # Panics
    /// If it prints none within 5 seconds.
    pub async fn setup_code(&self) -> String {
        for _ in 0..250 {
            let printed = self.printed();
            if printed.contains("/account/setup?code=") {
                return code_in(&printed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no set-up link was printed:\n{}\n{}", self.printed(), self.log());
    }

    /// Makes the first operator and signs in; gives the whole answer of the sign-in.
    pub async fn operator(&self) -> serde_json::Value {
        let setup = json!({
            "code": self.setup_code().await, "username": "operator", "email": "operator@example.com",
            "password": OPERATOR_PASSWORD,
        });
        self.client().post("/auth/setup", setup).await.expect(201);
        self.sign_in("operator", OPERATOR_PASSWORD).await
    }

    /// Registers, verifies by the mailed link and signs in; gives the whole answer of the sign-in.
    pub async fn artist(&self, name: &str) -> serde_json::Value {
        let email = format!("{name}@example.com");
        let wish = json!({"username": name, "email": email, "password": ARTIST_PASSWORD});
        self.client().post("/auth/register", wish).await.expect(202);
        let mail = wait_for_mail(&self.folder().join("mail"), &[&email, "/account/verify?code="]).await;
        self.client()
            .post("/auth/verify-email", json!({"code": code_in(&mail), "password": ARTIST_PASSWORD}))
            .await
            .expect(200);
        self.sign_in(name, ARTIST_PASSWORD).await
    }

    /// Signs in with name and password.
    pub async fn sign_in(&self, name: &str, password: &str) -> serde_json::Value {
        let answer =
            self.client().post("/auth/login", json!({"identifier": name, "password": password})).await;
        answer.expect(200).json()
    }
}

/// The first operator's password in tests.
const OPERATOR_PASSWORD: &str = "an operator keeps good notes";
/// The password of every artist that [`Program::artist`] makes.
pub const ARTIST_PASSWORD: &str = "violet thunder under the bridge";

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the program's log ---\n{}", self.log());
        }
    }
}
