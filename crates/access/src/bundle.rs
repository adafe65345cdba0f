//! One set of policies, loaded and split by action: immutable.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};

use crate::slice::Slice;
use crate::source::{self, LoadedPolicy, PolicyError, PolicyFile};
use crate::{Action, Decision, ResourceRef, Subject, UnknownAction, action, code};

/// The kind that stands for "no object named". Not a word that a route may use.
const PLATFORM: &str = "platform";

/// One set of policies: schema, catalogue and rules, strictly validated and split by action. Immutable; to change
/// policies, make another and [put it in place](crate::Access::replace).
pub struct Bundle {
    version: Arc<str>,
    policies: Vec<LoadedPolicy>,
    types: Types,
    /// In the order of the name, for messages.
    actions: BTreeMap<String, ActionEntry>,
    files: Arc<[PolicyFile]>,
}

struct ActionEntry {
    /// Carries the groups that the action is in, for `action in …`.
    entity: Entity,
    /// By the kind's word (`track`); few, so a map by text is quick enough.
    slices: HashMap<String, (EntityTypeName, Slice)>,
}

/// Names that each request needs, parsed once.
struct Types {
    account: EntityTypeName,
    role: EntityTypeName,
    tier: EntityTypeName,
    user: EntityTypeName,
}

impl Bundle {
    /// The built-in policies.
    ///
    /// # Errors
    /// None in a program whose tests passed; they are checked like any others.
    pub fn builtin() -> Result<Self, PolicyError> {
        Self::from_files(Vec::new())
    }

    /// The built-in policies and those of a directory (`*.cedarschema`, `*.cedar`, in the order of their names), which
    /// may add actions, kinds, permits and forbids. Reads files; for start-up and reload, not for the request path.
    ///
    /// # Errors
    /// A file that cannot be read or is not strictly valid, with file, line and column.
    pub fn load(dir: &Path) -> Result<Self, PolicyError> {
        Self::from_files(source::directory(dir)?)
    }

    /// The built-in policies and these files on top, in this order.
    ///
    /// # Errors
    /// A file that is too large or not strictly valid, with file, line and column.
    pub fn from_files(files: Vec<PolicyFile>) -> Result<Self, PolicyError> {
        source::check_bounds(&files)?;
        let mut sources = source::builtin();
        sources.extend(files.iter().cloned());
        let loaded = source::load(&sources)?;
        let entities = loaded
            .schema
            .action_entities()
            .map_err(|e| PolicyError::general(format!("actions: {e}")))?;
        let mut actions = BTreeMap::new();
        for uid in loaded.schema.actions() {
            let Some(kinds) = loaded.schema.resources_for_action(uid) else { continue };
            let slices: HashMap<_, _> = kinds
                .map(|kind| {
                    let slice = Slice::new(&loaded.policies, &entities, uid, kind);
                    (kind_word(kind.basename()), (kind.clone(), slice))
                })
                .collect();
            // A group of actions applies to nothing and cannot be asked for.
            if let Some(entity) = entities.get(uid).filter(|_| !slices.is_empty()) {
                actions
                    .insert(uid.id().unescaped().to_owned(), ActionEntry { entity: entity.clone(), slices });
            }
        }
        let name = |text| EntityTypeName::from_str(text).expect("a constant entity type name");
        let types = Types {
            account: name("Fortissimo::Account"),
            role: name("Fortissimo::Role"),
            tier: name("Fortissimo::Tier"),
            user: name("Fortissimo::User"),
        };
        Ok(Self { version: loaded.version, policies: loaded.policies, types, actions, files: files.into() })
    }

    /// Short hash of schema and policies: the same on every node that loaded the same.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The files on top of the built-in ones, in their order.
    pub fn files(&self) -> &[PolicyFile] {
        &self.files
    }

