//! `fortissimo account list|show|disable|enable|lift|set-role|set-tier|import`.

use std::io::Write;

use access::{Permit, Role, Tier};
use base::{Id, kind};
use clap::Subcommand;
use identity::{AccountQuery, AccountStatus, AccountView, RequestMeta};

use super::{account_import, with_services};
use crate::config::Loaded;
use crate::output::{Failure, table};
use crate::services::Services;

/// Who acts, in the audit trail.
pub(super) const PART: &str = "command line";
/// Accounts per page of the list.
const PAGE: u32 = 200;

/// See and change accounts. An account is named by its username, e-mail address or id.
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// List accounts, newest first
    List {
        /// Only those that are pending, active or disabled
        #[arg(long, value_parser = status)]
        status: Option<AccountStatus>,
        /// Only usernames that start like this
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
        /// All of them
        #[arg(long, conflicts_with = "limit")]
        all: bool,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show one account with its personal data; this is recorded
    Show {
        /// Username, e-mail address or id
        account: String,
    },
    /// Disable an account and end its sessions at once
    Disable {
        /// Username, e-mail address or id
        account: String,
    },
    /// Let the owner try again: forget the wrong passwords and codes that were counted against the account
    Lift {
        /// Username, e-mail address or id
        account: String,
    },
    /// Destroy a person's key: everything sealed for them is unreadable for ever, the log stays whole and says so
    Erase {
        /// Username, e-mail address or id
        account: String,
        /// Why; the event of the erasure keeps it, so it must not name the person
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Really: there is no way back, not even with a backup of the database
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Let a disabled account sign in again
    Enable {
        /// Username, e-mail address or id
        account: String,
    },
    /// Give a role: guest, user, premium_user, moderator, admin, super_admin
    SetRole {
        /// Username, e-mail address or id
        account: String,
        /// The role
        role: Role,
    },
    /// Give a tier: free, pro, studio
    SetTier {
        /// Username, e-mail address or id
        account: String,
        /// The tier
        tier: Tier,
    },
    /// Import accounts with their password hashes from another system (docs/import.md)
    Import(account_import::Import),
}

fn status(text: &str) -> Result<AccountStatus, &'static str> {
    [AccountStatus::Pending, AccountStatus::Active, AccountStatus::Disabled]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or("expected pending, active or disabled")
}

pub(super) fn run(command: Account, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    with_services(loaded, async |services| {
        let meta = RequestMeta::command(&services.clock, &services.entropy);
        let identity = &services.identity;
        match command {
            Account::List { status, prefix, limit, all, json } => {
                let limit = if all { u32::MAX } else { limit };
                list(
                    &services,
                    &meta,
                    AccountQuery { status, username_prefix: prefix, after: None, limit },
                    json,
                    out,
                )
                .await?;
            }
            Account::Show { account } => {
                let id = find(&services, &account, &meta).await?;
                show(&identity.account(Permit::for_system(PART), id, &meta).await?, out)?;
            }
            Account::Disable { account } => {
                let id = find(&services, &account, &meta).await?;
                identity.disable_account(Permit::for_system(PART), id, &meta).await?;
                writeln!(out, "disabled {id}; its sessions have ended")?;
            }
            Account::Lift { account } => {
                let id = find(&services, &account, &meta).await?;
                identity.lift_stops(Permit::for_system(PART), id, &meta).await?;
                writeln!(out, "{id} may try again; nothing is counted against it any more")?;
            }
            Account::Erase { account, reason, yes: _ } => {
                let id = find(&services, &account, &meta).await?;
                erase(&services, id, &reason, &meta).await?;
                writeln!(out, "erased {id}: its key is destroyed, its sessions have ended")?;
            }
            Account::Enable { account } => {
                let id = find(&services, &account, &meta).await?;
                identity.enable_account(Permit::for_system(PART), id, &meta).await?;
                writeln!(out, "enabled {id}")?;
            }
            Account::SetRole { account, role } => {
                let id = find(&services, &account, &meta).await?;
                identity.set_role(Permit::for_system(PART), id, role, &meta).await?;
                writeln!(out, "{id} is {role} now")?;
            }
            Account::Import(import) => account_import::run(&services, &meta, &import, out).await?,
            Account::SetTier { account, tier } => {
                let id = find(&services, &account, &meta).await?;
                identity.set_tier(Permit::for_system(PART), id, tier, &meta).await?;
                writeln!(out, "{id} is on {tier} now")?;
            }
        }
        Ok(())
    })
}

async fn erase(
    services: &Services,
    id: Id<kind::Account>,
    reason: &str,
    meta: &RequestMeta,
) -> Result<(), Failure> {
    if !services.identity.erase_account(Permit::for_system(PART), id, reason, meta).await? {
        return Err(Failure::Runtime(
            "there is no key of such an account left: it was erased already".to_owned(),
        ));
    }
    // Traffic may still be put off; a server clears what it brings along.
    services.audit.settled_within(super::audit::SETTLE).await?;
    // A server does this, too, and goes on with it for a while; here nobody has to wait for one.
    let rows = services.audit.forget_now(id).await?;
    tracing::warn!(rows, "a person was erased");
    Ok(())
}

pub(super) async fn find(
    services: &Services,
    name: &str,
    meta: &RequestMeta,
) -> Result<Id<kind::Account>, Failure> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let found = services.identity.find_account(Permit::for_system(PART), name, meta).await?;
    found.ok_or_else(|| {
        Failure::Runtime("there is no such account; `fortissimo account list` shows all".to_owned())
    })
}

async fn list(
    services: &Services,
    meta: &RequestMeta,
    mut query: AccountQuery,
    json: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut left = query.limit;
    let mut rows = Vec::new();
    while left > 0 {
        query.limit = left.min(PAGE);
        let page = services.identity.accounts(Permit::for_system(PART), &query, meta).await?;
        left -= left.min(u32::try_from(page.accounts.len()).unwrap_or(u32::MAX));
        for one in &page.accounts {
            if json {
                let line = serde_json::json!({
                    "id": one.id, "username": one.username.as_str(), "role": one.role, "tier": one.tier,
                    "status": one.status.as_str(), "created_at": one.created_at.to_rfc3339(),
                });
                writeln!(out, "{line}")?;
            } else {
                let texts =
                    [one.username.as_str(), one.role.as_str(), one.tier.as_str(), one.status.as_str()];
                let mut row = vec![one.id.to_string()];
                row.extend(texts.map(str::to_owned));
                row.push(one.created_at.to_rfc3339());
                rows.push(row);
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if !json {
        table(out, &["id", "username", "role", "tier", "status", "registered"], &rows)?;
    }
    Ok(())
}

fn show(view: &AccountView, out: &mut impl Write) -> Result<(), Failure> {
    let name = view.full_name.as_ref().map_or("", |name| name.as_str());
    let verified = view.verified_at.map(|at| at.to_rfc3339()).unwrap_or_default();
    let rows = [
        ("id", view.id.to_string()),
        ("username", view.username.to_string()),
        ("e-mail", view.email.as_str().to_owned()),
        ("full name", name.to_owned()),
        ("role", view.role.to_string()),
        ("tier", view.tier.to_string()),
        ("status", view.status.as_str().to_owned()),
        ("registered", view.created_at.to_rfc3339()),
        ("verified", verified),
        ("password compromised", if view.compromised { "yes" } else { "no" }.to_owned()),
    ];
    for (label, value) in rows {
        writeln!(out, "{label:<22}{value}")?;
    }
    Ok(())
}
