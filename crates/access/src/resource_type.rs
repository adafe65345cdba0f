//! Types of objects that an operator adds by configuration, as schema and policies like any others.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::source::{PolicyError, PolicyFile};
use crate::{CATALOGUE, Relation, Role, Tier, bundle};

/// Types that one configuration can add.
const MAX_TYPES: usize = 100;
/// Actions on one type.
const MAX_ACTIONS: usize = 50;
/// Characters of a name.
const MAX_NAME: usize = 40;

/// Words that stand in the built-in schema.
const TAKEN: [&str; 9] =
    ["platform", "account", "role", "tier", "user", "track", "playlist", "project", "generation"];

/// A type of objects with owners, such as `stem_pack`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceType {
    /// As in routes: lower-case words with `_` between.
    pub name: String,
    /// What can be done to them.
    pub actions: Vec<TypeAction>,
}

/// An action on objects of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeAction {
    /// `stem:render`.
    pub name: String,
    /// Any one of these is enough; at least one must be named.
    pub relations: Vec<Relation>,
    /// Roles that grant it; super_admin always does.
    pub roles: Vec<Role>,
    /// Tiers that grant it.
    pub tiers: Vec<Tier>,
    /// It deletes, exports or shares: a second factor and a session without suspicion are demanded.
    pub sensitive: bool,
}

impl ResourceType {
    /// The files of a bundle that add these types, to be put beside an operator's own; none for none.
    ///
    /// # Errors
    /// A name that cannot be one or is taken, an action without relations, too many of either.
    pub fn files(types: &[Self]) -> Result<Vec<PolicyFile>, PolicyError> {
        if types.is_empty() {
            return Ok(Vec::new());
        }
        if types.len() > MAX_TYPES {
            return Err(wrong(format!("more than {MAX_TYPES} types of objects")));
        }
        let mut names = HashSet::new();
        let mut words = HashSet::new();
        for one in types {
            if TAKEN.contains(&one.name.as_str()) || !names.insert(&one.name) {
                return Err(wrong(format!("there is a type {} already", one.name)));
            }
            for action in &one.actions {
                if CATALOGUE.contains(&action.name.as_str()) || !words.insert(&action.name) {
                    return Err(wrong(format!(
                        "{}: there is an action {} already; each belongs to one type",
                        one.name, action.name
                    )));
                }
            }
        }
        let mut schema = String::from("// Made from [[access.resource_type]].\nnamespace Fortissimo {\n");
        let mut policies = String::from("// Made from [[access.resource_type]].\n");
        for one in types {
            one.write(&mut schema, &mut policies)?;
        }
        schema.push_str("}\n");
        let file = |name: &str, text| PolicyFile { name: name.to_owned(), text };
        Ok(vec![file("resource_types.cedarschema", schema), file("resource_types.cedar", policies)])
    }

    fn write(&self, schema: &mut String, policies: &mut String) -> Result<(), PolicyError> {
        let Self { name, actions } = self;
        let entity = entity(name).ok_or_else(|| {
            wrong(format!("the type {name:?} must be lower-case words of letters and digits with _ between"))
        })?;
        if !(1..=MAX_ACTIONS).contains(&actions.len()) {
            return Err(wrong(format!("the type {name} must have 1 to {MAX_ACTIONS} actions")));
        }
        let _ = writeln!(schema, "  entity {entity};");
        for action in actions {
            let word = &action.name;
            let is_part =
                |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if word.len() > MAX_NAME * 2
                || !word.split_once(':').is_some_and(|(of, verb)| is_part(of) && is_part(verb))
            {
                return Err(wrong(format!(
                    "the action {word:?} of {name} must be named like \"stem:render\""
                )));
            }
            if action.relations.is_empty() {
                return Err(wrong(format!(
                    "the action {word} of {name} must name the relations that are enough for it"
                )));
            }
            let group = if action.sensitive { " in [Action::\"sensitive\"]" } else { "" };
            let _ = writeln!(
                schema,
                "  action \"{word}\"{group} appliesTo {{ principal: Account, resource: [Platform, {entity}], context: Relations }};"
            );
            let enough: Vec<String> = action.relations.iter().map(|one| format!("context.{one}")).collect();
            let _ = writeln!(
                policies,
                "\n@id(\"relation.{name}.{word}\")\n@code(\"no-relation\")\nforbid (principal, action == \
                 Fortissimo::Action::\"{word}\", resource is Fortissimo::{entity})\nunless {{ {} }};",
                enough.join(" || ")
            );
            let groups = action.roles.iter().map(|role| ("Role", role.as_str()));
            for (kind, who) in groups.chain(action.tiers.iter().map(|tier| ("Tier", tier.as_str()))) {
                let _ = writeln!(
                    policies,
                    "\n@id(\"type.{name}.{word}.{who}\")\npermit (principal in Fortissimo::{kind}::\"{who}\", action == \
                     Fortissimo::Action::\"{word}\", resource);"
                );
            }
        }
        Ok(())
    }
}

