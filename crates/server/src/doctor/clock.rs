//! Whether the clock can be right. There is no outside clock to ask, so this compares with what must be earlier.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use base::{Clock, Timestamp};

use super::Line;
use crate::config::Resolved;

/// Clocks of file systems and of the machine may differ by this much.
const SLACK_MS: i64 = 5_000;

pub(super) fn check(config: &Resolved) -> Vec<Line> {
    let now = Clock::system().now();
    let program = std::env::current_exe().ok().and_then(|path| changed_at(&path));
    let data = newest(&config.server.data_dir);
    vec![judge(now, program, data)]
}

fn judge(now: Timestamp, program: Option<Timestamp>, data: Option<Timestamp>) -> Line {
    let remedy = "set the clock and keep it set (chrony, systemd-timesyncd): tokens, links and one-time codes depend on it";
    let later = |than: Option<Timestamp>| than.is_some_and(|than| than.since_ms(now) > SLACK_MS);
    if later(program) {
        return Line::fail(format!("clock: {now} is before this program was installed"), remedy);
    }
    if later(data) {
        return Line::fail(
            format!("clock: {now} is before the data was last written; it has gone backwards"),
            remedy,
        );
    }
    Line::ok(format!("clock: {now}, not before the program or the data"))
}

fn changed_at(path: &Path) -> Option<Timestamp> {
    let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp::from_millis)
}

fn newest(folder: &Path) -> Option<Timestamp> {
    fs::read_dir(folder).ok()?.take(1_000).flatten().filter_map(|entry| changed_at(&entry.path())).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_before_the_data_or_the_program_fails() {
        let at = |ms| Timestamp::from_millis(ms);
        assert_eq!(judge(at(100_000), Some(at(1)), Some(at(104_000))).level, Level::Ok);
        assert_eq!(judge(at(100_000), Some(at(1)), Some(at(106_000))).level, Level::Fail);
        assert_eq!(judge(at(100_000), Some(at(200_000)), None).level, Level::Fail);
    }
}
