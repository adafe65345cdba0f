//! `fortissimo serve`, and `fortissimo` alone.

use std::io::Write;
use std::process::ExitCode;

use base::{Clock, Entropy};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::runtime;
use crate::config::Loaded;
use crate::error::StartError;
use crate::output::Failure;
use crate::start::{Running, start};
use crate::{folder, logs};

pub(super) fn run(loaded: Loaded) -> Result<ExitCode, Failure> {
    logs::start(&loaded.config.log);
    folder::harden_process()?;
    let files = folder::allow_many_files();
    runtime(loaded.config.server.workers)?.block_on(serve(loaded, files))
}

async fn serve(loaded: Loaded, files: u64) -> Result<ExitCode, Failure> {
    // Before the start, so that a signal during it is not lost.
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = Box::pin(start(&loaded.config, Clock::system(), Entropy::system())) => running?,
        reason = signals.next() => return Err(Failure::Runtime(format!("stopped by {reason} while starting"))),
    };
    let connections = u64::from(loaded.config.http.max_connections);
    // Each client's connection may need one to a service beside it.
    if files < 2 * connections {
        tracing::warn!(
            files,
            connections,
            "fewer files may be open than http.max_connections needs: raise ulimit -n, or LimitNOFILE"
        );
    }
    // Whoever started us without reading our words still wants us to serve.
    let _ = greet(&running, &mut std::io::stdout().lock());
    let reason = signals.next().await;
    tracing::info!(reason, "stopping; a second signal ends at once");
    tokio::select! {
        () = running.shutdown(reason) => Ok(ExitCode::SUCCESS),
        reason = signals.next() => Err(Failure::Runtime(format!("ended at once by {reason}; what was in flight is lost"))),
    }
}

/// The two signals that ask a server to stop.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, StartError> {
        let listen = |kind| {
            signal(kind).map_err(|source| StartError::System { what: "cannot receive signals", source })
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// What a new user needs to know: the address, the set-up link, what to try next.
fn greet(running: &Running, out: &mut impl Write) -> std::io::Result<()> {
    let config = &running.services.config;
    let (url, ops) = (&config.public_url, running.ops_addr);
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "Fortissimo {version} is ready at {url}/")?;
    writeln!(
        out,
        "  data in {}, health and metrics at http://{ops}/ready",
        config.server.data_dir.display()
    )?;
    if let Some(link) = &running.setup_link {
        writeln!(out, "\nSet up the first operator (works once, until {}):", link.expires_at)?;
        writeln!(out, "  {}", link.url)?;
    }
    writeln!(out, "\nWhat to try next")?;
    if running.example {
        writeln!(out, "  open {url}/            the built-in example service, through the gateway")?;
        writeln!(
            out,
            "  open {url}/private     the same for signed-in people only: it leads you to the sign-in"
        )?;
        writeln!(out, "  open {url}/console     requests, events and accounts, live, for the operator")?;
        writeln!(
            out,
            "  fortissimo --upstream http://127.0.0.1:9000    your own service behind the gateway"
        )?;
    } else {
        writeln!(out, "  open {url}/account     sign up, sign in, see your sessions")?;
        writeln!(out, "  open {url}/console     requests, events and accounts, for the operator")?;
    }
    if config.mail.host.is_none() && config.mail.outbox_dir.is_none() {
        writeln!(out, "  fortissimo mail list      messages that would be mailed")?;
    }
    writeln!(
        out,
        "  fortissimo audit tail     what was recorded; fortissimo doctor checks this installation"
    )?;
    out.flush()
}
