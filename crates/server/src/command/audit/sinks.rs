//! `fortissimo audit sinks|sink-test`.

use std::io::Write;

use crate::output::{Failure, table};
use crate::services::Services;

/// How every sink is doing.
pub(super) async fn list(services: &Services, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let named: Vec<_> =
        services.config.sink.iter().map(|sink| (sink.name.clone(), sink.kind.name())).collect();
    // The second line of a checkpoint is the size of the log.
    let checkpoint = services.audit.checkpoint().await?;
    let size = checkpoint.and_then(|text| text.lines().nth(1)?.parse().ok()).unwrap_or(0);
    let all = ::sinks::statuses(&services.db, size, &named).await?;
    if json {
        for status in &all {
            let text = serde_json::to_string(status)
                .map_err(|error| Failure::Runtime(format!("a status cannot be written as JSON: {error}")))?;
            writeln!(out, "{text}")?;
        }
        return Ok(());
    }
    let row = |status: &::sinks::SinkStatus| {
        let state = match status.failing_since {
            Some(since) => {
                format!("failing since {since}: {}", status.last_error.as_deref().unwrap_or("no reason"))
            }
            None => "well".to_owned(),
        };
        vec![
            status.name.clone(),
            status.kind.to_owned(),
            status.next_index.to_string(),
            status.lag.to_string(),
            status.sent.to_string(),
            status.skipped.to_string(),
            status.last_sent_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339()),
            state,
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(out, &["name", "kind", "next index", "behind", "sent", "skipped", "last sent", "state"], &rows)?;
    Ok(())
}

/// Sends one test record.
pub(super) async fn test(services: &Services, name: &str, out: &mut impl Write) -> Result<(), Failure> {
    let sinks = crate::sink_setup::open(services)?;
    match sinks.test(name).await {
        None => {
            let names: Vec<&str> = services.config.sink.iter().map(|sink| sink.name.as_str()).collect();
            let near = crate::config::nearest(name, &names).map(|near| format!("; did you mean {near}?"));
            Err(Failure::Runtime(format!("there is no sink {name:?}{}", near.unwrap_or_default())))
        }
        Some(Err(reason)) => Err(Failure::Runtime(format!("{name} did not take the test record: {reason}"))),
        Some(Ok(())) => Ok(writeln!(out, "{name} took the test record")?),
    }
}
