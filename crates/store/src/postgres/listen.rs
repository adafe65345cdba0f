//! Hears what other nodes announce, on a connection of its own.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_postgres::AsyncMessage;

use super::connect::Connector;
use super::{CHANGE_CHANNEL, JOB_CHANNEL};
use crate::Change;
use crate::signal::Signals;

/// How often the connection is tried out; a dead one must not pass for a quiet one.
const PING: Duration = Duration::from_secs(5);
/// How long to wait before connecting again. While nobody listens, caches are emptied as often.
const RETRY: Duration = Duration::from_secs(1);

/// Listens until the task is aborted.
pub(super) async fn run(connector: Connector, signals: Signals, node: String) {
    loop {
        if let Err(reason) = listen(&connector, &signals, &node).await {
            tracing::warn!(reason, "not hearing what other nodes change; trying again");
        }
        // What was announced meanwhile is unknown.
        signals.change(Change::Everything);
        signals.wake_jobs();
        sleep(RETRY).await;
    }
}

async fn listen(connector: &Connector, signals: &Signals, node: &str) -> Result<(), String> {
    let (client, mut messages) = connector.connect().await.map_err(|error| error.to_string())?;
    let subscribe = format!("LISTEN {CHANGE_CHANNEL}; LISTEN {JOB_CHANNEL}");
    let talk = async {
        client.batch_execute(&subscribe).await.map_err(|error| error.to_string())?;
        signals.change(Change::Everything);
        let mut ping = interval_at(Instant::now() + PING, PING);
        loop {
            ping.tick().await;
            match timeout(PING, client.batch_execute("")).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err("no answer".to_owned()),
            }
        }
    };
    let hear = async {
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notification(note)) => {
                    hear_one(signals, node, note.channel(), note.payload())
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the connection ended".to_owned())
    };
    tokio::select! {
        ended = talk => ended,
        ended = hear => ended,
    }
}

fn hear_one(signals: &Signals, node: &str, channel: &str, payload: &str) {
    let (from, what) = payload.split_once(' ').unwrap_or((payload, ""));
    if from == node {
        // Told in this process at the commit already.
        return;
    }
    match channel {
        CHANGE_CHANNEL => signals.change(Change::decode(what)),
        JOB_CHANNEL => signals.wake_jobs(),
        _ => {}
    }
}
