//! `[witness]`: watching the logs of others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Vkey;

/// What `fortissimo witness` does, a program of its own on another machine: it listens at `server.listen`, keeps the
/// newest checkpoint of each log that it knows, and cosigns a newer one only if it continues it (C2SP tlog-witness).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Witness {
    /// This witness's name in its cosignatures, a URL without scheme such as `witness.example/w1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// The keys of the logs to watch, as vkeys; a log that changes its key has two for a while.
    pub logs: Vec<Vkey>,
}
