use serde_json::{Value, json};

use crate::house::House;

async fn check(house: &House, token: &str, checks: Value) -> crate::house::Answer {
    house.send("POST", "/v1/access/check", Some(token), Some(json!({"checks": checks}))).await
}

#[tokio::test]
async fn people_learn_what_they_may_do_and_what_would_grant_it() {
    let house = House::new().await;
    house.person("ada").await;
    let ada = house.token("ada").await;
    house.send("PUT", "/v1/resources/track/42", Some(&ada), Some(json!({}))).await;
    let answer = check(
        &house,
        &ada,
        json!([
            {"action": "track:read"},
            {"action": "track.read", "resource": {"type": "track", "id": "42"}},
            {"action": "generate:commercial"},
            {"action": "system:config"},
            {"action": "track:burn"},
            {"action": "track:read", "resource": {"type": "playlist", "id": "1"}},
            {"action": "playlist:write", "resource": {"type": "playlist", "id": "1"}},
        ]),
    )
    .await
    .ok();
    let decisions = answer["decisions"].as_array().unwrap();
    let short: Vec<_> =
        decisions.iter().map(|d| (d["allowed"] == true, d["code"].as_str().unwrap())).collect();
    let expected = [
        (true, "granted"),
        (true, "granted"),
        (false, "no-grant"),
        (false, "no-grant"),
        (false, "unknown-action"),
        (false, "unknown-resource"),
        (false, "no-relation"),
    ];
    assert_eq!(short, expected);
    assert!(decisions[1]["revision"].as_i64().unwrap() > 0);
    assert_eq!(decisions[6]["relations"], json!(["owner", "collaborator", "token"]));
    assert_eq!(decisions[6]["rule"], "relation.playlist.write");
    assert_eq!(decisions[0]["rule"], "role.user");
    assert_eq!(decisions[2]["tiers"], json!(["pro", "studio"]));
    assert_eq!(decisions[3]["tiers"], json!([]), "roles are not told");
    let version = answer["policy_version"].as_str().unwrap();
    assert_eq!(version.len(), 12);

    // Every answer is on record, with the policies that gave it.
    let operator = house.operator().await;
    for (kind, count, burnt) in [("authz.allowed", 2, 0), ("authz.denied", 5, 1)] {
        let of_ada = on_record(&house, &operator, kind, version, count).await;
        assert_eq!(
            of_ada.iter().filter(|details| details["action"] == "track:burn").count(),
            burnt,
            "{kind}"
        );
    }
}

