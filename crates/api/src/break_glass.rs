//! Break-glass: an administrator looks at what is private, for a reason, for a while, and its owner is told.

use access::{AccessError, Glass};
use axum::Json;
use axum::extract::State;
use base::kind;
use http::StatusCode;
use identity::GlassNotice;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::{Call, PathId};
use crate::failure::Failure;
use crate::relation::{Changed, PathResource};
use crate::strict;

/// Why and how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GlassWish {
    /// The owner reads it.
    #[schema(min_length = 10, max_length = 200)]
    reason: String,
    #[schema(minimum = 1, maximum = 1440)]
    minutes: u32,
}

/// A look that is open.
#[derive(Serialize, ToSchema)]
pub(crate) struct GlassLine {
    #[schema(format = Uuid)]
    id: String,
    /// The administrator.
    #[schema(format = Uuid)]
    by: String,
    r#type: String,
    resource: String,
    #[schema(format = Uuid)]
    owner: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<Glass> for GlassLine {
    fn from(glass: Glass) -> Self {
        Self {
            id: glass.id.to_string(),
            by: glass.by.to_string(),
            r#type: glass.resource.kind,
            resource: glass.resource.id,
            owner: glass.owner.to_string(),
            created_at: glass.created_at.to_rfc3339(),
            expires_at: glass.expires_at.to_rfc3339(),
        }
    }
}

/// Looks that are open.
#[derive(Serialize, ToSchema)]
pub(crate) struct Glasses {
    open: Vec<GlassLine>,
}

/// Open somebody's private object for a while. The owner gets a message with the reason.
#[utoipa::path(post, path = "/v1/resources/{type}/{id}/break-glass", operation_id = "breakGlass", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    request_body = GlassWish,
    responses((status = 201, description = "Open.", body = GlassLine), (status = 404, response = crate::document::Problem),
        (status = 409, response = crate::document::Problem)))]
pub(crate) async fn open(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
    strict::Json(body): strict::Json<GlassWish>,
) -> Result<(StatusCode, Json<GlassLine>), Failure> {
    let lasts_ms = i64::from(body.minutes) * 60_000;
    let opened = api.relations.break_glass(&call.asker(), &resource, &body.reason, lasts_ms).await;
    let mut opened = api.settle(&call, opened).await?;
    let (glass, reason) = (opened.glass.clone(), opened.reason.clone());
    let notice = GlassNotice {
        owner: glass.owner,
        administrator: glass.by,
        resource: &glass.resource.to_string(),
        reason: &reason,
        until: glass.expires_at,
    };
    // In the grant's transaction: who cannot be told, of theirs nothing is opened.
    api.identity.tell_break_glass(opened.tx(), &notice).await?;
    let done: Result<_, AccessError> = api.relations.finish_glass(opened).await;
    let (glass, _) = api.settle(&call, done).await?;
    Ok((StatusCode::CREATED, Json(glass.into())))
}

/// Every look that is open now.
#[utoipa::path(get, path = "/v1/break-glass", operation_id = "listBreakGlass", tag = "resources",
    responses((status = 200, description = "What is open.", body = Glasses)))]
pub(crate) async fn list(State(api): State<Api>, call: Call) -> Result<Json<Glasses>, Failure> {
    let open = api.relations.open_glasses(&call.asker()).await;
    Ok(Json(Glasses { open: api.settle(&call, open).await?.into_iter().map(GlassLine::from).collect() }))
}

/// End a look early.
#[utoipa::path(delete, path = "/v1/break-glass/{id}", operation_id = "closeGlass", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The look.")),
    responses((status = 200, description = "Closed.", body = Changed), (status = 404, response = crate::document::Problem)))]
pub(crate) async fn close(
    State(api): State<Api>,
    call: Call,
    PathId(grant): PathId<kind::BreakGlass>,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.close_glass(&call.asker(), grant).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}
