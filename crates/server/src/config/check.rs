//! What no single value shows: settings that do not fit together.

use std::path::Path;

use guard::RouteTable;

use super::finding::Finding;
use super::load::Origins;
use super::resolve::is_loopback;
use super::value::{Period, Size};
use super::{MailTls, NetworkKind, Resolved, Route, TlsTerminatedBy};
use super::{check_accounts, check_sinks};

pub(super) struct Checker<'a> {
    origins: &'a Origins,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Checker<'_> {
    pub(super) fn error(&mut self, path: &[&str], message: impl Into<String>) {
        self.errors.push(self.origins.finding(path, &message.into()));
    }
    fn warn(&mut self, path: &[&str], message: impl Into<String>) {
        self.warnings.push(self.origins.finding(path, &message.into()));
    }
}

/// Checks the whole; returns the warnings, or every error. `beside`: see [`super::Sources`].
pub(super) fn check(
    config: &Resolved,
    origins: &Origins,
    beside: bool,
) -> Result<Vec<Finding>, Vec<Finding>> {
    let mut checker = Checker { origins, errors: Vec::new(), warnings: Vec::new() };
    listeners(config, &mut checker);
    names(config, &mut checker);
    routes(config, beside, &mut checker);
    mail(config, &mut checker);
    providers(config, &mut checker);
    tokens(config, &mut checker);
    check_accounts::accounts(config, &mut checker);
    risk(config, &mut checker);
    limits(config, &mut checker);
    http(config, &mut checker);
    rest(config, &mut checker);
    evidence(config, &mut checker);
    check_sinks::sinks(config, &mut checker);
    check_sinks::alerts(config, &mut checker);
    if checker.errors.is_empty() { Ok(checker.warnings) } else { Err(checker.errors) }
}

fn listeners(config: &Resolved, out: &mut Checker<'_>) {
    let server = &config.server;
    if !is_loopback(server.listen.ip()) {
        match server.tls_terminated_by {
            TlsTerminatedBy::Fortissimo if config.tls.is_none() => out.error(
                &["server", "listen"],
                format!(
                    "{} is reachable from other machines, which demands TLS: add [tls] with cert and key, or set \
                     server.tls_terminated_by = \"proxy\" and server.trusted_proxies, or listen on 127.0.0.1",
                    server.listen
                ),
            ),
            TlsTerminatedBy::Proxy if server.trusted_proxies.is_empty() => out.error(
                &["server", "tls_terminated_by"],
                "\"proxy\" needs the proxy's network in server.trusted_proxies",
            ),
            _ => {}
        }
    }
    if !is_loopback(server.ops_listen.ip()) {
        let message = format!(
            "{} is reachable from other machines, but health and metrics ask nobody who they are: use 127.0.0.1",
            server.ops_listen
        );
        out.error(&["server", "ops_listen"], message);
    }
    if server.listen == server.ops_listen && server.listen.port() != 0 {
        out.error(&["server", "ops_listen"], "is the same address as server.listen; choose another port");
    }
    if server.trusted_proxies.iter().any(|network| network.0.prefix_len() == 0) {
        let message = "trusts every address, so anybody can claim any address; name the proxy's own network";
        out.error(&["server", "trusted_proxies"], message);
    }
}

fn names(config: &Resolved, out: &mut Checker<'_>) {
    let url = &config.public_url;
    if !config.trusted_hosts.iter().any(|host| host.accepts(url.host())) {
        let message = format!("does not name {}, the host of server.public_url; add it", url.host());
        out.error(&["server", "trusted_hosts"], message);
    }
    if config.trusted_hosts.iter().any(super::value::HostPattern::is_any) {
        let message = "\"*\" answers to any host name; name the hosts that are yours";
        out.warn(&["server", "trusted_hosts"], message);
    }
    if !url.is_https() && !url.is_loopback() {
        let message = "must be https beyond this machine: cookies and passwords would travel in the clear";
        out.error(&["server", "public_url"], message);
    }
    for (index, origin) in config.cors.origins.iter().enumerate() {
        if !origin.is_https() && !origin.is_loopback() {
            let message = format!("{origin} must be https: any network in between could act for the person");
            out.error(&["cors", "origins", &index.to_string()], message);
        }
    }
}