    /// The identifiers of the policies, in the order of the files.
    pub fn policy_ids(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|loaded| &*loaded.id)
    }

    /// An action of the catalogue, as `resource:verb` or `resource.verb`.
    ///
    /// # Errors
    /// There is none of that name; the error says the nearest.
    pub fn action(&self, name: &str) -> Result<Action, UnknownAction> {
        let wanted = action::normalised(name);
        match self.actions.get_key_value(wanted.as_ref()) {
            // The built-in names need no allocation.
            Some((known, _)) => Ok(known.parse().unwrap_or_else(|_| Action(Cow::Owned(known.clone())))),
            None => Err(action::unknown(name, self.actions())),
        }
    }

    /// The names of the catalogue, sorted.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(String::as_str)
    }

    /// The kinds of objects that an action can be about, sorted.
    pub fn kinds(&self, action: &Action) -> Vec<&str> {
        let entry = self.actions.get(action.as_str());
        let mut kinds: Vec<&str> = entry
            .iter()
            .flat_map(|e| e.slices.keys())
            .map(String::as_str)
            .filter(|kind| *kind != PLATFORM)
            .collect();
        kinds.sort_unstable();
        kinds
    }

    /// See [`Access::decide`](crate::Access::decide).
    pub fn decide(&self, subject: &Subject, action: &Action, resource: Option<&ResourceRef>) -> Decision {
        let kind = resource.map_or(PLATFORM, |resource| resource.kind.as_str());
        // A route cannot name the whole platform as an object: its identifier would mean nothing.
        let platform_named = resource.is_some_and(|resource| resource.kind == PLATFORM);
        let entry = self.actions.get(action.as_str());
        let slice = entry.and_then(|entry| entry.slices.get(kind)).filter(|_| !platform_named);
        let (code, policy) = match (entry, slice) {
            (None, _) => (code::UNKNOWN_ACTION, None),
            (Some(_), None) => (code::UNKNOWN_RESOURCE, None),
            (Some(entry), Some((kind, slice))) => {
                let verdict = slice.verdict(subject, &self.policies, || {
                    self.question(subject, &entry.entity, kind, resource)
                });
                (verdict.code, verdict.policy)
            }
        };
        let missing = slice.filter(|_| code == code::NO_GRANT).map(|(_, slice)| Arc::clone(&slice.missing));
        Decision {
            allowed: code == code::GRANTED,
            code,
            rule: policy.and_then(|at| self.policies.get(at as usize)).map(|loaded| Arc::clone(&loaded.id)),
            missing: missing.unwrap_or_default(),
            expires_at: None,
            policy_version: Arc::clone(&self.version),
            action: action.clone(),
            resource: resource.cloned(),
        }
    }

    #[cfg(test)]
    pub(crate) fn remembers(&self, action: &str, kind: &str) -> bool {
        self.actions[action].slices[kind].1.remembers()
    }

    /// The request and the entities for Cedar; `None` if Cedar refuses to have them, which is an evaluation error.
    fn question(
        &self,
        subject: &Subject,
        action: &Entity,
        kind: &EntityTypeName,
        resource: Option<&ResourceRef>,
    ) -> Option<(Request, Entities)> {
        let uid =
            |of: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id));
        let id = subject.account.map_or_else(|| "anonymous".to_owned(), |account| account.to_string());
        let account = uid(&self.types.account, &id);
        let mut groups = HashSet::new();
        groups.extend(subject.role.map(|role| uid(&self.types.role, role.as_str())));
        groups.extend(subject.tier.map(|tier| uid(&self.types.tier, tier.as_str())));
        let facts = HashMap::from([
            ("has_role".to_owned(), RestrictedExpression::new_bool(subject.role.is_some())),
            ("suspended".to_owned(), RestrictedExpression::new_bool(subject.suspended)),
            ("verified".to_owned(), RestrictedExpression::new_bool(subject.verified)),
            ("user".to_owned(), RestrictedExpression::new_entity_uid(uid(&self.types.user, &id))),
        ]);
        let object = uid(kind, resource.map_or("all", |resource| &resource.id));
        let mut entities: Vec<Entity> = groups.iter().cloned().map(Entity::with_uid).collect();
        entities.push(Entity::new(account.clone(), facts, groups).ok()?);
        entities.push(action.clone());
        let entities = Entities::from_entities(entities, None).ok()?;
        let request = Request::new(account, action.uid(), object, Context::empty(), None).ok()?;
        Some((request, entities))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({}, {} policies)", self.version, self.policies.len())
    }
}

/// `StemPack` is written `stem_pack` in routes.
fn kind_word(basename: &str) -> String {
    let mut word = String::new();
    for (at, letter) in basename.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}
