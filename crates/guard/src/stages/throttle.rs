//! How often: the tier's windows of the principal, and the endpoint's minute (EDGE-3).

use std::net::IpAddr;
use std::sync::Arc;

use access::Tier;
use audit::{Event, Outcome};
use base::{Entropy, Problem, ProblemKind, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use inspect::CanonicalTarget;

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::limiter::{Demand, Limiter, Verdict, Window, Windows, network};
use crate::refusal::Stage;
use crate::template::Template;
use crate::{GuardError, LimitsConfig, RateClass, Refusal, WindowLimits};

use super::Stop;
use super::authorize::Authorized;
use super::route::Routed;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What keeps kinds of keys apart in the table.
mod space {
    pub(super) const NETWORK: u8 = 1;
    pub(super) const ACCOUNT_TIER: u8 = 2;
    pub(super) const NETWORK_TIER: u8 = 3;
    pub(super) const ACCOUNT_ENDPOINT: u8 = 4;
    pub(super) const NETWORK_ENDPOINT: u8 = 5;
    pub(super) const SIGN_IN: u8 = 6;
    pub(super) const REGISTRATION: u8 = 7;
    pub(super) const RECORD: u8 = 8;
}

/// Details of endpoint keys: configured ones from here on, routes by their number below.
const CONFIGURED: u32 = 1 << 24;

/// Windows with names, and the headers that describe them, made once.
#[derive(Debug)]
struct Policy {
    windows: Windows,
    names: &'static [&'static str],
    header: HeaderValue,
    limits: Vec<HeaderValue>,
}

impl Policy {
    fn new(names: &'static [&'static str], windows: &[Window]) -> Self {
        let items: Vec<String> = names
            .iter()
            .zip(windows)
            .map(|(name, w)| format!("\"{name}\";q={};w={}", w.limit, w.seconds))
            .collect();
        Self {
            windows: Windows::new(windows),
            names,
            header: HeaderValue::from_str(&items.join(", ")).expect("names and numbers are a header value"),
            limits: windows.iter().map(|w| HeaderValue::from(w.limit)).collect(),
        }
    }

    fn tier(limits: WindowLimits) -> Self {
        let windows = [
            Window::new(limits.second, 1),
            Window::new(limits.minute, 60),
            Window::new(limits.hour, 3_600),
            Window::new(limits.day, 86_400),
        ];
        Self::new(&["second", "minute", "hour", "day"], &windows)
    }

    fn minute(name: &'static [&'static str], limit: u32) -> Self {
        Self::new(name, &[Window::new(limit, 60)])
    }
}

/// What `throttle` (and the network limit of `client`) is configured with, and the table behind both.
pub(crate) struct RateRules {
    enabled: bool,
    limiter: Limiter,
    network: Arc<Policy>,
    tiers: [Arc<Policy>; 3],
    sign_in: Arc<Policy>,
    registration: Arc<Policy>,
    configured: Vec<(Template, Arc<Policy>)>,
    otherwise: Arc<Policy>,
    record: Windows,
}

impl RateRules {
    pub(crate) fn new(config: &LimitsConfig, entropy: &Entropy) -> Result<Self, GuardError> {
        let configured = config.endpoints.iter().map(|endpoint| {
            let template = Template::parse(&endpoint.path)
                .map_err(|message| GuardError::new("limits.endpoints", message))?;
            Ok((template, Arc::new(Policy::minute(&["endpoint"], endpoint.per_minute))))
        });
        let tiers = &config.tiers;
        let network = [Window::new(config.network.per_second, 1), Window::new(config.network.per_minute, 60)];
        Ok(Self {
            enabled: config.enabled,
            limiter: Limiter::new(config.keys, entropy),
            network: Arc::new(Policy::new(&["network-second", "network-minute"], &network)),
            tiers: [tiers.free, tiers.pro, tiers.studio].map(|limits| Arc::new(Policy::tier(limits))),
            sign_in: Arc::new(Policy::minute(&["sign-in"], config.sign_in_per_minute)),
            registration: Arc::new(Policy::minute(&["registration"], config.registration_per_minute)),
            configured: configured.collect::<Result<_, GuardError>>()?,
            otherwise: Arc::new(Policy::minute(&["endpoint"], config.endpoint_per_minute)),
            record: Windows::new(&[Window::new(6, 60)]),
        })
    }

    /// The cheap limit before authentication; the reading if it refuses.
    pub(crate) fn network(&self, address: IpAddr, at: Timestamp) -> Option<Reading> {
        if !self.enabled {
            return None;
        }
        let key = self.limiter.key(space::NETWORK, &network(address), 0);
        let verdict = self.limiter.decide(nanos(at), &[Demand { key, windows: &self.network.windows }]);
        (!verdict.admitted).then(|| Reading { verdict, policies: [Some(Arc::clone(&self.network)), None] })
    }

    fn tier(&self, tier: Option<Tier>) -> &Arc<Policy> {
        &self.tiers[match tier {
            None | Some(Tier::Free) => 0,
            Some(Tier::Pro) => 1,
            Some(Tier::Studio) => 2,
        }]
    }

    /// The endpoint's policy and what tells it from others: the template, never the raw path, so that `/x/1` and
    /// `/x/2` are one endpoint.
    fn endpoint(&self, routed: &Routed) -> (&Arc<Policy>, u32) {
        match self.configured_for(&routed.admitted.target) {
            Some((at, policy)) => (policy, CONFIGURED + at),
            None => (&self.otherwise, u32::try_from(routed.route.number).unwrap_or(0)),
        }
    }

    fn configured_for(&self, target: &CanonicalTarget) -> Option<(u32, &Arc<Policy>)> {
        let at = self.configured.iter().position(|(template, _)| template.matches(target.segments()))?;
        Some((u32::try_from(at).unwrap_or(0), &self.configured[at].1))
    }

