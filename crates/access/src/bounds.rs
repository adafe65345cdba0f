//! What no set of policies may exceed: whoever may write policies must not be able to make every request slow.

use std::collections::HashSet;

use cedar_policy::Policy;
use serde_json::Value;

use crate::source::{PolicyError, PolicyFile};

/// Files of one bundle.
pub(crate) const FILES: usize = 256;
/// Bytes of one file.
pub(crate) const FILE_BYTES: usize = 1024 * 1024;
/// Bytes of all files together.
const BYTES: usize = 4 * 1024 * 1024;
/// Policies, the built-in ones included.
pub(crate) const POLICIES: usize = 2_000;
/// How many references a policy may follow one after another (Cedar RFC 76): `principal.user` is one.
pub(crate) const LEVEL: u32 = 1;
/// `*` in one pattern of `like`: each one more multiplies what a crafted text can cost.
const WILDCARDS: usize = 3;
/// Letters of one pattern.
const PATTERN: usize = 256;
/// Operators, accesses and literals of one policy.
const NODES: usize = 10_000;

pub(crate) const FILE_TOO_LARGE: &str = "larger than 1 MiB; is it the right file?";

/// The bounds that can be told before anything is parsed.
pub(crate) fn check_files(files: &[PolicyFile]) -> Result<(), PolicyError> {
    if files.len() > FILES {
        return Err(PolicyError::general(format!("more than {FILES} policy files")));
    }
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for file in files {
        if file.text.len() > FILE_BYTES {
            return Err(file.error(None, &FILE_TOO_LARGE));
        }
        if !seen.insert(file.base_name()) {
            return Err(file.error(None, &"another file of the bundle has the same name"));
        }
        bytes += file.text.len();
        if bytes > BYTES {
            return Err(file.error(None, &"the files are larger than 4 MiB together"));
        }
    }
    Ok(())
}

/// The bounds of one policy.
pub(crate) fn check_policy(policy: &Policy) -> Result<(), String> {
    let json = policy.to_json().map_err(|e| format!("cannot be looked at: {e}"))?;
    let mut nodes = 0;
    walk(&json, &mut nodes)
}

fn walk(json: &Value, nodes: &mut usize) -> Result<(), String> {
    *nodes += 1;
    if *nodes > NODES {
        return Err(format!("the policy has more than {NODES} parts; split it"));
    }
    match json {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, nodes)),
        Value::Object(fields) => {
            if let Some(like) = fields.get("like") {
                pattern(like.get("pattern").unwrap_or(&Value::Null))?;
            }
            fields.values().try_for_each(|value| walk(value, nodes))
        }
        _ => Ok(()),
    }
}

/// Cedar's JSON form of a pattern: `["Wildcard", {"Literal": "a"}, …]`.
fn pattern(parts: &Value) -> Result<(), String> {
    let parts = parts.as_array().map(Vec::as_slice).unwrap_or_default();
    let wildcards = parts.iter().filter(|part| part.as_str() == Some("Wildcard")).count();
    if wildcards == parts.len() {
        return Err("the pattern of `like` has no letters, so that it accepts everything; leave it out".into());
    }
    if wildcards > WILDCARDS {
        return Err(format!(
            "the pattern of `like` has {wildcards} wildcards; more than {WILDCARDS} let a crafted text cost too much"
        ));
    }
    let letters: usize =
        parts.iter().filter_map(|part| part.get("Literal")?.as_str()).map(|text| text.chars().count()).sum();
    if letters > PATTERN {
        return Err(format!("the pattern of `like` is longer than {PATTERN} letters"));
    }
    Ok(())
}
