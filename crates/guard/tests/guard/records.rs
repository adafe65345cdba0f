//! Every request has its line; what was denied is on disk before the answer.

use std::sync::Arc;

use audit::Entry;
use guard::Body;

use crate::fixture::{House, request};

impl House {
    async fn events_of(&self, wanted: usize, work: impl Future<Output = ()>) -> Vec<Arc<Entry>> {
        let mut events = self.audit.subscribe();
        work.await;
        let mut seen = Vec::new();
        while seen.len() < wanted {
            seen.push(events.next().await.unwrap());
        }
        seen.sort_by_key(|entry| entry.kind.clone());
        seen
    }
}

#[tokio::test]
async fn a_served_request_says_what_every_stage_decided() {
    let house = House::new(|_| {}).await;
    let seen = house
        .events_of(1, async {
            house.ask("GET", "/reads/7?token=secret", &[("user-agent", "probe/1.0")]).await;
        })
        .await;
    assert_eq!(seen[0].kind, "http.request");
    let mut details = seen[0].details.clone();
    for varying in ["duration_us", "bytes_out"] {
        assert!(details[varying].take().is_u64(), "{varying}");
    }
    let ok = ["admit", "client", "throttle", "assess", "shape", "service"]
        .map(|stage| (stage.to_owned(), "ok".into()));
    let mut stages: serde_json::Map<String, serde_json::Value> = ok.into_iter().collect();
    stages.insert("authenticate".to_owned(), "anonymous".into());
    stages.insert("authorize".to_owned(), "public".into());
    let expected = serde_json::json!({
        "status": 200, "duration_us": null, "bytes_in": 0, "bytes_out": null, "stages": stages,
        "upstream": "http://127.0.0.1:9000",
    });
    assert_eq!(details, expected);
    assert_eq!(seen[0].route.as_deref(), Some("/reads/{id}"));
    assert_eq!(seen[0].path.as_deref(), Some("/reads/7"), "without the query");
}

