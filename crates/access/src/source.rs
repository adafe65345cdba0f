//! Policy files: read, parsed and strictly validated, with file, line and column in every complaint.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, SchemaFragment, ValidationMode, Validator};
use miette::Diagnostic;
use sha2::{Digest, Sha256};

use crate::bounds;
use crate::reach::Reach;

/// The policies were refused. The text names file, line and column, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    /// The file; `None` if no single one is to blame.
    pub file: Option<String>,
    /// Line and column, counted from 1, of what is wrong in the file.
    pub place: Option<(usize, usize)>,
    /// What is wrong there.
    pub message: String,
}

impl PolicyError {
    pub(crate) fn general(message: impl Into<String>) -> Self {
        Self { file: None, place: None, message: message.into() }
    }

    fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: Some(file.into()), place: None, message: message.into() }
    }
}

/// `file:line:column: message` in one line, with as much of it as is known.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some((line, column)) = self.place {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        // Cedar's own words may have several lines; a complaint is one.
        f.write_str(&self.message.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// One file of a bundle: `*.cedarschema` or `*.cedar`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PolicyFile {
    /// Its name, for messages: a path where it came from a folder.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl PolicyFile {
    /// The `*.cedarschema` and `*.cedar` files of a folder, by name; others are left alone.
    ///
    /// # Errors
    /// The folder or a file cannot be read, it holds none, or one is larger than policies may be.
    pub fn read_folder(folder: &Path) -> Result<Vec<Self>, PolicyError> {
        directory(folder)
    }

    /// The name without the path to it. The path differs between nodes, so that only this is hashed and stored.
    pub fn base_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or_default()
    }

    fn is_schema(&self) -> bool {
        self.name.ends_with(".cedarschema")
    }

    pub(crate) fn error(&self, offset: Option<usize>, message: &dyn fmt::Display) -> PolicyError {
        let place = offset.map(|offset| {
            let before = self.text.get(..offset).unwrap_or(&self.text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
            (line, column)
        });
        PolicyError { file: Some(self.name.clone()), place, message: message.to_string() }
    }

    fn diagnostic(&self, error: &dyn Diagnostic) -> PolicyError {
        let label = error.labels().and_then(|mut labels| labels.next());
        let mut message = error.to_string();
        if let Some(text) = label.as_ref().and_then(|l| l.label()) {
            let _ = write!(message, ": {text}");
        }
        if let Some(help) = error.help() {
            let _ = write!(message, " ({help})");
        }
        self.error(label.map(|l| l.offset()), &message)
    }
}

macro_rules! embedded { ($($name:literal),* $(,)?) => {
    [$(($name, include_str!(concat!("../../../policies/", $name)))),*]
} }

/// The files that are built into the program.
pub(crate) fn builtin() -> Vec<PolicyFile> {
    embedded![
        "schema.cedarschema",
        "conditions.cedar",
        "relations.cedar",
        "assurance.cedar",
        "rights.cedar",
        "roles.cedar",
        "tiers.cedar"
    ]
    .map(|(name, text)| PolicyFile { name: format!("builtin/{name}"), text: text.to_owned() })
    .into()
}

/// The `*.cedarschema` and `*.cedar` files of a directory, by name. Others are left alone.
pub(crate) fn directory(dir: &Path) -> Result<Vec<PolicyFile>, PolicyError> {
    let failed = |path: &Path, error: &dyn fmt::Display| {
        PolicyError::of_file(path.display().to_string(), error.to_string())
    };
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| failed(dir, &e))? {
        let path = entry.map_err(|e| failed(dir, &e))?.path();
        if !path.extension().is_some_and(|end| end == "cedar" || end == "cedarschema") {
            continue;
        }
        if sources.len() == bounds::FILES {
            return Err(failed(dir, &format_args!("more than {} policy files", bounds::FILES)));
        }
        let about = std::fs::metadata(&path).map_err(|e| failed(&path, &e))?;
        // A pipe would be waited for.
        if !about.is_file() {
            return Err(failed(&path, &"is no regular file"));
        }
        // Before it is read: somebody may have put a recording there.
        if about.len() > bounds::FILE_BYTES as u64 {
            return Err(failed(&path, &bounds::FILE_TOO_LARGE));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, &e))?;
        sources.push(PolicyFile { name: path.display().to_string(), text });
    }
    // The wrong folder, or one that is just being filled: either way nobody means "no rules of my own any more" by it.
    if sources.is_empty() {
        return Err(failed(dir, &"holds no *.cedar and no *.cedarschema file"));
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

/// A policy that passed validation, with the identifier and the code of its annotations.
pub(crate) struct LoadedPolicy {
    pub(crate) policy: Policy,
    pub(crate) id: Arc<str>,
    pub(crate) code: &'static str,
    /// What its answer can depend on.
    pub(crate) reach: Reach,
}

/// A schema and the policies that are valid under it, in the order of the files.
pub(crate) struct Loaded {
    pub(crate) schema: Schema,
    pub(crate) policies: Vec<LoadedPolicy>,
    pub(crate) version: Arc<str>,
}

/// Parses and validates. The first mistake refuses the whole.
pub(crate) fn load(sources: &[PolicyFile]) -> Result<Loaded, PolicyError> {
    let schema = schema(sources)?;
    let validator = Validator::new(schema.clone());
    let mut policies = Vec::new();
    let mut seen = HashMap::new();
    for source in sources.iter().filter(|source| !source.is_schema()) {
        policies_of(source, &validator, &mut seen, &mut policies)?;
    }
    Ok(Loaded { schema, policies, version: version(sources) })
}

fn schema(sources: &[PolicyFile]) -> Result<Schema, PolicyError> {
    let mut fragments = Vec::new();
    for source in sources.iter().filter(|source| source.is_schema()) {
        let (fragment, warnings) =
            SchemaFragment::from_cedarschema_str(&source.text).map_err(|e| source.diagnostic(&e))?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(source.diagnostic(&warning));
        }
        fragments.push(fragment);
    }
    let names =
        || sources.iter().filter(|s| s.is_schema()).map(|s| s.name.as_str()).collect::<Vec<_>>().join(" + ");
    Schema::from_schema_fragments(fragments).map_err(|e| PolicyError::of_file(names(), e.to_string()))
}

