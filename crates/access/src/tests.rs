use std::fmt::Write as _;

use base::{Id, kind};

use crate::*;

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

fn allowed(access: &Access, role: Option<Role>, tier: Option<Tier>, action: &str) -> bool {
    let subject = Subject { account: Some(account()), role, tier, suspended: false, verified: true };
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

fn role_grants(role: Role) -> String {
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

fn tier_grants(tier: Tier) -> String {
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
    let access = access();
    let mut table = String::from(
        "Who may do what, as the built-in policies decide. Made by a test of crates/access; do not edit.\n\
         Each cell lists the tiers with which that role may: - none, f free, p pro, s studio.\n\n",
    );
    let _ = write!(table, "{:<22}", "action");
    for role in Role::ALL {
        let _ = write!(table, "{role:<14}");
    }
    for action in CATALOGUE {
        let _ = write!(table, "\n{action:<22}");
        for role in Role::ALL {
            let cell: String =
                [(None, '-'), (Some(Tier::Free), 'f'), (Some(Tier::Pro), 'p'), (Some(Tier::Studio), 's')]
                    .iter()
                    .map(
                        |(tier, letter)| {
                            if allowed(&access, Some(*role), *tier, action) { *letter } else { '.' }
                        },
                    )
                    .collect();
            let _ = write!(table, "{cell:<14}");
        }
    }
    let table: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
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
        let object = ResourceRef { kind: kind.into(), id: "1".into() };
        let decision = access.decide(&mighty, &"track:read".parse().unwrap(), Some(&object));
        assert_eq!((decision.allowed, decision.code), (false, code::UNKNOWN_RESOURCE), "{kind}");
    }
}

#[test]
fn objects_are_carried_and_own_data_stays_own() {
    let access = access();
    let subject = Subject::account(account(), Role::User, Tier::Pro);
    let track = ResourceRef { kind: "track".into(), id: "42\" || true".into() };
    let decision = access.decide(&subject, &"track:read".parse().unwrap(), Some(&track));
    assert!(decision.allowed);
    assert_eq!(decision.resource, Some(track));

    let export: Action = "data:export".parse().unwrap();
    let own = ResourceRef { kind: "user".into(), id: account().to_string() };
    let other = ResourceRef { kind: "user".into(), id: Id::<kind::Account>::from_bytes([8; 16]).to_string() };
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
fn policies_that_look_at_the_object_are_not_remembered() {
    let text = r#"@id("frozen") forbid (principal, action == Fortissimo::Action::"track:write", resource)
        when { resource == Fortissimo::Track::"1" };"#;
    let access = with(&[("frozen.cedar", text)]).unwrap();
    assert!(!access.bundle().remembers("track:write", "track"));
    let admin = Subject::account(account(), Role::Admin, Tier::Free);
    let write: Action = "track:write".parse().unwrap();
    let track = |id: &str| ResourceRef { kind: "track".into(), id: id.into() };
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
           action "stem:render" appliesTo { principal: Account, resource: [Platform, StemPack] }; }"#,
    );
    write(
        "stems.cedar",
        r#"@id("stems") permit (principal in Fortissimo::Tier::"studio", action == Fortissimo::Action::"stem:render", resource);"#,
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