fn routes(config: &Resolved, beside: bool, out: &mut Checker<'_>) {
    let own = &config.access;
    if config.route.is_empty() && own.policies.is_none() && own.resource_type.is_empty() {
        return;
    }
    // The types stand in this very file, so what is wrong with them is told with its place: the first that does not go
    // together with those before it.
    let types = own.resource_types();
    for at in 0..types.len() {
        if let Err(refused) = access::ResourceType::files(&types[..=at]) {
            return out.error(&["access", "resource_type", &at.to_string(), "name"], refused.to_string());
        }
    }
    let access = match own.load() {
        Ok(access) => access,
        // Without them nothing can be said about the routes.
        Err(refused) if beside => return out.warn(&["access", "policies"], refused.to_string()),
        Err(refused) => return out.error(&["access", "policies"], refused.to_string()),
    };
    for (index, route) in config.route.iter().enumerate() {
        let at = index.to_string();
        let key = |name: &'static str| [String::from("route"), at.clone(), name.to_owned()];
        let error = |out: &mut Checker<'_>, name: &'static str, message: String| {
            out.error(&key(name).each_ref().map(String::as_str), message);
        };
        let warn = |out: &mut Checker<'_>, name: &'static str, message: String| {
            out.warn(&key(name).each_ref().map(String::as_str), message);
        };
        // The guard compiles the same text when it starts; its refusals are ours.
        if let Err(refused) = RouteTable::build(&[config.guard_route(route)], &[], &access) {
            error(out, culprit(&refused.message), refused.message);
            continue;
        }
        if let Some(earlier) = config.route[..index].iter().position(|earlier| covers(earlier, route)) {
            warn(
                out,
                "path",
                format!("never matches: route {} above already takes everything it would", earlier + 1),
            );
        }
        let guarded = |earlier: &&Route| earlier.access != "public" && !earlier.methods.is_empty();
        if route.access == "public"
            && let Some(earlier) =
                config.route[..index].iter().filter(guarded).find(|one| falls_through(one, route))
        {
            let message = format!(
                "is public, and takes the methods of {} that its own route does not list; list them there or here",
                earlier.path
            );
            warn(out, "access", message);
        }
        if !route.upstream.is_https() && !is_private(route.upstream.host()) {
            warn(
                out,
                "upstream",
                format!("{} is reached in the clear; use https beyond your own network", route.upstream),
            );
        }
        if own_listener(config, route) {
            error(out, "upstream", "is Fortissimo itself; requests would go round in circles".to_owned());
        }
    }
}

/// Which key of a route a refusal of the guard is about.
fn culprit(message: &str) -> &'static str {
    let starts = |word: &str| message.starts_with(word);
    match () {
        () if starts("access") => "access",
        () if starts("upstream") => "upstream",
        () if starts("permissions_policy") => "permissions_policy",
        () if starts("rate") => "rate",
        () if starts("host") => "host",
        () if starts("methods")
            || message.contains("is not a method")
            || message.contains("never forwarded") =>
        {
            "methods"
        }
        () => "path",
    }
}

fn own_listener(config: &Resolved, route: &Route) -> bool {
    let listen = config.server.listen;
    listen.port() == route.upstream.port()
        && route.upstream.is_loopback()
        && (is_loopback(listen.ip()) || listen.ip().is_unspecified())
}

fn is_private(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        Ok(std::net::IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
        }
        // A name without a dot or under a private suffix is a neighbour, such as a container's.
        Err(_) => {
            !host.contains('.')
                || host.ends_with(".internal")
                || host.ends_with(".local")
                || host.ends_with(".localhost")
        }
    }
}

