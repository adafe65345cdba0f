//! The tests that guard statements and schema. `crates/server` runs them again with every crate linked.

use store::testing;

#[tokio::test]
async fn every_statement_prepares_on_both() {
    for db in testing::databases().await {
        assert_eq!(testing::prepare_all(&db).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn both_schemas_say_the_same() {
    let Some(postgres) = testing::postgres().await else { return };
    let found = testing::differences(&store::Db::memory(), &postgres.db).await.unwrap();
    assert_eq!(found, Vec::<String>::new(), "{found:#?}");
}

#[tokio::test]
async fn every_owned_table_is_protected() {
    for db in testing::databases().await {
        assert_eq!(testing::unprotected(&db).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_guards_see_what_they_guard_against() {
    let Some(postgres) = testing::postgres().await else { return };
    let (client, connection) =
        tokio_postgres::connect(&postgres.owner_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "ALTER TABLE job ALTER COLUMN payload DROP NOT NULL; DROP INDEX job_dedup;
             CREATE UNIQUE INDEX job_dedup ON job (dedup);
             CREATE TABLE bare (account_id uuid);
             CREATE TABLE weak (account_id uuid);
             ALTER TABLE weak ENABLE ROW LEVEL SECURITY; ALTER TABLE weak FORCE ROW LEVEL SECURITY;
             CREATE POLICY weak_owner ON weak USING (true) WITH CHECK (true)",
        )
        .await
        .unwrap();
    let found = testing::differences(&store::Db::memory(), &postgres.db).await.unwrap();
    for line in [
        "only on SQLite: job.payload text required",
        "only on PostgreSQL: job.payload text optional",
        "only on SQLite: job unique job_dedup (dedup) where dedup is not null and state <> 'dead'",
        "only on PostgreSQL: job unique job_dedup (dedup)",
        "only on PostgreSQL: bare.account_id bytes optional",
    ] {
        assert!(found.iter().any(|found| found == line), "{line} not in {found:#?}");
    }
    let found = testing::unprotected(&postgres.db).await.unwrap();
    let count = |table: &str| found.iter().filter(|line| line.starts_with(table)).count();
    assert_eq!((count("bare"), count("weak"), found.len()), (2, 1, 3), "{found:#?}");
}

#[tokio::test]
async fn migrating_again_does_nothing() {
    for db in testing::databases().await {
        assert_eq!(db.migrate().await.unwrap(), Vec::<&str>::new());
        let status = db.migration_status().await.unwrap();
        assert!(
            !status.is_empty() && status.iter().all(|migration| migration.applied_at.is_some()),
            "{status:?}"
        );
        assert_eq!((status[0].version, status[0].name.as_str()), (1, "store"));
    }
}
