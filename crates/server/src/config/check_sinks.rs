//! What is wrong with sinks and alerts, before anybody is spoken to.

use std::collections::HashSet;

use sinks::{Pattern, RuleError, alert::builtin_rules};

use super::check::Checker;
use super::sink::{SinkForm, SinkKind};
use super::value::{Period, Size};
use super::{Resolved, Sink};

/// More would be a slip of the finger; each has a task of its own.
const MAX_SINKS: usize = 32;
const MAX_RULES: usize = 200;

pub(super) fn sinks(config: &Resolved, out: &mut Checker<'_>) {
    if config.sink.len() > MAX_SINKS {
        out.error(&["sink"], "at most 32 sinks");
    }
    let mut names = HashSet::new();
    for (index, sink) in config.sink.iter().enumerate() {
        let at = index.to_string();
        let mut wrong = |field: &str, message: &str| out.error(&["sink", &at, field], message);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if sink.name.is_empty() || sink.name.len() > 48 || !sink.name.bytes().all(plain) {
            wrong("name", "expected 1 to 48 lower-case letters, digits and hyphens");
        }
        if sink.name == sinks::alert::CURSOR {
            wrong("name", "\"alerts\" is the name of the alerts' own cursor; choose another");
        }
        if !names.insert(sink.name.as_str()) {
            wrong("name", "another sink has this name");
        }
        fields(sink, &mut wrong);
        bounds(sink, &mut wrong);
    }
}

/// What the kind needs, and what it has no use for.
fn fields(sink: &Sink, wrong: &mut impl FnMut(&str, &str)) {
    use SinkKind::{Elastic, Files, Otlp, Splunk, Syslog, Webhook};
    let kind = sink.kind;
    let over_http = matches!(kind, Otlp | Splunk | Elastic | Webhook);
    let rules = [
        ("address", sink.address.is_some(), kind == Syslog, kind == Syslog),
        ("url", sink.url.is_some(), over_http, over_http),
        ("token", sink.token.is_some(), over_http, matches!(kind, Splunk | Webhook)),
        ("index", sink.index.is_some(), matches!(kind, Elastic | Splunk), kind == Elastic),
        ("folder", sink.folder.is_some(), kind == Files, kind == Files),
        ("ca_file", sink.ca_file.is_some(), kind != Files, false),
        ("client_cert", sink.client_cert.is_some(), kind != Files, sink.client_key.is_some()),
        ("client_key", sink.client_key.is_some(), kind != Files, sink.client_cert.is_some()),
        ("acknowledge", sink.acknowledge, kind == Splunk, false),
    ];
    for (field, given, allowed, needed) in rules {
        if given && !allowed {
            wrong(field, &format!("is not for sinks of kind \"{}\"; remove it", kind.name()));
        } else if needed && !given {
            let message = match field {
                "client_cert" | "client_key" => "client_cert and client_key belong together".to_owned(),
                "token" if kind == Webhook => {
                    "a webhook is signed: name its key, \"env:NAME\" or \"file:PATH\"".to_owned()
                }
                _ => format!("a sink of kind \"{}\" needs it", kind.name()),
            };
            wrong(field, &message);
        }
    }
    if let Some(address) = sink.address.as_deref().filter(|_| kind == Syslog)
        && crate::sink_setup::host_and_port(address).is_none()
    {
        wrong("address", "expected host and port such as \"siem.example.com:6514\"");
    }
    if let Some(url) = sink.url.as_deref().filter(|_| over_http) {
        check_url(url, "url", wrong);
    }
    if sink.form == SinkForm::Cef && matches!(kind, Elastic | Files) {
        wrong("form", "\"cef\" is text, and this kind of sink takes JSON; use \"ocsf\" or \"ecs\"");
    }
}

fn check_url(url: &str, field: &str, wrong: &mut impl FnMut(&str, &str)) {
    let parsed = url.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let Some(uri) = parsed.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) else {
        return wrong(field, "expected an address such as \"https://siem.example.com\"");
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return wrong(field, "names a user or password; secrets stand here only by reference, in token");
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let near = host == "localhost" || host.parse().is_ok_and(super::resolve::is_loopback);
    if uri.scheme_str() == Some("http") && !near {
        wrong(field, "must be https beyond this machine: events name people and addresses");
    }
}

