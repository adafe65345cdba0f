//! Which service a request is for: own endpoints below reserved prefixes, everything else to upstreams.

use std::collections::HashMap;
use std::sync::Arc;

use access::{Access, Requirement, ResourceRef};
use base::ProblemKind;
use http::{HeaderValue, Method, Uri};
use identity::Recall;
use inspect::{CanonicalTarget, Host, TargetLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hosts::HostPattern;
use crate::refusal::Stage;
use crate::template::Template;
use crate::{Endpoint, GuardError, RateClass, Refusal, Surface};

/// First segments that belong to us at every host.
pub const RESERVED: &[&str] =
    &["auth", "oauth", ".well-known", "v1", "account", "console", "ext-auth", "log"];

/// The methods of a route that names none.
const USUAL: &[Method] =
    &[Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// One `[[route]]` of the configuration. First match wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The host: an exact name or `*.example.com`; every trusted host if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path template: `{name}` is one segment, `**` the rest (which may be nothing).
    pub path: String,
    /// Methods; the usual seven if empty. `GET` covers `HEAD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The service behind: `http://host:port`.
    pub upstream: String,
    /// What the caller must be: `public`, `authenticated`, or an action, perhaps on an object that the path names
    /// (`track:read on track/{id}`). Closed by default.
    #[serde(default = "authenticated")]
    pub access: String,
    /// What happens to requests with suspicious content.
    #[serde(default)]
    pub inspect: Inspect,
    /// What a request counts as: `standard`, or `page` for pages that load many files at once.
    #[serde(default)]
    pub rate: RateClass,
    /// Largest request body in bytes.
    #[serde(default = "default_max_body")]
    pub max_body: u64,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The `Permissions-Policy` of this route's answers, for example `microphone=(self)` for a recording page;
    /// everything is denied if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_policy: Option<String>,
}

fn authenticated() -> String {
    "authenticated".to_owned()
}

fn default_max_body() -> u64 {
    600 * 1024 * 1024
}

/// What happens to requests with suspicious content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inspect {
    /// Refuse them.
    #[default]
    Block,
    /// Record them and let them pass.
    Observe,
    /// Do not look.
    Off,
}

/// How long to wait for what, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection to the upstream.
    pub connect_ms: u64,
    /// For the head of the upstream's answer, from the moment that the request has been sent.
    pub head_ms: u64,
    /// Between two pieces of a body, in either direction.
    pub idle_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 5_000, head_ms: 60_000, idle_ms: 30_000 }
    }
}

/// Who answers a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// An upstream: the index into [`RouteTable::upstreams`].
    Upstream(usize),
    /// One of our own services.
    Own(Surface),
}

/// One service behind the gateway, named by one or more routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port, as in the configuration.
    pub authority: String,
    /// `scheme://authority`: the audience of assertions.
    pub origin: Arc<str>,
}

/// A route that requests can match: an own endpoint, or a configured one.
#[derive(Debug)]
pub struct Route {
    pub(crate) number: usize,
    host: Option<HostPattern>,
    template: Template,
    name: Arc<str>,
    methods: Vec<Method>,
    /// What the caller must be.
    pub requirement: Requirement,
    /// Who answers.
    pub target: Target,
    /// What happens to requests with suspicious content.
    pub inspect: Inspect,
    /// What a request counts as.
    pub rate: RateClass,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    pub(crate) permissions_policy: Option<HeaderValue>,
    /// Our own, and it changes something or says more than a page: who calls is read anew.
    anew: bool,
}

impl Route {
    /// Whether facts about the caller that were read before may decide. Never for what deletes, exports, shares or
    /// administers, nor for anything that changes something of ours: then nothing has to be heard from other nodes.
    pub(crate) fn recall(&self, access: &Access) -> Recall {
        let immediate = match &self.requirement {
            Requirement::Action { action, .. } => access.is_immediate(action),
            Requirement::Public | Requirement::Authenticated => false,
        };
        if self.anew || immediate { Recall::Never } else { Recall::Allowed }
    }

