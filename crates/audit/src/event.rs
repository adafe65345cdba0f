//! The catalogue: one enum for everything that the product records.

use std::sync::Arc;

use base::{Id, Timestamp, kind as ids};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{Detail, Kind, Short, ThreatLevel};

/// A stage of the pipeline, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Sizes, host, strict parse.
    Admit,
    /// True address, cheap network limit.
    Client,
    /// Who calls.
    Authenticate,
    /// May they.
    Authorize,
    /// Rate limits.
    Throttle,
    /// What the request contains.
    Assess,
    /// Input models.
    Shape,
    /// The service itself.
    Service,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Admit,
        Self::Client,
        Self::Authenticate,
        Self::Authorize,
        Self::Throttle,
        Self::Assess,
        Self::Shape,
        Self::Service,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Client => "client",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Throttle => "throttle",
            Self::Assess => "assess",
            Self::Shape => "shape",
            Self::Service => "service",
        }
    }
}

/// What each stage decided, as one short code per stage. No allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages([Option<&'static str>; 8]);

impl Stages {
    /// No stage has decided yet.
    pub const fn new() -> Self {
        Self([None; 8])
    }

    /// Notes a stage's decision.
    pub const fn set(&mut self, stage: Stage, code: &'static str) {
        self.0[stage as usize] = Some(code);
    }
}

impl Serialize for Stages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let decided = || Stage::ALL.iter().zip(self.0).filter_map(|(stage, code)| Some((stage, code?)));
        let mut map = serializer.serialize_map(Some(decided().count()))?;
        for (stage, code) in decided() {
            map.serialize_entry(stage.name(), code)?;
        }
        map.end()
    }
}

