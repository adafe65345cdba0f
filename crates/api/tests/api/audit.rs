//! The trail over HTTP: single events, proofs, verification of a log that somebody has laid hands on, export, counts.

use base::Scope;
use crypto::log::{Checkpoint, KeyType, LogSigner, ProofFile};
use serde_json::{Value, json};
use store::{params, sql};

use crate::house::House;

sql! {
    BODY_OF = "SELECT body FROM audit_event WHERE idx = $1";
    LEAF_OF = "SELECT leaf FROM audit_event WHERE idx = $1";
    PUT_BODY = "UPDATE audit_event SET body = $2 WHERE idx = $1";
    PUT_LEAF = "UPDATE audit_event SET leaf = $2 WHERE idx = $1";
    PUT_OUTCOME = "UPDATE audit_event SET outcome = $2 WHERE idx = $1";
    DROP_ROW = "DELETE FROM audit_event WHERE idx = $1";
    DROP_TAIL = "DELETE FROM audit_event WHERE idx >= $1";
    MOVE_ROW = "UPDATE audit_event SET idx = $2 WHERE idx = $1";
    ADD_ROW = "INSERT INTO audit_event (idx, id, at, kind, severity, outcome, actor, bodies, leaf, body)
               SELECT $2, $3, at, kind, severity, outcome, actor, bodies, leaf, body FROM audit_event WHERE idx = $1";
    CHECKPOINT = "SELECT checkpoint FROM audit_tree WHERE only_row = 1";
    PUT_CHECKPOINT = "UPDATE audit_tree SET checkpoint = $1 WHERE only_row = 1";
    CUT_TILE = "UPDATE audit_tile SET hashes = $1 WHERE level = 0 AND number = 0";
}

/// A log of some people's doings, at rest: nothing is written to it behind this.
async fn log() -> (House, String) {
    let house = House::new().await;
    let chief = house.operator().await;
    house.person("ada").await;
    for _ in 0..3 {
        house.clock.advance_ms(1_000);
        house.token("ada").await;
    }
    house.audit.settled().await.unwrap();
    (house, chief)
}

async fn execute(house: &House, statement: store::Sql, values: &[store::Value]) {
    let mut tx = house.db.begin(Scope::System("test")).await.unwrap();
    assert!(tx.execute(statement, values).await.unwrap() > 0, "the hands must have done something");
    tx.commit().await.unwrap();
}

async fn bytes(house: &House, statement: store::Sql, index: i64) -> Vec<u8> {
    let mut tx = house.db.begin_read(Scope::System("test")).await.unwrap();
    tx.query_one(statement, params![index]).await.unwrap().get(0).unwrap()
}

