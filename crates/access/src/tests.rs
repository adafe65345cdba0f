use std::fmt::Write as _;

use base::{Id, kind};

use crate::*;

/// A hundred times as many questions: `FORTISSIMO_LONG=1 cargo test -p fortissimo-access`.
pub(crate) fn is_long_run() -> bool {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is said from outside")]
    let wished = std::env::var_os("FORTISSIMO_LONG");
    wished.is_some_and(|value| value != "0")
}

fn account() -> Id<kind::Account> {
    Id::from_bytes([7; 16])
}

fn access() -> Access {
    Access::builtin().unwrap()
}

fn with(files: &[(&str, &str)]) -> Result<Access, PolicyError> {
    let files = files.iter().map(|(name, text)| PolicyFile { name: (*name).into(), text: (*text).into() });
    Bundle::from_files(files.collect()).map(Access::new)
}

fn unrelated(kind: &str, id: &str) -> Facts {
    Facts::unrelated(ResourceRef { kind: kind.into(), id: id.into() }, base::Timestamp::from_millis(0))
}

fn allowed(access: &Access, role: Option<Role>, tier: Option<Tier>, action: &str) -> bool {
    let subject = Subject { role, tier, ..Subject::account(account(), Role::Guest, Tier::Free) };
    access.decide(&subject, &access.action(action).unwrap(), None).allowed
}

// Written by hand from the text of SPEC.md, on purpose not from the policies: it is their judge.
const ALL_TRACK: &str = "track:read track:write track:delete track:analyze";
const ALL_PLAYLIST: &str = "playlist:read playlist:write playlist:delete playlist:share";
const ALL_CREATIVE: &str = "project:create project:read project:update project:delete project:share project:export \
    generate:create generate:view generate:download generate:commercial \
    collab:invite collab:manage collab:real_time data:export data:delete analytics:view";
const REST: &str = "user:read user:write user:delete user:admin system:config system:logs system:metrics \
    analytics:read analytics:export";
const FREE: &str =
    "project:create project:read project:update generate:create generate:view generate:download";

pub(crate) fn role_grants(role: Role) -> String {
    match role {
        Role::Guest => "track:read".into(),
        Role::User => "track:read playlist:read playlist:write".into(),
        Role::PremiumUser => {
            "track:read track:analyze playlist:read playlist:write playlist:share analytics:read".into()
        }
        Role::Moderator => {
            format!("track:read track:write track:analyze {ALL_PLAYLIST} user:read analytics:read")
        }
        Role::Admin => format!(
            "{ALL_TRACK} {ALL_PLAYLIST} user:read user:write user:delete system:config system:logs \
             analytics:read analytics:export"
        ),
        Role::SuperAdmin => format!("{ALL_TRACK} {ALL_PLAYLIST} {ALL_CREATIVE} {REST}"),
    }
}

pub(crate) fn tier_grants(tier: Tier) -> String {
    match tier {
        Tier::Free => FREE.into(),
        Tier::Pro => format!("{FREE} project:share generate:commercial collab:invite data:export"),
        Tier::Studio => ALL_CREATIVE.into(),
    }
}

#[test]
fn every_cell_of_the_matrix_is_as_the_specification_says() {
    let access = access();
    let everything = format!("{ALL_TRACK} {ALL_PLAYLIST} {ALL_CREATIVE} {REST}");
    let mut catalogue: Vec<&str> = everything.split_ascii_whitespace().collect();
    assert_eq!(catalogue.len(), 33);
    let words = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for role in Role::ALL {
        for tier in Tier::ALL.iter().copied().map(Some).chain([None]) {
            let mut expected = words(role_grants(*role));
            expected.extend(tier.map(tier_grants).map(words).unwrap_or_default());
            // "Belong to everyone in every tier."
            expected.extend(["data:export".into(), "data:delete".into()]);
            for action in &catalogue {
                let wanted = expected.iter().any(|name| name == action);
                assert_eq!(allowed(&access, Some(*role), tier, action), wanted, "{role} {tier:?} {action}");
            }
        }
    }
    catalogue.sort_unstable();
    assert_eq!(access.actions(), catalogue, "the schema's actions are those of ACCESS-1");
    let mut constants = CATALOGUE.to_vec();
    constants.sort_unstable();
    assert_eq!(constants, catalogue);
}

