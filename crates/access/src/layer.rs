//! For services with routes of their own: one line per route that says what it demands (feature `layer`).
//!
//! A [`Gate`] makes [`Demand`]s, which are tower layers, so that axum and whatever else is built on tower takes them.
//! Who calls is for the service to find out: it puts a [`Subject`] into the request's extensions before.
//!
//! ```
//! use access::{Access, Decision, Facts, Gate, Hold, Relation, ResourceRef, Role, Subject, Tier};
//! use axum::extract::Request;
//! use axum::middleware::{Next, from_fn};
//! use axum::response::Response;
//! use axum::routing::{get, post};
//! use axum::{Extension, Router};
//! # use base::{Clock, Entropy, Id};
//!
//! // Your own authentication; here everybody is Ada.
//! async fn who_calls(mut request: Request, next: Next) -> Response {
//!     # let ada = Id::new(&Clock::system(), &Entropy::system());
//!     request.extensions_mut().insert(Subject::account(ada, Role::User, Tier::Pro));
//!     next.run(request).await
//! }
//!
//! // Your own knowledge of how people stand to objects; here Ada owns everything.
//! async fn look(_: Subject, track: ResourceRef) -> Option<Facts> {
//!     Some(Facts::unrelated(track, Clock::system().now()).with(Relation::Owner, Hold::Always))
//! }
//!
//! // A handler may ask by which rule it was reached.
//! async fn show(Extension(decision): Extension<Decision>) -> String {
//!     decision.rule.as_deref().unwrap_or_default().to_owned()
//! }
//! # async fn render() {}
//!
//! let gate = Gate::new(Access::builtin().unwrap()).knowing(look);
//! let app: Router = Router::new()
//!     .route("/tracks/{id}", get(show).layer(gate.demand("track:read")?.on("track", 1)))
//!     .route("/stems", post(render).layer(gate.demand("generate:create")?))
//!     .route_layer(from_fn(who_calls));
//! # let request = Request::get("/tracks/7").body(axum::body::Body::empty()).unwrap();
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # let answer = runtime.block_on(tower::ServiceExt::oneshot(app, request)).unwrap();
//! # assert_eq!(answer.status(), 200);
//! # Ok::<(), access::UnknownAction>(())
//! ```

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base::Timestamp;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use crate::{Access, Action, Decision, Facts, Relations, ResourceRef, Subject, UnknownAction};

/// What knows how people stand to objects.
#[derive(Clone)]
enum Known {
    /// Nobody: every object is one that nobody registered, so that what names one is denied.
    Nothing,
    /// A service's own knowledge.
    Own(Arc<dyn Fn(Subject, ResourceRef) -> Looked + Send + Sync>),
    /// Fortissimo's database.
    Relations(Relations),
}

/// What a service found out; `None` if it cannot tell now.
type Looked = Pin<Box<dyn Future<Output = Option<Facts>> + Send>>;

/// Makes layers that let through only what the policies allow.
#[derive(Clone)]
pub struct Gate {
    access: Access,
    known: Known,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({:?})", self.access)
    }
}

impl Gate {
    /// For routes that name no objects; those that do are denied until [`knowing`](Self::knowing) says how people stand
    /// to them.
    pub const fn new(access: Access) -> Self {
        Self { access, known: Known::Nothing }
    }

    /// With Fortissimo's own relations.
    pub fn over(relations: Relations) -> Self {
        Self { access: relations.access().clone(), known: Known::Relations(relations) }
    }

    /// With what the service itself knows: how this person stands to that object. `None` means that it cannot be said
    /// now, which is a 503.
    #[must_use]
    pub fn knowing<F, L>(mut self, look: F) -> Self
    where
        F: Fn(Subject, ResourceRef) -> L + Send + Sync + 'static,
        L: Future<Output = Option<Facts>> + Send + 'static,
    {
        self.known = Known::Own(Arc::new(move |subject, resource| Box::pin(look(subject, resource))));
        self
    }

    /// A layer that demands this action.
    ///
    /// # Errors
    /// There is no such action; the error names the nearest.
    pub fn demand(&self, action: &str) -> Result<Demand, UnknownAction> {
        Ok(Demand { gate: self.clone(), action: self.access.action(action)?, object: None })
    }

    async fn decide(
        &self,
        subject: Subject,
        action: &Action,
        resource: Option<ResourceRef>,
    ) -> Option<Decision> {
        let Some(resource) = resource else { return Some(self.access.decide(&subject, action, None)) };
        let facts = match &self.known {
            Known::Nothing => Facts::unregistered(resource, Timestamp::from_millis(0)),
            Known::Own(look) => look(subject, resource).await?,
            Known::Relations(relations) => {
                let decided = relations.check(&subject, action, Some(&resource), None).await;
                return decided
                    .inspect_err(|error| tracing::error!(%error, "a decision could not be made"))
                    .ok();
            }
        };
        Some(self.access.decide(&subject, action, Some(&facts)))
    }
}

