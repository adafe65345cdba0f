//! What the caller may do, asked ahead (ACCESS-5).

use access::{Decision, Grant, Relation, ResourceRef, Revision, Tier, code};
use audit::{Event, Outcome, Record};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::relation::Resource;
use crate::strict;
use crate::words::{RelationWord, TierWord};

/// Questions per request.
const MAX_CHECKS: usize = 100;
/// Characters of an unknown action's name that go on record.
const MAX_ASKED: usize = 64;

/// Questions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checks {
    #[schema(min_items = 1, max_items = 100)]
    checks: Vec<Check>,
    /// No answer may be older than this revision, which a change of relations gave.
    #[serde(default)]
    #[schema(minimum = 0)]
    at_least: Option<i64>,
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
    /// Why: `granted`, `no-grant`, `suspended`, `unverified`, `locked`, `no-role`, `no-relation`, `lapsed`,
    /// `mfa-required`, `risk`, `not-yours`, `forbidden`, `unknown-action`, `unknown-resource`, `evaluation-error`. An
    /// object that the caller may not know of is answered like one that does not exist.
    code: &'static str,
    /// The rule that decided.
    rule: Option<String>,
    /// Tiers that would grant it. Roles are not told: they are given, not bought.
    #[schema(value_type = Vec<TierWord>)]
    tiers: Vec<Tier>,
    /// Relations to the object that would be enough.
    #[schema(value_type = Vec<RelationWord>)]
    relations: Vec<Relation>,
    /// When the answer ends by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The state of relations that was read; 0 if none had to be.
    revision: i64,
}

impl Answer {
    fn unknown_action() -> Self {
        Self {
            allowed: false,
            code: code::UNKNOWN_ACTION,
            rule: None,
            tiers: vec![],
            relations: vec![],
            expires_at: None,
            revision: 0,
        }
    }
}

impl From<&Decision> for Answer {
    fn from(decision: &Decision) -> Self {
        let tier = |grant: &Grant| match grant {
            Grant::Tier(tier) => Some(*tier),
            Grant::Role(_) | Grant::Relation(_) => None,
        };
        let relation = |grant: &Grant| match grant {
            // Nobody asks for a look through broken glass by a button.
            Grant::Relation(relation) if *relation != Relation::BreakGlass => Some(*relation),
            _ => None,
        };
        Self {
            allowed: decision.allowed,
            code: decision.code,
            rule: decision.rule.as_deref().map(str::to_owned),
            tiers: decision.missing.iter().filter_map(tier).collect(),
            relations: decision.missing.iter().filter_map(relation).collect(),
            expires_at: decision.expires_at.map(base::Timestamp::to_rfc3339),
            revision: decision.revision.0,
        }
    }
}

/// Ask what the caller may do.
///
/// For showing or hiding what is on offer; the gateway decides anew at each request. What is unknown is a deny, not an
/// error. Each answer is on record; those that deny before they are given.
#[utoipa::path(post, path = "/v1/access/check", operation_id = "checkAccess", tag = "access",
    request_body = Checks, responses((status = 200, description = "The decisions.", body = Answers)))]
pub(crate) async fn check(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Checks>,
) -> Result<Json<Answers>, Failure> {
    if !(1..=MAX_CHECKS).contains(&body.checks.len()) {
        return Err(Failure::invalid("/checks", "must have 1 to 100 questions"));
    }
    let at_least = body.at_least.map(Revision);
    let policy_version = api.access.version().to_string();
    let mut decisions = Vec::with_capacity(body.checks.len());
    let mut denials = Vec::new();
    for (at, Check { action, resource }) in body.checks.into_iter().enumerate() {
        let resource = resource.map(|r| r.named(&format!("/checks/{at}/resource"))).transpose()?;
        let decision = decide(&api, &call, &action, resource.as_ref(), at_least).await?;
        let subject = call.subject();
        let (allowed, event) = match &decision {
            Some(decision) if decision.allowed => (true, decision.allowed_event(&subject)),
            Some(decision) => (false, decision.denied_event()),
            None => (false, unknown_action(&action, &api)),
        };
        let mut record = Record::new(api.clock.now(), event).by(call.actor()).during(call.info());
        record.about = subject.account;
        if allowed {
            api.audit.record(record);
        } else {
            denials.push(record.ended(Outcome::Denied));
        }
        decisions.push(decision.as_ref().map_or_else(Answer::unknown_action, Answer::from));
    }
    // At once: what waits together becomes durable together.
    let recorded = denials.into_iter().map(|record| api.audit.record_durable(record));
    futures_util::future::try_join_all(recorded).await?;
    Ok(Json(Answers { decisions, policy_version }))
}

/// What is on record of a question about something that is in no catalogue: the beginning of what was asked.
fn unknown_action(asked: &str, api: &Api) -> Event {
    Event::AuthzDenied {
        action: asked.chars().take(MAX_ASKED).collect::<String>().into(),
        code: code::UNKNOWN_ACTION,
        rule: None,
        resource: None,
        policy_version: api.access.version(),
    }
}

async fn decide(
    api: &Api,
    call: &Call,
    name: &str,
    resource: Option<&ResourceRef>,
    at_least: Option<Revision>,
) -> Result<Option<Decision>, Failure> {
    let Ok(action) = api.access.action(name) else { return Ok(None) };
    let decided = api.relations.check(&call.subject(), &action, resource, at_least).await;
    api.settle(call, decided).await.map(Some)
}