/// The whole matrix as a file, so that a change of policies is a readable diff.
/// To accept a change: `FORTISSIMO_BLESS=1 cargo test -p fortissimo-access`.
#[test]
fn matrix_file_is_what_the_policies_say() {
    let mut table = String::from(
        "Who may do what, as the built-in policies decide. Made by a test of crates/access; do not edit.\n",
    );
    let _ = write!(table, "{}", Matrix::of(&Bundle::builtin().unwrap()));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/matrix.txt");
    if option_env!("FORTISSIMO_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        table,
        "matrix.txt is not what the policies say"
    );
}

#[test]
fn reasons_name_the_rule_or_what_was_missing() {
    let access = access();
    let subject = Subject::account(account(), Role::User, Tier::Free);
    let granted = access.decide(&subject, &"track.read".parse().unwrap(), None);
    assert_eq!(
        (granted.allowed, granted.code, granted.rule.as_deref()),
        (true, code::GRANTED, Some("role.user"))
    );
    assert_eq!(granted.policy_version, access.version());

    let denied = access.decide(&subject, &"generate:commercial".parse().unwrap(), None);
    assert_eq!((denied.allowed, denied.code, denied.rule.as_deref()), (false, code::NO_GRANT, None));
    let expected = [Grant::Role(Role::SuperAdmin), Grant::Tier(Tier::Pro), Grant::Tier(Tier::Studio)];
    assert_eq!(*denied.missing, expected);
}

#[test]
fn conditions_bind_even_the_mightiest() {
    let access = access();
    let mighty = Subject::account(account(), Role::SuperAdmin, Tier::Studio);
    let action: Action = "track:read".parse().unwrap();
    for (subject, wanted, rule) in [
        (Subject { suspended: true, ..mighty }, code::SUSPENDED, "condition.active"),
        (Subject { verified: false, ..mighty }, code::UNVERIFIED, "condition.verified"),
        (Subject { role: None, ..mighty }, code::NO_ROLE, "condition.role"),
        (Subject::anonymous(), code::NO_ROLE, "condition.role"),
    ] {
        let decision = access.decide(&subject, &action, None);
        assert_eq!((decision.allowed, decision.code, decision.rule.as_deref()), (false, wanted, Some(rule)));
        assert!(decision.missing.is_empty(), "no grant would help");
        // The remembered answer is the same.
        assert_eq!(access.decide(&subject, &action, None), decision);
    }
}

#[test]
fn the_unknown_is_denied() {
    let access = access();
    let mighty = Subject::account(account(), Role::SuperAdmin, Tier::Studio);
    let strange = Action(std::borrow::Cow::Borrowed("track:burn"));
    assert_eq!(access.decide(&mighty, &strange, None).code, code::UNKNOWN_ACTION);
    for kind in ["playlist", "platform", "Track", ""] {
        let object = unrelated(kind, "1").with(Relation::Owner, Hold::Always);
        let decision = access.decide(&mighty, &"track:read".parse().unwrap(), Some(&object));
        assert_eq!((decision.allowed, decision.code), (false, code::UNKNOWN_RESOURCE), "{kind}");
    }
}

#[test]
fn objects_are_carried_and_own_data_stays_own() {
    let access = access();
    let subject = Subject::account(account(), Role::User, Tier::Pro);
    let track = unrelated("track", "42\" || true").with(Relation::Shared, Hold::Always);
    let decision = access.decide(&subject, &"track:read".parse().unwrap(), Some(&track));
    assert!(decision.allowed);
    assert_eq!(decision.resource, Some(track.resource));

    let export: Action = "data:export".parse().unwrap();
    let own = unrelated("user", &account().to_string());
    let other = unrelated("user", &Id::<kind::Account>::from_bytes([8; 16]).to_string());
    assert!(access.decide(&subject, &export, Some(&own)).allowed);
    // Twice, the other way round too: a verdict about one object must not be remembered for another.
    assert_eq!(access.decide(&subject, &export, Some(&other)).code, code::NOT_YOURS);
    assert!(access.decide(&subject, &export, Some(&own)).allowed);
    assert!(!access.bundle().remembers("data:export", "user"));
    assert!(access.bundle().remembers("data:export", "platform"));
    assert!(access.bundle().remembers("track:read", "track"));
}

