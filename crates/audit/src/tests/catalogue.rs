use std::collections::HashSet;
use std::fmt::Write;

use base::{Id, Timestamp, kind as ids};
use serde_json::Value;

use crate::{Entry, Event, Kind, Place, Stage, Stages, Threat, ThreatLevel, Whose, to_ocsf};

fn id<K>() -> Id<K> {
    "0198c0de-0000-7000-8000-000000000000".parse().unwrap()
}

/// JSON with sorted keys, whatever feature of serde_json another crate has switched on.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<_, _> = map.iter().collect();
            let members: Vec<_> =
                ordered.iter().map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), sorted(v))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

/// One of every kind.
fn samples() -> Vec<Event> {
    let at = Timestamp::from_millis(1_767_323_045_678);
    let mut stages = Stages::new();
    stages.set(Stage::Admit, "ok");
    stages.set(Stage::Authorize, "allowed");
    vec![
        Event::HttpRequest {
            status: 200,
            duration_us: 830,
            bytes_in: 0,
            bytes_out: 512,
            stages,
            upstream: Some("http://127.0.0.1:9000".into()),
        },
        Event::HttpRefused {
            status: 413,
            stage: Stage::Admit,
            problem: "too-large",
            duration_us: 31,
            stages,
        },
        Event::TokenRefused { reason: "expired", credential: "bearer" },
        Event::AuthzDenied {
            action: "track:delete".into(),
            code: "no_permit",
            rule: Some("ownership".into()),
            resource: Some("track/7".into()),
            policy_version: "v1".into(),
        },
        Event::AuthzFailed {
            action: "track:read".into(),
            error: "attribute missing".into(),
            policy_version: "v1".into(),
        },
        Event::RateLimitExceeded { limit: "login".into(), window_s: 60, retry_after_s: 12 },
        Event::AccountRegistered {},
        Event::AccountVerified {},
        Event::AccountDisabled { reason: Some("payment".into()) },
        Event::AccountEnabled {},
        Event::AccountRoleChanged { from: "user".into(), to: "moderator".into() },
        Event::AccountProfileChanged { fields: &["full_name"] },
        Event::PasswordChanged {},
        Event::PasswordResetRequested {},
        Event::PasswordReset {},
        Event::SignedIn { session: id(), method: "password" },
        Event::SignInFailed { reason: "wrong_password" },
        Event::SessionRefreshed { session: id() },
        Event::RefreshReused { session: id() },
        Event::SignedOut { session: id() },
        Event::SessionRevoked { session: Some(id()), reason: "owner" },
        Event::SetupCompleted {},
        Event::SetupLinkIssued { expires_at: at },
        Event::FirstSetupLinkIssued { expires_at: at },
        Event::KeyCreated { key: "kid".into(), purpose: "access_token".into() },
        Event::KeyRotated { key: "kid".into(), purpose: "access_token".into() },
        Event::KeyRevoked { key: "kid".into(), purpose: "access_token".into() },
        Event::ConfigLoaded { what: "policies".into(), version: "v2".into() },
        Event::PolicyActivated {
            version: "v2".into(),
            before: "v1".into(),
            policies: 20,
            comment: Some("stems for pro".into()),
        },
        Event::PolicyRefused { version: None, reason: "a.cedar:3:1: no @id".into() },
        Event::PolicyRolledBack { version: "v1".into(), before: "v2".into(), policies: 19, comment: None },
        Event::PolicyExplained {
            action: "track:read".into(),
            allowed: true,
            code: "granted",
            policy_version: "v1".into(),
        },
        Event::ServerStarted { version: "0.1.0".into() },
        Event::ServerStopped { reason: "signal".into() },
        Event::AuditSearched { by: vec!["account"], results: 3 },
        Event::AuditGap { dropped: 7, refused: 0, from: at, to: at.plus_ms(40), reason: "overflow".into() },
        Event::ConnectionOpened { protocol: "websocket", upstream: None },
        Event::ConnectionClosed {
            protocol: "websocket",
            duration_us: 9_000_000,
            bytes_in: 10,
            bytes_out: 20,
            reason: "client".into(),
        },
        Event::AuthzAllowed {
            action: "track:read".into(),
            rule: Some("role.user".into()),
            resource: Some("track/7".into()),
            as_role: "user",
            as_tier: "free",
            relations: "owner".into(),
            policy_version: "v1".into(),
        },
        Event::WorkAttested {
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
            name: Some("song.wav".into()),
        },
        Event::ObjectRegistered { resource: "track/7".into(), public: false, revision: 2 },
        Event::ObjectChanged { resource: "track/7".into(), public: true, moved: false, revision: 3 },
        Event::ObjectForgotten { resource: "track/7".into(), revision: 4 },
        Event::AccessGranted {
            resource: "track/7".into(),
            subject: "account/7".into(),
            relation: "shared",
            expires_at: Some(at),
            revision: 5,
        },
        Event::AccessRevoked {
            resource: "track/7".into(),
            subject: "account/7".into(),
            also: 2,
            revision: 6,
        },
        Event::AccessTransferred { resource: "track/7".into(), from: id(), to: id(), revision: 7 },
        Event::BreakGlassOpened {
            grant: id(),
            resource: "track/7".into(),
            reason: "a court order".into(),
            expires_at: at,
        },
        Event::BreakGlassClosed { grant: id(), resource: "track/7".into() },
        Event::AccessOffered { offer: id(), resource: "track/7".into(), relation: "shared", until: Some(at) },
        Event::AccessOfferEnded { offer: id(), resource: "track/7".into(), how: "withdrawn" },
        Event::TeamChanged { team: id(), member: Some("account/7".into()), change: "joined", revision: 8 },
        Event::InvitationIssued { invitation: id(), resource: "project/7".into(), uses: 1, expires_at: at },
        Event::InvitationRedeemed { invitation: id(), resource: "project/7".into(), revision: 9 },
        Event::InvitationRefused { invitation: Some(id()), reason: "used-up" },
        Event::InvitationRevoked { invitation: id(), resource: "project/7".into(), also: 1, revision: 10 },
        Event::MailDelivered { mail: id(), template: "verify".into() },
        Event::MailFailed {
            mail: id(),
            template: "verify".into(),
            attempt: 2,
            error: "451 try later".into(),
        },
    ]
    .into_iter()
    .chain(sign_in_samples(at))
    .chain(trail_samples(at))
    .collect()
}

