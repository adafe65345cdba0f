//! Counting, without clock and database: events in, alerts out. Memory is bounded by rules, groups and thresholds.

use std::collections::{BTreeMap, VecDeque};

use base::{Id, Timestamp, kind};
use serde::{Deserialize, Serialize};

use super::rule::{Rule, Who};
use crate::Item;

/// Groups that one rule counts at the same time; the one that was quiet for longest makes room.
const MAX_GROUPS: usize = 2_000;
/// New alerts of one rule within an hour; further groups become one alert together.
const MAX_NEW: usize = 25;
const HOUR_MS: i64 = 3_600_000;

/// One group of one rule.
#[derive(Debug, Default, Clone)]
struct Counter {
    /// When the latest events happened, at most as many as the rule's threshold.
    times: VecDeque<i64>,
    raised: Option<Raised>,
}

/// An alert that goes on.
#[derive(Debug, Clone)]
struct Raised {
    alert: Id<kind::Alert>,
    last_seen: i64,
    last_index: u64,
    /// Events since it was last stored.
    fresh: u64,
}

/// An alert to open.
#[derive(Debug, Clone)]
pub(crate) struct Firing {
    pub(crate) alert: Id<kind::Alert>,
    pub(crate) rule: usize,
    pub(crate) who: Who,
    pub(crate) count: u64,
    pub(crate) last_at: i64,
    pub(crate) index: u64,
}

/// More events of an alert that is open.
#[derive(Debug, Clone)]
pub(crate) struct More {
    pub(crate) rule: usize,
    pub(crate) who: Who,
    pub(crate) alert: Id<kind::Alert>,
    pub(crate) last_at: i64,
    pub(crate) index: u64,
    pub(crate) count: u64,
}

/// All counters of all rules.
pub(crate) struct Windows {
    pub(crate) rules: Vec<Rule>,
    groups: Vec<BTreeMap<Who, Counter>>,
    /// When alerts of each rule were opened.
    opened: Vec<VecDeque<i64>>,
    dirty: bool,
}

/// What survives a restart. Rules are named, because their order may change.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    counters: Vec<(String, Who, VecDeque<i64>)>,
    opened: Vec<(String, VecDeque<i64>)>,
}

