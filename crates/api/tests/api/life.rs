use serde_json::json;

use crate::house::{House, PASSWORD};

#[tokio::test]
async fn a_person_registers_signs_in_refreshes_and_signs_out() {
    let house = House::new().await;
    let wish =
        json!({"username": "Ada", "email": "Ada@Example.org", "full_name": "Ada L.", "password": PASSWORD});
    let first = house.post("/auth/register", wish.clone()).await;
    assert_eq!(first.status, 202);
    let code = house.code_from_mail("verify").await.expect("a link");
    let verified = house.post("/auth/verify-email", json!({"code": code, "password": PASSWORD})).await.ok();
    assert_eq!((&verified["username"], &verified["renamed"]), (&json!("ada"), &json!(false)));
    assert_eq!(
        house.post("/auth/verify-email", json!({"code": code, "password": PASSWORD})).await.problem(),
        (400, "invalid-code", "-")
    );
    // Whoever registers a known address hears what a stranger hears.
    let again = house.post("/auth/register", wish).await;
    assert_eq!((again.status, again.json), (first.status, first.json));

    let signed_in = house
        .post(
            "/auth/login",
            json!({"email": "ada@example.org", "password": PASSWORD, "session_name": "Plug-in"}),
        )
        .await;
    assert_eq!(signed_in.headers["cache-control"], "no-store");
    assert_eq!(signed_in.json["token_type"], "Bearer");
    assert_eq!(signed_in.json["expires_in"], 900);
    assert_eq!(signed_in.json["refresh_expires_in"], 7 * 86_400);
    let (access, refresh) = (signed_in.text("access_token"), signed_in.text("refresh_token"));

    let profile = house.get("/auth/profile", &access).await.ok();
    assert_eq!(profile["email"], "ada@example.org");
    assert_eq!(
        (&profile["role"], &profile["tier"], &profile["status"]),
        (&json!("user"), &json!("free"), &json!("active"))
    );
    assert_eq!(profile["full_name"], "Ada L.");

    let next = house.post("/auth/refresh", json!({"refresh_token": refresh})).await;
    assert_eq!(next.text("session_id"), signed_in.text("session_id"));
    let again = house.post("/auth/refresh", json!({"refresh_token": refresh})).await;
    assert_eq!(
        again.text("refresh_token"),
        next.text("refresh_token"),
        "the same successor within ten seconds"
    );

    let access = next.text("access_token");
    let out = house.send("POST", "/auth/logout", Some(&access), None).await;
    assert_eq!(out.status, 204);
    assert_eq!(house.get("/auth/profile", &access).await.problem(), (401, "invalid-token", "-"));
    let refresh = json!({"refresh_token": next.text("refresh_token")});
    assert_eq!(house.post("/auth/refresh", refresh).await.problem(), (401, "invalid-refresh-token", "-"));
}

#[tokio::test]
async fn wrong_passwords_and_unknown_names_look_alike() {
    let house = House::new().await;
    house.person("ada").await;
    let wrong = house.post("/auth/login", json!({"identifier": "ada", "password": "x"})).await;
    let unknown = house.post("/auth/login", json!({"identifier": "bob", "password": "x"})).await;
    assert_eq!(wrong.problem(), (401, "wrong-credentials", "-"));
    assert_eq!(wrong.problem(), unknown.problem());
    assert_eq!(wrong.headers["www-authenticate"], "Bearer realm=\"fortissimo\"");
}

