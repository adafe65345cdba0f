//! What signing in and being recognised cost: `cargo bench -p fortissimo-identity`.
//!
//! The targets: at least 45 sign-ins a second and core; a remembered token in at most 2 µs.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::sync::LazyLock;

use access::{Access, Permit};
use audit::Audit;
use base::{Clock, Entropy, Secret};
use identity::{Credentials, Identity, Mailer, Parts, RequestMeta, Settings, Setup};
use keys::{FileRoot, Keys, RootKey};
use store::Db;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PASSWORD: &str = "violet tuba orchard eleven";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static HOUSE: LazyLock<House> = LazyLock::new(|| RUNTIME.block_on(House::build()));

struct House {
    identity: Identity,
    _dir: TempDir,
}

impl House {
    async fn build() -> Self {
        let dir = TempDir::new().unwrap();
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let db = Db::memory();
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let mailer = Mailer::Outbox { dir: dir.path().join("outbox") };
        let access = Access::builtin().unwrap();
        let settings = Settings::default();
        let identity = Identity::open(Parts { db, keys, audit, access, clock, entropy, mailer, settings })
            .await
            .unwrap();
        let link = identity.issue_setup_link(Permit::for_system("bench"), &meta()).await.unwrap();
        let setup = Setup {
            code: link.url.expose().split_once("code=").unwrap().1.to_owned(),
            username: "ada".parse().unwrap(),
            email: "ada@example.com".parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.to_owned()),
        };
        identity.complete_setup(setup, &meta()).await.unwrap();
        Self { identity, _dir: dir }
    }
}

fn meta() -> RequestMeta {
    RequestMeta::command(&Clock::system(), &Entropy::system())
}

fn credentials() -> Credentials {
    Credentials {
        name: "ada".into(),
        password: Secret::new(PASSWORD.into()),
        session_name: None,
        audience: None,
    }
}

fn main() {
    LazyLock::force(&HOUSE);
    divan::main();
}

/// The whole sign-in on one thread after another; divided by cores this is the rate per core.
#[divan::bench(threads = [1, 0])]
fn password_sign_in() {
    RUNTIME.block_on(HOUSE.identity.sign_in(credentials(), &meta())).unwrap();
}

#[divan::bench]
fn remembered_token(bencher: divan::Bencher<'_, '_>) {
    // A session of its own: an account keeps its hundred latest, and the sign-ins above made more.
    let pair = RUNTIME.block_on(HOUSE.identity.sign_in(credentials(), &meta())).unwrap().done().unwrap();
    let token = pair.access_token.expose();
    bencher.bench_local(|| RUNTIME.block_on(HOUSE.identity.authenticate_token(token)).unwrap());
}
