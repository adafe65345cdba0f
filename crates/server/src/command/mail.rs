//! `fortissimo mail list|show`: the outbox that is used without a mail server.

use std::io::Write;

use access::Permit;
use base::{Id, kind};
use clap::Subcommand;
use identity::{ReadableLetter, RequestMeta};

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
        /// Its id, from `mail list`; the newest if left out
        id: Option<Id<kind::Mail>>,
        /// Print the message as it would be sent (RFC 5322) instead of its text
        #[arg(long)]
        source: bool,
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
                    vec![
                        one.id.to_string(),
                        one.created_at.to_rfc3339(),
                        one.kind.clone(),
                        one.account.to_string(),
                    ]
                };
                let rows: Vec<_> = entries.iter().map(row).collect();
                table(out, &["id", "written", "about", "account"], &rows)?;
            }
            Mail::Show { id, source } => {
                let newest = async || {
                    let entries = identity.outbox_list(Permit::for_system("command line")).await?;
                    entries
                        .first()
                        .map(|one| one.id)
                        .ok_or_else(|| Failure::Runtime("the outbox is empty".to_owned()))
                };
                let id = match id {
                    Some(id) => *id,
                    None => newest().await?,
                };
                let message = identity.outbox_read(Permit::for_system("command line"), id, &meta).await?;
                match ReadableLetter::decode(&message).filter(|_| !source) {
                    Some(letter) => {
                        writeln!(out, "To: {}\nSubject: {}\n", letter.to.expose(), letter.subject)?;
                        writeln!(out, "{}", letter.text.expose().trim_end())?;
                    }
                    None => {
                        out.write_all(message.expose_bytes())?;
                        writeln!(out)?;
                    }
                }
            }
        }
        Ok(())
    })
}
