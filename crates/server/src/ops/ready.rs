//! May this process get requests? Each check says what to do if not.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base::Scope;
use serde::Serialize;
use sinks::Sinks;
use store::{Job, JobOptions};
use tokio::sync::Mutex;

use crate::config::value::DatabaseUrl;
use crate::folder;
use crate::services::Services;

/// Below this, a burst of events could fill the disk between two looks at it. On a small file system, where it
/// could never be reached, a hundredth of the whole counts.
const MIN_FREE_BYTES: u64 = 64 << 20;
/// Somebody who asks in a loop must not become load: within this time the last answer is given again.
const REMEMBERED: Duration = Duration::from_millis(500);
/// A database that does not answer within this time is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// One check and its outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    /// What was checked.
    pub(crate) name: &'static str,
    /// Whether it is well.
    pub(crate) ok: bool,
    /// What is wrong, or a number worth knowing. No personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Check {
    fn of(name: &'static str, outcome: Result<Option<String>, String>) -> Self {
        match outcome {
            Ok(detail) => Self { name, ok: true, detail },
            Err(reason) => Self { name, ok: false, detail: Some(reason) },
        }
    }
}

/// Answers `/ready`.
pub(crate) struct Readiness {
    services: Services,
    sinks: Sinks,
    /// Where the data and the database are; often the same file system.
    folders: Vec<PathBuf>,
    last: Mutex<Option<(Instant, Vec<Check>)>>,
}

impl Readiness {
    /// Checks these services.
    pub(crate) fn of(services: &Services, sinks: Sinks) -> Self {
        let mut folders = vec![services.config.server.data_dir.clone()];
        if let DatabaseUrl::Sqlite(path) = &services.config.database_url
            && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
            && *folder != folders[0]
        {
            folders.push(folder.to_owned());
        }
        Self { services: services.clone(), sinks, folders, last: Mutex::default() }
    }

    /// All checks, or what they said a moment ago.
    pub(crate) async fn check(&self) -> Vec<Check> {
        let mut last = self.last.lock().await;
        if let Some((at, checks)) = last.as_ref()
            && at.elapsed() < REMEMBERED
        {
            return checks.clone();
        }
        let checks = vec![
            Check::of("database", self.database().await),
            Check::of("audit", self.audit()),
            Check::of("log", self.log()),
            Check::of("disk", self.disk()),
            Check::of("sinks", Ok(self.sinks().await)),
            Check::of("keys", self.keys()),
        ];
        *last = Some((Instant::now(), checks.clone()));
        checks
    }

    /// A write that is undone: it finds a lock, a read-only file and a missing server. A full disk is found by
    /// the check of the disk and by the audit trail's own writes.
    async fn database(&self) -> Result<Option<String>, String> {
        let probe = async {
            let mut tx = self.services.db.begin(Scope::System("readiness")).await?;
            let (clock, entropy) = (&self.services.clock, &self.services.entropy);
            let options = JobOptions { run_at: None, dedup: Some("readiness".to_owned()) };
            store::job::enqueue(&mut tx, clock, entropy, &Job::Janitor, options).await?;
            drop(tx);
            Ok::<_, store::DbError>(())
        };
        match tokio::time::timeout(PATIENCE, probe).await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    fn audit(&self) -> Result<Option<String>, String> {
        let health = self.services.audit.health();
        if health.writable {
            return Ok((health.dropped > 0)
                .then(|| format!("{} traffic records lost since the start", health.dropped)));
        }
        Err(health.failure.unwrap_or_else(|| "the last write failed".to_owned()))
    }

    /// The log's own findings: it does not grow, its files were touched, an older copy was restored.
    fn log(&self) -> Result<Option<String>, String> {
        let problems = self.services.audit.health().problems;
        if problems.is_empty() {
            let size = self.services.audit.tree().borrow().size;
            return Ok(Some(format!("{size} events")));
        }
        Err(problems.join("; "))
    }

    /// A sink that is away makes nobody wait, so it is told and is no reason to take this process out of service.
    async fn sinks(&self) -> Option<String> {
        let all = match tokio::time::timeout(PATIENCE, self.sinks.status()).await {
            Ok(Ok(all)) => all,
            // The database has a check of its own.
            Ok(Err(_)) | Err(_) => return Some("cannot be asked".to_owned()),
        };
        let failing = all.iter().filter(|status| !status.is_well());
        let told: Vec<String> = failing
            .map(|status| {
                let reason = status.last_error.as_deref().unwrap_or("no reason");
                format!("degraded: {} takes nothing ({reason}), {} events behind", status.name, status.lag)
            })
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn disk(&self) -> Result<Option<String>, String> {
        let mut said = Vec::new();
        for folder in &self.folders {
            let space = folder::space(folder).map_err(|error| format!("cannot be asked: {error}"))?;
            let (free, needed) = (space.free >> 10, MIN_FREE_BYTES.min(space.total / 100) >> 10);
            if free < needed {
                return Err(format!(
                    "{free} KiB free in {}, {needed} KiB are needed; make room",
                    folder.display()
                ));
            }
            said.push(format!("{} MiB free", free >> 10));
        }
        Ok(Some(said.join(", ")))
    }

    fn keys(&self) -> Result<Option<String>, String> {
        let signer = self.services.keys.signer(keys::KeyUse::AccessToken);
        if signer.kid().is_empty() { Err("no signing key".to_owned()) } else { Ok(None) }
    }
}

/// The answer's body.
pub(super) fn document(ready: bool, checks: &[Check]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Document<'a> {
        status: &'static str,
        checks: &'a [Check],
    }
    let status = if ready { "ready" } else { "not ready" };
    let mut text = serde_json::to_vec(&Document { status, checks }).unwrap_or_default();
    text.push(b'\n');
    text
}
