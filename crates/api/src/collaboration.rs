//! Collaboration tokens (ACCESS-6).

use access::{Invitation, InvitationView, ResourceRef};
use axum::Json;
use axum::extract::{Path, State};
use base::kind;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::{Call, PathId};
use crate::failure::Failure;
use crate::relation::{Changed, Resource, time};
use crate::strict;

/// What a token shall give.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// Actions that the caller may do, such as `collab:real_time`.
    #[schema(min_items = 1, max_items = 20)]
    permissions: Vec<String>,
    /// How many accounts may redeem it.
    #[serde(default = "once")]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    uses: u32,
    /// When it and what it gives end; after 24 hours at the latest.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

const fn once() -> u32 {
    1
}

/// A token, shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenMade {
    #[schema(format = Uuid)]
    id: String,
    /// A JWT of the type `collaboration+jwt` for the audience `fortissimo-collaboration`, signed with a key of the
    /// published set.
    token: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

fn project(id: String) -> Result<ResourceRef, Failure> {
    Resource::from(ResourceRef { kind: "project".into(), id }).named("")
}

/// Invite somebody to a project by a token that you hand over yourself.
#[utoipa::path(post, path = "/v1/projects/{id}/collaboration-tokens", operation_id = "makeCollaborationToken",
    tag = "collaboration", params(("id" = String, Path, description = "The project.")), request_body = TokenWish,
    responses((status = 201, description = "Made.", body = TokenMade), (status = 404, response = crate::document::Problem),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn make(
    State(api): State<Api>,
    call: Call,
    Path(id): Path<String>,
    strict::Json(body): strict::Json<TokenWish>,
) -> Result<(StatusCode, Json<TokenMade>), Failure> {
    let mut permissions = Vec::new();
    for (at, name) in body.permissions.iter().enumerate().take(100) {
        let unknown =
            |error: access::UnknownAction| Failure::invalid(format!("/permissions/{at}"), error.to_string());
        permissions.push(api.access.action(name).map_err(unknown)?);
    }
    let expires_at = time(body.expires_at.as_deref(), "/expires_at")?;
    let wanted = Invitation { permissions, uses: body.uses, expires_at };
    let issued = api.relations.invite(&call.asker(), &project(id)?, &wanted).await;
    let issued = api.settle(&call, issued).await?;
    Ok((
        StatusCode::CREATED,
        Json(TokenMade {
            id: issued.id.to_string(),
            token: issued.token.expose().clone(),
            expires_at: issued.expires_at.to_rfc3339(),
        }),
    ))
}

/// One token; the token itself is not kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenLine {
    #[schema(format = Uuid)]
    id: String,
    /// Who invites.
    #[schema(format = Uuid)]
    inviter: String,
    permissions: Vec<String>,
    uses_allowed: u32,
    uses_left: u32,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

impl From<InvitationView> for TokenLine {
    fn from(view: InvitationView) -> Self {
        Self {
            id: view.id.to_string(),
            inviter: view.inviter.to_string(),
            permissions: view.permissions,
            uses_allowed: view.uses_allowed,
            uses_left: view.uses_left,
            created_at: view.created_at.to_rfc3339(),
            expires_at: view.expires_at.to_rfc3339(),
            revoked_at: view.revoked_at.map(base::Timestamp::to_rfc3339),
        }
    }
}

/// Tokens of a project.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenLines {
    tokens: Vec<TokenLine>,
}

/// The tokens of a project: all for its owner, their own for who works on it.
#[utoipa::path(get, path = "/v1/projects/{id}/collaboration-tokens", operation_id = "listCollaborationTokens",
    tag = "collaboration", params(("id" = String, Path, description = "The project.")),
    responses((status = 200, description = "The tokens.", body = TokenLines),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    call: Call,
    Path(id): Path<String>,
) -> Result<Json<TokenLines>, Failure> {
    let tokens = api.relations.invitations(&call.asker(), &project(id)?).await;
    let tokens = api.settle(&call, tokens).await?.into_iter().map(TokenLine::from).collect();
    Ok(Json(TokenLines { tokens }))
}

/// Revoke a token, and take what came of it.
#[utoipa::path(delete, path = "/v1/collaboration-tokens/{id}", operation_id = "revokeCollaborationToken",
    tag = "collaboration", params(("id" = String, Path, format = Uuid, description = "The token's id.")),
    responses((status = 200, description = "Revoked.", body = Changed), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn revoke(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Invitation>,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.revoke_invitation(&call.asker(), id).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}

/// A token that somebody handed over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemWish {
    #[schema(max_length = 8192)]
    token: String,
}

/// What it gave.
#[derive(Serialize, ToSchema)]
pub(crate) struct RedeemAnswer {
    resource: Resource,
    permissions: Vec<String>,
    #[schema(format = DateTime)]
    expires_at: String,
    revision: i64,
}

/// Redeem a token: it gives the caller's account what it names, until it ends.
#[utoipa::path(post, path = "/v1/collaboration-tokens/redeem", operation_id = "redeemCollaborationToken",
    tag = "collaboration", request_body = RedeemWish,
    responses((status = 200, description = "Redeemed.", body = RedeemAnswer),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn redeem(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<RedeemWish>,
) -> Result<Json<RedeemAnswer>, Failure> {
    let redeemed = api.relations.redeem(&call.asker(), &body.token).await;
    let redeemed = api.settle(&call, redeemed).await?;
    Ok(Json(RedeemAnswer {
        resource: redeemed.resource.into(),
        permissions: redeemed.permissions,
        expires_at: redeemed.expires_at.to_rfc3339(),
        revision: redeemed.revision.0,
    }))
}
