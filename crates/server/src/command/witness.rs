//! `fortissimo witness`.

use std::io::Write as _;
use std::process::ExitCode;

use base::{Clock, Entropy};
use gateway::Shutdown;

use super::runtime;
use super::serve::Signals;
use crate::config::Loaded;
use crate::error::StartError;
use crate::output::Failure;
use crate::witness::{Store, Witness, signers};
use crate::{folder, logs, start};

pub(super) fn run(loaded: Loaded) -> Result<ExitCode, Failure> {
    logs::start(&loaded.config.log);
    folder::harden_process()?;
    runtime(loaded.config.server.workers)?.block_on(witness(loaded))
}

async fn witness(loaded: Loaded) -> Result<ExitCode, Failure> {
    let config = loaded.resolved;
    let Some(name) = config.witness.name.clone() else {
        return Err(Failure::Usage(
            "witness.name is missing: the name in this witness's cosignatures".into(),
        ));
    };
    if config.witness.logs.is_empty() {
        return Err(Failure::Usage("witness.logs is empty: name the vkeys of the logs to watch".into()));
    }
    let mut signals = Signals::listen()?;
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let listener = start::bind_public(&config, start::tls(&config)?).await?;
    let data = &config.server.data_dir;
    folder::prepare(data)?;
    let lock = folder::lock(data)?;
    let signers = signers(&data.join("witness.key"), &name, &entropy)?;
    let store = Store::open(data.join("witness")).map_err(|source| StartError::Folder {
        path: data.join("witness"),
        source,
        hint: "check the folder",
    })?;
    let url = config.bound_to(listener.address()).public_url.clone();
    let mut greeting = format!("Witness {name} is ready at {url}/\n");
    for signer in &signers {
        greeting.push_str(&format!("  {}\n", signer.verifier()));
    }
    // Whoever started us without reading our words still wants us to serve.
    let mut out = std::io::stdout();
    let _ = out.write_all(greeting.as_bytes()).and_then(|()| out.flush());
    let logs = config.witness.logs.iter().map(|key| key.0.clone()).collect();
    let witness = Witness::new(signers, logs, store, clock.clone());
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(listener.serve(witness, clock, entropy, shutdown.clone()));
    let reason = signals.next().await;
    tracing::info!(reason, "stopping");
    shutdown.drain(config.server.shutdown_timeout.as_duration()).await;
    serving.abort();
    drop(lock);
    Ok(ExitCode::SUCCESS)
}
