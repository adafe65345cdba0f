//! What is generated from the configuration's types: the JSON schema, the sample file and the reference page.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Config).to_value());

/// The JSON schema (draft 2020-12) of the configuration file, ending with a line break.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&*SCHEMA).expect("a schema is JSON");
    text.push('\n');
    text
}

/// One setting of a section, in the order of declaration.
struct Setting {
    name: String,
    about: String,
    /// The default as TOML, if there is a fixed one.
    default: Option<String>,
    /// Other settings in place of a value, for a table.
    required: bool,
}

/// One section of the file.
struct Section {
    /// As written in the file: `[server]` or `[[route]]`.
    head: String,
    name: String,
    about: String,
    settings: Vec<Setting>,
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Follows a `$ref` into the schema's definitions.
fn target(schema: &Value) -> &Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    name.and_then(|name| SCHEMA.get("$defs")?.get(name)).unwrap_or(schema)
}

fn about(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

fn sections() -> Vec<Section> {
    let section = |(name, schema): (&String, &Value)| {
        let items = schema.get("items");
        let body = target(items.unwrap_or(schema));
        let head = if items.is_some() { format!("[[{name}]]") } else { format!("[{name}]") };
        Section { head, name: name.clone(), about: about(body), settings: settings(body) }
    };
    properties(&SCHEMA).map(section).collect()
}

fn settings(body: &Value) -> Vec<Setting> {
    let required = |name: &str| {
        body.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == name))
    };
    properties(body)
        .map(|(name, schema)| Setting {
            name: name.clone(),
            about: about(schema),
            default: schema.get("default").map(toml_text),
            required: required(name),
        })
        .collect()
}

/// A default value as it is written in TOML, on one line.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let bare = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            let pair = |(key, value): (&String, &Value)| {
                let key = if bare(key) { key.clone() } else { format!("{key:?}") };
                format!("{key} = {}", toml_text(value))
            };
            format!("{{ {} }}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        // JSON strings, numbers and booleans are TOML as they are.
        other => other.to_string(),
    }
}

/// What to show for a setting that has no fixed default.
fn example(section: &str, setting: &str) -> &'static str {
    match (section, setting) {
        ("server", "public_url") => "\"http://localhost:8080\"",
        ("server", "trusted_hosts") => "[\"localhost\"]",
        ("database", "url") => "\"sqlite:fortissimo-data/fortissimo.db\"",
        ("database", "migrate_url") => "\"env:FORTISSIMO_MIGRATE_URL\"",
        ("route", "host") => "\"app.example.com\"",
        ("route", "path") => "\"/api/v1/tracks/{id}\"",
        ("route", "methods") => "[\"GET\"]",
        ("route", "upstream") => "\"http://127.0.0.1:9000\"",
        ("route", "inspect") => "\"block\"",
        ("route", "rate") => "\"standard\"",
        ("route", "max_body") => "\"600 MiB\"",
        ("route", "response_timeout") => "\"1m\"",
        ("route", "permissions_policy") => "\"microphone=(self)\"",
        ("access", "resource_type") => {
            "[{ name = \"stem_pack\", action = [{ name = \"stem:render\", relations = [\"owner\", \"shared\"], tiers = [\"pro\"] }] }]"
        }
        ("route", "access") => "\"track:read on track/{id}\"",
        ("geo", "city") => "\"/var/lib/fortissimo/GeoLite2-City.mmdb\"",
        ("geo", "asn") => "\"/var/lib/fortissimo/GeoLite2-ASN.mmdb\"",
        ("geo", "anonymous") => "\"/var/lib/fortissimo/GeoIP2-Anonymous-IP.mmdb\"",
        ("risk", "networks") => {
            "[{ file = \"/var/lib/fortissimo/drop.txt\", kind = \"attacks\", confidence = 1.0 }]"
        }
        ("access", "policies") => "\"/etc/fortissimo/policies\"",
        ("accounts", "breach_api") => "\"https://api.pwnedpasswords.com\"",
        ("tokens", "issuer") => "\"http://localhost:8080\"",
        ("provider", "id") => "\"google\"",
        ("provider", "name") => "\"Google\"",
        ("provider", "preset") => "\"google\"",
        ("provider", "issuer") => "\"https://accounts.google.com\"",
        ("provider", "client_id") => "\"1234.apps.googleusercontent.com\"",
        ("provider", "client_secret") => "\"env:GOOGLE_CLIENT_SECRET\"",
        ("provider", "scopes") => "[\"openid\", \"email\"]",
        ("provider", "authorize_url") => "\"https://id.example.com/authorize\"",
        ("provider", "token_url") => "\"https://id.example.com/token\"",
        ("provider", "profile_url") => "\"https://id.example.com/me\"",
        ("provider", "subject_field") => "\"id\"",
        ("provider", "email_field") => "\"email\"",
        ("provider", "verified_field") => "\"email_verified\"",
        ("provider", "ca_file") => "\"/etc/fortissimo/provider-ca.pem\"",
        ("mail", "host") => "\"smtp.example.com\"",
        ("mail", "port") => "587",
        ("mail", "user") => "\"fortissimo\"",
        ("mail", "password") => "\"env:SMTP_PASSWORD\"",
        ("tls", "cert") => "\"/etc/fortissimo/cert.pem\"",
        ("tls", "key") => "\"/etc/fortissimo/key.pem\"",
        ("mail", "ca_file") => "\"/etc/fortissimo/mail-ca.pem\"",
        ("mail", "outbox_dir") => "\"outbox\"",
        ("sink", "name") => "\"siem\"",
        ("sink", "kind") => "\"syslog\"",
        ("sink", "form") => "\"ocsf\"",
        ("sink", "address") => "\"siem.example.com:6514\"",
        ("sink", "url") => "\"https://siem.example.com\"",
        ("sink", "token") => "\"env:SIEM_TOKEN\"",
        ("sink", "index") => "\"fortissimo-audit\"",
        ("sink", "ca_file") => "\"/etc/fortissimo/siem-ca.pem\"",
        ("sink", "client_cert") => "\"/etc/fortissimo/siem-client.pem\"",
        ("sink", "client_key") => "\"/etc/fortissimo/siem-client.key\"",
        ("sink", "folder") => "\"/var/lib/fortissimo/export\"",
        ("alerts", "webhook") => "\"https://alerts.example.com/fortissimo\"",
        ("alerts", "webhook_key") => "\"env:ALERT_WEBHOOK_KEY\"",
        ("alerts", "webhook_ca_file") => "\"/etc/fortissimo/alerts-ca.pem\"",
        ("alert", "name") => "\"exports\"",
        ("alert", "outcome") => "\"success\"",
        ("audit", "origin") => "\"localhost:8080/log\"",
        ("audit", "folder") => "\"fortissimo-data/log\"",
        ("audit", "anchor") => "\"fortissimo-data/anchor/checkpoint\"",
        ("keys", "root_file") => "\"fortissimo-data/root.key\"",
        ("keys", "passphrase") => "\"env:FORTISSIMO_PASSPHRASE\"",
        _ => "\"\"",
    }
}