/// Whether `earlier` matches everything that `later` matches; only the plain cases, to warn about.
fn covers(earlier: &Route, later: &Route) -> bool {
    let host = earlier.host.is_none() || earlier.host == later.host;
    let methods = earlier.methods.is_empty()
        || (!later.methods.is_empty() && later.methods.iter().all(|method| earlier.methods.contains(method)));
    let path = earlier.path == later.path
        || earlier
            .path
            .strip_suffix("**")
            .is_some_and(|prefix| !prefix.contains('{') && later.path.starts_with(prefix));
    host && methods && path
}

/// Whether requests to the earlier route's path with a method that it does not list end up at the later one.
fn falls_through(earlier: &Route, later: &Route) -> bool {
    let every_method = Route { methods: Vec::new(), ..earlier.clone() };
    let same_way = Route { methods: Vec::new(), ..later.clone() };
    covers(&same_way, &every_method) && (later.methods.is_empty() || later.methods != earlier.methods)
}

fn providers(config: &Resolved, out: &mut Checker<'_>) {
    for (index, provider) in config.provider.iter().enumerate() {
        let at = index.to_string();
        let mut error = |name: &str, message: &str| out.error(&["provider", &at, name], message);
        if !provider.has_plain_id() {
            error("id", "must be 1 to 32 lower-case letters, digits or hyphens");
        }
        if config.provider[..index].iter().any(|other| other.id == provider.id) {
            error("id", "names another provider already");
        }
        if provider.client_id.is_empty() {
            error("client_id", "must not be empty");
        }
        if let Err((name, message)) = provider.protocol() {
            error(name, message);
        }
    }
}

