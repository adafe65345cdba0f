//! The life of policies: put in force, followed on every node, rolled back, remembered (ACCESS-8).
//!
//! What operators activate is stored in the database, named by the digest of its text, so that every node decides by the
//! same. A node that hears of a change loads the new bundle beside the old one and swaps them in one step; a bundle that
//! this node cannot load is refused with its place, and the old one stays.

use std::fmt::Write as _;
use std::sync::Arc;

use audit::{Audit, AuditError, Event, Outcome, Record};
use base::{Actor, Clock, Scope, Timestamp};
use sha2::{Digest, Sha256};
use store::{Change, ConstraintKind, Db, DbError, Row, Tx, params};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, watch};

use crate::source::{PolicyError, PolicyFile};
use crate::{Access, Bundle, Permit, actions};

store::sql! {
    /// What is in force.
    NEWEST = "SELECT serial, digest, act, version, policies, activated_at, activated_by, comment \
              FROM policy_activation ORDER BY serial DESC LIMIT 1";
    /// The history, newest first.
    HISTORY = "SELECT serial, digest, act, version, policies, activated_at, activated_by, comment \
               FROM policy_activation WHERE serial < $1 ORDER BY serial DESC LIMIT $2";
    /// One of the history.
    ONE = "SELECT serial, digest, act, version, policies, activated_at, activated_by, comment \
           FROM policy_activation WHERE serial = $1";
    /// Files by their digest.
    FILES = "SELECT files FROM policy_bundle WHERE digest = $1";
    /// Stores files that may be there already.
    STORE = "INSERT INTO policy_bundle (digest, files, stored_at) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";
    /// Continues the history.
    ACTIVATE = "INSERT INTO policy_activation \
                (serial, digest, act, version, policies, activated_at, activated_by, comment) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
}

/// Letters of a comment.
const COMMENT: usize = 500;
/// Rows of one page of the history.
const PAGE: u32 = 200;