/// The sample file: every setting with its meaning and default, all commented out, so that it is valid as it is.
pub fn sample() -> String {
    let mut out = String::from(
        "# Configuration of Fortissimo. Everything here is optional: what is commented out shows the default, or an\n\
         # example where the default follows from other settings. Generated by `fortissimo config sample`.\n\
         # FORTISSIMO__SECTION__KEY in the environment overrides a setting, a command-line option overrides both.\n\
         # Secrets stand here only by reference: \"env:NAME\" or \"file:PATH\".\n",
    );
    for section in sections() {
        let _ = write!(out, "\n{}", comment(&section.about));
        let _ = writeln!(out, "#{}", section.head);
        for setting in &section.settings {
            let value = setting
                .default
                .as_deref()
                .filter(|_| section.name != "route")
                .unwrap_or_else(|| example(&section.name, &setting.name));
            let _ = writeln!(out, "{}#{} = {value}", comment(&setting.about), setting.name);
        }
    }
    out
}

/// Wraps a sentence into comment lines of at most 110 characters.
fn comment(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 110 {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
    out
}

/// The reference page in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         Generated by `fortissimo config reference`; do not edit by hand.\n\n\
         `fortissimo` reads the file named with `--config`, else `fortissimo.toml` in the working directory if there is\n\
         one. `FORTISSIMO__SECTION__KEY` in the environment overrides a setting (the text is read as a TOML value if it\n\
         is one, else as a string), and a command-line option overrides both. Nothing is needed for the embedded default.\n\
         Unknown keys are errors. Secrets stand in the file only by reference: `env:NAME` or `file:PATH`. Relative paths\n\
         are relative to the working directory. `fortissimo config check` checks, `config show` prints the result.\n\n\
         Lengths of time are written `250ms`, `10s`, `15m`, `24h`, `7d`; amounts of data `64 KiB`, `8 MiB`, `2 GiB`.\n",
    );
    for section in sections() {
        let _ = write!(
            out,
            "\n## `{}`\n\n{}\n\n| Setting | Default | Meaning |\n|---|---|---|\n",
            section.head, section.about
        );
        for setting in &section.settings {
            let default = match &setting.default {
                Some(text) => format!("`{text}`"),
                None if setting.required => "required".to_owned(),
                None => "none".to_owned(),
            };
            let about = setting.about.replace('|', "\\|");
            let _ = writeln!(out, "| `{}` | {default} | {about} |", setting.name);
        }
    }
    out
}

/// The sections, as written in the file, that have a setting of this name.
pub(super) fn sections_with(name: &str) -> Vec<String> {
    let has = |section: &Section| section.settings.iter().any(|setting| setting.name == name);
    sections().into_iter().filter(has).map(|section| section.head).collect()
}

/// Every `section.setting` that lacks a description; a test wants none.
#[cfg(test)]
pub(super) fn undocumented() -> Vec<String> {
    let all = sections();
    let bare = |section: &Section| {
        let name = section.name.clone();
        let settings = section.settings.iter().filter(|setting| setting.about.is_empty());
        settings.map(|setting| format!("{name}.{}", setting.name)).collect::<Vec<_>>()
    };
    let empty = all.iter().filter(|section| section.about.is_empty()).map(|section| section.name.clone());
    empty.chain(all.iter().flat_map(bare)).collect()
}