fn policies_of(
    source: &PolicyFile,
    validator: &Validator,
    seen: &mut HashMap<Arc<str>, String>,
    loaded: &mut Vec<LoadedPolicy>,
) -> Result<(), PolicyError> {
    let set: PolicySet = source.text.parse().map_err(|e: cedar_policy::ParseErrors| source.diagnostic(&e))?;
    if set.templates().next().is_some() {
        return Err(source.error(None, &"policy templates (?principal, ?resource) are not supported"));
    }
    // The level bounds how far a policy may follow references from principal and resource: no further than the facts
    // that a question brings along.
    let result = validator.validate_with_level(&set, ValidationMode::Strict, bounds::LEVEL);
    if let Some(error) = result.validation_errors().next() {
        return Err(source.diagnostic(error));
    }
    // A warning means a policy that can never apply or a text that looks like another: a mistake, in a policy.
    if let Some(warning) = result.validation_warnings().next() {
        return Err(source.diagnostic(warning));
    }
    let offset = |policy: &Policy| policy.as_ref().loc().map(|loc| loc.span.offset());
    let mut in_order: Vec<&Policy> = set.policies().collect();
    in_order.sort_by_key(|policy| offset(policy));
    for policy in in_order {
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            return Err(
                source.error(offset(policy), &"the policy has no @id(\"…\"), which decisions would name")
            );
        };
        let id: Arc<str> = Arc::from(id);
        if let Some(other) = seen.insert(Arc::clone(&id), source.name.clone()) {
            return Err(
                source.error(offset(policy), &format_args!("@id(\"{id}\") stands in {other} already"))
            );
        }
        let code = code_of(policy).map_err(|message| source.error(offset(policy), &message))?;
        bounds::check_policy(policy).map_err(|message| source.error(offset(policy), &message))?;
        if loaded.len() == bounds::POLICIES {
            return Err(
                source.error(offset(policy), &format_args!("more than {} policies", bounds::POLICIES))
            );
        }
        let reach = Reach::of(policy);
        loaded.push(LoadedPolicy { policy: policy.new_id(PolicyId::new(&id)), id, code, reach });
    }
    Ok(())
}

/// The code that a policy gives to the decision. A closed set, because clients and dashboards match on it.
fn code_of(policy: &Policy) -> Result<&'static str, String> {
    use crate::code;
    const OF_FORBIDS: &[&str] = &[
        code::NO_ROLE,
        code::SUSPENDED,
        code::UNVERIFIED,
        code::LOCKED,
        code::NOT_YOURS,
        code::NO_RELATION,
        code::MFA_REQUIRED,
        code::RISK,
        code::FORBIDDEN,
    ];
    match (policy.effect(), policy.annotation("code")) {
        (cedar_policy::Effect::Permit, None) => Ok(code::GRANTED),
        (cedar_policy::Effect::Permit, Some(_)) => Err("only a forbid has a @code".to_owned()),
        (cedar_policy::Effect::Forbid, None) => Ok(code::FORBIDDEN),
        (cedar_policy::Effect::Forbid, Some(given)) => OF_FORBIDS
            .iter()
            .find(|known| **known == given)
            .copied()
            .ok_or_else(|| format!("@code must be one of {}", OF_FORBIDS.join(", "))),
    }
}

/// A label, not a proof: the digest in place of a counter, so that equal policies have equal versions on every node.
fn version(sources: &[PolicyFile]) -> Arc<str> {
    let mut digest = Sha256::new();
    let mut seen = HashSet::new();
    for source in sources {
        debug_assert!(seen.insert(&source.name), "a file is loaded once");
        for part in [source.base_name(), &source.text] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
    }
    let mut version = String::new();
    for byte in &digest.finalize()[..6] {
        let _ = write!(version, "{byte:02x}");
    }
    Arc::from(version)
}
