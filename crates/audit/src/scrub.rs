//! Writing zeros over the pages that SQLite has freed.
//!
//! What leaves the outbox is not overwritten at once (that would double its cost), and a row of the outbox names people.
//! So after people were forgotten, filler takes the free pages, piece by piece, and is then given back. Others write
//! between the pieces. On PostgreSQL that is VACUUM's work.

use base::{Scope, Timestamp};
use store::{Db, DbError, Dialect, params, sql};

sql! {
    FREED = sqlite "SELECT f.freelist_count, p.page_size FROM pragma_freelist_count AS f, pragma_page_size AS p",
        postgres "SELECT CAST(0 AS bigint), CAST(0 AS bigint)";
    FILL = sqlite "INSERT INTO audit_scrub (filler) VALUES (zeroblob($1))",
        postgres "INSERT INTO audit_scrub (filler) SELECT ''::bytea WHERE $1::bigint < 0";
    GIVE_BACK = sqlite "DELETE FROM audit_scrub WHERE rowid IN (SELECT rowid FROM audit_scrub ORDER BY rowid DESC LIMIT 1)",
        postgres "DELETE FROM audit_scrub";
}

const SCOPE: Scope = Scope::System("forgetting the erased");
/// Pages that one transaction writes over: 1 MiB of the usual 4 KiB.
const PAGES: i64 = 256;
/// Transactions of one time; SQLite hands out first what was freed last.
const PIECES: usize = 64;
/// How often, at most: people who come and go all the time must not keep the disk busy.
const EVERY_MS: i64 = 5 * 60_000;

/// When it was done last, and whether there is anything to do.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    needed: bool,
    last: Option<Timestamp>,
    /// The disk is full, and somebody was told.
    full: bool,
}

impl Scrub {
    /// Something that named somebody was freed.
    pub(crate) const fn needed(&mut self) {
        self.needed = true;
    }

    /// Whether it was done in this process.
    pub(crate) const fn has_run(&self) -> bool {
        self.last.is_some()
    }

    /// Does it if something was freed since the last time and that was a while ago; `true` if it was done.
    pub(crate) async fn if_due(&mut self, db: &Db, now: Timestamp) -> Result<bool, DbError> {
        let early = self.last.is_some_and(|last| (0..EVERY_MS).contains(&now.since_ms(last)));
        if !self.needed || early {
            return Ok(false);
        }
        self.run(db, now).await?;
        Ok(true)
    }

    /// Does it now. A disk without room is logged, once: the pages wait for the next time.
    pub(crate) async fn run(&mut self, db: &Db, now: Timestamp) -> Result<(), DbError> {
        self.last = Some(now);
        self.needed = false;
        if db.dialect() != Dialect::Sqlite {
            return Ok(());
        }
        // What a program that was killed has left behind goes first.
        let filled = match give_back(db).await {
            Ok(()) => fill(db).await,
            Err(error) => Err(error),
        };
        let given_back = give_back(db).await;
        self.judged(filled.and(given_back))
    }

    fn judged(&mut self, result: Result<(), DbError>) -> Result<(), DbError> {
        self.needed |= result.is_err();
        match result {
            Err(DbError::Full(error)) => {
                if !self.full {
                    tracing::warn!(%error, "the disk is full: freed pages of the database are not written over now");
                }
                self.full = true;
                Ok(())
            }
            Ok(()) => {
                self.full = false;
                Ok(())
            }
            error => error,
        }
    }
}

async fn fill(db: &Db) -> Result<(), DbError> {
    for _ in 0..PIECES {
        let mut tx = db.begin(SCOPE).await?;
        let row = tx.query_one(FREED, params![]).await?;
        let (freed, page): (i64, i64) = (row.get(0)?, row.get(1)?);
        if freed == 0 {
            return Ok(());
        }
        // Each further page of a row begins with the number of the next. Where the row itself needs a page, too, two
        // are left for it, so that the file does not grow.
        let pages = if freed > PAGES { PAGES } else { (freed - 2).max(freed.min(2)) };
        tx.execute(FILL, params![pages * (page - 4)]).await?;
        tx.commit().await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn give_back(db: &Db) -> Result<(), DbError> {
    loop {
        let mut tx = db.begin(SCOPE).await?;
        if tx.execute(GIVE_BACK, params![]).await? == 0 {
            return Ok(());
        }
        tx.commit().await?;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_stops_nothing_and_is_tried_again() {
        let mut scrub = Scrub::default();
        let full = || Err(DbError::Full("make room".into()));
        assert!(scrub.judged(full()).is_ok());
        assert!(scrub.full && scrub.needed);
        scrub.needed = false;
        assert!(scrub.judged(Err(DbError::Busy("for long".into()))).is_err());
        assert!(scrub.needed);
        scrub.needed = false;
        assert!(scrub.judged(Ok(())).is_ok());
        assert!(!scrub.full && !scrub.needed);
    }
}
