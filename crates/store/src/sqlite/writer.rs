//! The one connection that writes, and the group of transactions that waits for its next COMMIT.
//!
//! Every [`Tx`](crate::Tx) is a savepoint in one outer transaction. Committing releases the savepoint
//! and joins the group; the outer COMMIT, with its flush to disk, is done once for the whole group.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::map_file;
use crate::signal::{Announcement, Signals};
use crate::{Change, DbError};

/// How many transactions one COMMIT may carry. Whoever comes later waits for the next.
pub(super) const GROUP_MAX: usize = 512;

/// A transaction that is done and waits to be durable.
pub(super) struct Member {
    done: oneshot::Sender<Result<(), DbError>>,
    announcement: Announcement,
}

/// What became of a group. Told outside of the writer's lock, so that the next transaction can start.
pub(super) struct Verdict {
    members: Vec<Member>,
    result: Result<(), DbError>,
}

impl Verdict {
    /// Wakes everybody who waits. Announcements come first: who sees its commit done may rely on them.
    pub(super) fn tell(self, signals: &Signals) {
        for member in self.members {
            if self.result.is_ok() {
                signals.publish(&member.announcement);
            }
            // The waiter may have been dropped; its transaction is stored all the same.
            let _ = member.done.send(self.result.clone());
        }
    }
}

pub(super) struct Writer {
    /// `None` once closed.
    conn: Option<Connection>,
    path: String,
    /// Whether the outer transaction is open.
    open: bool,
    members: Vec<Member>,
    /// Whether the committer was called for this group.
    called: bool,
    /// SQLite's count of other connections' commits; 0 before the first look.
    data_version: i64,
}

impl Writer {
    pub(super) fn new(conn: Connection, path: String) -> Self {
        let mut writer =
            Self { conn: Some(conn), path, open: false, members: Vec::new(), called: false, data_version: 0 };
        // The first look only notes where the count stands.
        let _ = writer.others_wrote();
        writer
    }

    pub(super) fn conn(&self) -> Result<&Connection, DbError> {
        self.conn.as_ref().ok_or_else(|| DbError::Unavailable(format!("{} is closed", self.path)))
    }

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= GROUP_MAX
    }

    pub(super) const fn is_idle(&self) -> bool {
        !self.open
    }

    /// Opens the outer transaction, if none is open, and the savepoint in it. [`DbError::Busy`] if
    /// another process writes just now.
    pub(super) fn start(&mut self, signals: &Signals) -> Result<(), DbError> {
        if !self.open {
            self.plain("BEGIN IMMEDIATE")?;
            self.open = true;
            // Under load nobody else gets to look whether another process wrote.
            if self.others_wrote() {
                signals.change(Change::Everything);
            }
        }
        let started = self.plain("SAVEPOINT member");
        if let Err(error) = &started {
            // Without a savepoint nothing of this transaction can be told from the others'.
            self.abandon(error).tell(signals);
        }
        started
    }

    /// Ends the savepoint well. The transaction is stored by the next [`finish`](Self::finish).
    /// `true` if the committer must be called: by the group's first member that is in a hurry.
    pub(super) fn join(
        &mut self,
        announcement: Announcement,
        hurried: bool,
    ) -> Result<(bool, oneshot::Receiver<Result<(), DbError>>), DbError> {
        self.plain("RELEASE member")?;
        let (done, wait) = oneshot::channel();
        self.members.push(Member { done, announcement });
        let call = hurried && !self.called;
        self.called |= call;
        Ok((call, wait))
    }

    /// Undoes the savepoint; the outer transaction ends, too, if nobody waits for its COMMIT, because
    /// it keeps other processes out. The verdict, if any, is about the others of the group.
    pub(super) fn undo(&mut self) -> Option<Verdict> {
        if self.conn.is_none() || !self.open {
            return None;
        }
        if self.members.is_empty() {
            self.open = false;
            return match self.plain("ROLLBACK") {
                Ok(()) => None,
                Err(error) => Some(self.abandon(&error)),
            };
        }
        let undone = self.plain("ROLLBACK TO member").and_then(|()| self.plain("RELEASE member"));
        // What cannot be undone must not be committed with the others.
        undone.err().map(|error| self.abandon(&error))
    }

    /// Looks whether `error` made SQLite undo the outer transaction (disk full, IO errors). Then nobody
    /// of the group is stored, and everybody is told.
    pub(super) fn after_error(&mut self, error: &DbError) -> Option<Verdict> {
        let killed = self.open && self.conn.as_ref().is_some_and(Connection::is_autocommit);
        killed.then(|| self.abandon(error))
    }

    /// Stores the group durably.
    pub(super) fn finish(&mut self) -> Verdict {
        self.called = false;
        if !self.open {
            return Verdict { members: Vec::new(), result: Ok(()) };
        }
        match self.plain("COMMIT") {
            Ok(()) => {
                self.open = false;
                Verdict { members: std::mem::take(&mut self.members), result: Ok(()) }
            }
            Err(error) => self.abandon(&error),
        }
    }

    /// Whether another process committed since the last look. Works in a transaction just opened, too.
    pub(super) fn others_wrote(&mut self) -> bool {
        let Some(conn) = &self.conn else { return false };
        let look = conn
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)));
        match look {
            Ok(version) => std::mem::replace(&mut self.data_version, version) != version,
            // Not knowing is like everything changed.
            Err(_) => true,
        }
    }

    /// Copies the WAL into the database file and cuts it; `false` if readers still need it.
    pub(super) fn empty_log(&self) -> Result<bool, DbError> {
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Copies the WAL into the database file, so that whoever writes next begins it anew; `false` if readers still need it.
    pub(super) fn restart_log(&self) -> Result<bool, DbError> {
        self.checkpoint("PRAGMA wal_checkpoint(RESTART)")
    }

    fn checkpoint(&self, how: &'static str) -> Result<bool, DbError> {
        let Some(conn) = &self.conn else { return Ok(true) };
        conn.query_row(how, [], |row| row.get::<_, i64>(0))
            .map(|busy| busy == 0)
            .map_err(|error| map_file(&self.path, &error))
    }

    /// Closes the connection. Later transactions get [`DbError::Unavailable`].
    pub(super) fn close(&mut self) -> Result<(), DbError> {
        match self.conn.take() {
            Some(conn) => conn.close().map_err(|(_, error)| map_file(&self.path, &error)),
            None => Ok(()),
        }
    }

    /// Lends the connection mutably, for migrations.
    pub(super) fn conn_mut(&mut self) -> Result<&mut Connection, DbError> {
        self.conn.as_mut().ok_or_else(|| DbError::Unavailable(format!("{} is closed", self.path)))
    }

    /// Undoes the whole group. Its members and the open flag always go together, so that nobody is
    /// told that an undone transaction was stored.
    fn abandon(&mut self, error: &DbError) -> Verdict {
        tracing::error!(%error, transactions = self.members.len(), "a group of transactions was undone");
        self.open = false;
        self.called = false;
        if self.conn.as_ref().is_some_and(|conn| !conn.is_autocommit())
            && let Err(error) = self.plain("ROLLBACK")
        {
            tracing::error!(%error, "undoing the group failed");
        }
        Verdict { members: std::mem::take(&mut self.members), result: Err(error.clone()) }
    }

    fn plain(&self, sql: &'static str) -> Result<(), DbError> {
        self.conn()?
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| map_file(&self.path, &error))
    }
}
