//! Who calls, may they, and what the upstream is told about it.

use base::Timestamp;
use crypto::jws::Expected;
use guard::{ASSERTION_TYPE, SESSION_COOKIE};
use keys::KeyUse;

use crate::fixture::{House, START, request};

#[tokio::test]
async fn strangers_are_asked_to_sign_in() {
    let house = House::new(|_| {}).await;
    for (method, path) in [("GET", "/mine/x"), ("DELETE", "/tracks/1"), ("GET", "/auth/profile")] {
        let answer = house.ask(method, path, &[]).await;
        assert_eq!(answer.slug(), "unauthenticated", "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"fortissimo\"");
    }
    let page = house.ask("GET", "/console/requests", &[("accept", "text/html")]).await;
    assert_eq!(page.status, 401, "no sign-in page is configured");
}

#[tokio::test]
async fn browsers_are_shown_the_way_in() {
    let house = House::new(|config| config.sign_in_page = Some("/account/sign-in".into())).await;
    let browser = [("accept", "text/html,*/*;q=0.8")];
    let page = house.ask("GET", "/console/requests?a=1&b=//x", &browser).await;
    assert_eq!((page.status, page.header("cache-control")), (303, "no-store"));
    assert_eq!(page.header("location"), "/account/sign-in?next=/console/requests%3Fa%3D1%26b%3D//x");
    assert_eq!(house.ask("GET", "/console/requests", &[]).await.slug(), "unauthenticated");
    assert_eq!(
        house.ask("GET", "/mine/x", &browser).await.header("location"),
        "/account/sign-in?next=/mine/x"
    );
    assert_eq!(
        house.ask("GET", "/mine/x", &[("accept", "*/*")]).await.slug(),
        "unauthenticated",
        "a program"
    );
    assert_eq!(
        house.ask("POST", "/mine/x", &browser).await.slug(),
        "unauthenticated",
        "nothing to come back to"
    );
}