fn mail(config: &Resolved, out: &mut Checker<'_>) {
    let mail = &config.mail;
    if mail.from.parse::<base::Email>().is_err() {
        out.error(&["mail", "from"], "must be an e-mail address such as no-reply@example.com");
    }
    if mail.from_name.chars().any(char::is_control) || mail.from_name.chars().count() > 100 {
        out.error(&["mail", "from_name"], "must be at most 100 characters without control characters");
    }
    match (&mail.user, &mail.password) {
        (Some(_), None) => {
            out.error(&["mail", "user"], "needs mail.password = \"env:NAME\" or \"file:PATH\"")
        }
        (None, Some(_)) => out.error(&["mail", "password"], "needs mail.user"),
        _ => {}
    }
    let Some(host) = &mail.host else {
        if mail.outbox_dir.is_some() {
            out.warn(&["mail", "outbox_dir"], "messages, and the links in them, lie there in the clear");
        }
        return;
    };
    if mail.outbox_dir.is_some() {
        out.error(&["mail", "outbox_dir"], "is for running without a mail server; remove it, or mail.host");
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty()
        || bare.contains(['/', '@', ' '])
        || (bare.contains(':') && bare.parse::<std::net::IpAddr>().is_err())
    {
        out.error(&["mail", "host"], "expected a host name without scheme and port; the port is mail.port");
        return;
    }
    let near = bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(is_loopback);
    if mail.tls == MailTls::None && !near {
        let message =
            "\"none\" is accepted for a server on this machine only; use \"starttls\" or \"implicit\"";
        out.error(&["mail", "tls"], message);
    }
    if config.mail.from == super::Mail::default().from {
        out.error(&["mail", "from"], "set the sender address; the default is for the outbox only");
    }
}

/// More threads than any machine uses are a slip of the finger.
const MAX_WORKERS: u16 = 1_024;

fn risk(config: &Resolved, out: &mut Checker<'_>) {
    let risk = &config.risk;
    let weights = [
        ("new_place", risk.new_place),
        ("new_device", risk.new_device),
        ("unusual_hour", risk.unusual_hour),
        ("bad_network", risk.bad_network),
        ("impossible_travel", risk.impossible_travel),
        ("recent_failures", risk.recent_failures),
        ("breached_password", risk.breached_password),
    ];
    for (name, weight) in weights {
        if !(0.0..=10.0).contains(&weight) {
            out.error(&["risk", name], "a weight is a number from 0 (never counts) to 10");
        }
    }
    for (name, limit) in
        [("notify_at", risk.notify_at), ("step_up_at", risk.step_up_at), ("deny_at", risk.deny_at)]
    {
        // NaN is in no range.
        if !(0.01..=100.0).contains(&limit) {
            out.error(&["risk", name], "a sum of weights is a number from 0.01 to 100 (never reached)");
        }
    }
    if !(-20.0..=100.0).contains(&risk.learned_step_up_at) {
        out.error(
            &["risk", "learned_step_up_at"],
            "a learned score is a number from -20 to 100 (never reached)",
        );
    }
    if risk.step_up_at > risk.deny_at {
        out.error(
            &["risk", "deny_at"],
            "must not be below risk.step_up_at: it would refuse what could be proven",
        );
    }
    if risk.networks.len() > 32 {
        out.error(&["risk", "networks"], "must be at most 32 lists");
    }
    for (index, list) in risk.networks.iter().enumerate() {
        // NaN is in no range.
        if !(0.0..=1.0).contains(&list.confidence) {
            let at = index.to_string();
            out.error(&["risk", "networks", &at, "confidence"], "is a number from 0 to 1");
        }
    }
    let hidden = config.geo.anonymous.is_some()
        || risk.networks.iter().any(|list| list.kind == NetworkKind::Anonymous);
    if risk.enabled && config.geo.city.is_some() && !hidden {
        out.warn(
            &["geo", "city"],
            "without geo.anonymous (or a list of kind \"anonymous\" in risk.networks), somebody who turns on a VPN looks like somebody who travelled",
        );
    }
}

fn tokens(config: &Resolved, out: &mut Checker<'_>) {
    if config.server.workers > MAX_WORKERS {
        out.error(&["server", "workers"], "must be at most 1024; 0 means one per core");
    }
    let tokens = &config.tokens;
    if tokens.audience.is_empty()
        || tokens.audience.len() > 255
        || tokens.audience.chars().any(char::is_control)
    {
        out.error(&["tokens", "audience"], "must be 1 to 255 characters");
    }
    if tokens.encrypted_audiences.len() > 64
        || tokens.encrypted_audiences.keys().any(|name| !(1..=255).contains(&name.len()))
    {
        out.error(
            &["tokens", "encrypted_audiences"],
            "must be at most 64, each with a name of 1 to 255 bytes",
        );
    }
    let minute = Period::from_minutes(1);
    if tokens.access_ttl < minute || tokens.access_ttl > Period::from_hours(24) {
        out.error(&["tokens", "access_ttl"], "must be between 1m and 24h");
    }
    if tokens.refresh_ttl <= tokens.access_ttl {
        out.error(&["tokens", "refresh_ttl"], "must be longer than tokens.access_ttl");
    }
    if tokens.refresh_grace > minute {
        out.error(
            &["tokens", "refresh_grace"],
            "must be at most 1m: in it, a stolen token works beside its owner's",
        );
    }
    if tokens.rotate_keys_every < Period::from_hours(1) {
        out.error(&["tokens", "rotate_keys_every"], "must be at least 1h");
    }
}

fn limits(config: &Resolved, out: &mut Checker<'_>) {
    let limits = &config.limits;
    let tiers = [("free", limits.tiers.free), ("pro", limits.tiers.pro), ("studio", limits.tiers.studio)];
    for (name, windows) in tiers {
        let all = [windows.second, windows.minute, windows.hour, windows.day];
        if all.contains(&0) {
            let message = "0 lets nobody in; to switch rate limits off, set limits.enabled = false";
            out.error(&["limits", "tiers", name], message);
        } else if !all.is_sorted() {
            out.error(&["limits", "tiers", name], "a longer window may not allow less than a shorter one");
        }
    }
    let counts = [
        ("sign_in_per_minute", limits.sign_in_per_minute),
        ("registration_per_minute", limits.registration_per_minute),
        ("endpoint_per_minute", limits.endpoint_per_minute),
        ("network", limits.network.per_second.min(limits.network.per_minute)),
        ("endpoints", limits.endpoints.iter().map(|one| one.per_minute).min().unwrap_or(1)),
    ];
    for (key, value) in counts {
        if value == 0 {
            out.error(
                &["limits", key],
                "0 lets nobody in; to switch rate limits off, set limits.enabled = false",
            );
        }
    }
    if !(1_024..=16_777_216).contains(&limits.keys) {
        out.error(&["limits", "keys"], "must be between 1024 and 16777216");
    }
    if !limits.enabled {
        out.warn(
            &["limits", "enabled"],
            "rate limits are off: passwords can be guessed as fast as they can be hashed",
        );
    }
}

fn http(config: &Resolved, out: &mut Checker<'_>) {
    let http = &config.http;
    if http.max_head < Size::from_kib(8) || http.max_head > Size::from_mib(1) {
        out.error(&["http", "max_head"], "must be between 8 KiB and 1 MiB");
    }
    if http.max_target > http.max_head {
        out.error(&["http", "max_target"], "must not be larger than http.max_head");
    }
    if !(16..=1_000).contains(&http.max_headers) {
        out.error(&["http", "max_headers"], "must be between 16 and 1000");
    }
    if !(1..=1_000_000).contains(&http.max_connections) {
        out.error(&["http", "max_connections"], "must be between 1 and 1000000");
    }
    if !(1..=1_000).contains(&http.max_streams) {
        out.error(&["http", "max_streams"], "must be between 1 and 1000");
    }
    let times = [
        ("head_timeout", http.head_timeout),
        ("write_timeout", http.write_timeout),
        ("keep_alive", http.keep_alive),
    ];
    for (key, value) in times {
        if value < Period::from_ms(100) || value > Period::from_hours(1) {
            out.error(&["http", key], "must be between 100ms and 1h");
        }
    }
}

fn evidence(config: &Resolved, out: &mut Checker<'_>) {
    let audit = &config.audit;
    if audit.timestamp_url.is_some() && audit.timestamp_ca_file.is_none() {
        let message =
            "is missing: whose time stamps count? Name the PEM file of the authority's root certificates";
        out.error(&["audit", "timestamp_ca_file"], message);
    }
    if let Err(message) =
        audit.timestamp_url.as_deref().map_or(Ok(()), |url| crate::evidence::address(url).map(drop))
    {
        out.error(&["audit", "timestamp_url"], message);
    }
    for witness in &audit.witnesses {
        if let Err(message) = crate::evidence::address(&witness.url) {
            out.error(&["audit", "witnesses"], message);
        }
    }
    for (name, every) in [("witness_every", audit.witness_every), ("timestamp_every", audit.timestamp_every)]
    {
        if every < Period::from_secs(1) {
            out.error(&["audit", name], "must be at least 1s");
        }
    }
}

fn rest(config: &Resolved, out: &mut Checker<'_>) {
    if config.server.shutdown_timeout > Period::from_minutes(10) {
        out.error(&["server", "shutdown_timeout"], "must be at most 10m");
    }
    if config.upstream.max_in_flight == 0 {
        out.error(&["upstream", "max_in_flight"], "must be at least 1");
    }
    if config.database.max_connections == 0 {
        out.error(&["database", "max_connections"], "must be at least 1");
    }
    if tracing_subscriber::EnvFilter::try_new(&config.log.level).is_err() {
        out.error(
            &["log", "level"],
            "expected error, warn, info, debug or trace, or by part: \"info,gateway=debug\"",
        );
    }
    if config.server.data_dir.as_os_str().is_empty() || config.server.data_dir == Path::new("/") {
        out.error(&["server", "data_dir"], "expected a folder of its own");
    }
}