#[test]
fn a_policy_that_fails_to_evaluate_denies() {
    // Strictly valid, yet adds up beyond 64 bits.
    let text = r#"@id("overflow") forbid (principal, action == Fortissimo::Action::"track:read", resource)
        when { 9223372036854775807 + 1 == 0 };"#;
    let access = with(&[("overflow.cedar", text)]).unwrap();
    let mighty = Subject::account(account(), Role::SuperAdmin, Tier::Studio);
    let decision = access.decide(&mighty, &"track:read".parse().unwrap(), None);
    assert_eq!((decision.allowed, decision.code), (false, code::EVALUATION_ERROR));
    assert!(decision.is_evaluation_error());
    assert!(
        access.decide(&mighty, &"track:write".parse().unwrap(), None).allowed,
        "other actions do not meet it"
    );
}

#[test]
fn a_verdict_about_a_named_object_is_not_remembered_for_others() {
    let text = r#"@id("frozen") forbid (principal, action == Fortissimo::Action::"track:write", resource)
        when { resource == Fortissimo::Track::"1" };"#;
    let access = with(&[("frozen.cedar", text)]).unwrap();
    let admin = Subject::account(account(), Role::Admin, Tier::Free);
    let write: Action = "track:write".parse().unwrap();
    let track = |id: &str| unrelated("track", id).with(Relation::Owner, Hold::Always);
    for _ in 0..2 {
        assert!(access.decide(&admin, &write, Some(&track("2"))).allowed);
        let decision = access.decide(&admin, &write, Some(&track("1")));
        assert_eq!((decision.code, decision.rule.as_deref()), (code::FORBIDDEN, Some("frozen")));
    }
}

#[test]
fn policies_about_one_person_are_not_remembered_for_others() {
    let other = Id::<kind::Account>::from_bytes([8; 16]);
    let text = format!(
        r#"@id("banned") forbid (principal == Fortissimo::Account::"{other}", action, resource);
        @id("banned-too") forbid (principal, action, resource) when {{ principal == Fortissimo::Account::"{other}" }};"#
    );
    let access = with(&[("banned.cedar", &text)]).unwrap();
    let read: Action = "track:read".parse().unwrap();
    for _ in 0..2 {
        assert!(!access.decide(&Subject::account(other, Role::User, Tier::Free), &read, None).allowed);
        assert!(access.decide(&Subject::account(account(), Role::User, Tier::Free), &read, None).allowed);
    }
}

#[test]
fn bad_policies_are_refused_with_their_place() {
    let message = |name: &str, text: &str| with(&[(name, text)]).unwrap_err().to_string();
    for (text, place, part) in [
        ("permit (principal, action resource);", "x.cedar:1:27: ", "unexpected token"),
        (
            "@id(\"a\")\npermit (principal, action == Fortissimo::Action::\"track:raed\", resource);",
            "x.cedar:2:",
            "track:raed",
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource) when {\n  principal.sus };",
            "x.cedar:3:3: ",
            "sus",
        ),
        ("\n\n  permit (principal, action, resource);", "x.cedar:3:3: ", "no @id"),
        ("@id(\"role.guest\") forbid (principal, action, resource);", "x.cedar:1:1: ", "builtin/roles.cedar"),
        ("@id(\"a\") @code(\"x\") forbid (principal, action, resource);", "x.cedar:1:1: ", "not-yours"),
        (
            "@id(\"a\") @code(\"granted\") forbid (principal, action, resource);",
            "x.cedar:1:1: ",
            "must be one of",
        ),
        ("@id(\"a\") permit (principal == ?principal, action, resource);", "x.cedar: ", "templates"),
    ] {
        let message = message("x.cedar", text);
        assert!(message.starts_with(place) && message.contains(part), "{text}\n → {message}");
    }
    let wrong = message("x.cedarschema", "namespace Fortissimo { entity ; }");
    assert!(wrong.starts_with("x.cedarschema:1:31: "), "{wrong}");
}

