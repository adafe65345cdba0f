//! `[risk]`: whether whoever knows the password is the owner (AUTH-10).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// Whether whoever knows the password is the owner. Signals add up; docs/login-risk.md explains each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Risk {
    /// Judge sign-ins.
    pub enabled: bool,
    /// Weight of a city or country that is new for the person. Needs `geo.city`.
    pub new_place: f64,
    /// Weight of a device that is new for the person.
    pub new_device: f64,
    /// Weight of an hour at which the person never signs in.
    pub unusual_hour: f64,
    /// Weight of a network that hides people, a data centre, or one known for attacks. Needs `geo.anonymous` or
    /// `risk.networks`.
    pub bad_network: f64,
    /// Weight of a place too far from the last one for the time between.
    pub impossible_travel: f64,
    /// Weight of failed attempts shortly before.
    pub recent_failures: f64,
    /// Weight of a password that is in the list of breached ones.
    pub breached_password: f64,
    /// Sum from which the owner gets a mail with a link that undoes the sign-in.
    pub notify_at: f64,
    /// Sum from which a further proof is asked for; reaching it counts.
    pub step_up_at: f64,
    /// Sum from which a sign-in is refused.
    pub deny_at: f64,
    /// Learned score from which a further proof is asked for; lower asks more often, 100 never.
    pub learned_step_up_at: f64,
    /// An account's very first sign-in, of which nothing can be said: `allow`, `notify` or `step-up`.
    pub first_sign_in: FirstSignIn,
    /// How long a mailed question can be answered, and the answer used.
    pub confirmation_ttl: Period,
    /// How long a sign-in can be undone by the mailed link.
    pub undo_ttl: Period,
    /// Lists of networks that are known for something, one network (CIDR) or address on a line, `#` and `;` begin
    /// remarks. Each is read again when it is replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<RiskNetworks>,
}

/// A list of networks that are known for something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RiskNetworks {
    /// The list.
    pub file: PathBuf,
    /// What they are known for: `attacks`, `anonymous` (networks that hide people: VPN, proxies, Tor exits) or `hosting`.
    pub kind: NetworkKind,
    /// For attacks: how sure the list is, from 0 to 1. From 0.5 it makes a bad network.
    #[serde(default = "certain")]
    pub confidence: f64,
}

const fn certain() -> f64 {
    1.0
}

/// What a network is known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum NetworkKind {
    /// Attacks come from it.
    Attacks,
    /// It hides people.
    Anonymous,
    /// A data centre.
    Hosting,
}

/// What happens to an account's first sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum FirstSignIn {
    /// Nothing.
    Allow,
    /// The owner gets a mail.
    Notify,
    /// A further proof is asked for.
    StepUp,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            enabled: true,
            new_place: 0.3,
            new_device: 0.4,
            unusual_hour: 0.2,
            bad_network: 0.5,
            impossible_travel: 0.5,
            recent_failures: 0.3,
            breached_password: 0.5,
            notify_at: 0.3,
            step_up_at: 0.5,
            deny_at: 1.6,
            learned_step_up_at: -0.75,
            first_sign_in: FirstSignIn::Notify,
            confirmation_ttl: Period::from_minutes(15),
            undo_ttl: Period::from_days(7),
            networks: Vec::new(),
        }
    }
}
