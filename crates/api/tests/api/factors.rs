//! Second factors, re-authentication, keys and addresses: what every field refuses, and what keys may.

use serde_json::{Value, json};

use crate::house::{House, PASSWORD};

/// What no field of text takes, and what the failure says.
fn bad_values() -> Vec<Value> {
    vec![json!(7), json!(true), json!([]), json!({}), json!(1.5)]
}

#[tokio::test]
async fn every_field_is_named_when_it_is_wrong() {
    let house = House::new().await;
    house.person("ada").await;
    let token = house.token("ada").await;
    let factor = "0198c0de-0000-7000-8000-000000000000";
    let endpoints = [
        ("/auth/login/mfa", json!({"challenge": "x", "code": "000000"}), vec!["device_token"]),
        ("/auth/reauthenticate", json!({}), vec!["password", "code"]),
        ("/auth/email/change", json!({"email": "new@example.org"}), vec![]),
        ("/auth/email/confirm", json!({"code": "x"}), vec![]),
        ("/auth/account/close", json!({"username": "nobody"}), vec![]),
        ("/auth/account/reopen", json!({"code": "x"}), vec![]),
        ("/auth/mfa/totp/setup", json!({}), vec!["name"]),
        ("/auth/mfa/totp/confirm", json!({"factor_id": factor, "code": "000000"}), vec![]),
        ("/auth/mfa/totp/disable", json!({"factor_id": factor}), vec!["confirm_last"]),
        ("/auth/api-keys", json!({"name": "x", "scopes": ["track:read"]}), vec!["networks", "expires_at"]),
        ("/auth/verify-email", json!({"code": "x", "password": PASSWORD}), vec![]),
    ];
    for (path, good, optional) in endpoints {
        let ask = async |body: String| house.ask("POST", path, Some(&token), Some(body)).await;
        let required: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
        for field in required.iter().map(String::as_str).chain(optional.iter().copied()) {
            for bad in bad_values() {
                let is_list = matches!(field, "scopes" | "networks");
                if (is_list && bad == json!([])) || (field == "confirm_last" && bad == json!(true)) {
                    continue;
                }
                let mut body = good.clone();
                body[field] = bad.clone();
                let answer = ask(body.to_string()).await;
                let (status, kind, pointer) = answer.problem();
                assert_eq!((status, kind), (400, "invalid-field"), "{path} {field} {bad}");
                assert!(pointer.starts_with(&format!("/{field}")), "{path} {field} {bad}: {pointer}");
            }
            // Twice the same.
            let mut twice = good.clone();
            twice[field] = json!("x");
            let text = twice.to_string();
            let doubled = format!("{{\"{field}\":\"x\",{}", &text[1..]);
            let answer = ask(doubled).await;
            assert_eq!(answer.problem().0, 400, "{path} {field} twice");
        }
        for field in &required {
            let mut without = good.clone();
            without.as_object_mut().unwrap().remove(field);
            assert_eq!(
                ask(without.to_string()).await.problem(),
                (400, "invalid-field", &*format!("/{field}")),
                "{path}"
            );
            let mut null = good.clone();
            null[field] = Value::Null;
            assert_eq!(ask(null.to_string()).await.problem().0, 400, "{path} {field} null");
            // Long, and with control characters: refused as wrong, never as our fault.
            if good[field].is_string() {
                for text in ["x".repeat(10_000), "a\u{0}\u{7}\r\n".to_owned()] {
                    let mut odd = good.clone();
                    odd[field] = json!(text);
                    let status = ask(odd.to_string()).await.status.as_u16();
                    assert!((400..500).contains(&status), "{path} {field} {status}");
                }
            }
        }
        let mut more = good.clone();
        more["role"] = json!("admin");
        assert_eq!(ask(more.to_string()).await.problem(), (400, "invalid-field", "/role"), "{path}");
        for (text, kind) in [("", "malformed-request"), ("{", "malformed-request"), ("[]", "invalid-field")] {
            assert_eq!(ask(text.to_owned()).await.problem().1, kind, "{path} {text}");
        }
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(ask(deep).await.problem().0, 400, "{path}");
    }
}

