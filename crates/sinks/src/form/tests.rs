//! Golden texts: what receivers parse must not change by accident.

use audit::{Entry, TreeHead};
use base::{Id, Timestamp};
use serde_json::{Value, json};

use super::*;

fn writer(form: Form) -> Writer {
    Writer { deployment: "d1".into(), version: "0.1.0".into(), form }
}

pub(crate) fn entry(kind: &str, details: Value) -> Entry {
    let account: Id<base::kind::Account> = "0198c0de-0000-7000-8000-00000000000a".parse().unwrap();
    Entry {
        id: "0198c0de-0000-7000-8000-00000000000e".parse().unwrap(),
        severity: 4,
        outcome: "failure".to_owned(),
        account: Some(account),
        actor: format!("account:{account}"),
        request: Some("0198c0de-0000-7000-8000-00000000000b".parse().unwrap()),
        method: Some("POST".to_owned()),
        route: Some("/auth/login".to_owned()),
        status: Some(401),
        address: Some("203.0.113.7".parse().unwrap()),
        agent: Some("agent=1|\\x\n2".to_owned()),
        path: Some("/auth/login".to_owned()),
        ..synthetic(kind, Timestamp::from_millis(1_767_323_045_678), details)
    }
}

fn event() -> Note {
    Note::Event(Box::new(Item {
        index: 41,
        entry: entry("session.sign_in_failed", json!({ "reason": "wrong_password" })),
    }))
}

fn json_of(form: Form, note: &Note) -> Value {
    serde_json::from_str(&writer(form).write(note).text).unwrap()
}

#[test]
fn cef_escapes_what_it_must() {
    let record = writer(Form::Cef).write(&event());
    assert_eq!(
        record.text,
        "CEF:0|Fortissimo|Fortissimo|0.1.0|session.sign_in_failed|session sign in failed (failure)|7|\
         rt=1767323045678 cs1Label=dedup cs1=d1:41 cn1Label=logIndex cn1=41 \
         externalId=0198c0de-0000-7000-8000-00000000000e act=session.sign_in_failed outcome=failure \
         suid=0198c0de-0000-7000-8000-00000000000a duid=0198c0de-0000-7000-8000-00000000000a src=203.0.113.7 \
         requestMethod=POST request=/auth/login requestClientApplication=agent\\=1|\\\\x\\n2 cs2Label=requestId \
         cs2=0198c0de-0000-7000-8000-00000000000b cn2Label=status cn2=401 cs3Label=details \
         cs3={\"reason\":\"wrong_password\"}"
    );
    assert_eq!((record.dedup.as_str(), record.index), ("d1:41", Some(41)));
    let pipes = writer(Form::Cef)
        .write(&Note::Event(Box::new(Item { index: 0, entry: entry("a|b\\c\nd", json!({})) })));
    assert!(pipes.text.starts_with("CEF:0|Fortissimo|Fortissimo|0.1.0|a\\|b\\\\c d|"), "{}", pipes.text);
    assert!(!pipes.text.contains('\n'));
}

#[test]
fn ecs_has_its_fields_where_elastic_looks_for_them() {
    let event = json_of(Form::Ecs, &event());
    let wanted = json!({
        "@timestamp": "2026-01-02T03:04:05.678Z",
        "ecs": { "version": "8.17.0" },
        "event": {
            "id": "0198c0de-0000-7000-8000-00000000000e", "kind": "event", "category": ["authentication"],
            "type": ["start"], "action": "session.sign_in_failed", "code": "session.sign_in_failed",
            "outcome": "failure", "severity": 4, "provider": "fortissimo", "dataset": "fortissimo.audit",
            "module": "fortissimo", "sequence": 41,
        },
        "message": "session sign in failed (failure)",
        "observer": { "vendor": "Fortissimo", "product": "Fortissimo", "version": "0.1.0" },
        "user": { "id": "0198c0de-0000-7000-8000-00000000000a" },
        "source": { "ip": "203.0.113.7", "address": "203.0.113.7" },
        "user_agent": { "original": "agent=1|\\x\n2" },
        "url": { "path": "/auth/login" },
        "http": {
            "request": { "id": "0198c0de-0000-7000-8000-00000000000b", "method": "POST" },
            "response": { "status_code": 401 },
        },
        "fortissimo": {
            "dedup": "d1:41", "index": 41, "actor": "account:0198c0de-0000-7000-8000-00000000000a",
            "outcome": "failure", "details": "{\"reason\":\"wrong_password\"}",
        },
    });
    assert_eq!(event, wanted);
}

/// ECS allows these words only: <https://www.elastic.co/guide/en/ecs/8.17/ecs-allowed-values-event-category.html>.
#[test]
fn ecs_categories_and_types_are_allowed_ones() {
    let categories = [
        "authentication",
        "configuration",
        "email",
        "iam",
        "intrusion_detection",
        "network",
        "process",
        "session",
        "web",
    ];
    let types = ["access", "change", "creation", "denied", "end", "indicator", "info", "start"];
    for kind in audit::Kind::ALL {
        let note = Note::Event(Box::new(Item { index: 0, entry: entry(kind.name(), json!({})) }));
        let event = json_of(Form::Ecs, &note);
        assert!(categories.contains(&event["event"]["category"][0].as_str().unwrap()), "{}", kind.name());
        assert!(types.contains(&event["event"]["type"][0].as_str().unwrap()), "{}", kind.name());
    }
}

#[test]
fn ocsf_says_where_in_the_log_it_is() {
    let event = json_of(Form::Ocsf, &event());
    assert_eq!(event["metadata"]["sequence"], 41);
    assert_eq!(event["metadata"]["log_name"], "fortissimo");
    assert_eq!(event["unmapped"]["dedup"], "d1:41");
    assert_eq!((event["class_uid"].clone(), event["severity_id"].clone()), (json!(3002), json!(4)));
}

#[test]
fn a_checkpoint_is_a_record_of_its_own() {
    let head = TreeHead { size: 7, checkpoint: "studio/log\n7\nroot\n".into(), ..TreeHead::default() };
    for form in [Form::Ocsf, Form::Ecs, Form::Cef] {
        let record = writer(form).write(&Note::Checkpoint(head.clone()));
        assert_eq!((record.dedup.as_str(), record.index), ("d1:checkpoint:7", None));
        assert!(record.text.contains("studio/log"), "{}", record.text);
        assert!(!record.text.contains('\n'), "one line");
    }
}

#[test]
fn an_erased_event_says_so_and_shows_nothing() {
    let mut erased = entry("session.signed_in", json!({}));
    (erased.erased, erased.address, erased.agent, erased.path) = (true, None, None, None);
    let note = Note::Event(Box::new(Item { index: 1, entry: erased }));
    assert_eq!(json_of(Form::Ocsf, &note)["unmapped"]["erased"], true);
    assert_eq!(json_of(Form::Ecs, &note)["fortissimo"]["erased"], true);
}
