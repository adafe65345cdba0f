//! The thread that makes groups durable. It queues for the writer like everybody else, so whoever
//! queued before it is in its group; while it flushes to disk, the next group queues up.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::{Mutex, oneshot};

use super::writer::Writer;
use crate::DbError;
use crate::signal::Signals;

/// What the committer is asked for. Each order also finishes the group.
pub(super) enum Order {
    /// Make the group durable.
    Commit,
    /// Copy the WAL into the file, too, so that it begins anew.
    Restart,
    /// Empty the WAL, too.
    Empty,
    /// Empty the WAL and close the connection.
    Close(oneshot::Sender<Result<(), DbError>>),
}

/// Everybody who writes waits for this thread, and it does little but wait for the disk. Where the system allows it (root,
/// `LimitNICE=`), it goes on as soon as the disk has answered, also when all cores are busy.
const NICE: i32 = -10;

/// Orders that wait. Every order finishes the whole group, so a full queue needs no further one.
const ORDERS: usize = 8;

/// Starts the thread. It ends when every sender is dropped.
pub(super) fn start(writer: Arc<Mutex<Writer>>, signals: Signals) -> Result<SyncSender<Order>, DbError> {
    let (send, receive) = sync_channel(ORDERS);
    std::thread::Builder::new()
        .name("store-commit".into())
        .spawn(move || {
            // On Linux this is the thread's alone.
            let _ = rustix::process::setpriority_process(None, NICE);
            run(&writer, &signals, &receive);
        })
        .map_err(|error| DbError::Unavailable(format!("cannot start the committing thread: {error}")))?;
    Ok(send)
}

fn run(writer: &Mutex<Writer>, signals: &Signals, orders: &Receiver<Order>) {
    while let Ok(order) = orders.recv() {
        let mut held = writer.blocking_lock();
        let verdict = held.finish();
        match order {
            Order::Commit => drop(held),
            Order::Restart | Order::Empty => {
                let emptied =
                    if matches!(order, Order::Empty) { held.empty_log() } else { held.restart_log() };
                if let Err(error) = emptied {
                    tracing::warn!(%error, "emptying the write-ahead log failed");
                }
                drop(held);
            }
            Order::Close(done) => {
                // Readers may still hold the WAL; the next start empties it then.
                let closed = held.empty_log().and_then(|_| held.close());
                drop(held);
                let _ = done.send(closed);
            }
        }
        verdict.tell(signals);
    }
    // A transaction may have joined after its owner, and with it the last sender, was dropped.
    let verdict = writer.blocking_lock().finish();
    verdict.tell(signals);
}
