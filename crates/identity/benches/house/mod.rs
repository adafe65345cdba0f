//! A whole identity over a database on a file system in memory (where there is one), for benches.

use std::path::Path;

use access::actions::UserAdmin;
use access::{Access, Permit};
use audit::Audit;
use base::{Clock, Entropy, Scope, Secret};
use identity::{Credentials, Identity, Mailer, Parts, Registration, RequestMeta, Settings};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, DbConfig, Job, JobQueue};
use tempfile::TempDir;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "violet tuba orchard eleven";

/// One deployment.
pub(crate) struct House {
    pub(crate) identity: Identity,
    pub(crate) db: Db,
    pub(crate) queue: JobQueue,
    _dir: TempDir,
}

impl House {
    /// A new one; with its keys. Its database is a file, because one in memory knows no reading beside the writer.
    pub(crate) async fn open(settings: Settings) -> (Self, Keys) {
        let memory = Path::new("/dev/shm");
        let dir = if memory.exists() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let url = format!("sqlite://{}", dir.path().join("bench.db").display());
        let db = Db::connect(&DbConfig::new(url.parse().unwrap())).await.unwrap();
        db.migrate().await.unwrap();
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let parts = Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone()),
            access: Access::builtin().unwrap(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer: Mailer::OutboxPlain { dir: dir.path().join("outbox") },
            settings,
        };
        let identity = Identity::open(parts).await.unwrap();
        let queue = JobQueue::new(db.clone(), clock, entropy);
        (Self { identity, db, queue, _dir: dir }, keys)
    }

    /// Registers and verifies somebody with the address `name@example.com`.
    pub(crate) async fn account(&self, name: &str) {
        let wish = Registration {
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.to_owned()),
        };
        self.identity.register(wish, &meta()).await.unwrap();
        for claimed in self.queue.claim(50, std::time::Duration::from_secs(60)).await.unwrap() {
            let Job::DeliverMail { mail } = claimed.job else { continue };
            self.identity.deliver_mail(mail).await.unwrap();
            let mut tx = self.db.begin(Scope::System("bench")).await.unwrap();
            assert!(self.queue.complete(&mut tx, &claimed).await.unwrap());
            tx.commit().await.unwrap();
            let permit = Permit::<UserAdmin>::for_system("bench");
            let text = self.identity.outbox_read(permit, mail, &meta()).await.unwrap();
            let (_, rest) = text.expose().split_once("?code=").unwrap();
            let password = Secret::new(PASSWORD.to_owned());
            self.identity.verify_email(&rest[..43], &password, &meta()).await.unwrap();
        }
    }
}

/// Somebody's browser at some address.
pub(crate) fn meta() -> RequestMeta {
    let mut meta = RequestMeta::command(&Clock::system(), &Entropy::system());
    meta.address = Some("192.0.2.7".parse().unwrap());
    meta.agent = Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into());
    meta
}

/// A name with a password.
pub(crate) fn credentials(name: &str, password: &str) -> Credentials {
    let password = Secret::new(password.to_owned());
    Credentials { name: name.to_owned(), password, session_name: None, audience: None }
}
