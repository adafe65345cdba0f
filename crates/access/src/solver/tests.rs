//! With the real solver, where there is one; `cargo xtask test` installs it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::*;
use crate::{PolicyFile, Role, Tier};

fn bundle(text: &str) -> Bundle {
    Bundle::from_files(vec![PolicyFile { name: "operator.cedar".into(), text: text.into() }]).unwrap()
}

/// `None` where there is no solver; in CI there must be one.
fn proof(old: &Bundle, new: &Bundle) -> Option<Proof> {
    #[expect(clippy::disallowed_methods, reason = "whether something may be skipped is said from outside")]
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    match prove(old, new, Limits::default()) {
        Err(SolverError::Missing) if !ci => None,
        other => Some(other.unwrap()),
    }
}

fn shown(one: &NewlyAllowed) -> String {
    let rule = one.rule.as_deref().unwrap_or("no rule");
    format!("{}: {} ({} -> {rule})", one.about, one.witness, one.before)
}

#[test]
fn of_the_same_policies_it_is_proven_that_nothing_is_new_and_none_can_fail() {
    let (old, new) = (Bundle::builtin().unwrap(), Bundle::builtin().unwrap());
    let Some(proof) = proof(&old, &new) else { return };
    let nothing = Proof { nothing_new: new.questions().len(), ..Proof::default() };
    assert_eq!(proof, nothing);
    assert!(proof.nothing_new > 60, "{}", proof.nothing_new);
}

#[test]
fn a_weakened_forbid_is_caught_with_somebody_whom_the_matrix_does_not_show() {
    let quiet = |when: &str| {
        format!(
            "@id(\"quiet\") forbid (principal, action == Fortissimo::Action::\"track:read\", \
             resource is Fortissimo::Track) when {{ {when} }};"
        )
    };
    let (old, new) = (bundle(&quiet("principal.risky")), bundle(&quiet("principal.risky && context.owner")));
    assert!(crate::Matrix::of(&old).changes(&crate::Matrix::of(&new)).is_empty(), "nobody there is risky");
    let Some(weaker) = proof(&old, &new) else { return };
    assert_eq!(weaker.newly_allowed.len(), 1, "{weaker:?}");
    let found = &weaker.newly_allowed[0];
    assert_eq!((found.about.to_string().as_str(), found.before), ("track:read on track", "forbidden"));
    assert_eq!(found.witness.faults, ["risky"]);
    assert_eq!(found.witness.role, Some(Role::Guest), "the least who may: {}", shown(found));
    assert_eq!(found.witness.relations.len(), 1, "{}", shown(found));
    assert!(!found.witness.relations.contains(&crate::Relation::Owner), "{}", shown(found));
    assert_eq!((weaker.open, weaker.can_fail), (Vec::new(), Vec::new()));
    // The other way round only something is taken away.
    let stronger = proof(&new, &old).unwrap();
    assert_eq!((stronger.newly_allowed, stronger.open), (Vec::new(), Vec::new()));
    assert_eq!(stronger.nothing_new, old.questions().len());
}

#[test]
fn what_is_granted_to_one_person_or_about_one_thing_names_them() {
    let ada = base::Id::<base::kind::Account>::from_bytes([9; 16]);
    let text = format!(
        "@id(\"hers\") permit (principal == Fortissimo::Account::\"{ada}\", \
         action == Fortissimo::Action::\"system:logs\", resource);\n\
         @id(\"demo\") permit (principal in Fortissimo::Tier::\"pro\", \
         action == Fortissimo::Action::\"track:delete\", resource == Fortissimo::Track::\"demo\") \
         when {{ context.owner }};"
    );
    let Some(proof) = proof(&Bundle::builtin().unwrap(), &bundle(&text)) else { return };
    let found: Vec<String> = proof.newly_allowed.iter().map(shown).collect();
    assert_eq!(
        found,
        [
            format!("system:logs: guest/no tier, account {ada} (no-grant -> hers)"),
            "track:delete on track: guest/pro, owner, object demo (no-grant -> demo)".to_owned(),
        ]
    );
    assert_eq!(proof.open, []);
}

#[test]
fn a_policy_that_can_fail_is_found_with_whom_it_fails_for() {
    let text = "@id(\"counts\") forbid (principal, action == Fortissimo::Action::\"track:read\", \
                resource is Fortissimo::Track) when { principal.risky && 9223372036854775807 + 1 == 0 };";
    let (old, new) = (Bundle::builtin().unwrap(), bundle(text));
    let Some(found) = proof(&old, &new) else { return };
    assert_eq!(found.can_fail.len(), 1, "{found:?}");
    let failing = &found.can_fail[0];
    assert_eq!((&*failing.policy, failing.about.to_string().as_str()), ("counts", "track:read on track"));
    assert_eq!(failing.witness.faults, ["risky"]);
    assert_eq!(found.newly_allowed, [], "who is denied by a failure is not allowed by it");
    // And where the old one failed, a comparison says nothing; it is said so.
    let back = proof(&new, &old).unwrap();
    assert_eq!(back.open.len(), 1, "{back:?}");
    assert!(back.open[0].why.contains("counts can fail"), "{}", back.open[0].why);
}

#[test]
fn a_type_of_an_operator_is_new_altogether() {
    let stems = crate::ResourceType {
        name: "stem_pack".into(),
        actions: vec![crate::TypeAction {
            name: "stem:render".into(),
            relations: vec![crate::Relation::Owner],
            roles: vec![],
            tiers: vec![Tier::Pro],
            sensitive: false,
        }],
    };
    let new = Bundle::from_files(crate::ResourceType::files(&[stems]).unwrap()).unwrap();
    let Some(proof) = proof(&Bundle::builtin().unwrap(), &new) else { return };
    let found: Vec<String> = proof.newly_allowed.iter().map(shown).collect();
    assert_eq!(
        found,
        [
            "stem:render: guest/pro (unknown-action -> type.stem_pack.stem:render.pro)",
            "stem:render on stem_pack: guest/pro, owner (unknown-action -> type.stem_pack.stem:render.pro)",
        ]
    );
}

#[test]
fn without_a_solver_or_with_one_that_hangs_nothing_is_claimed() {
    let builtin = Bundle::builtin().unwrap();
    let missing = prove_by("/nonexistent/cvc5", &builtin, &builtin, Limits::default()).unwrap_err();
    assert!(matches!(missing, SolverError::Missing), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let short = Limits { question: Duration::from_millis(20), altogether: Duration::from_secs(1) };
    for (name, text) in [
        ("hangs", "#!/bin/sh\nexec sleep 1000\n"),
        ("ends", "#!/bin/sh\nexit 3\n"),
        ("babbles", "#!/bin/sh\nwhile read -r line; do echo maybe; done\n"),
    ] {
        let proof = prove_by(&script(name, text), &builtin, &builtin, short).unwrap();
        assert!(proof.newly_allowed.is_empty() && proof.can_fail.is_empty(), "{name}: {proof:?}");
        assert!(!proof.open.is_empty(), "{name}");
        assert!(proof.open.iter().all(|open| !open.why.is_empty()));
    }
}