impl Windows {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let (groups, opened) = (vec![BTreeMap::new(); rules.len()], vec![VecDeque::new(); rules.len()]);
        Self { rules, groups, opened, dirty: false }
    }

    /// Counts one event; gives the alerts that are due. Further events of the same group belong to them at once.
    pub(crate) fn observe(&mut self, item: &Item, id: &impl Fn() -> Id<kind::Alert>) -> Vec<Firing> {
        let mut due = Vec::new();
        let mut about: Vec<usize> = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            if (!rule.fallback || about.is_empty()) && rule.counts(&item.entry) {
                about.push(number);
            }
        }
        // A fallback may stand before the rule that makes it unnecessary.
        if about.len() > 1 {
            about.retain(|number| !self.rules[*number].fallback);
        }
        for number in about {
            due.extend(self.count(number, item, id));
        }
        due
    }

    fn count(&mut self, number: usize, item: &Item, id: &impl Fn() -> Id<kind::Alert>) -> Option<Firing> {
        self.dirty = true;
        let rule = &self.rules[number];
        let at = item.entry.at.as_millis();
        let mut who = rule.who(&item.entry);
        let (window, quiet, threshold) = (rule.window_ms, rule.quiet_ms, rule.threshold as usize);
        let groups = &mut self.groups[number];
        if !groups.contains_key(&who) && groups.len() >= MAX_GROUPS {
            make_room(groups, at, window.max(quiet));
        }
        let counter = groups.entry(who.clone()).or_default();
        if let Some(raised) = &mut counter.raised {
            if at - raised.last_seen <= quiet {
                raised.last_seen = raised.last_seen.max(at);
                raised.last_index = item.index;
                raised.fresh += 1;
                return None;
            }
            counter.raised = None;
        }
        counter.times.push_back(at);
        while counter.times.front().is_some_and(|first| at - first > window) {
            counter.times.pop_front();
        }
        if counter.times.len() < threshold {
            return None;
        }
        let count = counter.times.len() as u64;
        counter.times.clear();
        let opened = &mut self.opened[number];
        while opened.front().is_some_and(|first| at - first > HOUR_MS) {
            opened.pop_front();
        }
        if opened.len() >= MAX_NEW {
            who = Who::Others;
            let others = groups.entry(Who::Others).or_default();
            if let Some(raised) = &mut others.raised
                && at - raised.last_seen <= quiet
            {
                raised.last_seen = raised.last_seen.max(at);
                raised.last_index = item.index;
                raised.fresh += count;
                return None;
            }
        } else {
            opened.push_back(at);
        }
        let firing = Firing { alert: id(), rule: number, who, count, last_at: at, index: item.index };
        self.raised(&firing);
        Some(firing)
    }

    fn raised(&mut self, firing: &Firing) {
        let Firing { alert, last_at: last_seen, index: last_index, .. } = *firing;
        self.groups[firing.rule].entry(firing.who.clone()).or_default().raised =
            Some(Raised { alert, last_seen, last_index, fresh: 0 });
    }

    /// An alert from the database goes on.
    pub(crate) fn adopt(
        &mut self,
        rule: &str,
        who: Who,
        alert: Id<kind::Alert>,
        last_seen: Timestamp,
        last_index: u64,
    ) {
        let Some(number) = self.rules.iter().position(|one| one.name == rule) else { return };
        let last_seen = last_seen.as_millis();
        self.groups[number].entry(who).or_default().raised =
            Some(Raised { alert, last_seen, last_index, fresh: 0 });
    }

    /// What has happened to open alerts since the last call.
    pub(crate) fn take_more(&mut self) -> Vec<More> {
        let mut more = Vec::new();
        for (number, groups) in self.groups.iter_mut().enumerate() {
            for (who, counter) in groups {
                let Some(raised) = counter.raised.as_mut().filter(|raised| raised.fresh > 0) else {
                    continue;
                };
                more.push(More {
                    rule: number,
                    who: who.clone(),
                    alert: raised.alert,
                    last_at: raised.last_seen,
                    index: raised.last_index,
                    count: std::mem::take(&mut raised.fresh),
                });
            }
        }
        more
    }

    /// A person has closed the alert meanwhile: what came since is the beginning of another one.
    pub(crate) fn closed(&mut self, more: &More, id: Id<kind::Alert>) -> Option<Firing> {
        let counter = self.groups[more.rule].get_mut(&more.who)?;
        counter.raised = None;
        let rule = &self.rules[more.rule];
        if more.count < u64::from(rule.threshold) {
            counter.times = (0..more.count).map(|_| more.last_at).collect();
            return None;
        }
        let (who, last_at, index) = (more.who.clone(), more.last_at, more.index);
        let firing = Firing { alert: id, rule: more.rule, who, count: more.count, last_at, index };
        self.raised(&firing);
        Some(firing)
    }

    /// Whether anything was counted since the last snapshot.
    pub(crate) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// What survives a restart; `now` is the time of the latest event, and what is too old for it is left out.
    pub(crate) fn snapshot(&mut self, now: i64) -> Snapshot {
        self.dirty = false;
        let mut snapshot = Snapshot::default();
        for (number, rule) in self.rules.iter().enumerate() {
            let fits =
                |counter: &Counter| counter.times.back().is_some_and(|last| now - last <= rule.window_ms);
            let open = |counter: &Counter| {
                counter.raised.as_ref().is_some_and(|raised| now - raised.last_seen <= rule.quiet_ms)
            };
            self.groups[number].retain(|_, counter| fits(counter) || open(counter));
            for (who, counter) in self.groups[number].iter().filter(|(_, counter)| !counter.times.is_empty())
            {
                snapshot.counters.push((rule.name.clone(), who.clone(), counter.times.clone()));
            }
            if !self.opened[number].is_empty() {
                snapshot.opened.push((rule.name.clone(), self.opened[number].clone()));
            }
        }
        snapshot
    }

    /// Goes on where a snapshot was taken. Rules that are gone are left out.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        for (name, who, times) in snapshot.counters {
            if let Some(number) = self.rules.iter().position(|rule| rule.name == name) {
                let keep = (self.rules[number].threshold as usize).saturating_sub(1);
                let skip = times.len().saturating_sub(keep);
                self.groups[number].entry(who).or_default().times = times.into_iter().skip(skip).collect();
            }
        }
        for (name, opened) in snapshot.opened {
            if let Some(number) = self.rules.iter().position(|rule| rule.name == name) {
                self.opened[number] = opened.into_iter().take(MAX_NEW).collect();
            }
        }
    }
}

/// Drops what is too old, or else the tenth that was quiet for longest.
fn make_room(groups: &mut BTreeMap<Who, Counter>, at: i64, longest: i64) {
    let last = |counter: &Counter| {
        let raised = counter.raised.as_ref().map(|raised| raised.last_seen);
        raised.max(counter.times.back().copied()).unwrap_or(i64::MIN)
    };
    groups.retain(|_, counter| at.saturating_sub(last(counter)) <= longest);
    if groups.len() < MAX_GROUPS {
        return;
    }
    let mut ages: Vec<i64> = groups.values().map(last).collect();
    ages.sort_unstable();
    let limit = ages[MAX_GROUPS / 10];
    groups.retain(|_, counter| {
        last(counter) > limit || counter.raised.as_ref().is_some_and(|raised| raised.fresh > 0)
    });
}
