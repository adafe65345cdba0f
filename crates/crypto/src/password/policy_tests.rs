use super::*;

fn check(password: &str, second_factor: bool) -> Result<String, Weakness> {
    let own = ["ada_l", "ada.lovelace@example.com", "Ada Lovelace"];
    let checked = Policy::default().check(&Secret::new(password.to_owned()), second_factor, &own);
    checked.map(|normal| normal.expose().clone())
}

#[test]
fn length_is_counted_in_code_points_after_composition() {
    assert_eq!(check("vT9#kQ2!xLw8@z", false), Err(Weakness::TooShort(15)));
    assert!(check("vT9#kQ2!xLw8@zR", false).is_ok());
    assert_eq!(check("vT9#kQ2", true), Err(Weakness::TooShort(8)));
    assert!(check("vT9#kQ2!", true).is_ok());
    // Fifteen code points decomposed, fourteen composed.
    assert_eq!(check("vT9#kQ2!xLw8@e\u{301}", false), Err(Weakness::TooShort(15)));
    let long: String = "mlkpqozx".chars().cycle().zip('一'..).flat_map(|(a, b)| [a, b]).take(128).collect();
    assert!(check(&long, false).is_ok());
    assert_eq!(check(&format!("{long}x"), false), Err(Weakness::TooLong(128)));
    assert_eq!(check(&"x".repeat(1_000_000), false), Err(Weakness::TooLong(128)));
    assert_eq!(check("", true), Err(Weakness::TooShort(8)));
}

#[test]
fn the_accepted_password_is_normalised_and_otherwise_as_typed() {
    assert_eq!(check("Cafe\u{301} am Rande der Stadt ", false).as_deref(), Ok("Café am Rande der Stadt "));
    assert_eq!(check("пароль для кошки и чая", false).as_deref(), Ok("пароль для кошки и чая"));
    let typed = Secret::new("e\u{301}".to_owned());
    assert_eq!(Policy::default().normalise(&typed).unwrap().expose(), "é");
}

#[test]
fn known_passwords_are_refused_however_dressed_up() {
    for known in [
        "correcthorsebatterystaple",
        "CorrectHorseBatteryStaple",
        "correct horse battery staple",
        "correct horse battery staple 7!",
        "tobeornottobethatisthequestion",
        "passwordiloveyou",
        "misunderstanding",
        "Characteristics2024!",
        "sunshine!?2!84#",
        "passwordpasswordpassword",
        "1qaz2wsx3edc4rfv",
    ] {
        let refused = check(known, false);
        assert!(matches!(refused, Err(Weakness::Common | Weakness::Predictable)), "{known}: {refused:?}");
    }
    for known in ["password", "P@ssw0rd", "Sunshine12", "iloveyou!", "Password123!"] {
        assert_eq!(check(known, true), Err(Weakness::Common), "{known}");
    }
}

#[test]
fn patterns_are_refused() {
    for pattern in [
        "aaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnop",
        "123456789012345",
        "987654321987654321",
        "qwertyuiopasdfghjkl",
        "qwertzuiopyxcvbnm1234",
        "xyzzyxyzzyxyzzyxyzzy",
        "!@#$%^&*()!@#$%^&*()",
        "aaaaabbbbbcccccddddd",
    ] {
        assert_eq!(check(pattern, false), Err(Weakness::Predictable), "{pattern}");
    }
    for pattern in ["aaaaaaaa", "12341234", "abcabcabc", "11112222"] {
        assert_eq!(check(pattern, true), Err(Weakness::Predictable), "{pattern}");
    }
}

#[test]
fn own_words_do_not_count() {
    for personal in [
        "AdaLovelace1815!",
        "ada.lovelace@example.com",
        "lovelacelovelovelace",
        "fortissimo-FORTISSIMO",
        "fortissimo ada_l 99",
        "ilovefortissimo!",
    ] {
        assert_eq!(check(personal, false), Err(Weakness::Personal), "{personal}");
    }
    // With enough beside them they do no harm.
    assert!(check("lovelace rides a teal bicycle", false).is_ok());
    assert!(check("adamant zebra crossings", false).is_ok());
}

#[test]
fn many_or_empty_own_words_do_no_harm() {
    let words = vec!["x"; 10_000];
    let policy = Policy::default();
    assert!(policy.check(&Secret::new("vT9#kQ2!xLw8@zR".to_owned()), false, &words).is_ok());
    assert!(policy.check(&Secret::new("vT9#kQ2!xLw8@zR".to_owned()), false, &["", "@", "..."]).is_ok());
}

#[test]
fn ordinary_strong_passwords_pass() {
    for strong in [
        "violet kettle argues with moss",
        "Tr0ubadour of the seven hills",
        "kX7!mQ9$wL2@pR5z",
        "seventeen-damp-accordions",
        "Die Orgel klingt nach Regen",
        "8f14e45fceea167a5a36dedd4bea2543",
    ] {
        assert_eq!(check(strong, false).as_deref(), Ok(strong));
    }
}

#[test]
fn every_reason_is_a_sentence_for_people() {
    for weakness in [
        Weakness::TooShort(15),
        Weakness::TooLong(128),
        Weakness::Common,
        Weakness::Predictable,
        Weakness::Personal,
    ] {
        assert!(weakness.to_string().len() > 20);
    }
}

#[test]
fn the_filter_rarely_takes_the_unknown_for_known() {
    let wrong =
        (0..200_000).filter(|i| common::contains(&format!("no such password {i} #{}", i * 7))).count();
    // Expected: three.
    assert!(wrong < 30, "{wrong} of 200,000");
}

#[test]
fn a_filter_knows_what_it_was_built_from() {
    let (artefact, count) = common::build(["One", "one", "two", "drei"].into_iter()).unwrap();
    assert_eq!(count, 3);
    assert!(artefact.len() > 28);
    assert!(common::contains("Password") && common::contains("letmein") && common::contains("DRAGON"));
}
