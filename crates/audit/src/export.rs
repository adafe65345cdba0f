//! A part of the trail to hand out: JSON lines, each event with its leaf and its proof against one checkpoint
//! (`docs/audit-export.md`). Read in chunks; whoever takes them slowly makes it slow, nothing piles up.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Id, Scope, Timestamp, kind as ids};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::log::{Hash, Malformed, Node, Tile, TileReader, inclusion_proof};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value as Json;
use store::{Row, Tx, params, sql};

use crate::leaf::SALT;
use crate::log::reading;
use crate::opening::{self, entry_columns, open_body};
use crate::outbox::first_id;
use crate::{Audit, AuditError, EXPORT_WAIT, Event, Filter, Kind, Searcher, TreeHead, to_ocsf};

/// The form's name, in the first line.
pub const FORMAT: &str = "fortissimo-audit-export/1";
/// Events of one chunk.
const CHUNK: usize = 128;
/// Bodies of one event at most: the form of the outbox counts them in one byte.
const MAX_BODIES: u32 = 255;
/// Hashes of the tree that are remembered: neighbours share nearly all of them.
const REMEMBERED: usize = 8_192;
const LEAF: usize = 14;
const KIND: usize = 2;

const SCOPE: Scope = Scope::System("exporting the audit trail");

// `+idx`: on SQLite, no temptation to walk through the table instead of the index that gives the order.
sql! {
    BY_TIME = concat!("SELECT ", entry_columns!(), ", leaf FROM audit_event \
        WHERE id > $1 AND id < $2 AND +idx < $3 ORDER BY id LIMIT $4");
    BY_KIND = concat!("SELECT ", entry_columns!(), ", leaf FROM audit_event \
        WHERE id > $1 AND id < $2 AND +idx < $3 AND kind = $5 ORDER BY id LIMIT $4");
    // What a person sees: what is about them, and what has a body of theirs beside somebody else's.
    OWN_ABOUT = concat!("SELECT ", entry_columns!(), ", leaf FROM audit_event \
        WHERE id > $1 AND id < $2 AND +idx < $3 AND account_id = $5 ORDER BY id LIMIT $4");
    OWN_FURTHER = concat!("WITH own AS MATERIALIZED (SELECT b.idx AS i FROM audit_body AS b \
        WHERE b.account_id = $5 AND b.id > $1 AND b.id < $2 AND b.idx < $3 ORDER BY b.id LIMIT $4) \
        SELECT ", entry_columns!(), ", leaf FROM own CROSS JOIN audit_event WHERE idx = i ORDER BY id");
    FURTHER = "SELECT slot, account_id, body FROM audit_body WHERE idx = $1 ORDER BY slot";
}

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before (exclusive).
    pub to: Option<Timestamp>,
    /// Of these kinds; empty for all.
    pub kinds: Vec<Kind>,
}

/// An export under way.
pub struct Export {
    audit: Audit,
    scope: Scope,
    selection: Selection,
    head: TreeHead,
    origin: String,
    prover: Prover,
    state: State,
    events: u64,
}

enum State {
    Head,
    /// Which of the selected kinds (or of the two ways in which an event is somebody's own), and the last event of it that
    /// was given.
    Events(usize, Id<ids::Event>),
    End,
    Done,
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    leaf: String,
    proof: Vec<String>,
    bodies: Vec<Option<BodyText>>,
    event: &'a Json,
}

#[derive(Serialize)]
struct BodyText {
    salt: String,
    text: String,
}

impl Audit {
    /// Begins an export; an account's scope gets its own events, with its own bodies only. That it was done is durable before this returns, with the tree that everything is proven
    /// against; what comes into the log later is not in it.
    ///
    /// # Errors
    /// [`AuditError::Behind`] if the log lags behind and the selection reaches that far; if the database fails or the
    /// export cannot be recorded.
    pub async fn export(&self, by: &Searcher, selection: Selection) -> Result<Export, AuditError> {
        let core = self.core();
        if !core.sequenced(EXPORT_WAIT).await?
            && let Some(since) = core.waits_since().await?
            && selection.to.is_none_or(|to| to > since)
        {
            // It would look complete.
            return Err(AuditError::Behind { since });
        }
        let mut tx = core.db.begin_read(SCOPE).await?;
        let head = reading::head(&mut tx).await?;
        drop(tx);
        let filter = Filter {
            from: selection.from,
            to: selection.to,
            kinds: selection.kinds.clone(),
            ..Filter::default()
        };
        let used = crate::search::filters_used(&filter);
        let event = Event::AuditExported { by: used, tree_size: head.size };
        self.record_durable(self.seen(by, event)).await?;
        let origin = head.checkpoint.lines().next().unwrap_or_default().to_owned();
        let selection = Selection { kinds: filter.all_kinds(), ..selection };
        let prover = Prover::new(head.size);
        let (audit, scope) = (self.clone(), by.scope);
        Ok(Export { audit, scope, selection, head, origin, prover, state: State::Head, events: 0 })
    }
}

