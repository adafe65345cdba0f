//! Login risk: is this sign-in, whose password was right, by the owner of the account?
//!
//! Two parts judge side by side, and the stricter outcome counts:
//! - **fixed signals** with weights that an operator can read and change ([`Weights`]): new place, new device, unusual
//!   hour, bad network, impossible travel, recent failures, breached password;
//! - **a learned part**: how likely is what we see if it were the owner, by this person's history and by how people in
//!   general move between networks and devices, against how likely if it were one of four kinds of attackers
//!   (after Freeman et al., *Who Are You? A Statistical Approach to Measuring User Authenticity*, NDSS 2016).
//!
//! Everything has a limit: [`HISTORY_LIMIT`] sign-ins per person, one [`Population`] of fixed size for everybody.

mod agent;
mod assess;
mod codec;
mod history;
mod learned;
mod line;
mod population;
mod reason;
mod sighting;
mod signals;
mod sketch;
mod status;
#[cfg(test)]
mod tests;
mod travel;

pub use agent::Agent;
pub use assess::{Assessment, Engine, Outcome, Thresholds};
pub use codec::CorruptState;
pub use history::{HISTORY_LIMIT, History};
pub use population::Population;
pub use reason::{Part, Reason, ReasonCode};
pub use sighting::{Circumstances, Network, Place, Sighting};
pub use signals::Weights;
