//! A whole guard over an in-memory database, with an operator, an ordinary person, and a service that tells what it got.

use std::time::Duration;

use access::Access;
use access::actions::SystemConfig;
use audit::Audit;
use base::{Clock, Entropy, Secret};
use bytes::Bytes;
use guard::{Body, Connection, Endpoint, Guard, GuardConfig, Parts, Refusal, RouteConfig, Service, Shaped};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use identity::{Credentials, Identity, Mailer, Registration, RequestMeta, Settings, Setup};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, Job, JobQueue};

const PASSWORD: &str = "seven brass trombones at dawn";
pub(crate) const START: i64 = 1_767_323_045_678;

pub(crate) struct House {
    pub(crate) guard: Guard,
    pub(crate) identity: Identity,
    pub(crate) relations: access::Relations,
    pub(crate) audit: Audit,
    pub(crate) keys: Keys,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    dir: tempfile::TempDir,
}

/// The service's view of a request, as it came back in the answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn slug(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(document["status"], self.status);
        assert_eq!(document["instance"], format!("urn:uuid:{}", self.header("x-request-id")));
        document["type"].as_str().unwrap().strip_prefix("urn:fortissimo:problem:").unwrap().to_owned()
    }

    /// A header as the service got it.
    pub(crate) fn got(&self, name: &str) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect()
    }
}

/// What every connection of the tests takes to the client and back.
pub(crate) const ROUND_TRIP: std::time::Duration = std::time::Duration::from_micros(37_900);

pub(crate) struct Echo;

impl Service for Echo {
    async fn call(&self, request: Shaped) -> Result<Response<Body>, Refusal> {
        assert!(!request.request().uri().path().contains("panic"), "the handler's own fault");
        let passed = request.request().extensions().get::<guard::Passed>();
        let (own, round_trip) = (passed.is_some(), passed.and_then(|passed| passed.meta().rtt_ms));
        let (parts, body) = request.into_request().into_parts();
        let size = match body.collect().await {
            Ok(whole) => whole.to_bytes().len(),
            // What a proxy would say; the pipeline knows better.
            Err(_) => return Err(Refusal::new(base::ProblemKind::BadGateway, "upstream_broke_off")),
        };
        let mut text = format!("{} {}\nbody {size}\nown {own}\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        if let Some(ms) = round_trip {
            text.push_str(&format!("round trip {ms} ms\n"));
        }
        let mut response = Response::new(Body::from(text));
        for (name, value) in [
            ("server", "old/1.0"),
            ("x-powered-by", "php"),
            ("x-request-id", "the-upstreams"),
            ("set-cookie", "__Host-fortissimo=evil"),
            ("access-control-allow-origin", "*"),
        ] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        // The service says about objects what the test wants it to say.
        for (asked, said) in
            [("x-say-register", "fortissimo-register"), ("x-say-forget", "fortissimo-forget")]
        {
            for value in parts.headers.get_all(asked) {
                response.headers_mut().append(said, value.clone());
            }
        }
        if parts.headers.contains_key("x-say-failed") {
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        Ok(response)
    }
}

pub(crate) fn route(path: &str, access: &str) -> RouteConfig {
    let text = serde_json::json!({ "path": path, "upstream": "http://127.0.0.1:9000", "access": access });
    serde_json::from_value(text).unwrap()
}

/// Routes of every kind of demand, and limits wide enough not to be met by accident.
pub(crate) fn usual(config: &mut GuardConfig) {
    config.trusted_hosts = vec!["music.example".into(), "*.studio.example".into()];
    let mut small = route("/small", "public");
    small.max_body = 10;
    small.timeouts.idle_ms = 60;
    let mut read_only = route("/reads/{id}", "public");
    read_only.methods = vec!["GET".into()];
    let mut observed = route("/observed", "public");
    observed.inspect = guard::Inspect::Observe;
    config.routes = vec![
        small,
        read_only,
        observed,
        route("/open/**", "public"),
        route("/mine/**", "authenticated"),
        route("/tracks/{id}", "track:delete on track/{id}"),
        route("/playlists/{id}", "playlist:read on playlist/{id}"),
        route("/projects/{id}", "project:export on project/{id}"),
    ];
    config.endpoints = vec![
        Endpoint::api(Method::POST, "/auth/login", "public").rate(guard::RateClass::SignIn),
        Endpoint::api(Method::GET, "/auth/profile", "authenticated"),
        Endpoint::page(Method::GET, "/console/requests", "system:logs"),
        Endpoint::page(Method::GET, "/account/**", "public"),
    ];
    let wide = guard::WindowLimits { second: 10_000, minute: 10_000, hour: 10_000, day: 10_000 };
    config.limits.tiers = guard::TierLimits { free: wide, pro: wide, studio: wide };
}

/// As the program has it, with one thread for hashing.
pub(crate) fn usual_identity() -> Settings {
    Settings { hash_threads: 1, ..Settings::default() }
}

impl House {
    pub(crate) async fn new(configure: impl FnOnce(&mut GuardConfig)) -> Self {
        Self::with(usual_identity(), Access::builtin().unwrap(), configure).await
    }

