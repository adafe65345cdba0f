//! Bundles compared, tried on examples, bounded.

use crate::*;

fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name.into(), text: text.into() }
}

fn bundle(files: &[(&str, &str)]) -> Result<Bundle, PolicyError> {
    Bundle::from_files(files.iter().map(|(name, text)| file(name, text)).collect())
}

const STEMS_SCHEMA: &str = r#"namespace Fortissimo {
  action "stems:render" appliesTo { principal: Account, resource: [Platform] };
}"#;
const STEMS: &str = r#"@id("stems") permit (principal in Fortissimo::Tier::"pro", action == Fortissimo::Action::"stems:render", resource);"#;

#[test]
fn a_comparison_names_exactly_the_cells_that_change() {
    let (old, new) =
        (Bundle::builtin().unwrap(), bundle(&[("a.cedarschema", STEMS_SCHEMA), ("a.cedar", STEMS)]).unwrap());
    let changes = Matrix::of(&old).changes(&Matrix::of(&new));
    let cells: Vec<(&str, &str, Role, Option<Tier>)> =
        changes.iter().map(|c| (c.action.as_str(), c.relation, c.role, c.tier)).collect();
    // The pro tier of every role; super_admin may do everything, with or without a tier.
    let expected: Vec<_> = Role::ALL
        .iter()
        .flat_map(|role| {
            let tiers: &[Option<Tier>] = match role {
                Role::SuperAdmin => &[None, Some(Tier::Free), Some(Tier::Pro), Some(Tier::Studio)],
                _ => &[Some(Tier::Pro)],
            };
            tiers.iter().map(|tier| ("stems:render", "no object", *role, *tier))
        })
        .collect();
    assert_eq!(cells, expected);
    assert!(changes.iter().all(CellChange::is_widening));
    let back = Matrix::of(&new).changes(&Matrix::of(&old));
    assert_eq!(back.len(), changes.len());
    assert!(!back.iter().any(CellChange::is_widening));
    assert!(Matrix::of(&old).changes(&Matrix::of(&old)).is_empty());
}

#[test]
fn a_forbid_is_seen_in_the_comparison() {
    let text = r#"@id("frozen") forbid (principal, action == Fortissimo::Action::"track:write", resource);"#;
    let changes =
        Matrix::of(&Bundle::builtin().unwrap()).changes(&Matrix::of(&bundle(&[("f.cedar", text)]).unwrap()));
    assert!(!changes.is_empty());
    assert!(
        changes.iter().all(|c| c.action == "track:write" && c.after == code::FORBIDDEN && !c.is_widening())
    );
}

#[test]
fn examples_say_what_came_out_instead() {
    let bundle = bundle(&[("a.cedarschema", STEMS_SCHEMA), ("a.cedar", STEMS)]).unwrap();
    let case = |action: &str, tier, expect| Example {
        name: String::new(),
        principal: ExamplePrincipal { tier, ..ExamplePrincipal::default() },
        action: action.into(),
        resource: None,
        relation: None,
        expect,
        code: None,
        rule: None,
    };
    let good = case("stems:render", Tier::Pro, Expect::Allow);
    let cases = [
        good.clone(),
        Example { rule: Some("stems".into()), code: Some("granted".into()), ..good.clone() },
        case("stems:render", Tier::Free, Expect::Deny),
        Example {
            principal: ExamplePrincipal { anonymous: true, ..good.principal },
            expect: Expect::Deny,
            ..good.clone()
        },
        Example {
            resource: Some("playlist/7".into()),
            relation: Some(Relation::Owner),
            ..case("playlist:delete", Tier::Free, Expect::Deny)
        },
    ];
    assert_eq!(bundle.test(&cases), []);
    let wrong = [
        Example { name: "pro".into(), expect: Expect::Deny, ..good.clone() },
        Example { rule: Some("other".into()), ..good.clone() },
        case("stems:rendr", Tier::Pro, Expect::Allow),
        Example { relation: Some(Relation::Owner), ..good.clone() },
        Example { resource: Some("track".into()), ..good.clone() },
    ];
    let told: Vec<String> = bundle.test(&wrong).iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "case 1 (\"pro\"): expected denied, was allowed by stems (granted)");
    assert_eq!(told[1], "case 2: expected allowed by other, was allowed by stems (granted)");
    assert!(told[2].contains("did you mean \"stems:render\""), "{}", told[2]);
    assert!(told[3].contains("needs a resource") && told[4].contains("kind/id"), "{told:?}");
}

#[test]
fn what_would_be_too_large_is_refused_with_its_reason() {
    let refused = |files: &[(&str, &str)]| bundle(files).unwrap_err().to_string();
    let long = format!("// {}\n", "x".repeat(10 * 1024 * 1024));
    assert!(refused(&[("x.cedar", &long)]).starts_with("x.cedar: larger than 1 MiB"));
    let part = "/".repeat(1024 * 1024);
    let names: Vec<String> = (0..5).map(|n| format!("{n}.cedar")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), part.as_str())).collect();
    assert!(refused(&files).contains("4 MiB together"));
    let names: Vec<String> = (0..257).map(|n| format!("{n}.cedar")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert!(refused(&files).contains("more than 256 policy files"));
    assert!(refused(&[("a/x.cedar", ""), ("b/x.cedar", "")]).contains("same name"));
    let many: String = (0..2_001)
        .map(|n| {
            format!(
                "@id(\"p{n}\") forbid (principal, action == Fortissimo::Action::\"track:read\", resource);\n"
            )
        })
        .collect();
    assert!(refused(&[("x.cedar", &many)]).contains("more than 2000 policies"));
    // In a folder, the size is looked at before anything is read.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.cedar"), &long).unwrap();
    assert!(Bundle::load(folder.path()).unwrap_err().to_string().contains("x.cedar: larger than 1 MiB"));
}

