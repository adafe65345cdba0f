use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn operators_see_and_change_accounts() {
    let house = House::new().await;
    let chief = house.operator().await;
    house.person("ada").await;
    let ada = house.token("ada").await;

    let list = house.get("/v1/accounts?username_prefix=ad", &chief).await.ok();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 1);
    assert!(list["accounts"][0].get("email").is_none(), "a list shows no personal data");
    let id = list["accounts"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/accounts/{id}");
    assert_eq!(house.get(&path, &chief).await.ok()["email"], "ada@example.org");

    let change = async |body| house.send("PATCH", &path, Some(&chief), Some(body)).await;
    assert_eq!(change(json!({"role": "moderator"})).await.status, 204);
    // At once, for the token that she already has.
    assert_eq!(house.get(&path, &ada).await.status, 200);
    assert_eq!(change(json!({"tier": "studio"})).await.status, 204);
    assert_eq!(house.get("/auth/profile", &ada).await.ok()["tier"], "studio");

    for (body, pointer) in [
        (json!({}), ""),
        (json!({"role": "user", "tier": "free"}), ""),
        (json!({"role": "king"}), "/role"),
        (json!({"status": "pending"}), "/status"),
        (json!({"password_compromised": false}), "/password_compromised"),
        (json!({"email": "x@example.org"}), "/email"),
    ] {
        assert_eq!(change(body).await.problem(), (400, "invalid-field", pointer));
    }

    assert_eq!(change(json!({"status": "disabled"})).await.status, 204);
    assert_eq!(house.get("/auth/profile", &ada).await.status, 401);
    let refused =
        house.post("/auth/login", json!({"identifier": "ada", "password": crate::house::PASSWORD})).await;
    assert_eq!(refused.problem(), (403, "account-disabled", "-"));
    assert_eq!(change(json!({"status": "active"})).await.status, 204);
    house.token("ada").await;

    let stranger = "/v1/accounts/0198c0de-0000-7000-8000-000000000000";
    assert_eq!(house.get(stranger, &chief).await.problem(), (404, "not-found", "-"));
    let me = house.get("/auth/profile", &chief).await.ok();
    let own = format!("/v1/accounts/{}", me["id"].as_str().unwrap());
    let last = house.send("PATCH", &own, Some(&chief), Some(json!({"role": "user"}))).await;
    assert_eq!(last.problem(), (409, "conflict", "-"));
}

#[tokio::test]
async fn accounts_are_paged() {
    let house = House::new().await;
    let chief = house.operator().await;
    for name in ["ada", "bob", "cyd"] {
        house.clock.advance_ms(1_000);
        house.person(name).await;
    }
    let first = house.get("/v1/accounts?limit=3", &chief).await.ok();
    let next = first["next"].as_str().expect("a next page");
    let second = house.get(&format!("/v1/accounts?limit=3&after={next}"), &chief).await.ok();
    let names = |page: &serde_json::Value| {
        let accounts = page["accounts"].as_array().unwrap();
        accounts.iter().map(|a| a["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!([names(&first), names(&second)].concat(), ["cyd", "bob", "ada", "chief"]);
    assert!(second["next"].is_null());
}

#[tokio::test]
async fn the_audit_trail_is_searched_page_by_page_and_the_search_is_on_it() {
    let house = House::new().await;
    let chief = house.operator().await;
    house.person("ada").await;
    for _ in 0..3 {
        house.clock.advance_ms(1_000);
        house.token("ada").await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/audit/events?kind=session.signed_in&limit=2".to_owned();
    for _ in 0..5 {
        let page = house.get(&path, &chief).await.ok();
        seen.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/audit/events?kind=session.signed_in&limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 4, "three of hers, one of the operator's");
    let times: Vec<&str> = seen.iter().map(|event| event["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    assert_eq!((&seen[0]["route"], &seen[0]["address"]), (&json!("/auth/login"), &json!("192.0.2.7")));

    let searches = house.get("/v1/audit/events?kind=audit.searched", &chief).await.ok();
    assert!(!searches["events"].as_array().unwrap().is_empty());
    let elsewhere = house.get("/v1/audit/events?kind=session.signed_in&address=192.0.2.8", &chief).await.ok();
    assert_eq!(elsewhere["events"], json!([]));
    let request = seen[0]["request"].as_str().unwrap();
    let during =
        house.get(&format!("/v1/audit/events?kind=session.signed_in&request={request}"), &chief).await.ok();
    assert_eq!(during["events"].as_array().unwrap().len(), 1);
}
