//! Runs the migrations on PostgreSQL, each in a transaction of its own, as the owner's role.

use base::Clock;
use tokio_postgres::Client;

use super::error::map;
use crate::migrate::{Applied, MIGRATIONS, pending};
use crate::{DbError, Dialect};

/// One node migrates at a time; the number is arbitrary ("fortissi" in ASCII).
const LOCK: i64 = 0x666f_7274_6973_7369;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version    bigint NOT NULL PRIMARY KEY,
    name       text   NOT NULL,
    checksum   text   NOT NULL,
    applied_at bigint NOT NULL
)";

/// Brings the schema up to date and gives `service` what it needs; says which migrations ran.
pub(super) async fn run(client: &Client, service: &str, clock: &Clock) -> Result<Vec<&'static str>, DbError> {
    // A migration may take longer than a request's statement. The lock ends with the connection.
    let lock =
        format!("SET statement_timeout = '15min'; SET lock_timeout = '60s'; SELECT pg_advisory_lock({LOCK})");
    client.batch_execute(&lock).await.map_err(|error| map("the migration lock", &error))?;
    let mut ran = Vec::new();
    for next in pending(MIGRATIONS, &applied(client).await?, Dialect::Postgres)? {
        let text = format!(
            "BEGIN; SELECT set_config('fortissimo.scope', 'system', true); {TABLE};\n{}\n;\
             INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES ({}, '{}', '{}', {}); COMMIT",
            next.postgres,
            next.version,
            next.name,
            next.checksum(Dialect::Postgres),
            clock.now().as_millis(),
        );
        if let Err(error) = client.batch_execute(&text).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(explain(next.version, next.name, map("migration", &error)));
        }
        ran.push(next.name);
    }
    grant(client, service).await?;
    Ok(ran)
}

fn explain(version: u32, name: &str, error: DbError) -> DbError {
    match error {
        DbError::Denied(why) => DbError::Denied(format!(
            "{why}; migrations need the role that owns the schema: set database.migrate_url and run `fortissimo migrate`"
        )),
        DbError::Statement { message, .. } => {
            DbError::Schema(format!("migration {version} ({name}) failed: {message}"))
        }
        other => other,
    }
}

/// The applied migrations; none if the table does not exist yet.
pub(super) async fn applied(client: &Client) -> Result<Vec<Applied>, DbError> {
    let failed = |error: tokio_postgres::Error| map("schema_migration", &error);
    let exists =
        client.query_one("SELECT to_regclass('schema_migration') IS NOT NULL", &[]).await.map_err(failed)?;
    if !exists.try_get::<_, bool>(0).map_err(failed)? {
        return Ok(Vec::new());
    }
    let rows = client
        .query("SELECT version, name, checksum, applied_at FROM schema_migration ORDER BY version", &[])
        .await
        .map_err(failed)?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Applied {
            version: row.try_get(0)?,
            name: row.try_get(1)?,
            checksum: row.try_get(2)?,
            applied_at: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

/// Lets the service's role use the tables, but not change the schema or its history.
async fn grant(client: &Client, service: &str) -> Result<(), DbError> {
    let failed = |error: tokio_postgres::Error| map("GRANT", &error);
    let who = client
        .query_one("SELECT current_user = $1, quote_ident($1), quote_ident(current_schema())", &[&service])
        .await
        .map_err(failed)?;
    if who.try_get::<_, bool>(0).map_err(failed)? {
        return Ok(());
    }
    let (role, schema): (String, String) = (who.try_get(1).map_err(failed)?, who.try_get(2).map_err(failed)?);
    let tables = client
        .query(
            "SELECT quote_ident(relname), relkind = 'S' FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S') \
             AND relnamespace = current_schema()::regnamespace AND pg_get_userbyid(relowner) = current_user \
             AND relname <> 'schema_migration'",
            &[],
        )
        .await
        .map_err(failed)?;
    let mut text =
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON schema_migration TO {role};");
    for table in &tables {
        let name: String = table.try_get(0).map_err(failed)?;
        let rights = match table.try_get::<_, bool>(1).map_err(failed)? {
            true => format!("USAGE, SELECT ON SEQUENCE {name}"),
            false => format!("SELECT, INSERT, UPDATE, DELETE ON {name}"),
        };
        text.push_str(&format!("GRANT {rights} TO {role};"));
    }
    client.batch_execute(&text).await.map_err(failed)
}