#[tokio::test]
async fn a_key_may_what_its_scopes_name_and_nothing_of_its_owners_account() {
    let house = House::new().await;
    let operator = house.operator().await;
    let make = async |scopes: Value, networks: Value| {
        let wish = json!({"name": "ci", "scopes": scopes, "networks": networks});
        house.ask("POST", "/auth/api-keys", Some(&operator), Some(wish.to_string())).await.ok()
    };
    let reader = make(json!(["user:read"]), json!([])).await;
    let key = reader["key"].as_str().unwrap();
    assert!(key.starts_with("ftm_") && key.starts_with(reader["hint"].as_str().unwrap()));
    let get = async |path: &str, key: &str| house.ask("GET", path, Some(key), None).await;
    assert_eq!(get("/v1/accounts", key).await.status, 200);
    assert_eq!(get("/v1/audit/events", key).await.problem(), (403, "forbidden", "-"));
    for own in ["/auth/profile", "/auth/sessions", "/auth/api-keys", "/auth/mfa/factors"] {
        assert_eq!(get(own, key).await.problem(), (403, "forbidden", "-"), "{own}");
    }
    let more = json!({"name": "more", "scopes": ["user:admin"]});
    assert_eq!(house.ask("POST", "/auth/api-keys", Some(key), Some(more.to_string())).await.problem().0, 403);
    // Never more than the owner may: an artist's key with an operator's scope opens nothing.
    house.person("ada").await;
    let ada = house.token("ada").await;
    let wish = json!({"name": "greedy", "scopes": ["user:read", "user:admin"]});
    let greedy = house.ask("POST", "/auth/api-keys", Some(&ada), Some(wish.to_string())).await.ok();
    assert_eq!(get("/v1/accounts", greedy["key"].as_str().unwrap()).await.problem(), (403, "forbidden", "-"));
    // Only from its networks; the test calls from 192.0.2.7.
    let elsewhere = make(json!(["user:read"]), json!(["198.51.100.0/24"])).await;
    assert_eq!(
        get("/v1/accounts", elsewhere["key"].as_str().unwrap()).await.problem(),
        (401, "invalid-token", "-")
    );
    let here = make(json!(["user:read"]), json!(["192.0.2.0/24"])).await;
    assert_eq!(get("/v1/accounts", here["key"].as_str().unwrap()).await.status, 200);
    // Rotated, both count; revoked, neither word nor status tells why.
    let id = reader["id"].as_str().unwrap();
    let next = house.ask("POST", &format!("/auth/api-keys/{id}/rotate"), Some(&operator), None).await.ok();
    for key in [key, next["key"].as_str().unwrap()] {
        assert_eq!(get("/v1/accounts", key).await.status, 200);
    }
    assert_eq!(house.ask("DELETE", &format!("/auth/api-keys/{id}"), Some(&operator), None).await.status, 204);
    for wrong in [key, "ftm_", "ftm_0", &format!("{key}x"), &key.replace("ftm_", "ftm_ ")] {
        assert_eq!(get("/v1/accounts", wrong).await.problem(), (401, "invalid-token", "-"), "{wrong}");
    }
    let listed = house.ask("GET", "/auth/api-keys", Some(&operator), None).await.ok();
    assert!(listed["api_keys"].as_array().unwrap().iter().all(|key| key.get("key").is_none()));
    for (method, path) in [("DELETE", "/auth/api-keys/x"), ("POST", "/auth/api-keys/x/rotate")] {
        assert_eq!(house.ask(method, path, Some(&operator), None).await.problem().0, 404);
    }
}

#[tokio::test]
async fn what_matters_asks_again_after_ten_minutes() {
    let house = House::new().await;
    house.person("ada").await;
    let token = house.token("ada").await;
    house.clock.advance_ms(600_000);
    // Everything by which a session that was left open would become somebody else's account, or would tell or take all.
    let id = "0198c0de-0000-7000-8000-000000000000";
    let what_matters = [
        ("POST", "/auth/email/change".to_owned(), Some(json!({"email": "new@example.org"}))),
        ("POST", "/auth/mfa/totp/setup".to_owned(), Some(json!({}))),
        ("POST", "/auth/mfa/totp/disable".to_owned(), Some(json!({"factor_id": id}))),
        ("DELETE", format!("/auth/mfa/factors/{id}"), None),
        ("POST", "/auth/mfa/recovery-codes".to_owned(), None),
        ("POST", "/auth/passkeys/register/start".to_owned(), None),
        ("POST", "/auth/api-keys".to_owned(), Some(json!({"name": "x", "scopes": ["track:read"]}))),
        ("POST", format!("/auth/api-keys/{id}/rotate"), None),
        ("GET", "/auth/events/export".to_owned(), None),
        ("POST", "/auth/account/close".to_owned(), Some(json!({"username": "ada"}))),
    ];
    for (method, path, body) in what_matters {
        let answer = house.ask(method, &path, Some(&token), body.map(|body| body.to_string())).await;
        assert_eq!(answer.problem(), (403, "reauthentication-required", "-"), "{method} {path}");
    }
    let setup = async || house.ask("POST", "/auth/mfa/totp/setup", Some(&token), Some("{}".into())).await;
    assert_eq!(setup().await.problem(), (403, "reauthentication-required", "-"));
    let again = async |body: Value| {
        house.ask("POST", "/auth/reauthenticate", Some(&token), Some(body.to_string())).await
    };
    assert_eq!(again(json!({})).await.problem(), (400, "invalid-field", "/password"));
    assert_eq!(
        again(json!({"password": "not the right one"})).await.problem(),
        (401, "wrong-credentials", "-")
    );
    assert_eq!(again(json!({"password": PASSWORD})).await.status, 204);
    let made = setup().await.ok();
    assert!(made["qr_svg"].as_str().unwrap().contains("<svg"));
    assert!(made["qr_png_base64"].as_str().unwrap().starts_with("iVBOR"));
}
