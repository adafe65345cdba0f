use base::{Entropy, Secret};

use super::*;

const PASSWORD: &str = "correct horse – bätterie";
const CHEAP: Params = Params::new(64, 2, 1).expect("Argon2 knows these costs");

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn pepper(byte: u8) -> LockedKey {
    LockedKey::from_bytes(&mut [byte; 32])
}

fn verify(password: &str, stored: &str) -> Result<Verdict, UnsupportedHash> {
    Hasher::new(CHEAP).verify(&secret(password), Some(&pepper(7)), stored)
}

#[test]
fn hashes_are_peppered_salted_and_compared() {
    let (entropy, mut hasher) = (Entropy::seeded(1), Hasher::new(CHEAP));
    let stored = hasher.hash(&secret(PASSWORD), &pepper(7), &entropy);
    assert!(stored.starts_with("$argon2id$v=19$m=64,t=2,p=1,keyid=kqklL5c6$"), "{stored}");
    assert_ne!(stored, hasher.hash(&secret(PASSWORD), &pepper(7), &entropy));
    let mut check =
        |password: &str, pepper: Option<&LockedKey>| hasher.verify(&secret(password), pepper, &stored);
    assert_eq!(check(PASSWORD, Some(&pepper(7))), Ok(Verdict::Right));
    assert_eq!(check("correct horse", Some(&pepper(7))), Ok(Verdict::Wrong));
    assert_eq!(check("", Some(&pepper(7))), Ok(Verdict::Wrong));
    assert_eq!(check(PASSWORD, Some(&pepper(8))), Err(UnsupportedHash::OtherPepper));
    assert_eq!(check(PASSWORD, None), Err(UnsupportedHash::OtherPepper));
    assert_eq!(PepperId::needed_by(&stored), Some(PepperId::of(&pepper(7))));
    assert_eq!(PepperId::needed_by("$2b$12$x"), None);
}

#[test]
fn the_peppered_form_matches_the_reference_implementation() {
    // Made with the C library's `secret` input.
    let stored = "$argon2id$v=19$m=64,t=2,p=1,keyid=kqklL5c6$MDEyMzQ1Njc4OWFiY2RlZg$\
                  q2ViBXAAE6YxYPFjgZ27wQN9iiLegf9jFy7EJINn84A";
    assert_eq!(verify(PASSWORD, stored), Ok(Verdict::Right));
}

#[test]
fn other_costs_ask_for_a_new_hash() {
    let entropy = Entropy::seeded(1);
    for other in [Params::new(128, 2, 1), Params::new(64, 3, 1), Params::new(64, 2, 2), Params::new(32, 2, 1)]
    {
        let stored = Hasher::new(other.unwrap()).hash(&secret(PASSWORD), &pepper(7), &entropy);
        assert_eq!(verify(PASSWORD, &stored), Ok(Verdict::RightRehash), "{stored}");
        assert_eq!(verify("wrong", &stored), Ok(Verdict::Wrong), "{stored}");
    }
}

#[test]
fn the_standard_cost_is_the_documented_one() {
    let stored = Hasher::new(Params::STANDARD).hash(&secret("x"), &pepper(1), &Entropy::seeded(1));
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1,keyid="), "{stored}");
}

