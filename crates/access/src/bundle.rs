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

use crate::bounds;
use base::Timestamp;

use crate::case::Case;
use crate::facts::ALL_RELATIONS;
use crate::slice::{Slice, Standing, Verdict};
use crate::source::{self, LoadedPolicy, PolicyError, PolicyFile};
use crate::{
    Action, Conditions, Decision, Facts, Hold, Relation, ResourceRef, Revision, Subject, UnknownAction,
    action, code,
};

/// The kind that stands for "no object named". Not a word that a route may use.
pub(crate) const PLATFORM: &str = "platform";
/// A person as an object.
const USER: &str = "user";
/// The group of the actions that ask for more than a session.
const SENSITIVE: &str = "sensitive";

/// One set of policies: schema, catalogue and rules, strictly validated and split by action. Immutable; to change
/// policies, make another and [put it in place](crate::Access::replace).
pub struct Bundle {
    version: Arc<str>,
    pub(crate) policies: Vec<LoadedPolicy>,
    types: Types,
    /// In the order of the name, for messages.
    actions: BTreeMap<String, ActionEntry>,
    files: Arc<[PolicyFile]>,
    /// For proofs about the policies.
    #[cfg(feature = "solver")]
    schema: cedar_policy::Schema,
}

/// Everything that there is about one action on one kind of object.
#[cfg(feature = "solver")]
pub(crate) struct Question<'a> {
    pub(crate) action: &'a str,
    /// `platform` stands for no object.
    pub(crate) kind: &'a str,
    pub(crate) entry: &'a ActionEntry,
    pub(crate) type_name: &'a EntityTypeName,
    pub(crate) slice: &'a Slice,
}

