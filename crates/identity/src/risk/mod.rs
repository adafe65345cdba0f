//! Login risk (AUTH-10): what happens between a right password (or passkey) and a session.
//!
//! The judgement itself is [`threat::login`]; here is who keeps its memory (sealed per account, counts over everybody),
//! what each outcome does, and what the owner can answer. Risk is looked at only behind a right password, so a stranger
//! learns nothing about which accounts exist.

mod crowd;
mod locate;
mod notice;
mod settings;

use audit::{Event, Outcome as Ended, Threat, ThreatLevel};
use base::{Id, Scope, Secret, Timestamp, kind};
use crypto::password::policy::{Policy, Weakness};
use store::{Tx, params};
use threat::login::{Agent, Assessment, Circumstances, History, Outcome, ReasonCode, Sighting};

use crate::account::Account;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{Error, RequestMeta};

pub(crate) use crowd::Crowd;
pub use locate::{Locator, Whereabouts};
pub use notice::{Answer, NoticeView};
pub use settings::RiskSettings;

store::sql! {
    HISTORY = "SELECT history_sealed FROM login_history WHERE account_id = $1";
    /// Of two sign-ins at the same moment one may be forgotten, which costs a little memory and no safety.
    REMEMBER = "INSERT INTO login_history (account_id, history_sealed, updated_at) VALUES ($1, $2, $3) \
        ON CONFLICT (account_id) DO UPDATE SET history_sealed = $2, updated_at = $3";
}

/// What a reason of an assessment means, for the person; by its stable name, as events have it.
pub fn risk_reason_words(name: &str) -> Option<&'static str> {
    ReasonCode::ALL.iter().find(|code| code.name() == name).map(|code| code.words())
}

/// What was proven before risk is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A password, and nothing else.
    Password,
    /// A further factor too, or a passkey with user verification: nothing more can be asked for.
    Strong,
}

/// What else is known of this attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) proof: Proof,
    /// Failures before, and whether the password is in the list of breached ones.
    pub(crate) circumstances: Circumstances,
}

/// A sign-in that may go on. What was learned of it is kept when its session is made, and not before.
pub(crate) struct Weighed(Option<Judged>);

struct Judged {
    sighting: Sighting,
    assessment: Assessment,
    /// The owner said by mail that it is them.
    confirmed: bool,
}

impl Inner {
    /// Judges an attempt whose password was right.
    ///
    /// # Errors
    /// [`Error::ConfirmationRequired`] if the owner was asked by mail; [`Error::WrongCredentials`] if the sign-in is
    /// denied, because whoever it is must not learn that the password is right; failures of store and keys.
    pub(crate) async fn weigh(
        &self,
        account: &Account,
        attempt: Attempt,
        meta: &RequestMeta,
    ) -> Result<Weighed, Error> {
        let settings = &self.settings.risk;
        if !settings.enabled {
            return Ok(Weighed(None));
        }
        let mut sighting = self.sighting(meta, attempt.circumstances);
        let mut tx = self.db.begin_read(Scope::Account(account.id)).await?;
        let known = self.known_device(&mut tx, Some(account.id), meta).await?;
        sighting.device = known.map(device_number);
        let history = self.login_history(&mut tx, account.id).await?;
        drop(tx);
        let assessment = settings.engine.assess(&sighting, &history, &self.crowd.now());
        let outcome = match (assessment.outcome, attempt.proof) {
            // Who has proven all that can be asked for comes in, and the owner hears of it.
            (Outcome::StepUp | Outcome::Deny, Proof::Strong) => Outcome::Notify,
            (outcome, _) => outcome,
        };
        metrics::counter!("identity_login_risk_total", "outcome" => outcome.name()).increment(1);
        let assessment = Assessment { outcome, ..assessment };
        let mut judged = Judged { sighting, assessment, confirmed: false };
        match outcome {
            Outcome::Allow | Outcome::Notify => Ok(Weighed(Some(judged))),
            Outcome::StepUp => {
                if self.consume_confirmation(account.id, &judged.sighting).await? {
                    judged.confirmed = true;
                    return Ok(Weighed(Some(judged)));
                }
                self.ask_owner(account, &judged, meta).await?;
                Err(Error::ConfirmationRequired)
            }
            Outcome::Deny => {
                self.deny(account, &judged, meta).await?;
                Err(Error::WrongCredentials)
            }
        }
    }

    /// The risk that a session begins with, from 0 to 100: what was found at its sign-in, unless the owner has answered
    /// for it by mail. A second factor at the sign-in itself does not lower it: whoever sits in between passes that one on,
    /// and would need a further one.
    pub(crate) fn risk_of(&self, weighed: &Weighed) -> u8 {
        let judged = weighed.0.as_ref().filter(|judged| !judged.confirmed);
        judged.map_or(0, |judged| judged.assessment.score(&self.settings.risk.engine.thresholds))
    }

    /// Keeps what was learned, and tells the owner where that is due; in the transaction that makes the session.
    pub(crate) async fn remember_sign_in(
        &self,
        tx: &mut Tx,
        account: &Account,
        weighed: Weighed,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let Some(judged) = weighed.0 else { return Ok(()) };
        if judged.assessment.outcome > Outcome::Allow || judged.assessment.against().next().is_some() {
            let event = |score, level, reasons| Event::RiskAssessed { score, level, reasons };
            self.record_risk(tx, account.id, &judged, event, Ended::Success, meta).await?;
        }
        if judged.assessment.outcome == Outcome::Notify {
            self.tell_owner(tx, account, &judged, meta).await?;
        }
        self.learn(tx, account.id, &judged.sighting).await
    }