/// Everything that the product records. The names on the wire are in [`Kind`]; the fields become the
/// `details` of the event and are sealed with its body.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the variants are documented; field names say what they are, with units")]
pub enum Event {
    /// A request went through the pipeline and was answered by a service.
    HttpRequest {
        status: u16,
        duration_us: u64,
        bytes_in: u64,
        bytes_out: u64,
        stages: Stages,
        upstream: Option<Arc<str>>,
    },
    /// A stage refused a request; `problem` is the slug of the problem document.
    HttpRefused { status: u16, stage: Stage, problem: &'static str, duration_us: u64, stages: Stages },
    /// A token or cookie was refused; `reason` names the fault precisely.
    TokenRefused { reason: &'static str, credential: &'static str },
    /// A rule denied an action.
    AuthzDenied {
        action: Short,
        code: &'static str,
        rule: Option<Short>,
        resource: Option<Detail>,
        policy_version: Arc<str>,
    },
    /// A policy could not be evaluated, which denies.
    AuthzFailed { action: Short, error: Detail, policy_version: Arc<str> },
    /// A rate limit was exceeded.
    RateLimitExceeded { limit: Short, window_s: u32, retry_after_s: u32 },
    /// An account was made.
    AccountRegistered {},
    /// An account's e-mail address was verified.
    AccountVerified {},
    /// An account was disabled.
    AccountDisabled { reason: Option<Detail> },
    /// An account was enabled again.
    AccountEnabled {},
    /// An account's role was changed.
    AccountRoleChanged { from: Short, to: Short },
    /// An account's profile was changed; `fields` names what, not its values.
    AccountProfileChanged { fields: &'static [&'static str] },
    /// The owner changed the password.
    PasswordChanged {},
    /// Somebody asked for a reset mail.
    PasswordResetRequested {},
    /// A password was reset through a mailed link.
    PasswordReset {},
    /// Somebody signed in.
    SignedIn { session: Id<ids::Session>, method: &'static str },
    /// A sign-in failed.
    SignInFailed { reason: &'static str },
    /// A session was refreshed.
    SessionRefreshed { session: Id<ids::Session> },
    /// A refresh token was used again after its successor was: the family is revoked.
    RefreshReused { session: Id<ids::Session> },
    /// Somebody signed out.
    SignedOut { session: Id<ids::Session> },
    /// A session (or all, if none is named) was ended by its owner, an operator or a rule.
    SessionRevoked { session: Option<Id<ids::Session>>, reason: &'static str },
    /// The first operator was set up.
    SetupCompleted {},
    /// A set-up link was issued although there are accounts already.
    SetupLinkIssued { expires_at: Timestamp },
    /// A set-up link was issued for an installation without any account.
    FirstSetupLinkIssued { expires_at: Timestamp },
    /// A key was made.
    KeyCreated { key: Short, purpose: Short },
    /// A key took over from another.
    KeyRotated { key: Short, purpose: Short },
    /// A key was taken out of use at once.
    KeyRevoked { key: Short, purpose: Short },
    /// Configuration or policies were loaded.
    ConfigLoaded { what: Short, version: Short },
    /// Other policies were put in force, on every node.
    PolicyActivated { version: Short, before: Short, policies: u32, comment: Option<Detail> },
    /// Policies were not put in force because they are wrong; those before stay. `reason` names file, line and column.
    PolicyRefused { version: Option<Short>, reason: Detail },
    /// Earlier policies were put in force again, on every node.
    PolicyRolledBack { version: Short, before: Short, policies: u32, comment: Option<Detail> },
    /// An operator asked what the policies say about somebody, and was told.
    PolicyExplained { action: Short, allowed: bool, code: &'static str, policy_version: Arc<str> },
    /// The server started.
    ServerStarted { version: Short },
    /// The server stopped in order.
    ServerStopped { reason: Short },
    /// Somebody searched the trail; `by` names the filters, not their values.
    AuditSearched { by: Vec<&'static str>, results: u32 },
    /// Records were lost (`dropped`) or refused with their requests (`refused`) in a span of time.
    AuditGap { dropped: u64, refused: u64, from: Timestamp, to: Timestamp, reason: Short },
    /// A long-lived connection (WebSocket) was opened.
    ConnectionOpened { protocol: &'static str, upstream: Option<Arc<str>> },
    /// A long-lived connection was closed.
    ConnectionClosed {
        protocol: &'static str,
        duration_us: u64,
        bytes_in: u64,
        bytes_out: u64,
        reason: Short,
    },
    /// A rule allowed an action on an object; `relations` are the facts that it stood on.
    AuthzAllowed {
        action: Short,
        rule: Option<Short>,
        resource: Option<Detail>,
        as_role: &'static str,
        as_tier: &'static str,
        relations: Short,
        policy_version: Arc<str>,
    },
    /// A person put a file's digest (SHA-256, in hexadecimal) on record: whoever has the file can prove that it was there.
    WorkAttested { sha256: Short, name: Option<Detail> },
    /// A service's object was made known, with its owner.
    ObjectRegistered { resource: Detail, public: bool, revision: i64 },
    /// An object was shown to everybody, hidden, or moved into or out of another.
    ObjectChanged { resource: Detail, public: bool, moved: bool, revision: i64 },
    /// An object was deleted: nobody has anything to do with it any more.
    ObjectForgotten { resource: Detail, revision: i64 },
    /// Somebody was given a relation to an object.
    AccessGranted {
        resource: Detail,
        subject: Short,
        relation: &'static str,
        expires_at: Option<Timestamp>,
        revision: i64,
    },
    /// A relation was taken away; `also` counts those that hung on it.
    AccessRevoked { resource: Detail, subject: Short, also: u32, revision: i64 },
    /// An object has another owner.
    AccessTransferred { resource: Detail, from: Id<ids::Account>, to: Id<ids::Account>, revision: i64 },
    /// An administrator opened somebody's private object.
    BreakGlassOpened { grant: Id<ids::BreakGlass>, resource: Detail, reason: Detail, expires_at: Timestamp },
    /// … and closed it again.
    BreakGlassClosed { grant: Id<ids::BreakGlass>, resource: Detail },
    /// Somebody was offered a relation to an object, which begins when they accept; `until` is its end.
    AccessOffered {
        offer: Id<ids::Offer>,
        resource: Detail,
        relation: &'static str,
        until: Option<Timestamp>,
    },
    /// An offer was `declined` by whom it was for, or `withdrawn`.
    AccessOfferEnded { offer: Id<ids::Offer>, resource: Detail, how: &'static str },
    /// A team was made or removed, or its members changed.
    TeamChanged { team: Id<ids::Team>, member: Option<Short>, change: &'static str, revision: i64 },
    /// A collaboration token was issued.
    InvitationIssued { invitation: Id<ids::Invitation>, resource: Detail, uses: u32, expires_at: Timestamp },
    /// A collaboration token was redeemed by the account that the event is by.
    InvitationRedeemed { invitation: Id<ids::Invitation>, resource: Detail, revision: i64 },
    /// A collaboration token was refused; `reason` names the fault.
    InvitationRefused { invitation: Option<Id<ids::Invitation>>, reason: &'static str },
    /// A collaboration token was revoked, with `also` relations that came from it.
    InvitationRevoked { invitation: Id<ids::Invitation>, resource: Detail, also: u32, revision: i64 },
    /// A mail was handed over.
    MailDelivered { mail: Id<ids::Mail>, template: Short },
    /// A mail could not be handed over.
    MailFailed { mail: Id<ids::Mail>, template: Short, attempt: u32, error: Detail },
    /// A second factor (`totp`, `recovery_codes`) was set up; passkeys have an event of their own.
    MfaEnrolled { factor: &'static str },
    /// A second factor was taken away.
    MfaRemoved { factor: &'static str, reason: &'static str },
    /// A second factor was given rightly: in a sign-in, or to step up a session.
    MfaPassed { factor: &'static str, session: Option<Id<ids::Session>> },
    /// A second factor was wrong.
    MfaFailed { factor: &'static str, reason: &'static str },
    /// New recovery codes replaced those that were left.
    RecoveryCodesIssued { count: u32 },
    /// A recovery code was used up.
    RecoveryCodeUsed { remaining: u32 },
    /// A passkey was registered; `name` is what its owner calls it.
    PasskeyRegistered { credential: Short, name: Short },
    /// A passkey was removed.
    PasskeyRemoved { credential: Short, reason: &'static str },
    /// A passkey's counter went back (WebAuthn §6.1.1): there may be two of it.
    PasskeyCloneSuspected { credential: Short, stored: u32, received: u32 },
    /// An API key was made; `key` is its public part.
    ApiKeyCreated { key: Short, name: Short, scopes: Vec<Short>, expires_at: Option<Timestamp> },
    /// An API key got a successor.
    ApiKeyRotated { key: Short, successor: Short },
    /// An API key was revoked.
    ApiKeyRevoked { key: Short, reason: &'static str },
    /// An account at another identity provider may sign in from now on.
    ProviderLinked { provider: Short },
    /// An account at another identity provider may no longer sign in.
    ProviderUnlinked { provider: Short, reason: &'static str },
    /// A sign-in's risk was assessed, and it went on; `score` from 0 to 100.
    RiskAssessed { score: u8, level: ThreatLevel, reasons: Vec<&'static str> },
    /// A sign-in's risk demands a further factor.
    RiskStepUpRequired { score: u8, level: ThreatLevel, reasons: Vec<&'static str> },
    /// A sign-in was denied for its risk.
    RiskDenied { score: u8, level: ThreatLevel, reasons: Vec<&'static str> },
    /// Failed sign-ins make the next ones wait.
    AccountThrottled { failures: u32, delay_s: u32 },
    /// One network fails to sign in with many names; `names` is how many at least, `delay_s` how long it waits now.
    SignInSprayed { names: u32, failures: u32, delay_s: u32 },
    /// Failed sign-ins or a rule locked an account, until a time or until somebody unlocks it.
    AccountLocked { reason: &'static str, until: Option<Timestamp> },
    /// An account was unlocked.
    AccountUnlocked { reason: &'static str },
    /// An account came from another product; `hash` names its password's scheme.
    AccountImported { source: Short, hash: Short },
    /// A person's key was destroyed. `keys` are its references as leaves have them (hexadecimal); `authority` says who
    /// may have decided it: `owner`, `operator`, `retention`; `reason` is what they said, and must name nobody.
    SubjectErased { keys: Vec<Short>, authority: &'static str, reason: Option<Detail> },
    /// A part of the trail was handed out; `by` names the filters, not their values, `tree_size` the checkpoint.
    AuditExported { by: Vec<&'static str>, tree_size: u64 },
    /// The log (`whole`) or one proof (`proof`) was verified on request; `index` is the first entry at fault.
    AuditVerified { what: &'static str, verdict: Short, tree_size: u64, index: Option<u64> },
    /// A rule found that people should look: `count` events within `window_s`.
    AlertRaised { alert: Short, level: Short, count: u32, window_s: u32, runbook: Option<Detail> },
    /// A person acknowledged or closed an alert.
    AlertHandled { alert: Short, number: Short, state: &'static str },
    /// An alert could not be delivered over a channel (`mail`, `webhook`) in all its attempts.
    AlertUndelivered { alert: Short, number: Short, channel: Short, attempts: u32 },
    /// A sink has not taken anything for a while; `behind` events wait.
    SinkFailing { sink: Short, since: Timestamp, behind: u64, reason: Short },
    /// A sink that failed takes events again.
    SinkRecovered { sink: Short, since: Timestamp, behind: u64 },
    /// A sink refused one record again and again while it took others: it goes on without it.
    SinkRecordSkipped { sink: Short, index: Option<u64>, reason: Short },
    /// A witness or the authority for time stamps (`source`) does not answer or refuses; said once until it is over.
    EvidenceFailing { source: Short, reason: Detail },
    /// … and it says something about the log again.
    EvidenceRecovered { source: Short, since: Timestamp },
    /// A witness says that the log of `size` entries is not the one that it has seen before.
    LogDisputed { source: Short, size: u64, reason: Detail },
    /// A file of the log was `deleted`, `replaced`, `truncated` or `altered` by somebody else; `rebuilt` from the
    /// database or left as it is, as evidence.
    LogFileChanged { file: Short, what: &'static str, rebuilt: bool },
    /// The database holds an older log than the `anchor` or `mirror` knows: a copy of yesterday came back.
    LogRolledBack { place: &'static str, known: u64, found: u64 },
    /// What the `anchor`, `mirror` or `database` says does not continue what is in the database.
    LogInconsistent { place: &'static str, size: u64, reason: Short },
    /// A folder of the log cannot be written any more.
    LogReadOnly { folder: &'static str },
    /// A folder of the log has hardly any room left.
    LogDiskLow { folder: &'static str, free_mib: u64 },
    /// The clock went back.
    LogClockSteppedBack { by_ms: u64 },
}

impl Event {
    /// Its kind in the catalogue.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::HttpRequest { .. } => Kind::HttpRequest,
            Self::HttpRefused { .. } => Kind::HttpRefused,
            Self::TokenRefused { .. } => Kind::TokenRefused,
            Self::AuthzDenied { .. } => Kind::AuthzDenied,
            Self::AuthzFailed { .. } => Kind::AuthzFailed,
            Self::RateLimitExceeded { .. } => Kind::RateLimitExceeded,
            Self::AccountRegistered { .. } => Kind::AccountRegistered,
            Self::AccountVerified { .. } => Kind::AccountVerified,
            Self::AccountDisabled { .. } => Kind::AccountDisabled,
            Self::AccountEnabled { .. } => Kind::AccountEnabled,
            Self::AccountRoleChanged { .. } => Kind::AccountRoleChanged,
            Self::AccountProfileChanged { .. } => Kind::AccountProfileChanged,
            Self::PasswordChanged { .. } => Kind::PasswordChanged,
            Self::PasswordResetRequested { .. } => Kind::PasswordResetRequested,
            Self::PasswordReset { .. } => Kind::PasswordReset,
            Self::SignedIn { .. } => Kind::SignedIn,
            Self::SignInFailed { .. } => Kind::SignInFailed,
            Self::SessionRefreshed { .. } => Kind::SessionRefreshed,
            Self::RefreshReused { .. } => Kind::RefreshReused,
            Self::SignedOut { .. } => Kind::SignedOut,
            Self::SessionRevoked { .. } => Kind::SessionRevoked,
            Self::SetupCompleted { .. } => Kind::SetupCompleted,
            Self::SetupLinkIssued { .. } => Kind::SetupLinkIssued,
            Self::FirstSetupLinkIssued { .. } => Kind::FirstSetupLinkIssued,
            Self::KeyCreated { .. } => Kind::KeyCreated,
            Self::KeyRotated { .. } => Kind::KeyRotated,
            Self::KeyRevoked { .. } => Kind::KeyRevoked,
            Self::ConfigLoaded { .. } => Kind::ConfigLoaded,
            Self::PolicyActivated { .. } => Kind::PolicyActivated,
            Self::PolicyRefused { .. } => Kind::PolicyRefused,
            Self::PolicyRolledBack { .. } => Kind::PolicyRolledBack,
            Self::PolicyExplained { .. } => Kind::PolicyExplained,
            Self::ServerStarted { .. } => Kind::ServerStarted,
            Self::ServerStopped { .. } => Kind::ServerStopped,
            Self::AuditSearched { .. } => Kind::AuditSearched,
            Self::AuditGap { .. } => Kind::AuditGap,
            Self::ConnectionOpened { .. } => Kind::ConnectionOpened,
            Self::ConnectionClosed { .. } => Kind::ConnectionClosed,
            Self::AuthzAllowed { .. } => Kind::AuthzAllowed,
            Self::WorkAttested { .. } => Kind::WorkAttested,
            Self::ObjectRegistered { .. } => Kind::ObjectRegistered,
            Self::ObjectChanged { .. } => Kind::ObjectChanged,
            Self::ObjectForgotten { .. } => Kind::ObjectForgotten,
            Self::AccessGranted { .. } => Kind::AccessGranted,
            Self::AccessRevoked { .. } => Kind::AccessRevoked,
            Self::AccessTransferred { .. } => Kind::AccessTransferred,
            Self::BreakGlassOpened { .. } => Kind::BreakGlassOpened,
            Self::BreakGlassClosed { .. } => Kind::BreakGlassClosed,
            Self::AccessOffered { .. } => Kind::AccessOffered,
            Self::AccessOfferEnded { .. } => Kind::AccessOfferEnded,
            Self::TeamChanged { .. } => Kind::TeamChanged,
            Self::InvitationIssued { .. } => Kind::InvitationIssued,
            Self::InvitationRedeemed { .. } => Kind::InvitationRedeemed,
            Self::InvitationRefused { .. } => Kind::InvitationRefused,
            Self::InvitationRevoked { .. } => Kind::InvitationRevoked,
            Self::MailDelivered { .. } => Kind::MailDelivered,
            Self::MailFailed { .. } => Kind::MailFailed,
            Self::MfaEnrolled { .. } => Kind::MfaEnrolled,
            Self::MfaRemoved { .. } => Kind::MfaRemoved,
            Self::MfaPassed { .. } => Kind::MfaPassed,
            Self::MfaFailed { .. } => Kind::MfaFailed,
            Self::RecoveryCodesIssued { .. } => Kind::RecoveryCodesIssued,
            Self::RecoveryCodeUsed { .. } => Kind::RecoveryCodeUsed,
            Self::PasskeyRegistered { .. } => Kind::PasskeyRegistered,
            Self::PasskeyRemoved { .. } => Kind::PasskeyRemoved,
            Self::PasskeyCloneSuspected { .. } => Kind::PasskeyCloneSuspected,
            Self::ApiKeyCreated { .. } => Kind::ApiKeyCreated,
            Self::ApiKeyRotated { .. } => Kind::ApiKeyRotated,
            Self::ApiKeyRevoked { .. } => Kind::ApiKeyRevoked,
            Self::ProviderLinked { .. } => Kind::ProviderLinked,
            Self::ProviderUnlinked { .. } => Kind::ProviderUnlinked,
            Self::RiskAssessed { .. } => Kind::RiskAssessed,
            Self::RiskStepUpRequired { .. } => Kind::RiskStepUpRequired,
            Self::RiskDenied { .. } => Kind::RiskDenied,
            Self::AccountThrottled { .. } => Kind::AccountThrottled,
            Self::SignInSprayed { .. } => Kind::SignInSprayed,
            Self::AccountLocked { .. } => Kind::AccountLocked,
            Self::AccountUnlocked { .. } => Kind::AccountUnlocked,
            Self::AccountImported { .. } => Kind::AccountImported,
            Self::SubjectErased { .. } => Kind::SubjectErased,
            Self::AuditExported { .. } => Kind::AuditExported,
            Self::AuditVerified { .. } => Kind::AuditVerified,
            Self::AlertRaised { .. } => Kind::AlertRaised,
            Self::AlertHandled { .. } => Kind::AlertHandled,
            Self::AlertUndelivered { .. } => Kind::AlertUndelivered,
            Self::SinkFailing { .. } => Kind::SinkFailing,
            Self::SinkRecovered { .. } => Kind::SinkRecovered,
            Self::SinkRecordSkipped { .. } => Kind::SinkRecordSkipped,
            Self::EvidenceFailing { .. } => Kind::EvidenceFailing,
            Self::EvidenceRecovered { .. } => Kind::EvidenceRecovered,
            Self::LogDisputed { .. } => Kind::LogDisputed,
            Self::LogFileChanged { .. } => Kind::LogFileChanged,
            Self::LogRolledBack { .. } => Kind::LogRolledBack,
            Self::LogInconsistent { .. } => Kind::LogInconsistent,
            Self::LogReadOnly { .. } => Kind::LogReadOnly,
            Self::LogDiskLow { .. } => Kind::LogDiskLow,
            Self::LogClockSteppedBack { .. } => Kind::LogClockSteppedBack,
        }
    }

    /// The answer's status, where the event has one; goes into a clear column.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::HttpRequest { status, .. } | Self::HttpRefused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
