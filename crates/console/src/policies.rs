//! The policies: what is in force, what was before, who may do what, and why somebody can or cannot do something.

use access::actions::{SystemConfig, SystemLogs, UserRead};
use access::{Decision, Grant, LifeError, Matrix, Relation, ResourceRef, Subject};
use askama::Template;
use audit::{Event, Record};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Id, Problem, ProblemKind, kind};
use http::StatusCode;
use identity::AccountStatus;
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::view::filters;
use crate::visit::Visit;

/// Lines of the history on one page.
const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    frame: Frame,
    version: String,
    policies: usize,
    files: Vec<String>,
    activated: bool,
    may_change: bool,
    history: Vec<HistoryRow>,
    older: String,
}

struct HistoryRow {
    serial: i64,
    at: String,
    act: String,
    version: String,
    policies: u32,
    by: String,
    comment: String,
    in_force: bool,
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    frame: Frame,
    serial: i64,
    version: String,
    files: Vec<access::PolicyFile>,
    changes: Vec<ChangeRow>,
    wider: usize,
    cells: usize,
    in_force: bool,
    may_change: bool,
    /// What the changes are compared with.
    present: String,
    comment: String,
    confirmed: bool,
    errors: Errors,
}

struct ChangeRow {
    action: String,
    relation: &'static str,
    role: &'static str,
    /// Those for which it is the same.
    tiers: Vec<&'static str>,
    before: &'static str,
    after: &'static str,
    wider: bool,
}

#[derive(Template)]
#[template(path = "roles.html")]
struct RolesPage {
    frame: Frame,
    version: String,
    /// The name of a relation, what it means, and whether it is shown.
    relations: Vec<(&'static str, &'static str, bool)>,
    about: &'static str,
    roles: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    frame: Frame,
    errors: Errors,
    account: String,
    action: String,
    resource: String,
    actions: Vec<String>,
    answer: Option<Answer>,
}

/// A decision, in words.
struct Answer {
    allowed: bool,
    username: String,
    role: String,
    tier: String,
    status: &'static str,
    code: &'static str,
    rule: String,
    relations: String,
    missing: String,
    until: String,
    version: String,
}

/// Where the history continues.
#[derive(Deserialize, Default)]
pub(crate) struct Before {
    #[serde(default)]
    before: String,
}

