//! The route table: what is found, what is refused at the start.

use access::Access;
use guard::{Endpoint, RouteTable};
use http::Method;

use crate::fixture::{House, route};

fn refused(routes: &[guard::RouteConfig], endpoints: &[Endpoint]) -> String {
    RouteTable::build(routes, endpoints, &Access::builtin().unwrap()).unwrap_err().to_string()
}

#[test]
fn collisions_with_our_own_paths_are_refused_with_a_reason() {
    for first in guard::RESERVED {
        let message = refused(&[route(&format!("/{first}/x"), "public")], &[]);
        assert!(message.contains("reserved") && message.starts_with("route 1"), "{message}");
    }
    let message = refused(&[], &[Endpoint::api(Method::GET, "/tracks", "public")]);
    assert!(message.contains("/auth"), "{message}");
}

#[test]
fn wrong_routes_say_what_would_be_right() {
    let mut wrong = route("/x", "public");
    wrong.upstream = "127.0.0.1:9000".into();
    assert!(refused(&[wrong.clone()], &[]).contains("http://127.0.0.1:9000"));
    wrong.upstream = "http://127.0.0.1:9000/base".into();
    assert!(refused(&[wrong], &[]).contains("without a path"));
    assert!(refused(&[route("/x", "track:raed")], &[]).contains("track:read"));
    assert!(refused(&[route("/x", "track:read on track/{id}")], &[]).contains("{id}"));
    let mut method = route("/x", "public");
    method.methods = vec!["get".into()];
    assert!(refused(&[method], &[]).contains("GET"));
    let mut host = route("/x", "public");
    host.host = Some("a:80".into());
    assert!(refused(&[host], &[]).contains("without a port"));
    let mut rate = route("/x", "public");
    rate.rate = guard::RateClass::SignIn;
    assert!(refused(&[rate], &[]).contains("rate"));
}

#[tokio::test]
async fn the_first_match_wins_and_the_rest_is_not_found() {
    let house = House::new(|config| {
        let mut studio = route("/shared/{id}", "public");
        studio.host = Some("a.studio.example".into());
        studio.upstream = "http://127.0.0.1:9001".into();
        config.routes = vec![studio, route("/shared/special", "authenticated"), route("/**", "public")];
    })
    .await;
    let on_studio = house.ask("GET", "/shared/special", &[("host", "a.studio.example")]).await;
    assert_eq!(on_studio.status, 200);
    assert_eq!(house.ask("GET", "/shared/special", &[]).await.status, 401);
    assert_eq!(house.ask("GET", "/shared/other", &[]).await.status, 200);
    assert_eq!(house.ask("GET", "/", &[]).await.status, 200);
    // Below our own prefixes only what is listed exists, whatever the routes say.
    for path in
        ["/auth", "/auth/unknown", "/v1/x", "/.well-known/x", "/log", "/%61uth/unknown", "/x/../auth/y"]
    {
        assert_eq!(house.ask("GET", path, &[]).await.slug(), "not-found", "{path}");
    }
}

#[tokio::test]
async fn path_parameters_lead_nowhere_else() {
    let house = House::new(|config| {
        config.routes = vec![
            route("/closed/**", "authenticated"),
            route("/tracks/{id}", "track:read on track/{id}"),
            route("/**", "public"),
        ];
    })
    .await;
    // A servlet container would serve each of these from `/closed`, or from one of our own prefixes.
    for path in ["/closed;x/a", "/closed;x=1", "/;/closed/a", "/closed%3B/a", "/x/../closed;a", "/v1;x/a"] {
        assert_eq!(house.ask("GET", path, &[]).await.slug(), "malformed-request", "{path}");
    }
    assert_eq!(house.ask("GET", "/tracks/5;x", &[]).await.slug(), "malformed-request", "another track");
    for path in ["/open;x=1/a", "/a;b;c"] {
        assert_eq!(house.ask("GET", path, &[]).await.status, 200, "{path}");
    }
    assert_eq!(house.ask("GET", "/closed/a;x", &[]).await.status, 401);
}

#[tokio::test]
async fn a_wrong_method_names_the_right_ones() {
    let house = House::new(|_| {}).await;
    let answer = house.ask("DELETE", "/reads/1", &[]).await;
    assert_eq!((answer.slug().as_str(), answer.header("allow")), ("method-not-allowed", "GET, HEAD"));
    assert_eq!(house.ask("HEAD", "/reads/1", &[]).await.status, 200);
    let own = house.ask("GET", "/auth/login", &[]).await;
    assert_eq!((own.status, own.header("allow")), (405, "POST"));
    assert_eq!(house.ask("GET", "/reads", &[]).await.status, 404);
}

#[tokio::test]
async fn own_services_learn_who_passed() {
    let house = House::new(|_| {}).await;
    assert!(house.ask("GET", "/account/sign-in", &[]).await.body.contains("own true"));
    assert!(house.ask("GET", "/open", &[]).await.body.contains("own false"));
}