#[test]
fn a_directory_adds_actions_kinds_and_rules() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "stems.cedarschema",
        r#"namespace Fortissimo { entity StemPack;
           action "stem:render" appliesTo { principal: Account, resource: [Platform, StemPack], context: Relations }; }"#,
    );
    write(
        "stems.cedar",
        r#"@id("stems") permit (principal in Fortissimo::Tier::"studio", action == Fortissimo::Action::"stem:render", resource);"#,
    );
    // Nothing says yet what somebody must have to do with a pack.
    let message = Access::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("stem:render on stem_pack has no rule about relations"), "{message}");
    write(
        "packs.cedar",
        r#"@id("packs") @code("no-relation") forbid (principal, action, resource is Fortissimo::StemPack) unless { context.owner };"#,
    );
    write("notes.txt", "not a policy");
    let access = Access::load(dir.path()).unwrap();
    assert_ne!(access.version(), self::access().version());
    assert!(allowed(&access, Some(Role::User), Some(Tier::Studio), "stem.render"));
    assert!(!allowed(&access, Some(Role::User), Some(Tier::Pro), "stem:render"));
    assert!(Requirement::parse("stem:render on stem_pack/{id}", &access).is_ok());
    assert_eq!(access.action("stem:rendr").unwrap_err().nearest.as_deref(), Some("stem:render"));
    assert!(Access::load(&dir.path().join("absent")).is_err());
}

#[test]
fn names_are_parsed_and_misspellings_are_explained() {
    assert_eq!("track.read".parse::<Action>().unwrap().as_str(), "track:read");
    assert_eq!("collab.real_time".parse::<Action>().unwrap().as_str(), "collab:real_time");
    assert_eq!("track:raed".parse::<Action>().unwrap_err().nearest.as_deref(), Some("track:read"));
    assert_eq!("zzzzzzzzzzzzzzzzzz".parse::<Action>().unwrap_err().nearest, None);
    for wrong in ["", "track", "track:", "TRACK:READ", " track:read", "track:read:x", "track..read"] {
        assert!(wrong.parse::<Action>().is_err(), "{wrong:?}");
    }
    let long = "é".repeat(100_000);
    assert!(long.parse::<Action>().unwrap_err().to_string().len() < 300);
    assert_eq!("premium_user".parse::<Role>(), Ok(Role::PremiumUser));
    assert_eq!(
        "root".parse::<Role>().unwrap_err().to_string(),
        "unknown role; known are: guest, user, premium_user, moderator, admin, super_admin"
    );
}

#[test]
fn requirements_are_parsed_and_mistakes_explained() {
    let access = access();
    for text in [
        "public",
        "authenticated",
        "track:read",
        "track:read on track/{id}",
        "generate:view on project/{p_1}",
    ] {
        assert_eq!(Requirement::parse(text, &access).unwrap().to_string(), text);
    }
    for (text, part) in [
        ("", "empty"),
        ("Public", "did you mean \"public\""),
        ("authentcated", "did you mean \"authenticated\""),
        ("track:raed", "did you mean \"track:read\""),
        ("track:read on", "not understood"),
        ("track:read for track/{id}", "not understood"),
        ("track:read on track/{id} now", "not understood"),
        ("track:read on track", "track/{id}"),
        ("track:read on track/42", "track/{id}"),
        ("track:read on track/{}", "track/{id}"),
        ("track:read on track/{a}/{b}", "track/{id}"),
        ("track:read on playlist/{id}", "it can be about: track"),
        ("track:read on platform/{id}", "it can be about: track"),
        ("system:logs on track/{id}", "no object"),
    ] {
        let message = Requirement::parse(text, &access).unwrap_err().to_string();
        assert!(message.contains(part), "{text:?} → {message}");
    }
}

#[test]
fn permits_need_a_grant_and_typed_actions_exist() {
    let access = access();
    for name in actions::NAMES {
        assert!(name.parse::<Action>().is_ok(), "{name}");
    }
    let admin = Subject::account(account(), Role::Admin, Tier::Free);
    let permit = access.permit::<actions::UserRead>(&admin).unwrap();
    assert_eq!(permit.actor(), base::Actor::Account(account()));
    assert_eq!(access.permit::<actions::UserAdmin>(&admin).unwrap_err().code, code::NO_GRANT);
    assert_eq!(access.permit::<actions::UserRead>(&Subject::anonymous()).unwrap_err().code, code::NO_ROLE);
}