/// GET /console/policies
pub(crate) async fn list(
    State(console): State<Console>,
    Query(query): Query<Before>,
    visit: Visit,
) -> Result<Response, Failure> {
    let bundle = console.access.bundle();
    let active = console.policies.active().await.map_err(failed)?;
    let history = console.policies.history(query.before.parse().ok(), SHOWN).await.map_err(failed)?;
    let full = history.len() == SHOWN as usize;
    let page = PoliciesPage {
        frame: visit.frame(&console, "policies"),
        version: bundle.version().to_string(),
        policies: bundle.policy_ids().count(),
        files: bundle.files().iter().map(|file| file.base_name().to_owned()).collect(),
        activated: active.is_some(),
        may_change: may_change(&console, &visit),
        older: match history.last() {
            Some(last) if full => format!("/console/policies?before={}", last.serial),
            _ => String::new(),
        },
        history: history
            .into_iter()
            .map(|one| HistoryRow {
                in_force: active.as_ref().is_some_and(|active| active.serial == one.serial),
                serial: one.serial,
                at: one.at.to_rfc3339(),
                act: one.act.replace('_', " "),
                version: one.version,
                policies: one.policies,
                by: one.by,
                comment: one.comment,
            })
            .collect(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

fn may_change(console: &Console, visit: &Visit) -> bool {
    console.access.permit::<SystemConfig>(&visit.caller.subject()).is_ok()
}

fn serial(text: &str) -> Result<i64, Failure> {
    text.parse().ok().filter(|serial| *serial > 0).ok_or_else(Failure::not_found)
}

/// GET /console/policies/{serial}
pub(crate) async fn show(
    State(console): State<Console>,
    Path(number): Path<String>,
    visit: Visit,
) -> Result<Response, Failure> {
    let page = policy_page(&console, &visit, serial(&number)?).await?;
    Ok(render(&visit, StatusCode::OK, &page))
}

async fn policy_page(console: &Console, visit: &Visit, serial: i64) -> Result<PolicyPage, Failure> {
    let bundle = console.policies.bundle_of(serial).await.map_err(failed)?;
    let present = console.access.bundle();
    let changes = Matrix::of(&present).changes(&Matrix::of(&bundle));
    Ok(PolicyPage {
        frame: visit.frame(console, "policies"),
        serial,
        version: bundle.version().to_string(),
        files: bundle.files().to_vec(),
        wider: changes.iter().filter(|one| one.is_widening()).count(),
        cells: changes.len(),
        changes: rows(&changes),
        in_force: bundle.version() == present.version(),
        may_change: may_change(console, visit),
        present: present.version().to_string(),
        comment: String::new(),
        confirmed: false,
        errors: Errors::default(),
    })
}

/// One row for all tiers that change alike: what changes for a role changes for each tier, mostly.
fn rows(changes: &[access::CellChange]) -> Vec<ChangeRow> {
    let mut rows: Vec<ChangeRow> = Vec::new();
    for one in changes {
        let on = if one.kind.is_empty() { String::new() } else { format!(" on {}", one.kind) };
        let row = ChangeRow {
            action: format!("{}{on}", one.action),
            relation: one.relation,
            role: one.role.as_str(),
            tiers: vec![one.tier.map_or("none", |tier| tier.as_str())],
            before: one.before,
            after: one.after,
            wider: one.is_widening(),
        };
        match rows.last_mut() {
            Some(last) if last.is_like(&row) => last.tiers.extend(row.tiers),
            _ => rows.push(row),
        }
    }
    rows
}

impl ChangeRow {
    fn is_like(&self, other: &Self) -> bool {
        (&self.action, self.relation, self.role, self.before, self.after)
            == (&other.action, other.relation, other.role, other.before, other.after)
    }
}

/// Characters of a reason, at least: a word is none.
const REASON: usize = 5;

/// POST /console/policies/{serial}/activate
pub(crate) async fn activate(
    State(console): State<Console>,
    Path(number): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let serial = serial(&number)?;
    let permit = console.access.permit::<SystemConfig>(&form.visit.caller.subject())?;
    let mut errors = Errors::default();
    if form.text("comment").chars().count() < REASON {
        errors.add("comment", "Say why, for those who read the history.");
    }
    if form.text("confirm") != "yes" {
        errors.add("confirm", "Look at the changes, and say that you did.");
    }
    // What was looked at must be what happens: somebody else may have put other policies in force meanwhile.
    if form.text("present") != &**console.access.bundle().version() {
        errors.add("confirm", "Other policies are in force by now. Look at the changes again.");
    }
    if !errors.is_empty() {
        let mut page = policy_page(&console, &form.visit, serial).await?;
        page.comment = form.text("comment").to_owned();
        page.errors = errors;
        return Ok(render_again(&form.visit, None, &page));
    }
    match console.policies.roll_back(permit, Some(serial), form.text("comment")).await {
        Ok(_) => Ok(go("/console/policies?done=policies")),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: LifeError) -> Failure {
    match error {
        LifeError::NothingThere(reason) => Problem::new(ProblemKind::NotFound).detail(reason).into(),
        LifeError::Raced => Problem::new(ProblemKind::Conflict)
            .detail("Somebody else put policies in force at the same moment; look at them first.")
            .into(),
        LifeError::Refused(refused) => {
            Problem::new(ProblemKind::Conflict).detail(format!("This program refuses them: {refused}")).into()
        }
        LifeError::Audit(error) => error.into(),
        LifeError::Damaged(_) | LifeError::Store(_) => {
            tracing::error!(%error, "the policies cannot be read or stored");
            Problem::new(ProblemKind::Unavailable).into()
        }
    }
}

/// Which table of the matrix.
#[derive(Deserialize, Default)]
pub(crate) struct Shown {
    #[serde(default)]
    relation: String,
}

/// GET /console/roles
pub(crate) async fn roles(
    State(console): State<Console>,
    Query(query): Query<Shown>,
    visit: Visit,
) -> Result<Response, Failure> {
    console.access.permit::<UserRead>(&visit.caller.subject())?;
    let matrix = Matrix::of(&console.access.bundle());
    let tables = Matrix::relations();
    let wanted = tables.iter().position(|(name, _)| *name == query.relation).unwrap_or(0);
    let page = RolesPage {
        frame: visit.frame(&console, "roles"),
        version: matrix.version.to_string(),
        about: tables[wanted].1,
        relations: tables
            .iter()
            .enumerate()
            .map(|(at, (name, about))| (*name, *about, at == wanted))
            .collect(),
        roles: access::Role::ALL.iter().map(|role| role.as_str()).collect(),
        rows: matrix.table(tables[wanted].0),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// GET /console/explain
pub(crate) async fn explain_form(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let page = ExplainPage {
        frame: visit.frame(&console, "explain"),
        errors: Errors::default(),
        account: String::new(),
        action: String::new(),
        resource: String::new(),
        actions: console.access.actions(),
        answer: None,
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /console/explain: a POST, because asking is put on record, in the trail of the person that it is about, too.
pub(crate) async fn explain(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let subject = form.visit.caller.subject();
    console.access.permit::<SystemLogs>(&subject)?;
    let permit = console.access.permit::<UserRead>(&subject)?;
    let mut errors = Errors::default();
    let mut page = ExplainPage {
        frame: form.visit.frame(&console, "explain"),
        errors: Errors::default(),
        account: form.text("account").to_owned(),
        action: form.text("action").to_owned(),
        resource: form.text("resource").to_owned(),
        actions: console.access.actions(),
        answer: None,
    };
    let found = console.identity.find_account(permit, &page.account, &form.visit.meta).await?;
    if found.is_none() {
        errors.add("account", "There is no such account.".to_owned());
    }
    let action = console.access.action(&page.action);
    if let Err(unknown) = &action {
        errors.add("action", format!("{unknown}."));
    }
    let resource = match page.resource.split_once('/') {
        _ if page.resource.is_empty() => Some(None),
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => {
            Some(Some(ResourceRef { kind: kind.to_owned(), id: id.to_owned() }))
        }
        _ => None,
    };
    if resource.is_none() {
        errors.add("resource", "Write it as kind/id, such as track/42, or leave it empty.".to_owned());
    }
    let (Some(account), Ok(action), Some(resource)) = (found, action, resource) else {
        page.errors = errors;
        return Ok(render_again(&form.visit, None, &page));
    };
    let permit = console.access.permit::<UserRead>(&subject)?;
    let view = console.identity.account(permit, account, &form.visit.meta).await?;
    let asked = Subject {
        suspended: view.status == AccountStatus::Disabled,
        verified: view.verified_at.is_some(),
        ..Subject::account(account, view.role, view.tier)
    };
    let decision =
        console.relations.check(&asked, &action, resource.as_ref(), None).await.map_err(|error| {
            tracing::error!(%error, "a decision could not be explained");
            Problem::new(ProblemKind::Unavailable)
        })?;
    record(&console, &form.visit, account, &decision).await?;
    page.answer = Some(answer(&decision, view.username.to_string(), &asked));
    Ok(render(&form.visit, StatusCode::OK, &page))
}

async fn record(
    console: &Console,
    visit: &Visit,
    about: Id<kind::Account>,
    decision: &Decision,
) -> Result<(), Failure> {
    let event = Event::PolicyExplained {
        action: decision.action.as_str().into(),
        allowed: decision.allowed,
        code: decision.code,
        policy_version: decision.policy_version.clone(),
    };
    let mut record =
        Record::new(console.clock.now(), event).by(visit.caller.actor()).during(visit.meta.info());
    record.about = Some(about);
    Ok(console.audit.record_durable(record).await?)
}

fn answer(decision: &Decision, username: String, subject: &Subject) -> Answer {
    let grant = |grant: &Grant| match grant {
        Grant::Role(role) => format!("role {role}"),
        Grant::Tier(tier) => format!("tier {tier}"),
        Grant::Relation(relation) => match relation {
            Relation::Owner => "owning it",
            Relation::Collaborator => "working on it with its owner",
            Relation::Shared => "having it shared with them",
            Relation::Public => "its being public",
            Relation::Token => "a collaboration token",
            Relation::BreakGlass => "break-glass",
        }
        .to_owned(),
    };
    Answer {
        allowed: decision.allowed,
        username,
        role: subject.role.map(|role| role.to_string()).unwrap_or_default(),
        tier: subject.tier.map(|tier| tier.to_string()).unwrap_or_default(),
        status: match (subject.suspended, subject.verified) {
            (true, _) => "disabled",
            (_, false) => "not verified",
            _ => "active",
        },
        code: decision.code,
        rule: decision.rule.as_deref().unwrap_or("none").to_owned(),
        relations: decision.relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        missing: decision.missing.iter().map(grant).collect::<Vec<_>>().join(", or "),
        until: decision.expires_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        version: decision.policy_version.to_string(),
    }
}
