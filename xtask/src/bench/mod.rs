//! `cargo xtask bench`: the whole program under load beside its peers, in one run on one machine.
//!
//! Writes ratios, not absolute times: the machine changes, the ratio stays. The micro measurements
//! (`cargo bench`) are run too and their output is shown.

mod audit;
mod identity;
mod load;
mod peers;
mod report;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::tools;
use load::{Load, Measured};
use peers::{Fortissimo, Nginx};
use report::Report;

/// Rounds of each comparison; the peers take turns, so that a slow minute hits both.
const ROUNDS: usize = 3;

/// Records that are durable and wait for the log.
const PUT_OFF: &str = "fortissimo_audit_put_off";

/// One part of the whole measurement.
type Part = fn(&mut Report, &Effort) -> Result<()>;

/// The parts in the order of the page; `--only` takes one name. Those that measure our own program build it first.
const PARTS: &[(&str, Part)] = &[
    ("gateway", gateway),
    ("identity", identity::measure),
    ("refresh", identity::refreshing),
    ("audit", audit::measure),
    ("search", audit::search),
    ("access", access),
    ("micro", micro),
];

/// How much is measured.
pub(crate) struct Effort {
    /// Seconds for each load run.
    pub(crate) seconds: u32,
    /// Events that go through the audit trail, or lie in the log that is searched; each part has its own default.
    pub(crate) events: Option<u64>,
}

/// Measures everything, or one part, and writes it to docs/performance.md.
pub(crate) fn run(effort: &Effort, only: Option<&str>) -> Result<()> {
    if only == Some("login-risk") {
        return login_risk();
    }
    let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    ensure!(
        only.is_none_or(|only| names.contains(&only)),
        "there is no part {}; parts are: {}, login-risk",
        only.unwrap_or_default(),
        names.join(", ")
    );
    let page = tools::root().join("docs/performance.md");
    let mut failed = Vec::new();
    for (name, part) in PARTS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let mut report = Report::default();
        // One that fails does not take the others with it, and stays on the page as it was.
        match part(&mut report, effort) {
            Ok(()) => report.write(&page, &names, name)?,
            Err(error) => {
                eprintln!("bench: {name} failed: {error:#}");
                failed.push(*name);
            }
        }
    }
    ensure!(failed.is_empty(), "these parts failed: {}", failed.join(", "));
    Ok(())
}

/// The load generator, the peer, and our own program as it is released.
fn programs() -> Result<()> {
    tools::debian(&[("/usr/sbin/nginx", "nginx-light"), ("/usr/bin/wrk", "wrk")])?;
    tools::run(Command::new("cargo").current_dir(tools::root()).args([
        "build",
        "--release",
        "--package",
        "fortissimo",
    ]))
}

/// The program under load, beside nginx.
fn gateway(report: &mut Report, effort: &Effort) -> Result<()> {
    programs()?;
    start_up(report)?;
    proxying(report, effort.seconds)?;
    sign_ins(report, effort.seconds)
}

/// Decisions and lists beside plain Cedar and Casbin; the crate's own bench measures.
fn access(report: &mut Report, _: &Effort) -> Result<()> {
    report.run("fortissimo-access", "decide", &[])
}

/// The risk of sign-ins on the development set; needs no server.
fn login_risk() -> Result<()> {
    tools::run(Command::new("cargo").current_dir(tools::root()).args([
        "run",
        "--release",
        "--quiet",
        "-p",
        "fortissimo-threat",
        "--example",
        "login_risk",
    ]))
}

/// From the start on an empty folder to the first answered request, and memory at rest.
fn start_up(report: &mut Report) -> Result<()> {
    let mut starts = Vec::new();
    let mut resident = 0;
    for _ in 0..ROUNDS {
        let server = Fortissimo::start(None, "")?;
        starts.push(server.first_answer.as_millis());
        pause(Duration::from_secs(2));
        resident = server.resident_kib()?;
    }
    starts.sort_unstable();
    report.row(
        "Start on an empty folder to first answered request",
        "< 1 s",
        format!("{} ms", starts[starts.len() / 2]),
    );
    report.row("Resident memory at rest", "< 60 MB", format!("{:.1} MB", resident as f64 * 1024.0 / 1e6));
    Ok(())
}

