//! `fortissimo keys list|rotate-signing|revoke-signing|rotate-log`.

use std::io::Write;

use clap::Subcommand;
use keys::{KeyUse, Purpose, Rotation};

use super::with_services;
use crate::config::Loaded;
use crate::output::{Failure, table};
use crate::signing::{self, Wish};

/// See keys and rotate those that sign.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// List epochs by purpose, the published signing keys, and the log's keys as vkeys
    List,
    /// Publish a next signing key, or let the published one sign if its time has come
    RotateSigning,
    /// Give the log a new key; the old one signs beside it for 30 days, for those who trust it
    RotateLog,
    /// Take a signing key out of use at once, because somebody may have it: every token that it signed is refused from
    /// now on, and the next key (or a fresh one) signs
    RevokeSigning {
        /// The key's id, as `keys list` shows it
        // It is random, and one in 64 begins like an option.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub(super) fn run(command: &Keys, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    with_services(loaded, async |services| {
        let keys = &services.keys;
        match command {
            Keys::List => {
                let mut rows = Vec::new();
                for purpose in Purpose::ALL {
                    rows.push(vec![
                        purpose.name().to_owned(),
                        format!("epoch {}", keys.epoch(*purpose).number),
                    ]);
                }
                for key_use in KeyUse::ALL {
                    rows.push(vec![
                        key_use.name().to_owned(),
                        format!("signs with {}", keys.signer(*key_use).kid()),
                    ]);
                }
                for kid in published(&keys.jwks()) {
                    rows.push(vec!["published".to_owned(), kid]);
                }
                for key in keys.log_verifiers() {
                    rows.push(vec!["log".to_owned(), key.to_string()]);
                }
                table(out, &["purpose", "key"], &rows)?;
            }
            Keys::RotateLog => {
                let made = signing::rotate_log(&services, "command line").await?;
                if made.is_empty() {
                    writeln!(out, "the log has no key yet; it gets one with its first event")?;
                }
                for key in made {
                    writeln!(out, "{key} signs from now on")?;
                }
            }
            Keys::RevokeSigning { kid } => {
                if !signing::revoke(&services, kid, "command line").await? {
                    return Err(Failure::Runtime(format!("no published signing key has the id {kid}")));
                }
                keys.reload().await?;
                writeln!(out, "{kid} is revoked; tokens that it signed are refused from now on")?;
                for key_use in KeyUse::ALL {
                    writeln!(out, "{}: {} signs", key_use.name(), keys.signer(*key_use).kid())?;
                }
            }
            Keys::RotateSigning => {
                for key_use in KeyUse::ALL {
                    let name = key_use.name();
                    match signing::step(&services, *key_use, Wish::Now, "command line").await? {
                        Rotation::Published { kid, at } => {
                            writeln!(out, "{name}: {kid} is published and signs from {at}")?;
                        }
                        Rotation::Activated { kid } => writeln!(out, "{name}: {kid} signs from now on")?,
                        Rotation::Unchanged => writeln!(out, "{name}: a next key is published already")?,
                    }
                }
            }
        }
        Ok(())
    })
}

/// The key ids of a JSON Web Key Set.
fn published(jwks: &[u8]) -> Vec<String> {
    let set: serde_json::Value = serde_json::from_slice(jwks).unwrap_or_default();
    let keys = set["keys"].as_array().cloned().unwrap_or_default();
    keys.iter()
        .map(|key| format!("{} {}", key["alg"].as_str().unwrap_or("?"), key["kid"].as_str().unwrap_or("?")))
        .collect()
}