/// Why policies could not be put in force or read.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// They are wrong; those before stay.
    #[error("{0}")]
    Refused(#[from] PolicyError),
    /// Somebody else put policies in force at the same moment; look at theirs first.
    #[error("somebody else put policies in force at the same moment; look at them first (policy history)")]
    Raced,
    /// There is nothing to go back to.
    #[error("{0}")]
    NothingThere(String),
    /// What is stored is not what was activated.
    #[error("the stored policies {0} are damaged: their text does not have this digest")]
    Damaged(String),
    /// The database failed.
    #[error("the policies cannot be read or stored: {0}")]
    Store(#[from] DbError),
    /// The audit trail failed, so nothing was changed.
    #[error("{0}")]
    Audit(#[from] AuditError),
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Activation {
    /// Its number, from 1.
    pub serial: i64,
    /// Digest of the files; `None`: what each node's configuration names.
    pub digest: Option<String>,
    /// `activated` or `rolled_back`.
    pub act: String,
    /// Version of the whole bundle, built-in policies included, on the node that activated it.
    pub version: String,
    /// How many policies that were.
    pub policies: u32,
    /// When.
    pub at: Timestamp,
    /// Who, as in the audit trail: `account:…` or `system:…`.
    pub by: String,
    /// Why, in the operator's words.
    pub comment: String,
}

impl Activation {
    fn of(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            serial: row.get(0)?,
            digest: row.get(1)?,
            act: row.get(2)?,
            version: row.get(3)?,
            policies: u32::try_from(row.get::<i64>(4)?).unwrap_or(u32::MAX),
            at: row.get(5)?,
            by: row.get(6)?,
            comment: row.get(7)?,
        })
    }
}

/// Puts policies in force and follows what others put in force. Cheap to clone.
#[derive(Clone)]
pub struct Policies(Arc<Inner>);

struct Inner {
    db: Db,
    audit: Audit,
    clock: Clock,
    access: Access,
    /// What the configuration names: in force until something else is activated.
    configured: Arc<Bundle>,
    /// The activation that was last looked at, whether it could be loaded or not. Held while loading, so that an older
    /// bundle never replaces a newer one.
    seen: Mutex<Option<i64>>,
}

impl Policies {
    /// With `access` as the configuration made it. Nothing is read yet; see [`refresh`](Self::refresh).
    pub fn new(db: Db, audit: Audit, clock: Clock, access: Access) -> Self {
        let configured = access.bundle();
        Self(Arc::new(Inner { db, audit, clock, access, configured, seen: Mutex::new(None) }))
    }

    /// The handle whose policies this changes.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// What the configuration names (the folder, else the built-in policies alone).
    pub fn configured(&self) -> &Arc<Bundle> {
        &self.0.configured
    }

    /// Loads what is in force if that is not what this process decides by; gives whether anything was loaded.
    ///
    /// # Errors
    /// If it cannot be read or is wrong here (another version of the program activated it): the old ones stay, and the
    /// same activation is not tried again.
    pub async fn refresh(&self) -> Result<bool, LifeError> {
        let inner = &*self.0;
        let mut seen = inner.seen.lock().await;
        let mut tx = inner.db.begin_read(Scope::System("policies in force")).await?;
        let newest = newest(&mut tx).await?;
        let serial = newest.as_ref().map(|one| one.serial);
        if serial == *seen {
            return Ok(false);
        }
        let Some(newest) = newest else {
            *seen = None;
            return Ok(false);
        };
        let bundle = match &newest.digest {
            None => Arc::clone(&inner.configured),
            Some(digest) => {
                let files = files(&mut tx, digest).await?;
                drop(tx);
                match build(files).await {
                    Ok(bundle) => Arc::new(bundle),
                    Err(refused) => {
                        *seen = serial;
                        return Err(refused.into());
                    }
                }
            }
        };
        *seen = serial;
        let version = Arc::clone(bundle.version());
        let before = inner.access.replace(bundle);
        if *before.version() != version {
            tracing::info!(before = %before.version(), %version, serial = newest.serial, "other policies are in force");
        }
        Ok(true)
    }

    /// Follows what is put in force, here and on other nodes, until `stop` becomes true.
    pub async fn follow(self, mut stop: watch::Receiver<bool>) {
        let mut changes = self.0.db.changes();
        while !*stop.borrow() {
            let look = tokio::select! {
                _ = stop.changed() => continue,
                change = changes.recv() => match change {
                    Ok(Change::Policies | Change::Everything) | Err(RecvError::Lagged(_)) => true,
                    Ok(_) => false,
                    Err(RecvError::Closed) => return,
                },
            };
            if look && let Err(error) = self.refresh().await {
                self.complain(error).await;
            }
        }
    }

    /// Says that this node could not follow, in the log and in the trail.
    async fn complain(&self, error: LifeError) {
        tracing::error!(%error, "the policies that were put in force cannot be loaded here; the old ones stay");
        if let LifeError::Refused(refused) = error {
            let event = Event::PolicyRefused { version: None, reason: refused.to_string().into() };
            let record = self.record(event, Actor::System("policies"), Outcome::Failure);
            if let Err(error) = self.0.audit.record_durable(record).await {
                tracing::error!(%error, "the refusal could not be recorded");
            }
        }
    }

    /// Puts these files in force on top of the built-in policies, on every node. Files without any put the built-in ones
    /// in force alone. If they are in force already, nothing happens and the running activation is given.
    ///
    /// # Errors
    /// [`LifeError::Refused`] with file, line and column; the old ones stay, and the trail says so.
    pub async fn activate(
        &self,
        permit: Permit<actions::SystemConfig>,
        files: Vec<PolicyFile>,
        comment: &str,
    ) -> Result<Activation, LifeError> {
        let stored: Vec<PolicyFile> = files
            .iter()
            .map(|file| PolicyFile { name: file.base_name().to_owned(), text: file.text.clone() })
            .collect();
        // Built from the files as they were given, so that a complaint names the operator's own path.
        let bundle = match build(files).await {
            Ok(bundle) => bundle,
            Err(refused) => {
                let event = Event::PolicyRefused { version: None, reason: refused.to_string().into() };
                let record = self.record(event, permit.actor(), Outcome::Denied);
                self.0.audit.record_durable(record).await?;
                return Err(refused.into());
            }
        };
        let digest = digest(&stored);
        let text = serde_json::to_string(&stored).map_err(|e| PolicyError::general(e.to_string()))?;
        let wish = Wish {
            digest: Some(digest.clone()),
            act: "activated",
            version: bundle.version().to_string(),
            policies: u32::try_from(bundle.policy_ids().count()).unwrap_or(u32::MAX),
            actor: permit.actor(),
            comment: cut(comment),
        };
        let mut tx = self.0.db.begin(Scope::System("activating policies")).await?;
        let newest = newest(&mut tx).await?;
        match newest {
            Some(newest) if newest.digest.as_deref() == Some(&digest) => Ok(newest),
            newest => {
                tx.execute(STORE, params![&digest, text, self.0.clock.now()]).await?;
                self.put(tx, newest.as_ref(), wish).await
            }
        }
    }

    /// Puts earlier policies in force again: those of activation `to`, else those that were in force before the present
    /// ones (before the first activation: what the configuration names).
    ///
    /// # Errors
    /// [`LifeError::NothingThere`] if nothing was ever activated or there is no such activation;
    /// [`LifeError::Refused`] if this program no longer accepts them.
    pub async fn roll_back(
        &self,
        permit: Permit<actions::SystemConfig>,
        to: Option<i64>,
        comment: &str,
    ) -> Result<Activation, LifeError> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(Scope::System("rolling policies back")).await?;
        let Some(newest) = newest(&mut tx).await? else {
            return Err(LifeError::NothingThere(
                "no policies were ever activated; nothing to roll back".into(),
            ));
        };
        let target = match to {
            Some(0) => None,
            Some(serial) => match tx.query_opt(ONE, params![serial]).await? {
                Some(row) => Activation::of(&row)?.digest,
                None => return Err(LifeError::NothingThere(format!("there is no activation {serial}"))),
            },
            None => match before(&mut tx, &newest).await? {
                Some(earlier) => earlier.digest,
                None => None,
            },
        };
        if target == newest.digest {
            return Err(LifeError::NothingThere("these policies are in force already".into()));
        }
        let bundle = match &target {
            None => Arc::clone(&inner.configured),
            Some(digest) => {
                let files = files(&mut tx, digest).await?;
                drop(tx);
                Arc::new(build(files).await?)
            }
        };
        let wish = Wish {
            digest: target,
            act: "rolled_back",
            version: bundle.version().to_string(),
            policies: u32::try_from(bundle.policy_ids().count()).unwrap_or(u32::MAX),
            actor: permit.actor(),
            comment: cut(comment),
        };
        // Nothing was held while the policies were looked at, so somebody may have been quicker.
        let mut tx = inner.db.begin(Scope::System("rolling policies back")).await?;
        match self::newest(&mut tx).await? {
            Some(now) if now.serial == newest.serial => self.put(tx, Some(&newest), wish).await,
            _ => Err(LifeError::Raced),
        }
    }

    async fn put(
        &self,
        mut tx: Tx,
        newest: Option<&Activation>,
        wish: Wish,
    ) -> Result<Activation, LifeError> {
        let inner = &*self.0;
        let activation = Activation {
            serial: newest.map_or(1, |one| one.serial + 1),
            digest: wish.digest,
            act: wish.act.to_owned(),
            version: wish.version,
            policies: wish.policies,
            at: inner.clock.now(),
            by: actor_text(wish.actor),
            comment: wish.comment,
        };
        let added = params![
            activation.serial,
            activation.digest.clone(),
            &activation.act,
            &activation.version,
            i64::from(activation.policies),
            activation.at,
            &activation.by,
            &activation.comment
        ];
        tx.execute(ACTIVATE, added).await.map_err(raced)?;
        let version = activation.version.as_str().into();
        let before = match newest {
            Some(one) => one.version.as_str().into(),
            None => (&**inner.configured.version()).into(),
        };
        let comment = (!activation.comment.is_empty()).then(|| activation.comment.as_str().into());
        let policies = activation.policies;
        let event = if activation.act == "activated" {
            Event::PolicyActivated { version, before, policies, comment }
        } else {
            Event::PolicyRolledBack { version, before, policies, comment }
        };
        inner.audit.append(&mut tx, &self.record(event, wish.actor, Outcome::Success)).await?;
        tx.announce(Change::Policies);
        tx.commit().await.map_err(raced)?;
        // This process need not wait for its own signal.
        if let Err(error) = self.refresh().await {
            self.complain(error).await;
        }
        Ok(activation)
    }

    /// What is in force; `None`: what the configuration names, because nothing was ever activated.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn active(&self) -> Result<Option<Activation>, LifeError> {
        let mut tx = self.0.db.begin_read(Scope::System("policies in force")).await?;
        Ok(newest(&mut tx).await?)
    }

    /// The history, newest first: at most `limit` (and 200) entries older than `before`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history(&self, before: Option<i64>, limit: u32) -> Result<Vec<Activation>, LifeError> {
        let mut tx = self.0.db.begin_read(Scope::System("history of policies")).await?;
        let limit = i64::from(limit.clamp(1, PAGE));
        let rows = tx.query(HISTORY, params![before.unwrap_or(i64::MAX), limit]).await?;
        Ok(rows.iter().map(Activation::of).collect::<Result<_, _>>()?)
    }

    /// The bundle of an activation, as this program understands it.
    ///
    /// # Errors
    /// If there is no such activation or this program no longer accepts it.
    pub async fn bundle_of(&self, serial: i64) -> Result<Arc<Bundle>, LifeError> {
        let mut tx = self.0.db.begin_read(Scope::System("history of policies")).await?;
        let row = tx.query_opt(ONE, params![serial]).await?;
        let row = row.ok_or_else(|| LifeError::NothingThere(format!("there is no activation {serial}")))?;
        match Activation::of(&row)?.digest {
            None => Ok(Arc::clone(&self.0.configured)),
            Some(digest) => {
                let files = files(&mut tx, &digest).await?;
                drop(tx);
                Ok(Arc::new(build(files).await?))
            }
        }
    }

    fn record(&self, event: Event, actor: Actor, outcome: Outcome) -> Record {
        let mut record = Record::new(self.0.clock.now(), event).by(actor);
        record.outcome = outcome;
        record
    }
}