pub(crate) struct ActionEntry {
    /// Carries the groups that the action is in, for `action in …`.
    pub(crate) entity: Entity,
    /// Its harm cannot be taken back, so that a remembered fact is not good enough for it.
    immediate: bool,
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
        bounds::check_files(&files)?;
        // Cedar calls itself for every bracket and operator; a thread of its own has the stack for what the bounds allow.
        std::thread::Builder::new()
            .name("policies".to_owned())
            .stack_size(bounds::STACK)
            .spawn(move || Self::build(files))
            .map_err(|error| PolicyError::general(format!("no thread to load policies: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(PolicyError::general("Cedar gave up on these policies")))
    }

    fn build(files: Vec<PolicyFile>) -> Result<Self, PolicyError> {
        let mut sources = source::builtin();
        sources.extend(files.iter().cloned());
        let loaded = source::load(&sources)?;
        let entities =
            loaded.schema.action_entities().map_err(|e| PolicyError::general(format!("actions: {e}")))?;
        let mut actions = BTreeMap::new();
        for uid in loaded.schema.actions() {
            let Some(kinds) = loaded.schema.resources_for_action(uid) else { continue };
            let slices: HashMap<_, _> = kinds
                .map(|kind| {
                    let slice = Slice::new(&loaded.policies, &entities, uid, kind);
                    (kind_word(kind.basename()), (kind.clone(), slice))
                })
                .collect();
            for (kind, (_, slice)) in &slices {
                check_rules(&loaded.policies, uid.id().unescaped(), kind, slice)?;
            }
            // A group of actions applies to nothing and cannot be asked for.
            if let Some(entity) = entities.get(uid).filter(|_| !slices.is_empty()) {
                let name = uid.id().unescaped();
                let immediate = action::is_immediate(name)
                    || entities
                        .ancestors(uid)
                        .into_iter()
                        .flatten()
                        .any(|group| group.id().unescaped() == SENSITIVE);
                let entry = ActionEntry { entity: entity.clone(), immediate, slices };
                actions.insert(name.to_owned(), entry);
            }
        }
        let name = |text| EntityTypeName::from_str(text).expect("a constant entity type name");
        let types = Types {
            account: name("Fortissimo::Account"),
            role: name("Fortissimo::Role"),
            tier: name("Fortissimo::Tier"),
            user: name("Fortissimo::User"),
        };
        Ok(Self {
            version: loaded.version,
            policies: loaded.policies,
            types,
            actions,
            files: files.into(),
            #[cfg(feature = "solver")]
            schema: loaded.schema,
        })
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

    /// Whether some action is about objects of this kind.
    pub fn has_kind(&self, kind: &str) -> bool {
        kind != PLATFORM && self.actions.values().any(|entry| entry.slices.contains_key(kind))
    }

    /// Whether this action is about objects of this kind.
    pub fn is_about(&self, action: &Action, kind: &str) -> bool {
        kind != PLATFORM
            && self.actions.get(action.as_str()).is_some_and(|entry| entry.slices.contains_key(kind))
    }

    /// Whether the harm of this action cannot be taken back, so that nothing remembered decides about it: it deletes,
    /// exports, shares or administers, by its name or because a policy's schema calls it sensitive.
    pub fn is_immediate(&self, action: &Action) -> bool {
        self.actions.get(action.as_str()).is_some_and(|entry| entry.immediate)
    }

    /// Whether a remembered fact is good enough to decide about this action; `None` if it is not about such objects.
    pub(crate) fn may_remember(&self, action: &Action, kind: &str) -> Option<bool> {
        let entry = self.actions.get(action.as_str()).filter(|_| kind != PLATFORM)?;
        entry.slices.contains_key(kind).then_some(!entry.immediate)
    }

    /// The identifiers of the policies that can matter for an action on a kind of object, or on none.
    pub fn policies_about(&self, action: &Action, kind: Option<&str>) -> Vec<&str> {
        let entry = self.actions.get(action.as_str());
        let slice = entry.and_then(|entry| entry.slices.get(kind.unwrap_or(PLATFORM)));
        slice.map_or(Vec::new(), |(_, slice)| {
            slice.policies.iter().filter_map(|at| Some(&*self.policies.get(*at as usize)?.id)).collect()
        })
    }

    /// The residual of the policies for one person, one action and one kind of object, with only the relations unknown:
    /// the smallest sets of relations that allow it, none of which contains another. Whoever may do it to an object has
    /// at least one of these sets; the empty set means that no relation is needed. `None` if there is nothing to ask.
    ///
    /// Every policy about objects can be reduced to this, or it was refused at load; objects that a policy names are an
    /// exception of their own, see [`named`](Self::named).
    pub(crate) fn residual(
        &self,
        conditions: &Conditions,
        subject: &Subject,
        action: &Action,
        kind: &str,
    ) -> Option<Vec<u8>> {
        let unnamed = Facts::unrelated(
            ResourceRef { kind: kind.to_owned(), id: "\0".into() },
            Timestamp::from_millis(0),
        );
        let case = self.case(conditions, subject, action, Some(&unnamed), unnamed.now)?;
        let mut sets: Vec<u8> = (0..=ALL_RELATIONS).collect();
        sets.sort_by_key(|set| set.count_ones());
        let mut smallest: Vec<u8> = Vec::new();
        for set in sets {
            let covered = smallest.iter().any(|small| small & set == *small);
            if !covered && case.with(case.standing, set).code == code::GRANTED {
                smallest.push(set);
            }
        }
        Some(smallest)
    }

    /// Objects of a kind that a policy about this action names.
    pub(crate) fn named(&self, action: &Action, kind: &str) -> Vec<String> {
        let slice = self.actions.get(action.as_str()).and_then(|entry| entry.slices.get(kind));
        let mut names: Vec<String> =
            slice.map_or(Vec::new(), |(_, slice)| slice.named_objects.iter().cloned().collect());
        names.sort_unstable();
        names
    }

    /// Accounts that a policy about this action on this kind names.
    pub(crate) fn named_accounts(&self, action: &Action, kind: &str) -> Vec<String> {
        let slice = self.actions.get(action.as_str()).and_then(|entry| entry.slices.get(kind));
        slice.map_or(Vec::new(), |(_, slice)| slice.named_accounts.iter().cloned().collect())
    }

    /// See [`Access::decide`](crate::Access::decide); with the default conditions.
    pub fn decide(&self, subject: &Subject, action: &Action, object: Option<&Facts>) -> Decision {
        self.decide_under(&Conditions::default(), subject, action, object)
    }

    /// The decision under these conditions.
    pub fn decide_under(
        &self,
        conditions: &Conditions,
        subject: &Subject,
        action: &Action,
        object: Option<&Facts>,
    ) -> Decision {
        let now = object.map_or(Timestamp::from_millis(0), |facts| facts.now);
        self.decide_at(conditions, subject, action, object, now)
    }

    /// The decision at a moment that may be later than that at which the facts were read; so remembered facts need not
    /// be copied to be asked about.
    pub(crate) fn decide_at(
        &self,
        conditions: &Conditions,
        subject: &Subject,
        action: &Action,
        object: Option<&Facts>,
        now: Timestamp,
    ) -> Decision {
        let relations = object.map_or(Vec::new(), |facts| facts.relations_at(now).collect());
        let mut decision = Decision {
            allowed: false,
            code: code::UNKNOWN_ACTION,
            rule: None,
            missing: Arc::default(),
            expires_at: None,
            policy_version: Arc::clone(&self.version),
            visible: object.is_none_or(|facts| facts.set_at(now) != 0),
            relations,
            revision: object.map_or(Revision::default(), |facts| facts.revision),
            action: action.clone(),
            resource: object.map(|facts| facts.resource.clone()),
        };
        let Some(case) = self.case(conditions, subject, action, object, now) else {
            if self.actions.contains_key(action.as_str()) {
                decision.code = code::UNKNOWN_RESOURCE;
            }
            return decision;
        };
        let mut verdict = case.now();
        // An administrator may take down what they cannot see; but not what nobody vouches for the existence of.
        let vouched = object.is_none_or(|facts| facts.registered || facts.resource.kind == USER);
        if verdict.code == code::GRANTED && !vouched {
            verdict = Verdict { code: code::NO_RELATION, policy: None };
        }
        decision.code = verdict.code;
        decision.allowed = verdict.code == code::GRANTED;
        decision.rule = self.rule(verdict);
        if decision.allowed {
            decision.expires_at = case.end();
        } else {
            case.explain(&mut decision);
        }
        decision
    }

    /// The `@id` of the policy that decided.
    pub(crate) fn rule(&self, verdict: Verdict) -> Option<Arc<str>> {
        verdict.policy.and_then(|at| self.policies.get(at as usize)).map(|loaded| Arc::clone(&loaded.id))
    }

    /// The question, as far as it can be put: `None` if there is no such action, or it is not about such objects.
    pub(crate) fn case<'a>(
        &'a self,
        conditions: &'a Conditions,
        subject: &'a Subject,
        action: &'a Action,
        object: Option<&'a Facts>,
        now: Timestamp,
    ) -> Option<Case<'a>> {
        let resource = object.map(|facts| &facts.resource);
        let kind = resource.map_or(PLATFORM, |resource| resource.kind.as_str());
        // A route cannot name the whole platform as an object: its identifier would mean nothing.
        if resource.is_some_and(|resource| resource.kind == PLATFORM) {
            return None;
        }
        let entry = self.actions.get(action.as_str())?;
        let (type_name, slice) = entry.slices.get(kind)?;
        let names_account = !slice.named_accounts.is_empty()
            && subject.account.is_some_and(|account| slice.named_accounts.contains(&account.to_string()));
        let named = names_account || resource.is_some_and(|r| slice.named_objects.contains(&r.id));
        let assurance = &subject.assurance;
        let standing = Standing {
            role: subject.role,
            tier: subject.tier,
            suspended: subject.suspended,
            verified: subject.verified,
            locked: assurance.locked,
            strong: conditions.is_strong(assurance),
            risky: conditions.is_risky(assurance),
        };
        let token_counts = object.is_some_and(|facts| self.token_counts(conditions, action, facts, now));
        let case = Case {
            bundle: self,
            conditions,
            entry,
            type_name,
            slice,
            subject,
            standing,
            named,
            object,
            now,
            token_counts,
        };
        Some(case)
    }

    /// Whether what a collaboration token gave covers the action: it names it, and its inviter may still do it.
    fn token_counts(&self, conditions: &Conditions, action: &Action, facts: &Facts, now: Timestamp) -> bool {
        let Some(terms) = facts.token.as_deref().filter(|_| facts.hold(Relation::Token).at(now)) else {
            return false;
        };
        // Who came by a token has none to give, so this ends here.
        if terms.inviter_relation == Relation::Token || !terms.permissions.contains(action) {
            return false;
        }
        let theirs = Facts::unrelated(facts.resource.clone(), now).with(terms.inviter_relation, Hold::Always);
        self.decide_under(conditions, &terms.inviter, action, Some(&theirs)).allowed
    }

    #[cfg(test)]
    pub(crate) fn remembers(&self, action: &str, kind: &str) -> bool {
        self.actions[action].slices[kind].1.remembers()
    }

    /// The request and the entities for Cedar; `None` if Cedar refuses to have them, which is an evaluation error.
    pub(crate) fn question(
        &self,
        subject: &Subject,
        standing: Standing,
        relations: u8,
        action: &Entity,
        kind: &EntityTypeName,
        resource: Option<&ResourceRef>,
    ) -> Option<(Request, Entities)> {
        let uid =
            |of: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id));
        let flag = |name: &str, value| (name.to_owned(), RestrictedExpression::new_bool(value));
        let id = subject.account.map_or_else(|| "anonymous".to_owned(), |account| account.to_string());
        let account = uid(&self.types.account, &id);
        let mut groups = HashSet::new();
        groups.extend(standing.role.map(|role| uid(&self.types.role, role.as_str())));
        groups.extend(standing.tier.map(|tier| uid(&self.types.tier, tier.as_str())));
        let facts = HashMap::from([
            flag("has_role", standing.role.is_some()),
            flag("suspended", standing.suspended),
            flag("verified", standing.verified),
            flag("locked", standing.locked),
            flag("strong", standing.strong),
            flag("risky", standing.risky),
            ("user".to_owned(), RestrictedExpression::new_entity_uid(uid(&self.types.user, &id))),
        ]);
        let context = Relation::ALL.iter().map(|one| flag(one.as_str(), relations & one.bit() != 0));
        let object = uid(kind, resource.map_or("all", |resource| &resource.id));
        let mut entities: Vec<Entity> = groups.iter().cloned().map(Entity::with_uid).collect();
        entities.push(Entity::new(account.clone(), facts, groups).ok()?);
        entities.push(action.clone());
        let entities = Entities::from_entities(entities, None).ok()?;
        let context = Context::from_pairs(context).ok()?;
        let request = Request::new(account, action.uid(), object, context, None).ok()?;
        Some((request, entities))
    }
}