#[tokio::test]
async fn a_presented_token_must_be_right_even_where_none_is_needed() {
    let house = House::new(|_| {}).await;
    let token = house.token(house.operator().await).await;
    for path in ["/open/x", "/mine/x"] {
        let right = house.ask("GET", path, &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(right.status, 200);
        let tampered = format!("Bearer {}x", &token[..token.len() - 1]);
        for wrong in [tampered.as_str(), "Bearer", "Bearer ", "Bearer a.b.c", "bearer {}"] {
            let answer = house.ask("GET", path, &[("authorization", wrong)]).await;
            if wrong == "Bearer" {
                continue; // Not the scheme with a token, so not ours.
            }
            assert_eq!(answer.slug(), "invalid-token", "{wrong}");
            assert!(answer.header("www-authenticate").contains("invalid_token"));
        }
    }
    let basic = house.ask("GET", "/open/x", &[("authorization", "Basic dTpw")]).await;
    assert_eq!(basic.got("authorization"), ["Basic dTpw"], "other schemes are the upstream's");
}

#[tokio::test]
async fn a_stale_cookie_only_means_not_signed_in() {
    let house = House::new(|_| {}).await;
    let stale = format!("{SESSION_COOKIE}=long-gone");
    assert_eq!(house.ask("GET", "/open/x", &[("cookie", &stale)]).await.status, 200);
    assert_eq!(house.ask("GET", "/mine/x", &[("cookie", &stale)]).await.slug(), "unauthenticated");
}

#[tokio::test]
async fn what_a_role_lacks_is_forbidden_without_saying_what() {
    let house = House::new(|_| {}).await;
    let operator = format!("Bearer {}", house.token(house.operator().await).await);
    let person = format!("Bearer {}", house.token(house.person("ada").await).await);
    // What nobody registered does not exist, not even for the mightiest; what ada registered, an operator can take down.
    assert_eq!(house.ask("DELETE", "/tracks/1", &[("authorization", &operator)]).await.slug(), "not-found");
    let ada = house.register(&person[7..], "track", "1").await;
    house.register(&person[7..], "playlist", "7").await;
    assert_eq!(house.ask("DELETE", "/tracks/1", &[("authorization", &operator)]).await.status, 200);
    let denied = house.ask("DELETE", "/tracks/1", &[("authorization", &person)]).await;
    assert_eq!(denied.slug(), "forbidden");
    assert!(!denied.body.contains("track"), "{}", denied.body);
    assert_eq!(house.ask("GET", "/playlists/7", &[("authorization", &person)]).await.status, 200);
    // Somebody else's private list is as absent as one that is not there, and shared it is there.
    house.clock.advance_ms(1_000);
    let bob = format!("Bearer {}", house.token(house.person("bob").await).await);
    let hidden = house.ask("GET", "/playlists/7", &[("authorization", &bob)]).await;
    let absent = house.ask("GET", "/playlists/8", &[("authorization", &bob)]).await;
    assert_eq!((hidden.slug(), absent.slug()), ("not-found".into(), "not-found".into()));
    house.share_publicly(&ada, "playlist", "7").await;
    assert_eq!(house.ask("GET", "/playlists/7", &[("authorization", &bob)]).await.status, 200);
    assert_eq!(house.ask("GET", "/console/requests", &[("authorization", &person)]).await.status, 403);
}

#[tokio::test]
async fn a_signed_out_token_is_refused_at_once() {
    let house = House::new(|_| {}).await;
    let token = house.token(house.operator().await).await;
    let bearer = format!("Bearer {token}");
    assert_eq!(house.ask("GET", "/mine/x", &[("authorization", &bearer)]).await.status, 200);
    let caller = house.identity.authenticate_token(&token).await.unwrap();
    house.identity.sign_out(&caller, &house.meta()).await.unwrap();
    assert_eq!(house.ask("GET", "/mine/x", &[("authorization", &bearer)]).await.slug(), "invalid-token");
}

#[derive(Debug, serde::Deserialize)]
struct Claims {
    sub: String,
    sid: String,
    username: String,
    role: String,
    tier: String,
    iat: i64,
    exp: i64,
}

impl House {
    fn statement(
        &self,
        token: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Claims, crypto::jws::TokenError> {
        let expected =
            Expected { typ: ASSERTION_TYPE, issuer: "http://localhost:8080", audience, now, leeway_s: 0 };
        self.keys.verifying(KeyUse::Assertion).verify(token, &expected)
    }
}

#[tokio::test]
async fn upstreams_get_a_signed_statement_and_no_credentials() {
    let house = House::new(|_| {}).await;
    let token = house.token(house.operator().await).await;
    let cookie = house.cookie(crate::fixture::credentials("operator")).await;
    let caller = house.identity.authenticate_token(&token).await.unwrap();
    let by_token = house.ask("GET", "/open/x", &[("authorization", &format!("Bearer {token}"))]).await;
    let by_cookie = house.ask("GET", "/open/x", &[("cookie", &format!("a=1; {cookie}; b=2"))]).await;
    for answer in [&by_token, &by_cookie] {
        assert!(!answer.body.contains(&token) && !answer.body.contains(SESSION_COOKIE), "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store", "an answer to somebody is theirs");
        let statement = answer.got("fortissimo-assertion")[0];
        let claims = house.statement(statement, "http://127.0.0.1:9000", house.clock.now()).unwrap();
        assert_eq!(claims.sub, caller.account.to_string());
        assert_eq!((claims.username.as_str(), claims.role.as_str()), ("operator", "super_admin"));
        assert_eq!(claims.tier, caller.tier.as_str());
        assert_eq!((claims.iat, claims.exp - claims.iat), (START / 1000, 60));
        assert!(
            house.statement(statement, "http://127.0.0.1:9999", house.clock.now()).is_err(),
            "for one upstream only"
        );
        assert!(
            house.statement(statement, "http://127.0.0.1:9000", house.clock.now().plus_ms(61_000)).is_err()
        );
    }
    assert_eq!(by_cookie.got("cookie"), ["a=1; b=2"]);
    let sid = |answer: &crate::fixture::Answer| {
        let statement = answer.got("fortissimo-assertion")[0].to_owned();
        house.statement(&statement, "http://127.0.0.1:9000", house.clock.now()).unwrap().sid
    };
    assert_eq!(sid(&by_token), caller.session.to_string());
    assert_ne!(sid(&by_token), sid(&by_cookie), "never another session's statement");
    assert!(house.ask("GET", "/open/x", &[]).await.got("fortissimo-assertion").is_empty());
}

#[tokio::test]
async fn statements_are_reused_for_a_while_and_never_after_a_change() {
    let house = House::new(|_| {}).await;
    house.operator().await;
    let bearer = format!("Bearer {}", house.token(house.person("ada").await).await);
    let statement = || async {
        let answer = house.ask("GET", "/open/x", &[("authorization", &bearer)]).await;
        answer.got("fortissimo-assertion")[0].to_owned()
    };
    let first = statement().await;
    house.clock.advance_ms(29_000);
    assert_eq!(statement().await, first);
    let account = house.identity.authenticate_token(&bearer[7..]).await.unwrap().account;
    let permit = access::Permit::for_system("test");
    house.identity.set_role(permit, account, access::Role::Moderator, &house.meta()).await.unwrap();
    let changed = statement().await;
    let claims = house.statement(&changed, "http://127.0.0.1:9000", house.clock.now()).unwrap();
    assert_eq!(claims.role, "moderator");
    house.clock.advance_ms(31_000);
    assert_ne!(statement().await, changed, "a fresh one well before the old one ends");
}

#[tokio::test]
async fn nobody_else_speaks_for_us() {
    let house = House::new(|config| config.trusted_proxies = vec!["10.0.0.0/8".into()]).await;
    let forged = [
        ("fortissimo-assertion", "forged"),
        ("fortissimo_assertion", "forged"),
        ("x-fortissimo-role", "forged"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "forged"),
        ("x-forwarded-user", "forged"),
        ("x_forwarded_for", "forged"),
        ("x-real-ip", "6.6.6.6"),
        ("x-request-id", "forged"),
        ("connection", "x-forwarded-for, fortissimo-assertion, x-track"),
        ("x-track", "dropped"),
        ("forwarded", "for=6.6.6.6"),
        ("user_name", "forged"),
    ];
    let direct = house.ask("GET", "/open/x", &forged).await;
    assert!(
        !direct.body.contains("forged")
            && !direct.body.contains("6.6.6.6")
            && !direct.body.contains("dropped")
    );
    assert_eq!(direct.got("x-forwarded-for"), ["192.0.2.1"]);
    assert_eq!(direct.got("x-forwarded-proto"), ["http"]);
    assert_eq!(direct.got("x-forwarded-host"), ["localhost:8080"]);
    assert_eq!(direct.got("x-request-id"), [direct.header("x-request-id")]);
    let behind = request(
        "GET",
        "/open/x",
        &[("x-forwarded-for", "6.6.6.6, 198.51.100.7"), ("x-forwarded-proto", "https")],
        guard::Body::Empty,
    );
    let behind = house.send_over("10.1.2.3:9", false, behind).await;
    assert_eq!(behind.got("x-forwarded-for"), ["198.51.100.7"]);
    assert_eq!(behind.got("x-forwarded-proto"), ["https"]);
}

/// What the risk of a sign-in is judged by; behind a proxy of ours it would say how far away the proxy is.
#[tokio::test]
async fn our_own_endpoints_learn_how_far_away_the_client_is_unless_a_proxy_stands_between() {
    let direct = House::new(|_| {}).await.ask("GET", "/account/sign-in", &[]).await;
    assert!(direct.body.contains("round trip 37 ms"), "{}", direct.body);
    let behind = House::new(|config| config.trusted_proxies = vec!["192.0.2.0/24".into()]).await;
    let behind = behind.ask("GET", "/account/sign-in", &[]).await;
    assert!(behind.body.contains("own true") && !behind.body.contains("round trip"), "{}", behind.body);
}