fn sign_in_samples(at: Timestamp) -> Vec<Event> {
    let (score, level) = (64, ThreatLevel::Medium);
    vec![
        Event::MfaEnrolled { factor: "totp" },
        Event::MfaRemoved { factor: "totp", reason: "owner" },
        Event::MfaPassed { factor: "totp", session: Some(id()) },
        Event::MfaFailed { factor: "totp", reason: "wrong_code" },
        Event::RecoveryCodesIssued { count: 10 },
        Event::RecoveryCodeUsed { remaining: 9 },
        Event::PasskeyRegistered { credential: "q83vEjRWeJA".into(), name: "Phone".into() },
        Event::PasskeyRemoved { credential: "q83vEjRWeJA".into(), reason: "owner" },
        Event::PasskeyCloneSuspected { credential: "q83vEjRWeJA".into(), stored: 12, received: 11 },
        Event::ApiKeyCreated {
            key: "fk_7Qm2".into(),
            name: "Uploads".into(),
            scopes: vec!["track:write".into()],
            expires_at: Some(at),
        },
        Event::ApiKeyRotated { key: "fk_7Qm2".into(), successor: "fk_9Xc4".into() },
        Event::ApiKeyRevoked { key: "fk_7Qm2".into(), reason: "owner" },
        Event::ProviderLinked { provider: "university".into() },
        Event::ProviderUnlinked { provider: "university".into(), reason: "owner" },
        Event::RiskAssessed { score: 12, level: ThreatLevel::Low, reasons: vec!["new_device"] },
        Event::RiskStepUpRequired { score, level, reasons: vec!["new_device", "new_country"] },
        Event::RiskDenied { score: 93, level: ThreatLevel::Critical, reasons: vec!["impossible_travel"] },
        Event::AccountThrottled { failures: 5, delay_s: 30 },
        Event::SignInSprayed { names: 12, failures: 30, delay_s: 2 },
        Event::AccountLocked { reason: "failed_sign_ins", until: Some(at) },
        Event::AccountUnlocked { reason: "time" },
        Event::AccountImported { source: "keycloak".into(), hash: "bcrypt".into() },
        Event::SubjectErased {
            keys: vec!["6b1d".into()],
            authority: "operator",
            reason: Some("asked for by letter".into()),
        },
    ]
}

