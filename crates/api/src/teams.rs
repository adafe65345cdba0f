//! Teams: people who are given access together.

use access::{MemberView, Share, TeamView};
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use base::{Id, ProblemKind, kind};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::call::{Call, PathId, Query};
use crate::failure::Failure;
use crate::relation::{Changed, share, share_text};
use crate::strict;

/// A team.
#[derive(Serialize, ToSchema)]
pub(crate) struct Team {
    #[schema(format = Uuid)]
    id: String,
    /// Who keeps it.
    #[schema(format = Uuid)]
    owner: String,
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<TeamView> for Team {
    fn from(view: TeamView) -> Self {
        Self {
            id: view.id.to_string(),
            owner: view.owner.to_string(),
            name: view.name,
            created_at: view.created_at.to_rfc3339(),
        }
    }
}

/// The caller's teams.
#[derive(Serialize, ToSchema)]
pub(crate) struct Teams {
    teams: Vec<Team>,
}

/// The teams that the caller keeps or is in.
#[utoipa::path(get, path = "/v1/teams", operation_id = "listTeams", tag = "resources",
    responses((status = 200, description = "The teams.", body = Teams)))]
pub(crate) async fn list(State(api): State<Api>, call: Call) -> Result<Json<Teams>, Failure> {
    let teams = api.relations.teams(&call.asker()).await;
    Ok(Json(Teams { teams: api.settle(&call, teams).await?.into_iter().map(Team::from).collect() }))
}

/// A new team.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTeam {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// A team just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamMade {
    #[schema(format = Uuid)]
    id: String,
    revision: i64,
}

/// Make a team.
#[utoipa::path(post, path = "/v1/teams", operation_id = "makeTeam", tag = "resources", request_body = NewTeam,
    responses((status = 201, description = "Made.", body = TeamMade), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn make(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<NewTeam>,
) -> Result<(StatusCode, Json<TeamMade>), Failure> {
    let made = api.relations.make_team(&call.asker(), &body.name).await;
    let (id, revision) = api.settle(&call, made).await?;
    Ok((StatusCode::CREATED, Json(TeamMade { id: id.to_string(), revision: revision.0 })))
}

/// Remove a team, and with it what its members have through it.
#[utoipa::path(delete, path = "/v1/teams/{id}", operation_id = "removeTeam", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The team.")),
    responses((status = 200, description = "Removed.", body = Changed), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn remove(
    State(api): State<Api>,
    call: Call,
    PathId(team): PathId<kind::Team>,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.remove_team(&call.asker(), team).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}

/// One member.
#[derive(Serialize, ToSchema)]
pub(crate) struct Member {
    /// An account's id, or `team:` and a team's.
    subject: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Members of a team.
#[derive(Serialize, ToSchema)]
pub(crate) struct Members {
    members: Vec<Member>,
    /// `after` for the next page; `null` if this was the last.
    next: Option<String>,
}

/// A page of members.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MembersQuery {
    /// `next` of the page before.
    #[serde(default)]
    after: Option<String>,
}

/// The members of a team that the caller keeps or is in.
#[utoipa::path(get, path = "/v1/teams/{id}/members", operation_id = "listMembers", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The team."), MembersQuery),
    responses((status = 200, description = "The members.", body = Members),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn members(
    State(api): State<Api>,
    call: Call,
    PathId(team): PathId<kind::Team>,
    Query(query): Query<MembersQuery>,
) -> Result<Json<Members>, Failure> {
    let wrong = || Failure::invalid("?after", "must be `next` of the page before");
    let after = query.after.as_deref().map(|text| share(text).ok_or_else(wrong)).transpose()?;
    let listed = api.relations.members(&call.asker(), team, after).await;
    let (members, next) = api.settle(&call, listed).await?;
    let member = |view: MemberView| Member {
        subject: share_text(view.member),
        created_at: view.created_at.to_rfc3339(),
    };
    Ok(Json(Members { members: members.into_iter().map(member).collect(), next: next.map(share_text) }))
}

/// A team and a member of the path.
pub(crate) struct PathMember(Id<kind::Team>, Share);

impl<S: Send + Sync> FromRequestParts<S> for PathMember {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let missing = || Failure::from(ProblemKind::NotFound);
        let Path((team, member)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| missing())?;
        Ok(Self(team.parse().map_err(|_| missing())?, share(&member).ok_or_else(missing)?))
    }
}

/// Put a person or a team into a team.
#[utoipa::path(put, path = "/v1/teams/{id}/members/{member}", operation_id = "joinTeam", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The team."),
        ("member" = String, Path, description = "An account's id, or `team:` and a team's.")),
    responses((status = 200, description = "In it.", body = Changed), (status = 404, response = crate::document::Problem),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn join(
    State(api): State<Api>,
    call: Call,
    PathMember(team, member): PathMember,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.join_team(&call.asker(), team, member).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}

/// Take a person or a team out of a team; or leave it.
#[utoipa::path(delete, path = "/v1/teams/{id}/members/{member}", operation_id = "leaveTeam", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The team."),
        ("member" = String, Path, description = "An account's id, or `team:` and a team's.")),
    responses((status = 200, description = "Out of it.", body = Changed),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn leave(
    State(api): State<Api>,
    call: Call,
    PathMember(team, member): PathMember,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.leave_team(&call.asker(), team, member).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}
