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

/// Brackets within brackets. Cedar's parser and validator call themselves for each and end the program when the stack
/// does (seen with 4.14: 100,000 parentheses).
const DEPTH: usize = 50;
/// Operators of one statement, which nest as brackets do.
const OPERATORS: usize = 500;

/// Bytes of stack for loading what is within these bounds; measured: an unoptimized build needs 40 KiB for a bracket.
pub(crate) const STACK: usize = 64 << 20;

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
        check_nesting(file)?;
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

/// The bounds that keep Cedar's parser from ending the program, told from the text alone: nesting and operators.
fn check_nesting(file: &PolicyFile) -> Result<(), PolicyError> {
    let bytes = file.text.as_bytes();
    let (mut depth, mut operators, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' => operators = 0,
            b'!' | b'-' | b'+' | b'*' | b'.' | b'&' | b'|' | b'<' | b'>' | b'=' => operators += 1,
            // `if … else if …` nests, too.
            b'i' if bytes[at..].starts_with(b"if") => operators += 1,
            _ => {}
        }
        if depth > DEPTH {
            return Err(file.error(Some(at), &format_args!("more than {DEPTH} brackets within brackets")));
        }
        // Operators have one or two letters, so this is at most twice as strict as it says.
        if operators > 2 * OPERATORS {
            let reason = format_args!("more than {OPERATORS} operators in one statement; split it");
            return Err(file.error(Some(at), &reason));
        }
        at += 1;
    }
    Ok(())
}

/// The byte after a string that begins at `from`, which may lack its end.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
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
        return Err(
            "the pattern of `like` has no letters, so that it accepts everything; leave it out".into()
        );
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
