//! The programs that are measured: ours, and nginx as upstream and as the peer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tools;

/// The crates' own benchmarks.
pub(crate) const MICRO: &[(&str, &str)] = &[
    ("fortissimo-guard", "throttle"),
    ("fortissimo-guard", "pipeline"),
    ("fortissimo-identity", "sign_in"),
    ("fortissimo-store", "commit"),
];

/// Rate limits on, but wide enough that one load generator does not meet them.
pub(crate) const WIDE_LIMITS: &str = include_str!("wide_limits.toml");

const NAME: &str = "bench";
/// The password of both accounts.
const PASSWORD: &str = "a measured amount of patience";
/// Signs in again and again while the other account's token is measured.
const FLOODER: &str = "flooder";
/// `PASSWORD` as another system kept it; the first sign-in replaces it by our own hash.
const IMPORTED: &str = "{SSHA256}UN1xzTjXPqlLp7lkFPwAPZ+wivm7RdwnSFvgJ6Wo29liZW5jaHNhbHQ=";

/// An nginx of our own in a temporary folder.
pub(crate) struct Nginx {
    child: Child,
    folder: PathBuf,
    pub(crate) port: u16,
}

impl Nginx {
    /// Answers every GET with a small body.
    pub(crate) fn static_server() -> Result<Self> {
        Self::start(
            r#"location / { default_type text/plain; return 200 "a small answer from the service behind\n"; }"#,
            "",
        )
    }

    /// Passes everything on to the given port with kept-alive connections.
    pub(crate) fn proxy_to(port: u16) -> Result<Self> {
        Self::start(
            r#"location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }"#,
            &format!("upstream behind {{ server 127.0.0.1:{port}; keepalive 64; }}"),
        )
    }

    fn start(location: &str, upstream: &str) -> Result<Self> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("fortissimo-nginx-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let at = folder.display();
        let config = format!(
            "worker_processes 2; daemon off; master_process on; pid {at}/pid; error_log {at}/error.log;
             events {{ worker_connections 1024; }}
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {at}/b; proxy_temp_path {at}/p;
               fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
               {upstream} server {{ listen 127.0.0.1:{port}; {location} }} }}"
        );
        std::fs::write(folder.join("nginx.conf"), config)?;
        let child = Command::new("nginx")
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .spawn()
            .context("cannot start nginx")?;
        let server = Self { child, folder, port };
        answers(port, "/", Duration::from_secs(5))?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Our own release binary on an empty folder.
pub(crate) struct Fortissimo {
    child: Child,
    folder: PathBuf,
    port: u16,
    ops: u16,
    setup_link: String,
    pub(crate) url: String,
    /// From the start of the process to the first answered request.
    pub(crate) first_answer: Duration,
}

impl Fortissimo {
    /// Starts it, in front of `upstream` if one is given, with more configuration at the end of the file.
    pub(crate) fn start(upstream: Option<&str>, more: &str) -> Result<Self> {
        Self::start_in(&std::env::temp_dir(), upstream, more)
    }

