//! Objects of services, and who has what to do with them (ACCESS-4).

use access::{ObjectView, Registration, Relation, ShareView};
use axum::Json;
use axum::extract::State;
use base::{Id, kind};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::call::{Call, Query};
use crate::failure::Failure;
use crate::relation::{Changed, PathResource, PathShare, Resource, share, share_text, time};
use crate::strict;
use crate::words::{RelationWord, ShareWord};

/// What is to be true of an object.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    /// Everybody sees it.
    #[serde(default)]
    public: bool,
    /// What it is part of: an object that the caller works on. Whoever has that has this, too; at most two above one
    /// another.
    #[serde(default)]
    parent: Option<Resource>,
    /// The owner of a new object: the caller, unless an administrator says otherwise.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Uuid)]
    owner: Option<Id<kind::Account>>,
}

/// An object, as far as the caller may know of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ObjectAnswer {
    r#type: String,
    id: String,
    #[schema(format = Uuid)]
    owner: String,
    public: bool,
    parent: Option<Resource>,
    /// How the caller stands to it.
    #[schema(value_type = Vec<RelationWord>)]
    relations: Vec<Relation>,
    /// The state of relations that was read.
    revision: i64,
}

impl From<ObjectView> for ObjectAnswer {
    fn from(view: ObjectView) -> Self {
        Self {
            r#type: view.resource.kind,
            id: view.resource.id,
            owner: view.owner.to_string(),
            public: view.public,
            parent: view.parent.map(Resource::from),
            relations: view.facts.relations().collect(),
            revision: view.facts.revision.0,
        }
    }
}

/// Who owns it, and how the caller stands to it.
#[utoipa::path(get, path = "/v1/resources/{type}/{id}", operation_id = "getResource", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    responses((status = 200, description = "The object.", body = ObjectAnswer),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
) -> Result<Json<ObjectAnswer>, Failure> {
    let view = api.relations.object(&call.asker(), &resource).await;
    Ok(Json(api.settle(&call, view).await?.into()))
}

/// Make an object known, or change what is its owner's to change.
///
/// A new object belongs to the caller. Until it is registered, no route that names it lets anybody through.
#[utoipa::path(put, path = "/v1/resources/{type}/{id}", operation_id = "putResource", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    request_body = Object,
    responses((status = 200, description = "Changed, or as it was.", body = Changed),
        (status = 201, description = "New.", body = Changed),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn put(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
    strict::Json(body): strict::Json<Object>,
) -> Result<(StatusCode, Json<Changed>), Failure> {
    let parent = body.parent.map(|parent| parent.named("/parent")).transpose()?;
    let wanted = Registration { owner: body.owner, public: body.public, parent };
    let done = api.relations.register(&call.asker(), &resource, &wanted).await;
    let (revision, new) = api.settle(&call, done).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Changed { revision: revision.0 })))
}

/// Forget an object and everybody's relation to it.
#[utoipa::path(delete, path = "/v1/resources/{type}/{id}", operation_id = "deleteResource", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    responses((status = 200, description = "Forgotten.", body = Changed),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn forget(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.forget_object(&call.asker(), &resource).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}

/// A page of shares.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SharesQuery {
    /// `next` of the page before.
    #[serde(default)]
    after: Option<String>,
}

/// One who has access.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShareLine {
    /// An account's id, or `team:` and a team's.
    subject: String,
    #[schema(value_type = RelationWord)]
    relation: Relation,
    /// What a collaboration token named, if they came by one.
    permissions: Vec<String>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Who gave it.
    #[schema(format = Uuid)]
    granted_by: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<ShareView> for ShareLine {
    fn from(view: ShareView) -> Self {
        Self {
            subject: share_text(view.to),
            relation: view.relation,
            permissions: view.permissions,
            expires_at: view.expires_at.map(base::Timestamp::to_rfc3339),
            granted_by: view.granted_by.map(|id| id.to_string()),
            created_at: view.created_at.to_rfc3339(),
        }
    }
}

/// Who has access, the owner aside.
#[derive(Serialize, ToSchema)]
pub(crate) struct Shares {
    shares: Vec<ShareLine>,
    /// `after` for the next page; `null` if this was the last.
    next: Option<String>,
}

/// Who has access: for the owner and who works on it; others see themselves.
#[utoipa::path(get, path = "/v1/resources/{type}/{id}/shares", operation_id = "listShares", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object."),
        SharesQuery),
    responses((status = 200, description = "The shares.", body = Shares),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn shares(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
    Query(query): Query<SharesQuery>,
) -> Result<Json<Shares>, Failure> {
    let wrong = || Failure::invalid("?after", "must be `next` of the page before");
    let after = query.after.as_deref().map(|text| share(text).ok_or_else(wrong)).transpose()?;
    let listed = api.relations.shares(&call.asker(), &resource, after).await;
    let (shares, next) = api.settle(&call, listed).await?;
    Ok(Json(Shares { shares: shares.into_iter().map(ShareLine::from).collect(), next: next.map(share_text) }))
}

/// What somebody shall have to do with an object.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareWish {
    relation: ShareWord,
    /// When it ends by itself; never later than the giver's own access.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Share an object with somebody, or change how it is shared with them.
#[utoipa::path(put, path = "/v1/resources/{type}/{id}/shares/{subject}", operation_id = "putShare", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object."),
        ("subject" = String, Path, description = "An account's id, or `team:` and a team's.")),
    request_body = ShareWish,
    responses((status = 200, description = "Shared.", body = Changed),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn put_share(
    State(api): State<Api>,
    call: Call,
    PathShare(resource, subject): PathShare,
    strict::Json(body): strict::Json<ShareWish>,
) -> Result<Json<Changed>, Failure> {
    let expires_at = time(body.expires_at.as_deref(), "/expires_at")?;
    let relation = body.relation.into();
    let done = api.relations.share(&call.asker(), &resource, subject, relation, expires_at).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}

/// Take somebody's access, and with it what they gave to others; or leave.
#[utoipa::path(delete, path = "/v1/resources/{type}/{id}/shares/{subject}", operation_id = "deleteShare", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object."),
        ("subject" = String, Path, description = "An account's id, or `team:` and a team's.")),
    responses((status = 200, description = "Taken.", body = Changed),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn delete_share(
    State(api): State<Api>,
    call: Call,
    PathShare(resource, subject): PathShare,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.unshare(&call.asker(), &resource, subject).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}

/// Another owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    /// The new owner.
    #[schema(value_type = String, format = Uuid)]
    to: Id<kind::Account>,
    /// The old owner stays as a collaborator.
    #[serde(default)]
    keep_access: bool,
}

/// Give an object to somebody else, with everybody whom it is shared with.
///
/// Demands that all factors were given within ten minutes (`POST /auth/reauthenticate`).
#[utoipa::path(post, path = "/v1/resources/{type}/{id}/transfer", operation_id = "transferResource", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    request_body = Transfer,
    responses((status = 200, description = "Theirs.", body = Changed),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn transfer(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
    strict::Json(body): strict::Json<Transfer>,
) -> Result<Json<Changed>, Failure> {
    api.identity.must_be_fresh(call.account()?).await?;
    let done = api.relations.transfer(&call.asker(), &resource, body.to, body.keep_access).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}
