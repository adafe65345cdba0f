//! A whole identity over each database, with a clock that the test moves and a mailbox that it reads.

use std::sync::Arc;
use std::time::Duration;

use access::actions::UserAdmin;
use access::{Access, Permit};
use audit::{Audit, Filter, Searcher};
use base::{Actor, Clock, Entropy, Id, Scope, Secret, kind};
use crypto::password::Params;
use identity::{
    AccountCaller, Credentials, DeliveryError, Identity, Mailer, Parts, Registration, RequestMeta, Settings,
    TokenPair,
};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, Job, JobQueue, Sql, Value};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "violet tuba orchard eleven";
pub(crate) const OTHER_PASSWORD: &str = "another long enough passphrase";
pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// One deployment.
pub(crate) struct House {
    pub(crate) identity: Identity,
    pub(crate) db: Db,
    pub(crate) keys: Keys,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) queue: JobQueue,
    pub(crate) dir: Arc<TempDir>,
}

/// A message that arrived.
pub(crate) struct Message {
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl Message {
    /// The code of the message's link.
    pub(crate) fn code(&self) -> String {
        let (_, rest) = self.text.split_once("?code=").expect("the message has a link with a code");
        rest[..43].to_owned()
    }
}

/// Settings that hash fast; the cost itself is tested in `crypto`.
pub(crate) fn quick() -> Settings {
    let hash_params = Params::new(64, 1, 1).unwrap();
    // Nobody measures here, and wrong guesses are many.
    let answer_step = std::time::Duration::ZERO;
    Settings { hash_params, hash_threads: 2, answer_step, ..Settings::default() }
}

impl House {
    /// One over each database.
    pub(crate) async fn all() -> Vec<Self> {
        Self::all_with(quick()).await
    }

    pub(crate) async fn all_with(settings: Settings) -> Vec<Self> {
        let mut houses = Vec::new();
        for db in store::testing::databases().await {
            houses.push(Self::over(db, settings.clone(), None).await);
        }
        houses
    }

    /// Over the given database; `mailer` `None` is a plain outbox.
    pub(crate) async fn over(db: Db, settings: Settings, mailer: Option<Mailer>) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let (clock, entropy) = (Clock::controlled(1_700_000_000_000), Entropy::system());
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let mailer = mailer.unwrap_or_else(|| Mailer::OutboxPlain { dir: dir.path().join("outbox") });
        let parts = Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: Access::builtin().unwrap(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer,
            settings,
        };
        let identity = Identity::open(parts).await.unwrap();
        let queue = JobQueue::new(db.clone(), clock.clone(), entropy.clone());
        Self { identity, db, keys, audit, clock, entropy, queue, dir }
    }

    /// A second node (or process) on the same database and keys.
    pub(crate) async fn second_node(&self, settings: Settings) -> Identity {
        let parts = Parts {
            db: self.db.clone(),
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            access: Access::builtin().unwrap(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            mailer: Mailer::OutboxPlain { dir: self.dir.path().join("outbox") },
            settings,
        };
        Identity::open(parts).await.unwrap()
    }

    pub(crate) fn meta(&self) -> RequestMeta {
        let mut meta = RequestMeta::command(&self.clock, &self.entropy);
        meta.address = Some("192.0.2.7".parse().unwrap());
        meta.agent = Some("CanaryAgent/1.0".into());
        meta
    }

    /// Does every waiting delivery and gives what arrived, oldest first.
    pub(crate) async fn mails(&self) -> Vec<Message> {
        let mut mails = Vec::new();
        for id in self.deliver().await.into_iter().filter_map(Result::ok) {
            let listed = self.identity.outbox_list(Permit::<UserAdmin>::for_system("test")).await.unwrap();
            // Where somebody asked in the name of nobody there was nothing to deliver.
            let Some(entry) = listed.into_iter().find(|entry| entry.id == id) else { continue };
            let kind = entry.kind;
            let permit = Permit::for_system("test");
            let text = self.identity.outbox_read(permit, id, &self.meta()).await.unwrap();
            mails.push(Message { kind, text: text.expose().clone() });
        }
        mails
    }

    /// Does every due delivery once.
    pub(crate) async fn deliver(&self) -> Vec<Result<Id<kind::Mail>, DeliveryError>> {
        let mut done = Vec::new();
        for claimed in self.queue.claim(50, Duration::from_secs(60)).await.unwrap() {
            let Job::DeliverMail { mail } = claimed.job else { panic!("only mails are queued here") };
            match self.identity.deliver_mail(mail).await {
                Err(DeliveryError::Later(text)) => {
                    self.queue.fail(&claimed, &text).await.unwrap();
                    done.push(Err(DeliveryError::Later(text)));
                }
                result => {
                    let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
                    assert!(self.queue.complete(&mut tx, &claimed).await.unwrap());
                    tx.commit().await.unwrap();
                    done.push(result.map(|()| mail));
                }
            }
        }
        done
    }

    /// The one mail that waits.
    pub(crate) async fn mail(&self, kind: &str) -> Message {
        let mut mails = self.mails().await;
        assert_eq!(mails.iter().map(|mail| &*mail.kind).collect::<Vec<_>>(), [kind]);
        mails.remove(0)
    }

    pub(crate) async fn register(&self, name: &str, email: &str, password: &str) {
        self.identity.register(wish(name, email, password), &self.meta()).await.unwrap();
    }

    /// Registers and verifies `name` with the address `name@example.com`.
    pub(crate) async fn account(&self, name: &str) -> Id<kind::Account> {
        self.register(name, &format!("{name}@example.com"), PASSWORD).await;
        let code = self.mail("verify").await.code();
        self.identity.verify_email(&code, &secret(PASSWORD), &self.meta()).await.unwrap().account
    }

    pub(crate) async fn sign_in(&self, name: &str) -> TokenPair {
        self.identity.sign_in(credentials(name, PASSWORD), &self.meta()).await.unwrap().done().unwrap()
    }

    pub(crate) async fn caller(&self, pair: &TokenPair) -> Result<AccountCaller, identity::Error> {
        self.identity.authenticate_token(pair.access_token.expose()).await
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: Sql, params: &[Value]) -> i64 {
        let mut tx = self.db.begin_read(Scope::System("test")).await.unwrap();
        tx.query_one(sql, params).await.unwrap().get(0).unwrap()
    }

    pub(crate) async fn execute(&self, sql: Sql, params: &[Value]) {
        let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
        assert!(tx.execute(sql, params).await.unwrap() > 0);
        tx.commit().await.unwrap();
    }

    /// The names of the events so far, newest first, without those of our own looking.
    pub(crate) async fn events(&self) -> Vec<String> {
        let by = Searcher { actor: Actor::System("test"), scope: Scope::System("test"), request: None };
        let page = self.audit.search(&by, &Filter::default(), None, 200).await.unwrap();
        let kinds = page.entries.into_iter().map(|entry| entry.kind);
        kinds.filter(|kind| kind != "audit.searched").collect()
    }
}

/// Waits until something that happens behind the scenes has happened.
pub(crate) async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen");
}

pub(crate) fn wish(name: &str, email: &str, password: &str) -> Registration {
    Registration {
        username: name.parse().unwrap(),
        email: email.parse().unwrap(),
        full_name: None,
        password: secret(password),
    }
}

pub(crate) fn credentials(name: &str, password: &str) -> Credentials {
    Credentials { name: name.to_owned(), password: secret(password), session_name: None, audience: None }
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}
