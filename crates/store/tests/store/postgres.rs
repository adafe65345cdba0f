//! What only PostgreSQL promises: row-level security, weak roles, signals between nodes.

use std::time::Duration;

use store::testing::{self, TestPostgres};
use store::{Change, DbConfig, Sql};
use tokio_postgres::NoTls;

use super::*;

// Not registered by `sql!`: the table exists in these tests only.
const fn on_postgres(text: &'static str) -> Sql {
    Sql::new("test", "SELECT 1", text)
}
const FORGOTTEN: Sql = on_postgres("SELECT body FROM note ORDER BY body");
const FORGOTTEN_UPDATE: Sql = on_postgres("UPDATE note SET body = 'stolen'");
const WRITE: Sql = on_postgres("INSERT INTO note (account_id, body) VALUES ($1, $2)");
const DISARM: Sql = on_postgres("ALTER TABLE note DISABLE ROW LEVEL SECURITY");
const HISTORY: Sql = on_postgres("UPDATE schema_migration SET name = 'x'");
const KILL_LISTENERS: Sql = on_postgres(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()",
);

/// A table as a capability makes it, by the owner's role.
async fn owned_table(given: &TestPostgres) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&given.owner_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE note (account_id uuid NOT NULL, body text NOT NULL);
             ALTER TABLE note ENABLE ROW LEVEL SECURITY; ALTER TABLE note FORCE ROW LEVEL SECURITY;
             CREATE POLICY note_owner ON note USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
             GRANT SELECT, INSERT, UPDATE, DELETE ON note TO fortissimo_test_service",
        )
        .await
        .unwrap();
    client
}

async fn bodies(db: &Db, scope: Scope) -> Vec<String> {
    let mut tx = db.begin_read(scope).await.unwrap();
    let rows = tx.query(FORGOTTEN, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

#[tokio::test]
async fn a_forgotten_predicate_leaks_nothing() {
    let Some(given) = testing::postgres().await else { return };
    let owner = owned_table(&given).await;
    let db = &given.db;
    let (ada, bob) = (Id::from_bytes([1; 16]), Id::from_bytes([2; 16]));
    for (account, body) in [(ada, "ada's"), (bob, "bob's")] {
        let mut tx = db.begin(Scope::Account(account)).await.unwrap();
        tx.execute(WRITE, params![account, body]).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(bodies(db, Scope::Account(ada)).await, ["ada's"]);
    assert_eq!(bodies(db, Scope::Account(Id::from_bytes([3; 16]))).await, Vec::<String>::new());
    assert_eq!(bodies(db, SYSTEM).await, ["ada's", "bob's"]);

    let mut tx = db.begin(Scope::Account(ada)).await.unwrap();
    assert_eq!(tx.execute(FORGOTTEN_UPDATE, &[]).await.unwrap(), 1);
    drop(tx);
    let mut tx = db.begin(Scope::Account(ada)).await.unwrap();
    assert!(matches!(tx.execute(WRITE, params![bob, "forged"]).await, Err(DbError::Denied(_))));
    // Even the owner of the table sees nothing outside of a scope.
    assert!(owner.query("SELECT body FROM note", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_forgets_the_scope_it_had() {
    let Some(mut given) = testing::postgres().await else { return };
    owned_table(&given).await;
    given.config.max_readers = 1;
    let db = Db::connect(&given.config).await.unwrap();
    let ada = Id::from_bytes([1; 16]);
    let mut tx = db.begin(SYSTEM).await.unwrap();
    tx.execute(WRITE, params![ada, "ada's"]).await.unwrap();
    tx.commit().await.unwrap();
    // The same connection, for somebody else; once after a commit, once after a drop.
    assert_eq!(bodies(&db, Scope::Account(Id::from_bytes([2; 16]))).await, Vec::<String>::new());
    assert_eq!(bodies(&db, Scope::Account(Id::from_bytes([3; 16]))).await, Vec::<String>::new());
    assert_eq!(bodies(&db, Scope::Account(ada)).await, ["ada's"]);
}

#[tokio::test]
async fn the_services_role_cannot_disarm_anything() {
    let Some(given) = testing::postgres().await else { return };
    owned_table(&given).await;
    for sql in [DISARM, HISTORY] {
        let mut tx = given.db.begin(SYSTEM).await.unwrap();
        let refused = tx.execute(sql, &[]).await.unwrap_err();
        assert!(matches!(refused, DbError::Denied(_)), "{refused:?}");
    }
    // A test server may run without fsync.
    let findings =
        |lines: Vec<String>| lines.into_iter().filter(|line| !line.contains("is off")).collect::<Vec<_>>();
    assert_eq!(findings(given.db.check_role().await.unwrap()), Vec::<String>::new());
    let owner = Db::connect(&DbConfig::new(given.owner_url.parse().unwrap())).await.unwrap();
    let found = findings(owner.check_role().await.unwrap());
    assert!(found.len() == 1 && found[0].contains("owns tables"), "{found:?}");
}

#[tokio::test]
async fn nodes_hear_each_other_and_a_lost_connection_means_everything() {
    let Some(given) = testing::postgres().await else { return };
    let other = Db::connect(&given.config).await.unwrap();
    let mut changes = other.changes();
    let next = async |changes: &mut tokio::sync::broadcast::Receiver<Change>| {
        tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.unwrap().unwrap()
    };
    // It listens as soon as it says so.
    assert_eq!(next(&mut changes).await, Change::Everything);
    let account = Change::Account(Id::from_bytes([9; 16]));
    let mut tx = given.db.begin(SYSTEM).await.unwrap();
    tx.announce(account);
    tx.wake_jobs();
    tx.commit().await.unwrap();
    assert_eq!(next(&mut changes).await, account);
    let queue = store::JobQueue::new(other.clone(), Clock::system(), Entropy::system());
    tokio::time::timeout(Duration::from_secs(20), queue.woken()).await.unwrap();

    let mut tx = given.db.begin(SYSTEM).await.unwrap();
    tx.query(KILL_LISTENERS, &[]).await.unwrap();
    drop(tx);
    assert_eq!(next(&mut changes).await, Change::Everything);
    assert_eq!(next(&mut changes).await, Change::Everything);
    let mut tx = given.db.begin(SYSTEM).await.unwrap();
    tx.announce(Change::Keys);
    tx.commit().await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Keys);
}

#[tokio::test]
async fn a_missing_server_or_password_gets_one_clear_line() {
    let config = DbConfig::new("postgres://someone:geheim@127.0.0.1:1/db".parse().unwrap());
    let text = Db::connect(&config).await.err().unwrap().to_string();
    assert!(text.contains("127.0.0.1:1/db") && !text.contains("geheim") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn two_nodes_migrate_at_once() {
    let Some(given) = testing::postgres().await else { return };
    let (client, connection) = tokio_postgres::connect(&given.owner_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    let one = Db::connect(&given.config).await.unwrap();
    let two = Db::connect(&given.config).await.unwrap();
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.is_empty() != second.is_empty(), "{first:?} {second:?}");
    let mut tx = one.begin(SYSTEM).await.unwrap();
    insert(&mut tx, "granted").await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_migrate_is_told_what_to_do() {
    let Some(mut given) = testing::postgres().await else { return };
    let (client, connection) = tokio_postgres::connect(&given.owner_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC",
        )
        .await
        .unwrap();
    given.config.migrate_url = None;
    let db = Db::connect(&given.config).await.unwrap();
    let error = db.migrate().await.unwrap_err();
    assert!(error.to_string().contains("database.migrate_url"), "{error}");
}