    fn decide(&self, exchange: &Exchange, routed: &Routed) -> Reading {
        let account = exchange.caller.holder();
        let network = network(exchange.address);
        let (principal, tier_space, endpoint_space) = match account {
            Some(ref account) => (account.account.as_bytes(), space::ACCOUNT_TIER, space::ACCOUNT_ENDPOINT),
            None => (&network, space::NETWORK_TIER, space::NETWORK_ENDPOINT),
        };
        let (endpoint, endpoint_key) = match routed.route.rate {
            // By network whoever is named: the name is what is being guessed.
            RateClass::SignIn => (&self.sign_in, self.limiter.key(space::SIGN_IN, &network, 0)),
            RateClass::Registration => {
                (&self.registration, self.limiter.key(space::REGISTRATION, &network, 0))
            }
            RateClass::Standard | RateClass::Page => {
                let (policy, detail) = self.endpoint(routed);
                (policy, self.limiter.key(endpoint_space, principal, detail))
            }
        };
        let endpoint_demand = Demand { key: endpoint_key, windows: &endpoint.windows };
        let now = nanos(exchange.at);
        if routed.route.rate == RateClass::Page {
            let verdict = self.limiter.decide(now, &[endpoint_demand]);
            return Reading { verdict, policies: [Some(Arc::clone(endpoint)), None] };
        }
        let tier = self.tier(account.map(|account| account.tier));
        let key = self.limiter.key(tier_space, principal, 0);
        let verdict = self.limiter.decide(now, &[Demand { key, windows: &tier.windows }, endpoint_demand]);
        Reading { verdict, policies: [Some(Arc::clone(tier)), Some(Arc::clone(endpoint))] }
    }

    /// Whether a refusal of this network is worth an event of its own: a flood must not fill the trail.
    pub(crate) fn worth_recording(&self, address: IpAddr, at: Timestamp) -> bool {
        let key = self.limiter.key(space::RECORD, &network(address), 0);
        self.limiter.decide(nanos(at), &[Demand { key, windows: &self.record }]).admitted
    }
}

fn nanos(at: Timestamp) -> u64 {
    // Half of the range is the year 2262; the rest is room for windows.
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(1_000_000).min(u64::MAX / 2)
}

/// What the limiter said, for the answer's headers.
#[derive(Debug)]
pub struct Reading {
    verdict: Verdict,
    policies: [Option<Arc<Policy>>; 2],
}

impl Reading {
    fn policy(&self) -> Option<&Policy> {
        self.policies[self.verdict.demand].as_deref()
    }

    /// Seconds after which a request would be admitted, rounded up, at least one.
    pub(crate) fn retry_after_s(&self) -> u32 {
        seconds(self.verdict.retry_ns).max(1)
    }

    /// The name of the window that decided.
    pub(crate) fn name(&self) -> &'static str {
        self.policy().map_or("", |policy| policy.names[self.verdict.window])
    }

    fn event(&self) -> Event {
        let window_s =
            self.policy().map_or(0, |policy| policy.windows.as_slice()[self.verdict.window].seconds);
        Event::RateLimitExceeded { limit: self.name().into(), window_s, retry_after_s: self.retry_after_s() }
    }

    /// The headers: all policies, and the state of the window that says most (IETF draft-ietf-httpapi-ratelimit-headers,
    /// and the older `X-RateLimit-*`; resets are in seconds from now).
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        use std::io::Write;

        let Some(policy) = self.policy() else { return };
        let remaining = self.verdict.remaining;
        let reset = seconds(self.verdict.reset_ns);
        headers.remove(&POLICY);
        for policy in self.policies.iter().flatten() {
            headers.append(POLICY, policy.header.clone());
        }
        let mut state = [0; 64];
        let mut rest = &mut state[..];
        if write!(rest, "\"{}\";r={remaining};t={reset}", self.name()).is_ok() {
            let left = rest.len();
            let used = state.len() - left;
            if let Ok(value) = HeaderValue::from_bytes(&state[..used]) {
                headers.insert(STATE, value);
            }
        }
        headers.insert(X_LIMIT, policy.limits[self.verdict.window].clone());
        headers.insert(X_REMAINING, HeaderValue::from(remaining));
        headers.insert(X_RESET, HeaderValue::from(reset));
    }
}

fn seconds(ns: u64) -> u32 {
    u32::try_from(ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

/// Proof: the caller is within all limits, and the request is counted.
#[derive(Debug)]
pub struct Throttled {
    pub(crate) routed: Routed,
}

/// Counts the request, or refuses it uncounted.
pub fn throttle(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    authorized: Authorized,
) -> Result<Throttled, Stop> {
    let Authorized { routed } = authorized;
    if !pipeline.rates.enabled {
        exchange.note(Stage::Throttle, "off");
        return Ok(Throttled { routed });
    }
    let reading = pipeline.rates.decide(exchange, &routed);
    let (admitted, name, retry) = (reading.verdict.admitted, reading.name(), reading.retry_after_s());
    let event = (!admitted).then(|| reading.event());
    exchange.reading = Some(reading);
    if let Some(event) = event {
        exchange.note(Stage::Throttle, name);
        if pipeline.rates.worth_recording(exchange.address, exchange.at) {
            pipeline.record_traffic(exchange, event, Outcome::Denied);
        }
        let problem = Problem::new(ProblemKind::RateLimited)
            .detail(format!("Over the limit \"{name}\". Try again in {retry} s."))
            .retry_after(retry);
        return Err(Refusal::at(Stage::Throttle, problem, name).into());
    }
    exchange.note(Stage::Throttle, "ok");
    Ok(Throttled { routed })
}