/// Written by hand from ACCESS-4 and the text of the issue, on purpose not from the policies: it is their judge.
pub(crate) fn relation_suffices(kind: &str, action: &str, relation: Relation, role: Role) -> bool {
    use Relation::{BreakGlass, Collaborator, Owner, Public, Shared, Token};
    let administers = matches!(role, Role::Admin | Role::SuperAdmin);
    let verb = action.split(':').nth(1).unwrap();
    let personal = matches!(relation, Owner | Collaborator | Token);
    match (kind, verb) {
        // "read = owner, public or shared": whoever has anything to do with it. Glass is the administrators'.
        (_, "read" | "view" | "analyze") if action != "analytics:view" => {
            relation != BreakGlass || administers
        }
        ("generation", "commercial") => relation == Owner,
        (_, "invite") => matches!(relation, Owner | Collaborator),
        // "delete = owner only", which does not bind admin and super_admin.
        (_, "delete") => relation == Owner || administers,
        // What is public binds neither of them.
        _ if administers && relation == Public => true,
        // "write = owner or collaborator", or a token that says so.
        (_, "write" | "update" | "create" | "real_time") => personal,
        (_, "download") => personal || relation == Shared,
        (_, "share" | "manage" | "commercial") => relation == Owner,
        ("project", "export") => personal,
        (_, "view" | "export") => matches!(relation, Owner | Collaborator),
        _ => {
            assert!(!matches!(relation, BreakGlass) || !personal);
            panic!("no rule is written down for {action} on {kind}")
        }
    }
}

#[test]
fn every_relation_opens_what_the_specification_says_and_nothing_else() {
    let access = access();
    let mut cells = 0;
    for name in access.actions() {
        let action = access.action(&name).unwrap();
        for kind in access.kinds(&action).into_iter().filter(|kind| kind != "user") {
            for (role, tier) in
                [(Role::SuperAdmin, Tier::Free), (Role::Admin, Tier::Studio), (Role::Moderator, Tier::Studio)]
            {
                let subject = Subject::account(account(), role, tier);
                let capable = access.decide(&subject, &action, None).allowed;
                let ask = |facts: &Facts| access.decide(&subject, &action, Some(facts));
                let stranger = ask(&unrelated(&kind, "1"));
                let administers = matches!(role, Role::Admin | Role::SuperAdmin);
                let takes_down = administers && name.ends_with(":delete");
                assert_eq!(stranger.allowed, capable && takes_down, "{role} {name} on {kind}: a stranger");
                assert!(!stranger.visible);
                let mut unknown = unrelated(&kind, "1");
                unknown.registered = false;
                assert!(!ask(&unknown).allowed, "{role} {name} on {kind}: nobody registered it");
                if !capable {
                    assert_eq!(stranger.code, code::NO_GRANT, "whether it exists makes no difference");
                }
                for relation in Relation::ALL {
                    let mut facts = unrelated(&kind, "1").with(*relation, Hold::Always);
                    facts.token = (*relation == Relation::Token).then(|| {
                        std::sync::Arc::new(TokenTerms {
                            permissions: vec![action.clone()],
                            inviter: Subject::account(
                                Id::from_bytes([9; 16]),
                                Role::SuperAdmin,
                                Tier::Studio,
                            ),
                            inviter_relation: Relation::Owner,
                        })
                    });
                    let wanted = capable && relation_suffices(&kind, &name, *relation, role);
                    let decision = ask(&facts);
                    assert_eq!(
                        decision.allowed, wanted,
                        "{role} {tier} {name} on {kind} as {relation}: {decision:?}"
                    );
                    assert!(decision.visible);
                    cells += 1;
                }
            }
        }
    }
    assert!(cells > 400, "{cells}");
}

