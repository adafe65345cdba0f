//! Every field of every endpoint, with everything that is no right value. The table is the OpenAPI document itself, so a
//! new endpoint is in it by being documented (which another test demands).

use bytes::Bytes;
use guard::Body;
use http::Request;
use serde_json::{Map, Value, json};
use store::params;

use crate::house::{Answer, House, PASSWORD};

store::sql! {
    /// What a request leaves behind if it leaves anything. Counters of attempts, the trail and the mail budget move with
    /// refusals, and must.
    LEFT_BEHIND = "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM session), \
        (SELECT count(*) FROM refresh_token), (SELECT count(*) FROM factor), (SELECT count(*) FROM passkey), \
        (SELECT count(*) FROM recovery_code), (SELECT count(*) FROM api_key), (SELECT count(*) FROM one_time_code), \
        (SELECT count(*) FROM mail), (SELECT count(*) FROM email_change), (SELECT count(*) FROM provider_link), \
        (SELECT count(*) FROM sign_in_challenge), (SELECT count(*) FROM account_closing)";
    CONTENT = "SELECT count(*) FROM account WHERE updated_at > $1";
}

const UUID: &str = "0198c0de-0000-7000-8000-000000000000";

/// One operation that takes something.
struct Operation {
    method: String,
    path: String,
    /// Name and schema, required or not.
    fields: Vec<(String, Value, bool)>,
    body: bool,
    query: Vec<String>,
    action: Option<String>,
    public: bool,
}

fn follow<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(target) => follow(document, document.pointer(target.trim_start_matches('#')).expect("a schema")),
        None => schema,
    }
}

/// The object that a body is, also behind a choice; one without fields is one, too.
fn object_in<'a>(document: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let schema = follow(document, schema);
    if schema["type"] == "object" || schema["properties"].is_object() {
        return Some(schema);
    }
    let many = ["oneOf", "anyOf", "allOf"].iter().find_map(|many| schema[*many].as_array());
    many.into_iter().flatten().find_map(|one| object_in(document, one))
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut fields = Vec::new();
            if !body.is_null() {
                let schema = object_in(document, body)
                    .unwrap_or_else(|| panic!("{method} {path}: a body is an object with fields: {body}"));
                let required: Vec<&str> =
                    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                    fields.push((name.clone(), field.clone(), required.contains(&name.as_str())));
                }
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|one| one["in"] == "query");
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                fields,
                body: !body.is_null(),
                query: query.map(|one| one["name"].as_str().expect("a name").to_owned()).collect(),
                action: operation["x-required-action"].as_str().map(str::to_owned),
                public: operation["security"] == json!([{}]) || operation["security"] == json!([]),
            });
        }
    }
    found
}

/// Whether `null` is a right value.
fn nullable(document: &Value, schema: &Value) -> bool {
    let schema = follow(document, schema);
    schema["type"] == "null"
        || schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
        || ["oneOf", "anyOf"].iter().any(|many| {
            schema[*many].as_array().is_some_and(|all| all.iter().any(|one| nullable(document, one)))
        })
}

/// The type that is not `null`.
fn kind<'a>(document: &'a Value, schema: &'a Value) -> &'a str {
    let schema = follow(document, schema);
    if let Some(one) = schema["type"].as_str() {
        return one;
    }
    if let Some(types) = schema["type"].as_array() {
        return types.iter().filter_map(Value::as_str).find(|one| *one != "null").unwrap_or("null");
    }
    let many = ["oneOf", "anyOf", "allOf"].iter().find_map(|many| schema[*many].as_array());
    let mut kinds = many.into_iter().flatten().map(|one| kind(document, one));
    kinds.find(|one| *one != "null").unwrap_or("any")
}

