//! How the log is searched: which index drives, how much of it one page may look at, where the next page goes on.
//!
//! A filter alone is answered from its own index. Several together are the hard case: each may match millions of events
//! and all of them together none. The filter with few candidates drives, whichever that is. If every one has many, a
//! page looks at [`SCAN`] candidates and says how far it came; the next page goes on from there, so that no question
//! costs more than a page's work, however large the log is.

mod statements;
#[cfg(test)]
mod tests;

use base::{Actor, Id, Scope, Timestamp, kind as ids};
use keys::Keys;
use store::{Row, Sql, Tx, Value, params};

use self::statements::{
    BY_ABOUT, BY_ADDRESS, BY_FURTHER, BY_KIND, BY_OUTCOME, BY_REQUEST, BY_TIME, EDGE_ABOUT, EDGE_ADDRESS,
    EDGE_FURTHER, EDGE_KIND, EDGE_OUTCOME, EDGE_REQUEST, EDGE_TIME, ONE,
};
use crate::outbox::{address_index, first_id};
use crate::{
    Audit, AuditError, Cursor, Entry, Event, Filter, Kind, LogEntry, MAX_PAGE, Outcome, Page, Record,
    SEARCH_WAIT, Searcher, opening,
};

/// Candidates that one page looks at if several filters must match.
const SCAN: usize = 2_000;
/// A filter with fewer candidates is answered completely, whatever else is asked.
const FEW: usize = 1_000;
/// More kinds than these are looked for among all events, not each in its own range.
const KINDS: usize = 16;

impl Audit {
    /// One page of at most `limit` (and [`MAX_PAGE`]) events, newest first, from `cursor` on. An account's
    /// scope sees that account's events only. `audit.searched` is durable before the answer is given.
    ///
    /// # Errors
    /// If the database fails or the search cannot be recorded.
    pub async fn search(
        &self,
        by: &Searcher,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, AuditError> {
        let page = match (by.scope, filter.account) {
            (Scope::Account(own), Some(other)) if own != other => Page::default(),
            (Scope::Account(own), _) => {
                self.page(by.scope, &Filter { account: Some(own), ..filter.clone() }, cursor, limit).await?
            }
            (Scope::System(_), _) => self.page(by.scope, filter, cursor, limit).await?,
        };
        self.searched(by, filters_used(filter), page.entries.len()).await?;
        Ok(page)
    }

    /// One event with its place in the log, for whoever may see it; that it was read is an event as a search is.
    /// `None` if there is none, or none that this reader may see.
    ///
    /// # Errors
    /// If the database fails or the reading cannot be recorded.
    pub async fn read(&self, by: &Searcher, id: Id<ids::Event>) -> Result<Option<LogEntry>, AuditError> {
        let core = self.core();
        core.sequenced(SEARCH_WAIT).await?;
        let mut tx = core.db.begin_read(by.scope).await?;
        let own = match by.scope {
            Scope::Account(id) => Some(id),
            Scope::System(_) => None,
        };
        let found = match tx.query_opt(ONE, params![id, own]).await? {
            Some(row) => Some(opening::entry(&mut tx, &core.keys, &row, by.scope).await?),
            None => None,
        };
        drop(tx);
        self.searched(by, vec!["event"], usize::from(found.is_some())).await?;
        Ok(found.and_then(|entry| Some(LogEntry { index: entry.index?, entry })))
    }

    /// Puts on record that somebody looked, before they are shown anything.
    pub(crate) async fn searched(
        &self,
        by: &Searcher,
        filters: Vec<&'static str>,
        results: usize,
    ) -> Result<(), AuditError> {
        let results = u32::try_from(results).unwrap_or(u32::MAX);
        self.record_durable(self.seen(by, Event::AuditSearched { by: filters, results })).await
    }

    /// A record of something that a reader did with the trail.
    pub(crate) fn seen(&self, by: &Searcher, event: Event) -> Record {
        let mut record = Record::new(self.core().clock.now(), event).by(by.actor);
        record.about = match by.actor {
            Actor::Account(id) => Some(id),
            Actor::Anonymous | Actor::System(_) => None,
        };
        record.request.clone_from(&by.request);
        record
    }

    async fn page(
        &self,
        scope: Scope,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, AuditError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let core = self.core();
        // Whoever does something and then looks, sees it. A sequencer that is slow or away only makes the search older.
        core.sequenced(SEARCH_WAIT).await?;
        let mut tx = core.db.begin_read(scope).await?;
        let found = find(&mut tx, &core.keys, filter, cursor.map(|c| c.id), limit).await?;
        let mut entries: Vec<Entry> = Vec::with_capacity(found.rows.len());
        for row in &found.rows {
            entries.push(opening::entry(&mut tx, &core.keys, row, scope).await?);
        }
        let next = found.next.map(|id| Cursor { at: time_of(id), id });
        Ok(Page { entries, next, searched_to: next.filter(|_| found.stopped).map(|cursor| cursor.at) })
    }
}

/// One page's rows.
pub(crate) struct Found {
    /// Newest first, at most as many as asked for.
    pub(crate) rows: Vec<Row>,
    /// The next page has the ids below this; `None` if there is nothing more.
    pub(crate) next: Option<Id<ids::Event>>,
    /// The page has fewer rows than it may because it has looked at as much as it may.
    pub(crate) stopped: bool,
}

/// An index that gives candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    Request,
    Address,
    About,
    Further,
    Kind(Kind),
    Outcome,
    Time,
}

