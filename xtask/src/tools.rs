//! Outside tools: found if they are there, installed from Debian, PyPI and npm if not.
//! Everything but Debian's packages lands under `target/xtask`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Where the tools of the tests are.
pub(crate) struct Tools {
    pub(crate) python: PathBuf,
    pub(crate) node_modules: PathBuf,
    pub(crate) chromium: PathBuf,
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// The folder for everything that xtask makes.
pub(crate) fn own_folder() -> Result<PathBuf> {
    let folder = root().join("target/xtask");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Runs a command to its end; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Installs everything that the tests need.
pub(crate) fn prepare_all() -> Result<Tools> {
    debian(&[
        ("/usr/lib/postgresql", "postgresql"),
        ("/usr/bin/chromium", "chromium"),
        ("/usr/bin/ffmpeg", "ffmpeg"),
        ("/usr/bin/cvc5", "cvc5"),
        ("/usr/bin/hydra", "hydra"),
        ("/usr/bin/node", "nodejs"),
        ("/usr/bin/npm", "npm"),
        ("/usr/bin/curl", "curl"),
        ("/usr/bin/openssl", "openssl"),
        ("/usr/bin/python3", "python3"),
        ("/usr/sbin/rsyslogd", "rsyslog"),
        ("/usr/share/doc/rsyslog-openssl", "rsyslog-openssl"),
        ("/usr/share/doc/libfaketime", "libfaketime"),
    ])?;
    // Debian's Python comes without what makes environments.
    if !answers("python3", &["-m", "ensurepip", "--version"]) {
        debian(&[("/nonexistent", "python3-venv")])?;
    }
    let python = python(&["tests/requirements.txt", "examples/fastapi-studio/requirements.txt"])?;
    let node_modules =
        npm(&["playwright-core@1.64.1", "oidc-provider@9.13.3", "axe-core@4.14.1", "jose@6.2.17"])?;
    Ok(Tools { python, node_modules, chromium: PathBuf::from("/usr/bin/chromium") })
}

/// Installs Debian packages whose probe file is missing. `node` and the like may also be elsewhere
/// on the PATH.
pub(crate) fn debian(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(probe, _)| !Path::new(probe).exists() && !on_path(probe))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("xtask: installing Debian packages: {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = if is_root() {
            Command::new("apt-get")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.arg("apt-get");
            sudo
        };
        run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install).with_context(|| format!("install these by hand: {}", missing.join(" ")))
}

fn on_path(probe: &str) -> bool {
    let Some(name) = Path::new(probe).file_name() else { return false };
    answers(name, &["--version"])
}

/// Whether a program is there and does not refuse.
fn answers(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether we run as root (then apt-get works as it is, and PostgreSQL must run as somebody else).
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// A virtual environment with the requirements of the given files; remade when they change.
fn python(requirement_files: &[&str]) -> Result<PathBuf> {
    let venv = own_folder()?.join("venv");
    let python = venv.join("bin/python");
    let mut wanted = String::new();
    for file in requirement_files {
        let path = root().join(file);
        wanted +=
            &std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let stamp = venv.join("requirements.stamp");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    println!("xtask: making the Python environment");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in requirement_files {
        pip.arg("-r").arg(root().join(file));
    }
    run(&mut pip)?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

/// npm packages, installed into our own folder; returns its `node_modules`.
fn npm(packages: &[&str]) -> Result<PathBuf> {
    let folder = own_folder()?.join("node");
    std::fs::create_dir_all(&folder)?;
    let stamp = folder.join("packages.stamp");
    let wanted = packages.join("\n");
    if !std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        println!("xtask: installing npm packages: {}", packages.join(" "));
        std::fs::write(folder.join("package.json"), "{\"private\":true}\n")?;
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"])
            .args(packages)
            .current_dir(&folder))?;
        std::fs::write(&stamp, wanted)?;
    }
    Ok(folder.join("node_modules"))
}

/// Makes sure that cargo-deny is there; builds it from crates.io into our own folder if not.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    if answers("cargo-deny", &["--version"]) {
        return Ok(PathBuf::from("cargo-deny"));
    }
    let folder = own_folder()?;
    let binary = folder.join("bin/cargo-deny");
    if !binary.exists() {
        println!("xtask: building cargo-deny (once)");
        run(Command::new("cargo")
            .args(["install", "--quiet", "--locked", "cargo-deny@0.20.2", "--root"])
            .arg(&folder))?;
    }
    if !binary.exists() {
        bail!("cargo-deny was built but is not at {}", binary.display());
    }
    Ok(binary)
}

/// The folder of test data beside the checkout, if there is one.
pub(crate) fn test_data() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the test runner is configured by its environment")]
    let named = std::env::var_os("FORTISSIMO_TEST_DATA").map(PathBuf::from);
    named.or_else(|| root().parent().map(|above| above.join("shared/data"))).filter(|folder| folder.exists())
}

/// Whether this is a CI run, where nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the test runner is configured by its environment")]
    std::env::var_os("CI").is_some_and(|value| value == "true")
}
