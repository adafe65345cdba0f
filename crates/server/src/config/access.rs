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
    /// From this risk on, from 0 to 100, as it was found at its sign-in, a session cannot delete, export, share or
    /// administer until the second factor is given again in it; above 100, never.
    pub risk_limit: u8,
    /// People register objects of their own (`PUT /v1/resources/{type}/{id}`) and own them then. Off, the services that
    /// make them do, by `Fortissimo-Register: type/id` in their answers, and operators (`fortissimo object register`).
    /// Turn it on only if nobody can guess an identifier before it is registered: whoever registers first owns.
    pub self_registration: bool,
    /// How long an administrator can look at somebody's private object for a reason (break-glass) at most.
    pub break_glass_max: Period,
    /// How long an invitation link lasts at most.
    pub invitation_max: Period,
    /// How long an offer to share waits for an answer.
    pub offer_ttl: Period,
    /// Types of objects beside the built-in ones, with what can be done to them. For more than this, write policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_type: Vec<ResourceType>,
}

/// A type of objects that have owners and can be shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceType {
    /// As in routes (`… on stem_pack/{id}`): lower-case words with `_` between.
    pub name: String,
    /// What can be done to them.
    pub action: Vec<TypeAction>,
}

/// An action on objects of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeAction {
    /// Such as `stem:render`.
    pub name: String,
    /// Any of these is enough: `owner`, `collaborator`, `shared`, `public`, `token`, `break_glass`.
    #[schemars(with = "Vec<String>")]
    pub relations: Vec<access::Relation>,
    /// Roles that grant it; super_admin always does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub roles: Vec<access::Role>,
    /// Tiers that grant it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub tiers: Vec<access::Tier>,
    /// It deletes, exports or shares: it demands a second factor (see `step_up`) and a session without suspicion.
    #[serde(default)]
    pub sensitive: bool,
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
            self_registration: false,
            break_glass_max: Period::from_hours(4),
            invitation_max: Period::from_hours(24),
            offer_ttl: Period::from_days(30),
            resource_type: Vec::new(),
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
        access::Bundle::from_files(self.files(self.policies.as_deref())?).map(access::Access::new)
    }

    /// The types of objects named here, as policies are made from them.
    pub fn resource_types(&self) -> Vec<access::ResourceType> {
        let action = |one: &TypeAction| access::TypeAction {
            name: one.name.clone(),
            relations: one.relations.clone(),
            roles: one.roles.clone(),
            tiers: one.tiers.clone(),
            sensitive: one.sensitive,
        };
        self.resource_type
            .iter()
            .map(|one| access::ResourceType {
                name: one.name.clone(),
                actions: one.action.iter().map(action).collect(),
            })
            .collect()
    }

    /// The policies beyond the built-in ones: those of a folder, and those of the types of objects named here.
    ///
    /// # Errors
    /// A file that cannot be read, or a type that cannot be.
    pub fn files(
        &self,
        folder: Option<&std::path::Path>,
    ) -> Result<Vec<access::PolicyFile>, access::PolicyError> {
        let mut files = folder.map(access::PolicyFile::read_folder).transpose()?.unwrap_or_default();
        files.extend(access::ResourceType::files(&self.resource_types())?);
        Ok(files)
    }
}
