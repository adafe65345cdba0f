//! What leaves: headers, problem documents, pages.

use guard::Body;
use http::Response;

use crate::fixture::{House, request, route};

#[tokio::test]
async fn a_problem_reads_like_this() {
    let house = House::new(|_| {}).await;
    let answer = house.ask("GET", "/nowhere", &[]).await;
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let expected = serde_json::json!({
        "type": "urn:fortissimo:problem:not-found",
        "title": "There is nothing here",
        "status": 404,
        "instance": format!("urn:uuid:{}", answer.header("x-request-id")),
    });
    assert_eq!(document, expected);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
}

#[tokio::test]
async fn hsts_only_where_it_means_something() {
    let house = House::new(|config| config.trusted_proxies = vec!["10.0.0.1".into()]).await;
    let over = |peer: &'static str, tls, headers: Vec<(&'static str, &'static str)>| {
        let request = request("GET", "/open/x", &headers, Body::Empty);
        let house = &house;
        async move { house.send_over(peer, tls, request).await.header("strict-transport-security").to_owned() }
    };
    assert_eq!(over("192.0.2.1:1", true, vec![]).await, "max-age=31536000; includeSubDomains; preload");
    assert_eq!(over("192.0.2.1:1", false, vec![]).await, "");
    assert_eq!(over("192.0.2.1:1", false, vec![("x-forwarded-proto", "https")]).await, "");
    assert!(over("10.0.0.1:1", false, vec![("x-forwarded-proto", "https")]).await.starts_with("max-age"));
}

#[tokio::test]
async fn upstreams_lose_their_versions_and_cannot_set_our_cookies() {
    let house = House::new(|config| {
        let mut studio = route("/booth", "public");
        studio.permissions_policy = Some("microphone=(self)".into());
        config.routes.push(studio);
    })
    .await;
    // `every_answer` has looked at the versions and the request id.
    let answer = house.ask("GET", "/open/x", &[]).await;
    for gone in ["set-cookie", "access-control-allow-origin", "cache-control"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
    assert!(answer.header("permissions-policy").contains("microphone=()"));
    assert_eq!(house.ask("GET", "/booth", &[]).await.header("permissions-policy"), "microphone=(self)");
}

#[tokio::test]
async fn people_get_pages_where_our_pages_are() {
    let house = House::new(|config| {
        config.problem_page = Some(|problem, id, _| format!("<h1>{}</h1><p>{id}</p>", problem.kind.title()));
    })
    .await;
    let browser = [("accept", "text/html")];
    let page = house.ask("GET", "/console/nowhere", &browser).await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.body.contains(page.header("x-request-id")));
    assert_eq!(house.ask("GET", "/console/nowhere", &[]).await.slug(), "not-found");
    assert_eq!(
        house.ask("GET", "/nowhere", &browser).await.slug(),
        "not-found",
        "not where upstreams' pages are"
    );
}

struct Slow;
impl guard::Service for Slow {
    async fn call(&self, _: guard::Shaped) -> Result<Response<Body>, guard::Refusal> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_record() {
    let house = House::new(|_| {}).await;
    let mut events = house.audit.subscribe();
    let connection = guard::Connection { peer: "192.0.2.1:1".parse().unwrap(), tls: false, round_trip: None };
    let asked = house.guard.handle(connection, request("GET", "/open/gone", &[], Body::Empty), &Slow);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), asked).await.is_err());
    let entry = events.next().await.unwrap();
    assert_eq!(entry.kind, "http.request");
    assert_eq!(entry.details["status"], 499);
}