/// What is to become the newest line of the history.
struct Wish {
    digest: Option<String>,
    act: &'static str,
    version: String,
    policies: u32,
    actor: Actor,
    comment: String,
}

fn raced(error: DbError) -> LifeError {
    match error {
        DbError::Constraint { kind: ConstraintKind::Unique, .. } | DbError::Conflict => LifeError::Raced,
        other => other.into(),
    }
}

async fn newest(tx: &mut Tx) -> Result<Option<Activation>, DbError> {
    tx.query_opt(NEWEST, &[]).await?.map(|row| Activation::of(&row)).transpose()
}

/// The newest entry before `newest` that had other files.
async fn before(tx: &mut Tx, newest: &Activation) -> Result<Option<Activation>, LifeError> {
    let mut from = newest.serial;
    loop {
        let rows = tx.query(HISTORY, params![from, i64::from(PAGE)]).await?;
        for row in &rows {
            let one = Activation::of(row)?;
            from = one.serial;
            if one.digest != newest.digest {
                return Ok(Some(one));
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
    }
}

async fn files(tx: &mut Tx, digest: &str) -> Result<Vec<PolicyFile>, LifeError> {
    let damaged = || LifeError::Damaged(digest.to_owned());
    let row = tx.query_opt(FILES, params![digest]).await?.ok_or_else(damaged)?;
    let files: Vec<PolicyFile> = serde_json::from_str(&row.get::<String>(0)?).map_err(|_| damaged())?;
    if self::digest(&files) == digest { Ok(files) } else { Err(damaged()) }
}

/// Loads beside the requests: parsing and validating takes milliseconds to seconds.
async fn build(files: Vec<PolicyFile>) -> Result<Bundle, PolicyError> {
    let built = tokio::task::spawn_blocking(move || Bundle::from_files(files)).await;
    built.unwrap_or_else(|_| Err(PolicyError::general("the policies could not be looked at to the end")))
}

fn digest(files: &[PolicyFile]) -> String {
    let mut digest = Sha256::new();
    for file in files {
        for part in [file.base_name(), &file.text] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
    }
    let mut text = String::from("sha256:");
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn actor_text(actor: Actor) -> String {
    match actor {
        Actor::Anonymous => "anonymous".to_owned(),
        Actor::Account(id) => format!("account:{id}"),
        Actor::System(part) => format!("system:{part}"),
    }
}

/// One line, of bounded length.
fn cut(comment: &str) -> String {
    comment
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(COMMENT)
        .collect::<String>()
        .trim()
        .to_owned()
}
