//! All sinks of a deployment: opened, started, asked how they are.

use std::collections::BTreeMap;
use std::time::Duration;

use audit::Audit;
use base::{Clock, Entropy, Id, Timestamp};
use store::Db;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cursor::{self, Reader};
use crate::destination::{Destination, Surroundings, Target};
use crate::form::{Note, Writer};
use crate::runner::Runner;
use crate::{Filter, Form, SinksError, Source};

/// Records of one batch at most.
const MAX_BATCH: usize = 1_000;

/// One sink as configured.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name; the cursor in the database bears it.
    pub name: String,
    /// Where records go.
    pub target: Target,
    /// How they are written.
    pub form: Form,
    /// Which events it gets.
    pub filter: Filter,
    /// Records of one batch, 1 to 1,000.
    pub batch: usize,
    /// How long an event waits for others at most.
    pub flush_every: Duration,
    /// Limit of one exchange with the other side.
    pub timeout: Duration,
    /// How often a signed checkpoint goes along, if the log has grown.
    pub checkpoint_every: Duration,
    /// After this time without success the trail says that the sink fails.
    pub failing_after: Duration,
    /// The first and the longest wait after a failure.
    pub waits: (Duration, Duration),
}

impl SinkConfig {
    /// With the defaults of the documentation.
    pub fn new(name: &str, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            target,
            form: Form::default(),
            filter: Filter::default(),
            batch: 500,
            flush_every: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            checkpoint_every: Duration::from_secs(10),
            failing_after: Duration::from_secs(60),
            waits: (Duration::from_millis(500), Duration::from_secs(60)),
        }
    }

    const fn kind(&self) -> &'static str {
        match self.target {
            Target::Syslog(_) => "syslog",
            Target::Otlp(_) => "otlp",
            Target::Splunk { .. } => "splunk",
            Target::Elastic { .. } => "elastic",
            Target::Webhook(_) => "webhook",
            Target::Files(_) => "files",
        }
    }
}

/// How a sink is doing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// `syslog`, `otlp` …
    pub kind: &'static str,
    /// The first index of the log that it does not have yet.
    pub next_index: u64,
    /// Events of the log that it does not have yet.
    pub lag: u64,
    /// Records that it took.
    pub sent: u64,
    /// Records that it refused for good.
    pub skipped: u64,
    /// When it last took something.
    pub last_sent_at: Option<Timestamp>,
    /// Since when it fails; `None` while all is well.
    pub failing_since: Option<Timestamp>,
    /// Why, in words without personal data.
    pub last_error: Option<String>,
}

impl SinkStatus {
    /// Whether it takes what it is sent, as far as is known.
    pub const fn is_well(&self) -> bool {
        self.failing_since.is_none()
    }
}

/// What the sinks work with.
#[derive(Clone)]
pub struct Parts {
    /// The database, for the cursors.
    pub db: Db,
    /// The trail, for what sinks themselves have to report.
    pub audit: Audit,
    /// The log.
    pub source: Source,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Names the deployment in every record.
    pub deployment: [u8; 16],
    /// The program's version.
    pub version: String,
}