#[test]
fn a_plain_deny_says_which_relations_would_do() {
    let access = access();
    let ada = Subject::account(account(), Role::User, Tier::Pro);
    let write: Action = "playlist:write".parse().unwrap();
    let decision =
        access.decide(&ada, &write, Some(&unrelated("playlist", "1").with(Relation::Public, Hold::Always)));
    assert_eq!(
        (decision.code, decision.rule.as_deref()),
        (code::NO_RELATION, Some("relation.playlist.write"))
    );
    let enough = [Relation::Owner, Relation::Collaborator, Relation::Token].map(Grant::Relation);
    assert_eq!(*decision.missing, enough);
    assert!(decision.visible, "it is public");
    // Owning it would not help where the role does not grant it; so that is what is said.
    let delete: Action = "playlist:delete".parse().unwrap();
    let decision = access.decide(&ada, &delete, Some(&unrelated("playlist", "1")));
    assert_eq!(decision.code, code::NO_GRANT);
    assert!(decision.missing.contains(&Grant::Role(Role::Moderator)));
}

#[test]
fn an_answer_ends_with_the_first_fact_that_it_needs() {
    let access = access();
    let ada = Subject::account(account(), Role::User, Tier::Pro);
    let at = base::Timestamp::from_millis;
    let write: Action = "playlist:write".parse().unwrap();
    let facts = unrelated("playlist", "1")
        .with(Relation::Shared, Hold::Until(at(5)))
        .with(Relation::Collaborator, Hold::Until(at(9)));
    // Being shown it takes no part in writing.
    assert_eq!(access.decide(&ada, &write, Some(&facts)).expires_at, Some(at(9)));
    let read: Action = "playlist:read".parse().unwrap();
    assert_eq!(
        access.decide(&ada, &read, Some(&facts)).expires_at,
        Some(at(9)),
        "either is enough for reading"
    );
    let ending = Subject { assurance: Assurance { expires_at: Some(at(3)), ..Assurance::NONE }, ..ada };
    assert_eq!(access.decide(&ending, &read, Some(&facts)).expires_at, Some(at(3)));
    let lapsed = access.decide(&ada, &write, Some(&facts.clone().at(at(9))));
    assert_eq!((lapsed.code, lapsed.visible), (code::LAPSED, false));
    // A clock that steps back makes it hold again: the row is the truth, and `now` is the caller's.
    assert!(access.decide(&ada, &write, Some(&facts.clone().at(at(8)))).allowed);
    let own = facts.with(Relation::Owner, Hold::Always);
    assert_eq!(access.decide(&ada, &write, Some(&own)).expires_at, None);
}

#[test]
fn what_can_be_lost_demands_a_second_factor_where_there_is_one() {
    let access = access();
    let at = base::Timestamp::from_millis;
    let with = |assurance| Subject { assurance, ..Subject::account(account(), Role::Admin, Tier::Studio) };
    let own = unrelated("project", "1").with(Relation::Owner, Hold::Always);
    let plain = Assurance::NONE;
    let enrolled = Assurance { second_factor: true, ..plain };
    let decide = |access: &Access, assurance, action: &str| {
        access.decide(&with(assurance), &access.action(action).unwrap(), Some(&own))
    };
    for action in ["project:delete", "project:share", "project:export"] {
        assert!(decide(&access, plain, action).allowed);
        let denied = decide(&access, enrolled, action);
        assert_eq!(
            (denied.code, denied.rule.as_deref()),
            (code::MFA_REQUIRED, Some("assurance.second-factor"))
        );
        let fresh = decide(&access, Assurance { mfa_age_s: Some(600), ..enrolled }, action);
        assert_eq!((fresh.allowed, fresh.expires_at), (true, Some(at(301_000))));
        assert_eq!(
            decide(&access, Assurance { mfa_age_s: Some(901), ..enrolled }, action).code,
            code::MFA_REQUIRED
        );
        assert_eq!(decide(&access, Assurance { risk: 80, ..plain }, action).code, code::RISK);
    }
    assert!(decide(&access, enrolled, "project:update").allowed);
    assert_eq!(decide(&access, Assurance { locked: true, ..plain }, "project:read").code, code::LOCKED);
    let always = access.clone().under(Conditions { step_up: StepUp::Always, ..Conditions::default() });
    assert_eq!(decide(&always, plain, "project:delete").code, code::MFA_REQUIRED);
    let off = access.under(Conditions { step_up: StepUp::Off, ..Conditions::default() });
    assert!(decide(&off, enrolled, "project:delete").allowed);
}

