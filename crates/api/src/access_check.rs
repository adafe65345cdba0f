//! What the caller may do, asked ahead (ACCESS-5).

use access::{Grant, ResourceRef, Tier, code};
use audit::{Event, Record};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;
use crate::words::TierWord;

/// Questions per request.
const MAX_CHECKS: usize = 100;
/// Bytes of an object's type or identifier.
const MAX_NAME: usize = 256;

/// Questions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checks {
    #[schema(min_items = 1, max_items = 100)]
    checks: Vec<Check>,
}

/// May the caller do this?
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// Such as `track:read`.
    #[schema(max_length = 256)]
    action: String,
    /// On this object; without it, at all.
    #[serde(default)]
    resource: Option<Resource>,
}

/// An object.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    /// Such as `track`.
    #[schema(max_length = 256)]
    r#type: String,
    #[schema(max_length = 256)]
    id: String,
}

/// Answers, in the order of the questions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answers {
    decisions: Vec<Answer>,
    /// The policies that decided.
    policy_version: String,
}

/// One answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// Only `true` allows.
    allowed: bool,
    /// Why: `granted`, `no-grant`, `suspended`, `unverified`, `no-role`, `not-yours`, `forbidden`, `unknown-action`,
    /// `unknown-resource`, `evaluation-error`.
    code: &'static str,
    /// The rule that decided.
    rule: Option<String>,
    /// Tiers that would grant it. Roles are not told: they are given, not bought.
    #[schema(value_type = Vec<TierWord>)]
    tiers: Vec<Tier>,
    /// When the answer ends by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Ask what the caller may do.
///
/// For showing or hiding what is on offer; the gateway decides anew at each request. What is unknown is a deny, not an
/// error. Who owns an object is not considered yet.
#[utoipa::path(post, path = "/v1/access/check", operation_id = "checkAccess", tag = "access",
    request_body = Checks, responses((status = 200, description = "The decisions.", body = Answers)))]
pub(crate) async fn check(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Checks>,
) -> Result<Json<Answers>, Failure> {
    let checks = body.checks;
    if !(1..=MAX_CHECKS).contains(&checks.len()) {
        return Err(Failure::invalid("/checks", "must have 1 to 100 questions"));
    }
    let mut decisions = Vec::with_capacity(checks.len());
    for (at, Check { action, resource }) in checks.into_iter().enumerate() {
        let resource = resource.map(|Resource { r#type, id }| ResourceRef { kind: r#type, id });
        if resource.as_ref().is_some_and(|r| r.kind.len() > MAX_NAME || r.id.len() > MAX_NAME) {
            return Err(Failure::invalid(format!("/checks/{at}/resource"), "must have at most 256 bytes"));
        }
        decisions.push(decide(&api, &call, &action, resource.as_ref()).await?);
    }
    Ok(Json(Answers { decisions, policy_version: api.access.version().to_string() }))
}

async fn decide(
    api: &Api,
    call: &Call,
    name: &str,
    resource: Option<&ResourceRef>,
) -> Result<Answer, Failure> {
    let Ok(action) = api.access.action(name) else {
        return Ok(Answer {
            allowed: false,
            code: code::UNKNOWN_ACTION,
            rule: None,
            tiers: vec![],
            expires_at: None,
        });
    };
    let facts = resource.map(|resource| access::Facts::unregistered(resource.clone(), api.clock.now()));
    let decision = api.access.decide(&call.subject(), &action, facts.as_ref());
    if decision.is_evaluation_error() {
        // A policy that cannot be evaluated is an operator's emergency, whoever meets it.
        let event = Event::AuthzFailed {
            action: action.as_str().into(),
            error: "a policy could not be evaluated; it was met by an access check".into(),
            policy_version: decision.policy_version.clone(),
        };
        let record = Record::new(api.clock.now(), event).by(call.actor()).during(call.info());
        api.audit.record_durable(record.ended(audit::Outcome::Denied)).await?;
    }
    let tier = |grant: &Grant| match grant {
        Grant::Tier(tier) => Some(*tier),
        Grant::Role(_) | Grant::Relation(_) => None,
    };
    Ok(Answer {
        allowed: decision.allowed,
        code: decision.code,
        rule: decision.rule.as_deref().map(str::to_owned),
        tiers: decision.missing.iter().filter_map(tier).collect(),
        expires_at: decision.expires_at.map(base::Timestamp::to_rfc3339),
    })
}