#[test]
fn patterns_that_cost_too_much_are_refused_with_their_place() {
    let with_note = r#"namespace Fortissimo { action "note:read" appliesTo { principal: Account, resource: [Platform],
        context: { note: String } }; }"#;
    let like = |pattern: &str| {
        let policy = format!(
            "@id(\"n\")\nforbid (principal, action == Fortissimo::Action::\"note:read\", resource)\nwhen {{ context.note like \"{pattern}\" }};"
        );
        bundle(&[("n.cedarschema", with_note), ("n.cedar", &policy)])
    };
    for fine in ["a*", "*a*b*", "live/*", "a\\*\\*\\*\\*"] {
        assert!(like(fine).is_ok(), "{fine}: {:?}", like(fine).err());
    }
    for (wrong, part) in
        [("*", "accepts everything"), ("a*b*c*d*", "4 wildcards"), ("*a*a*a*a*a*a*a", "wildcards")]
    {
        let message = like(wrong).unwrap_err().to_string();
        assert!(message.starts_with("n.cedar:1:1: ") && message.contains(part), "{message}");
    }
    assert!(like(&"a".repeat(300)).unwrap_err().to_string().contains("longer than 256"));
}

#[test]
fn a_policy_follows_no_reference_further_than_the_facts_go() {
    // `principal.user` is one step; the person as an object has no further facts to look at, so a second step is refused
    // by type or by level, never evaluated.
    let schema = r#"namespace Fortissimo { entity Label { boss: Account };
        action "label:read" appliesTo { principal: Account, resource: [Platform], context: { label: Label } }; }"#;
    let policy = r#"@id("l") forbid (principal, action == Fortissimo::Action::"label:read", resource)
        when { context.label.boss.suspended };"#;
    let message = bundle(&[("l.cedarschema", schema), ("l.cedar", policy)]).unwrap_err().to_string();
    assert!(message.starts_with("l.cedar:") && message.contains("level"), "{message}");
}

#[test]
fn policies_made_to_exhaust_the_parser_are_refused_not_fatal() {
    for text in [
        format!(
            "permit (principal, action, resource) when {{ {}true{} }};",
            "(".repeat(100_000),
            ")".repeat(100_000)
        ),
        format!("permit (principal, action, resource) when {{ {}true }};", "!".repeat(100_000)),
        format!(
            "permit (principal, action, resource) when {{ {}1{} }};",
            "[".repeat(50_000),
            "]".repeat(50_000)
        ),
        format!(
            "@id(\"x\") forbid (principal, action == Fortissimo::Action::\"track:read\", resource) when {{ true{} }};",
            " || true".repeat(50_000)
        ),
        format!(
            "@id(\"x\") forbid (principal, action, resource) when {{ {}true{} }};",
            "if true then true else ".repeat(20_000),
            ""
        ),
        format!("namespace Fortissimo {{ type X = {}Long{}; }}", "Set<".repeat(50_000), ">".repeat(50_000)),
        "permit".repeat(10_000),
        "\u{0}".repeat(1000),
    ] {
        for name in ["deep.cedar", "deep.cedarschema"] {
            assert!(bundle(&[(name, &text)]).is_err(), "{}…", &text[..60]);
        }
    }
    // As deep as is accepted, on a thread as small as those that load in the server.
    for condition in [
        format!("{}true{}", "(".repeat(45), ")".repeat(45)),
        format!("true{}", " || true".repeat(490)),
        format!("{}true", "!".repeat(4)),
        format!("1{} == 2", " + 1".repeat(900)),
        format!("{}true", "if principal.verified then true else ".repeat(490)),
    ] {
        let text = format!(
            "@id(\"x\") forbid (principal, action == Fortissimo::Action::\"track:read\", resource) when {{ {condition} }};"
        );
        let built = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            let built = bundle(&[("deep.cedar", &text)]);
            if let Ok(bundle) = &built {
                let subject = Subject::account(base::Id::from_bytes([7; 16]), Role::User, Tier::Free);
                let decision = bundle.decide(&subject, &bundle.action("track:read").unwrap(), None);
                assert!(!decision.allowed);
            }
            built.map(drop)
        });
        let _either_way = built.unwrap().join().unwrap();
    }
}

#[test]
fn others_are_put_in_force_for_every_clone_at_once() {
    let access = Access::builtin().unwrap();
    let clone = access.clone();
    let before = access.version();
    let old = access.replace(bundle(&[("a.cedarschema", STEMS_SCHEMA), ("a.cedar", STEMS)]).unwrap().into());
    assert_eq!(*old.version(), before);
    assert_ne!(clone.version(), before);
    assert!(clone.action("stems:render").is_ok());
    clone.replace(old);
    assert!(access.action("stems:render").is_err());
}
