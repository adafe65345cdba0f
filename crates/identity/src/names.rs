//! The public handles of accounts.

use std::collections::HashMap;

use base::{Id, Scope, Username, kind};
use store::params;

use crate::{Error, Identity};

store::sql! {
    /// A handle.
    USERNAME = "SELECT username FROM account WHERE account_id = $1";
}

/// More are not looked up at once.
const MOST: usize = 500;

impl Identity {
    /// The usernames of these accounts (of the first 500), for pages that show people to those who already know their
    /// accounts. Accounts that are gone are missing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn usernames(
        &self,
        accounts: &[Id<kind::Account>],
    ) -> Result<HashMap<Id<kind::Account>, Username>, Error> {
        let mut names = HashMap::new();
        let mut tx = self.0.db.begin_read(Scope::System("usernames for a page")).await?;
        for account in accounts.iter().take(MOST) {
            if names.contains_key(account) {
                continue;
            }
            if let Some(row) = tx.query_opt(USERNAME, params![*account]).await?
                && let Ok(name) = row.get::<String>(0)?.parse()
            {
                names.insert(*account, name);
            }
        }
        Ok(names)
    }
}