    pub(crate) async fn with(
        settings: Settings,
        access: Access,
        configure: impl FnOnce(&mut GuardConfig),
    ) -> Self {
        let (clock, entropy) = (Clock::controlled(START), Entropy::system());
        let dir = tempfile::tempdir().unwrap();
        let db = Db::memory();
        let root =
            RootKey::File(FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap());
        let keys = Keys::open(&db, &root, clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let identity = Identity::open(identity::Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer: Mailer::OutboxPlain { dir: dir.path().join("mail") },
            settings,
        })
        .await
        .unwrap();
        let relations = access::Relations::open(access::RelationParts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            settings: access::RelationSettings { self_registration: true, ..Default::default() },
        });
        let mut config = GuardConfig::new("http://localhost:8080");
        usual(&mut config);
        configure(&mut config);
        let parts = Parts {
            identity: identity.clone(),
            relations: relations.clone(),
            audit: audit.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let guard = Guard::new(config, parts).unwrap();
        Self { guard, identity, relations, audit, keys, db, clock, entropy, dir }
    }

    /// Makes an object known; it is whose token this is.
    pub(crate) async fn register(&self, token: &str, kind: &str, id: &str) -> access::Asker {
        let subject = self.identity.authenticate_token(token).await.unwrap().subject();
        let asker = access::Asker { subject, request: None };
        let resource = access::ResourceRef { kind: kind.into(), id: id.into() };
        self.relations.register(&asker, &resource, &access::Registration::default()).await.unwrap();
        asker
    }

    /// Shows it to everybody. The tests' people may share nothing, so an operator's role is borrowed.
    pub(crate) async fn share_publicly(&self, owner: &access::Asker, kind: &str, id: &str) {
        let mut asker = owner.clone();
        asker.subject.role = Some(access::Role::PremiumUser);
        let resource = access::ResourceRef { kind: kind.into(), id: id.into() };
        let public = access::Registration { public: true, ..access::Registration::default() };
        self.relations.register(&asker, &resource, &public).await.unwrap();
    }

    pub(crate) fn meta(&self) -> RequestMeta {
        RequestMeta::command(&self.clock, &self.entropy)
    }

    /// The first operator (a super_admin) by the set-up link.
    pub(crate) async fn operator(&self) -> Credentials {
        self.operator_at(&self.meta()).await
    }

    /// As [`operator`](Self::operator), who set themselves up from there.
    pub(crate) async fn operator_at(&self, meta: &RequestMeta) -> Credentials {
        let permit = access::Permit::<SystemConfig>::for_system("test");
        let link = self.identity.issue_setup_link(permit, meta).await.unwrap();
        let setup = Setup {
            code: link.url.expose().split_once("code=").unwrap().1.to_owned(),
            username: "operator".parse().unwrap(),
            email: "operator@example.com".parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.to_owned()),
        };
        self.identity.complete_setup(setup, meta).await.unwrap();
        credentials("operator")
    }

