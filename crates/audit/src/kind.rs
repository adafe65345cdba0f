//! What the catalogue says about each kind of event, as one table.

use std::str::FromStr;

/// When the record must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the reply; who cannot record it refuses.
    Critical,
    /// Soon after; may degrade with a counted gap.
    Traffic,
}

/// For how long it is kept, unless the operator says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Traffic lines: 30 days.
    Short,
    /// What a person did or suffered: 13 months, so that a year can be compared.
    Normal,
    /// Administration, keys and privacy: 7 years, as evidence.
    Long,
}

impl Retention {
    /// Days.
    pub const fn days(self) -> u32 {
        match self {
            Self::Short => 30,
            Self::Normal => 396,
            Self::Long => 2557,
        }
    }
}

/// Whose a personal field is, and so under whose key it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The person whom the event is about ([`crate::Record::about`]).
    About,
    /// Who did it ([`crate::Record::actor`]), if that is a person. The request's address, agent, path, tier and place
    /// are always theirs.
    Actor,
    /// The second person that the event concerns ([`crate::Record::other`]), such as the one who is granted access.
    Other,
}

/// A field of an event's own that is personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Personal {
    /// The field's name in the details.
    pub field: &'static str,
    /// Whose it is.
    pub whose: Whose,
}

/// What the catalogue says about a kind. Numbers are OCSF 1.8.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// The stable dotted name.
    pub name: &'static str,
    /// OCSF `class_uid`; its thousands are `category_uid`.
    pub class_uid: u32,
    /// OCSF `activity_id`; 99 (other) where the class has no word for it.
    pub activity_id: u8,
    /// OCSF `severity_id`: 1 informational, 2 low, 3 medium, 4 high, 5 critical, 6 fatal.
    pub severity_id: u8,
    /// When it must be on disk.
    pub durability: Durability,
    /// For how long it is kept.
    pub retention: Retention,
    /// Which of its own fields are personal and whose, beside what the request says of its sender, which always is.
    pub personal: &'static [Personal],
}

impl Spec {
    /// OCSF `category_uid`.
    pub const fn category_uid(&self) -> u32 {
        self.class_uid / 1000
    }
}

macro_rules! whose {
    () => {
        Whose::About
    };
    ($whose:ident) => {
        Whose::$whose
    };
}

macro_rules! catalogue {
    ($($kind:ident $name:literal $class:literal $activity:literal $severity:literal $durability:ident $retention:ident
        [$($personal:literal $(of $whose:ident)?)*];)*) => {
        /// The kinds of events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the event of the same name is documented")]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// What the catalogue says about it.
            pub const fn spec(self) -> Spec {
                match self { $(Self::$kind => Spec {
                    name: $name, class_uid: $class, activity_id: $activity, severity_id: $severity,
                    durability: Durability::$durability, retention: Retention::$retention,
                    personal: &[$(Personal { field: $personal, whose: whose!($($whose)?) }),*],
                },)* }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(name: &str) -> Result<Self, UnknownKind> {
                match name { $($name => Ok(Self::$kind),)* _ => Err(UnknownKind) }
            }
        }
    };
}

/// There is no such kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of event; they look like session.signed_in")]
pub struct UnknownKind;

