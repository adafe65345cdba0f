//! Relations over each database, people with rows in the account table, and a clock that the test moves.

use access::{
    Access, AccessError, Asker, Decision, Registration, Relation, RelationParts, RelationSettings, Relations,
    ResourceRef, Revision, Role, Share, Subject, Tier,
};
use audit::{Audit, Filter, Searcher};
use base::{Actor, Clock, Entropy, Id, Scope, Timestamp, kind};
use keys::{FileRoot, Keys, RootKey, SigningSettings};
use store::{Db, params};
use tempfile::TempDir;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

store::sql! {
    ADD_ACCOUNT = "INSERT INTO account (account_id, username, email_sealed, email_index, password, role, tier, status, \
        compromised, epoch, created_at, updated_at) VALUES ($1, $2, $3, $4, '', $5, $6, $7, FALSE, 1, 1, 1)";
    SET_ACCOUNT = "UPDATE account SET role = $2, tier = $3, status = $4 WHERE account_id = $1";
    DROP_ACCOUNT = "DELETE FROM account WHERE account_id = $1";
}

pub(crate) struct House {
    pub(crate) relations: Relations,
    pub(crate) db: Db,
    pub(crate) keys: Keys,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    _dir: TempDir,
}

/// Somebody with an account.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) asker: Asker,
}

impl Person {
    pub(crate) fn id(&self) -> Id<kind::Account> {
        self.asker.subject.account.unwrap()
    }

    pub(crate) fn share(&self) -> Share {
        Share::Account(self.id())
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.asker.subject
    }
}

pub(crate) fn project(id: &str) -> ResourceRef {
    ResourceRef { kind: "project".into(), id: id.into() }
}

pub(crate) fn track(id: &str) -> ResourceRef {
    ResourceRef { kind: "track".into(), id: id.into() }
}

pub(crate) fn playlist(id: &str) -> ResourceRef {
    ResourceRef { kind: "playlist".into(), id: id.into() }
}

impl House {
    pub(crate) async fn all() -> Vec<Self> {
        let mut houses = Vec::new();
        for db in store::testing::databases().await {
            houses.push(Self::over(db).await);
        }
        houses
    }

    pub(crate) async fn over(db: Db) -> Self {
        Self::signing(db, SigningSettings::default()).await
    }

    /// With tokens signed like this.
    pub(crate) async fn signing(db: Db, signing: SigningSettings) -> Self {
        let dir = TempDir::new().unwrap();
        let (clock, entropy) = (Clock::controlled(1_700_000_000_000), Entropy::system());
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let root = RootKey::File(root);
        let keys = Keys::open_with(&db, &root, signing, clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let house = |relations| Self {
            relations,
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            _dir: dir,
        };
        let parts = RelationParts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: Access::builtin().unwrap(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            settings: RelationSettings { self_registration: true, ..RelationSettings::default() },
        };
        house(Relations::open(parts))
    }

    /// Another process on the same database.
    pub(crate) fn second_node(&self) -> Relations {
        Relations::open(RelationParts {
            db: self.db.clone(),
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            access: Access::builtin().unwrap(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            settings: RelationSettings { self_registration: true, ..RelationSettings::default() },
        })
    }

    /// As the program is unless somebody says otherwise: people register nothing by themselves.
    pub(crate) fn strict_node(&self) -> Relations {
        Relations::open(RelationParts {
            db: self.db.clone(),
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            access: Access::builtin().unwrap(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            settings: RelationSettings::default(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn later(&self, ms: i64) -> Option<Timestamp> {
        Some(self.now().plus_ms(ms))
    }

    pub(crate) async fn person(&self, role: Role, tier: Tier) -> Person {
        self.person_who_is(role, tier, "active").await
    }

    /// Who may share: premium and studio.
    pub(crate) async fn artist(&self) -> Person {
        self.person(Role::PremiumUser, Tier::Studio).await
    }

    pub(crate) async fn person_who_is(&self, role: Role, tier: Tier, status: &str) -> Person {
        let id: Id<kind::Account> = Id::new(&self.clock, &self.entropy);
        let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
        let index: [u8; 32] = self.entropy.bytes();
        let name = format!("p{id}").replace('-', "");
        let row = params![id, name, vec![0_u8], index, role.as_str(), tier.as_str(), status];
        tx.execute(ADD_ACCOUNT, row).await.unwrap();
        self.keys.create_subject(&mut tx, keys::Subject::Account(id)).await.unwrap();
        tx.commit().await.unwrap();
        Person { asker: Asker { subject: Subject::account(id, role, tier), request: None } }
    }

    pub(crate) async fn set(&self, person: &Person, role: Role, tier: Tier, status: &str) {
        let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
        tx.execute(SET_ACCOUNT, params![person.id(), role.as_str(), tier.as_str(), status]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A statement that changes something and tells nobody.
    pub(crate) async fn execute(&self, sql: store::Sql, params: &[store::Value]) {
        let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
        assert_eq!(tx.execute(sql, params).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }

    pub(crate) async fn drop_account(&self, person: &Person) {
        let mut tx = self.db.begin(Scope::System("test")).await.unwrap();
        tx.execute(DROP_ACCOUNT, params![person.id()]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Registers it for its owner.
    pub(crate) async fn own(&self, owner: &Person, resource: &ResourceRef) -> Revision {
        self.relations.register(&owner.asker, resource, &Registration::default()).await.unwrap().0
    }

    pub(crate) async fn decide(&self, who: &Person, action: &str, resource: &ResourceRef) -> Decision {
        let action = self.relations.access().action(action).unwrap();
        self.relations.check(who.subject(), &action, Some(resource), None).await.unwrap()
    }

    pub(crate) async fn may(&self, who: &Person, action: &str, resource: &ResourceRef) -> bool {
        self.decide(who, action, resource).await.allowed
    }

    pub(crate) async fn collaborate(&self, by: &Person, resource: &ResourceRef, to: &Person) -> Revision {
        self.relations.share(&by.asker, resource, to.share(), Relation::Collaborator, None).await.unwrap()
    }

    /// The kinds of events about somebody, oldest first.
    pub(crate) async fn events(&self, about: &Person) -> Vec<String> {
        let by = Searcher { scope: Scope::System("test"), actor: Actor::System("test"), request: None };
        let filter = Filter { account: Some(about.id()), ..Filter::default() };
        let page = self.audit.search(&by, &filter, None, 200).await.unwrap();
        page.entries.iter().rev().map(|entry| entry.kind.clone()).collect()
    }
}

/// The error's code, to compare.
pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, AccessError>) -> String {
    match result.unwrap_err() {
        AccessError::NotFound => "not-found".into(),
        AccessError::Denied(decision) => {
            assert!(!decision.allowed);
            format!("denied {}", decision.code)
        }
        AccessError::Invalid { field, .. } => format!("invalid {field}"),
        AccessError::Conflict(_) => "conflict".into(),
        other => panic!("{other:?}"),
    }
}
