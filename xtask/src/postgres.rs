//! A private PostgreSQL server in a temporary folder, for as long as the tests run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::tools;

/// A running server; stopped and removed on drop.
pub(crate) struct Postgres {
    folder: PathBuf,
    bin: PathBuf,
    /// Superuser URL.
    pub(crate) url: String,
}

impl Postgres {
    /// Makes a cluster in a new temporary folder and starts it on a free loopback port.
    pub(crate) fn start() -> Result<Self> {
        let bin = newest_installation()?;
        let folder = std::env::temp_dir().join(format!("fortissimo-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        if tools::is_root() {
            // initdb refuses to run as root; Debian's package brings the user "postgres".
            tools::run(Command::new("chown").arg("postgres").arg(&folder))?;
        }
        let data = folder.join("data");
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let server = Self { url: format!("postgres://postgres@127.0.0.1:{port}/postgres"), folder, bin };
        server.tool(
            "initdb",
            &["-D", path(&data)?, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
        )?;
        // Durability is the disk's business here; the tests kill our program, not this server.
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off \
             -c synchronous_commit=on -c full_page_writes=off -c max_connections=300",
            path(&server.folder)?
        );
        let log = server.folder.join("log");
        server.tool("pg_ctl", &["-D", path(&data)?, "-w", "-l", path(&log)?, "-o", &options, "start"])?;
        Ok(server)
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let binary = self.bin.join(name);
        let mut command = if tools::is_root() {
            let mut runuser = Command::new("runuser");
            runuser.args(["-u", "postgres", "--"]).arg(&binary);
            runuser
        } else {
            Command::new(&binary)
        };
        tools::run(command.args(arguments).current_dir(&self.folder).stdout(Stdio::null()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(data) = path(&self.folder.join("data")).map(str::to_owned) {
            let _ = self.tool("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("the temporary folder's name is not UTF-8")
}

fn newest_installation() -> Result<PathBuf> {
    let mut versions: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).exists())
        .collect();
    versions.sort_unstable();
    let newest = versions.pop().context("PostgreSQL's server is not installed")?;
    ensure!(newest >= 15, "PostgreSQL {newest} is too old: 15 or newer is needed");
    Ok(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin")))
}
