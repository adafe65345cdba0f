//! `[access]`: who may do what, beyond the built-in policies.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// Who may do what, beyond the built-in policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Who must have shown a second factor lately before they delete, export, share or administer: `off` nobody,
    /// `enrolled` accounts that have one, `always` everybody, so that who has none cannot.
    pub step_up: StepUp,
    /// How long a second factor counts for that.
    pub step_up_max_age: Period,
    /// From this risk on, from 0 to 100, a session cannot delete, export, share or administer; above 100, never.
    pub risk_limit: u8,
    /// People register objects of their own (`PUT /v1/resources/{type}/{id}`) and own them then. Off, only
    /// administrators register. Leave it on only if identifiers of objects cannot be guessed before they are registered:
    /// whoever registers first owns.
    pub self_registration: bool,
    /// How long an administrator can look at somebody's private object for a reason (break-glass) at most.
    pub break_glass_max: Period,
}

/// Who must have shown a second factor lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepUp {
    /// Nobody.
    Off,
    /// Accounts that have one.
    #[default]
    Enrolled,
    /// Everybody.
    Always,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            policies: None,
            reload: false,
            step_up: StepUp::default(),
            step_up_max_age: Period::from_minutes(15),
            risk_limit: 80,
            self_registration: true,
            break_glass_max: Period::from_hours(4),
        }
    }
}

impl Access {
    /// The numbers behind the conditions of decisions.
    pub fn conditions(&self) -> access::Conditions {
        access::Conditions {
            step_up: match self.step_up {
                StepUp::Off => access::StepUp::Off,
                StepUp::Enrolled => access::StepUp::Enrolled,
                StepUp::Always => access::StepUp::Always,
            },
            step_up_max_age_s: u32::try_from(self.step_up_max_age.as_secs()).unwrap_or(u32::MAX),
            risk_limit: self.risk_limit,
        }
    }

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