async fn verify(house: &House, chief: &str) -> Value {
    let answer = house.send("POST", "/v1/audit/verify", Some(chief), Some(json!({}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json["state"], "done");
    answer.json["report"].clone()
}

/// Verdict and first entry at fault, after somebody's hands.
async fn after(
    statement: store::Sql,
    values: impl AsyncFnOnce(&House) -> Vec<store::Value>,
) -> (String, Value) {
    let (house, chief) = log().await;
    let values = values(&house).await;
    execute(&house, statement, &values).await;
    let report = verify(&house, &chief).await;
    assert_eq!(report["right"], false, "{report}");
    assert!(!report["faults"].as_array().unwrap().is_empty());
    (report["verdict"].as_str().unwrap().to_owned(), report["index"].clone())
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[tokio::test]
async fn a_log_in_order_is_whole_and_that_it_was_verified_is_on_it() {
    let (house, chief) = log().await;
    assert_eq!(house.get("/v1/audit/verify", &chief).await.ok()["state"], "none");
    let report = verify(&house, &chief).await;
    assert_eq!(
        (&report["verdict"], &report["right"], &report["index"]),
        (&json!("whole"), &json!(true), &Value::Null)
    );
    assert_eq!(report["leaves"], report["tree_size"]);
    assert!(report["tree_size"].as_u64().unwrap() > 10);
    assert!(report["checkpoint"].as_str().unwrap().starts_with("fortissimo.invalid/log\n"));
    assert_eq!(report["signed_by"].as_array().unwrap().len(), 1);
    assert_eq!((&report["files"], &report["anchor"]), (&json!(false), &json!(false)));
    assert_eq!(house.get("/v1/audit/verify", &chief).await.ok()["report"], report);
    let said = house.get("/v1/audit/events?kind=audit.verified", &chief).await.ok();
    assert_eq!(said["events"][0]["outcome"], "success");
    assert_eq!(said["events"][0]["details"]["verdict"], "whole");
}

#[tokio::test]
async fn every_hand_on_the_database_is_named_with_its_entry() {
    let body =
        after(PUT_BODY, async |house| params![3, flipped(bytes(house, BODY_OF, 3).await)].to_vec()).await;
    assert_eq!(body, ("altered".into(), json!(3)));
    let leaf =
        after(PUT_LEAF, async |house| params![4, flipped(bytes(house, LEAF_OF, 4).await)].to_vec()).await;
    assert_eq!(leaf, ("altered".into(), json!(4)));
    let column = after(PUT_OUTCOME, async |_| params![5, "denied"].to_vec()).await;
    assert_eq!(column, ("altered".into(), json!(5)));
    let row = after(DROP_ROW, async |_| params![6].to_vec()).await;
    assert_eq!(row, ("missing".into(), json!(6)));
    let tail = after(DROP_TAIL, async |_| params![7].to_vec()).await;
    assert_eq!(tail, ("truncated".into(), json!(7)));
    let inserted = after(ADD_ROW, async |_| params![2, 1_000_000, [7_u8; 16]].to_vec()).await;
    assert_eq!(inserted, ("inserted".into(), json!(1_000_000)));
    let tile = after(CUT_TILE, async |_| params![vec![0_u8; 32]].to_vec()).await;
    assert_eq!(tile, ("tile".into(), Value::Null));
}

#[tokio::test]
async fn swapped_entries_are_both_named() {
    let (house, chief) = log().await;
    for (from, to) in [(3, -1), (5, 3), (-1, 5)] {
        execute(&house, MOVE_ROW, params![from, to]).await;
    }
    let report = verify(&house, &chief).await;
    assert_eq!((&report["verdict"], &report["index"]), (&json!("swapped"), &json!(3)), "{report}");
    assert!(report["faults"][0]["text"].as_str().unwrap().contains("3 and 5"));
}

#[tokio::test]
async fn an_edited_checkpoint_and_another_key_are_told_apart() {
    let (house, chief) = log().await;
    let mut tx = house.db.begin_read(Scope::System("test")).await.unwrap();
    let note: String = tx.query_one(CHECKPOINT, params![]).await.unwrap().get(0).unwrap();
    drop(tx);
    let head = Checkpoint::read_unverified(&note).unwrap();
    let smaller = note.replacen(&format!("\n{}\n", head.size), &format!("\n{}\n", head.size - 1), 1);
    execute(&house, PUT_CHECKPOINT, params![smaller]).await;
    // Only a tree at rest keeps what was put there: the next event's checkpoint would replace it.
    assert_eq!(verify(&house, &chief).await["verdict"], "edited");

    let (house, chief) = log().await;
    let (stranger, _) =
        LogSigner::generate(&head.origin, KeyType::Ed25519, &base::Entropy::seeded(99)).unwrap();
    let mut tx = house.db.begin_read(Scope::System("test")).await.unwrap();
    let note: String = tx.query_one(CHECKPOINT, params![]).await.unwrap().get(0).unwrap();
    drop(tx);
    let again = Checkpoint::read_unverified(&note).unwrap().sign(&[&stranger], house.clock.now()).unwrap();
    execute(&house, PUT_CHECKPOINT, params![again]).await;
    assert_eq!(verify(&house, &chief).await["verdict"], "foreign");
}

#[tokio::test]
async fn one_event_is_read_and_proven_and_the_proof_verified() {
    let (house, chief) = log().await;
    let ada = house.token("ada").await;
    let own = house.get("/auth/events?kind=session.signed_in,account.verified&limit=10", &ada).await.ok();
    let events = own["events"].as_array().unwrap();
    assert_eq!(events.len(), 5, "four sign-ins and the verification: {own}");
    let (id, index) = (events[0]["id"].as_str().unwrap(), events[0]["index"].as_u64().unwrap());
    assert_eq!(events[0]["tier"], Value::Null, "nobody is signed in while signing in");

    for (prefix, token) in [("/auth", &ada), ("/v1/audit", &chief)] {
        let one = house.get(&format!("{prefix}/events/{id}"), token).await.ok();
        assert_eq!(one, events[0], "{prefix}");
        let proof = house.get(&format!("{prefix}/events/{id}/proof"), token).await;
        assert_eq!(proof.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(
            proof.headers["content-disposition"],
            format!("attachment; filename=\"{id}.tlog-proof\"").as_str()
        );
        let text = String::from_utf8(proof.bytes).unwrap();
        assert_eq!(ProofFile::parse(&text).unwrap().index, index);
        let verdict = async |body: Value| {
            let answer = house.send("POST", "/v1/audit/verify", Some(&chief), Some(body)).await.ok();
            let report = answer["report"].clone();
            (report["verdict"].as_str().unwrap().to_owned(), report["index"].clone())
        };
        assert_eq!(verdict(json!({ "proof": text })).await, ("proven".into(), json!(index)));
        let other = text.replacen(&format!("index {index}\n"), &format!("index {}\n", index - 1), 1);
        assert_eq!(verdict(json!({ "proof": other })).await.0, "altered");
        // The leaf of somebody else's event does not become proven by this.
        assert_eq!(verdict(json!({ "proof": text, "leaf": "bm90IGl0" })).await.0, "altered");
        let size = Checkpoint::read_unverified(&ProofFile::parse(&text).unwrap().checkpoint).unwrap().size;
        let edited = text.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1);
        assert_eq!(verdict(json!({ "proof": edited })).await.0, "edited");
        assert_eq!(verdict(json!({ "proof": "c2sp.org/tlog-proof@v1\nindex x\n" })).await.0, "malformed");
        assert_eq!(verdict(json!({ "proof": "" })).await.0, "malformed");
    }
    house.person("bob").await;
    let bob = house.token("bob").await;
    for path in [format!("/auth/events/{id}"), format!("/auth/events/{id}/proof"), "/auth/events/7".into()] {
        assert_eq!(house.get(&path, &bob).await.problem(), (404, "not-found", "-"), "{path}");
    }
    let nobodys = "/v1/audit/events/0198c0de-0000-7000-8000-000000000000";
    assert_eq!(house.get(nobodys, &chief).await.problem(), (404, "not-found", "-"));
    assert_eq!(house.get(&format!("{nobodys}/proof"), &chief).await.problem(), (404, "not-found", "-"));
}

#[tokio::test]
async fn a_proof_from_before_the_log_was_cut_is_evidence_of_it() {
    let (house, chief) = log().await;
    let newest = house.get("/v1/audit/events?kind=session.signed_in&limit=1", &chief).await.ok();
    let id = newest["events"][0]["id"].as_str().unwrap().to_owned();
    let proof = house.get(&format!("/v1/audit/events/{id}/proof"), &chief).await.bytes;
    let index = newest["events"][0]["index"].as_i64().unwrap();
    execute(&house, DROP_TAIL, params![index]).await;
    let body = json!({ "proof": String::from_utf8(proof).unwrap() });
    let answer = house.send("POST", "/v1/audit/verify", Some(&chief), Some(body)).await.ok();
    assert_eq!(
        (&answer["report"]["verdict"], &answer["report"]["index"]),
        (&json!("missing"), &json!(index))
    );
}

#[tokio::test]
async fn an_export_is_json_lines_with_head_and_end() {
    let (house, chief) = log().await;
    let answer = house.get("/v1/audit/export?kind=session.signed_in,account.registered", &chief).await;
    assert_eq!(answer.headers["content-type"], "application/jsonl");
    let text = String::from_utf8(answer.bytes).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["format"], "fortissimo-audit-export/1");
    assert_eq!(lines[0]["filter"]["kinds"], json!(["session.signed_in", "account.registered"]));
    let events = &lines[1..lines.len() - 1];
    assert_eq!(lines[lines.len() - 1], json!({ "end": true, "events": events.len() }));
    assert_eq!(events.len(), 5, "three sign-ins and a registration of hers, the operator's sign-in");
    assert!(events.iter().all(|line| line["event"]["metadata"]["sequence"] == line["index"]));
    let said = house.get("/v1/audit/events?kind=audit.exported", &chief).await.ok();
    assert_eq!(said["events"][0]["details"]["tree_size"], lines[0]["tree_size"]);
}

#[tokio::test]
async fn counts_are_given_by_hour_and_day() {
    let (house, chief) = log().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let counting = {
        let audit = house.audit.clone();
        tokio::spawn(async move { audit.count_hours(true, stopped).await })
    };
    let path = "/v1/audit/aggregates?from=2027-01-01T00:00:00Z&to=2027-01-30T00:00:00Z&by=kind&span=day";
    let mut counted = Value::Null;
    for _ in 0..500 {
        counted = house.get(path, &chief).await.ok();
        if counted["counted_to"].as_u64() >= Some(10) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let counts = counted["counts"].as_array().unwrap();
    let signed = counts.iter().find(|count| count["key"] == "session.signed_in").unwrap();
    assert_eq!((&signed["from"], &signed["events"]), (&json!("2027-01-15T00:00:00.000Z"), &json!(4)));
    assert_eq!(counted["cut"], false);
    stop.send(true).unwrap();
    counting.await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_in_a_question_is_named() {
    let (house, chief) = log().await;
    let month = "from=2027-01-01T00:00:00Z&to=2027-02-01T00:00:00Z";
    for (path, pointer) in [
        ("/v1/audit/aggregates".to_owned(), "?from"),
        ("/v1/audit/aggregates?from=2027-01-01T00:00:00Z".to_owned(), "?to"),
        (format!("/v1/audit/aggregates?{month}&by=person"), "?by"),
        (format!("/v1/audit/aggregates?{month}&span=minute"), "?span"),
        ("/v1/audit/aggregates?from=2027-02-01T00:00:00Z&to=2027-01-01T00:00:00Z".to_owned(), "?to"),
        ("/v1/audit/aggregates?from=2027-01-01T00:00:00Z&to=2027-03-01T00:00:00Z".to_owned(), "?to"),
        ("/v1/audit/export?kind=session.flown".to_owned(), "?kind"),
        ("/v1/audit/export?account=x".to_owned(), "?account"),
        ("/v1/audit/events?kind=session.signed_in,".to_owned(), "?kind"),
        ("/auth/events?account=x".to_owned(), "?account"),
        ("/auth/events?from=now".to_owned(), "?from"),
    ] {
        assert_eq!(house.get(&path, &chief).await.problem(), (400, "invalid-field", pointer), "{path}");
    }
    for (body, pointer) in [
        (json!({ "leaf": "AA==" }), "/leaf"),
        (json!({ "proof": "x", "leaf": "%" }), "/leaf"),
        (json!({ "proof": 7 }), "/proof"),
        (json!({ "log": true }), "/log"),
    ] {
        let answer = house.send("POST", "/v1/audit/verify", Some(&chief), Some(body.clone())).await;
        assert_eq!(answer.problem(), (400, "invalid-field", pointer), "{body}");
    }
}

/// Whatever a client says where it is: an answer, no more than there is, and never somebody else's.
#[tokio::test]
async fn cursors_and_bounds_that_were_made_up_do_no_harm() {
    let (house, chief) = log().await;
    house.person("bob").await;
    let bob = house.token("bob").await;
    let (low, high) = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff");
    let mut cursors: Vec<String> = Vec::new();
    for at in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
        cursors.extend([low, high].map(|id| format!("{at}.{id}")));
    }
    // The place of an event that is not Bob's.
    let others = house.get("/v1/audit/events?kind=session.signed_in&limit=1", &chief).await.ok();
    cursors.push(others["next"].as_str().unwrap().to_owned());
    let bobs = house.get("/auth/events?limit=200", &bob).await.ok()["events"].clone();
    let bobs: Vec<&Value> = bobs.as_array().unwrap().iter().map(|event| &event["id"]).collect();
    for cursor in &cursors {
        for limit in ["0", "1", "200", "4294967295"] {
            let page =
                house.get(&format!("/v1/audit/events?cursor={cursor}&limit={limit}"), &chief).await.ok();
            assert!(page["events"].as_array().unwrap().len() <= 200, "{cursor} {limit}");
            let page = house
                .get(&format!("/auth/events?cursor={cursor}&limit={limit}&kind=session.signed_in"), &bob)
                .await
                .ok();
            let seen = page["events"].as_array().unwrap();
            assert!(seen.iter().all(|event| bobs.contains(&&event["id"])), "{cursor} {limit}: {page}");
        }
    }
    for path in [
        "/v1/audit/events?from=1970-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&limit=1",
        "/v1/audit/events?from=9999-12-31T23:59:59Z&to=1970-01-01T00:00:00Z",
        "/v1/audit/export?from=9999-12-31T23:59:59Z&to=1970-01-01T00:00:00Z",
        "/v1/audit/export?from=9999-12-31T23:59:59Z",
    ] {
        assert_eq!(house.get(path, &chief).await.status, 200, "{path}");
    }
    let own = house.get("/auth/events/export", &bob).await;
    let own = String::from_utf8(own.bytes).unwrap();
    let lines: Vec<Value> = own.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events = &lines[1..lines.len() - 1];
    let bobs = house.get("/auth/events?limit=200", &bob).await.ok()["events"].clone();
    let bobs: Vec<&Value> = bobs.as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert!(!events.is_empty() && events.len() <= bobs.len());
    assert!(events.iter().all(|line| bobs.contains(&&line["event"]["metadata"]["uid"])), "{own}");
    // What he exports is his to show, but only he may ask for it now: not with a session that is ten minutes old.
    house.clock.advance_ms(11 * 60_000);
    let refused = house.get("/auth/events/export", &bob).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(house.get_raw("/auth/events/export").await.status, 401);
}