/// `stem_pack` is `StemPack` in policies; `None` if the way back would lead elsewhere.
fn entity(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split('_').collect();
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if name.len() > MAX_NAME || !words.iter().all(is_word) {
        return None;
    }
    let entity: String = words.iter().map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    (bundle::kind_word(&entity) == name).then_some(entity)
}

fn wrong(message: String) -> PolicyError {
    PolicyError::general(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Bundle, Facts, Hold, ResourceRef, Subject, code};

    fn stems() -> ResourceType {
        ResourceType {
            name: "stem_pack".into(),
            actions: vec![
                TypeAction {
                    name: "stem:render".into(),
                    relations: vec![Relation::Owner, Relation::Shared],
                    roles: vec![Role::PremiumUser],
                    tiers: vec![Tier::Pro, Tier::Studio],
                    sensitive: false,
                },
                TypeAction {
                    name: "stem:delete".into(),
                    relations: vec![Relation::Owner],
                    roles: vec![],
                    tiers: vec![Tier::Studio],
                    sensitive: true,
                },
            ],
        }
    }

    #[test]
    fn a_type_of_the_configuration_is_decided_like_any_other() {
        let files = ResourceType::files(&[stems()]).unwrap();
        let access = Access::new(Bundle::from_files(files).unwrap());
        let render = access.action("stem:render").unwrap();
        let ada = Subject::account(base::Id::from_bytes([7; 16]), Role::User, Tier::Pro);
        let pack = Facts::unrelated(
            ResourceRef { kind: "stem_pack".into(), id: "1".into() },
            base::Timestamp::from_millis(0),
        );
        assert_eq!(access.decide(&ada, &render, Some(&pack)).code, code::NO_RELATION);
        let shared = pack.clone().with(Relation::Shared, Hold::Always);
        assert!(access.decide(&ada, &render, Some(&shared)).allowed);
        let poor = Subject { tier: Some(Tier::Free), ..ada };
        assert_eq!(access.decide(&poor, &render, Some(&shared)).code, code::NO_GRANT);
        let delete = access.action("stem:delete").unwrap();
        let mut rich = Subject { tier: Some(Tier::Studio), ..ada };
        let own = pack.with(Relation::Owner, Hold::Always);
        assert!(access.decide(&rich, &delete, Some(&own)).allowed);
        rich.assurance.second_factor = true;
        assert_eq!(access.decide(&rich, &delete, Some(&own)).code, code::MFA_REQUIRED);
        assert_eq!(ResourceType::files(&[]).unwrap(), []);
    }

    #[test]
    fn what_is_sensitive_is_never_decided_from_memory_whatever_it_is_called() {
        let mut burn = stems();
        burn.actions[1].name = "stem:burn".into();
        let bundle = Bundle::from_files(ResourceType::files(&[burn]).unwrap()).unwrap();
        let remembers = |name: &str, kind| bundle.may_remember(&bundle.action(name).unwrap(), kind);
        assert_eq!(remembers("stem:burn", "stem_pack"), Some(false));
        assert_eq!(remembers("stem:render", "stem_pack"), Some(true));
        assert_eq!(remembers("stem:render", "track"), None);
        for name in crate::CATALOGUE {
            let action = bundle.action(name).unwrap();
            let verb = name.rsplit(':').next().unwrap();
            for kind in bundle.kinds(&action) {
                if ["delete", "export", "share", "admin"].contains(&verb) {
                    assert_eq!(bundle.may_remember(&action, kind), Some(false), "{name} on {kind}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_a_type_is_refused() {
        for name in
            ["", "Stem", "stem pack", "stem-pack", "_stem", "stem__pack", "stem_1", "é", &"x".repeat(41)]
        {
            let wrong = ResourceType { name: name.into(), ..stems() };
            assert!(ResourceType::files(&[wrong]).is_err(), "{name:?}");
        }
        for name in ["", "render", "stem:", "stem:ren der", "stem:x\"", "STEM:x"] {
            let mut wrong = stems();
            wrong.actions[0].name = name.into();
            assert!(ResourceType::files(&[wrong]).is_err(), "{name:?}");
        }
        let mut open = stems();
        open.actions[0].relations.clear();
        assert!(ResourceType::files(&[open]).is_err());
        // Twice the same, and one of ours: the schema knows only one of each.
        let told = |types: &[ResourceType]| ResourceType::files(types).unwrap_err().to_string();
        assert_eq!(told(&[stems(), stems()]), "there is a type stem_pack already");
        for name in TAKEN {
            assert!(told(&[ResourceType { name: name.into(), ..stems() }]).contains("already"), "{name}");
        }
        let other = ResourceType { name: "loop".into(), ..stems() };
        assert!(told(&[stems(), other]).contains("loop: there is an action stem:render already"));
        let mut ours = stems();
        ours.actions[0].name = "track:read".into();
        assert!(told(&[ours]).contains("there is an action track:read already"));
    }
}
