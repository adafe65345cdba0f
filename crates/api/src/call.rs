//! What a handler takes: the proof of the caller, identifiers from the path, and the query, strictly read.

use access::{Permit, TypedAction};
use audit::RequestInfo;
use axum::extract::{FromRequestParts, Path, Query as Pairs};
use base::{Id, ProblemKind};
use guard::Passed;
use http::request::Parts;
use identity::{AccountCaller, RequestMeta};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Api;
use crate::failure::Failure;
use crate::strict::{self, Place};

/// The caller and the request, as the pipeline proved them.
pub(crate) struct Call(Passed);

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Passed>().cloned().map(Self).ok_or_else(|| {
            tracing::error!("a request reached the API without passing the pipeline");
            ProblemKind::Internal.into()
        })
    }
}

impl Call {
    pub(crate) fn meta(&self) -> &RequestMeta {
        self.0.meta()
    }

    /// The person who is signed in.
    pub(crate) fn account(&self) -> Result<&AccountCaller, Failure> {
        self.0.account().ok_or_else(|| ProblemKind::Unauthenticated.into())
    }

    pub(crate) fn subject(&self) -> access::Subject {
        self.0.subject()
    }

    pub(crate) fn actor(&self) -> base::Actor {
        self.0.caller().actor()
    }

    /// For events that are recorded here.
    pub(crate) fn info(&self) -> RequestInfo {
        self.0.meta().info()
    }

    /// The proof that an operation demands. The pipeline asked the same question for the route and recorded a denial;
    /// here it can only differ if a route names less than its operation needs.
    pub(crate) fn permit<A: TypedAction>(&self, api: &Api) -> Result<Permit<A>, Failure> {
        if !self.0.caller().covers(A::NAME) {
            return Err(ProblemKind::Forbidden.into());
        }
        api.access.permit(&self.subject()).map_err(|denied| denied.problem().into())
    }
}

/// `{id}` of the path. What is not an identifier names nothing: 404.
pub(crate) struct PathId<K>(pub(crate) Id<K>);

impl<S: Send + Sync, K> FromRequestParts<S> for PathId<K> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::from(ProblemKind::NotFound))?;
        text.parse().map(Self).map_err(|_| ProblemKind::NotFound.into())
    }
}

/// The query: unknown, doubled and ill-formed parameters are refused by name.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Failure::from(ProblemKind::MalformedRequest))?;
        let mut values = Map::new();
        for (name, value) in pairs {
            let pointer = format!("?{name}");
            if values.insert(name, Value::String(value)).is_some() {
                return Err(Failure::invalid(pointer, "stands more than once"));
            }
        }
        strict::read(Value::Object(values), Place::Query).map(Self)
    }
}
