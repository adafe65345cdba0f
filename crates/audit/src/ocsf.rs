//! Events in the written form of OCSF 1.8.0 (Open Cybersecurity Schema Framework).
//!
//! Everything that OCSF has a word for stands under that word; the kind's own fields also stand as they are under
//! `unmapped`, with the caller's `tier`. Where a body was erased, what OCSF demands of it is `unknown`.

use serde_json::{Map, Value, json};

use crate::{Entry, Kind};

/// OCSF's version.
const VERSION: &str = "1.8.0";
/// In place of a name that was erased.
const UNKNOWN: &str = "unknown";

/// The methods that OCSF knows; others (WebDAV, nonsense) stand in the route's own fields only.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// An event as OCSF JSON.
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
            // What allows `actor` in every class, and what a control of ours found or did.
            "profiles": if controlled(entry, class) { json!(["host", "security_control"]) } else { json!(["host"]) },
            "product": { "name": "Fortissimo", "vendor_name": "Fortissimo", "version": product_version },
        },
    });
    let fields = event.as_object_mut().expect("the literal above is an object");
    if activity == 99 {
        fields.insert("activity_name".into(), json!(entry.kind));
    }
    if let Some(index) = entry.index {
        fields["metadata"]["sequence"] = json!(index);
    }
    if let Some(request) = entry.request {
        fields["metadata"]["correlation_uid"] = json!(request.to_string());
    }
    if let Some(reason) = entry.details["reason"].as_str() {
        fields.insert("status_detail".into(), json!(reason));
    }
    people(entry, class, fields);
    web(entry, class, fields);
    control(entry, class, fields);
    required(entry, class, fields);
    let mut unmapped = entry.details.clone();
    if let (Some(tier), Some(own)) = (&entry.tier, unmapped.as_object_mut()) {
        own.insert("tier".into(), json!(tier));
    }
    fields.insert("unmapped".into(), unmapped);
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
    let anonymous = || json!({ "name": "anonymous", "type_id": 0 });
    let mut actor = match entry.actor.split_once(':') {
        Some(("account", id)) => json!({ "user": { "uid": id } }),
        Some(("system", part)) => json!({ "app_name": part }),
        _ => json!({ "user": anonymous() }),
    };
    if let Some(session) = entry.details["session"].as_str() {
        let session = json!({ "uid": session });
        if class == 3002 {
            fields.insert("session".into(), session);
        } else {
            actor["session"] = session;
        }
    }
    fields.insert("actor".into(), actor);
    let person = || entry.account.map(|id| json!({ "uid": id.to_string() }));
    let user = match class {
        3001 | 3002 => person(),
        // Who may do something from now on: the grantee, not the owner.
        3005 => entry.details["grantee"].as_str().map(|id| json!({ "uid": id })).or_else(person),
        _ => return,
    };
    fields.insert("user".into(), user.unwrap_or_else(anonymous));
}

/// Whether a rule of ours refused it.
fn denied(entry: &Entry) -> bool {
    entry.outcome == "denied"
}

/// Whether the event has fields of OCSF's profile for security controls.
fn controlled(entry: &Entry, class: u32) -> bool {
    class == 2004 || denied(entry) || entry.threat.is_some()
}

/// What a control found and did.
fn control(entry: &Entry, class: u32, fields: &mut Map<String, Value>) {
    if denied(entry) {
        fields.insert("action_id".into(), json!(2));
        fields.insert("disposition_id".into(), json!(2));
    }
    if let Some(threat) = &entry.threat {
        fields.insert("risk_score".into(), json!(threat.score));
        fields.insert("risk_level_id".into(), json!(threat.level.ocsf()));
        fields.insert("risk_level".into(), json!(threat.level.name()));
        fields.insert("risk_details".into(), json!(threat.method));
    }
    if class == 2004 {
        fields.insert("is_alert".into(), json!(true));
    }
}

