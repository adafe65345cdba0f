//! Who acts, and for whom a transaction is opened.

use crate::{Id, kind};

/// Who causes a change; goes into audit events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Nobody we know: a request without credentials.
    Anonymous,
    /// A signed-in person.
    Account(Id<kind::Account>),
    /// The program itself; the text says which part ("retention", "setup-link").
    System(&'static str),
}

/// For whom a transaction is opened. PostgreSQL's row-level security reads it; there is no
/// connection without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Sees and changes only rows that this account owns.
    Account(Id<kind::Account>),
    /// Sees every row. The text says why this is needed, and is logged.
    System(&'static str),
}
