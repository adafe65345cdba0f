//! Looks whether the service's role is as weak as it must be: row-level security does not bind
//! superusers, roles with BYPASSRLS or, without FORCE, a table's owner.

use tokio_postgres::Client;

use super::error::map;
use crate::DbError;

const RIGHTS: &str = "SELECT r.rolsuper, r.rolbypassrls, r.rolcreaterole,
    EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')
            AND c.relnamespace = current_schema()::regnamespace),
    current_setting('synchronous_commit') = 'off', current_setting('fsync') = 'off'
  FROM pg_roles r WHERE r.rolname = current_user";

/// One line per finding; empty is good.
pub(super) async fn check(client: &Client) -> Result<Vec<String>, DbError> {
    let failed = |error: tokio_postgres::Error| map("the role check", &error);
    let row = client.query_one(RIGHTS, &[]).await.map_err(failed)?;
    let texts = [
        "the service's role is a superuser, so that row-level security does not bind it: use a plain role",
        "the service's role has BYPASSRLS, so that row-level security does not bind it: ALTER ROLE … NOBYPASSRLS",
        "the service's role may make roles: ALTER ROLE … NOCREATEROLE",
        "the service's role owns tables and could switch their protection off: migrate with another role (database.migrate_url)",
        "synchronous_commit is off: an acknowledged change may be lost when the server dies; switch it on",
        "fsync is off: the whole database may be lost when the machine dies; switch it on",
    ];
    let mut findings = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        if row.try_get::<_, bool>(index).map_err(failed)? {
            findings.push(text.to_owned());
        }
    }
    Ok(findings)
}
