//! `fortissimo mail list|show`: the outbox that is used without a mail server.

use std::io::Write;

use access::Permit;
use base::{Id, kind};
use clap::Subcommand;
use identity::RequestMeta;

use super::with_services;
use crate::config::Loaded;
use crate::output::{Failure, table};

/// Read the outbox that is used without a mail server.
#[derive(Debug, Subcommand)]
pub(super) enum Mail {
    /// List the messages, newest first
    List,
    /// Print one message; this is recorded
    Show {
        /// Its id, from `mail list`
        id: Id<kind::Mail>,
    },
}

pub(super) fn run(command: &Mail, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    with_services(loaded, async |services| {
        let meta = RequestMeta::command(&services.clock, &services.entropy);
        let identity = &services.identity;
        match command {
            Mail::List => {
                let entries = identity.outbox_list(Permit::for_system("command line")).await?;
                let row = |one: &identity::OutboxEntry| {
                    vec![one.id.to_string(), one.created_at.to_rfc3339(), one.kind.clone(), one.account.to_string()]
                };
                let rows: Vec<_> = entries.iter().map(row).collect();
                table(out, &["id", "written", "about", "account"], &rows)?;
            }
            Mail::Show { id } => {
                let text = identity.outbox_read(Permit::for_system("command line"), *id, &meta).await?;
                out.write_all(text.expose_bytes())?;
                writeln!(out)?;
            }
        }
        Ok(())
    })
}
