//! Elastic Common Schema: <https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html>. What the schema
//! has no field for is under `fortissimo`.

use audit::Entry;
use serde_json::{Map, Value, json};

use super::{Place, is_real};

/// The version of the schema.
const VERSION: &str = "8.17.0";

pub(super) fn write(entry: &Entry, place: &Place<'_>, version: &str) -> Value {
    let (category, kind_of) = meaning(&entry.kind);
    let outcome = if entry.outcome == "success" { "success" } else { "failure" };
    let id = if is_real(place) { entry.id.to_string() } else { place.dedup.to_owned() };
    let mut event = json!({
        "id": id,
        "kind": if entry.kind == "alert.raised" { "alert" } else { "event" },
        "category": [category],
        "type": [kind_of],
        "action": entry.kind,
        "code": entry.kind,
        "outcome": outcome,
        "severity": entry.severity,
        "provider": "fortissimo",
        "dataset": "fortissimo.audit",
        "module": "fortissimo",
    });
    if let Some(index) = place.index {
        event["sequence"] = json!(index);
    }
    let mut out = Map::new();
    out.insert("@timestamp".into(), json!(entry.at.to_rfc3339()));
    out.insert("ecs".into(), json!({ "version": VERSION }));
    out.insert("event".into(), event);
    out.insert("message".into(), json!(super::cef::sentence(entry)));
    out.insert(
        "observer".into(),
        json!({ "vendor": "Fortissimo", "product": "Fortissimo", "version": version }),
    );
    people(entry, &mut out);
    web(entry, &mut out);
    let mut own = json!({
        "dedup": place.dedup,
        "actor": entry.actor,
        "outcome": entry.outcome,
        // As text: the fields of kinds differ, and a mapping for each would burst the index.
        "details": entry.details.to_string(),
    });
    if let Some(index) = place.index {
        own["index"] = json!(index);
    }
    if entry.erased {
        own["erased"] = json!(true);
    }
    out.insert("fortissimo".into(), own);
    Value::Object(out)
}

/// ECS's `event.category` and `event.type`, by the family of the kind.
fn meaning(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "session.signed_in" | "session.sign_in_failed" => ("authentication", "start"),
        "session.signed_out" | "session.revoked" => ("session", "end"),
        "account.registered" => ("iam", "creation"),
        "connection.opened" => ("network", "start"),
        "connection.closed" => ("network", "end"),
        "http.refused" | "ratelimit.exceeded" => ("web", "denied"),
        "authz.denied" => ("iam", "denied"),
        "server.started" => ("process", "start"),
        "server.stopped" => ("process", "end"),
        "alert.raised" => ("intrusion_detection", "indicator"),
        "session.sign_in_sprayed" => ("intrusion_detection", "denied"),
        _ => match kind.split_once('.').map_or(kind, |(family, _)| family) {
            "http" => ("web", "access"),
            "authn" => ("authentication", "info"),
            "session" => ("session", "info"),
            "account" | "operator" | "setup_link" => ("iam", "change"),
            "key" | "config" => ("configuration", "change"),
            "mail" => ("email", "info"),
            "connection" => ("network", "info"),
            _ => ("configuration", "info"),
        },
    }
}

fn people(entry: &Entry, out: &mut Map<String, Value>) {
    if let Some(("account", id)) = entry.actor.split_once(':') {
        let mut user = json!({ "id": id });
        if let Some(about) = entry.account.map(|about| about.to_string()).filter(|about| about != id) {
            user["target"] = json!({ "id": about });
        }
        out.insert("user".into(), user);
    } else if let Some(about) = entry.account {
        out.insert("user".into(), json!({ "target": { "id": about.to_string() } }));
    }
}

fn web(entry: &Entry, out: &mut Map<String, Value>) {
    if let Some(address) = entry.address {
        out.insert("source".into(), json!({ "ip": address.to_string(), "address": address.to_string() }));
    }
    if let Some(agent) = &entry.agent {
        out.insert("user_agent".into(), json!({ "original": agent }));
    }
    if let Some(path) = &entry.path {
        out.insert("url".into(), json!({ "path": path }));
    }
    let mut http = Map::new();
    let mut request = Map::new();
    if let Some(id) = entry.request {
        request.insert("id".into(), json!(id.to_string()));
    }
    if let Some(method) = &entry.method {
        request.insert("method".into(), json!(method));
    }
    if !request.is_empty() {
        http.insert("request".into(), Value::Object(request));
    }
    if let Some(status) = entry.status {
        http.insert("response".into(), json!({ "status_code": status }));
    }
    if !http.is_empty() {
        out.insert("http".into(), Value::Object(http));
    }
}
