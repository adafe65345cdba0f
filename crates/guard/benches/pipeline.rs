//! What the pipeline itself costs: a small GET through every stage to a service that answers at once. The goal is below
//! 15 µs. The audit writer works beside, as in life, on a thread of its own.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use access::Access;
use audit::Audit;
use base::{Clock, Entropy, Secret};
use guard::{Body, Connection, Guard, GuardConfig, Parts, Refusal, RouteConfig, RouteTable, Service, Shaped};
use http::{Method, Request, Response};
use identity::{Credentials, Identity, Mailer, RequestMeta, Settings, Setup};
use inspect::{CanonicalTarget, Host, TargetLimits};
use keys::{FileRoot, Keys, RootKey};
use store::Db;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

struct Nothing;
impl Service for Nothing {
    async fn call(&self, _: Shaped) -> Result<Response<Body>, Refusal> {
        Ok(Response::new(Body::from("{\"tracks\":[]}")))
    }
}

struct House {
    runtime: Runtime,
    guard: Guard,
    token: String,
    _dir: tempfile::TempDir,
}

fn route(path: &str, access: &str) -> RouteConfig {
    let text = serde_json::json!({ "path": path, "upstream": "http://127.0.0.1:9000", "access": access });
    serde_json::from_value(text).unwrap()
}

impl House {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (guard, token) = runtime.block_on(Self::build(dir.path()));
        Self { runtime, guard, token, _dir: dir }
    }

    async fn build(dir: &std::path::Path) -> (Guard, String) {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let db = Db::memory();
        let root = RootKey::File(FileRoot::open_or_create(&dir.join("root.key"), None, &entropy).unwrap());
        let keys = Keys::open(&db, &root, clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let access = Access::builtin().unwrap();
        let identity = Identity::open(identity::Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer: Mailer::Outbox { dir: dir.join("mail") },
            settings: Settings { hash_threads: 1, ..Settings::default() },
        })
        .await
        .unwrap();
        let meta = RequestMeta::command(&clock, &entropy);
        let link = identity.issue_setup_link(access::Permit::for_system("bench"), &meta).await.unwrap();
        let password = || Secret::new("seven brass trombones at dawn".to_owned());
        let setup = Setup {
            code: link.url.expose().split_once("code=").unwrap().1.to_owned(),
            username: "operator".parse().unwrap(),
            email: "operator@example.com".parse().unwrap(),
            full_name: None,
            password: password(),
        };
        identity.complete_setup(setup, &meta).await.unwrap();
        let credentials =
            Credentials { name: "operator".into(), password: password(), session_name: None, audience: None };
        let token =
            identity.sign_in(credentials, &meta).await.unwrap().done().unwrap().access_token.expose().clone();

        let subject = identity.authenticate_token(&token).await.unwrap().subject();
        let mut config = GuardConfig::new("http://localhost:8080");
        config.routes =
            vec![route("/api/open/**", "public"), route("/api/v1/tracks/{id}", "track:read on track/{id}")];
        let endless = guard::WindowLimits { second: 1 << 30, minute: 1 << 30, hour: 1 << 30, day: 1 << 30 };
        config.limits.tiers = guard::TierLimits { free: endless, pro: endless, studio: endless };
        config.limits.network = guard::NetworkLimit { per_second: 1 << 30, per_minute: 1 << 30 };
        config.limits.endpoint_per_minute = 1 << 30;
        let relations = access::Relations::open(access::RelationParts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            settings: access::RelationSettings { self_registration: true, ..Default::default() },
        });
        // Registered, as an object behind a gateway is; whoever asks owns it.
        let asker = access::Asker { subject, request: None };
        for id in ["42"] {
            let track = access::ResourceRef { kind: "track".into(), id: id.into() };
            relations.register(&asker, &track, &access::Registration::default()).await.unwrap();
        }
        let guard = Guard::new(config, Parts { identity, relations, audit, keys, clock, entropy }).unwrap();
        (guard, token)
    }

    fn bench(&self, bencher: divan::Bencher<'_, '_>, path: &str, authorization: Option<&str>) {
        let connection = Connection { peer: "192.0.2.1:4000".parse().unwrap(), tls: true, round_trip: None };
        let _entered = self.runtime.enter();
        bencher
            .with_inputs(|| {
                let mut request = Request::get(path)
                    .header("host", "localhost:8080")
                    .header("user-agent", "bench/1.0")
                    .header("accept", "application/json");
                if let Some(authorization) = authorization {
                    request = request.header("authorization", authorization);
                }
                request.body(Body::Empty).unwrap()
            })
            .bench_local_values(|request| {
                let handled = self.guard.handle(connection, request, &Nothing);
                let response = futures_util::FutureExt::now_or_never(handled).expect("nothing waits");
                assert_eq!(response.status(), 200);
                response
            });
    }
}

/// Nobody, on an open route.
#[divan::bench]
fn anonymous(bencher: divan::Bencher<'_, '_>) {
    House::new().bench(bencher, "/api/open/x", None);
}

/// A known token, a policy, a statement to the upstream.
#[divan::bench]
fn by_token(bencher: divan::Bencher<'_, '_>) {
    let house = House::new();
    let bearer = format!("Bearer {}", house.token);
    let warm = house.guard.handle(
        Connection { peer: "192.0.2.1:4000".parse().unwrap(), tls: true, round_trip: None },
        Request::get("/api/v1/tracks/42")
            .header("host", "localhost")
            .header("authorization", &bearer)
            .body(Body::Empty)
            .unwrap(),
        &Nothing,
    );
    assert_eq!(house.runtime.block_on(warm).status(), 200);
    house.bench(bencher, "/api/v1/tracks/42", Some(&bearer));
}

/// The look-up among a hundred routes; the goal is below 1 µs.
#[divan::bench]
fn route_of_a_hundred(bencher: divan::Bencher<'_, '_>) {
    let routes: Vec<RouteConfig> =
        (0..100).map(|n| route(&format!("/api/part-{n}/{{id}}"), "public")).collect();
    let table = RouteTable::build(&routes, &[], &Access::builtin().unwrap()).unwrap();
    let target = CanonicalTarget::parse("/api/part-99/7", &TargetLimits::default()).unwrap();
    let host = Host::parse("localhost").unwrap();
    bencher.bench_local(|| table.find(&host, &Method::GET, &target).is_ok());
}
