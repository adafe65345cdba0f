//! Examples that policies must fulfil: questions with the answer that is expected.

use base::{Id, Timestamp, kind};
use serde::{Deserialize, Serialize};

use crate::{Bundle, Facts, Hold, Relation, ResourceRef, Role, Subject, Tier};

/// One question with the expected answer. In TOML:
///
/// ```toml
/// [[case]]
/// name = "pro artists render stems of their own projects"
/// principal = { role = "user", tier = "pro" }
/// action = "stems:render"
/// resource = "project/7"
/// relation = "owner"
/// expect = "allow"
/// rule = "studio.renders-stems"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it shows; for the report.
    #[serde(default)]
    pub name: String,
    /// Who asks.
    #[serde(default)]
    pub principal: ExamplePrincipal,
    /// What is asked for, as `resource:verb`.
    pub action: String,
    /// About which object, as `kind/id`; absent: none.
    #[serde(default)]
    pub resource: Option<String>,
    /// How the person stands to the object; absent: nothing to do with it.
    #[serde(default)]
    pub relation: Option<Relation>,
    /// The answer.
    pub expect: Expect,
    /// The decision's code, if that matters.
    #[serde(default)]
    pub code: Option<String>,
    /// The `@id` of the deciding policy, if that matters.
    #[serde(default)]
    pub rule: Option<String>,
}

/// Who asks in a [`Example`]: by default a verified account on the free tier, with the role `user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExamplePrincipal {
    /// Their role.
    pub role: Role,
    /// Their tier.
    pub tier: Tier,
    /// The account is disabled.
    pub suspended: bool,
    /// The e-mail address is verified.
    pub verified: bool,
    /// They are not signed in; the other fields count for nothing.
    pub anonymous: bool,
}

impl Default for ExamplePrincipal {
    fn default() -> Self {
        Self { role: Role::User, tier: Tier::Free, suspended: false, verified: true, anonymous: false }
    }
}

/// The expected answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
}

/// A case that did not come out as expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("case {number}{}: {message}", if .name.is_empty() { String::new() } else { format!(" ({:?})", .name) })]
pub struct ExampleFailure {
    /// Which, counted from 1.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// What came out instead.
    pub message: String,
}

impl Bundle {
    /// Asks every question; gives those that were answered otherwise than expected, or could not be asked.
    pub fn test(&self, cases: &[Example]) -> Vec<ExampleFailure> {
        let failed = |(index, case): (usize, &Example)| {
            let message = self.fails(case)?;
            Some(ExampleFailure { number: index + 1, name: case.name.clone(), message })
        };
        cases.iter().enumerate().filter_map(failed).collect()
    }

    /// Why the case is not as expected; `None` if it is.
    fn fails(&self, case: &Example) -> Option<String> {
        let action = match self.action(&case.action) {
            Ok(action) => action,
            Err(unknown) => return Some(unknown.to_string()),
        };
        let account: Id<kind::Account> = Id::from_bytes([7; 16]);
        let who = case.principal;
        let subject = if who.anonymous {
            Subject::anonymous()
        } else {
            Subject {
                suspended: who.suspended,
                verified: who.verified,
                ..Subject::account(account, who.role, who.tier)
            }
        };
        let facts = match (&case.resource, case.relation) {
            (None, None) => None,
            (None, Some(_)) => return Some("a relation needs a resource".to_owned()),
            (Some(text), relation) => {
                let Some((kind, id)) =
                    text.split_once('/').filter(|(kind, id)| !kind.is_empty() && !id.is_empty())
                else {
                    return Some(format!(
                        "the resource {text:?} is not written as kind/id, such as \"track/42\""
                    ));
                };
                // In examples nobody knows the account's identifier; `me` stands for it.
                let id = if id == "me" { account.to_string() } else { id.to_owned() };
                let resource = ResourceRef { kind: kind.to_owned(), id };
                let facts = Facts::unrelated(resource, Timestamp::from_millis(0));
                Some(match relation {
                    Some(relation) => facts.with(relation, Hold::Always),
                    None => facts,
                })
            }
        };
        let decision = self.decide(&subject, &action, facts.as_ref());
        let rule = decision.rule.as_deref().unwrap_or("no rule");
        let got =
            format!("{} by {rule} ({})", if decision.allowed { "allowed" } else { "denied" }, decision.code);
        let as_expected = decision.allowed == (case.expect == Expect::Allow)
            && case.code.as_ref().is_none_or(|code| code == decision.code)
            && case.rule.as_ref().is_none_or(|wanted| decision.rule.as_deref() == Some(wanted));
        (!as_expected).then(|| {
            let mut wanted = match case.expect {
                Expect::Allow => "allowed".to_owned(),
                Expect::Deny => "denied".to_owned(),
            };
            if let Some(rule) = &case.rule {
                wanted += &format!(" by {rule}");
            }
            if let Some(code) = &case.code {
                wanted += &format!(" ({code})");
            }
            format!("expected {wanted}, was {got}")
        })
    }
}
