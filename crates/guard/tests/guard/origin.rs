//! Other sites: preflights, CORS, forged requests.

use guard::Body;

use crate::fixture::{House, credentials, request};

const STUDIO: &str = "https://studio.example";

async fn house() -> (House, String) {
    let house = House::new(|config| config.cors.origins = vec![STUDIO.into()]).await;
    house.operator().await;
    let cookie = house.cookie(credentials("operator")).await;
    (house, cookie)
}

#[tokio::test]
async fn other_sites_cannot_ride_on_a_cookie() {
    let (house, cookie) = house().await;
    let ask = |method: &'static str, headers: Vec<(&'static str, &'static str)>| {
        let (house, cookie) = (&house, cookie.as_str());
        async move {
            let mut all = vec![("cookie", cookie)];
            all.extend(headers);
            house.ask(method, "/mine/x", &all).await
        }
    };
    for own in [
        vec![("sec-fetch-site", "same-origin")],
        vec![("origin", "http://localhost:8080")],
        vec![("origin", STUDIO), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(ask("POST", own.clone()).await.status, 200, "{own:?}");
    }
    for foreign in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site"), ("origin", "https://evil.localhost")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![],
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            assert_eq!(ask(method, foreign.clone()).await.slug(), "cross-site", "{method} {foreign:?}");
        }
    }
    assert_eq!(ask("GET", vec![("sec-fetch-site", "cross-site")]).await.status, 200, "a link may lead here");
    let socket =
        vec![("upgrade", "websocket"), ("connection", "upgrade"), ("origin", "https://evil.example")];
    assert_eq!(ask("GET", socket).await.slug(), "cross-site", "a WebSocket is not protected by CORS");
}

#[tokio::test]
async fn a_bearer_token_is_never_ridden_on() {
    let (house, _) = house().await;
    let bearer = format!("Bearer {}", house.token(credentials("operator")).await);
    let foreign = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    let answer = house.ask("POST", "/mine/x", &foreign).await;
    assert_eq!(answer.status, 200);
    assert!(
        !answer.headers.contains_key("access-control-allow-origin"),
        "but its script may not read the answer"
    );
}

#[tokio::test]
async fn nobody_is_signed_in_by_another_site() {
    let (house, _) = house().await;
    let foreign = house.ask("POST", "/auth/login", &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.slug(), "cross-site");
    assert_eq!(house.ask("POST", "/auth/login", &[]).await.status, 200, "programs send no origin");
    assert_eq!(house.ask("POST", "/auth/login", &[("origin", STUDIO)]).await.status, 200);
}

#[tokio::test]
async fn preflights_are_answered_for_configured_origins_only() {
    let (house, _) = house().await;
    let preflight = |origin: &'static str, path: &'static str, method: &'static str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", "authorization, content-type"),
        ];
        let request = request("OPTIONS", path, &headers, Body::Empty);
        house.send(request)
    };
    let answer = preflight(STUDIO, "/mine/x", "PUT").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), STUDIO);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-allow-methods"), "PUT");
    assert_eq!(answer.header("access-control-allow-headers"), "authorization, content-type");
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert!(answer.header("vary").contains("origin"));
    let foreign = preflight("https://evil.example", "/mine/x", "PUT").await;
    assert_eq!(foreign.slug(), "cross-site");
    assert!(!foreign.headers.contains_key("access-control-allow-origin"));
    assert_eq!(preflight(STUDIO, "/reads/1", "DELETE").await.status, 405);
    assert_eq!(preflight(STUDIO, "/nowhere", "GET").await.status, 404);
}

#[tokio::test]
async fn refusals_can_be_read_by_allowed_origins_too() {
    let (house, _) = house().await;
    let answer = house.ask("GET", "/mine/x", &[("origin", STUDIO)]).await;
    assert_eq!(answer.slug(), "unauthenticated");
    assert_eq!(answer.header("access-control-allow-origin"), STUDIO);
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    let stranger = house.ask("GET", "/open/x", &[("origin", "https://evil.example")]).await;
    assert_eq!(stranger.status, 200);
    assert!(!stranger.headers.contains_key("access-control-allow-origin"), "nor what the upstream said");
}