    /// An ordinary person, through registration, mail and verification.
    pub(crate) async fn person(&self, name: &str) -> Credentials {
        let wish = Registration {
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.to_owned()),
        };
        self.identity.register(wish, &self.meta()).await.unwrap();
        let jobs = JobQueue::new(self.db.clone(), self.clock.clone(), self.entropy.clone());
        for claimed in jobs.claim(10, Duration::from_secs(60)).await.unwrap() {
            if let Job::DeliverMail { mail } = claimed.job {
                self.identity.deliver_mail(mail).await.unwrap();
            }
        }
        let mut newest = None;
        for entry in std::fs::read_dir(self.dir.path().join("mail")).unwrap() {
            newest = newest.max(Some(entry.unwrap().path()));
        }
        let mail = std::fs::read_to_string(newest.expect("a mail"))
            .unwrap()
            .replace("=\r\n", "")
            .replace("=3D", "=");
        let code = mail.split_once("code=").unwrap().1;
        let code = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').next().unwrap();
        self.identity.verify_email(code, &Secret::new(PASSWORD.to_owned()), &self.meta()).await.unwrap();
        credentials(name)
    }

    pub(crate) async fn token(&self, who: Credentials) -> String {
        self.identity.sign_in(who, &self.meta()).await.unwrap().done().unwrap().access_token.expose().clone()
    }

    pub(crate) async fn cookie(&self, who: Credentials) -> String {
        let session = self.identity.sign_in_browser(who, &self.meta()).await.unwrap().done().unwrap();
        format!("{}={}", guard::SESSION_COOKIE, session.cookie.expose())
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(method, target, headers, Body::Empty)).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_over("192.0.2.1:4000", false, request).await
    }

    pub(crate) async fn send_over(&self, peer: &str, tls: bool, request: Request<Body>) -> Answer {
        let connection = Connection { peer: peer.parse().unwrap(), tls, round_trip: Some(ROUND_TRIP) };
        let response = self.guard.handle(connection, request, &Echo).await;
        read(response).await
    }
}

pub(crate) fn credentials(name: &str) -> Credentials {
    Credentials {
        name: name.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        session_name: None,
        audience: None,
    }
}

pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8080");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// A body that comes in pieces, without a declared length.
pub(crate) fn pieces(pieces: Vec<Result<&'static [u8], std::io::Error>>) -> Body {
    let frames =
        pieces.into_iter().map(|piece| piece.map(|bytes| http_body::Frame::data(Bytes::from_static(bytes))));
    Body::stream(http_body_util::StreamBody::new(futures_util::stream::iter(frames)))
}

/// A body of which nothing ever comes.
pub(crate) fn silence() -> Body {
    let never = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    Body::stream(http_body_util::StreamBody::new(never))
}

pub(crate) async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    if parts.status != StatusCode::SWITCHING_PROTOCOLS {
        every_answer(&answer);
    }
    answer
}

/// What holds for every answer, whatever it is.
fn every_answer(answer: &Answer) {
    assert_eq!(answer.header("x-request-id").len(), 36, "our own request id");
    assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let csp: Vec<_> = answer.headers.get_all("content-security-policy").iter().collect();
    assert!(csp.iter().any(|value| value.to_str().unwrap().contains("frame-ancestors 'none'")));
    for wanted in ["referrer-policy", "permissions-policy", "cross-origin-opener-policy"] {
        assert!(answer.headers.contains_key(wanted), "{wanted}");
    }
    for unwanted in ["server", "x-powered-by", "x-xss-protection"] {
        assert!(!answer.headers.contains_key(unwanted), "{unwanted}");
    }
}
