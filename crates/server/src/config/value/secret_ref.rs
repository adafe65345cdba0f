//! References to secrets; the configuration never holds one itself.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base::Secret;

/// Where a secret is found: `env:NAME` (environment variable) or `file:PATH` (the file's text, without the
/// line break at its end).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// The environment variable of this name.
    Env(String),
    /// The file at this path.
    File(PathBuf),
}

/// A secret file longer than this is surely the wrong file.
const MAX_SECRET_BYTES: u64 = 64 << 10;

impl SecretRef {
    /// Fetches the secret. The error names the reference and never the value.
    pub fn resolve(&self) -> Result<Secret<String>, String> {
        match self {
            Self::Env(name) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the server's configuration reads the environment"
                )]
                let value = std::env::var(name);
                value
                    .map(Secret::new)
                    .map_err(|_| format!("environment variable {name} is not set or not UTF-8"))
            }
            Self::File(path) => {
                let shown = path.display();
                let length =
                    std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
                if length > MAX_SECRET_BYTES {
                    return Err(format!(
                        "{shown} is larger than {MAX_SECRET_BYTES} bytes; is it the right file?"
                    ));
                }
                let mut text =
                    std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
                while text.ends_with(['\n', '\r']) {
                    text.pop();
                }
                if text.is_empty() {
                    return Err(format!("{shown} is empty"));
                }
                Ok(Secret::new(text))
            }
        }
    }
}

impl FromStr for SecretRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("secret", _)) => Err(
                "secret: references come with the secret store; use \"env:NAME\" or \"file:PATH\" for now"
                    .into(),
            ),
            // The value is not repeated: it may well be the secret.
            _ => Err("a secret stands here only by reference: \"env:NAME\" or \"file:PATH\"".into()),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

super::text_value!(SecretRef, "SecretRef", "a reference to a secret, \"env:NAME\" or \"file:PATH\"");