fn trail_samples(at: Timestamp) -> Vec<Event> {
    vec![
        Event::AuditExported { by: vec!["from", "kind"], tree_size: 70_000 },
        Event::AuditVerified { what: "whole", verdict: "altered".into(), tree_size: 70_000, index: Some(7) },
        Event::AlertHandled { alert: "refresh-token-reuse".into(), number: "12".into(), state: "closed" },
        Event::AlertUndelivered {
            alert: "refresh-token-reuse".into(),
            number: "12".into(),
            channel: "mail".into(),
            attempts: 8,
        },
        Event::SinkFailing { sink: "siem".into(), since: at, behind: 1_200, reason: "refused".into() },
        Event::SinkRecovered { sink: "siem".into(), since: at, behind: 1_200 },
        Event::SinkRecordSkipped { sink: "siem".into(), index: Some(7), reason: "400".into() },
        Event::EvidenceFailing { source: "time stamps".into(), reason: "503 Service Unavailable".into() },
        Event::EvidenceRecovered { source: "witness witness.example/w1".into(), since: at },
        Event::LogDisputed {
            source: "witness witness.example/w1".into(),
            size: 70_000,
            reason: "it has seen 80000 entries".into(),
        },
        Event::LogFileChanged { file: "tile/0/000".into(), what: "truncated", rebuilt: true },
        Event::LogRolledBack { place: "anchor", known: 70_000, found: 65_000 },
        Event::LogInconsistent { place: "mirror", size: 70_000, reason: "another root".into() },
        Event::LogReadOnly { folder: "mirror" },
        Event::LogDiskLow { folder: "data", free_mib: 40 },
        Event::LogClockSteppedBack { by_ms: 90_000 },
        Event::AlertRaised {
            alert: "refresh-token-reuse".into(),
            level: "high".into(),
            count: 3,
            window_s: 300,
            runbook: Some("End the account's sessions.".into()),
        },
    ]
}

fn second() -> Id<ids::Account> {
    "0198c0de-0000-7000-8000-000000000002".parse().unwrap()
}

fn details(event: &Event) -> Value {
    serde_json::to_value(event).unwrap()
}

/// The entry that reading the event back would give.
fn entry(event: &Event) -> Entry {
    let spec = event.kind().spec();
    let (event_id, account, request): (Id<ids::Event>, Id<ids::Account>, Id<ids::Request>) =
        (id(), id(), id());
    let mut entry = Entry {
        id: event_id,
        index: Some(41),
        at: Timestamp::from_millis(1_767_323_045_678),
        kind: spec.name.into(),
        severity: spec.severity_id,
        outcome: "success".into(),
        account: Some(account),
        actor: format!("account:{account}"),
        request: Some(request),
        method: Some("GET".into()),
        route: Some("/api/v1/tracks/{id}".into()),
        status: event.status(),
        address: Some("203.0.113.7".parse().unwrap()),
        agent: Some("agent/1".into()),
        path: Some("/api/v1/tracks/7".into()),
        tier: Some("pro".into()),
        place: Place::new("GB", Some("ENG")),
        threat: Some(Threat::CLEAN),
        details: details(event),
        erased: false,
        damaged: false,
    };
    let name = spec.name;
    if matches!(
        event.kind(),
        Kind::AuthzDenied | Kind::HttpRefused | Kind::RateLimitExceeded | Kind::RiskDenied
    ) {
        entry.outcome = "denied".into();
        entry.threat = Some(Threat::found(93, ThreatLevel::Critical, "impossible_travel"));
    } else if name.ends_with("failed") || name.ends_with("refused") || name == "audit.verified" {
        entry.outcome = "failure".into();
    }
    entry
}