/// A small GET through the whole pipeline, against bare nginx `proxy_pass` to the same upstream.
fn proxying(report: &mut Report, seconds: u32) -> Result<()> {
    let upstream = Nginx::static_server()?;
    let nginx = Nginx::proxy_to(upstream.port)?;
    let gateway = Fortissimo::start(Some(&upstream.url()), peers::WIDE_LIMITS)?;
    let token = gateway.signed_in()?;
    let bearer = format!("Authorization: Bearer {token}");
    let public = format!("{}/public/small", gateway.url);
    let protected = format!("{}/small", gateway.url);
    let peer = format!("http://127.0.0.1:{}/small", nginx.port);
    let bare = format!("{}/small", upstream.url());

    let many = |url: &str, header: &str| Load { url, header, connections: 32, seconds, script: None }.run();
    let one = |url: &str, header: &str| Load { url, header, connections: 1, seconds, script: None }.run();
    let (mut of_nginx, mut of_public, mut added, mut nginx_added) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut put_off, mut left_by_one, mut waits) = (0.0_f64, 0.0_f64, Vec::new());
    for _ in 0..ROUNDS {
        let base = many(&peer, "")?;
        of_nginx.push(many(&protected, &bearer)?.per_second / base.per_second);
        put_off = put_off.max(gateway.metric(PUT_OFF)?);
        of_public.push(many(&public, "")?.per_second / base.per_second);
        put_off = put_off.max(gateway.metric(PUT_OFF)?);
        // What the bursts left to be written down would be measured with them; one connection leaves next to nothing.
        waits.push(written_down(&gateway)?.as_secs_f64());
        let direct = one(&bare, "")?;
        added.push(one(&protected, &bearer)?.mean_us() - direct.mean_us());
        left_by_one = left_by_one.max(gateway.metric(PUT_OFF)?);
        written_down(&gateway)?;
        nginx_added.push(one(&peer, "")?.mean_us() - direct.mean_us());
    }
    report.row(
        "Small GET with access token, whole pipeline and audit on, of bare nginx proxy_pass (32 connections)",
        "≥ 0.5",
        format!("{:.2}", median(&mut of_nginx)),
    );
    report.row(
        "Small public GET, of bare nginx proxy_pass (32 connections)",
        "≥ 0.5",
        format!("{:.2}", median(&mut of_public)),
    );
    report.row(
        "Added to a request at one connection, the log at rest (nginx proxy_pass in the same run)",
        "≤ 60 µs",
        format!("{:.0} µs ({:.0} µs)", median(&mut added), median(&mut nginx_added)),
    );
    written_down(&gateway)?;
    report.row(
        "Records of these requests that were lost, of all",
        "0",
        format!(
            "{:.0} of {:.0}",
            gateway.metric("fortissimo_audit_dropped_total")?,
            gateway.metric("fortissimo_audit_written_total")?
        ),
    );
    report.note(format!(
        "At the end of {seconds} seconds with 32 connections up to {put_off:.0} records were durable and not yet in the log; \
         {:.1} s after two such runs all were. At the end of one connection's run at most {left_by_one:.0} were.",
        median(&mut waits)
    ));
    Ok(())
}

/// Waits until everything that was recorded is in the log, and says how long that took.
fn written_down(gateway: &Fortissimo) -> Result<Duration> {
    let begun = Instant::now();
    let (mut taken, mut looks) = (begun.elapsed(), 0);
    // Ten looks in a row that find nothing: between two transactions it may seem so.
    while looks < 10 {
        ensure!(begun.elapsed() < Duration::from_secs(120), "records are put off for more than two minutes");
        if gateway.metric(PUT_OFF)? > 0.0 {
            looks = 0;
        } else if looks == 0 {
            (taken, looks) = (begun.elapsed(), 1);
        } else {
            looks += 1;
        }
        pause(Duration::from_millis(100));
    }
    Ok(taken)
}

/// Password sign-ins per core, and token-checked requests while they flood in.
fn sign_ins(report: &mut Report, seconds: u32) -> Result<()> {
    let upstream = Nginx::static_server()?;
    let gateway = Fortissimo::start(Some(&upstream.url()), peers::WIDE_LIMITS)?;
    let bearer = format!("Authorization: Bearer {}", gateway.signed_in()?);
    gateway.add_flooder()?;
    let sign_in = format!("{}/auth/login", gateway.url);
    let script = peers::sign_in_script()?;
    let flood = Load { url: &sign_in, header: "", connections: 8, seconds, script: Some(&script) };
    let alone = flood.run()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    report.row(
        "Password sign-ins per second and core (Argon2id 19 MiB, t=2, p=1)",
        "≥ 45",
        format!("{:.0}", alone.per_second / cores),
    );

    // The flood signs in with right passwords: each costs a whole hash, where guesses would soon be refused unheard. It is
    // another account's, so that its sessions do not push out the measured one.
    let flooding = flood.start()?;
    let protected = format!("{}/small", gateway.url);
    let checked = Load {
        url: &protected,
        header: &bearer,
        connections: 4,
        seconds: seconds.saturating_sub(2).max(2),
        script: None,
    }
    .run()?;
    let during: Measured = flooding.finish()?;
    ensure!(during.errors == 0, "{} sign-ins of the flood were refused", during.errors);
    report.row(
        "Token-checked requests during a sign-in flood, 99th percentile",
        "< 5 ms",
        format!("{:.1} ms", checked.p99_us / 1000.0),
    );
    report.note(format!(
        "During that flood {:.0} sign-ins/s went on beside {:.0} token-checked requests/s.",
        during.per_second, checked.per_second
    ));
    Ok(())
}

/// The divan benchmarks of the crates; their own lines are the result.
fn micro(report: &mut Report, _: &Effort) -> Result<()> {
    for (package, bench) in peers::MICRO {
        let output = Command::new("cargo")
            .current_dir(tools::root())
            .args(["bench", "--quiet", "--package", package, "--bench", bench])
            .output()?;
        ensure!(
            output.status.success(),
            "cargo bench -p {package} --bench {bench} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        report.block(
            &format!("cargo bench -p {package} --bench {bench}"),
            &String::from_utf8_lossy(&output.stdout),
        );
    }
    Ok(())
}

/// Waits for another process.
fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "on no async thread")]
    std::thread::sleep(time);
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
