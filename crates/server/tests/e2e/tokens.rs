//! Tokens that must not work, over HTTP.

use serde_json::{Value, json};
use testkit::Settings;

use crate::start;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(part: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused_by_name() {
    let program = start(Settings::default());
    let pair = program.artist("ada").await;
    let client = program.client();
    let token = pair["access_token"].as_str().unwrap();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("not a JWS") };
    let head: Value = serde_json::from_slice(&decode(header)).unwrap();
    let body: Value = serde_json::from_slice(&decode(claims)).unwrap();
    assert_eq!((&head["typ"], &head["alg"]), (&json!("at+jwt"), &json!("ES256")));
    for claim in ["iss", "aud", "sub", "sid", "jti", "scope", "iat", "exp"] {
        assert!(!body[claim].is_null(), "{claim} is missing: {body}");
    }
    assert_eq!(body["exp"].as_i64().unwrap() - body["iat"].as_i64().unwrap(), 15 * 60);
    for personal in ["email", "name", "username", "permissions", "role"] {
        assert!(body[personal].is_null(), "{personal} has no place in a token");
    }

    let with_head = |change: Value| {
        let mut changed = head.clone();
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        b64(changed.to_string())
    };
    let with_claim = |name: &str, value: Value| {
        let mut changed = body.clone();
        changed[name] = value;
        b64(changed.to_string())
    };
    let jwks = client.get("/.well-known/jwks.json").await.expect(200).text();
    let wrong = [
        ("alg none", format!("{}.{claims}.", with_head(json!({"alg": "none"})))),
        ("no signature", format!("{header}.{claims}.")),
        ("key confusion", format!("{}.{claims}.{}", with_head(json!({"alg": "HS256"})), b64(&jwks))),
        ("embedded key", format!("{}.{claims}.{signature}", with_head(json!({"jwk": {"kty": "EC"}})))),
        ("unknown kid", format!("{}.{claims}.{signature}", with_head(json!({"kid": "../../etc/passwd"})))),
        ("other audience", format!("{header}.{}.{signature}", with_claim("aud", json!("elsewhere")))),
        ("later expiry", format!("{header}.{}.{signature}", with_claim("exp", json!(4_102_444_800_i64)))),
        (
            "other subject",
            format!(
                "{header}.{}.{signature}",
                with_claim("sub", json!("0198c0de-0000-7000-8000-000000000000"))
            ),
        ),
        ("zero signature", format!("{header}.{claims}.{}", b64([0; 64]))),
        ("cut", format!("{header}.{claims}.{}", &signature[..40])),
        ("two parts", format!("{header}.{claims}")),
        ("empty", String::new()),
        ("long", "a".repeat(20_000)),
    ];
    for (name, token) in wrong {
        let answer = client.bearer(&token).get("/auth/profile").await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{name}");
    }
    // A refused token is refused on public routes too: the caller believes to be somebody.
    client.bearer("nonsense").get("/.well-known/jwks.json").await.expect(401);
    client.bearer(token).get("/auth/profile").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_names_what_is_there() {
    let program = start(Settings::default());
    let client = program.client();
    let keys = client.get("/.well-known/jwks.json").await.expect(200).json();
    assert_eq!(keys["keys"][0]["crv"], "P-256");
    assert!(keys["keys"][0]["d"].is_null(), "a private key in the JWKS");
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let document = client.get(path).await.expect(200).json();
        assert_eq!(document["issuer"], format!("http://localhost:{}", program.port));
        assert!(document["jwks_uri"].as_str().unwrap().ends_with("/.well-known/jwks.json"));
    }
    let api = client.get("/v1/openapi.json").await.expect(200).json();
    assert!(api["paths"]["/auth/login"]["post"].is_object());
}

/// Nested: signed by us for the whole world, then encrypted for one service.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_for_a_configured_audience_are_encrypted_to_its_key() {
    let (key, _) = crypto::jwe::JweKey::generate(&base::Entropy::system());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("studio.jwk");
    std::fs::write(&file, key.public_jwk().unwrap().to_string()).unwrap();
    let sections = format!("[tokens]\nencrypted_audiences = {{ studio = \"file:{}\" }}\n", file.display());
    let program = start(Settings { sections, ..Settings::default() });
    program.artist("ada").await;
    let wish = |audience: &str| json!({"identifier": "ada", "password": "violet thunder under the bridge", "audience": audience});
    let pair = program.client().post("/auth/login", wish("studio")).await.expect(200).json();
    let token = pair["access_token"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 5, "a JWE in compact form");
    let signed = crypto::jwe::decrypt(&key, token).unwrap();
    let jwks = program.client().get("/.well-known/jwks.json").await.expect(200).json();
    let keys = crypto::jws::VerifyingKeys::from_jwks(&jwks, |_| ()).unwrap();
    let expected = crypto::jws::Expected {
        typ: "at+jwt",
        issuer: &format!("http://localhost:{}", program.port),
        audience: "studio",
        now: base::Clock::system().now(),
        leeway_s: 5,
    };
    let claims: Value = keys.verify(&signed, &expected).unwrap();
    assert_eq!(claims["aud"], "studio");
    // It is for the studio, not for us; and there are no audiences but the configured ones.
    program.client().bearer(token).get("/auth/profile").await.expect(401);
    program.client().post("/auth/login", wish("elsewhere")).await.problem(400, "invalid-field");
    // The next one is encrypted likewise.
    let refresh = json!({"refresh_token": pair["refresh_token"]});
    let next = program.client().post("/auth/refresh", refresh).await.expect(200).json();
    assert!(crypto::jwe::decrypt(&key, next["access_token"].as_str().unwrap()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_signing_key_takes_its_tokens_with_it() {
    let program = start(Settings::default());
    let pair = program.artist("ada").await;
    let old = program.client().bearer(pair["access_token"].as_str().unwrap());
    old.get("/auth/profile").await.expect(200);
    let jwks = program.client().get("/.well-known/jwks.json").await.expect(200).json();
    let kid = jwks["keys"][0]["kid"].as_str().unwrap();
    // An id may begin like an option.
    for nobodys in ["no-such-key", "-v0such_key"] {
        let unknown = program.output(&["keys", "revoke-signing", nobodys]);
        let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
        assert!(!unknown.status.success() && told.contains("no published signing key"), "{told}");
    }
    let revoked = program.output(&["keys", "revoke-signing", kid]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let mut status = 200;
    for _ in 0..200 {
        status = old.get("/auth/profile").await.status.as_u16();
        if status == 401 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(status, 401, "the running program hears of it by itself");
    let jwks = program.client().get("/.well-known/jwks.json").await.expect(200).text();
    assert!(!jwks.contains(kid), "{jwks}");
    // Whoever has a refresh token goes on with the new key.
    let refresh = json!({"refresh_token": pair["refresh_token"]});
    let next = program.client().post("/auth/refresh", refresh).await.expect(200).json();
    program.client().bearer(next["access_token"].as_str().unwrap()).get("/auth/profile").await.expect(200);
}