// Classes: 2004 Detection Finding, 3001 Account Change, 3002 Authentication, 3004 Entity Management, 3005 User Access
// Management, 4001 Network Activity, 4002 HTTP Activity, 4009 Email Activity, 6002 Application Lifecycle, 6003 API
// Activity, 6008 Application Error. For 4002 the activity follows from the method when the event is written out.
// A personal field is the person's whom the event is about, unless `of Actor` or `of Other` follows.
catalogue! {
    HttpRequest            "http.request"                     4002 99 1 Traffic  Short  [];
    HttpRefused            "http.refused"                     4002 99 2 Traffic  Short  [];
    TokenRefused           "authn.token_refused"              3002 99 3 Critical Normal [];
    AuthzDenied            "authz.denied"                     6003 99 3 Critical Normal ["resource"];
    AuthzFailed            "authz.failed"                     6003 99 5 Critical Long   [];
    RateLimitExceeded      "ratelimit.exceeded"               4002 99 2 Traffic  Short  [];
    AccountRegistered      "account.registered"               3001 1  1 Critical Normal [];
    AccountVerified        "account.verified"                 3001 99 1 Critical Normal [];
    AccountDisabled        "account.disabled"                 3001 5  3 Critical Long   ["reason"];
    AccountEnabled         "account.enabled"                  3001 2  3 Critical Long   [];
    AccountRoleChanged     "account.role_changed"             3001 99 3 Critical Long   ["from" "to"];
    AccountProfileChanged  "account.profile_changed"          3001 99 1 Critical Normal [];
    PasswordChanged        "account.password_changed"         3001 3  2 Critical Normal [];
    PasswordResetRequested "account.password_reset_requested" 3001 99 2 Critical Normal [];
    PasswordReset          "account.password_reset"           3001 4  2 Critical Normal [];
    SignedIn               "session.signed_in"                3002 1  1 Critical Normal ["session"];
    SignInFailed           "session.sign_in_failed"           3002 1  2 Critical Normal [];
    SessionRefreshed       "session.refreshed"                3002 5  1 Critical Normal ["session"];
    RefreshReused          "session.refresh_reused"           3002 5  4 Critical Normal ["session"];
    SignedOut              "session.signed_out"               3002 2  1 Critical Normal ["session"];
    SessionRevoked         "session.revoked"                  3002 2  2 Critical Normal ["session"];
    SetupCompleted         "operator.setup_completed"         3001 1  3 Critical Long   [];
    SetupLinkIssued        "setup_link.issued"                3001 99 3 Critical Long   [];
    FirstSetupLinkIssued   "setup_link.first_issued"          3001 99 2 Critical Long   [];
    KeyCreated             "key.created"                      3004 1  2 Critical Long   [];
    KeyRotated             "key.rotated"                      3004 3  2 Critical Long   [];
    KeyRevoked             "key.revoked"                      3004 4  4 Critical Long   [];
    ConfigLoaded           "config.loaded"                    6002 99 1 Critical Long   [];
    PolicyActivated        "policy.activated"                 3004 3  3 Critical Long   [];
    PolicyRefused          "policy.refused"                   3004 3  3 Critical Long   [];
    PolicyRolledBack       "policy.rolled_back"               3004 3  3 Critical Long   [];
    PolicyExplained        "policy.explained"                 6003 2  2 Critical Long   [];
    ServerStarted          "server.started"                   6002 3  1 Critical Long   [];
    ServerStopped          "server.stopped"                   6002 4  1 Critical Long   [];
    AuditSearched          "audit.searched"                   6003 2  2 Critical Long   [];
    AuditGap               "audit.gap"                        6008 1  4 Critical Long   [];
    ConnectionOpened       "connection.opened"                4001 1  1 Traffic  Short  [];
    ConnectionClosed       "connection.closed"                4001 2  1 Traffic  Short  [];
    AuthzAllowed           "authz.allowed"                    6003 99 1 Traffic  Short  ["resource"];
    ObjectRegistered       "access.registered"                3004 1  1 Critical Normal ["resource"];
    ObjectChanged          "access.changed"                   3004 3  1 Critical Normal ["resource"];
    ObjectForgotten        "access.forgotten"                 3004 4  2 Critical Normal ["resource"];
    AccessGranted          "access.granted"                   3004 3  2 Critical Normal ["resource" "subject"];
    AccessRevoked          "access.revoked"                   3004 3  2 Critical Normal ["resource" "subject"];
    AccessTransferred      "access.transferred"               3004 3  3 Critical Normal ["resource" "from" "to"];
    BreakGlassOpened       "access.break_glass_opened"        3004 2  5 Critical Long   ["resource" "reason"];
    BreakGlassClosed       "access.break_glass_closed"        3004 99 3 Critical Long   ["resource"];
    AccessOffered          "access.offered"                   3004 99 2 Critical Normal ["resource"];
    AccessOfferEnded       "access.offer_ended"               3004 99 1 Critical Normal ["resource"];
    TeamChanged            "access.team_changed"              3004 3  2 Critical Normal ["team" "member"];
    InvitationIssued       "collab.token_issued"              3004 1  2 Critical Normal ["resource"];
    InvitationRedeemed     "collab.token_redeemed"            3004 3  2 Critical Normal ["resource"];
    InvitationRefused      "collab.token_refused"             3004 99 3 Critical Normal [];
    InvitationRevoked      "collab.token_revoked"             3004 4  2 Critical Normal ["resource"];
    WorkAttested           "work.attested"                    3004 1  1 Critical Long   ["sha256" "name"];
    MailDelivered          "mail.delivered"                   4009 1  1 Traffic  Normal ["mail"];
    MailFailed             "mail.failed"                      4009 1  3 Traffic  Normal ["mail" "error"];
    MfaEnrolled            "mfa.enrolled"                     3001 10 2 Critical Normal ["factor"];
    MfaRemoved             "mfa.removed"                      3001 11 3 Critical Normal ["factor"];
    MfaPassed              "mfa.passed"                       3002 1  1 Critical Normal ["session"];
    MfaFailed              "mfa.failed"                       3002 1  3 Critical Normal [];
    RecoveryCodesIssued    "mfa.recovery_codes_issued"        3001 99 2 Critical Normal [];
    RecoveryCodeUsed       "mfa.recovery_code_used"           3002 1  3 Critical Normal [];
    PasskeyRegistered      "passkey.registered"               3001 10 2 Critical Normal ["credential" "name"];
    PasskeyRemoved         "passkey.removed"                  3001 11 3 Critical Normal ["credential"];
    PasskeyCloneSuspected  "passkey.clone_suspected"          3002 1  4 Critical Long   ["credential"];
    ApiKeyCreated          "api_key.created"                  3004 1  2 Critical Normal ["key" "name"];
    ApiKeyRotated          "api_key.rotated"                  3004 3  2 Critical Normal ["key" "successor"];
    ApiKeyRevoked          "api_key.revoked"                  3004 4  2 Critical Normal ["key"];
    ProviderLinked         "identity_provider.linked"         3001 99 2 Critical Normal ["provider"];
    ProviderUnlinked       "identity_provider.unlinked"       3001 99 2 Critical Normal ["provider"];
    RiskAssessed           "risk.assessed"                    3002 99 1 Critical Normal ["score" "level" "reasons"];
    RiskStepUpRequired     "risk.step_up_required"            3002 99 3 Critical Normal ["score" "level" "reasons"];
    RiskDenied             "risk.denied"                      3002 99 4 Critical Normal ["score" "level" "reasons"];
    AccountThrottled       "account.throttled"                3001 99 2 Critical Normal [];
    SignInSprayed          "session.sign_in_sprayed"          3002 99 4 Critical Normal [];
    AccountLocked          "account.locked"                   3001 9  3 Critical Normal [];
    AccountUnlocked        "account.unlocked"                 3001 12 2 Critical Normal [];
    AccountImported        "account.imported"                 3001 1  2 Critical Long   [];
    SubjectErased          "subject.erased"                   3001 6  3 Critical Long   [];
    AuditExported          "audit.exported"                   6003 2  3 Critical Long   [];
    AuditVerified          "audit.verified"                   6003 2  2 Critical Long   [];
    AlertRaised            "alert.raised"                     2004 1  4 Critical Long   [];
    AlertHandled           "alert.handled"                    2004 2  2 Critical Long   [];
    AlertUndelivered       "alert.undelivered"                6008 1  4 Critical Long   [];
    SinkFailing            "sink.failing"                     6008 1  4 Critical Long   [];
    SinkRecovered          "sink.recovered"                   6008 99 2 Critical Long   [];
    SinkRecordSkipped      "sink.record_skipped"              6008 1  4 Critical Long   [];
    EvidenceFailing        "evidence.failing"                 6008 1  4 Critical Long   [];
    EvidenceRecovered      "evidence.recovered"               6008 99 2 Critical Long   [];
    LogDisputed            "log.disputed"                     6008 1  6 Critical Long   [];
    LogFileChanged         "log.file_changed"                 6008 1  5 Critical Long   [];
    LogRolledBack          "log.rolled_back"                  6008 1  6 Critical Long   [];
    LogInconsistent        "log.inconsistent"                 6008 1  6 Critical Long   [];
    LogReadOnly            "log.read_only"                    6008 1  5 Critical Long   [];
    LogDiskLow             "log.disk_nearly_full"             6008 1  4 Critical Long   [];
    LogClockSteppedBack    "log.clock_stepped_back"           6008 1  4 Critical Long   [];
}

impl Kind {
    /// The stable dotted name.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }
}