/// The rows that match, newest first, below `before` if given; `limit` at most.
pub(crate) async fn find(
    tx: &mut Tx,
    keys: &Keys,
    filter: &Filter,
    before: Option<Id<ids::Event>>,
    limit: usize,
) -> Result<Found, AuditError> {
    let question = Question::new(keys, filter, before);
    let drivers = question.choose(tx).await?;
    let bounded = question.has_others(&drivers);
    let mut found: Vec<(Id<ids::Event>, Row)> = Vec::new();
    let mut floor: Option<Id<ids::Event>> = None;
    for driver in &drivers {
        let scan = SCAN / drivers.len();
        let edge = if bounded { question.edge(tx, *driver, scan).await? } else { None };
        let candidates = if bounded { scan } else { limit + 1 };
        for row in question.rows(tx, *driver, edge, candidates, limit + 1).await? {
            found.push((row.get(0)?, row));
        }
        floor = floor.max(edge);
    }
    // Below the floor, one of the drivers has not looked yet.
    found.retain(|(id, _)| floor.is_none_or(|floor| *id >= floor));
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    found.dedup_by(|(a, _), (b, _)| a == b);
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|(id, _)| *id).filter(|_| more);
    Ok(Found {
        rows: found.into_iter().map(|(_, row)| row).collect(),
        next: last.or(floor),
        stopped: last.is_none() && floor.is_some(),
    })
}

/// A filter as the statements' parameters.
struct Question<'f> {
    filter: &'f Filter,
    kinds: Vec<Kind>,
    address: Option<[u8; 16]>,
    until: Id<ids::Event>,
    from: Id<ids::Event>,
}

impl<'f> Question<'f> {
    fn new(keys: &Keys, filter: &'f Filter, before: Option<Id<ids::Event>>) -> Self {
        let until = filter.to.map_or(Id::from_bytes([0xff; 16]), first_id);
        Self {
            filter,
            kinds: filter.all_kinds(),
            address: filter.address.map(|address| address_index(keys, address)),
            until: before.map_or(until, |cursor| cursor.min(until)),
            from: filter.from.map_or(Id::from_bytes([0; 16]), first_id),
        }
    }

    /// The ways to answer it, the one that usually gives the fewest candidates first. Each is a list of drivers
    /// that have different events.
    fn ways(&self) -> Vec<Vec<Driver>> {
        let filter = self.filter;
        let mut ways = Vec::new();
        if filter.request.is_some() {
            ways.push(vec![Driver::Request]);
        }
        if filter.address.is_some() {
            ways.push(vec![Driver::Address]);
        }
        if filter.account.is_some() {
            ways.push(vec![Driver::About, Driver::Further]);
        }
        if (1..=KINDS).contains(&self.kinds.len()) {
            ways.push(self.kinds.iter().copied().map(Driver::Kind).collect());
        }
        if matches!(filter.outcome, Some(Outcome::Failure | Outcome::Denied)) {
            ways.push(vec![Driver::Outcome]);
        }
        if ways.is_empty() {
            ways.push(vec![Driver::Time]);
        }
        ways
    }