#[tokio::test]
async fn denials_are_critical_and_durable_before_the_answer() {
    let house = House::new(|_| {}).await;
    let seen = house
        .events_of(2, async {
            house.ask("DELETE", "/tracks/9", &[]).await;
        })
        .await;
    let kinds: Vec<_> = seen.iter().map(|entry| entry.kind.clone()).collect();
    assert_eq!(kinds, ["authz.denied", "http.refused"]);
    let seen = house
        .events_of(2, async {
            house.ask("GET", "/open/x", &[("authorization", "Bearer a.b.c")]).await;
        })
        .await;
    let kinds: Vec<_> = seen.iter().map(|entry| entry.kind.clone()).collect();
    assert_eq!(kinds, ["authn.token_refused", "http.refused"]);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused_and_the_rest_is_served() {
    let house = House::new(|_| {}).await;
    house.audit.shutdown().await;
    let denied = house.ask("DELETE", "/tracks/9", &[]).await;
    assert_eq!(denied.slug(), "unavailable", "a denial that nobody would ever know of");
    assert!(!denied.header("retry-after").is_empty());
    assert_eq!(house.ask("GET", "/open/x", &[]).await.status, 200, "traffic degrades to a gap");
}

#[tokio::test]
async fn a_flood_is_a_sample_in_the_trail() {
    // A malformed flood is refused before the network's limit is asked, and is a flood all the same.
    for path in ["/open/x", "/open/%zz"] {
        flood_of(path).await;
    }
}

async fn flood_of(path: &str) {
    let house =
        House::new(|config| config.limits.network = guard::NetworkLimit { per_second: 1, per_minute: 1 })
            .await;
    // The first request, six of the 199 refused ones, and one of another network, which comes last.
    let seen = house
        .events_of(8, async {
            for _ in 0..200 {
                house.ask("GET", path, &[]).await;
            }
            house.send_over("192.0.2.2:1", false, request("GET", "/open/last", &[], Body::Empty)).await;
        })
        .await;
    assert!(seen.iter().any(|entry| entry.path.as_deref() == Some("/open/last")));
    let refused = seen.iter().filter(|entry| entry.kind == "http.refused").count();
    assert_eq!(refused, if path == "/open/x" { 6 } else { 7 }, "{path}");
}

#[tokio::test]
async fn place_tier_and_assessment_are_told_where_they_are_known_and_nowhere_else() {
    let london: std::net::IpAddr = "81.2.69.142".parse().unwrap();
    let locate = guard::Locate::new(move |address| {
        (address == london).then(|| audit::Place::new("GB", Some("ENG"))).flatten()
    });
    let house = House::new(|config| {
        config.trusted_proxies = vec!["192.0.2.0/24".into(), "127.0.0.0/8".into()];
        config.locate = Some(locate);
    })
    .await;
    let ada = house.person("ada").await;
    let token = format!("Bearer {}", house.token(ada).await);
    house.audit.settled().await.unwrap();
    let seen = house
        .events_of(1, async {
            house
                .ask("GET", "/mine/x", &[("x-forwarded-for", "81.2.69.142"), ("authorization", &token)])
                .await;
        })
        .await;
    let entry = seen.iter().find(|entry| entry.path.as_deref() == Some("/mine/x")).unwrap();
    assert_eq!(entry.address, "81.2.69.142".parse().ok());
    assert_eq!(entry.place.and_then(|place| place.region()).as_deref(), Some("GB-ENG"));
    assert_eq!((entry.tier.as_deref(), entry.threat.clone()), (Some("free"), Some(audit::Threat::CLEAN)));

    // Refused before anybody looked: there is no assessment, which is not the same as nothing found.
    let seen = house
        .events_of(1, async {
            house.ask("GET", "/nowhere", &[("x-forwarded-for", "127.0.0.1")]).await;
        })
        .await;
    let entry = seen.iter().find(|entry| entry.path.as_deref() == Some("/nowhere")).unwrap();
    assert_eq!((entry.place, entry.tier.as_deref(), entry.threat.clone()), (None, None, None));
}

#[tokio::test]
async fn decisions_are_on_record_with_the_policies_that_made_them() {
    let house = House::new(|_| {}).await;
    let token = format!("Bearer {}", house.token(house.operator().await).await);
    house.register(token.strip_prefix("Bearer ").unwrap(), "playlist", "1").await;
    let version = house.relations.access().version();
    let mut events = house.audit.subscribe();
    let headers = [("authorization", &*token)];
    assert_eq!(house.ask("GET", "/playlists/1", &headers).await.status, 200);
    assert_eq!(house.ask("GET", "/playlists/2", &headers).await.status, 404);
    assert_eq!(house.ask("DELETE", "/tracks/9", &[]).await.status, 401);
    let mut decided = Vec::new();
    while decided.len() < 3 {
        let entry = events.next().await.unwrap();
        if entry.kind.starts_with("authz.") {
            assert_eq!(entry.details["policy_version"], *version, "{entry:?}");
            decided.push((entry.kind.clone(), entry.details.clone()));
        }
    }
    decided.sort_by_key(|(kind, details)| (kind.clone(), details["code"].to_string()));
    let (kinds, details): (Vec<_>, Vec<_>) = decided.into_iter().unzip();
    assert_eq!(kinds, ["authz.allowed", "authz.denied", "authz.denied"]);
    let about = |at: usize| [&details[at]["action"], &details[at]["resource"], &details[at]["rule"]];
    assert_eq!(about(0), ["playlist:read", "playlist/1", "role.super_admin"]);
    assert_eq!(details[0]["relations"], "owner");
    assert_eq!((&details[1]["code"], &details[2]["code"]), (&"anonymous".into(), &"no-relation".into()));
    assert_eq!(about(2), ["playlist:read", "playlist/2", "relation.playlist.see"]);
}