/// A tower layer that demands an action, perhaps on the object that the path names.
#[derive(Debug, Clone)]
pub struct Demand {
    gate: Gate,
    action: Action,
    object: Option<(Arc<str>, usize)>,
}

impl Demand {
    /// On the object of this kind whose id is a segment of the path, counted from 0: in `/tracks/{id}` it is 1. Within a
    /// nested axum router the path begins behind the prefix.
    #[must_use]
    pub fn on(mut self, kind: &str, segment: usize) -> Self {
        self.object = Some((kind.into(), segment));
        self
    }
}

impl<S> Layer<S> for Demand {
    type Service = Demanding<S>;

    fn layer(&self, inner: S) -> Demanding<S> {
        Demanding { demand: self.clone(), inner }
    }
}

/// A service behind a [`Demand`]. What passes carries its [`Decision`] in the extensions.
#[derive(Debug, Clone)]
pub struct Demanding<S> {
    demand: Demand,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Demanding<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String> + 'static,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that was polled ready answers; the clone waits for its own turn.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let Demand { gate, action, object } = self.demand.clone();
        Box::pin(async move {
            let Some(subject) = request.extensions().get::<Subject>().copied() else {
                return Ok(refusal(StatusCode::UNAUTHORIZED, "Sign in first."));
            };
            let resource = match object {
                None => None,
                Some((kind, segment)) => match named(request.uri().path(), segment) {
                    Some(id) => Some(ResourceRef { kind: kind.to_string(), id }),
                    None => return Ok(refusal(StatusCode::NOT_FOUND, "There is no such thing here.")),
                },
            };
            match gate.decide(subject, &action, resource).await {
                None => Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "It cannot be decided now.")),
                Some(decision) if decision.allowed => {
                    request.extensions_mut().insert(decision);
                    inner.call(request).await
                }
                Some(decision) if decision.hides() => {
                    Ok(refusal(StatusCode::NOT_FOUND, "There is no such thing here."))
                }
                Some(_) => Ok(refusal(StatusCode::FORBIDDEN, "You may not do this.")),
            }
        })
    }
}

/// The id in a path. Escaped letters are refused, because services disagree about what they mean.
fn named(path: &str, segment: usize) -> Option<String> {
    let id = path.split('/').filter(|part| !part.is_empty()).nth(segment)?;
    (!id.contains('%')).then(|| id.to_owned())
}

/// A problem document (RFC 9457) that names no permission.
fn refusal<R: From<String>>(status: StatusCode, detail: &str) -> Response<R> {
    let title = status.canonical_reason().unwrap_or_default();
    let text = format!(r#"{{"title":"{title}","status":{},"detail":"{detail}"}}"#, status.as_u16());
    let mut response = Response::new(R::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use base::Id;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Hold, Relation, Role, Tier};

    fn ada() -> Subject {
        Subject::account(Id::from_bytes([7; 16]), Role::User, Tier::Free)
    }

    /// Ada owns track 1, is allowed nothing about track 2, and nothing can be said about track 3.
    fn app(gate: &Gate) -> Router {
        let gate = gate.clone().knowing(|_, resource| async move {
            let unrelated = Facts::unrelated(resource.clone(), Timestamp::from_millis(0));
            match resource.id.as_str() {
                "1" => Some(unrelated.with(Relation::Owner, Hold::Always)),
                "3" => None,
                _ => Some(unrelated),
            }
        });
        Router::new()
            .route(
                "/tracks/{id}",
                get(async || "a track").layer(gate.demand("track:read").unwrap().on("track", 1)),
            )
            .route("/logs", get(async || "logs").layer(gate.demand("system:logs").unwrap()))
            .route("/projects", get(async || "projects").layer(gate.demand("project:create").unwrap()))
    }

    async fn status(app: &Router, path: &str, subject: Option<Subject>) -> u16 {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(subject) = subject {
            request.extensions_mut().insert(subject);
        }
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_route_lets_through_what_the_policies_allow() {
        let gate = Gate::new(Access::builtin().unwrap());
        let app = app(&gate);
        for (path, subject, wanted) in [
            ("/tracks/1", Some(ada()), 200),
            ("/tracks/2", Some(ada()), 404),
            ("/tracks/3", Some(ada()), 503),
            ("/tracks/%31", Some(ada()), 404),
            ("/tracks/1", None, 401),
            ("/tracks/1", Some(Subject { suspended: true, ..ada() }), 403),
            ("/projects", Some(ada()), 200),
            ("/logs", Some(ada()), 403),
        ] {
            assert_eq!(status(&app, path, subject).await, wanted, "{path} {subject:?}");
        }
    }

    #[tokio::test]
    async fn without_knowledge_no_object_is_anybodys() {
        let gate = Gate::new(Access::builtin().unwrap());
        let demand = gate.demand("track:read").unwrap().on("track", 1);
        let app: Router = Router::new().route("/tracks/{id}", get(async || "a track").layer(demand));
        assert_eq!(status(&app, "/tracks/1", Some(ada())).await, 404);
        assert_eq!(gate.demand("track:raed").unwrap_err().nearest.as_deref(), Some("track:read"));
    }
}