    /// The path template as configured; safe for records and metrics.
    pub fn template(&self) -> &str {
        self.template.as_str()
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The value of `{name}` in a path that matched this route.
    pub fn parameter<'t>(&self, name: &str, target: &'t CanonicalTarget) -> Option<&'t str> {
        target.segments().get(self.template.position(name)?).map(String::as_str)
    }

    /// The id of the object that is asked for, if what is demanded names one.
    fn object<'s, S: AsRef<str>>(&self, segments: &'s [S]) -> Option<&'s str> {
        let Requirement::Action { resource: Some(resource), .. } = &self.requirement else { return None };
        segments.get(self.template.position(&resource.parameter)?).map(AsRef::as_ref)
    }

    /// The object that a recorded path of this route names; `None` if what is demanded names none, or the path is not whole.
    pub fn object_in(&self, path: &str) -> Option<ResourceRef> {
        let Requirement::Action { resource: Some(resource), .. } = &self.requirement else { return None };
        let limits = TargetLimits { allow_encoded_separators: true, ..TargetLimits::default() };
        let target = CanonicalTarget::parse(path, &limits).ok()?;
        Some(resource.fill(self.parameter(&resource.parameter, &target)?))
    }

    /// Whether it takes requests with this method.
    pub fn offers(&self, method: &Method) -> bool {
        self.methods.contains(method) || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

/// All routes, in buckets by first segment, so that a look-up does not walk through what cannot match.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    own: HashMap<Box<str>, Vec<usize>>,
    by_first: HashMap<Box<str>, Vec<usize>>,
    any_first: Vec<usize>,
    upstreams: Vec<Upstream>,
}

impl RouteTable {
    /// Compiles own endpoints and configured routes. Refuses what cannot work, saying what would be right.
    pub fn build(
        routes: &[RouteConfig],
        endpoints: &[Endpoint],
        access: &Access,
    ) -> Result<Self, GuardError> {
        let mut table = Self {
            routes: Vec::with_capacity(routes.len() + endpoints.len()),
            own: RESERVED.iter().map(|name| ((*name).into(), Vec::new())).collect(),
            by_first: HashMap::new(),
            any_first: Vec::new(),
            upstreams: Vec::new(),
        };
        for endpoint in endpoints {
            table.add_own(endpoint, access)?;
        }
        for (at, route) in routes.iter().enumerate() {
            let section = format!("route {} ({})", at + 1, route.path);
            table.add_upstream(route, access).map_err(|message| GuardError::new(section, message))?;
        }
        table.fill_buckets(endpoints.len());
        Ok(table)
    }

    fn add_own(&mut self, endpoint: &Endpoint, access: &Access) -> Result<(), GuardError> {
        let section = format!("endpoint {} {}", endpoint.method, endpoint.path);
        let wrong = |message: String| GuardError::new(section.clone(), message);
        let template = Template::parse(endpoint.path).map_err(wrong)?;
        let number = self.routes.len();
        let bucket = template
            .first_literal()
            .and_then(|first| self.own.get_mut(first))
            .ok_or_else(|| wrong(format!("own endpoints stand below one of /{}", RESERVED.join(", /"))))?;
        bucket.push(number);
        let requirement = requirement(endpoint.access, &template, access).map_err(wrong)?;
        self.routes.push(Arc::new(Route {
            number,
            host: None,
            name: endpoint.path.into(),
            template,
            methods: vec![endpoint.method.clone()],
            requirement,
            target: Target::Own(endpoint.surface),
            inspect: Inspect::Block,
            rate: endpoint.rate,
            max_body: endpoint.max_body,
            timeouts: Timeouts::default(),
            permissions_policy: None,
            anew: endpoint.anew || !matches!(endpoint.method, Method::GET | Method::HEAD | Method::OPTIONS),
        }));
        Ok(())
    }

    fn add_upstream(&mut self, config: &RouteConfig, access: &Access) -> Result<(), String> {
        let template = Template::parse(&config.path)?;
        if let Some(first) = template.first_literal().filter(|first| RESERVED.contains(first)) {
            return Err(format!(
                "/{first} is reserved for Fortissimo itself; put the service below another path or another prefix"
            ));
        }
        let host = config.host.as_deref().map(HostPattern::parse).transpose()?;
        let methods = if config.methods.is_empty() {
            USUAL.to_vec()
        } else {
            config.methods.iter().map(|text| method(text)).collect::<Result<_, _>>()?
        };
        let permissions_policy = config
            .permissions_policy
            .as_deref()
            .map(|text| {
                HeaderValue::from_str(text).map_err(|_| "permissions_policy is not a header value".to_owned())
            })
            .transpose()?;
        if matches!(config.rate, RateClass::SignIn | RateClass::Registration) {
            return Err("rate is \"standard\" or \"page\"; the others are for our own endpoints".to_owned());
        }
        let requirement = requirement(&config.access, &template, access)?;
        let upstream = self.upstream(&config.upstream)?;
        self.routes.push(Arc::new(Route {
            number: self.routes.len(),
            host,
            name: config.path.as_str().into(),
            template,
            methods,
            requirement,
            target: Target::Upstream(upstream),
            inspect: config.inspect,
            rate: config.rate,
            max_body: config.max_body,
            timeouts: config.timeouts,
            permissions_policy,
            anew: false,
        }));
        Ok(())
    }

