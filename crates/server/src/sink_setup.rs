//! Sinks and alerts from their configuration: files read, secrets fetched, mail wired.

use std::path::Path;
use std::sync::Arc;

use base::Secret;
use futures_util::FutureExt as _;
use sinks::alert::{self, builtin_rules};
use sinks::{
    Alerts, AlertsConfig, ClientCertificate, FilesConfig, Filter, Form, Group, HttpTarget, Mailing, Parts,
    Rule, RuleError, SendMail, SinkConfig, Sinks, Source, SyslogConfig, Target, TlsConfig, WebhookConfig,
};

use crate::config::{Alert, AlertGroup, AlertSeverity, Resolved, Sink, SinkForm, SinkKind};
use crate::error::StartError;
use crate::services::Services;

/// A certificate or key file larger than this is surely the wrong file.
const MAX_PEM: u64 = 1 << 20;

/// Opens the configured sinks without speaking to anybody.
pub(crate) fn open(services: &Services) -> Result<Sinks, StartError> {
    let config = &services.config;
    let configs = config.sink.iter().map(|one| sink(one, config)).collect::<Result<_, _>>()?;
    let parts = Parts {
        db: services.db.clone(),
        audit: services.audit.clone(),
        source: Source::of(&services.audit),
        clock: services.clock.clone(),
        entropy: services.entropy.clone(),
        deployment: services.keys.deployment(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Sinks::open(configs, parts)?)
}

/// Opens the alerts as configured.
pub(crate) fn open_alerts(services: &Services) -> Result<Alerts, StartError> {
    let (config, alerts) = (&services.config, &services.config.alerts);
    let mut rules: Vec<Rule> = config.alert.iter().map(rule).collect::<Result<_, _>>().map_err(|error| {
        StartError::Sinks(sinks::SinksError::Settings(format!("alert: {}: {}", error.field, error.message)))
    })?;
    if alerts.builtin {
        let own: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
        let wanted = |rule: &Rule| !alerts.off.contains(&rule.name) && !own.contains(&rule.name);
        rules.extend(builtin_rules().into_iter().filter(wanted));
    }
    let webhook = match &alerts.webhook {
        None => None,
        Some(url) => {
            let token = alerts.webhook_key.as_ref().map(|key| key.resolve()).transpose();
            let token =
                token.map_err(|reason| StartError::Secret { setting: "alerts.webhook_key", reason })?;
            let ca_pem = alerts
                .webhook_ca_file
                .as_deref()
                .map(|path| pem(path, "alerts.webhook_ca_file"))
                .transpose()?;
            Some(WebhookConfig {
                http: HttpTarget {
                    url: url.clone(),
                    token: token.map(Arc::new),
                    tls: TlsConfig { ca_pem, client: None },
                },
                source: config.public_url.to_string(),
            })
        }
    };
    let to: Vec<base::Email> = alerts.mail_to.iter().filter_map(|to| to.parse().ok()).collect();
    let mail = (!to.is_empty()).then(|| Mailing { to, send: mailer(services) });
    let config = AlertsConfig { rules, webhook, mail, public_url: config.public_url.to_string() };
    Ok(Alerts::open(config, alert_parts(services))?)
}

/// The alerts for a command: to list and handle them, without rules and channels.
pub(crate) fn alerts_for_command(services: &Services) -> Result<Alerts, StartError> {
    let public_url = services.config.public_url.to_string();
    let config = AlertsConfig { rules: Vec::new(), webhook: None, mail: None, public_url };
    Ok(Alerts::open(config, alert_parts(services))?)
}

fn alert_parts(services: &Services) -> alert::Parts {
    alert::Parts {
        db: services.db.clone(),
        keys: services.keys.clone(),
        audit: services.audit.clone(),
        source: Source::of(&services.audit),
        clock: services.clock.clone(),
        entropy: services.entropy.clone(),
    }
}

/// Alerts go out through identity's mailer, which is the only one that speaks SMTP.
fn mailer(services: &Services) -> SendMail {
    let identity = services.identity.clone();
    Arc::new(move |mail| {
        let identity = identity.clone();
        async move {
            let sent = identity.send_notice(mail.id, &mail.to, &mail.subject, &mail.text).await;
            sent.map_err(|error| error.to_string())
        }
        .boxed()
    })
}

/// A rule as configured.
pub(crate) fn rule(alert: &Alert) -> Result<Rule, RuleError> {
    let kinds = alert.kinds.iter().map(|kind| kind.parse()).collect::<Result<_, sinks::PatternError>>();
    let kinds = kinds.map_err(|error| RuleError { field: "kinds", message: error.to_string() })?;
    Ok(Rule {
        min_severity: alert.min_severity,
        outcome: alert.outcome.clone(),
        threshold: alert.threshold,
        window_ms: alert.window.as_ms_i64(),
        group: match alert.group {
            AlertGroup::None => Group::None,
            AlertGroup::Account => Group::Account,
            AlertGroup::Address => Group::Address,
        },
        severity: match alert.severity {
            AlertSeverity::Low => 2,
            AlertSeverity::Medium => 3,
            AlertSeverity::High => 4,
            AlertSeverity::Critical => 5,
        },
        quiet_ms: alert.quiet.as_ms_i64(),
        runbook: alert.runbook.clone(),
        ..Rule::new(&alert.name, kinds)
    })
}

/// Host and port of `host:port`; an IPv6 address stands in brackets.
pub(crate) fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let usable = !bare.is_empty() && !bare.contains(['/', '@', ' ']) && (bare == host) != bare.contains(':');
    usable.then(|| (bare.to_owned(), port))
}