fn bounds(sink: &Sink, wrong: &mut impl FnMut(&str, &str)) {
    for kind in &sink.kinds {
        if let Err(error) = kind.parse::<Pattern>() {
            wrong("kinds", &error.to_string());
        }
    }
    if !(1..=6).contains(&sink.min_severity) {
        wrong("min_severity", "must be between 1 and 6");
    }
    if !(1..=1_000).contains(&sink.batch) {
        wrong("batch", "must be between 1 and 1000");
    }
    let times = [
        ("flush_every", sink.flush_every, Period::from_ms(10), Period::from_minutes(10)),
        ("timeout", sink.timeout, Period::from_ms(100), Period::from_minutes(5)),
        ("checkpoint_every", sink.checkpoint_every, Period::from_ms(100), Period::from_days(1)),
        ("max_age", sink.max_age, Period::from_secs(1), Period::from_days(1)),
    ];
    for (field, value, least, most) in times {
        if value < least || value > most {
            wrong(field, &format!("must be between {least} and {most}"));
        }
    }
    if sink.max_file < Size::from_kib(4) || sink.max_file > Size::from_mib(256) {
        wrong("max_file", "must be between 4 KiB and 256 MiB");
    }
    if sink.max_message < Size::from_kib(2) || sink.max_message > Size::from_mib(1) {
        wrong("max_message", "must be between 2 KiB and 1 MiB");
    }
}

pub(super) fn alerts(config: &Resolved, out: &mut Checker<'_>) {
    let alerts = &config.alerts;
    let builtin = builtin_rules();
    for name in &alerts.off {
        if !builtin.iter().any(|rule| rule.name == *name) {
            let names: Vec<&str> = builtin.iter().map(|rule| rule.name.as_str()).collect();
            out.error(
                &["alerts", "off"],
                format!("no built-in rule is called {name:?}; there are {}", names.join(", ")),
            );
        }
    }
    if let Some(url) = &alerts.webhook {
        check_url(url, "webhook", &mut |field, message| out.error(&["alerts", field], message));
        if alerts.webhook_key.is_none() {
            out.error(
                &["alerts", "webhook_key"],
                "a webhook is signed: name its key, \"env:NAME\" or \"file:PATH\"",
            );
        }
    } else if alerts.webhook_key.is_some() || alerts.webhook_ca_file.is_some() {
        out.error(&["alerts", "webhook"], "is missing: there is a key or an authority for it");
    }
    if alerts.mail_to.iter().any(|to| to.parse::<base::Email>().is_err()) || alerts.mail_to.len() > 20 {
        out.error(&["alerts", "mail_to"], "expected at most 20 e-mail addresses");
    }
    if !alerts.mail_to.is_empty() && config.mail.host.is_none() && config.mail.outbox_dir.is_none() {
        out.error(&["alerts", "mail_to"], "needs mail.host: without a mail server nobody would read it");
    }
    if config.alert.len() > MAX_RULES {
        out.error(&["alert"], "at most 200 rules");
    }
    let mut names = HashSet::new();
    for (index, alert) in config.alert.iter().enumerate() {
        let at = index.to_string();
        if let Err(RuleError { field, message }) =
            crate::sink_setup::rule(alert).and_then(|rule| rule.check())
        {
            out.error(&["alert", &at, field], message);
        }
        if alert.outcome.as_deref().is_some_and(|name| audit::Outcome::from_name(name).is_none()) {
            out.error(&["alert", &at, "outcome"], "expected \"success\", \"failure\" or \"denied\"");
        }
        if !(1..=6).contains(&alert.min_severity) {
            out.error(&["alert", &at, "min_severity"], "must be between 1 and 6");
        }
        if !names.insert(alert.name.as_str()) {
            out.error(&["alert", &at, "name"], "another rule has this name");
        }
    }
}