impl Export {
    /// The size of the tree that everything is proven against.
    pub const fn tree_size(&self) -> u64 {
        self.head.size
    }

    /// Events given so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The next complete lines; `None` after the last.
    ///
    /// # Errors
    /// If the database fails or its tiles do not fit together. What was given so far then lacks its last line.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        loop {
            match self.state {
                State::Head => {
                    self.state = State::Events(0, self.start());
                    return Ok(Some(self.header()));
                }
                State::Events(way, after) => {
                    if let Some(lines) = self.events_after(way, after).await? {
                        return Ok(Some(lines));
                    }
                    let next = way + 1;
                    let more = next < self.ways();
                    self.state = if more { State::Events(next, self.start()) } else { State::End };
                }
                State::End => {
                    self.state = State::Done;
                    return Ok(Some(line(&serde_json::json!({ "end": true, "events": self.events }))));
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Whose events these are, if not everybody's.
    const fn owner(&self) -> Option<Id<ids::Account>> {
        match self.scope {
            Scope::Account(own) => Some(own),
            Scope::System(_) => None,
        }
    }

    /// How many lists of events there are, one after the other.
    fn ways(&self) -> usize {
        if self.owner().is_some() { 2 } else { self.selection.kinds.len() }
    }

    /// Below every id that is wanted.
    fn start(&self) -> Id<ids::Event> {
        let first = self.selection.from.map_or(Id::from_bytes([0; 16]), first_id);
        Id::from_bytes(u128::from_be_bytes(*first.as_bytes()).saturating_sub(1).to_be_bytes())
    }

    fn header(&self) -> Vec<u8> {
        let Selection { from, to, kinds } = &self.selection;
        line(&serde_json::json!({
            "format": FORMAT,
            "origin": self.origin,
            "tree_size": self.head.size,
            "checkpoint": &*self.head.checkpoint,
            "filter": {
                "from": from.map(Timestamp::to_rfc3339),
                "to": to.map(Timestamp::to_rfc3339),
                "kinds": kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            },
            "exported_at": self.audit.core().clock.now().to_rfc3339(),
        }))
    }

    async fn events_after(
        &mut self,
        way: usize,
        after: Id<ids::Event>,
    ) -> Result<Option<Vec<u8>>, AuditError> {
        let audit = self.audit.clone();
        let core = audit.core();
        let until = self.selection.to.map_or(Id::<ids::Event>::from_bytes([0xff; 16]), first_id);
        let mut tx = core.db.begin_read(self.scope).await?;
        let (size, limit) = (reading::integer(self.head.size), i64::try_from(CHUNK).unwrap_or(i64::MAX));
        let rows = match (self.owner(), self.selection.kinds.get(way)) {
            (Some(own), _) => {
                let statement = if way == 0 { OWN_ABOUT } else { OWN_FURTHER };
                tx.query(statement, params![after, until, size, limit, own]).await?
            }
            (None, None) => tx.query(BY_TIME, params![after, until, size, limit]).await?,
            (None, Some(kind)) => tx.query(BY_KIND, params![after, until, size, limit, kind.name()]).await?,
        };
        let Some(last) = rows.last() else { return Ok(None) };
        self.state = State::Events(way, last.get(0)?);
        let mut lines = Vec::with_capacity(rows.len() * 4_096);
        let kinds = self.selection.kinds.clone();
        for row in &rows {
            // A person has few events of each kind: no index is needed to leave the others out.
            let kind: String = row.get(KIND)?;
            if self.owner().is_some()
                && !kinds.is_empty()
                && !kinds.iter().any(|wanted| wanted.name() == kind)
            {
                continue;
            }
            lines.extend(self.event(&mut tx, row).await?);
            self.events += 1;
        }
        Ok(Some(lines))
    }

    async fn event(&mut self, tx: &mut Tx, row: &Row) -> Result<Vec<u8>, AuditError> {
        let keys = &self.audit.core().keys;
        let (scope, owner) = (self.scope, self.owner());
        let entry = opening::entry(tx, keys, row, scope).await?;
        let index = entry.index.unwrap_or_default();
        let leaf: Vec<u8> = row.get(LEAF)?;
        // As many as the leaf commits to; those of people who were erased may be gone.
        let mut sealed: Vec<(Option<Id<ids::Account>>, Vec<u8>)> = vec![(entry.account, row.get(13)?)];
        let count: u32 = row.get(12)?;
        if count > 1 {
            sealed.resize(count.min(MAX_BODIES) as usize, (None, Vec::new()));
            for further in tx.query(FURTHER, params![reading::integer(index)]).await? {
                if let Some(slot) = sealed.get_mut(further.get::<u32>(0)? as usize) {
                    *slot = (further.get(1)?, further.get(2)?);
                }
            }
        }
        let mut bodies = Vec::with_capacity(sealed.len());
        for (account, record) in sealed {
            if owner.is_some() && account != owner {
                bodies.push(None);
                continue;
            }
            // What cannot be opened is told from what was never there; whether it was erased or altered is for the
            // verification of the log to say.
            let opened = open_body(tx, keys, &entry.id, account, &record).await.ok();
            bodies.push(opened.and_then(|plain| {
                let (salt, text) = plain.split_at_checked(SALT)?;
                let text = std::str::from_utf8(text).ok()?.to_owned();
                Some(BodyText { salt: STANDARD.encode(salt), text })
            }));
        }
        let proof = self.prover.prove(tx, index).await?;
        Ok(line(&Line {
            index,
            leaf: STANDARD.encode(leaf),
            proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect(),
            bodies,
            event: &to_ocsf(&entry, env!("CARGO_PKG_VERSION")),
        }))
    }
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("our own types have string keys and serialise");
    bytes.push(b'\n');
    bytes
}

/// Proofs in a tree of fixed size, one after the other.
struct Prover {
    size: u64,
    tiles: Tiles,
    /// The tile that was lacking, on its way into the reader.
    fetched: Inbox,
    known: HashMap<Node, Hash>,
}

type Fetch = Box<dyn FnMut(Tile) -> Result<Vec<u8>, Lack> + Send>;
type Tiles = TileReader<Fetch>;
type Inbox = Arc<Mutex<Option<(Tile, Vec<u8>)>>>;

/// Why a proof is not complete yet.
enum Lack {
    Tile(Tile),
    Malformed(Malformed),
}

impl From<Malformed> for Lack {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl Prover {
    fn new(size: u64) -> Self {
        let fetched = Inbox::default();
        let inbox = Arc::clone(&fetched);
        let fetch: Fetch = Box::new(move |wanted| {
            let there = inbox.lock().take().filter(|(tile, _)| *tile == wanted);
            there.map(|(_, bytes)| bytes).ok_or(Lack::Tile(wanted))
        });
        Self { size, tiles: TileReader::new(size, fetch), fetched, known: HashMap::new() }
    }

    async fn prove(&mut self, tx: &mut Tx, index: u64) -> Result<Vec<Hash>, AuditError> {
        loop {
            let (tiles, known) = (&mut self.tiles, &mut self.known);
            let proof = inclusion_proof(index, self.size, |node| match known.get(&node) {
                Some(hash) => Ok(*hash),
                None => {
                    let hash = tiles.node(node)?;
                    if known.len() == REMEMBERED {
                        known.clear();
                    }
                    known.insert(node, hash);
                    Ok(hash)
                }
            });
            match proof {
                Ok(Some(hashes)) => return Ok(hashes),
                Ok(None) => return Err(AuditError::Damaged(format!("index {index} is not in the tree"))),
                Err(Lack::Tile(tile)) => {
                    let bytes = reading::hashes(tx, tile).await?;
                    *self.fetched.lock() = Some((tile, bytes));
                }
                Err(Lack::Malformed(error)) => return Err(AuditError::Damaged(error.to_string())),
            }
        }
    }
}