/// A value of the right form; nothing more is said about it.
fn sample(document: &Value, name: &str, schema: &Value) -> Value {
    let schema = follow(document, schema);
    if let Some(many) = ["oneOf", "anyOf", "allOf"].iter().find_map(|many| schema[*many].as_array()) {
        let one = many.iter().find(|one| kind(document, one) != "null").expect("a type");
        return sample(document, name, one);
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match (kind(document, schema), schema["format"].as_str().unwrap_or_default(), name) {
        ("string", "uuid", _) => json!(UUID),
        ("string", "date-time", _) => json!("2027-01-20T08:00:00Z"),
        ("string", "password", _) | ("string", _, "password" | "current_password" | "new_password") => {
            json!(PASSWORD)
        }
        ("string", "email", _) | ("string", _, "email") => json!("someone@example.org"),
        ("string", ..) => json!("someone"),
        ("integer" | "number", ..) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        ("boolean", ..) => json!(true),
        ("array", ..) => json!([sample(document, name, &schema["items"])]),
        _ => json!({}),
    }
}

/// A body with this text for one field, which stands first, and right values for the others.
fn with(document: &Value, operation: &Operation, field: &str, text: &str) -> String {
    let mut parts = vec![format!("{}:{text}", json!(field))];
    for (name, schema, required) in &operation.fields {
        if name != field && *required {
            parts.push(format!("{}:{}", json!(name), sample(document, name, schema)));
        }
    }
    format!("{{{}}}", parts.join(","))
}

struct Caller<'a> {
    house: &'a House,
    document: Value,
}