/// Made by argon2-cffi, bcrypt, hashlib and passlib from [`PASSWORD`].
const IMPORTED: [&str; 18] = [
    "$argon2id$v=19$m=256,t=2,p=2$MDEyMzQ1Njc4OWFiY2RlZg$oYprMqNNjjFyNxybBSkomIF+H7GvFYBbT0f6VGPse5s",
    "$argon2i$v=19$m=256,t=2,p=2$MDEyMzQ1Njc4OWFiY2RlZg$xeWwLBE500PEWwqGdpPJA8XSVSs7rxyJRqEFDVAvefc",
    "$argon2id$v=16$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$y05OX+8PhomohxVCGnENJvMq22ewflId7gK4aEIPX5s",
    "$2a$05$OaZmQMBKgBbN9wLfBwNcruuEFUT849dbF1j4B/3CCq9CXVYxNo5KS",
    "$2b$05$cTLuHNxNRBUy9irMAL97iuEBE26coxS1HzY63KBHlmgZv6q.VWfOa",
    "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$qsOt8kSZUE2pHRFEacDd04j+0IMtJ/Y/2WifOlWWMT8",
    "$scrypt$ln=10,r=8,p=1$Yqx1DgHAOKcUYmyt1ZoTog$fHVGZbpMwBQ4VxZMtw5AnuuKfDirileqGAUpISQgFog",
    "$pbkdf2-sha1$i=1000,l=20$MDEyMzQ1Njc4OWFiY2RlZg$/JdjtcWTG5jpE9+P/jpwkA4u1kE",
    "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$NFW8Q0hBWT08MS4qUoGSyS6c0wR04tvBvcWCcH7xUjM",
    "$pbkdf2-sha512$i=1000,l=64$MDEyMzQ1Njc4OWFiY2RlZg$TSgEQ+QJ2/ruK+sp/TsXvwro7EGKGdmSyerwafA9A+gPqEkZfUuSfPIgLAFEbl06sNYDtwisQ2TnAv2efOo1Qw",
    "$pbkdf2-sha256$1000$4hwDgPC.15qTUmothbD2Pg$EuatVKToZGVB8g8bCHElaTL6eCyEu//08sO4XkozSeY",
    "$pbkdf2$1000$PidkLAUgJATAWMs5RyiFsA$f5G4c.qhieFovTUbM0i6g/pKkz0",
    "{SSHA}S5l8rkG6q50pSDVBBh3+oatOLtQwMTIzNDU2Nzg5YWJjZGVm",
    "{SSHA256}8cXR3XNlOPm+Vc03DVhmcoTPfOIpt1EY27Rx3IDsZU4wMTIzNDU2Nzg5YWJjZGVm",
    "{SSHA512}DCWQWXB7a3rulLhfvybF3ooFr63vSkaz936ojWqCoFAZ9vxoj2m3f9m66a0rCx4/LTYExHzKIejnpfjwMHu4yTAxMjM0NTY3ODlhYmNkZWY=",
    "$salted-sha256$order=salt-first$MDEyMzQ1Njc4OWFiY2RlZg$7xM8MSO+y+UCP5Q5JlNXtsrWe4pMSzel2NOM0QxegvI",
    "$salted-sha512$order=salt-last$MDEyMzQ1Njc4OWFiY2RlZg$DCWQWXB7a3rulLhfvybF3ooFr63vSkaz936ojWqCoFAZ9vxoj2m3f9m66a0rCx4/LTYExHzKIejnpfjwMHu4yQ",
    "$salted-sha1$order=salt-last$MDEyMzQ1Njc4OWFiY2RlZg$S5l8rkG6q50pSDVBBh3+oatOLtQ",
];

#[test]
fn imported_hashes_are_compared_and_replaced() {
    for stored in IMPORTED {
        assert_eq!(verify(PASSWORD, stored), Ok(Verdict::RightRehash), "{stored}");
        assert_eq!(verify("correct horse - batterie", stored), Ok(Verdict::Wrong), "{stored}");
        let without_pepper = Hasher::new(CHEAP).verify(&secret(PASSWORD), None, stored);
        assert_eq!(without_pepper, Ok(Verdict::RightRehash), "{stored}");
    }
    let y = IMPORTED[4].replace("$2b$", "$2y$");
    assert_eq!(verify(PASSWORD, &y), Ok(Verdict::RightRehash));
}

/// The example that Firebase publishes with its scrypt.
const FIREBASE: &str = "$firebase-scrypt$ln=14,r=8,ss=Bw,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA$42xEC+ixf3L2lw$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ";

#[test]
fn firebase_hashes_are_compared() {
    assert_eq!(verify("user1password", FIREBASE), Ok(Verdict::RightRehash));
    assert_eq!(verify("user1passwore", FIREBASE), Ok(Verdict::Wrong));
    for bad in
        [FIREBASE.replace("ss=Bw,", ""), FIREBASE.replace("sk=jx", "sk=j"), FIREBASE.replace("ln=14", "ln=0")]
    {
        assert_eq!(verify("user1password", &bad), Err(UnsupportedHash::Malformed), "{bad}");
    }
    assert_eq!(verify("x", &FIREBASE.replace("ln=14", "ln=31")), Err(UnsupportedHash::TooCostly));
}

#[test]
fn imports_are_checked_without_work() {
    for stored in IMPORTED {
        assert!(check_import(stored).is_ok(), "{stored}");
    }
    assert_eq!(check_import(FIREBASE), Ok("firebase-scrypt"));
    assert_eq!(check_import(IMPORTED[12]), Ok("SSHA"));
    assert_eq!(check_import("{SSHA}AAAA"), Err(UnsupportedHash::Malformed));
    assert_eq!(check_import("{MD5}AAAA"), Err(UnsupportedHash::UnknownScheme));
    assert_eq!(check_import("hunter2"), Err(UnsupportedHash::UnknownScheme));
    assert_eq!(
        check_import("$2b$31$OaZmQMBKgBbN9wLfBwNcruuEFUT849dbF1j4B/3CCq9CXVYxNo5KS"),
        Err(UnsupportedHash::TooCostly)
    );
    let ours = Hasher::new(CHEAP).hash(&secret(PASSWORD), &pepper(1), &Entropy::seeded(1));
    assert_eq!(check_import(&ours), Err(UnsupportedHash::OtherPepper));
}

