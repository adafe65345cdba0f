//! Limits as clients meet them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guard::{Body, LimitsConfig, RateClass};

use crate::fixture::{House, credentials, request, route};

/// The tables of EDGE-3, in place of the wide ones.
async fn standard() -> House {
    House::new(|config| {
        config.limits = LimitsConfig::default();
        config.routes.push(route("/api/**", "public"));
        let mut page = route("/shop/**", "public");
        page.rate = RateClass::Page;
        config.routes.push(page);
    })
    .await
}

#[tokio::test]
async fn strangers_have_the_free_limits_per_network() {
    let house = standard().await;
    for left in (0..5).rev() {
        let answer = house.ask("GET", "/open/x", &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), "5");
        assert_eq!(answer.header("x-ratelimit-remaining"), left.to_string());
        let policies: Vec<_> = answer.headers.get_all("ratelimit-policy").iter().collect();
        let tier =
            "\"second\";q=5;w=1, \"minute\";q=60;w=60, \"hour\";q=1000;w=3600, \"day\";q=10000;w=86400";
        assert_eq!(policies, [tier, "\"endpoint\";q=1000;w=60"]);
    }
    let refused = house.ask("GET", "/open/x", &[]).await;
    assert_eq!(refused.slug(), "rate-limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit"), "\"second\";r=0;t=1");
    assert_eq!(refused.header("x-ratelimit-reset"), "1");
    assert_eq!(house.ask("GET", "/open/other", &[]).await.status, 429, "another path is no other person");
    let neighbour = request("GET", "/open/x", &[], Body::Empty);
    assert_eq!(house.send_over("192.0.2.2:1", false, neighbour).await.status, 200, "another network is");
    house.clock.advance_ms(200);
    assert_eq!(house.ask("GET", "/open/x", &[]).await.status, 200);
    assert_eq!(house.ask("GET", "/open/x", &[]).await.status, 429);
}

#[tokio::test]
async fn a_v6_customer_is_one_network() {
    let house = standard().await;
    let mut admitted = 0;
    for host in 0..20 {
        let request = request("GET", "/open/x", &[], Body::Empty);
        let peer = format!("[2001:db8:1:2::{host:x}]:1");
        admitted += u32::from(house.send_over(&peer, false, request).await.status == 200);
    }
    assert_eq!(admitted, 5);
}

#[tokio::test]
async fn a_person_has_one_allowance_wherever_they_come_from() {
    let house = standard().await;
    let bearer = format!("Bearer {}", house.token(house.operator().await).await);
    let cookie = house.cookie(credentials("operator")).await;
    let mut admitted = 0;
    for n in 0..20 {
        let credential =
            if n % 2 == 0 { ("authorization", bearer.as_str()) } else { ("cookie", cookie.as_str()) };
        let request = request("GET", "/mine/x", &[credential], Body::Empty);
        admitted += u32::from(house.send_over(&format!("192.0.2.{n}:1"), false, request).await.status == 200);
    }
    assert_eq!(admitted, 5);
}

#[tokio::test]
async fn endpoints_have_their_own_minute() {
    let house = House::new(|config| {
        let tiers = config.limits.tiers;
        let network = guard::NetworkLimit { per_second: 10_000, per_minute: 10_000 };
        config.limits = LimitsConfig { tiers, network, ..LimitsConfig::default() };
        config.routes.push(route("/api/**", "public"));
    })
    .await;
    let count = |path: &'static str, tries: u32| {
        let house = &house;
        async move {
            let mut admitted = 0;
            for n in 0..tries {
                admitted += u32::from(house.ask("GET", &format!("{path}/{n}"), &[]).await.status == 200);
            }
            admitted
        }
    };
    assert_eq!(count("/api/analyze", 20).await, 10);
    assert_eq!(count("/api/tracks", 150).await, 100);
    assert_eq!(count("/api/other", 150).await, 150);
}

#[tokio::test]
async fn sign_in_is_limited_by_network_whoever_is_named() {
    let house = standard().await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        house.clock.advance_ms(1_000);
        statuses.push(house.ask("POST", "/auth/login", &[]).await.status);
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert_eq!(statuses[5..], [429; 3]);
    let refused = house.ask("POST", "/auth/login", &[]).await;
    assert!(refused.header("ratelimit").starts_with("\"sign-in\""), "{}", refused.header("ratelimit"));
}

#[tokio::test]
async fn pages_and_their_files_do_not_use_up_a_persons_allowance() {
    let house = standard().await;
    for n in 0..40 {
        assert_eq!(house.ask("GET", &format!("/account/file-{n}"), &[]).await.status, 200);
        assert_eq!(house.ask("GET", &format!("/shop/file-{n}"), &[]).await.status, 200);
    }
    assert_eq!(house.ask("GET", "/open/x", &[]).await.header("x-ratelimit-remaining"), "4");
}

#[tokio::test]
async fn a_flood_from_one_network_ends_before_anything_expensive() {
    let house = House::new(|config| {
        config.limits.network = guard::NetworkLimit { per_second: 10, per_minute: 1_000 }
    })
    .await;
    let mut last = None;
    for _ in 0..11 {
        last = Some(house.ask("GET", "/account/x", &[("authorization", "Bearer wrong")]).await);
    }
    let refused = last.unwrap();
    assert_eq!(refused.slug(), "rate-limited", "not a 401: the token was not looked at");
    assert_eq!(
        refused.header("ratelimit-policy"),
        "\"network-second\";q=10;w=1, \"network-minute\";q=1000;w=60"
    );
}

#[tokio::test]
async fn refused_requests_use_nothing_up() {
    let house = standard().await;
    for _ in 0..20 {
        assert_eq!(house.ask("GET", "/mine/x", &[]).await.status, 401);
    }
    assert_eq!(house.ask("GET", "/open/x", &[]).await.header("x-ratelimit-remaining"), "4");
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let house = House::new(|config| {
        config.limits = LimitsConfig { enabled: false, ..LimitsConfig::default() };
    })
    .await;
    for _ in 0..500 {
        let answer = house.ask("GET", "/open/x", &[]).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains_key("ratelimit"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_get_exactly_what_one_would() {
    let house = Arc::new(
        House::new(|config| {
            let exact = guard::WindowLimits { second: 37, minute: 10_000, hour: 10_000, day: 10_000 };
            config.limits.tiers.free = exact;
            config.limits.network = guard::NetworkLimit { per_second: 100_000, per_minute: 100_000 };
        })
        .await,
    );
    let admitted = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (house, admitted) = (Arc::clone(&house), Arc::clone(&admitted));
            tokio::spawn(async move {
                for _ in 0..5 {
                    let status = house.ask("GET", "/open/x", &[]).await.status;
                    admitted.fetch_add(u32::from(status == 200), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(admitted.load(Ordering::Relaxed), 37);
}