#[tokio::test]
async fn sessions_are_listed_named_and_ended() {
    let house = House::new().await;
    house.person("ada").await;
    let (here, there) = (house.token("ada").await, house.token("ada").await);
    let third = house.token("ada").await;
    let list = house.get("/auth/sessions", &here).await.ok();
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    let current: Vec<_> = sessions.iter().filter(|s| s["current"] == true).collect();
    assert_eq!(current.len(), 1);
    let id = current[0]["id"].as_str().unwrap();

    let path = format!("/auth/sessions/{id}");
    let named = house.send("PATCH", &path, Some(&there), Some(json!({"name": "Desk"}))).await;
    assert_eq!(named.status, 204);
    let absent = house.send("PATCH", &path, Some(&there), Some(json!({}))).await;
    assert_eq!(absent.problem(), (400, "invalid-field", "/name"));
    let unnamed = house.send("PATCH", &path, Some(&there), Some(json!({"name": null}))).await;
    assert_eq!(unnamed.status, 204);

    assert_eq!(house.send("DELETE", &path, Some(&there), None).await.status, 204);
    assert_eq!(house.get("/auth/profile", &here).await.problem(), (401, "invalid-token", "-"));
    assert_eq!(
        house.send("DELETE", "/auth/sessions/x", Some(&there), None).await.problem(),
        (404, "not-found", "-")
    );
    let others = house.send("DELETE", "/auth/sessions", Some(&there), None).await.ok();
    assert_eq!(others["revoked"], 1);
    assert_eq!(house.get("/auth/profile", &third).await.status, 401);
    assert_eq!(house.get("/auth/profile", &there).await.status, 200);
}

#[tokio::test]
async fn nobody_touches_a_strangers_session() {
    let house = House::new().await;
    house.person("ada").await;
    house.person("bob").await;
    let (ada, bob) = (house.token("ada").await, house.token("bob").await);
    let list = house.get("/auth/sessions", &ada).await.ok();
    let path = format!("/auth/sessions/{}", list["sessions"][0]["id"].as_str().unwrap());
    assert_eq!(house.send("DELETE", &path, Some(&bob), None).await.problem(), (404, "not-found", "-"));
    let named = house.send("PATCH", &path, Some(&bob), Some(json!({"name": "mine"}))).await;
    assert_eq!(named.problem(), (404, "not-found", "-"));
    assert_eq!(house.get("/auth/profile", &ada).await.status, 200);
}

#[tokio::test]
async fn passwords_are_reset_and_changed() {
    let house = House::new().await;
    house.person("ada").await;
    let known = house.post("/auth/password/forgot", json!({"email": "ada@example.org"})).await;
    let code = house.code_from_mail("reset").await.expect("a link");
    let stranger = house.post("/auth/password/forgot", json!({"email": "bob@example.org"})).await;
    assert_eq!((known.status, &known.json), (stranger.status, &stranger.json));
    assert_eq!(house.code_from_mail("reset").await, None);

    let weak = house.post("/auth/password/reset", json!({"code": code, "password": "too short"})).await;
    assert_eq!(weak.problem(), (400, "weak-password", "/password"));
    let second = "eleven cellos in a cold harbour";
    assert_eq!(
        house.post("/auth/password/reset", json!({"code": code, "password": second})).await.status,
        204
    );
    let login = house.post("/auth/login", json!({"identifier": "ada", "password": second})).await;
    let token = login.text("access_token");

    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let weak = house.send("POST", "/auth/password/change", Some(&token), Some(change(second, "short"))).await;
    assert_eq!(weak.problem(), (400, "weak-password", "/new_password"));
    let wrong = house.send("POST", "/auth/password/change", Some(&token), Some(change("x", PASSWORD))).await;
    assert_eq!(wrong.status, 401);
    let changed =
        house.send("POST", "/auth/password/change", Some(&token), Some(change(second, PASSWORD))).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    house.token("ada").await;
}

#[tokio::test]
async fn verifiers_find_keys_and_metadata() {
    let house = House::new().await;
    let keys = house.send("GET", "/.well-known/jwks.json", None, None).await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    assert_eq!(keys.json["keys"][0]["kty"], "EC");
    assert!(keys.json["keys"][0].get("d").is_none());
    let openid = house.send("GET", "/.well-known/openid-configuration", None, None).await.ok();
    let oauth = house.send("GET", "/.well-known/oauth-authorization-server", None, None).await.ok();
    assert_eq!(openid, oauth);
    assert_eq!(openid["issuer"], "https://music.example");
    assert_eq!(openid["jwks_uri"], "https://music.example/.well-known/jwks.json");
    assert_eq!(openid["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let document = house.send("GET", "/v1/openapi.json", None, None).await;
    assert_eq!(document.headers["content-type"], "application/json");
    assert!(document.json["paths"]["/auth/login"]["post"].is_object());
}
