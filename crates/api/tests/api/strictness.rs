use bytes::Bytes;
use guard::Body;
use http::Request;

use crate::house::House;

fn login(content_type: Option<&str>, body: impl Into<Bytes>) -> Request<Body> {
    let body: Bytes = body.into();
    let mut request =
        Request::post("/auth/login").header("host", "music.example").header("content-length", body.len());
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn bad_bodies_are_refused_with_their_place() {
    let house = House::new().await;
    let json = Some("application/json");
    for (content_type, body, wanted) in [
        (None, "{}", (415, "unsupported-media-type", "-")),
        (Some("text/plain"), "{}", (415, "unsupported-media-type", "-")),
        (Some("application/x-www-form-urlencoded"), "identifier=a", (415, "unsupported-media-type", "-")),
        (json, "", (400, "malformed-request", "-")),
        (json, "{", (400, "malformed-request", "-")),
        (json, "{}x", (400, "invalid-field", "/identifier")),
        (json, r#"{"identifier":"a","password":"b"}x"#, (400, "malformed-request", "-")),
        (json, "\u{feff}{}", (400, "malformed-request", "-")),
        (json, "[]", (400, "invalid-field", "")),
        (json, r#"["a","b"]"#, (400, "invalid-field", "")),
        (json, "null", (400, "invalid-field", "")),
        (json, "{}", (400, "invalid-field", "/identifier")),
        (json, r#"{"identifier":"a"}"#, (400, "invalid-field", "/password")),
        (json, r#"{"identifier":1,"password":"b"}"#, (400, "invalid-field", "/identifier")),
        (json, r#"{"identifier":"a","password":"b","admin":true}"#, (400, "invalid-field", "/admin")),
        (json, r#"{"identifier":"a","username":"a","password":"b"}"#, (400, "invalid-field", "/identifier")),
        (
            json,
            r#"{"identifier":"a","password":"b","audience":"nobody"}"#,
            (400, "invalid-field", "/audience"),
        ),
    ] {
        let answer = house.send_raw(login(content_type, body)).await;
        assert_eq!(answer.problem(), wanted, "{body} → {:?}", answer.json);
    }
    let deep = "[".repeat(1_000);
    let answer = house.send_raw(login(json, format!("{{\"identifier\":{deep}"))).await;
    assert_eq!(answer.status, 400);
    let not_utf8 = house.send_raw(login(json, &b"{\"identifier\":\"\xff\"}"[..])).await;
    assert_eq!(not_utf8.status, 400);
    let large = format!(r#"{{"identifier":"{}"}}"#, "a".repeat(70_000));
    assert_eq!(house.send_raw(login(json, large)).await.problem(), (413, "too-large", "-"));
}

#[tokio::test]
async fn secrets_are_not_repeated() {
    let house = House::new().await;
    let body = r#"{"identifier":"a","password":["hunter2hunter2"]}"#;
    let answer = house.send_raw(login(Some("application/json"), body)).await;
    assert_eq!(answer.problem(), (400, "invalid-field", "/password"));
    assert!(!answer.json.to_string().contains("hunter2"));
}

#[tokio::test]
async fn every_endpoint_keeps_strangers_and_ordinary_people_out() {
    let house = House::new().await;
    house.person("ada").await;
    let ada = house.token("ada").await;
    for endpoint in api::endpoints() {
        let path = endpoint.path.replace("{id}", "0198c0de-0000-7000-8000-000000000000");
        let method = endpoint.method.as_str();
        let stranger = house.send(method, &path, None, None).await;
        let forged = house.send(method, &path, Some("eyJhbGciOiJub25lIn0.e30."), None).await;
        if endpoint.access == "public" {
            assert!(
                ![401, 403, 404, 405, 500].contains(&stranger.status.as_u16()),
                "{method} {path} {stranger:?}"
            );
            continue;
        }
        assert_eq!(stranger.problem(), (401, "unauthenticated", "-"), "{method} {path}");
        assert_eq!(forged.problem(), (401, "invalid-token", "-"), "{method} {path}");
        if endpoint.access != "authenticated" {
            let ordinary = house.send(method, &path, Some(&ada), None).await;
            assert_eq!(ordinary.problem(), (403, "forbidden", "-"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn bad_queries_are_refused_by_name() {
    let house = House::new().await;
    let chief = house.operator().await;
    for (path, pointer) in [
        ("/v1/audit/events?limit=x", "?limit"),
        ("/v1/audit/events?from=yesterday", "?from"),
        ("/v1/audit/events?address=localhost", "?address"),
        ("/v1/audit/events?kind=session.flown", "?kind"),
        ("/v1/audit/events?cursor=1", "?cursor"),
        ("/v1/audit/events?outcome=fine", "?outcome"),
        ("/v1/audit/events?sql=1", "?sql"),
        ("/v1/audit/events?limit=1&limit=2", "?limit"),
        ("/v1/accounts?status=gone", "?status"),
        ("/v1/accounts?after=1", "?after"),
    ] {
        let answer = house.get(path, &chief).await;
        assert_eq!(answer.problem(), (400, "invalid-field", pointer), "{path}");
    }
}