    /// Learns from something that its owner did beyond doubt, such as following a link that was mailed to them.
    pub(crate) async fn learn_from(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        if !self.settings.risk.enabled {
            return Ok(());
        }
        let sighting = self.sighting(meta, Circumstances::default());
        self.learn(tx, account, &sighting).await
    }

    async fn learn(&self, tx: &mut Tx, account: Id<kind::Account>, sighting: &Sighting) -> Result<(), Error> {
        let mut history = self.login_history(tx, account).await?;
        // The counts over everybody are kept in memory and written now and then: should this transaction fail, one
        // sign-in too many was counted.
        self.crowd.learn(&self.settings.risk.engine, sighting, &mut history);
        self.crowd.write_if_due(&self.db, sighting.at);
        self.write_history(tx, account, &history, sighting.at).await
    }

    /// Forgets what was learned since `since`.
    async fn forget_since(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        since: Timestamp,
    ) -> Result<(), Error> {
        let mut history = self.login_history(tx, account).await?;
        history.forget_since(since);
        self.write_history(tx, account, &history, self.now()).await
    }

    async fn write_history(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        history: &History,
        now: Timestamp,
    ) -> Result<(), Error> {
        let place = ("login_history", "history", *account.as_bytes());
        let sealed = self.seal(tx, account, place, &history.to_bytes()).await?;
        tx.execute(REMEMBER, params![account, sealed, now]).await?;
        Ok(())
    }

    /// What is remembered of a person. What cannot be read is nothing, and is said in the log.
    async fn login_history(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<History, Error> {
        let Some(row) = tx.query_opt(HISTORY, params![account]).await? else { return Ok(History::default()) };
        let sealed: Vec<u8> = row.get(0)?;
        let field = keys::Field { table: "login_history", column: "history", row: *account.as_bytes() };
        let bytes = self.keys.open_field(tx, keys::Subject::Account(account), field, &sealed).await?;
        Ok(History::from_bytes(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "a person's sign-ins of before are not known any more");
            History::default()
        }))
    }

    fn sighting(&self, meta: &RequestMeta, circumstances: Circumstances) -> Sighting {
        let mut sighting = Sighting::at(self.now());
        sighting.address = meta.address;
        if let Some(address) = meta.address {
            let Whereabouts { network, place } = self.settings.risk.locator.locate(address);
            (sighting.network, sighting.place) = (network, place);
        }
        sighting.agent = meta.agent.as_deref().map(Agent::parse).unwrap_or_default();
        sighting.rtt_ms = meta.rtt_ms;
        sighting.circumstances = circumstances;
        sighting
    }

    /// Whether a right password is known to attackers; also short ones, which imported accounts may have.
    pub(crate) fn is_breached(&self, password: &Secret<String>) -> bool {
        let policy = Policy { min_alone: 1, ..self.settings.password_policy };
        matches!(policy.check(password, false, &[]), Err(Weakness::Common))
    }

    async fn deny(&self, account: &Account, judged: &Judged, meta: &RequestMeta) -> Result<(), Error> {
        let mut tx = self.db.begin(Scope::System("login risk")).await?;
        let event = |score, level, reasons| Event::RiskDenied { score, level, reasons };
        self.record_risk(&mut tx, account.id, judged, event, Ended::Denied, meta).await?;
        let email = account.email(self, &mut tx).await?;
        if self.within_mail_budget(&mut tx, self.email_index(&email), "sign_in_denied").await? {
            let (facts, forgot) = (self.sign_in_facts(judged, meta), self.page("forgot"));
            let letter = Letter::SignInDenied { username: &account.username, facts: &facts, forgot: &forgot };
            self.queue_mail(&mut tx, account, &email, &letter).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn record_risk(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        judged: &Judged,
        event: impl FnOnce(u8, ThreatLevel, Vec<&'static str>) -> Event,
        ended: Ended,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let assessment = &judged.assessment;
        let score = assessment.score(&self.settings.risk.engine.thresholds);
        let level = match assessment.outcome {
            Outcome::Allow => ThreatLevel::Low,
            Outcome::Notify | Outcome::StepUp if score < 75 => ThreatLevel::Medium,
            Outcome::Notify | Outcome::StepUp => ThreatLevel::High,
            Outcome::Deny => ThreatLevel::Critical,
        };
        let mut reasons: Vec<&'static str> = Vec::new();
        for reason in assessment.against() {
            if !reasons.contains(&reason.code.name()) {
                reasons.push(reason.code.name());
            }
        }
        let fixed = assessment.fixed >= self.settings.risk.engine.thresholds.notify - 1e-4;
        let method = if fixed || assessment.cold_start { "login-risk:signals" } else { "login-risk:learned" };
        let mut record = self.record(meta, event(score, level, reasons)).about(account).ended(ended);
        if let Some(request) = &mut record.request {
            request.threat = Some(Threat::found(score, level, method));
        }
        self.audit.append(tx, &record).await?;
        Ok(())
    }
}

/// A device as the engine knows it: the random half of its id, never zero.
fn device_number(device: Id<kind::Device>) -> u64 {
    let half: [u8; 8] = std::array::from_fn(|at| device.as_bytes()[8 + at]);
    u64::from_be_bytes(half).max(1)
}
