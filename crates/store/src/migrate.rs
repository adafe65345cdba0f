//! Forward-only migrations, embedded in the program. See `docs/decisions/0002-own-migration-runner.md`.

use base::Timestamp;

use crate::{DbError, Dialect};

/// One migration and whether it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// When it was applied; `None` if it waits.
    pub applied_at: Option<Timestamp>,
}

/// One embedded migration: the same number and name in both dialects.
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// All of them in order, listed by the build script from `migrations/{sqlite,postgres}`.
pub(crate) static MIGRATIONS: &[Migration] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

impl Migration {
    pub(crate) const fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }

    /// FNV-1a over the text. It finds accidental edits; it is no protection against an attacker, who
    /// could as well change the tables.
    pub(crate) fn checksum(&self, dialect: Dialect) -> String {
        let hash = self.text(dialect).bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

/// A row of `schema_migration`.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) checksum: String,
    pub(crate) applied_at: i64,
}

/// The migrations that wait, after a check that those applied are the ones this program knows.
pub(crate) fn pending(
    known: &'static [Migration],
    applied: &[Applied],
    dialect: Dialect,
) -> Result<Vec<&'static Migration>, DbError> {
    let newest = known.last().map_or(0, |migration| i64::from(migration.version));
    for row in applied {
        let Some(migration) = known.iter().find(|migration| i64::from(migration.version) == row.version)
        else {
            return Err(DbError::Schema(if row.version > newest {
                format!(
                    "the database has schema version {}, this program knows {newest}: install the newer program",
                    row.version
                )
            } else {
                format!(
                    "the database has migration {} ({}), which this program does not know",
                    row.version, row.name
                )
            }));
        };
        if migration.checksum(dialect) != row.checksum {
            return Err(DbError::Schema(format!(
                "migration {} ({}) is not the one that was applied to this database: use the program that belongs to it",
                row.version, row.name
            )));
        }
    }
    let missing: Vec<_> =
        known.iter().filter(|m| !applied.iter().any(|row| row.version == i64::from(m.version))).collect();
    Ok(missing)
}

/// Every migration with its state, for `fortissimo migrate`.
pub(crate) fn status(applied: &[Applied], dialect: Dialect) -> Result<Vec<MigrationStatus>, DbError> {
    pending(MIGRATIONS, applied, dialect)?;
    let at = |version| {
        applied
            .iter()
            .find(|row| row.version == i64::from(version))
            .map(|row| Timestamp::from_millis(row.applied_at))
    };
    Ok(MIGRATIONS
        .iter()
        .map(|m| MigrationStatus { version: m.version, name: m.name.to_owned(), applied_at: at(m.version) })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    static KNOWN: &[Migration] = &[
        Migration { version: 1, name: "one", sqlite: "SELECT 1", postgres: "SELECT 1" },
        Migration { version: 2, name: "two", sqlite: "SELECT 2", postgres: "SELECT 2" },
    ];

    fn applied(version: i64, checksum: &str) -> Applied {
        Applied { version, name: "n".into(), checksum: checksum.into(), applied_at: 0 }
    }

    #[test]
    fn only_what_is_missing_waits_and_edits_are_found() {
        let sum = KNOWN[0].checksum(Dialect::Sqlite);
        let waiting = pending(KNOWN, &[applied(1, &sum)], Dialect::Sqlite).unwrap();
        assert_eq!(waiting.iter().map(|m| m.version).collect::<Vec<_>>(), [2]);
        let edited = pending(KNOWN, &[applied(1, "0000000000000000")], Dialect::Sqlite);
        assert!(matches!(edited, Err(DbError::Schema(text)) if text.contains("not the one")));
        let newer = pending(KNOWN, &[applied(3, &sum)], Dialect::Sqlite);
        assert!(matches!(newer, Err(DbError::Schema(text)) if text.contains("newer program")));
    }

    #[test]
    fn migrations_come_in_pairs_and_without_gaps() {
        let files = |dialect: &str| -> BTreeSet<String> {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        assert_eq!(files("sqlite"), files("postgres"));
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(
                migration.version as usize,
                index + 1,
                "V{:04}__{}",
                migration.version,
                migration.name
            );
        }
    }
}
