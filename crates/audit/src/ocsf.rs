//! Events in the written form of OCSF 1.8.0 (Open Cybersecurity Schema Framework).

use serde_json::{Map, Value, json};

use crate::{Entry, Kind};

/// OCSF's version.
const VERSION: &str = "1.8.0";

/// An event as OCSF JSON. Fields of the kind that OCSF has no word for are under `unmapped`.
pub fn to_ocsf(entry: &Entry, product_version: &str) -> Value {
    // What a newer node wrote is a base event, not an error.
    let spec = entry.kind.parse::<Kind>().ok().map(Kind::spec);
    let class = spec.map_or(0, |s| s.class_uid);
    let activity = spec.map_or(0, |s| activity(class, s.activity_id, entry.method.as_deref()));
    let mut event = json!({
        "class_uid": class,
        "category_uid": class / 1000,
        "activity_id": activity,
        "type_uid": u64::from(class) * 100 + u64::from(activity),
        "severity_id": entry.severity,
        "time": entry.at.as_millis(),
        "status_id": if entry.outcome == "success" { 1 } else { 2 },
        "status": entry.outcome,
        "metadata": {
            "version": VERSION,
            "uid": entry.id.to_string(),
            "event_code": entry.kind,
            // What allows `actor` in every class, and `disposition_id` for what was refused.
            "profiles": if denied(entry) { json!(["host", "security_control"]) } else { json!(["host"]) },
            "product": { "name": "Fortissimo", "vendor_name": "Fortissimo", "version": product_version },
        },
    });
    let fields = event.as_object_mut().expect("the literal above is an object");
    if activity == 99 {
        fields.insert("activity_name".into(), json!(entry.kind));
    }
    if let Some(request) = entry.request {
        fields["metadata"]["correlation_uid"] = json!(request.to_string());
    }
    people(entry, class, fields);
    web(entry, class, fields);
    required(entry, class, fields);
    fields.insert("unmapped".into(), entry.details.clone());
    event
}

/// HTTP Activity names its activities after methods.
fn activity(class: u32, listed: u8, method: Option<&str>) -> u8 {
    if class != 4002 {
        return listed;
    }
    match method {
        Some("CONNECT") => 1,
        Some("DELETE") => 2,
        Some("GET") => 3,
        Some("HEAD") => 4,
        Some("OPTIONS") => 5,
        Some("POST") => 6,
        Some("PUT") => 7,
        Some("TRACE") => 8,
        Some("PATCH") => 9,
        _ => 99,
    }
}

/// Who did it (`actor`), and to whom (`user`).
fn people(entry: &Entry, class: u32, fields: &mut Map<String, Value>) {
    let actor = match entry.actor.split_once(':') {
        Some(("account", id)) => json!({ "user": { "uid": id } }),
        Some(("system", part)) => json!({ "app_name": part }),
        _ => json!({ "user": { "type_id": 0 } }),
    };
    fields.insert("actor".into(), actor);
    if class == 3001 || class == 3002 {
        let user =
            entry.account.map_or_else(|| json!({ "type_id": 0 }), |id| json!({ "uid": id.to_string() }));
        fields.insert("user".into(), user);
    }
}

/// Whether a rule of ours refused it.
fn denied(entry: &Entry) -> bool {
    entry.outcome == "denied"
}

/// Where it came from and what was asked, in the classes that know such a thing.
fn web(entry: &Entry, class: u32, fields: &mut Map<String, Value>) {
    let inside = matches!(class, 6002 | 6008);
    if let Some(address) = entry.address.filter(|_| !inside) {
        fields.insert("src_endpoint".into(), json!({ "ip": address.to_string() }));
    }
    if let Some(method) = entry.method.as_ref().filter(|_| !inside && !matches!(class, 4001 | 4009)) {
        let mut request = json!({ "http_method": method });
        if let Some(agent) = &entry.agent {
            request["user_agent"] = json!(agent);
        }
        if let Some(path) = &entry.path {
            request["url"] = json!({ "path": path });
        }
        fields.insert("http_request".into(), request);
    }
    if let Some(status) = entry.status {
        fields.insert("http_response".into(), json!({ "code": status }));
    }
    if denied(entry) {
        fields.insert("action_id".into(), json!(2));
        fields.insert("disposition_id".into(), json!(2));
    }
}

/// What single classes demand.
fn required(entry: &Entry, class: u32, fields: &mut Map<String, Value>) {
    match class {
        3002 => {
            fields.insert("service".into(), json!({ "name": "Fortissimo" }));
        }
        3004 => {
            fields.insert("entity".into(), json!({ "type": "key", "name": entry.details["key"], "data": { "purpose": entry.details["purpose"] } }));
        }
        4009 => {
            fields.insert("direction_id".into(), json!(2));
            // OCSF wants a sender or a receiver; the trail knows the message only.
            fields.insert("email".into(), json!({ "uid": entry.details["mail"], "to": [] }));
        }
        6002 => {
            fields.insert("app".into(), json!({ "name": "Fortissimo", "vendor_name": "Fortissimo" }));
        }
        6003 => {
            let operation = entry.details.get("action").cloned().unwrap_or_else(|| json!(entry.kind));
            fields
                .insert("api".into(), json!({ "operation": operation, "service": { "name": "Fortissimo" } }));
            fields.entry("src_endpoint").or_insert_with(|| json!({ "name": "unknown" }));
        }
        _ => {}
    }
}
