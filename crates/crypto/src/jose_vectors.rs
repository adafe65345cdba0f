//! All 649 verdicts of Wycheproof's JOSE vectors, in one account that has no row for "left out".
//!
//! Three verdicts are right: a valid token of an algorithm of ours is taken; an invalid one is refused; a valid one of an
//! algorithm that is off our list (shared secrets, RSA encryption, key wrapping, CBC …, or another than its key names) is
//! refused *for its algorithm or key kind*, because a fixed list is the defence (HAZARDS, tokens). Anything else fails
//! the test by its number.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::compact::decode;
use crate::jwe::{JweKey, open};
use crate::jws::VerifyingKeys;
use crate::memory::LockedKey;
use crate::test_data;

/// Every asymmetric signature of RFC 7518 and RFC 8037.
const SIGNATURES: [&str; 10] =
    ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    taken: usize,
    refused: usize,
    /// Valid, but of an algorithm off our list.
    off_list: usize,
    off_list_by_algorithm: BTreeMap<String, usize>,
}

fn header(token: &str) -> Value {
    let bytes = token.split('.').next().and_then(decode).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The public half of a JWK (set), as an issuer would publish it; shared keys have none, and stay as they are.
fn published(jwk: &Value) -> Value {
    let mut keys = jwk.get("keys").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![jwk.clone()]);
    for key in &mut keys {
        if let Some(members) = key.as_object_mut().filter(|members| members["kty"] != "oct") {
            for secret in ["d", "p", "q", "dp", "dq", "qi"] {
                members.remove(secret);
            }
            // The vectors' private keys may only sign; their public halves verify.
            if members.get("key_ops") == Some(&json!(["sign"])) {
                members.insert("key_ops".to_owned(), json!(["verify"]));
            }
        }
    }
    json!({ "keys": keys })
}

fn signature(group: &Value, token: &str) -> bool {
    let jwks = group.get("public").map_or_else(|| published(&group["private"]), published);
    VerifyingKeys::from_jwks(&jwks, |_| ()).is_ok_and(|keys| keys.authentic(token, None).is_ok())
}

/// Whatever of the group's key fits into one of ours is tried.
fn encryption(group: &Value, token: &str) -> Option<Vec<u8>> {
    let jwk = &group["private"];
    let bytes = |name: &str| -> Option<[u8; 32]> { decode(jwk[name].as_str()?)?.try_into().ok() };
    let kid = header(token)["kid"].as_str().unwrap_or_default().to_owned();
    let direct = bytes("k").map(|mut k| JweKey::direct(&kid, LockedKey::from_bytes(&mut k)));
    let agreed = bytes("d").and_then(|mut d| JweKey::private(&LockedKey::from_bytes(&mut d)).ok());
    [direct, agreed].iter().flatten().find_map(|key| open(key, token).ok()).map(|(plain, _)| plain.to_vec())
}

fn run(file: &str) -> Option<Account> {
    let set = test_data::wycheproof(file)?;
    let mut account = Account::default();
    for group in set["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let id = &test["tcId"];
            // Two vectors are in the JSON serialisation, which we do not read at all.
            let text =
                |name: &str| test.get(name).map(|t| t.as_str().map_or_else(|| t.to_string(), str::to_owned));
            let (token, taken) = match (text("jws"), text("jwe")) {
                (Some(token), _) => (token.clone(), signature(group, &token)),
                (None, Some(token)) => {
                    let plain = encryption(group, &token);
                    if let (Some(plain), Some(expected)) = (&plain, test["pt"].as_str()) {
                        assert_eq!(hex::encode(plain), expected, "{file} {id}");
                    }
                    (token, plain.is_some())
                }
                (None, None) => panic!("{file} {id} is of a form that this test does not know"),
            };
            let header = header(&token);
            let named = |name: &str| header[name].as_str().unwrap_or_default().to_owned();
            let of_the_key = &group.get("public").unwrap_or(&group["private"])["alg"];
            let ours = match (named("alg").as_str(), named("enc").as_str()) {
                (alg, "") => SIGNATURES.contains(&alg) && (of_the_key.is_null() || of_the_key == alg),
                ("dir" | "ECDH-ES", "A256GCM") => true,
                _ => false,
            };
            match (test["result"].as_str(), taken) {
                (Some("valid"), true) => {
                    assert!(ours, "{file} {id} was taken");
                    account.taken += 1;
                }
                (Some("invalid"), false) => account.refused += 1,
                (Some("valid"), false) if !ours => {
                    account.off_list += 1;
                    let name = format!("{} {}", named("alg"), named("enc")).trim().to_owned();
                    *account.off_list_by_algorithm.entry(name).or_default() += 1;
                }
                (verdict, _) => panic!(
                    "{file} {id} ({}, {}): the verdict is {verdict:?}, ours is taken={taken}",
                    group["comment"], test["comment"]
                ),
            }
        }
    }
    Some(account)
}

#[test]
fn all_649_verdicts_of_wycheproofs_jose_vectors() {
    let mut sum = (0, 0, 0);
    for (file, count, taken) in [
        ("json_web_signature_test.json", 401, 32),
        ("json_web_encryption_test.json", 139, 1),
        ("json_web_crypto_test.json", 83, 2),
        ("json_web_key_test.json", 26, 1),
    ] {
        let Some(account) = run(file) else { return };
        println!("{file}: {account:?}");
        assert_eq!(account.taken + account.refused + account.off_list, count, "{file}");
        assert_eq!(account.taken, taken, "{file}");
        sum.0 += account.taken;
        sum.1 += account.refused;
        sum.2 += account.off_list;
    }
    assert_eq!(sum.0 + sum.1 + sum.2, 649);
    println!("taken {}, refused {}, valid but off our list of algorithms {}", sum.0, sum.1, sum.2);
}