/// The same after the person's key is gone, and the same from inside of the program.
fn variants(event: &Event) -> [Entry; 4] {
    let full = entry(event);
    let mut erased = full.clone();
    (erased.address, erased.agent, erased.path) = (None, None, None);
    (erased.tier, erased.place, erased.threat, erased.erased) = (None, None, None, true);
    erased.details = Value::Object(serde_json::Map::new());
    let mut inside = full.clone();
    (inside.actor, inside.account, inside.request) = ("system:janitor".into(), None, None);
    (inside.method, inside.route, inside.status) = (None, None, None);
    (inside.address, inside.agent, inside.path) = (None, None, None);
    (inside.tier, inside.place, inside.threat) = (None, None, None);
    // What strangers send.
    let mut strange = full.clone();
    strange.method = Some("PROPFIND".into());
    strange.agent = Some("\u{202e}\"'<script>".into());
    strange.path = Some(String::new());
    strange.actor = "anonymous".into();
    [full, erased, inside, strange]
}

#[test]
fn every_kind_has_a_sample_and_a_name_of_its_own() {
    let sampled: HashSet<Kind> = samples().iter().map(Event::kind).collect();
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !sampled.contains(kind)).collect();
    assert!(missing.is_empty(), "no sample of {missing:?}");
    let names: HashSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
        assert!(kind.name().contains('.'));
    }
    assert!("session.signed".parse::<Kind>().is_err());
}

#[test]
fn every_field_that_is_called_personal_exists() {
    for event in samples() {
        let name = event.kind().name();
        for personal in event.kind().spec().personal {
            assert!(details(&event).get(personal.field).is_some(), "{name}: {}", personal.field);
            if personal.whose == Whose::Other {
                assert_eq!(details(&event)[personal.field], second().to_string(), "{name}");
            }
        }
    }
}

/// `unmapped` has the caller's tier beside the kind's own fields.
#[test]
fn no_event_has_a_field_that_means_something_else_when_written_out() {
    for event in samples() {
        assert!(details(&event).get("tier").is_none(), "{}", event.kind().name());
    }
}

/// A change of this file is a change of what operators' tools see.
#[test]
fn the_catalogue_is_pinned() {
    let mut table = String::new();
    for event in samples() {
        let s = event.kind().spec();
        let (class, activity, severity) = (s.class_uid, s.activity_id, s.severity_id);
        let class = format!("{class}/{activity}/{severity} {:?} {:?}", s.durability, s.retention);
        let personal: Vec<String> =
            s.personal.iter().map(|p| format!("{} of {:?}", p.field, p.whose).to_lowercase()).collect();
        writeln!(table, "{:<34}{class:<34}{} personal={personal:?}", s.name, sorted(&details(&event)))
            .unwrap();
    }
    insta::assert_snapshot!("catalogue", table);
}

#[test]
fn the_ocsf_form_is_pinned() {
    let lines: Vec<String> = samples().iter().map(|event| sorted(&to_ocsf(&entry(event), "0.1.0"))).collect();
    insta::assert_snapshot!("ocsf", lines.join("\n"));
}

/// Every kind as it is, erased, and as the program itself writes it, against the published schema, by libraries that
/// are not ours. The script first checks that it refuses wrong ones.
#[test]
fn outside_libraries_find_every_kind_valid() {
    let Some(python) = outside("FORTISSIMO_TEST_PYTHON") else { return };
    let lines: Vec<String> =
        samples().iter().flat_map(variants).map(|entry| to_ocsf(&entry, "0.1.0").to_string()).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/check-ocsf.py");
    let checked = std::process::Command::new(python).arg(script).arg(&file).output().unwrap();
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains(&format!("{} events are valid", lines.len())), "{said}");
}

/// What `cargo xtask test` names; nothing may be skipped in CI.
fn outside(variable: &str) -> Option<std::ffi::OsString> {
    #[expect(clippy::disallowed_methods, reason = "the test runner names its tools in the environment")]
    let (found, ci) =
        (std::env::var_os(variable), std::env::var_os("CI").is_some_and(|value| value == "true"));
    if found.is_none() {
        assert!(!ci, "{variable} is not set: run `cargo xtask test`");
        eprintln!("not tested here: {variable} is not set (cargo xtask test sets it)");
    }
    found
}

#[test]
fn an_event_of_a_newer_version_is_a_base_event() {
    let mut newer = entry(&Event::AccountEnabled {});
    newer.kind = "vault.sealed".into();
    let written = to_ocsf(&newer, "0.1.0");
    assert_eq!((written["class_uid"].clone(), written["type_uid"].clone()), (0.into(), 0.into()));
}
