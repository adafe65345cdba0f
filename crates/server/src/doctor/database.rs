//! Whether the database can be reached, is migrated, and gives its role no more than it needs.

use base::Clock;

use super::Line;
use crate::config::Resolved;
use crate::config::value::DatabaseUrl;
use crate::services;

pub(super) async fn check(config: &Resolved) -> Vec<Line> {
    // Opening would make the file.
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        return vec![Line::ok(format!(
            "database: {} is not there yet; the first start makes it",
            path.display()
        ))];
    }
    let db = match services::connect(config, &Clock::system()).await {
        Ok(db) => db,
        Err(error) => {
            let remedy = "check database.url, and that the server is up and lets this user in";
            return vec![Line::fail(format!("database: {error}"), remedy)];
        }
    };
    let mut lines = Vec::new();
    match db.migration_status().await {
        Err(error) => {
            lines.push(Line::fail(format!("database: {error}"), "restore it from a backup if it is damaged"))
        }
        Ok(status) => {
            let waiting = status.iter().filter(|one| one.applied_at.is_none()).count();
            if waiting == 0 {
                lines.push(Line::ok(format!(
                    "database: {} is reachable and at this version",
                    config.database_url
                )));
            } else {
                let text = format!("database: {waiting} migration(s) wait");
                lines
                    .push(Line::warn(text, "`fortissimo migrate` or the next start of `serve` applies them"));
            }
        }
    }
    match db.check_role().await {
        Err(error) => {
            lines.push(Line::warn(format!("database role: {error}"), "the role could not be looked at"))
        }
        Ok(findings) => {
            let remedy =
                "use a role of its own for database.url, and the owner only for database.migrate_url";
            lines.extend(findings.into_iter().map(|one| Line::warn(format!("database role: {one}"), remedy)));
        }
    }
    // Nothing was written, so there is nothing that closing could lose.
    let _ = db.close().await;
    lines
}
