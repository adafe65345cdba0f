//! Teams: people who are given access together. Whoever makes one keeps it; the others can leave.
//!
//! A member is named by the number of their account, which they find on their own page: a name would tell whether there is
//! such an account, and nobody is put into a team by somebody who only guesses who is here.

use access::{Share, TeamView};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Id, kind};
use http::StatusCode;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::shares::{subject, subject_text};
use crate::sharing::{After, asker, called, settle, told};
use crate::view::filters;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "teams.html")]
struct TeamsPage<'a> {
    frame: Frame,
    teams: Vec<TeamRow>,
    typed: &'a str,
    errors: Errors,
}

struct TeamRow {
    id: String,
    name: String,
    keeper: String,
    since: String,
}

#[derive(Template)]
#[template(path = "team.html")]
struct TeamPage {
    frame: Frame,
    place: String,
    name: String,
    /// The visitor keeps it.
    kept: bool,
    /// The visitor is in it themselves, and not by another team.
    inside: bool,
    members: Vec<MemberRow>,
    /// Teams of the visitor's that may be put into it: subject and name.
    others: Vec<(String, String)>,
    more: String,
    typed: String,
    errors: Errors,
}

struct MemberRow {
    subject: String,
    name: String,
    team: bool,
    since: String,
}

fn place(team: Id<kind::Team>) -> String {
    format!("/account/teams/{team}")
}

fn team_id(text: &str) -> Result<Id<kind::Team>, Failure> {
    text.parse().map_err(|_| Failure::not_found())
}

async fn list_page<'a>(console: &Console, visit: &Visit, typed: &'a str) -> Result<TeamsPage<'a>, Failure> {
    let frame = visit.frame(console, "sharing");
    let found = console.relations.teams(&asker(visit)).await;
    let teams = settle(console, visit, found).await?;
    let keepers: Vec<_> = teams.iter().map(|team| team.owner).collect();
    let names = console.identity.usernames(&keepers).await?;
    let row = |team: TeamView| TeamRow {
        id: team.id.to_string(),
        keeper: called(&frame, &names, team.owner),
        name: team.name,
        since: team.created_at.to_rfc3339(),
    };
    let teams = teams.into_iter().map(row).collect();
    Ok(TeamsPage { frame, teams, typed, errors: Errors::default() })
}

/// GET /account/teams
pub(crate) async fn list(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    Ok(render(&visit, StatusCode::OK, &list_page(&console, &visit, "").await?))
}

/// POST /account/teams
pub(crate) async fn make(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let visit = &form.visit;
    let name = form.text("name");
    match console.relations.make_team(&asker(visit), name).await {
        Ok((team, _)) => Ok(go(&format!("{}?done=team-made", place(team)))),
        Err(error) => {
            let mut errors = Errors::default();
            let (notice, problem) = told(&console, visit, error, &mut errors).await?;
            let mut page = list_page(&console, visit, name).await?;
            page.errors = errors;
            page.frame.notice = notice.or(page.frame.notice);
            Ok(render_again(visit, problem.as_ref(), &page))
        }
    }
}

async fn page(
    console: &Console,
    visit: &Visit,
    team: Id<kind::Team>,
    after: Option<Share>,
) -> Result<TeamPage, Failure> {
    let frame = visit.frame(console, "sharing");
    let me = visit.account()?.account;
    let asker = asker(visit);
    let found = console.relations.members(&asker, team, after).await;
    let (members, next) = settle(console, visit, found).await?;
    let found = console.relations.teams(&asker).await;
    let teams = settle(console, visit, found).await?;
    let this = teams.iter().find(|one| one.id == team).ok_or_else(Failure::not_found)?;
    let kept = this.owner == me;
    let people: Vec<_> = members
        .iter()
        .filter_map(|one| match one.member {
            Share::Account(id) => Some(id),
            Share::Team(_) => None,
        })
        .collect();
    let names = console.identity.usernames(&people).await?;
    // Of a team that only its keeper knows, the others see that there is one.
    let called_team = |id: Id<kind::Team>| {
        let known = teams.iter().find(|one| one.id == id).map(|one| one.name.clone());
        known.unwrap_or_else(|| frame.t("team").to_owned())
    };
    let row = |member: Share, since: base::Timestamp| MemberRow {
        subject: subject_text(member),
        name: match member {
            Share::Account(id) => called(&frame, &names, id),
            Share::Team(id) => called_team(id),
        },
        team: matches!(member, Share::Team(_)),
        since: since.to_rfc3339(),
    };
    let inside = people.contains(&me);
    let is_member = |id: Id<kind::Team>| members.iter().any(|one| one.member == Share::Team(id));
    let others = teams.iter().filter(|one| kept && one.id != team && !is_member(one.id));
    let others = others.map(|one| (subject_text(Share::Team(one.id)), one.name.clone())).collect();
    Ok(TeamPage {
        place: place(team),
        name: this.name.clone(),
        kept,
        inside,
        members: members.into_iter().map(|one| row(one.member, one.created_at)).collect(),
        others,
        more: next.map(|after| format!("{}?after={}", place(team), subject_text(after))).unwrap_or_default(),
        typed: String::new(),
        errors: Errors::default(),
        frame,
    })
}

/// GET /account/teams/{id}
pub(crate) async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    Query(query): Query<After>,
    visit: Visit,
) -> Result<Response, Failure> {
    let after = if query.after.is_empty() { None } else { Some(subject(&query.after)?) };
    Ok(render(&visit, StatusCode::OK, &page(&console, &visit, team_id(&id)?, after).await?))
}

/// POST /account/teams/{id}/add
pub(crate) async fn add(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let (team, visit) = (team_id(&id)?, &form.visit);
    let typed = form.text("member");
    let field = if typed.starts_with("team:") { "team" } else { "member" };
    let mut errors = Errors::default();
    let (mut notice, mut refused) = (None, None);
    match subject(typed) {
        // What is no number is nobody's.
        Err(_) => errors.add(field, "Is no active account."),
        Ok(member) => match console.relations.join_team(&asker(visit), team, member).await {
            Ok(_) => return Ok(go(&format!("{}?done=member-added", place(team)))),
            Err(error) => (notice, refused) = told(&console, visit, error, &mut errors).await?,
        },
    }
    let mut page = page(&console, visit, team, None).await?;
    page.errors = errors.renamed(&[("member", field)]);
    page.frame.notice = notice.or(page.frame.notice);
    if field == "member" {
        typed.clone_into(&mut page.typed);
    }
    Ok(render_again(visit, refused.as_ref(), &page))
}

/// POST /account/teams/{id}/take-out
pub(crate) async fn take_out(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let team = team_id(&id)?;
    let member = subject(form.text("member"))?;
    let done = console.relations.leave_team(&asker(&form.visit), team, member).await;
    settle(&console, &form.visit, done).await?;
    Ok(go(&format!("{}?done=member-removed", place(team))))
}

/// POST /account/teams/{id}/leave
pub(crate) async fn leave(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let me = Share::Account(form.visit.account()?.account);
    let done = console.relations.leave_team(&asker(&form.visit), team_id(&id)?, me).await;
    settle(&console, &form.visit, done).await?;
    Ok(go("/account/teams?done=team-left"))
}

/// POST /account/teams/{id}/remove
pub(crate) async fn remove(
    State(console): State<Console>,
    Path(id): Path<String>,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = console.relations.remove_team(&asker(&form.visit), team_id(&id)?).await;
    settle(&console, &form.visit, done).await?;
    Ok(go("/account/teams?done=team-removed"))
}
