//! `[attempts]`: wrong passwords and codes (AUTH-3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Period;

/// Wrong passwords and codes. Each kind of proof is counted for itself, under the name that was tried whether somebody
/// has it or not; devices that signed in before have a budget of their own, so that strangers cannot lock owners out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Attempts {
    /// That many wrong attempts within `window` start the delays.
    pub before_delay: u32,
    /// See `before_delay`.
    pub window: Period,
    /// The first delay; each further wrong attempt doubles it.
    pub first_delay: Period,
    /// The longest delay.
    pub longest_delay: Period,
    /// Wrong attempts without a right one after which a name's password or code is asked for no more until it is set anew.
    /// An account has two names, and NIST SP 800-63B allows 100 attempts.
    pub hard_stop: u32,
    /// Wrong attempts from one network within `window` that start its delays.
    pub network_before_delay: u32,
    /// A network's first delay; each further wrong attempt doubles it.
    pub network_first_delay: Period,
    /// A network's longest delay.
    pub network_longest_delay: Period,
    /// Names that one network has tried, and from which it is slowed and reported as spraying.
    pub spray_names: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            before_delay: 5,
            window: Period::from_minutes(15),
            first_delay: Period::from_secs(10),
            longest_delay: Period::from_minutes(15),
            hard_stop: 50,
            network_before_delay: 30,
            network_first_delay: Period::from_secs(2),
            network_longest_delay: Period::from_minutes(1),
            spray_names: 10,
        }
    }
}