#[test]
fn a_token_gives_what_it_names_as_long_as_its_inviter_may() {
    let access = access();
    let ada = Subject::account(account(), Role::User, Tier::Studio);
    let inviter = Subject::account(Id::from_bytes([9; 16]), Role::User, Tier::Studio);
    let terms = |inviter, inviter_relation| TokenTerms {
        permissions: vec!["project:read".parse().unwrap(), "collab:real_time".parse().unwrap()],
        inviter,
        inviter_relation,
    };
    let ask = |terms: Option<TokenTerms>, action: &str| {
        let mut facts = unrelated("project", "1").with(Relation::Token, Hold::Always);
        facts.token = terms.map(std::sync::Arc::new);
        access.decide(&ada, &action.parse().unwrap(), Some(&facts)).allowed
    };
    assert!(ask(Some(terms(inviter, Relation::Owner)), "collab:real_time"));
    assert!(!ask(Some(terms(inviter, Relation::Owner)), "project:update"), "the token does not name it");
    assert!(!ask(None, "project:read"), "a token without terms is worth nothing");
    let poorer = Subject { tier: Some(Tier::Pro), ..inviter };
    assert!(!ask(Some(terms(poorer, Relation::Owner)), "collab:real_time"), "the inviter has it no more");
    assert!(ask(Some(terms(poorer, Relation::Owner)), "project:read"));
    assert!(!ask(Some(terms(Subject { suspended: true, ..inviter }, Relation::Owner)), "project:read"));
    assert!(
        !ask(Some(terms(inviter, Relation::Shared)), "collab:real_time"),
        "who only sees it gives no more"
    );
    assert!(!ask(Some(terms(inviter, Relation::Token)), "project:read"), "nobody passes a token on");
}

#[test]
fn a_policy_of_which_no_list_can_be_made_is_refused() {
    // Each is strictly valid, so that only the lists speak against it.
    const OF_OBJECTS: &str = "namespace Fortissimo {
        entity Stem = { loud: Bool };
        action \"stem:play\" appliesTo { principal: Account, resource: [Platform, Stem], context: Relations };
    }";
    const NEEDS_OWNER: &str = r#"@id("stem.owner") @code("no-relation") forbid (principal, action ==
        Fortissimo::Action::"stem:play", resource is Fortissimo::Stem) unless { context.owner };"#;
    let policies = [
        (
            "looks into the person",
            r#"@id("x") forbid (principal, action == Fortissimo::Action::"track:read",
            resource is Fortissimo::Track) when { principal.user == Fortissimo::User::"7" };"#,
        ),
        (
            "looks at all of the context",
            r#"@id("x") permit (principal, action == Fortissimo::Action::"track:read",
            resource is Fortissimo::Track) when { context == context };"#,
        ),
        (
            "looks into the object",
            r#"@id("x") permit (principal, action == Fortissimo::Action::"stem:play",
            resource is Fortissimo::Stem) when { resource.loud };"#,
        ),
    ];
    let with_type =
        |policy| with(&[("stem.cedarschema", OF_OBJECTS), ("stem.cedar", NEEDS_OWNER), ("x.cedar", policy)]);
    for (what, policy) in policies {
        let error = with_type(policy).unwrap_err().to_string();
        assert!(error.contains("@id(\"x\")") && error.contains("could not be listed"), "{what}: {error}");
    }
    // The same about what is never listed, and the same with names written out, are taken.
    for policy in [
        r#"@id("x") forbid (principal, action == Fortissimo::Action::"user:read", resource is Fortissimo::User)
            when { resource != principal.user };"#,
        r#"@id("x") permit (principal, action == Fortissimo::Action::"stem:play", resource is Fortissimo::Stem)
            when { principal == Fortissimo::Account::"7" && resource in [Fortissimo::Stem::"1", Fortissimo::Stem::"2"] };"#,
    ] {
        assert!(with_type(policy).is_ok(), "{policy}");
    }
}
