//! Outside programs: Python services, Node scripts, the browser.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A path that `cargo xtask test` names in the environment. `None` (with a line that says so) if the tests run
/// without it.
///
/// # Panics
/// In CI, where nothing may be skipped.
pub fn test_tool(variable: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the test runner names its tools in the environment")]
    let (found, ci) =
        (std::env::var_os(variable), std::env::var_os("CI").is_some_and(|value| value == "true"));
    if found.is_none() {
        assert!(!ci, "{variable} is not set: run `cargo xtask test`");
        eprintln!("not tested here: {variable} is not set (cargo xtask test sets it)");
    }
    found.map(PathBuf::from)
}

/// Python with the packages of `tests/requirements.txt`.
pub fn python() -> Option<PathBuf> {
    test_tool("FORTISSIMO_TEST_PYTHON")
}

/// The folder of npm packages.
pub fn node_modules() -> Option<PathBuf> {
    test_tool("FORTISSIMO_TEST_NODE_MODULES")
}

/// The browser.
pub fn chromium() -> Option<PathBuf> {
    test_tool("FORTISSIMO_TEST_CHROMIUM")
}

/// Runs a Node script to its end with our npm packages; gives its output.
///
/// # Panics
/// If the script fails; the message shows what it printed.
pub fn node(script: &Path, environment: &[(&str, &str)]) -> Option<String> {
    let (modules, chromium) = (node_modules()?, chromium()?);
    let output = Command::new("node")
        .arg(script)
        .env("NODE_PATH", &modules)
        .env("CHROMIUM", &chromium)
        .envs(environment.iter().copied())
        .output()
        .expect("node can be started");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} failed:\n{text}", script.display());
    Some(text)
}

/// An outside server process, killed on drop.
pub struct Service {
    child: Child,
    /// Its loopback port.
    pub port: u16,
}

impl Service {
    /// Starts a command that listens on `port`, and waits until it does.
    ///
    /// # Panics
    /// If it does not listen within 20 seconds.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).spawn().expect("the service can be started");
        let mut service = Self { child, port };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                service.child.try_wait().expect("a child can be asked").is_none(),
                "the service has ended"
            );
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing listens on port {port}");
            #[expect(
                clippy::disallowed_methods,
                reason = "waits for another process before the test begins"
            )]
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
