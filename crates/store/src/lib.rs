//! The only crate that knows which database runs: Db, Tx, migrations, jobs, change signals.