fn sink(sink: &Sink, config: &Resolved) -> Result<SinkConfig, StartError> {
    let kinds = sink.kinds.iter().filter_map(|kind| kind.parse().ok()).collect();
    Ok(SinkConfig {
        form: match sink.form {
            SinkForm::Ocsf => Form::Ocsf,
            SinkForm::Cef => Form::Cef,
            SinkForm::Ecs => Form::Ecs,
        },
        filter: Filter { kinds, min_severity: sink.min_severity },
        batch: usize::from(sink.batch),
        flush_every: sink.flush_every.as_duration(),
        timeout: sink.timeout.as_duration(),
        checkpoint_every: sink.checkpoint_every.as_duration(),
        ..SinkConfig::new(&sink.name, target(sink, config)?)
    })
}

fn target(sink: &Sink, config: &Resolved) -> Result<Target, StartError> {
    if sink.kind == SinkKind::Files {
        let folder = sink.folder.clone().unwrap_or_default();
        let (max_bytes, max_age_ms) = (sink.max_file.as_bytes(), sink.max_age.as_ms_i64());
        return Ok(Target::Files(FilesConfig { folder, max_bytes, max_age_ms }));
    }
    let tls = tls(sink)?;
    if sink.kind == SinkKind::Syslog {
        let (host, port) = sink.address.as_deref().and_then(host_and_port).unwrap_or_default();
        let origin = config.public_url.host().to_owned();
        return Ok(Target::Syslog(SyslogConfig {
            host,
            port,
            tls,
            origin,
            max_message: sink.max_message.as_usize(),
        }));
    }
    let token = sink.token.as_ref().map(|token| token.resolve()).transpose();
    let token = token.map_err(|reason| StartError::Secret { setting: "sink.token", reason })?;
    let http = HttpTarget { url: sink.url.clone().unwrap_or_default(), token: token.map(Arc::new), tls };
    Ok(match sink.kind {
        SinkKind::Splunk => Target::Splunk { http, index: sink.index.clone(), acknowledge: sink.acknowledge },
        SinkKind::Elastic => Target::Elastic { http, index: sink.index.clone().unwrap_or_default() },
        SinkKind::Webhook => Target::Webhook(WebhookConfig { http, source: config.public_url.to_string() }),
        SinkKind::Otlp | SinkKind::Syslog | SinkKind::Files => Target::Otlp(http),
    })
}

fn tls(sink: &Sink) -> Result<TlsConfig, StartError> {
    let ca_pem = sink.ca_file.as_deref().map(|path| pem(path, "sink.ca_file")).transpose()?;
    let client = match (&sink.client_cert, &sink.client_key) {
        (Some(chain), Some(key)) => Some(ClientCertificate {
            chain_pem: pem(chain, "sink.client_cert")?,
            key_pem: Arc::new(Secret::new(pem(key, "sink.client_key")?)),
        }),
        _ => None,
    };
    Ok(TlsConfig { ca_pem, client })
}

fn pem(path: &Path, setting: &'static str) -> Result<Vec<u8>, StartError> {
    let wrong =
        |reason: String| StartError::Secret { setting, reason: format!("{}: {reason}", path.display()) };
    let length = std::fs::metadata(path).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
    if length > MAX_PEM {
        return Err(wrong("is larger than 1 MiB; is it the right file?".to_owned()));
    }
    std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))
}
