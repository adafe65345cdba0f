//! A fresh PostgreSQL database per call, with an owner's role and a service's role.

use base::Entropy;
use tokio_postgres::{Client, NoTls};

use crate::{Db, DbConfig};

const OWNER: &str = "fortissimo_test_owner";
const SERVICE: &str = "fortissimo_test_service";
/// Roles belong to the whole server; tests that make them at the same time take turns.
const LOCK: i64 = 0x7465_7374;

/// A fresh PostgreSQL database.
pub struct TestPostgres {
    /// Connected as the service's role, which row-level security binds.
    pub db: Db,
    /// How it was connected, for a second node.
    pub config: DbConfig,
    /// The owner's address, for tests that need tables of their own.
    pub owner_url: String,
}

/// A fresh, migrated PostgreSQL database, if `FORTISSIMO_TEST_POSTGRES` is set.
///
/// # Panics
/// If it is set and fails, or is missing where `CI=true`.
pub async fn postgres() -> Option<TestPostgres> {
    #[expect(
        clippy::disallowed_methods,
        reason = "only tests call this; the address comes from whoever runs them"
    )]
    let (given, ci) = (std::env::var("FORTISSIMO_TEST_POSTGRES").ok(), std::env::var("CI").ok());
    let Some(superuser) = given.filter(|url| !url.is_empty()) else {
        assert!(
            ci.as_deref() != Some("true"),
            "CI must set FORTISSIMO_TEST_POSTGRES to a superuser's address"
        );
        return None;
    };
    let name: String = Entropy::system().bytes::<6>().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("fortissimo_test_{name}");
    let admin = connect(&superuser).await;
    make_roles(&admin).await;
    let create = format!("CREATE DATABASE {name} OWNER {OWNER}");
    admin.batch_execute(&create).await.expect("the superuser makes a database");
    let url = |role: &str| replace(&superuser, role, &name);
    let mut config = DbConfig::new(url(SERVICE).parse().expect("a PostgreSQL address"));
    let owner_url = url(OWNER);
    config.migrate_url = Some(owner_url.parse().expect("a PostgreSQL address"));
    let db = Db::connect(&config).await.expect("the service's role connects");
    db.migrate().await.expect("the migrations run on PostgreSQL");
    Some(TestPostgres { db, config, owner_url })
}

impl TestPostgres {
    /// How PostgreSQL would run a statement, one line per step: the plan for any parameters, where indexes are used
    /// even if the tables are small.
    ///
    /// # Panics
    /// If the statement is wrong.
    pub async fn plan(&self, sql: &crate::Sql) -> Vec<String> {
        let text = sql.postgres();
        let count = (1..=64).rev().find(|n| text.contains(&format!("${n}"))).unwrap_or(0);
        let values = vec!["NULL"; count].join(", ");
        let values = if count == 0 { String::new() } else { format!("({values})") };
        let client = connect(&self.owner_url).await;
        client
            .batch_execute(&format!(
                "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; PREPARE asked AS {text}"
            ))
            .await
            .expect("the statement prepares");
        let told = client.simple_query(&format!("EXPLAIN (COSTS OFF) EXECUTE asked{values}")).await;
        let line = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        };
        told.expect("a plan").into_iter().filter_map(line).collect()
    }
}

async fn make_roles(admin: &Client) {
    let mut text = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); DO $$ BEGIN ");
    for role in [OWNER, SERVICE] {
        text.push_str(&format!(
            "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN \
             CREATE ROLE {role} LOGIN PASSWORD '{role}'; END IF; "
        ));
    }
    text.push_str("END $$; COMMIT");
    admin.batch_execute(&text).await.expect("the superuser makes roles");
}

/// A bare connection for what the store itself refuses to do.
async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.expect("the test server is reachable");
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

/// The same server with another role and database.
fn replace(url: &str, role: &str, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (rest, query) =
        rest.split_once('?').map_or((rest, String::new()), |(rest, query)| (rest, format!("?{query}")));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split('/').next().unwrap_or(host);
    format!("{scheme}://{role}:{role}@{host}/{database}{query}")
}
