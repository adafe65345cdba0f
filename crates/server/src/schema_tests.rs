//! The tests that guard statements and schema, over every crate that the program links.

use store::Db;
use store::testing::{databases, differences, postgres, prepare_all, unprotected};

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_can_be_prepared_on_every_database() {
    for db in databases().await {
        assert_eq!(prepare_all(&db).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_schema_and_every_owned_table_a_policy() {
    let Some(given) = postgres().await else { return };
    assert_eq!(differences(&Db::memory(), &given.db).await.unwrap(), Vec::<String>::new());
    assert_eq!(unprotected(&given.db).await.unwrap(), Vec::<String>::new());
}
