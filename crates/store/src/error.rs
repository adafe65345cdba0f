//! What can go wrong with a database, in the classes a caller can act on.

use std::sync::Arc;

/// Which rule of the schema was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// A value that must be unique exists already.
    Unique,
    /// A row that is referred to does not exist, or is still referred to.
    ForeignKey,
    /// A column that must have a value has none.
    NotNull,
    /// A CHECK does not hold, or a value has the wrong type.
    Check,
}

/// A failed database operation. Every message is one line and names what to do where somebody can.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// The database is in use for too long, or the statement ran into its time limit. Retry later.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// PostgreSQL chose this transaction to break a deadlock or a serialization conflict. Run it again.
    #[error("the transaction met another one and was undone; run it again")]
    Conflict,
    /// The disk is full. Nothing that was not acknowledged before is stored.
    #[error("no space left for the database: {0}")]
    Full(String),
    /// The database cannot be written.
    #[error("the database is not writable: {0}")]
    ReadOnly(String),
    /// The file is damaged or not a database.
    #[error("the database is damaged or not a database: {0}")]
    Corrupt(String),
    /// A rule of the schema does not hold. `name` is the index' or constraint's name as in PostgreSQL:
    /// the name of a `CREATE UNIQUE INDEX`, else `table_column_key`, `table_pkey`; for [`ConstraintKind::NotNull`]
    /// `table.column`.
    #[error("constraint {name} does not hold")]
    Constraint {
        /// Which kind of rule.
        kind: ConstraintKind,
        /// Which rule.
        name: String,
    },
    /// Row-level security or a missing privilege refused the statement.
    #[error("the database refused access: {0}")]
    Denied(String),
    /// The database cannot be reached or opened.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// An earlier statement of this transaction failed, so that nothing of it can be stored any more.
    /// Both databases behave the same here; use `ON CONFLICT` for what may fail.
    #[error("the transaction failed earlier and can only be dropped")]
    Aborted,
    /// `query_one` found another number of rows.
    #[error("{sql} gave {rows} rows instead of one")]
    NotOne {
        /// The statement's name.
        sql: &'static str,
        /// How many rows it gave.
        rows: usize,
    },
    /// A column has another shape than the reader expects.
    #[error("column {index} is {found} instead of {wanted}")]
    Column {
        /// Counted from 0.
        index: usize,
        /// What the reader wanted.
        wanted: &'static str,
        /// What the database gave.
        found: String,
    },
    /// The schema does not fit this program.
    #[error("{0}")]
    Schema(String),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// A statement is wrong: our own fault.
    #[error("{sql}: {message}")]
    Statement {
        /// The statement's name.
        sql: &'static str,
        /// What the database says.
        message: Arc<str>,
    },
}

impl DbError {
    /// Whether the same operation may succeed when it is run again soon.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Conflict)
    }

    /// Whether the database as a whole is unusable now, so that a client should hear 503.
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Full(_) | Self::ReadOnly(_) | Self::Corrupt(_) | Self::Unavailable(_)
        )
    }

    /// Whether a value that must be unique exists already.
    pub const fn is_unique(&self) -> bool {
        matches!(self, Self::Constraint { kind: ConstraintKind::Unique, .. })
    }

    /// Whether it was the unique index or constraint of this name.
    pub fn violates(&self, constraint: &str) -> bool {
        matches!(self, Self::Constraint { name, .. } if name == constraint)
    }

    /// Whether a reference to another row does not hold.
    pub const fn is_foreign_key(&self) -> bool {
        matches!(self, Self::Constraint { kind: ConstraintKind::ForeignKey, .. })
    }
}