/// Where it came from and what was asked, in the classes that know such a thing.
fn web(entry: &Entry, class: u32, fields: &mut Map<String, Value>) {
    if matches!(class, 2004 | 6002 | 6008) {
        return;
    }
    if let Some(address) = entry.address {
        let mut endpoint = json!({ "ip": address.to_string() });
        if let Some(place) = entry.place {
            endpoint["location"] = json!({ "country": place.country() });
            if let Some(region) = place.region() {
                endpoint["location"]["region"] = json!(region);
            }
        }
        fields.insert("src_endpoint".into(), endpoint);
    }
    if let Some(method) = entry.method.as_ref().filter(|_| !matches!(class, 4001 | 4009)) {
        let mut request = json!({});
        if METHODS.contains(&method.as_str()) {
            request["http_method"] = json!(method);
        }
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
    if let Some(taken) = entry.details["duration_us"].as_u64() {
        fields.insert("duration".into(), json!(taken / 1000));
    }
}

/// What single classes demand.
fn required(entry: &Entry, class: u32, fields: &mut Map<String, Value>) {
    let details = &entry.details;
    let text = |name: &str| details[name].as_str();
    match class {
        2004 => {
            // A finding's status is what people made of it, not how an action ended.
            let (status, id) = match text("state") {
                Some("closed") => ("Resolved", 4),
                Some(_) => ("In Progress", 2),
                None => ("New", 1),
            };
            fields.insert("status".into(), json!(status));
            fields.insert("status_id".into(), json!(id));
            let title = text("alert").unwrap_or(UNKNOWN);
            fields.insert("finding_info".into(), json!({ "uid": entry.id.to_string(), "title": title }));
            if let Some(count) = details["count"].as_u64() {
                fields.insert("count".into(), json!(count));
            }
        }
        3001 => {
            factor(entry, fields);
        }
        3002 => {
            factor(entry, fields);
            fields.insert("service".into(), json!({ "name": "Fortissimo" }));
        }
        3004 => {
            fields.insert("entity".into(), entity(entry));
        }
        3005 => {
            let emergency = entry.kind.starts_with("break_glass.").then_some("break_glass");
            let transfer = (entry.kind == "access.transferred").then_some("owner");
            let privilege = text("relation").or(emergency).or(transfer).unwrap_or(UNKNOWN);
            fields.insert("privileges".into(), json!([privilege]));
            if let Some(object) = text("object") {
                fields.insert("resource".into(), json!({ "uid": object }));
            }
        }
        4001 => {
            fields.entry("src_endpoint").or_insert_with(|| json!({ "name": UNKNOWN }));
        }
        4002 if !fields.contains_key("http_request") && !fields.contains_key("http_response") => {
            let uid = entry.request.map_or_else(|| entry.id.to_string(), |request| request.to_string());
            fields.insert("http_request".into(), json!({ "uid": uid }));
        }
        4009 => {
            fields.insert("direction_id".into(), json!(2));
            // OCSF wants a sender or a receiver; the trail knows the message only.
            fields.insert("email".into(), json!({ "uid": text("mail").unwrap_or(UNKNOWN), "to": [] }));
        }
        6002 => {
            fields.insert("app".into(), json!({ "name": "Fortissimo", "vendor_name": "Fortissimo" }));
        }
        6003 => {
            let operation = text("action").unwrap_or(&entry.kind);
            let api = json!({ "operation": operation, "service": { "name": "Fortissimo" } });
            fields.insert("api".into(), api);
            fields.entry("src_endpoint").or_insert_with(|| json!({ "name": UNKNOWN }));
        }
        _ => {}
    }
}

/// Which factor a person set up, took away or gave.
fn factor(entry: &Entry, fields: &mut Map<String, Value>) {
    let by_kind = match entry.kind.split_once('.') {
        Some(("passkey", _)) => Some("passkey"),
        Some(("mfa", "recovery_codes_issued" | "recovery_code_used")) => Some("recovery_codes"),
        _ => None,
    };
    let Some(name) = by_kind.or_else(|| entry.details["factor"].as_str()) else { return };
    let number = match name {
        "totp" => 7,
        "passkey" => 10,
        "password" => 11,
        _ => 99,
    };
    fields.insert("auth_factors".into(), json!([{ "factor_type": name, "factor_type_id": number }]));
}

/// The key, token or policy that was managed.
fn entity(entry: &Entry) -> Value {
    let text = |name: &str| entry.details[name].as_str();
    let subject = entry.kind.split_once('.').map_or("", |(subject, _)| subject);
    let mut entity = match subject {
        "key" => json!({ "name": text("key").unwrap_or(UNKNOWN) }),
        "api_key" => json!({ "uid": text("key").unwrap_or(UNKNOWN) }),
        "collaboration_token" => json!({ "uid": text("token").unwrap_or(UNKNOWN) }),
        _ => json!({ "name": subject }),
    };
    entity["type"] = json!(subject);
    for (ours, theirs) in [("name", "name"), ("version", "version")] {
        if let Some(value) = text(ours) {
            entity[theirs] = json!(value);
        }
    }
    if let Some(purpose) = text("purpose") {
        entity["data"] = json!({ "purpose": purpose });
    }
    entity
}
