//! `fortissimo object register|show`.

use std::io::Write;

use access::{AccessError, Asker, Permit, Registration, ResourceRef, Role, Subject, Tier};
use base::{Id, kind};
use clap::Subcommand;
use identity::RequestMeta;

use super::account::{PART, find};
use super::with_services;
use crate::config::Loaded;
use crate::output::Failure;
use crate::services::Services;

/// Make objects of your services known, and see whose they are. New ones are registered by the service itself, with
/// `Fortissimo-Register: type/id` in its answer; this is for what was there before
#[derive(Debug, Subcommand)]
pub(super) enum Object {
    /// Register an object for its owner, or change one that is theirs
    Register {
        /// Such as track/42
        #[arg(value_name = "TYPE/ID", value_parser = resource)]
        object: ResourceRef,
        /// Username, e-mail address or id
        #[arg(long)]
        owner: String,
        /// Everybody sees it
        #[arg(long)]
        public: bool,
        /// What it is part of: something that the owner works on
        #[arg(long, value_name = "TYPE/ID", value_parser = resource)]
        part_of: Option<ResourceRef>,
    },
    /// Show how an account stands to an object
    Show {
        /// Such as track/42
        #[arg(value_name = "TYPE/ID", value_parser = resource)]
        object: ResourceRef,
        /// Username, e-mail address or id
        #[arg(long)]
        account: String,
    },
}

fn resource(text: &str) -> Result<ResourceRef, &'static str> {
    match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => {
            Ok(ResourceRef { kind: kind.to_owned(), id: id.to_owned() })
        }
        _ => Err("expected a type and an identifier, such as track/42"),
    }
}

pub(super) fn run(command: Object, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    with_services(loaded, async |services| {
        let meta = RequestMeta::command(&services.clock, &services.entropy);
        match command {
            Object::Register { object, owner, public, part_of } => {
                let owner = find(&services, &owner, &meta).await?;
                let wanted = Registration { owner: None, public, parent: part_of };
                let done = services
                    .relations
                    .register_for(Permit::for_system(PART), owner, &object, &wanted)
                    .await
                    .map_err(|error| told(&error, &object))?;
                let what =
                    if done.1 { "registered" } else { "was registered already; it is as you say now:" };
                writeln!(out, "{what} {object} for {owner}")?;
            }
            Object::Show { object, account } => {
                let id = find(&services, &account, &meta).await?;
                show(&services, id, &object, out).await?;
            }
        }
        Ok(())
    })
}

async fn show(
    services: &Services,
    account: Id<kind::Account>,
    object: &ResourceRef,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let by = Asker { subject: Subject::account(account, Role::User, Tier::Free), request: None };
    let view = services.relations.object(&by, object).await.map_err(|error| told(&error, object))?;
    let relations: Vec<&str> = view.facts.relations().map(access::Relation::as_str).collect();
    let parent = view.parent.map_or_else(|| "nothing".to_owned(), |parent| parent.to_string());
    let rows = [
        ("object", object.to_string()),
        ("owner", view.owner.to_string()),
        ("public", if view.public { "yes" } else { "no" }.to_owned()),
        ("part of", parent),
        ("the account is", relations.join(", ")),
    ];
    for (label, value) in rows {
        writeln!(out, "{label:<22}{value}")?;
    }
    Ok(())
}

/// The refusal for whoever sits at the machine.
fn told(error: &AccessError, object: &ResourceRef) -> Failure {
    Failure::Runtime(match error {
        AccessError::NotFound => format!("{object} is registered for somebody else, or not at all"),
        AccessError::Denied(decision) => format!("{object}: denied ({})", decision.code),
        AccessError::Invalid { field, reason } => format!("{object}: {field} {reason}"),
        other => format!("{object}: {other}"),
    })
}
