//! Is this HTTP, and for us? Structure, sizes, trusted host, strict target.

use base::{Problem, ProblemKind};
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, Version};
use inspect::{CanonicalTarget, HeadLimits, Host, Malformed, TargetLimits};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::hosts::HostPattern;
use crate::refusal::Stage;
use crate::{Body, GuardConfig, GuardError, Refusal, RouteTable};

use super::Stop;

/// What `admit` is configured with.
#[derive(Debug)]
pub(crate) struct AdmitRules {
    head: HeadLimits,
    target: TargetLimits,
    hosts: Vec<HostPattern>,
}

impl AdmitRules {
    pub(crate) fn new(config: &GuardConfig, routes: &RouteTable) -> Result<Self, GuardError> {
        let wrong = |message| GuardError::new("trusted_hosts", message);
        let mut hosts = Vec::new();
        for text in &config.trusted_hosts {
            hosts.push(HostPattern::parse(text).map_err(wrong)?);
        }
        // What a route names is served; asking people to write it twice only makes them write "*".
        hosts.extend(routes.hosts().cloned());
        let public = config.public_url.parse::<http::Uri>().ok();
        let public = public.as_ref().and_then(http::Uri::host).ok_or_else(|| {
            GuardError::new("public_url", "must look like https://music.example, with scheme and host")
        })?;
        hosts.push(HostPattern::parse(public).map_err(|message| GuardError::new("public_url", message))?);
        Ok(Self {
            head: HeadLimits { fields: config.head.fields, bytes: config.head.bytes },
            target: TargetLimits { bytes: config.head.target_bytes, ..TargetLimits::default() },
            hosts,
        })
    }
}

/// Proof: the head is well formed and for one of our hosts. The request's target is canonical from here on.
#[derive(Debug)]
pub struct Admitted {
    pub(crate) request: Request<Body>,
    pub(crate) target: CanonicalTarget,
    pub(crate) host: Host,
}

/// Refuses what is malformed, too large or for somebody else.
pub fn admit(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    mut request: Request<Body>,
) -> Result<Admitted, Stop> {
    let rules = &pipeline.admit;
    let raw = request.uri().path_and_query().map_or("", |target| target.as_str());
    // For the record of a refusal; the canonical path takes its place below. Bounded and escaped by its type.
    let refuse = |exchange: &mut Exchange, why: Malformed| {
        exchange.path = Some(request.uri().path().into());
        Stop::Refused(malformed(why))
    };
    if request.version() == Version::HTTP_09 || matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::at(Stage::Admit, ProblemKind::MethodNotAllowed, "method").into());
    }
    if let Err(why) = inspect::check_headers(request.headers(), request.version(), &rules.head) {
        return Err(refuse(exchange, why));
    }
    let host = match host(&request) {
        Ok(host) => host,
        Err(why) => return Err(refuse(exchange, why)),
    };
    let target = match CanonicalTarget::parse(raw, &rules.target) {
        Ok(target) => target,
        Err(why) => return Err(refuse(exchange, why)),
    };
    exchange.path = Some(target.path().into());
    if !rules.hosts.iter().any(|pattern| pattern.matches(&host.name)) {
        return Err(Refusal::at(Stage::Admit, ProblemKind::MisdirectedRequest, "foreign_host").into());
    }
    // check_headers has seen to it that this is one number or absent.
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    exchange.bytes_in = declared.unwrap_or(0);
    // What was judged is what is routed and forwarded: gateway and upstream must not read one target in two ways.
    let is_canonical =
        raw.strip_prefix(target.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('?'));
    if !is_canonical || request.uri().authority().is_some() {
        let canonical = target.path_and_query();
        *request.uri_mut() =
            canonical.parse().map_err(|_| Stop::Refused(malformed(Malformed::NotOriginForm)))?;
    }
    exchange.note(Stage::Admit, "ok");
    Ok(Admitted { request, target, host })
}

/// One host, from `:authority`, the absolute form, or Host (RFC 9110 §7.2). If two are given they must be equal.
fn host(request: &Request<Body>) -> Result<Host, Malformed> {
    let mut given = request.headers().get_all(HOST).iter();
    let header = given.next();
    if given.next().is_some() {
        return Err(Malformed::DuplicateHeader("host"));
    }
    let header = header.map(|value| value.to_str().map_err(|_| Malformed::Host)).transpose()?;
    let header = header.map(Host::parse).transpose()?;
    let authority = request.uri().authority().map(|a| Host::parse(a.as_str())).transpose()?;
    match (authority, header) {
        (Some(a), Some(h)) if a != h => Err(Malformed::Host),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(Malformed::HostMissing),
    }
}

fn malformed(why: Malformed) -> Refusal {
    Refusal::at(Stage::Admit, Problem::new(why.problem()).detail(why.to_string()), why.code())
}
