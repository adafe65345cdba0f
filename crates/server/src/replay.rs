//! Decides the last recorded requests again under other policies: "this would have denied 312 requests of 41 people".

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use access::{Action, Bundle, Facts, Permit, Requirement, ResourceRef, Subject};
use audit::{Filter, Kind, Searcher};
use base::{Actor, Id, Scope, kind};
use guard::RouteTable;
use http::Method;
use identity::{AccountQuery, AccountStatus, RequestMeta};

use crate::output::Failure;
use crate::services::Services;

/// Who acts, in the audit trail.
const PART: &str = "command line";
/// Accounts per page of the list.
const PAGE: u32 = 200;

/// What would be answered otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Requests that demanded an action and were decided again.
    pub(crate) decided: u64,
    /// Recorded requests that could not be: their route, their account or the path that names their object is gone.
    pub(crate) skipped: u64,
    /// Requests that would be denied now.
    pub(crate) denied: u64,
    /// The people who sent those.
    pub(crate) denied_people: usize,
    /// Requests that would be allowed now.
    pub(crate) allowed: u64,
    /// The people who sent those.
    pub(crate) allowed_people: usize,
    /// The same by action, most requests first.
    pub(crate) changed: Vec<Changed>,
}

/// What would be answered otherwise about one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) action: String,
    pub(crate) allowed_after: bool,
    pub(crate) requests: u64,
    pub(crate) people: usize,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "of the last {} requests that needed an action, this would have denied {} of {} people and allowed {} more of \
             {} people, with roles, tiers and relations as they are now, in a good session",
            self.decided, self.denied, self.denied_people, self.allowed, self.allowed_people
        )?;
        if self.skipped > 0 {
            write!(f, " ({} more are of routes, accounts or paths that are gone)", self.skipped)?;
        }
        Ok(())
    }
}

/// One kind of question that was asked, by whom, about which object, and how often.
type Asked = HashMap<(Id<kind::Account>, Action, Option<ResourceRef>), u64>;

/// Reads the newest `count` requests of the trail, finds what their routes demand now and which object their path names,
/// and decides with both bundles about the accounts and relations as they are now. Sessions are over, so each counts as a
/// good one. Reading the trail is recorded there.
pub(crate) async fn replay(
    services: &Services,
    old: &Bundle,
    new: &Bundle,
    count: u32,
) -> Result<Replayed, Failure> {
    let mut replayed = Replayed::default();
    let asked = asked(services, count, &mut replayed).await?;
    let people: HashSet<_> = asked.keys().map(|(account, ..)| *account).collect();
    let subjects = subjects(services, people).await?;
    let mut changed: BTreeMap<(String, bool), (u64, HashSet<_>)> = BTreeMap::new();
    let conditions = services.access.conditions();
    for ((account, action, resource), requests) in asked {
        let Some(subject) = subjects.get(&account) else {
            replayed.skipped += requests;
            continue;
        };
        replayed.decided += requests;
        let facts = match &resource {
            Some(resource) => Some(facts(services, [old, new], subject, &action, resource).await?),
            None => None,
        };
        let [before, after] =
            [old, new].map(|one| one.decide_under(conditions, subject, &action, facts.as_ref()).allowed);
        if before != after {
            let (sum, who) = changed.entry((action.as_str().to_owned(), after)).or_default();
            *sum += requests;
            who.insert(account);
        }
    }
    let people = |allowed: bool| {
        let sets = changed.iter().filter(|((_, after), _)| *after == allowed).map(|(_, (_, who))| who);
        sets.flatten().collect::<HashSet<_>>().len()
    };
    (replayed.denied_people, replayed.allowed_people) = (people(false), people(true));
    for ((action, allowed_after), (requests, who)) in changed {
        *(if allowed_after { &mut replayed.allowed } else { &mut replayed.denied }) += requests;
        replayed.changed.push(Changed { action, allowed_after, requests, people: who.len() });
    }
    replayed.changed.sort_by_key(|one| std::cmp::Reverse(one.requests));
    Ok(replayed)
}

/// What somebody has to do with an object now. People are objects that nobody registers, as at the gateway.
async fn facts(
    services: &Services,
    bundles: [&Bundle; 2],
    subject: &Subject,
    action: &Action,
    resource: &ResourceRef,
) -> Result<Facts, Failure> {
    if resource.kind == "user" || !bundles.iter().any(|bundle| bundle.is_about(action, &resource.kind)) {
        return Ok(Facts::unregistered(resource.clone(), services.clock.now()));
    }
    let read = services.relations.facts(subject, resource).await;
    read.map_err(|error| Failure::Runtime(error.to_string()))
}

async fn asked(services: &Services, count: u32, replayed: &mut Replayed) -> Result<Asked, Failure> {
    let mut endpoints = api::endpoints();
    endpoints.extend(console::endpoints());
    let routes: Vec<_> =
        services.config.route.iter().map(|route| services.config.guard_route(route)).collect();
    let table = RouteTable::build(&routes, &endpoints, &services.access)
        .map_err(|error| Failure::Runtime(error.to_string()))?;
    let mut demands = HashMap::new();
    let mut asked = Asked::new();
    // What was served, and what was refused: a refusal may become an allow.
    for kind in [Kind::HttpRequest, Kind::HttpRefused] {
        let by = Searcher {
            actor: Actor::System(PART),
            scope: Scope::System("replaying requests"),
            request: None,
        };
        let filter = Filter { kind: Some(kind), ..Filter::default() };
        let (mut left, mut cursor) = (count as usize, None);
        while left > 0 {
            let page = services.audit.search(&by, &filter, cursor, left).await?;
            left -= left.min(page.entries.len());
            for entry in page.entries {
                let (Some(method), Some(route)) = (entry.method, entry.route) else { continue };
                let demand = demands.entry((method, route)).or_insert_with_key(|(method, route)| {
                    let method = Method::from_bytes(method.as_bytes()).ok()?;
                    let mut named = table.routes().iter().filter(|one| one.template() == route.as_str());
                    named.find(|one| one.offers(&method))
                });
                let account = entry.actor.strip_prefix("account:").and_then(|id| id.parse().ok());
                let Some(route) = demand else {
                    replayed.skipped += 1;
                    continue;
                };
                // Nobody in particular, or nothing in particular: no policy was asked.
                let (Requirement::Action { action, resource }, Some(account)) = (&route.requirement, account)
                else {
                    continue;
                };
                let object = entry.path.as_deref().and_then(|path| route.object_in(path));
                if resource.is_some() && object.is_none() {
                    replayed.skipped += 1;
                    continue;
                }
                *asked.entry((account, action.clone(), object)).or_default() += 1;
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(asked)
}

/// The accounts as they are now; those that are gone are missing.
async fn subjects(
    services: &Services,
    mut wanted: HashSet<Id<kind::Account>>,
) -> Result<HashMap<Id<kind::Account>, Subject>, Failure> {
    let meta = RequestMeta::command(&services.clock, &services.entropy);
    let mut subjects = HashMap::new();
    let mut query = AccountQuery { status: None, username_prefix: None, after: None, limit: PAGE };
    while !wanted.is_empty() {
        let page = services.identity.accounts(Permit::for_system(PART), &query, &meta).await?;
        for line in &page.accounts {
            if wanted.remove(&line.id) {
                let subject = Subject {
                    suspended: line.status == AccountStatus::Disabled,
                    verified: line.status != AccountStatus::Pending,
                    ..Subject::account(line.id, line.role, line.tier)
                };
                subjects.insert(line.id, subject);
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    Ok(subjects)
}
