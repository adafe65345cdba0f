//! What a policy's answer can depend on: found once, when it is loaded.
//!
//! Most policies look only at a few facts with few values (role, tier, flags, relations). Their answers are remembered
//! by those facts, and lists are made from them: the answers for every set of relations are a truth table that a
//! database can test. A policy that looks at anything else would make lists wrong or slow, so it is refused.

use cedar_policy::Policy;
use serde_json::Value;

/// What a policy's answer can depend on, once action and kind of object are fixed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// Something else than the facts of the key and the names below.
    pub(crate) beyond: bool,
    /// Relations to the object.
    pub(crate) relations: bool,
    /// Objects that it names, as type and identifier.
    pub(crate) objects: Vec<(String, String)>,
    /// Accounts that it names.
    pub(crate) accounts: Vec<String>,
}

/// Attributes of `principal` that are part of the key.
const OF_PRINCIPAL: &[&str] = &["has_role", "suspended", "verified", "locked", "strong", "risky"];
/// Attributes of `context` that are part of the key.
const OF_CONTEXT: &[&str] = &["owner", "collaborator", "shared", "public", "token", "break_glass"];

impl Reach {
    /// Reads Cedar's JSON form of a policy. What is not understood counts as beyond.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut reach = Self::default();
        match policy.to_json() {
            Ok(json) => {
                for variable in ["principal", "resource"] {
                    reach.scope(&json[variable]);
                }
                if let Some(conditions) = json.get("conditions") {
                    reach.walk(conditions);
                }
            }
            Err(_) => reach.beyond = true,
        }
        reach
    }

    /// A constraint of the scope: `{"op": "==", "entity": {…}}` and the like.
    fn scope(&mut self, constraint: &Value) {
        match constraint["op"].as_str() {
            Some("All") => {}
            Some("==") => self.name(&constraint["entity"]),
            Some("in") => match constraint.get("entity") {
                Some(entity) => self.group_or_name(entity),
                None => self.beyond = true,
            },
            // `is T`, which the slice has decided, or `is T in …`.
            Some("is") => {
                if let Some(group) = constraint.get("in") {
                    self.group_or_name(&group["entity"]);
                }
            }
            _ => self.beyond = true,
        }
    }

    /// Walks a condition: every variable must stand as a fact of the key, or be compared with names.
    fn walk(&mut self, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                if let Some(access) = fields.get(".")
                    && let Some(variable) = variable(&access["left"])
                {
                    let attribute = access["attr"].as_str().unwrap_or_default();
                    match variable {
                        "principal" if OF_PRINCIPAL.contains(&attribute) => {}
                        "context" if OF_CONTEXT.contains(&attribute) => self.relations = true,
                        _ => self.beyond = true,
                    }
                    return;
                }
                for operator in ["==", "!=", "in"] {
                    if let Some(sides) = fields.get(operator)
                        && matches!(variable(&sides["left"]), Some("principal" | "resource"))
                    {
                        self.names(&sides["right"], operator == "in");
                        return;
                    }
                }
                // The slice has decided the type.
                if let Some(is) = fields.get("is")
                    && variable(&is["left"]).is_some()
                {
                    if let Some(group) = is.get("in") {
                        self.names(group, true);
                    }
                    return;
                }
                if fields.contains_key("Var") {
                    self.beyond = true;
                    return;
                }
                fields.values().for_each(|value| self.walk(value));
            }
            _ => {}
        }
    }

    /// The right side of a comparison: an entity or a set of entities, written out.
    fn names(&mut self, right: &Value, groups: bool) {
        if let Some(items) = right.get("Set").and_then(Value::as_array) {
            items.iter().for_each(|item| self.names(item, groups));
            return;
        }
        match right.pointer("/Value/__entity") {
            Some(entity) if groups => self.group_or_name(entity),
            Some(entity) => self.name(entity),
            None => self.beyond = true,
        }
    }

    fn group_or_name(&mut self, entity: &Value) {
        let kind = entity["type"].as_str().unwrap_or_default();
        if !matches!(kind.rsplit("::").next(), Some("Role" | "Tier")) {
            // Nothing is ever in anything else than itself: no other group is told to Cedar.
            self.name(entity);
        }
    }

    fn name(&mut self, entity: &Value) {
        match (entity["type"].as_str(), entity["id"].as_str()) {
            (Some("Fortissimo::Account"), Some(id)) => self.accounts.push(id.to_owned()),
            (Some(kind), Some(id)) => self.objects.push((kind.to_owned(), id.to_owned())),
            _ => self.beyond = true,
        }
    }
}

fn variable(json: &Value) -> Option<&str> {
    json.get("Var").and_then(Value::as_str)
}