    /// As [`Fortissimo::start`], with its data below this folder.
    pub(crate) fn start_in(above: &Path, upstream: Option<&str>, more: &str) -> Result<Self> {
        let (port, ops) = (free_port()?, free_port()?);
        let folder = above.join(format!("fortissimo-bench-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let data = folder.join("data");
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nops_listen = \"127.0.0.1:{ops}\"\ndata_dir = {data:?}\n\
             public_url = \"http://127.0.0.1:{port}\"\n[database]\nurl = \"sqlite:{}\"\n{more}\n",
            data.join("fortissimo.db").display()
        );
        if let Some(upstream) = upstream {
            config += &format!(
                "[[route]]\npath = \"/public/**\"\nupstream = \"{upstream}\"\naccess = \"public\"\n\
                 [[route]]\npath = \"/**\"\nupstream = \"{upstream}\"\naccess = \"track:read\"\n"
            );
        }
        std::fs::write(folder.join("fortissimo.toml"), config)?;
        let begun = Instant::now();
        let mut child = Command::new(tools::root().join("target/release/fortissimo"))
            .args(["serve", "--config"])
            .arg(folder.join("fortissimo.toml"))
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("stderr"))?)
            .spawn()
            .context("cannot start fortissimo")?;
        answers(port, "/account/sign-in", Duration::from_secs(10))?;
        let first_answer = begun.elapsed();
        let setup_link = setup_link(&mut child)?;
        Ok(Self {
            child,
            folder,
            port,
            ops,
            setup_link,
            url: format!("http://127.0.0.1:{port}"),
            first_answer,
        })
    }

    /// Makes the operator's account and signs in; returns an access token.
    pub(crate) fn signed_in(&self) -> Result<String> {
        let token = self.setup_link.split("code=").nth(1).context("the set-up link holds no token")?;
        let body = serde_json::json!({"code": token, "username": NAME, "email": "bench@example.com", "password": PASSWORD});
        self.post("/auth/setup", &body.to_string())?;
        self.sign_in()
    }

    /// Signs in; returns an access token.
    pub(crate) fn sign_in(&self) -> Result<String> {
        self.token("access_token")
    }

    /// Signs in; returns a refresh token.
    pub(crate) fn refresh_token(&self) -> Result<String> {
        self.token("refresh_token")
    }

    fn token(&self, which: &str) -> Result<String> {
        let answer = self.post(
            "/auth/login",
            &serde_json::json!({"identifier": NAME, "password": PASSWORD}).to_string(),
        )?;
        let document: serde_json::Value = serde_json::from_str(&answer)?;
        Ok(document[which].as_str().context("the sign-in gave no token")?.to_owned())
    }

    /// Makes a second account.
    pub(crate) fn add_flooder(&self) -> Result<()> {
        let line = serde_json::json!({"username": FLOODER, "email": "flooder@example.com", "email_verified": true,
            "password_hash": IMPORTED});
        let file = self.folder.join("people.jsonl");
        std::fs::write(&file, format!("{line}\n"))?;
        tools::run(
            Command::new(tools::root().join("target/release/fortissimo"))
                .args(["account", "import"])
                .arg(&file)
                .arg("--config")
                .arg(self.folder.join("fortissimo.toml"))
                .stdout(Stdio::null()),
        )
    }

    /// One of its metrics; 0 as long as it was never touched.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let (_, page) = exchange(self.ops, request)?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map(|number| number.trim().parse()).transpose()?.unwrap_or_default())
    }

    /// Resident set size in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        self.status_kib("VmRSS:")
    }

    /// The largest resident set size since the start, or since [`Fortissimo::forget_peak`], in KiB.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        self.status_kib("VmHWM:")
    }

    /// Lets the largest resident set size begin anew (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    fn status_kib(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).context("no such figure in status")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    fn post(&self, path: &str, body: &str) -> Result<String> {
        let (status, answer) = exchange(
            self.port,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                self.port,
                body.len()
            ),
        )?;
        if !(200..300).contains(&status) {
            bail!("POST {path} was answered with {status}: {answer}");
        }
        Ok(answer)
    }
}

impl Drop for Fortissimo {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// wrk's script for password sign-ins of the second account.
pub(crate) fn sign_in_script() -> Result<PathBuf> {
    let path = tools::own_folder()?.join("sign_in.lua");
    let body = serde_json::json!({"identifier": FLOODER, "password": PASSWORD});
    std::fs::write(
        &path,
        format!(
            "wrk.method = \"POST\"\nwrk.body = [[{body}]]\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"
        ),
    )?;
    Ok(path)
}

/// The set-up link that `serve` prints.
fn setup_link(child: &mut Child) -> Result<String> {
    let stdout = child.stdout.take().context("no output to read")?;
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if let Some(link) = line.split_whitespace().find(|word| word.contains("/account/setup?code=")) {
            let link = link.to_owned();
            // Keep reading, so that the program never blocks on a full pipe.
            std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
            return Ok(link);
        }
        line.clear();
    }
    bail!("fortissimo printed no set-up link")
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Waits until a GET is answered.
fn answers(port: u16, path: &str, limit: Duration) -> Result<()> {
    let begun = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    while begun.elapsed() < limit {
        if exchange(port, &request).is_ok() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "waits for another process, on no async thread")]
        std::thread::sleep(Duration::from_millis(2));
    }
    bail!("nothing answered on port {port} within {limit:?}")
}

fn exchange(port: u16, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no complete answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}
