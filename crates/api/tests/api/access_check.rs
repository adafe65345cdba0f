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
    assert_eq!(answer["policy_version"].as_str().unwrap().len(), 12);
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
