//! A database of its own on the PostgreSQL server that `cargo xtask test` started.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh database with an owner and a service role, as a careful operator would make it.
pub struct PostgresDatabase {
    /// Connects as the role that owns the tables; for migrations.
    pub owner_url: String,
    /// Connects as the role that the program works with.
    pub service_url: String,
}

impl PostgresDatabase {
    /// Makes one through the superuser's URL.
    ///
    /// # Panics
    /// If psql is not there or refuses.
    pub fn create(superuser_url: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("e2e_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (owner, service) = (format!("{name}_owner"), format!("{name}_service"));
        for statement in [
            format!("CREATE ROLE {owner} LOGIN"),
            format!("CREATE ROLE {service} LOGIN"),
            format!("CREATE DATABASE {name} OWNER {owner}"),
        ] {
            let output =
                Command::new("psql").args(["-X", "-q", "-d", superuser_url, "-c", &statement]).output();
            let output = output.expect("psql is installed");
            assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let (_, rest) = superuser_url.split_once('@').expect("a URL with a user");
        let (address, _) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            owner_url: format!("postgres://{owner}@{address}/{name}"),
            service_url: format!("postgres://{service}@{address}/{name}"),
        }
    }
}