    /// The first way with few candidates; if there is none, the first.
    async fn choose(&self, tx: &mut Tx) -> Result<Vec<Driver>, AuditError> {
        let mut ways = self.ways();
        if ways.len() > 1 {
            for at in 0..ways.len() {
                if self.has_few(tx, &ways[at]).await? {
                    return Ok(ways.swap_remove(at));
                }
            }
        }
        Ok(ways.swap_remove(0))
    }

    async fn has_few(&self, tx: &mut Tx, way: &[Driver]) -> Result<bool, AuditError> {
        for driver in way {
            if self.edge(tx, *driver, FEW / way.len()).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether more must match than what these drivers give.
    fn has_others(&self, drivers: &[Driver]) -> bool {
        let filter = self.filter;
        let drives = |driver: Driver| drivers.contains(&driver);
        let by_kind = matches!(drivers.first(), Some(Driver::Kind(_)));
        (filter.request.is_some() && !drives(Driver::Request))
            || (filter.address.is_some() && !drives(Driver::Address))
            || (filter.account.is_some() && !drives(Driver::About))
            || (!self.kinds.is_empty() && !by_kind)
            || (filter.outcome.is_some() && !drives(Driver::Outcome))
    }

    /// The id of the last of `count` candidates; `None` if there are not more than these.
    async fn edge(
        &self,
        tx: &mut Tx,
        driver: Driver,
        count: usize,
    ) -> Result<Option<Id<ids::Event>>, AuditError> {
        let (sql, value): (Sql, Option<Value>) = match driver {
            Driver::Request => (EDGE_REQUEST, Some(self.filter.request.into())),
            Driver::Address => (EDGE_ADDRESS, Some(self.address.into())),
            Driver::About => (EDGE_ABOUT, Some(self.filter.account.into())),
            Driver::Further => (EDGE_FURTHER, Some(self.filter.account.into())),
            Driver::Kind(kind) => (EDGE_KIND, Some(kind.name().into())),
            Driver::Outcome => (EDGE_OUTCOME, Some(self.filter.outcome.map(Outcome::name).into())),
            Driver::Time => (EDGE_TIME, None),
        };
        let offset = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX);
        let mut params = vec![self.until.into(), self.from.into(), offset.into()];
        params.extend(value);
        let row = tx.query_opt(sql, &params).await?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    async fn rows(
        &self,
        tx: &mut Tx,
        driver: Driver,
        edge: Option<Id<ids::Event>>,
        candidates: usize,
        limit: usize,
    ) -> Result<Vec<Row>, AuditError> {
        let sql = match driver {
            Driver::Request => BY_REQUEST,
            Driver::Address => BY_ADDRESS,
            Driver::About => BY_ABOUT,
            Driver::Further => BY_FURTHER,
            Driver::Kind(_) => BY_KIND,
            Driver::Outcome => BY_OUTCOME,
            Driver::Time => BY_TIME,
        };
        let kinds = match driver {
            Driver::Kind(kind) => Some(kind.name().to_owned()),
            _ if self.kinds.is_empty() => None,
            _ => Some(self.kinds.iter().fold(",".to_owned(), |list, kind| list + kind.name() + ",")),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut params = params![
            self.filter.account,
            kinds,
            self.filter.request,
            self.address,
            self.filter.outcome.map(Outcome::name),
            self.until,
            edge.unwrap_or(self.from),
            limit,
        ]
        .to_vec();
        if driver == Driver::Further {
            params.push(i64::try_from(candidates).unwrap_or(i64::MAX).into());
        }
        Ok(tx.query_long(sql, &params).await?)
    }
}

/// The names of the filters that are set; their values may be personal.
pub(crate) fn filters_used(filter: &Filter) -> Vec<&'static str> {
    let used = [
        ("account", filter.account.is_some()),
        ("kind", !filter.all_kinds().is_empty()),
        ("from", filter.from.is_some()),
        ("to", filter.to.is_some()),
        ("address", filter.address.is_some()),
        ("request", filter.request.is_some()),
        ("outcome", filter.outcome.is_some()),
    ];
    used.into_iter().filter_map(|(name, set)| set.then_some(name)).collect()
}

/// The time in an id, for telling how far a search came.
pub(crate) fn time_of(id: Id<ids::Event>) -> Timestamp {
    let mut ms = [0; 8];
    ms[2..].copy_from_slice(&id.as_bytes()[..6]);
    Timestamp::from_millis(i64::from_be_bytes(ms))
}
