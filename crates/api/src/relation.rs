//! What the endpoints about objects, teams and tokens share: who asks, what is named, and how a refusal is told.

use access::{AccessError, Asker, ResourceRef, Share};
use audit::{Outcome, Record};
use axum::extract::{FromRequestParts, Path};
use base::{Problem, ProblemKind, Timestamp};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;

/// Bytes of an object's type or identifier.
const MAX_NAME: usize = 256;

impl Call {
    /// The caller, for operations on relations.
    pub(crate) fn asker(&self) -> Asker {
        Asker { subject: self.subject(), request: Some(self.info()) }
    }
}

/// An object of a service.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    /// Such as `track`.
    #[schema(max_length = 256)]
    r#type: String,
    #[schema(max_length = 256)]
    id: String,
}

impl Resource {
    /// Checked for length only: what does not exist is a matter of the decision.
    pub(crate) fn named(self, pointer: &str) -> Result<ResourceRef, Failure> {
        if self.r#type.len() > MAX_NAME || self.id.len() > MAX_NAME {
            return Err(Failure::invalid(pointer, "must have at most 256 bytes"));
        }
        Ok(ResourceRef { kind: self.r#type, id: self.id })
    }
}

impl From<ResourceRef> for Resource {
    fn from(resource: ResourceRef) -> Self {
        Self { r#type: resource.kind, id: resource.id }
    }
}

/// `{type}/{id}` of the path.
pub(crate) struct PathResource(pub(crate) ResourceRef);

impl<S: Send + Sync> FromRequestParts<S> for PathResource {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path((kind, id)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::from(ProblemKind::NotFound))?;
        Resource { r#type: kind, id }.named("").map(Self)
    }
}

/// `{type}/{id}` and a subject: an account's id, or `team:` and a team's.
pub(crate) struct PathShare(pub(crate) ResourceRef, pub(crate) Share);

impl<S: Send + Sync> FromRequestParts<S> for PathShare {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path((kind, id, subject)) = Path::<(String, String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::from(ProblemKind::NotFound))?;
        let subject = share(&subject).ok_or_else(|| Failure::from(ProblemKind::NotFound))?;
        Resource { r#type: kind, id }.named("").map(|resource| Self(resource, subject))
    }
}

/// An account's id, or `team:` and a team's.
pub(crate) fn share(text: &str) -> Option<Share> {
    match text.strip_prefix("team:") {
        Some(team) => team.parse().ok().map(Share::Team),
        None => text.parse().ok().map(Share::Account),
    }
}

pub(crate) fn share_text(share: Share) -> String {
    match share {
        Share::Account(id) => id.to_string(),
        Share::Team(id) => format!("team:{id}"),
    }
}

/// The change's number: sent along as `at_least`, no later answer is older than this change.
#[derive(Serialize, ToSchema)]
pub(crate) struct Changed {
    pub(crate) revision: i64,
}

pub(crate) fn time(text: Option<&str>, pointer: &str) -> Result<Option<Timestamp>, Failure> {
    let wrong = || Failure::invalid(pointer, "must be a time such as 2026-01-02T03:04:05Z");
    text.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()
}

impl Api {
    /// The result for the client; a denial is on record before it is told.
    pub(crate) async fn settle<T>(&self, call: &Call, result: Result<T, AccessError>) -> Result<T, Failure> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        Err(match error {
            AccessError::NotFound => ProblemKind::NotFound.into(),
            AccessError::Denied(decision) => {
                let mut record =
                    Record::new(self.clock.now(), decision.denied_event()).ended(Outcome::Denied);
                record = record.by(call.actor()).during(call.info());
                record.about = call.subject().account;
                self.audit.record_durable(record).await?;
                decision.problem().into()
            }
            AccessError::Invalid { field, reason } => Failure::invalid(format!("/{field}"), reason),
            // Not told apart: nobody's, and somebody else's.
            AccessError::NotRegistered => Problem::new(ProblemKind::NotFound)
                .detail(
                    "Nothing of this name is yours. New objects are registered by the service that makes them, with the \
                     header `Fortissimo-Register: type/id` in its answer, or by an operator (PUT with `owner`, or \
                     `fortissimo object register`). `[access] self_registration` lets people do it.",
                )
                .into(),
            AccessError::Conflict(reason) => Problem::new(ProblemKind::Conflict).detail(reason).into(),
            AccessError::Audit(error) => error.into(),
            AccessError::Keys(error) => {
                tracing::error!(%error, "an operation on relations failed for a key");
                ProblemKind::Internal.into()
            }
            AccessError::Store(error) => {
                tracing::error!(%error, "an operation on relations failed");
                if error.is_outage() || error.is_retryable() {
                    Problem::new(ProblemKind::Unavailable).retry_after(1).into()
                } else {
                    ProblemKind::Internal.into()
                }
            }
        })
    }
}
