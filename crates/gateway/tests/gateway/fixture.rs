//! Everything between the client's socket and the upstream's, over an in-memory database.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use access::Access;
use access::actions::SystemConfig;
use audit::{Audit, Entry};
use base::{Clock, Entropy, Secret};
use gateway::{Forward, Guarded, ListenConfig, Listener, Shutdown, UpstreamConfig};
use guard::{Guard, GuardConfig, Parts, RouteConfig};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use identity::{Credentials, Identity, Mailer, RequestMeta, Settings, Setup};
use keys::{FileRoot, Keys, RootKey};
use store::Db;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PASSWORD: &str = "seven brass trombones at dawn";

pub(crate) struct House {
    address: SocketAddr,
    audit: Audit,
    identity: Identity,
    clock: Clock,
    entropy: Entropy,
    _dir: tempfile::TempDir,
}

impl House {
    /// A gateway with `/open/**` (public) and `/mine/**` (authenticated) in front of an upstream.
    pub(crate) async fn new(upstream: SocketAddr, configure: impl Fn(&mut RouteConfig)) -> Self {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let dir = tempfile::tempdir().unwrap();
        let db = Db::memory();
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let access = Access::builtin().unwrap();
        let identity = Identity::open(identity::Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer: Mailer::OutboxPlain { dir: dir.path().join("mail") },
            settings: Settings { hash_threads: 1, ..Settings::default() },
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
        config.routes = [("/open/**", "public"), ("/mine/**", "authenticated")]
            .map(|(path, access)| {
                let upstream = format!("http://{upstream}");
                let text = serde_json::json!({ "path": path, "upstream": upstream, "access": access });
                let mut route = serde_json::from_value(text).unwrap();
                configure(&mut route);
                route
            })
            .into();
        let parts = Parts {
            identity: identity.clone(),
            relations,
            audit: audit.clone(),
            keys,
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let guard = Guard::new(config, parts).unwrap();
        let shutdown = Shutdown::new();
        let service = Forward::new(guard.routes(), &UpstreamConfig::default(), &shutdown)
            .unwrap()
            .recording(audit.clone(), clock.clone());
        let listener = Listener::bind(ListenConfig::plain(ANY)).await.unwrap();
        let address = listener.address();
        tokio::spawn(listener.serve(Guarded { guard, service }, clock.clone(), entropy.clone(), shutdown));
        Self { address, audit, identity, clock, entropy, _dir: dir }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends text and reads until the gateway closes.
    pub(crate) async fn exchange(&self, text: &str) -> String {
        let mut client = self.connect().await;
        client.write_all(text.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        String::from_utf8(received).unwrap()
    }

    /// The first events that `work` leaves behind.
    pub(crate) async fn events_of(&self, wanted: usize, work: impl Future<Output = ()>) -> Vec<Arc<Entry>> {
        let mut events = self.audit.subscribe();
        work.await;
        let mut seen = Vec::new();
        while seen.len() < wanted {
            seen.push(events.next().await.unwrap());
        }
        seen
    }

    /// An access token of the first operator.
    pub(crate) async fn operator_token(&self) -> String {
        let meta = RequestMeta::command(&self.clock, &self.entropy);
        let permit = access::Permit::<SystemConfig>::for_system("test");
        let link = self.identity.issue_setup_link(permit, &meta).await.unwrap();
        let setup = Setup {
            code: link.url.expose().split_once("code=").unwrap().1.to_owned(),
            username: "operator".parse().unwrap(),
            email: "operator@example.com".parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.to_owned()),
        };
        self.identity.complete_setup(setup, &meta).await.unwrap();
        let credentials = Credentials {
            name: "operator".to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
            session_name: None,
            audience: None,
        };
        self.identity.sign_in(credentials, &meta).await.unwrap().done().unwrap().access_token.expose().clone()
    }
}

/// An upstream that speaks bytes.
pub(crate) async fn scripted<F, R>(script: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(script(socket));
        }
    });
    address
}

/// An upstream that reads its request and tells the head.
pub(crate) async fn telling() -> SocketAddr {
    scripted(|socket| async move {
        let service = service_fn(|request: Request<Incoming>| async move {
            let lines = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
            let text: String = lines.collect();
            let mut body = request.into_body();
            while http_body_util::BodyExt::frame(&mut body).await.is_some() {}
            Ok::<_, Infallible>(Response::new(text))
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
    })
    .await
}