impl Caller<'_> {
    async fn left_behind(&self) -> Vec<i64> {
        let mut tx = self.house.db.begin_read(base::Scope::System("test")).await.unwrap();
        let row = tx.query_one(LEFT_BEHIND, params![]).await.unwrap();
        let mut counts: Vec<i64> = (0..13).map(|at| row.get(at).unwrap()).collect();
        let now = self.house.clock.now();
        counts.push(tx.query_one(CONTENT, params![now.plus_ms(-1)]).await.unwrap().get(0).unwrap());
        counts
    }

    async fn send(&self, operation: &Operation, token: Option<&str>, path: &str, body: Bytes) -> Answer {
        let mut request =
            Request::builder().method(operation.method.as_str()).uri(path).header("host", "music.example");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if operation.body {
            request = request.header("content-type", "application/json").header("content-length", body.len());
        }
        let body = if operation.body { Body::from(body) } else { Body::Empty };
        self.house.send_raw(request.body(body).unwrap()).await
    }

    /// Sends it; whatever it is, it is no fault of ours, and a refusal is a problem document that leaves nothing behind.
    async fn refused_or_right(
        &self,
        operation: &Operation,
        token: Option<&str>,
        path: &str,
        body: impl Into<Bytes>,
        what: &str,
    ) -> Answer {
        // Whatever the last one did belongs to another moment.
        self.house.clock.advance_ms(10);
        let before = self.left_behind().await;
        let answer = self.send(operation, token, path, body.into()).await;
        let place = format!("{} {path:.200}: {what}", operation.method);
        assert!(answer.status.as_u16() < 500, "{place}: {answer:?}");
        if answer.status.as_u16() >= 400 {
            let (_, kind, _) = answer.problem();
            assert!(!kind.is_empty(), "{place}");
            for wrong in answer.json["errors"].as_array().into_iter().flatten() {
                let pointer = wrong["pointer"].as_str().expect("a pointer");
                assert!(pointer.is_empty() || pointer.starts_with(['/', '?']), "{place}: {pointer}");
                assert!(wrong["detail"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            }
            let after = self.left_behind().await;
            assert_eq!(before, after, "{place}: half-written, {answer:?}");
        }
        answer
    }

    /// A new token for each endpoint: an earlier request may have ended the last one. An hour later, so that the waits
    /// that the wrong passwords of the last endpoint brought to this network are over.
    async fn token(&self, operation: &Operation) -> Option<String> {
        self.house.clock.advance_ms(3_600_000);
        match (&operation.action, operation.public) {
            (Some(_), _) => Some(self.house.token("chief").await),
            (None, true) => None,
            (None, false) => Some(self.house.token("ada").await),
        }
    }
}

/// What a text may hold that nobody meant.
fn odd_texts(limit: Option<u64>) -> Vec<(&'static str, String)> {
    let quoted = |text: &str| json!(text).to_string();
    let mut texts = vec![
        ("empty", quoted("")),
        ("blank", quoted("   ")),
        ("control characters", quoted("a\u{0}b\u{1b}[31m\r\nc\u{7f}\u{202e}")),
        ("an escaped half of a pair", "\"\\ud800\"".to_owned()),
        ("homoglyphs", quoted("аdа@ехample.org")),
        ("mixed case", quoted("ADA@Example.ORG")),
        ("a trailing newline", quoted("ada@example.org\n")),
        ("a second address", quoted("ada@example.org, eve@example.org")),
        ("a header", quoted("ada@example.org\r\nBcc: eve@example.org")),
        ("SQL", quoted("'; DROP TABLE account; --")),
        ("long", quoted(&"x".repeat(20_000))),
        ("long and wide", quoted(&"𝕏".repeat(4_000))),
    ];
    if let Some(limit) = limit {
        texts.push(("one too many", quoted(&"x".repeat(usize::try_from(limit).unwrap_or(0) + 1))));
    }
    texts
}

#[tokio::test]
async fn every_field_of_every_endpoint_takes_bad_input_calmly() {
    let house = House::new().await;
    house.operator().await;
    house.person("ada").await;
    let document = house.get_raw("/v1/openapi.json").await.ok();
    let caller = Caller { house: &house, document };
    let document = &caller.document;
    let all = operations(document);
    assert_eq!(all.len(), api::endpoints().len(), "the document is whole");
    let mut fields = 0;
    for operation in all.iter().filter(|operation| operation.body) {
        let token = caller.token(operation).await;
        let token = token.as_deref();
        let path = filled(&operation.path);
        let place = format!("{} {}", operation.method, operation.path);
        for (name, body) in bad_bodies() {
            let answer = caller.refused_or_right(operation, token, &path, body, name).await;
            // All optional: an empty object may be right.
            let may_be_empty =
                name == "an empty object" && operation.fields.iter().all(|(.., required)| !required);
            assert!(may_be_empty || answer.status.is_client_error(), "{place}: {name}: {answer:?}");
        }
        let unknown = with(document, operation, "no_such_field", "1");
        let answer = caller.refused_or_right(operation, token, &path, unknown, "an unknown field").await;
        assert_eq!(answer.problem(), (400, "invalid-field", "/no_such_field"), "{place}");
        for (name, schema, required) in &operation.fields {
            fields += 1;
            let right = sample(document, name, schema).to_string();
            let pointer = format!("/{name}");
            let of_kind = kind(document, schema);
            let wrong = |answer: &Answer, what: &str| {
                let (status, kind, found) = answer.problem();
                assert_eq!((status, kind), (400, "invalid-field"), "{place} {name}: {what}: {answer:?}");
                // Inside of a list or an object, what is wrong may be a part of it.
                let inside =
                    matches!(of_kind, "array" | "object") && found.starts_with(&format!("{pointer}/"));
                assert!(found == pointer || inside, "{place} {name}: {what}: {found}");
            };
            let twice = with(document, operation, name, &right);
            let twice = format!("{{{}:{right},{}", json!(name), &twice[1..]);
            wrong(&caller.refused_or_right(operation, token, &path, twice, "twice").await, "twice");
            if *required {
                let mut rest = Map::new();
                for (other, schema, required) in &operation.fields {
                    if other != name && *required {
                        rest.insert(other.clone(), sample(document, other, schema));
                    }
                }
                let missing = Value::Object(rest).to_string();
                wrong(&caller.refused_or_right(operation, token, &path, missing, "missing").await, "missing");
            }
            if !nullable(document, schema) && kind(document, schema) != "object" {
                let null = with(document, operation, name, "null");
                wrong(&caller.refused_or_right(operation, token, &path, null, "null").await, "null");
            }
            for (is, text) in [
                ("integer", "7"),
                ("number", "-1.5e300"),
                ("boolean", "true"),
                ("string", "\"text\""),
                ("array", "[[]]"),
                ("object", "{\"a\":{}}"),
            ] {
                let same = is == of_kind || of_kind == "any" || (is == "number" && of_kind == "integer");
                let body = with(document, operation, name, text);
                let answer = caller.refused_or_right(operation, token, &path, body, text).await;
                // What an object must hold is judged with all the rest (a passkey's answer).
                if !same && of_kind != "object" {
                    let (status, kind, found) = answer.problem();
                    assert_eq!((status, kind), (400, "invalid-field"), "{place} {name}: {text}: {answer:?}");
                    assert!(found.starts_with(&pointer), "{place} {name}: {text}: {found}");
                }
            }
            let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
            let deep = with(document, operation, name, &deep);
            let answer = caller.refused_or_right(operation, token, &path, deep, "10,000 deep").await;
            assert_eq!(answer.status, 400, "{place} {name}");
            let limit = follow(document, schema)["maxLength"].as_u64();
            for (what, text) in odd_texts(limit) {
                if of_kind != "string" && what != "long" {
                    continue;
                }
                let body = with(document, operation, name, &text);
                caller.refused_or_right(operation, token, &path, body, what).await;
            }
            let mut raw = with(document, operation, name, "\"*\"").into_bytes();
            if let Some(at) = raw.iter().position(|byte| *byte == b'*') {
                raw[at] = 0xff;
            }
            let answer = caller.refused_or_right(operation, token, &path, raw, "not UTF-8").await;
            assert_eq!(answer.problem().0, 400, "{place} {name}");
        }
    }
    assert!(fields >= 60, "{fields} fields");
    // The account is as it was.
    house.clock.advance_ms(3_600_000);
    house.token("ada").await;
}

fn bad_bodies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", Vec::new()),
        ("an empty object", b"{}".to_vec()),
        ("null", b"null".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a text", b"\"hunter2\"".to_vec()),
        ("a number", b"1e999".to_vec()),
        ("cut", b"{\"a\":".to_vec()),
        ("more behind it", b"{} {}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("not UTF-8", b"{\"\xff\":1}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("10,000 deep", "{\"a\":".repeat(10_000).into_bytes()),
        ("a huge name", format!("{{\"{}\":1}}", "n".repeat(30_000)).into_bytes()),
    ]
}

/// Templates with names of nothing.
fn filled(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a template");
        out.push_str(before);
        out.push_str(if name == "type" { "track" } else { UUID });
        rest = after;
    }
    out + rest
}

