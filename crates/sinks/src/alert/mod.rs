//! Alerts: rules over the log, incidents in the database, messages to people.
//!
//! The engine reads the log in index order with a cursor of its own. What it counts, the alerts that it opens, their
//! events and their deliveries are stored in one transaction with the cursor, so that a crash raises nothing twice.

mod builtin;
mod deliver;
mod engine;
mod rows;
mod rule;
mod window;

use std::sync::Arc;

use audit::{Audit, Event, Record, Short};
use base::{Actor, Clock, Email, Entropy, Id, Scope, kind};
use futures_util::future::BoxFuture;
use keys::Keys;
use store::Db;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::cursor::Reader;
use crate::destination::{Envelope, WebhookConfig};
use crate::{SinksError, Source};

pub use builtin::rules as builtin_rules;
pub use rows::{Alert, AlertState, Delivery};
pub use rule::{Group, Rule, RuleError, severity_name};

/// The name of the alerts' own cursor; no sink may be called so.
pub const CURSOR: &str = "alerts";
/// Alerts of one list at most.
const MAX_LIST: usize = 500;

/// A message to an operator, for whoever sends mail.
#[derive(Debug, Clone)]
pub struct OperatorMail {
    /// The same when it is sent again.
    pub id: Id<kind::Mail>,
    /// To whom.
    pub to: Email,
    /// One line.
    pub subject: String,
    /// Plain text without addresses of people.
    pub text: String,
}

/// Sends one message; the error is one line without personal data, and means that it is tried again.
pub type SendMail = Arc<dyn Fn(OperatorMail) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Mail for alerts.
#[derive(Clone)]
pub struct Mailing {
    /// To whom.
    pub to: Vec<Email>,
    /// How.
    pub send: SendMail,
}

/// The alerts as configured.
#[derive(Clone)]
pub struct AlertsConfig {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Where alerts are posted, signed.
    pub webhook: Option<WebhookConfig>,
    /// Who gets mail.
    pub mail: Option<Mailing>,
    /// The address of this deployment, for the messages.
    pub public_url: String,
}

/// What the alerts work with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Keys, because alerts are sealed.
    pub keys: Keys,
    /// The trail, which tells of alerts.
    pub audit: Audit,
    /// The log.
    pub source: Source,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
}

/// The alerts of a deployment. Cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    config: Arc<AlertsConfig>,
    webhook: Option<Envelope>,
    parts: Parts,
    /// Something is to be delivered.
    woken: Arc<Notify>,
}

impl Alerts {
    /// Opens the alerts without starting them.
    ///
    /// # Errors
    /// [`SinksError::Settings`] names the rule or the field that is not usable.
    pub fn open(config: AlertsConfig, parts: Parts) -> Result<Self, SinksError> {
        for rule in &config.rules {
            rule.check().map_err(|error| {
                SinksError::Settings(format!("alert {:?}: {}: {}", rule.name, error.field, error.message))
            })?;
        }
        let open = |webhook| Envelope::open(webhook, deliver::TIMEOUT, parts.clock.clone());
        let webhook = config.webhook.as_ref().map(open).transpose();
        let webhook = webhook.map_err(|reason| SinksError::Settings(format!("alerts: webhook {reason}")))?;
        Ok(Self { config: Arc::new(config), webhook, parts, woken: Arc::default() })
    }

    /// Starts the engine; it ends when `stop` becomes true.
    pub fn start(&self, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        let holder = Id::new(&self.parts.clock, &self.parts.entropy);
        let reader = Reader { db: self.parts.db.clone(), name: CURSOR.to_owned(), holder };
        tokio::spawn(Box::pin(engine::run(self.clone(), reader, stop)))
    }

    /// Alerts of a state, or all, newest first, before `before` if given; at most 500.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(
        &self,
        state: Option<AlertState>,
        before: Option<Id<kind::Alert>>,
        limit: usize,
    ) -> Result<Vec<Alert>, SinksError> {
        rows::list(&self.parts.db, &self.parts.keys, state, before, limit.clamp(1, MAX_LIST)).await
    }

    /// Acknowledges or closes an alert, with its event. `false` if there is none, or nothing to change.
    ///
    /// # Errors
    /// If the database or the trail fails.
    pub async fn handle(
        &self,
        id: Id<kind::Alert>,
        state: AlertState,
        by: Actor,
    ) -> Result<bool, SinksError> {
        let now = self.parts.clock.now();
        let mut tx = self.parts.db.begin(Scope::System("alerts")).await?;
        let Some(rule) = rows::handle(&mut tx, id, state, by, now).await? else { return Ok(false) };
        let (alert, number) = (Short::new(&rule), Short::new(&id.to_string()));
        let event = Event::AlertHandled { alert, number, state: state.name() };
        self.parts.audit.append(&mut tx, &Record::new(now, event).by(by)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The channels that a new alert goes to.
    fn channels(&self) -> Vec<String> {
        let mail = self.config.mail.as_ref().map_or(0, |mailing| mailing.to.len());
        let webhook = self.webhook.iter().map(|_| "webhook".to_owned());
        webhook.chain((0..mail).map(|number| format!("mail:{number}"))).collect()
    }
}
