//! One load run with wrk.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Prints what we read instead of wrk's own prose.
const DONE: &str = r#"
done = function(summary, latency)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %.1f %.1f %d %d\n", summary.requests, summary.duration,
    latency.mean, latency:percentile(99), bad, summary.errors.status))
end
"#;

/// What to ask, and how hard.
pub(crate) struct Load<'a> {
    pub(crate) url: &'a str,
    /// One header line, or nothing.
    pub(crate) header: &'a str,
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// A Lua script that makes the requests.
    pub(crate) script: Option<&'a Path>,
}

/// What came out.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p99_us: f64,
    pub(crate) errors: u64,
    connections: f64,
}

impl Measured {
    /// Mean time of one request on one connection, in microseconds.
    pub(crate) fn mean_us(&self) -> f64 {
        self.connections * 1e6 / self.per_second
    }
}

/// A load run in the background.
pub(crate) struct Running {
    child: Child,
    connections: u32,
}

impl Load<'_> {
    /// Runs to the end; refuses a run in which requests failed.
    pub(crate) fn run(&self) -> Result<Measured> {
        let measured = self.start()?.finish()?;
        ensure!(measured.errors == 0, "{} of the requests to {} failed", measured.errors, self.url);
        Ok(measured)
    }

    /// Starts in the background.
    pub(crate) fn start(&self) -> Result<Running> {
        let script = std::env::temp_dir().join(format!(
            "fortissimo-wrk-{}-{}.lua",
            std::process::id(),
            self.connections
        ));
        let own = self.script.map(std::fs::read_to_string).transpose()?.unwrap_or_default();
        std::fs::write(&script, own + DONE)?;
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "--latency", "--timeout", "10s"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.seconds))
            .arg("-s")
            .arg(&script);
        if !self.header.is_empty() {
            wrk.args(["-H", self.header]);
        }
        let child = wrk.arg(self.url).stdout(Stdio::piped()).spawn().context("cannot start wrk")?;
        Ok(Running { child, connections: self.connections })
    }
}

impl Running {
    /// Waits for the end and reads the result.
    pub(crate) fn finish(self) -> Result<Measured> {
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line =
            text.lines().find_map(|line| line.strip_prefix("RESULT ")).context("wrk printed no result")?;
        let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [requests, duration_us, _mean, p99_us, broken, status] = numbers[..] else {
            anyhow::bail!("wrk's result has {} numbers", numbers.len());
        };
        Ok(Measured {
            per_second: requests * 1e6 / duration_us,
            p99_us,
            errors: (broken + status) as u64,
            connections: f64::from(self.connections),
        })
    }
}
