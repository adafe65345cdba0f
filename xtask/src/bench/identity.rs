//! Signing in: memory under a flood of passwords, tokens issued beside npm's `oidc-provider`, tokens checked beside a raw
//! signature, and whether known names can be told from unknown ones.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::load::Load;
use super::peers::{self, Fortissimo};
use super::report::Report;
use super::{Effort, ROUNDS, median};
use crate::tools;

/// One block of memory for a password hash.
const HASH_BLOCK_KIB: u64 = 19 * 1024;
/// Connections that refresh.
const CONNECTIONS: u32 = 32;
/// Refresh tokens to begin with: enough for every connection while its answer is on the way.
const TOKENS: usize = 64;
/// A file system in memory.
const MEMORY: &str = "/dev/shm";

/// Measures all of it.
pub(crate) fn measure(report: &mut Report, effort: &Effort) -> Result<()> {
    super::programs()?;
    flood(report, effort.seconds)?;
    report.run("fortissimo-identity", "tokens", &[])?;
    report.run("fortissimo-identity", "indistinguishable", &[])
}

/// What passwords that flood in cost in memory, beyond the blocks that hashing needs.
fn flood(report: &mut Report, seconds: u32) -> Result<()> {
    let server = Fortissimo::start(None, peers::WIDE_LIMITS)?;
    let sign_in = format!("{}/auth/login", server.url);
    at_rest();
    let idle = server.resident_kib()?;
    server.signed_in()?;
    server.add_flooder()?;
    let script = peers::sign_in_script()?;
    server.forget_peak()?;
    Load { url: &sign_in, header: "", connections: 32, seconds, script: Some(&script) }.run()?;
    let peak = server.peak_kib()?;
    let pool = HASH_BLOCK_KIB * std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    report.row(
        "Peak memory in a flood of password sign-ins (32 connections), above idle and the hash pool",
        "≤ 50 MB",
        format!(
            "{:.0} MB (idle {:.0}, pool {:.0}, peak {:.0})",
            mb(peak.saturating_sub(idle + pool)),
            mb(idle),
            mb(pool),
            mb(peak)
        ),
    );
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the measurement waits for the program to be at rest")]
fn at_rest() {
    std::thread::sleep(Duration::from_secs(3));
}

/// The refresh grant with rotation, one ES256 signature each, by whoever comes first to 32 connections.
pub(super) fn refreshing(report: &mut Report, effort: &Effort) -> Result<()> {
    super::programs()?;
    let seconds = effort.seconds;
    let modules = tools::prepare_all()?.node_modules;
    let durable = Fortissimo::start(None, peers::WIDE_LIMITS)?;
    durable.signed_in()?;
    let memory = Path::new(MEMORY);
    let volatile =
        memory.exists().then(|| Fortissimo::start_in(memory, None, peers::WIDE_LIMITS)).transpose()?;
    if let Some(volatile) = &volatile {
        volatile.signed_in()?;
    }
    let (mut theirs, mut lean) = (Vec::new(), Vec::new());
    let (mut ours, mut ours_volatile) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(Provider::start(&modules, "")?.refresh(seconds)?);
        lean.push(Provider::start(&modules, "lean")?.refresh(seconds)?);
        ours.push(refresh(&durable, seconds)?);
        if let Some(volatile) = &volatile {
            ours_volatile.push(refresh(volatile, seconds)?);
        }
    }
    let (theirs, lean, ours) = (median(&mut theirs), median(&mut lean), median(&mut ours));
    let row = |of: f64, peer: f64| format!("{:.1} ({of:.0}/s, oidc-provider {peer:.0}/s)", of / peer);
    let what = "Tokens issued by refresh with rotation (32 connections), of npm oidc-provider";
    if !ours_volatile.is_empty() {
        let ours = median(&mut ours_volatile);
        let what = format!("{what} in volatile mode");
        report.row(
            &format!("{what}, its own memory adapter; ours on a memory file system"),
            "≥ 3",
            row(ours, theirs),
        );
        report.row(&format!("{what}, with an adapter that only keeps"), "beside it", row(ours, lean));
    }
    report.row(
        &format!("{what}, its own memory adapter; ours durable, on disk before the answer"),
        "beside it",
        row(ours, theirs),
    );
    Ok(())
}

/// Our own refreshes in a second.
fn refresh(server: &Fortissimo, seconds: u32) -> Result<f64> {
    let tokens = (0..TOKENS).map(|_| server.refresh_token()).collect::<Result<Vec<_>>>()?;
    let script = script("ours", &tokens, "application/json", r#"'{"refresh_token":"' .. token .. '"}'"#)?;
    let url = format!("{}/auth/refresh", server.url);
    let load = Load { url: &url, header: "", connections: CONNECTIONS, seconds, script: Some(&script) };
    Ok(load.run()?.per_second)
}

/// wrk's script: a queue of refresh tokens; every answer brings the next one. Which connection a token is used on does not
/// matter.
fn script(whose: &str, tokens: &[String], kind: &str, body: &str) -> Result<PathBuf> {
    let folder = tools::own_folder()?;
    let list = folder.join(format!("refresh-{whose}.txt"));
    std::fs::write(&list, tokens.join("\n"))?;
    let path = folder.join(format!("refresh-{whose}.lua"));
    std::fs::write(
        &path,
        format!(
            "local queue, first, last = {{}}, 1, 0\n\
             for line in io.lines([[{}]]) do last = last + 1; queue[last] = line end\n\
             request = function()\n\
               local token = queue[first]; queue[first] = nil; first = first + 1\n\
               return wrk.format('POST', nil, {{['Content-Type'] = '{kind}'}}, {body})\n\
             end\n\
             response = function(status, headers, body)\n\
               local token = string.match(body, '\"refresh_token\":\"([^\"]+)\"')\n\
               if token then last = last + 1; queue[last] = token end\n\
             end\n",
            list.display()
        ),
    )?;
    Ok(path)
}

/// npm's `oidc-provider`, everything in memory: in the adapter that it brings, or in a leaner one.
struct Provider {
    child: Child,
    port: u16,
    tokens: Vec<String>,
}

impl Provider {
    fn start(modules: &Path, adapter: &str) -> Result<Self> {
        let port = peers::free_port()?;
        let mut child = Command::new("node")
            .arg(tools::root().join("tests/openid/oidc_bench.mjs"))
            .args([&port.to_string(), &TOKENS.to_string(), adapter])
            .env("NODE_PATH", modules)
            .env("NODE_ENV", "production")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start node")?;
        let stdout = child.stdout.take().context("no output to read")?;
        let mut server = Self { child, port, tokens: Vec::new() };
        for line in BufReader::new(stdout).lines() {
            match line?.as_str() {
                "ready" => break,
                // It warns on the same stream.
                words if words.contains(' ') => {}
                token => server.tokens.push(token.to_owned()),
            }
        }
        ensure!(server.tokens.len() == TOKENS, "oidc-provider gave {} refresh tokens", server.tokens.len());
        Ok(server)
    }

    fn refresh(&self, seconds: u32) -> Result<f64> {
        let body = "'grant_type=refresh_token&client_id=bench&client_secret=a-secret-of-the-bench-0123456789\
                    &refresh_token=' .. token";
        let script = script("theirs", &self.tokens, "application/x-www-form-urlencoded", body)?;
        let url = format!("http://127.0.0.1:{}/token", self.port);
        let load = Load { url: &url, header: "", connections: CONNECTIONS, seconds, script: Some(&script) };
        Ok(load.run()?.per_second)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
