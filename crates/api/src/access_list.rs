//! Reverse questions (ACCESS-7): to which objects may I …, and who may … this.

use access::{Action, Listed, ListedSubject, Relation, UnknownAction};
use axum::Json;
use axum::extract::State;
use base::{Id, kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::relation::Resource;
use crate::strict;
use crate::words::RelationWord;

const PAGE: usize = 50;
const MAX_PAGE: u32 = 200;

/// A reverse question: either `type`, or `resource`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuestion {
    /// Such as `track:read`.
    #[schema(max_length = 256)]
    action: String,
    /// To which objects of this type may the caller do it?
    #[serde(default)]
    #[schema(max_length = 256)]
    r#type: Option<String>,
    /// Who may do it to this object? For its owner, who works on it, and administrators.
    #[serde(default)]
    resource: Option<Resource>,
    /// `next` of the page before.
    #[serde(default)]
    #[schema(format = Uuid)]
    after: Option<String>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// One object.
#[derive(Serialize, ToSchema)]
pub(crate) struct ObjectLine {
    r#type: String,
    id: String,
    /// When the right to it ends by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// One person.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubjectLine {
    #[schema(format = Uuid)]
    account: String,
    #[schema(value_type = Vec<RelationWord>)]
    relations: Vec<Relation>,
    /// When their right ends by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A page: objects or people, as was asked. It may have fewer entries than asked for, or none, and still a next.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<ObjectLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subjects: Option<Vec<SubjectLine>>,
    /// `after` for the next page; `null` if this was the last.
    #[schema(format = Uuid)]
    next: Option<String>,
    /// The state of relations that was read.
    revision: i64,
}

/// Ask for the objects that the caller may …, or for those who may … an object.
#[utoipa::path(post, path = "/v1/access/list", operation_id = "listAccess", tag = "access", request_body = ListQuestion,
    responses((status = 200, description = "A page.", body = ListAnswer),
        (status = 404, response = crate::document::Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<ListQuestion>,
) -> Result<Json<ListAnswer>, Failure> {
    let action: Action = api
        .access
        .action(&body.action)
        .map_err(|error: UnknownAction| Failure::invalid("/action", error.to_string()))?;
    let limit = match body.limit {
        None => PAGE,
        Some(limit @ 1..=MAX_PAGE) => limit as usize,
        Some(_) => return Err(Failure::invalid("/limit", "must be 1 to 200")),
    };
    match (body.r#type, body.resource) {
        (Some(kind), None) => {
            let after = after(body.after.as_deref())?;
            let listed = api.relations.list_objects(&call.subject(), &action, &kind, after, limit).await;
            let page = api.settle(&call, listed).await?;
            Ok(Json(ListAnswer {
                objects: Some(page.objects.into_iter().map(ObjectLine::from).collect()),
                subjects: None,
                next: page.next.map(|id: Id<kind::Object>| id.to_string()),
                revision: page.revision.0,
            }))
        }
        (None, Some(resource)) => {
            let resource = resource.named("/resource")?;
            let after = after(body.after.as_deref())?;
            let listed = api.relations.list_subjects(&call.asker(), &action, &resource, after, limit).await;
            let page = api.settle(&call, listed).await?;
            Ok(Json(ListAnswer {
                objects: None,
                subjects: Some(page.subjects.into_iter().map(SubjectLine::from).collect()),
                next: page.next.map(|id: Id<kind::Account>| id.to_string()),
                revision: page.revision.0,
            }))
        }
        _ => Err(Failure::invalid("/type", "is needed, or else /resource; not both")),
    }
}

fn after<K>(text: Option<&str>) -> Result<Option<Id<K>>, Failure> {
    let wrong = |_| Failure::invalid("/after", "must be `next` of the page before");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

impl From<Listed> for ObjectLine {
    fn from(listed: Listed) -> Self {
        let expires_at = listed.expires_at.map(base::Timestamp::to_rfc3339);
        Self { r#type: listed.resource.kind, id: listed.resource.id, expires_at }
    }
}

impl From<ListedSubject> for SubjectLine {
    fn from(listed: ListedSubject) -> Self {
        let expires_at = listed.expires_at.map(base::Timestamp::to_rfc3339);
        Self { account: listed.account.to_string(), relations: listed.relations, expires_at }
    }
}
