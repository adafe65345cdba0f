//! Offers: access for whoever a name or an address means, once they accept it. Who offers learns nothing of whether there
//! is such an account, neither from the answer nor from its time.

use access::{Offer, OfferView, Offered, Relation, ResourceRef};
use axum::Json;
use axum::extract::State;
use base::{Email, Timestamp, Username, kind};
use http::StatusCode;
use identity::OfferNotice;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::{Call, PathId};
use crate::failure::Failure;
use crate::relation::{Changed, PathResource, Resource, time};
use crate::strict;
use crate::words::{RelationWord, ShareWord};

/// What shall be offered to whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferWish {
    /// A username or an e-mail address.
    #[schema(max_length = 255)]
    name: String,
    relation: ShareWord,
    /// When the access ends by itself; never later than the giver's own.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// An offer that was made, whether or not anybody has that name.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferMade {
    #[schema(format = Uuid)]
    id: String,
    /// When the offer ends unless it is accepted.
    #[schema(format = DateTime)]
    open_until: String,
    revision: i64,
}

/// Offer an object to somebody.
///
/// An account with this name is told by mail and finds the offer among its own; only once it accepts has it access. If
/// there is none, the answer is the same.
#[utoipa::path(post, path = "/v1/resources/{type}/{id}/offers", operation_id = "makeOffer", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    request_body = OfferWish,
    responses((status = 201, description = "Offered.", body = OfferMade),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn make(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
    strict::Json(body): strict::Json<OfferWish>,
) -> Result<(StatusCode, Json<OfferMade>), Failure> {
    let until = time(body.expires_at.as_deref(), "/expires_at")?;
    let name = body.name.trim();
    let is_name =
        if name.contains('@') { name.parse::<Email>().is_ok() } else { name.parse::<Username>().is_ok() };
    if !is_name {
        return Err(Failure::invalid("/name", "must be a username or an e-mail address"));
    }
    // Only who is there is written to, which must not show in the time.
    api.identity.evenly(offer(&api, &call, &resource, (name, body.relation.into(), until))).await
}

async fn offer(
    api: &Api,
    call: &Call,
    resource: &ResourceRef,
    (name, relation, until): (&str, Relation, Option<Timestamp>),
) -> Result<(StatusCode, Json<OfferMade>), Failure> {
    let by = call.account()?.account;
    let receiver = api.identity.receiver(name).await?;
    let wish = Offer { name, receiver, relation, until };
    let begun = api.relations.offer(&call.asker(), resource, &wish).await;
    let mut offering = api.settle(call, begun).await?;
    let (id, open_until) = (offering.id.to_string(), offering.expires_at.to_rfc3339());
    if let Some(receiver) = offering.receiver {
        let what = resource.to_string();
        let notice = OfferNotice { by, receiver, resource: &what, until: offering.until };
        api.identity.tell_offer(offering.tx(), &notice).await?;
    }
    let done = api.relations.finish_offer(offering).await;
    let revision = api.settle(call, done).await?.0;
    Ok((StatusCode::CREATED, Json(OfferMade { id, open_until, revision })))
}

/// An open offer, for who made it and for the owner.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferLine {
    #[schema(format = Uuid)]
    id: String,
    /// Who offers.
    #[schema(format = Uuid)]
    by: String,
    /// To whom, as it was written.
    name: String,
    #[schema(value_type = RelationWord)]
    relation: Relation,
    /// When the access would end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    open_until: String,
}

impl From<OfferView> for OfferLine {
    fn from(view: OfferView) -> Self {
        Self {
            id: view.id.to_string(),
            by: view.by.to_string(),
            name: view.name,
            relation: view.relation,
            expires_at: view.until.map(Timestamp::to_rfc3339),
            created_at: view.created_at.to_rfc3339(),
            open_until: view.expires_at.to_rfc3339(),
        }
    }
}

/// The open offers of an object, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferLines {
    offers: Vec<OfferLine>,
}

/// The open offers of an object: all for its owner, their own for who works on it.
#[utoipa::path(get, path = "/v1/resources/{type}/{id}/offers", operation_id = "listOffers", tag = "resources",
    params(("type" = String, Path, description = "Such as `track`."), ("id" = String, Path, description = "The object.")),
    responses((status = 200, description = "The offers, at most 100.", body = OfferLines),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn of_object(
    State(api): State<Api>,
    call: Call,
    PathResource(resource): PathResource,
) -> Result<Json<OfferLines>, Failure> {
    let offers = api.relations.offers(&call.asker(), &resource).await;
    let offers = api.settle(&call, offers).await?.into_iter().map(OfferLine::from).collect();
    Ok(Json(OfferLines { offers }))
}

/// An open offer, for its receiver.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferToMe {
    #[schema(format = Uuid)]
    id: String,
    /// Who offers.
    #[schema(format = Uuid)]
    by: String,
    resource: Resource,
    #[schema(value_type = RelationWord)]
    relation: Relation,
    /// When the access would end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    open_until: String,
}

impl From<Offered> for OfferToMe {
    fn from(offered: Offered) -> Self {
        Self {
            id: offered.id.to_string(),
            by: offered.by.to_string(),
            resource: offered.resource.into(),
            relation: offered.relation,
            expires_at: offered.until.map(Timestamp::to_rfc3339),
            open_until: offered.expires_at.to_rfc3339(),
        }
    }
}

/// What is offered to the caller, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct OffersToMe {
    offers: Vec<OfferToMe>,
}

/// What is offered to the caller.
#[utoipa::path(get, path = "/v1/offers", operation_id = "listOffersToMe", tag = "resources",
    responses((status = 200, description = "The offers, at most 100.", body = OffersToMe)))]
pub(crate) async fn to_me(State(api): State<Api>, call: Call) -> Result<Json<OffersToMe>, Failure> {
    let offers = api.relations.offered(&call.asker()).await;
    let offers = api.settle(&call, offers).await?.into_iter().map(OfferToMe::from).collect();
    Ok(Json(OffersToMe { offers }))
}

/// What was accepted.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferAccepted {
    resource: Resource,
    revision: i64,
}

/// Accept an offer: the caller has access from now on, as far as who offered it can still give it.
#[utoipa::path(post, path = "/v1/offers/{id}/accept", operation_id = "acceptOffer", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The offer's id.")),
    responses((status = 200, description = "Accepted.", body = OfferAccepted),
        (status = 404, response = crate::document::Problem), (status = 409, response = crate::document::Problem)))]
pub(crate) async fn accept(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Offer>,
) -> Result<Json<OfferAccepted>, Failure> {
    let done = api.relations.accept_offer(&call.asker(), id).await;
    let (resource, revision) = api.settle(&call, done).await?;
    Ok(Json(OfferAccepted { resource: resource.into(), revision: revision.0 }))
}

/// Decline what was offered to the caller, of which nobody learns; or withdraw what the caller, or somebody of the
/// caller's own object, offered.
#[utoipa::path(delete, path = "/v1/offers/{id}", operation_id = "endOffer", tag = "resources",
    params(("id" = String, Path, format = Uuid, description = "The offer's id.")),
    responses((status = 200, description = "Over.", body = Changed),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn end(
    State(api): State<Api>,
    call: Call,
    PathId(id): PathId<kind::Offer>,
) -> Result<Json<Changed>, Failure> {
    let done = api.relations.end_offer(&call.asker(), id).await;
    Ok(Json(Changed { revision: api.settle(&call, done).await?.0 }))
}
