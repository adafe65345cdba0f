//! The program without sockets.

use std::path::Path;
use std::time::Duration;

use access::Access;
use api::Api;
use audit::{Audit, LogSettings};
use axum::Router;
use base::{Clock, Entropy, Id, Scope, Secret};
use bytes::Bytes;
use guard::{Body, Connection, Guard, GuardConfig, Refusal, Service, Shaped};
use http::{Request, StatusCode};
use identity::{Identity, Mailer, RequestMeta, Settings, Setup};
use keys::{FileRoot, Keys, RootKey};
use serde_json::{Value, json};
use store::{Db, Job, JobQueue};
use tower::ServiceExt;

/// Long, and on no list.
pub(crate) const PASSWORD: &str = "nine violins under a tin roof";

pub(crate) struct House {
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) identity: Identity,
    pub(crate) audit: audit::Audit,
    pub(crate) keys: Keys,
    guard: Guard,
    front: Front,
    pub(crate) db: Db,
    pub(crate) dir: tempfile::TempDir,
}

struct Front(Router);

impl Service for Front {
    async fn call(&self, shaped: Shaped) -> Result<http::Response<Body>, Refusal> {
        let answered = self.0.clone().oneshot(shaped.into_request()).await;
        Ok(answered.unwrap_or_else(|never| match never {}).map(Body::stream))
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) json: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// Status, kind of problem and first wrong field.
    pub(crate) fn problem(&self) -> (u16, &str, &str) {
        let kind = self.json["type"].as_str().and_then(|t| t.strip_prefix("urn:fortissimo:problem:"));
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let instance = format!("urn:uuid:{}", self.headers["x-request-id"].to_str().unwrap());
        assert_eq!(self.json["instance"], instance.as_str());
        assert_eq!(self.json["status"], self.status.as_u16());
        (
            self.status.as_u16(),
            kind.unwrap_or_default(),
            self.json["errors"][0]["pointer"].as_str().unwrap_or("-"),
        )
    }

    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.json[name].as_str().unwrap_or_else(|| panic!("{name} in {:?}", self.json)).to_owned()
    }
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Access::builtin().unwrap()).await
    }

    pub(crate) async fn with(access: Access) -> Self {
        Self::with_log(access, |_| LogSettings::default()).await
    }

    /// With the log's files and its second place in `dir`, which nobody looks after while a test runs.
    pub(crate) async fn with_files() -> Self {
        let settings = |dir: &Path| LogSettings {
            folder: Some(dir.join("log")),
            anchor: Some(dir.join("anchor/checkpoint")),
            watch_every: Duration::from_secs(3_600),
            ..LogSettings::default()
        };
        Self::with_log(Access::builtin().unwrap(), settings).await
    }

    async fn with_log(access: Access, log: impl FnOnce(&Path) -> LogSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, entropy) = (Clock::controlled(1_800_000_000_000), Entropy::seeded(11));
        let db = Db::memory();
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let log = log(dir.path());
        let audit = Audit::start_with(db.clone(), keys.clone(), clock.clone(), entropy.clone(), log);
        let public_url = "https://music.example";
        let settings = Settings {
            public_url: public_url.into(),
            issuer: public_url.into(),
            hash_threads: 1,
            hash_params: crypto::password::Params::new(64, 1, 1).unwrap(),
            ..Settings::default()
        };
        let mailer = Mailer::OutboxPlain { dir: dir.path().join("outbox") };
        let identity = Identity::open(identity::Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer,
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
            settings: access::RelationSettings {
                issuer: public_url.into(),
                self_registration: true,
                ..Default::default()
            },
        });
        let mut config = GuardConfig::new(public_url);
        config.endpoints = api::endpoints();
        config.endpoints.extend(api::log_endpoints());
        config.limits.enabled = false;
        let parts = guard::Parts {
            identity: identity.clone(),
            relations: relations.clone(),
            audit: audit.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let guard = Guard::new(config, parts).unwrap();
        let api = Api {
            identity: identity.clone(),
            audit: audit.clone(),
            access,
            relations: relations.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
        };
        Self { clock, entropy, identity, audit, keys, guard, front: Front(api::router(api)), db, dir }
    }

    pub(crate) async fn send_raw(&self, request: Request<Body>) -> Answer {
        let connection = Connection { peer: "192.0.2.7:5000".parse().unwrap(), tls: true, round_trip: None };
        let response = self.guard.handle(connection, request, &self.front).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(axum::body::Body::new(body), 1 << 20).await.unwrap();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, json, bytes: bytes.to_vec() }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        self.ask(method, path, token, body.map(|json| json.to_string())).await
    }

    /// With a body that need not be JSON.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "music.example");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(text) => {
                request =
                    request.header("content-type", "application/json").header("content-length", text.len());
                Body::from(Bytes::from(text))
            }
            None => Body::Empty,
        };
        self.send_raw(request.body(body).unwrap()).await
    }

    /// A GET by nobody.
    pub(crate) async fn get_raw(&self, path: &str) -> Answer {
        self.send("GET", path, None, None).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, Some(token), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, None, Some(body)).await
    }

    /// Delivers the messages that wait.
    pub(crate) async fn deliver(&self) {
        let queue = JobQueue::new(self.db.clone(), self.clock.clone(), self.entropy.clone());
        for claimed in queue.claim(16, Duration::from_secs(60)).await.unwrap() {
            if let Job::DeliverMail { mail } = claimed.job {
                self.identity.deliver_mail(mail).await.unwrap();
            }
            let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
            assert!(queue.complete(&mut tx, &claimed).await.unwrap());
            tx.commit().await.unwrap();
        }
    }

    /// Delivers what waits and gives the code of the newest message's link to `path`.
    pub(crate) async fn code_from_mail(&self, path: &str) -> Option<String> {
        self.deliver().await;
        let mut found = None;
        for entry in std::fs::read_dir(self.dir.path().join("outbox")).ok()? {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap().replace("=\r\n", "").replace("=3D", "=");
            if let Some(at) = text.find(&format!("/account/{path}?code=")) {
                let code = text[at..].split("code=").nth(1).unwrap_or_default();
                found = Some(
                    code.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect(),
                );
            }
            std::fs::remove_file(file).unwrap();
        }
        found
    }

    /// Somebody with an account.
    pub(crate) async fn person(&self, name: &str) {
        let email = format!("{name}@example.org");
        let wish = json!({"username": name, "email": email, "password": PASSWORD});
        assert_eq!(self.post("/auth/register", wish).await.status, 202);
        let code = self.code_from_mail("verify").await.expect("a verification link");
        self.post("/auth/verify-email", json!({"code": code, "password": PASSWORD})).await.ok();
    }

    /// An access token.
    pub(crate) async fn token(&self, name: &str) -> String {
        self.post("/auth/login", json!({"identifier": name, "password": PASSWORD})).await.text("access_token")
    }

    /// The first operator, and a token of theirs.
    pub(crate) async fn operator(&self) -> String {
        let meta = RequestMeta::of(Id::new(&self.clock, &self.entropy));
        let link = self.identity.issue_setup_link(access::Permit::for_system("test"), &meta).await.unwrap();
        let code = link.url.expose().split("code=").nth(1).unwrap_or_default().to_owned();
        let setup = Setup {
            code,
            username: "chief".parse().unwrap(),
            email: "chief@example.org".parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.into()),
        };
        self.identity.complete_setup(setup, &meta).await.unwrap();
        self.token("chief").await
    }
}
