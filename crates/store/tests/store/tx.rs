//! What a transaction promises on both databases.

use std::time::Duration;

use base::Timestamp;
use store::testing::databases;
use store::{Change, ConstraintKind, DbError, params};

use super::*;

store::sql! {
    /// Every shape as parameter and column.
    SHAPES = sqlite "SELECT $1, $2, $3, $4, $5, $6, $7",
        postgres "SELECT $1::boolean, $2::integer, $3::bigint, $4::float8, $5::text, $6::bytea, $7::uuid";
    /// A type that the store does not read: an error on PostgreSQL. SQLite has no such type; text
    /// that is not UTF-8 comes closest.
    STRANGE = sqlite "SELECT CAST(x'ff' AS TEXT)", postgres "SELECT 1::numeric";
    /// Names a missing table's row.
    BROKEN_CHECK = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, 'p', 'nonsense', 0, 0, 1, 0)";
    /// Leaves out what must not be left out.
    BROKEN_NULL = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, $2, 'dead', 0, 0, 1, 0)";
    /// Gives rows although only their number is asked for.
    RETURNING = "INSERT INTO job (id, payload, state, due_at, attempts, max_attempts, created_at)
        VALUES ($1, 'r', 'dead', 0, 0, 1, 0) RETURNING id";
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    for db in databases().await {
        let mut tx = db.begin(SYSTEM).await.unwrap();
        let id = new_id();
        let shapes = params![true, -7, i64::MAX, 0.5, "ü", vec![0_u8, 255], id];
        let row = tx.query_one(SHAPES, shapes).await.unwrap();
        assert!(row.get::<bool>(0).unwrap());
        assert_eq!(row.get::<i32>(1).unwrap(), -7);
        assert_eq!(row.get::<i64>(2).unwrap(), i64::MAX);
        assert_eq!(row.get::<f64>(3).unwrap(), 0.5);
        assert_eq!(row.get::<String>(4).unwrap(), "ü");
        assert_eq!(row.get::<Vec<u8>>(5).unwrap(), [0, 255]);
        assert_eq!(row.get::<Id<kind::Job>>(6).unwrap(), id);
        let nothing = vec![none(); 7];
        assert_eq!(tx.query_one(SHAPES, &nothing).await.unwrap().get::<Option<i64>>(2).unwrap(), None);

        insert(&mut tx, "p").await.unwrap();
        tx.execute(INSERT, params![id, "q", "key", Timestamp::from_millis(9)]).await.unwrap();
        let row = tx.query_opt(ROW, params![id, "q"]).await.unwrap().unwrap();
        assert_eq!(row.get::<Option<String>>(2).unwrap().as_deref(), Some("key"));
        assert_eq!(row.get::<Timestamp>(3).unwrap().as_millis(), 9);
        assert!(tx.query_opt(ROW, params![id, "p"]).await.unwrap().is_none());
        assert_eq!(tx.execute(RETURNING, params![new_id()]).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn wrong_shapes_are_errors_and_not_panics() {
    for db in databases().await {
        let mut tx = db.begin(SYSTEM).await.unwrap();
        tx.execute(INSERT, params![new_id(), "text", None::<&str>, 3_000_000_000_i64]).await.unwrap();
        let row = tx.query_one(PAYLOADS, &[]).await.unwrap();
        assert!(matches!(row.get::<i64>(0), Err(DbError::Column { index: 0, .. })));
        assert!(matches!(row.get::<i64>(1), Err(DbError::Column { index: 1, .. })));
        assert!(matches!(tx.query_one(PAYLOADS, params![1]).await, Err(DbError::Statement { .. })));
        drop(tx);
        let (id, nobody) = (new_id(), none());
        let wrong = [(STRANGE, vec![]), (INSERT, vec![id.into(), "p".into(), nobody, "no time".into()])];
        for (sql, params) in wrong {
            let done = db.begin(SYSTEM).await.unwrap().query(sql, &params).await;
            assert!(
                matches!(
                    done,
                    Err(DbError::Column { .. } | DbError::Statement { .. } | DbError::Constraint { .. })
                ),
                "{done:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_dropped_was_never_there() {
    for db in databases().await {
        let mut tx = db.begin(SYSTEM).await.unwrap();
        insert(&mut tx, "dropped").await.unwrap();
        drop(tx);
        let mut tx = db.begin(SYSTEM).await.unwrap();
        insert(&mut tx, "kept").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(payloads(&db).await, ["kept"]);
    }
}

#[tokio::test]
async fn a_cancelled_future_undoes_its_transaction() {
    for db in databases().await {
        let other = db.clone();
        let task = async move {
            let mut tx = other.begin(SYSTEM).await.unwrap();
            insert(&mut tx, "cancelled").await.unwrap();
            std::future::pending::<()>().await;
            tx.commit().await.unwrap();
        };
        assert!(tokio::time::timeout(Duration::from_millis(100), task).await.is_err());
        let mut tx = db.begin(SYSTEM).await.unwrap();
        insert(&mut tx, "after").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(payloads(&db).await, ["after"]);
    }
}

#[tokio::test]
async fn a_failed_statement_loses_its_transaction_on_both() {
    for db in databases().await {
        let mut tx = db.begin(SYSTEM).await.unwrap();
        insert(&mut tx, "lost").await.unwrap();
        assert!(tx.execute(BROKEN_CHECK, params![new_id()]).await.is_err());
        assert!(matches!(insert(&mut tx, "too late").await, Err(DbError::Aborted)));
        assert!(matches!(tx.commit().await, Err(DbError::Aborted)));
        assert_eq!(payloads(&db).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn constraints_have_the_same_names_on_both() {
    for db in databases().await {
        let broken = async |sql, params: &[Value]| {
            let mut tx = db.begin(SYSTEM).await.unwrap();
            tx.execute(sql, params).await.unwrap_err()
        };
        let id = new_id();
        let mut tx = db.begin(SYSTEM).await.unwrap();
        tx.execute(INSERT_WAITING, params![id, "once"]).await.unwrap();
        tx.commit().await.unwrap();

        let error = broken(INSERT_WAITING, params![new_id(), "once"]).await;
        assert!(error.is_unique() && error.violates("job_dedup"), "{error:?}");
        let error = broken(INSERT_WAITING, params![id, "twice"]).await;
        assert!(error.is_unique() && error.violates("job_pkey"), "{error:?}");
        let error = broken(BROKEN_NULL, params![new_id(), none()]).await;
        assert!(
            matches!(&error, DbError::Constraint { kind: ConstraintKind::NotNull, name } if name == "job.payload"),
            "{error:?}"
        );
        let error = broken(BROKEN_CHECK, params![new_id()]).await;
        assert!(matches!(&error, DbError::Constraint { kind: ConstraintKind::Check, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn one_means_one() {
    for db in databases().await {
        let mut tx = db.begin(SYSTEM).await.unwrap();
        assert!(matches!(tx.query_one(PAYLOADS, &[]).await, Err(DbError::NotOne { rows: 0, .. })));
        insert(&mut tx, "a").await.unwrap();
        insert(&mut tx, "b").await.unwrap();
        assert!(matches!(tx.query_one(PAYLOADS, &[]).await, Err(DbError::NotOne { rows: 2, .. })));
        assert_eq!(tx.query_long(PAYLOADS, &[]).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_reader_does_not_write() {
    for db in databases().await {
        let mut tx = db.begin_read(SYSTEM).await.unwrap();
        assert!(insert(&mut tx, "x").await.is_err());
        let mut tx = db.begin_read(SYSTEM).await.unwrap();
        assert!(tx.query(RETURNING, params![new_id()]).await.is_err());
        drop(tx);
        assert_eq!(payloads(&db).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn changes_are_told_after_the_commit_and_only_then() {
    for db in databases().await {
        // On PostgreSQL the listener says Everything once it listens.
        let mut changes = db.changes();
        let session = Change::Session(Id::from_bytes([1; 16]));
        let mut tx = db.begin(SYSTEM).await.unwrap();
        tx.announce(Change::Policies);
        drop(tx);
        let mut tx = db.begin(SYSTEM).await.unwrap();
        tx.announce(session);
        tx.announce(session);
        tx.announce(Change::Keys);
        tx.commit().await.unwrap();
        let mut heard = Vec::new();
        while heard.last() != Some(&Change::Keys) {
            let change =
                tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.unwrap().unwrap();
            if change != Change::Everything {
                heard.push(change);
            }
        }
        assert_eq!(heard, [session, Change::Keys]);
    }
}