#[cfg(feature = "solver")]
impl Bundle {
    pub(crate) fn schema(&self) -> &cedar_policy::Schema {
        &self.schema
    }

    /// The type of everybody who asks.
    pub(crate) fn account_type(&self) -> &EntityTypeName {
        &self.types.account
    }

    /// Every question that can be put, in the order of actions and kinds.
    pub(crate) fn questions(&self) -> Vec<Question<'_>> {
        let mut questions: Vec<_> =
            self.actions.keys().flat_map(|action| self.questions_about(action)).collect();
        questions.sort_by_key(|one| (one.action, one.kind));
        questions
    }

    /// The same question, if it can be put here.
    pub(crate) fn question_about(&self, action: &str, kind: &str) -> Option<Question<'_>> {
        self.questions_about(action).find(|one| one.kind == kind)
    }

    fn questions_about(&self, action: &str) -> impl Iterator<Item = Question<'_>> {
        self.actions.get_key_value(action).into_iter().flat_map(|(action, entry)| {
            entry.slices.iter().map(move |(kind, (type_name, slice))| Question {
                action,
                kind,
                entry,
                type_name,
                slice,
            })
        })
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({}, {} policies)", self.version, self.policies.len())
    }
}

/// What every action on a kind of object must have, so that nothing private is open by omission and every question has a
/// list. A person's record is no work of theirs: the roles that administer accounts need no relation to it.
fn check_rules(
    policies: &[LoadedPolicy],
    action: &str,
    kind: &str,
    slice: &Slice,
) -> Result<(), PolicyError> {
    if kind == PLATFORM || kind == USER {
        return Ok(());
    }
    if let Some(id) = &slice.unlistable {
        debug_assert!(policies.iter().any(|loaded| loaded.id == *id), "it is one of them");
        return Err(PolicyError::general(format!(
            "@id(\"{id}\"): {action} on {kind} could not be listed: beside role, tier, conditions and relations, a policy \
             about objects may only compare principal and resource with names written out"
        )));
    }
    if slice.has_relation_rule {
        return Ok(());
    }
    Err(PolicyError::general(format!(
        "{action} on {kind} has no rule about relations, so everybody with the right role could do it to anybody's; write \
         a forbid such as: @id(\"…\") @code(\"no-relation\") forbid (principal, action, resource is …) unless {{ \
         context.owner }};"
    )))
}

/// `StemPack` is written `stem_pack` in routes.
pub(crate) fn kind_word(basename: &str) -> String {
    let mut word = String::new();
    for (at, letter) in basename.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod split_tests;
