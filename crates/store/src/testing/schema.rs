//! Reads both databases' catalogues into the same words, so that they can be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Db, DbError, Dialect, Row, Sql};

const COLUMNS: Sql = Sql::new(
    "schema::COLUMNS",
    "SELECT m.name, x.name, x.type, x.\"notnull\" OR x.pk > 0
       FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) x
      WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    "SELECT c.relname, a.attname, t.typname, a.attnotnull
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
      WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
        AND a.attnum > 0 AND NOT a.attisdropped",
);

const INDEXES: Sql = Sql::new(
    "schema::INDEXES",
    "SELECT m.name, il.name, il.\"unique\", il.origin,
            (SELECT group_concat(coalesce(ix.name, '(expression)') || iif(ix.\"desc\", ' desc', ''), ', ' ORDER BY ix.seqno)
               FROM pragma_index_xinfo(il.name) ix WHERE ix.key),
            coalesce((SELECT i.sql FROM sqlite_schema i WHERE i.name = il.name AND il.partial), '')
       FROM sqlite_schema m JOIN pragma_index_list(m.name) il
      WHERE m.type = 'table'
      UNION ALL
     -- An INTEGER PRIMARY KEY has no index of its own.
     SELECT m.name, 'rowid', 1, 'pk', x.name, ''
       FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) x
      WHERE m.type = 'table' AND x.pk > 0
        AND NOT EXISTS (SELECT 1 FROM pragma_index_list(m.name) il WHERE il.origin = 'pk')",
    "SELECT t.relname, x.relname, i.indisunique,
            CASE WHEN i.indisprimary THEN 'pk' WHEN c.oid IS NULL THEN 'c' ELSE 'u' END,
            (SELECT string_agg(
                CASE WHEN i.indkey[k - 1] = 0 THEN '(expression)' ELSE pg_get_indexdef(i.indexrelid, k, true) END
                || CASE WHEN i.indoption[k - 1] & 1 = 1 THEN ' desc' ELSE '' END, ', ' ORDER BY k)
               FROM generate_series(1, i.indnkeyatts) k),
            coalesce(pg_get_expr(i.indpred, i.indrelid), '')
       FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
       LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype = 'u'
      WHERE t.relnamespace = current_schema()::regnamespace",
);

const REFERENCES: Sql = Sql::new(
    "schema::REFERENCES",
    "SELECT m.name, group_concat(f.\"from\", ', ' ORDER BY f.seq), f.\"table\", lower(f.on_delete)
       FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
      WHERE m.type = 'table' GROUP BY m.name, f.id",
    "SELECT t.relname,
            (SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(num, n)
               JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num),
            f.relname,
            CASE c.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default'
                 WHEN 'r' THEN 'restrict' ELSE 'no action' END
       FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
      WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace",
);

/// What a table must not have: a foreign key checked at COMMIT would let one transaction spoil the
/// whole group's; a table that is not STRICT would take any type.
const SQLITE_MISTAKES: Sql = Sql::new(
    "schema::SQLITE_MISTAKES",
    "SELECT t.name, 'is not STRICT' FROM pragma_table_list t
      WHERE t.schema = 'main' AND t.type = 'table' AND NOT t.strict AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
      UNION ALL
     SELECT name, 'has a deferred foreign key' FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%initially deferred%'",
    "",
);

const OWNED: Sql = Sql::new(
    "schema::OWNED",
    "SELECT 1 WHERE 0",
    "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
            EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polpermissive
                    AND pg_get_expr(p.polqual, c.oid) LIKE '%fortissimo_scope(%'
                    AND pg_get_expr(p.polwithcheck, c.oid) LIKE '%fortissimo_scope(%')
       FROM pg_class c
      WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
        AND (c.relname = 'account'
             OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account_id'))",
);

/// Compares the tables, columns, types, keys, indexes and references of a SQLite and a PostgreSQL
/// database; one line per difference, also for what is wrong on SQLite alone.
///
/// # Errors
/// If a catalogue cannot be read.
pub async fn differences(sqlite: &Db, postgres: &Db) -> Result<Vec<String>, DbError> {
    assert_eq!((sqlite.dialect(), postgres.dialect()), (Dialect::Sqlite, Dialect::Postgres));
    let (ours, theirs) = (describe(sqlite).await?, describe(postgres).await?);
    let mut found: Vec<String> =
        ours.difference(&theirs).map(|line| format!("only on SQLite: {line}")).collect();
    found.extend(theirs.difference(&ours).map(|line| format!("only on PostgreSQL: {line}")));
    for row in sqlite.catalogue(&SQLITE_MISTAKES).await? {
        found.push(format!("on SQLite, {} {}", row.get::<String>(0)?, row.get::<String>(1)?));
    }
    Ok(found)
}

/// The owned tables (`account`, and every table with a column `account_id`) that row-level security
/// does not protect: it must be enabled, forced, and have a policy for everything that asks
/// `fortissimo_scope`. One line per table; nothing on SQLite.
///
/// # Errors
/// If the catalogue cannot be read.
pub async fn unprotected(db: &Db) -> Result<Vec<String>, DbError> {
    let mut found = Vec::new();
    for row in db.catalogue(&OWNED).await? {
        let (table, enforced, policy): (String, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if !enforced {
            found.push(format!("{table}: row-level security is not enabled and forced"));
        }
        if !policy {
            found.push(format!("{table}: no policy for all commands that asks fortissimo_scope"));
        }
    }
    Ok(found)
}

/// The schema as lines in words that do not depend on the database.
async fn describe(db: &Db) -> Result<BTreeSet<String>, DbError> {
    let mut lines = BTreeSet::new();
    for row in db.catalogue(&COLUMNS).await? {
        let need = if row.get(3)? { "required" } else { "optional" };
        lines.insert(format!("{}.{} {} {need}", text(&row, 0)?, text(&row, 1)?, class(&text(&row, 2)?)));
    }
    for row in db.catalogue(&INDEXES).await? {
        let (table, columns) = (text(&row, 0)?, text(&row, 4)?);
        let predicate = predicate(&text(&row, 5)?);
        lines.insert(match (text(&row, 3)?.as_str(), row.get(2)?) {
            ("pk", _) => format!("{table} primary key ({columns})"),
            ("u", _) => format!("{table} unique {table}_{}_key ({columns})", columns.replace(", ", "_")),
            (_, true) => format!("{table} unique {} ({columns}){predicate}", text(&row, 1)?),
            (_, false) => format!("{table} index {} ({columns}){predicate}", text(&row, 1)?),
        });
    }
    // The same reference may stand twice; count them.
    let mut references: BTreeMap<String, u32> = BTreeMap::new();
    for row in db.catalogue(&REFERENCES).await? {
        let line = format!(
            "{} ({}) refers to {} on delete {}",
            text(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            text(&row, 3)?
        );
        *references.entry(line).or_default() += 1;
    }
    lines.extend(references.into_iter().map(|(line, count)| format!("{line} ×{count}")));
    Ok(lines)
}

fn text(row: &Row, index: usize) -> Result<String, DbError> {
    row.get(index)
}

/// One word per family of types that the store treats alike.
fn class(declared: &str) -> String {
    match declared.to_ascii_lowercase().as_str() {
        "integer" | "int" | "int8" | "int4" | "int2" | "bool" => "integer".into(),
        "blob" | "bytea" | "uuid" => "bytes".into(),
        "real" | "float8" => "real".into(),
        other => other.into(),
    }
}

/// A partial index' condition in a spelling that both have in common.
fn predicate(sql: &str) -> String {
    let lower = sql.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    // SQLite gives the whole CREATE INDEX, PostgreSQL the condition alone.
    let condition = lower.split_once(" where ").map_or(lower.as_str(), |(_, condition)| condition);
    let mut text = condition.replace(['(', ')', '"'], "");
    for cast in ["::text", "::bigint", "::integer", "::smallint"] {
        text = text.replace(cast, "");
    }
    let text = text.replace("= any array[", "in ").replace(']', "").replace("= true", "").replace("= 1", "");
    if text.is_empty() { String::new() } else { format!(" where {}", text.trim()) }
}