    fn upstream(&mut self, text: &str) -> Result<usize, String> {
        let wrong = || format!("upstream {text:?} must look like http://127.0.0.1:9000, without a path");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong());
        };
        let plain_path = uri.path_and_query().is_none_or(|p| p.as_str() == "/");
        if !matches!(scheme, "http" | "https") || !plain_path || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let origin: Arc<str> = format!("{scheme}://{authority}").into();
        if let Some(known) = self.upstreams.iter().position(|u| u.origin == origin) {
            return Ok(known);
        }
        self.upstreams.push(Upstream { scheme: scheme.to_owned(), authority: authority.to_string(), origin });
        Ok(self.upstreams.len() - 1)
    }

    /// Every bucket lists, in the configured order, the routes that can match its first segment.
    fn fill_buckets(&mut self, from: usize) {
        let firsts: Vec<Box<str>> =
            self.routes[from..].iter().filter_map(|r| r.template.first_literal().map(Into::into)).collect();
        for first in firsts {
            let can_match = |r: &&Arc<Route>| r.template.first_literal().is_none_or(|f| *f == *first);
            let bucket = self.routes[from..].iter().filter(can_match).map(|r| r.number).collect();
            self.by_first.insert(first, bucket);
        }
        let open = self.routes[from..].iter().filter(|r| r.template.first_literal().is_none());
        self.any_first = open.map(|r| r.number).collect();
    }

    /// The route of a request. 404 if no path matches, 405 with `Allow` if only the method does not, 400 if the path
    /// parameters of RFC 3986 §3.3 would lead a service that cuts them off (servlet containers do) somewhere else:
    /// such a service reads `/admin;x` as `/admin`.
    pub fn find(
        &self,
        host: &Host,
        method: &Method,
        target: &CanonicalTarget,
    ) -> Result<&Arc<Route>, Refusal> {
        let segments = target.segments();
        let found = self.look_up(host, method, segments)?;
        if segments.iter().any(|segment| segment.contains(';')) {
            let cut: Vec<&str> =
                segments.iter().filter_map(|s| s.split(';').next()).filter(|s| !s.is_empty()).collect();
            let as_cut = self.look_up(host, method, &cut).ok().filter(|route| route.number == found.number);
            if as_cut.is_none_or(|route| route.object(segments) != route.object(&cut)) {
                return Err(Refusal::at(Stage::Route, ProblemKind::MalformedRequest, "path_parameters"));
            }
        }
        Ok(found)
    }

    fn look_up<S: AsRef<str>>(
        &self,
        host: &Host,
        method: &Method,
        segments: &[S],
    ) -> Result<&Arc<Route>, Refusal> {
        let first = segments.first().map_or("", AsRef::as_ref);
        let bucket = self.own.get(first).or_else(|| self.by_first.get(first)).unwrap_or(&self.any_first);
        let mut offered: Vec<&str> = Vec::new();
        for route in bucket.iter().map(|number| &self.routes[*number]) {
            if !route.template.matches(segments) || !route.host.as_ref().is_none_or(|h| h.matches(&host.name))
            {
                continue;
            }
            if route.offers(method) {
                return Ok(route);
            }
            offered.extend(route.methods.iter().map(Method::as_str));
        }
        if offered.is_empty() {
            return Err(Refusal::at(Stage::Route, ProblemKind::NotFound, "no_route"));
        }
        if offered.contains(&"GET") {
            offered.push("HEAD");
        }
        offered.sort_unstable();
        offered.dedup();
        Err(Refusal::method_not_allowed(&offered.join(", ")))
    }

    /// The services behind the gateway; [`Target::Upstream`] is an index into this list.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    /// All routes, own endpoints first.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.routes.iter().filter_map(|route| route.host.as_ref())
    }
}

fn requirement(text: &str, template: &Template, access: &Access) -> Result<Requirement, String> {
    let requirement = Requirement::parse(text, access).map_err(|e| format!("access {text:?}: {e}"))?;
    if let Requirement::Action { resource: Some(resource), .. } = &requirement
        && template.position(&resource.parameter).is_none()
    {
        return Err(format!(
            "access {text:?} names {{{}}}, which the path {:?} does not have",
            resource.parameter,
            template.as_str()
        ));
    }
    Ok(requirement)
}

fn method(text: &str) -> Result<Method, String> {
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is not a method"))?;
    if text != text.to_ascii_uppercase() {
        return Err(format!("methods are written in capitals: {:?}", text.to_ascii_uppercase()));
    }
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(format!("{method} is never forwarded"));
    }
    Ok(method)
}