/// The details of the events of a kind that name these policies. What is allowed is on record a moment later.
async fn on_record(house: &House, operator: &str, kind: &str, version: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..200 {
        let trail = house.get(&format!("/v1/audit/events?kind={kind}"), operator).await.ok();
        let details = trail["events"].as_array().unwrap().iter().map(|event| event["details"].clone());
        found = details.filter(|details| details["policy_version"] == version).collect();
        if found.len() >= count {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(found.len(), count, "{kind}: {found:?}");
    found
}

#[tokio::test]
async fn questions_are_limited() {
    let house = House::new().await;
    house.person("ada").await;
    let ada = house.token("ada").await;
    let many = |n: usize| Value::Array(vec![json!({"action": "track:read"}); n]);
    assert_eq!(check(&house, &ada, many(100)).await.ok()["decisions"].as_array().unwrap().len(), 100);
    assert_eq!(check(&house, &ada, many(101)).await.problem(), (400, "invalid-field", "/checks"));
    assert_eq!(check(&house, &ada, many(0)).await.problem(), (400, "invalid-field", "/checks"));
    let long = json!([{"action": "track:read", "resource": {"type": "track", "id": "x".repeat(257)}}]);
    assert_eq!(check(&house, &ada, long).await.problem(), (400, "invalid-field", "/checks/0/resource"));
    let unknown = json!([{"action": "track:read", "role": "admin"}]);
    assert_eq!(check(&house, &ada, unknown).await.problem(), (400, "invalid-field", "/checks/0/role"));
}

#[tokio::test]
async fn a_hundred_hostile_questions_are_a_hundred_denials() {
    let house = House::new().await;
    house.person("ada").await;
    let ada = house.token("ada").await;
    let long = "x".repeat(256);
    let deep = "../".repeat(80);
    let ids = [
        "",
        " ",
        "\u{0}",
        "\u{202e}evil",
        "' OR 1=1 --",
        "*",
        "all",
        "me",
        "\"}}",
        "%2e%2e%2f",
        deep.as_str(),
        "Fortissimo::Track::\"1\"",
        long.as_str(),
    ];
    let kinds = ["track", "Track", "platform", "user", "account", "", "access_object", "tráck"];
    let actions = ["track:read", "track:delete", "user:admin", "track:", ":", "TRACK:READ", long.as_str()];
    let checks: Vec<Value> = (0..100)
        .map(|at| {
            let (action, kind, id) = (actions[at % 7], kinds[at % 8], ids[at % 13]);
            json!({"action": action, "resource": {"type": kind, "id": id}})
        })
        .collect();
    let answer = check(&house, &ada, Value::Array(checks)).await.ok();
    let decisions = answer["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 100);
    for (at, decision) in decisions.iter().enumerate() {
        assert_eq!(decision["allowed"], false, "{at}: {decision}");
        let code = decision["code"].as_str().unwrap();
        assert!(
            ["no-relation", "no-grant", "unknown-action", "unknown-resource"].contains(&code),
            "{at}: {decision}"
        );
    }
    // Each with a wrong shape is refused as a whole, naming it.
    for (wrong, place) in [
        (json!({"action": "track:read", "resource": {"type": "track"}}), "/checks/1/resource/id"),
        (json!({"action": 7}), "/checks/1/action"),
        (json!({"action": "track:read", "resource": "track/1"}), "/checks/1/resource"),
        (json!([]), "/checks/1"),
    ] {
        let (status, _, pointer) = {
            let answer = check(&house, &ada, json!([{"action": "track:read"}, wrong])).await;
            let (status, kind, pointer) = answer.problem();
            (status, kind.to_owned(), pointer.to_owned())
        };
        assert_eq!(status, 400);
        assert!(pointer.starts_with("/checks/1") && place.starts_with(&pointer), "{pointer} for {place}");
    }
}

#[tokio::test]
async fn a_policy_that_fails_denies_and_is_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let broken = r#"@id("broken") forbid (principal, action == Fortissimo::Action::"track:write", resource)
        when { 9223372036854775807 + 1 == 0 };"#;
    std::fs::write(dir.path().join("broken.cedar"), broken).unwrap();
    let house = House::with(access::Access::load(dir.path()).unwrap()).await;
    let chief = house.operator().await;
    let answer =
        check(&house, &chief, json!([{"action": "track:write"}, {"action": "track:read"}])).await.ok();
    assert_eq!(answer["decisions"][0]["allowed"], false);
    assert_eq!(answer["decisions"][0]["code"], "evaluation-error");
    assert_eq!(answer["decisions"][1]["allowed"], true);
    let trail = house.get("/v1/audit/events?kind=authz.failed", &chief).await.ok();
    assert_eq!(trail["events"].as_array().unwrap().len(), 1);
    assert_eq!(trail["events"][0]["outcome"], "denied");
}

store::sql! {
    RISKY = "UPDATE session SET risk = $1";
    LOCK = "UPDATE account SET locked_at = $1 WHERE username = 'ada'";
}

/// What another node found out, of which nobody told this one.
async fn elsewhere(house: &House, sql: store::Sql, value: Option<i64>) {
    let mut tx = house.db.begin(base::Scope::System("another node")).await.unwrap();
    assert!(tx.execute(sql, store::params![value]).await.unwrap() > 0);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn the_risk_of_the_session_and_the_lock_of_the_account_are_told_ahead() {
    let house = House::new().await;
    house.person("ada").await;
    let ada = house.token("ada").await;
    let codes = async || {
        let checks = json!([{"action": "track:read"}, {"action": "data:export"}]);
        let answer = check(&house, &ada, checks).await.ok();
        [0, 1].map(|at| answer["decisions"][at]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(codes().await, ["granted", "granted"]);
    elsewhere(&house, RISKY, Some(79)).await;
    assert_eq!(codes().await, ["granted", "granted"], "not enough to matter");
    elsewhere(&house, RISKY, Some(80)).await;
    assert_eq!(codes().await, ["granted", "risk"]);
    elsewhere(&house, LOCK, Some(1)).await;
    assert_eq!(codes().await, ["locked", "locked"]);
    elsewhere(&house, LOCK, None).await;
    elsewhere(&house, RISKY, Some(0)).await;
    assert_eq!(codes().await, ["granted", "granted"]);
}