#[tokio::test]
async fn every_path_and_query_takes_bad_input_calmly() {
    let house = House::new().await;
    house.operator().await;
    house.person("ada").await;
    let document = house.get_raw("/v1/openapi.json").await.ok();
    let caller = Caller { house: &house, document };
    let odd = ["x", "%00", "%ff", "%C3%28", "..", "0", "-1", UUID, "%F0%9D%95%8F", "a%0d%0ab", "'%3B--"];
    let long = "9".repeat(2_000);
    let (mut places, mut queries) = (0, 0);
    for operation in operations(&caller.document) {
        let token = caller.token(&operation).await;
        let path = filled(&operation.path);
        if operation.path.contains('{') {
            for odd in odd.iter().copied().chain([long.as_str()]) {
                places += 1;
                let path = path.replacen(UUID, odd, 1).replacen("track", odd, 1);
                caller.refused_or_right(&operation, token.as_deref(), &path, "{}", "an odd path").await;
            }
        }
        for name in &operation.query {
            for odd in odd.iter().copied().chain([long.as_str(), ""]) {
                queries += 1;
                let path = format!("{path}?{name}={odd}");
                caller.refused_or_right(&operation, token.as_deref(), &path, "{}", "an odd query").await;
            }
            let twice = format!("{path}?{name}=1&{name}=1");
            let answer = caller.refused_or_right(&operation, token.as_deref(), &twice, "{}", "twice").await;
            assert!(answer.status.is_client_error(), "{twice}: {answer:?}");
        }
    }
    assert!(places >= 100 && queries >= 100, "{places} {queries}");
}
