//! Shared by the tests of this crate.

use std::path::Path;

use base::{Clock, Entropy, Id, Scope, kind};
use store::Db;
use tempfile::TempDir;

use crate::{Field, FileRoot, Keys, RootKey, Subject};

mod log;
mod opening;
mod root_file;
mod signing;
mod subjects;

const SYSTEM: Scope = Scope::System("test");
const START: i64 = 1_700_000_000_000;

/// A database with open keys, and what is needed to open them again.
struct House {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    folder: TempDir,
    keys: Keys,
}

impl House {
    async fn new(db: Db) -> Self {
        let (clock, entropy) = (Clock::controlled(START), Entropy::system());
        let folder = tempfile::tempdir().unwrap();
        let root = root(&folder.path().join("root.key"));
        let keys = Keys::open(&db, &root, clock.clone(), entropy.clone()).await.unwrap();
        Self { db, clock, entropy, folder, keys }
    }

    /// Another node: the same root key and database, nothing cached.
    async fn another_node(&self) -> Keys {
        let root = root(&self.folder.path().join("root.key"));
        Keys::open(&self.db, &root, self.clock.clone(), self.entropy.clone()).await.unwrap()
    }

    fn account(&self) -> Id<kind::Account> {
        Id::new(&self.clock, &self.entropy)
    }

    async fn subject(&self) -> Subject {
        let subject = Subject::Account(self.account());
        let mut tx = self.db.begin(SYSTEM).await.unwrap();
        self.keys.create_subject(&mut tx, subject).await.unwrap();
        tx.commit().await.unwrap();
        subject
    }
}

fn root(path: &Path) -> RootKey {
    RootKey::File(FileRoot::open_or_create(path, None, &Entropy::system()).unwrap())
}

const FIELD: Field<'static> = Field { table: "account", column: "email", row: [7; 16] };

/// Waits until the watching task has brought something about.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}
