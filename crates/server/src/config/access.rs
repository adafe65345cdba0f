//! `[access]`: who may do what, beyond the built-in policies.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may do what, beyond the built-in policies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// A folder of your own policies (`*.cedarschema` and `*.cedar`), read on top of the built-in ones: it may add
    /// actions and kinds of objects to the catalogue and grant or forbid more to roles and tiers. A file that is wrong is
    /// refused with line and column, and the program does not start. Absent: the built-in policies alone. What was
    /// put in force with `fortissimo policy activate` takes precedence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub policies: Option<PathBuf>,
    /// Watch the folder: when its files change, they are put in force on every node, as `fortissimo policy activate`
    /// would. Off, a change needs that command (or a restart, as long as nothing was ever activated).
    pub reload: bool,
}

impl Access {
    /// The built-in policies, and those of the folder if one is named.
    ///
    /// # Errors
    /// A file that cannot be read or is wrong, with file, line and column.
    pub fn load(&self) -> Result<access::Access, access::PolicyError> {
        match &self.policies {
            Some(folder) => access::Access::load(folder),
            None => access::Access::builtin(),
        }
    }
}
