//! The promises of identity, on every database that is at hand.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod assurance;
mod at_rest;
mod attempts;
mod challenges;
mod closing;
mod factors;
mod house;
mod import;
mod janitor;
mod keys;
mod lock;
mod mail;
mod operators;
mod passwords;
mod refresh;
mod registration;
mod risk;
mod sessions;
mod setup;
mod sign_in;
mod stopped;
mod tokens;
mod upgrades;

/// A statement that is right on one database only would be met by a user of the other one.
#[tokio::test]
async fn every_statement_is_understood_by_both_databases() {
    for db in store::testing::databases().await {
        assert_eq!(store::testing::prepare_all(&db).await, Vec::<String>::new());
    }
}