/// How sinks of these names and kinds are doing, on whichever node they run, in a log of this size.
///
/// # Errors
/// If the database fails.
pub async fn statuses(
    db: &Db,
    size: u64,
    named: &[(String, &'static str)],
) -> Result<Vec<SinkStatus>, SinksError> {
    let mut rows: BTreeMap<_, _> =
        cursor::all(db).await?.into_iter().map(|row| (row.name.clone(), row)).collect();
    let status = |(name, kind): &(String, &'static str)| {
        let row = rows.remove(name);
        let next_index = row.as_ref().map_or(0, |row| row.next);
        SinkStatus {
            name: name.clone(),
            kind,
            next_index,
            lag: size.saturating_sub(next_index),
            sent: row.as_ref().map_or(0, |row| row.sent),
            skipped: row.as_ref().map_or(0, |row| row.skipped),
            last_sent_at: row.as_ref().and_then(|row| row.last_sent_at),
            failing_since: row.as_ref().and_then(|row| row.failing_since),
            last_error: row.and_then(|row| row.last_error),
        }
    };
    Ok(named.iter().map(status).collect())
}

fn wanted(filter: &Filter) -> crate::Wanted {
    let filter = filter.clone();
    std::sync::Arc::new(move |entry| filter.wants(entry))
}

/// All sinks of a deployment. Cheap to clone.
#[derive(Clone)]
pub struct Sinks {
    configs: std::sync::Arc<[SinkConfig]>,
    parts: Parts,
}

impl Sinks {
    /// Opens what is configured, without speaking to anybody.
    ///
    /// # Errors
    /// [`SinksError::Settings`] names the sink and the field that is not usable.
    pub fn open(configs: Vec<SinkConfig>, parts: Parts) -> Result<Self, SinksError> {
        let sinks = Self { configs: configs.into(), parts };
        for config in &*sinks.configs {
            sinks.destination(config)?;
        }
        Ok(sinks)
    }

    /// Starts one task for each sink. They end when `stop` becomes true; what is in flight then is sent again at
    /// the next start.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Result<Vec<JoinHandle<()>>, SinksError> {
        let holder = Id::new(&self.parts.clock, &self.parts.entropy);
        let start = |config: &SinkConfig| {
            let around = self.around(config);
            let runner = Runner {
                destination: self.destination(config)?,
                probe: around.writer.write(&Note::Test(self.parts.clock.now())),
                writer: around.writer,
                reader: Reader { db: self.parts.db.clone(), name: config.name.clone(), holder },
                source: self.parts.source.clone(),
                wanted: wanted(&config.filter),
                audit: self.parts.audit.clone(),
                clock: self.parts.clock.clone(),
                entropy: self.parts.entropy.clone(),
                config: SinkConfig { batch: config.batch.clamp(1, MAX_BATCH), ..config.clone() },
                stop: stop.clone(),
            };
            Ok(tokio::spawn(Box::pin(runner.run())))
        };
        self.configs.iter().map(start).collect()
    }

    /// How every sink is doing, on whichever node it runs.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn status(&self) -> Result<Vec<SinkStatus>, SinksError> {
        let named: Vec<_> = self.configs.iter().map(|config| (config.name.clone(), config.kind())).collect();
        statuses(&self.parts.db, self.parts.source.head().size, &named).await
    }

    /// Sends one test record; `None` if there is no sink of this name.
    ///
    /// # Errors
    /// One line for the operator who asked: the reason, and what the other side said.
    pub async fn test(&self, name: &str) -> Option<Result<(), String>> {
        let config = self.configs.iter().find(|config| config.name == name)?;
        let mut destination = match self.destination(config) {
            Ok(destination) => destination,
            Err(error) => return Some(Err(error.to_string())),
        };
        let record = self.around(config).writer.write(&Note::Test(self.parts.clock.now()));
        Some(match destination.send(&[&record]).await {
            Ok(verdicts) => verdicts.into_iter().try_for_each(|verdict| match verdict {
                crate::destination::Verdict::Accepted => Ok(()),
                crate::destination::Verdict::Later(reason) | crate::destination::Verdict::Refused(reason) => {
                    Err(reason)
                }
            }),
            Err(trouble) => Err(trouble.said.unwrap_or(trouble.reason)),
        })
    }

    fn destination(&self, config: &SinkConfig) -> Result<Destination, SinksError> {
        Destination::open(&config.target, &self.around(config))
            .map_err(|reason| SinksError::Settings(format!("sink {:?}: {reason}", config.name)))
    }

    fn around(&self, config: &SinkConfig) -> Surroundings {
        Surroundings {
            writer: Writer {
                deployment: hex::encode(self.parts.deployment).into(),
                version: self.parts.version.as_str().into(),
                form: config.form,
            },
            clock: self.parts.clock.clone(),
            timeout: config.timeout,
        }
    }
}
