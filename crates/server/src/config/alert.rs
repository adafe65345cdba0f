//! `[alerts]` and `[[alert]]`: when people should look, and how they learn of it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Period, SecretRef};

/// Alerts: how people learn of them. What is raised is listed by `fortissimo alert list`, and goes to every sink as
/// `alert.raised`, in any case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Whether rules are evaluated at all.
    pub enabled: bool,
    /// Whether the built-in rules are used beside those of `[[alert]]`. A rule of the same name replaces a built-in one.
    pub builtin: bool,
    /// Names of built-in rules that are not wanted.
    pub off: Vec<String>,
    /// Address to which every alert is posted as a CloudEvent, signed as Standard Webhooks say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub webhook: Option<String>,
    /// The webhook's signing key, `whsec_` and base64, by reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub webhook_key: Option<SecretRef>,
    /// PEM file of the authority that signed the webhook's certificate; then only that one is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub webhook_ca_file: Option<PathBuf>,
    /// Who gets a mail for every alert; needs `mail.host`.
    pub mail_to: Vec<String>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            enabled: true,
            builtin: true,
            off: Vec::new(),
            webhook: None,
            webhook_key: None,
            webhook_ca_file: None,
            mail_to: Vec::new(),
        }
    }
}

/// One rule of alerts, beside the built-in ones (docs/sinks.md lists them).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name, in lower-case letters, digits and hyphens.
    pub name: String,
    /// Kinds of events that count, such as `["session.sign_in_failed"]` or `["key.*"]`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// OCSF severity from which on they count.
    #[serde(default = "min_severity")]
    pub min_severity: u8,
    /// Only those that ended so: `success`, `failure` or `denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub outcome: Option<String>,
    /// So many events raise an alert …
    #[serde(default = "threshold")]
    pub threshold: u32,
    /// … if they happen within this time.
    #[serde(default = "window")]
    pub window: Period,
    /// Counted together: `none` (everything), `account` (each by itself) or `address` (each by itself).
    #[serde(default)]
    pub group: AlertGroup,
    /// How bad it is: `low`, `medium`, `high` or `critical`.
    #[serde(default)]
    pub severity: AlertSeverity,
    /// As long as events follow each other within this time, they belong to the same alert.
    #[serde(default = "quiet")]
    pub quiet: Period,
    /// What a person who reads the alert should do.
    #[serde(default)]
    pub runbook: String,
}

/// What a rule counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AlertGroup {
    /// Everything.
    #[default]
    None,
    /// Each account by itself.
    Account,
    /// Each network address by itself.
    Address,
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AlertSeverity {
    /// OCSF 2.
    Low,
    /// OCSF 3.
    Medium,
    /// OCSF 4.
    #[default]
    High,
    /// OCSF 5.
    Critical,
}

const fn min_severity() -> u8 {
    1
}

const fn threshold() -> u32 {
    1
}

const fn window() -> Period {
    Period::from_minutes(5)
}

const fn quiet() -> Period {
    Period::from_minutes(30)
}