#[test]
fn bcrypt_cuts_at_72_bytes_as_those_who_made_it_did() {
    let stored = "$2b$04$54AozV7Xsd92uEm5mAyf5umlpTb7wRoKuAF2ZKe5oKScJFYAdZL3K";
    assert_eq!(verify(&"x".repeat(72), stored), Ok(Verdict::RightRehash));
    assert_eq!(verify(&"x".repeat(80), stored), Ok(Verdict::RightRehash));
    assert_eq!(verify(&"x".repeat(71), stored), Ok(Verdict::Wrong));
}

#[test]
fn hostile_costs_are_refused_before_any_work() {
    let (salt, hash) = ("MDEyMzQ1Njc4OWFiY2RlZg", "oYprMqNNjjFyNxybBSkomIFAH7GvFYBbT0f6VGPse5s");
    for costs in [
        "$argon2id$v=19$m=4294967295,t=1,p=1",
        "$argon2id$v=19$m=65536,t=4294967295,p=1",
        "$argon2id$v=19$m=4000000,t=1,p=250000",
        "$argon2id$v=19$m=99999999999,t=1,p=1",
        "$scrypt$ln=40,r=8,p=1",
        "$scrypt$ln=63,r=4294967295,p=1",
        "$scrypt$ln=10,r=8,p=4294967295",
        "$scrypt$ln=10,r=4294967295,p=1",
        "$pbkdf2-sha256$i=4294967295",
        "$pbkdf2-sha512$4294967295",
    ] {
        assert_eq!(
            verify("x", &format!("{costs}${salt}${hash}")),
            Err(UnsupportedHash::TooCostly),
            "{costs}"
        );
    }
    let costly_bcrypt = IMPORTED[3].replace("$05$", "$31$");
    assert_eq!(verify("x", &costly_bcrypt), Err(UnsupportedHash::TooCostly));
}

#[test]
fn malformed_hashes_are_errors_not_panics() {
    for unknown in
        ["", "x", "plain text", "$", "$1$abc$def", "$6$salt$hash", "{MD5}abc", "$2x$05$abc", "$md5$a$b"]
    {
        assert_eq!(verify("x", unknown), Err(UnsupportedHash::UnknownScheme), "{unknown}");
    }
    let good = IMPORTED[0];
    let bad = [
        good.replace("m=256", "m=0256"),
        good.replace("m=256", "m=+256"),
        good.replace("m=256", "m="),
        good.replace("m=256", "m=8"),
        good.replace("m=256,", ""),
        good.replace("t=2", "t=0"),
        good.replace("p=2", "p=0"),
        good.replace("t=2", "t=2,t=2"),
        good.replace("t=2", "t=2,data=AAAA"),
        good.replace("t=2", "t"),
        good.replace("v=19", "v=18"),
        good.replace("MDEyMzQ1Njc4OWFiY2RlZg", "MDEy"),
        good.replace("MDEyMzQ1Njc4OWFiY2RlZg", "MDEyMzQ1Njc4OWFiY2RlZg=="),
        good.replace("MDEyMzQ1Njc4OWFiY2RlZg", "MDEyMzQ1Njc4OWFiY2RlZh"),
        good[..good.len() - 30].to_owned(),
        format!("{good}$more"),
        format!("{good}{}", "A".repeat(600)),
        "$argon2id$v=19$m=256,t=2,p=2".to_owned(),
        IMPORTED[3][..40].to_owned(),
        IMPORTED[3].replace("$05$", "$é$"),
        IMPORTED[3].replace("$05$", "$x5$"),
        IMPORTED[5].replace("ln=10", "ln=0"),
        IMPORTED[8].replace("l=32", "l=31"),
        IMPORTED[8].replace("i=1000", "i=0"),
        IMPORTED[10].replace('.', "+"),
    ];
    for stored in bad {
        assert_eq!(verify(PASSWORD, &stored), Err(UnsupportedHash::Malformed), "{stored}");
    }
}

#[test]
fn costs_outside_the_bounds_cannot_be_configured() {
    for (memory, passes, lanes) in
        [(0, 1, 1), (7, 1, 1), (64, 0, 1), (64, 1, 0), (64, 1, 17), (300_000, 1, 1), (262_144, 5, 1)]
    {
        assert_eq!(Params::new(memory, passes, lanes), None);
    }
}

#[test]
fn stretching_depends_on_passphrase_and_salt() {
    let mut hasher = Hasher::new(CHEAP);
    let one = hasher.stretch(&secret("a"), &[1; 16]);
    assert_eq!(one.expose(), hasher.stretch(&secret("a"), &[1; 16]).expose());
    assert_ne!(one.expose(), hasher.stretch(&secret("b"), &[1; 16]).expose());
    assert_ne!(one.expose(), hasher.stretch(&secret("a"), &[2; 16]).expose());
    hasher.decoy(&secret("a"));
}

mod properties {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_stored_text_panics(
            scheme in "(argon2id|argon2i|2b|scrypt|pbkdf2|pbkdf2-sha256|x)",
            rest in r"[$=,a-z0-9A-F./+é]{0,80}",
        ) {
            let _ = super::verify("x", &format!("${scheme}${rest}"));
        }
    }
}
