//! What is known of everybody together: in memory for judging, written now and then, added up over nodes.

use std::sync::Arc;

use base::{Scope, Timestamp};
use parking_lot::Mutex;
use store::{Db, params};
use threat::login::{Engine, History, Population, Sighting};

use crate::Error;

/// Sign-ins after which this node writes what it counted.
const WRITE_AFTER: u32 = 64;
/// And the time after which it does so with fewer.
const WRITE_AFTER_MS: i64 = 600_000;

store::sql! {
    READ = "SELECT counts FROM login_population WHERE part = 1";
    READ_TO_WRITE =
        sqlite "SELECT counts FROM login_population WHERE part = 1",
        postgres "SELECT counts FROM login_population WHERE part = 1 FOR UPDATE";
    WRITE = "INSERT INTO login_population (part, counts, updated_at) VALUES (1, $1, $2) \
        ON CONFLICT (part) DO UPDATE SET counts = $1, updated_at = $2";
}

/// The counts. Clones share them.
#[derive(Clone)]
pub(crate) struct Crowd(Arc<Mutex<State>>);

struct State {
    /// What the database had, and what was counted here since.
    all: Arc<Population>,
    /// What was counted here since the last writing.
    own: Population,
    waiting: u32,
    written_at: Option<Timestamp>,
}

impl Crowd {
    /// Reads what was written before.
    pub(crate) async fn open(db: &Db) -> Result<Self, Error> {
        let mut tx = db.begin_read(Scope::System("login risk")).await?;
        let counts = tx.query_opt(READ, params![]).await?.map(|row| row.get::<Vec<u8>>(0)).transpose()?;
        let all = Arc::new(counts.map(|bytes| read(&bytes)).unwrap_or_default());
        Ok(Self(Arc::new(Mutex::new(State {
            all,
            own: Population::default(),
            waiting: 0,
            written_at: None,
        }))))
    }

    /// The counts now.
    pub(crate) fn now(&self) -> Arc<Population> {
        Arc::clone(&self.0.lock().all)
    }

    /// Learns a completed sign-in.
    pub(crate) fn learn(&self, engine: &Engine, sighting: &Sighting, history: &mut History) {
        let mut state = self.0.lock();
        engine.learn(sighting, &mut history.clone(), &mut state.own);
        // Copies the counts (about 50 kB) only while somebody is judging by them.
        engine.learn(sighting, history, Arc::make_mut(&mut state.all));
        state.waiting += 1;
    }

    /// Writes what was counted here, beside the caller; failing is no loss that anybody feels.
    pub(crate) fn write_if_due(&self, db: &Db, now: Timestamp) {
        let mut state = self.0.lock();
        let since = *state.written_at.get_or_insert(now);
        if state.waiting < WRITE_AFTER && now.since_ms(since) < WRITE_AFTER_MS {
            return;
        }
        (state.waiting, state.written_at) = (0, Some(now));
        let own = std::mem::take(&mut state.own);
        drop(state);
        let (crowd, db) = (self.clone(), db.clone());
        tokio::spawn(async move {
            if let Err(error) = crowd.write(&db, &own, now).await {
                tracing::info!(%error, "the counts over all sign-ins were not written this time");
                crowd.0.lock().own.merge(&own);
            }
        });
    }

    async fn write(&self, db: &Db, own: &Population, now: Timestamp) -> Result<(), Error> {
        let mut tx = db.begin(Scope::System("login risk")).await?;
        let before = tx.query_opt(READ_TO_WRITE, params![]).await?;
        let mut all = match before {
            None => Population::default(),
            Some(row) => read(&row.get::<Vec<u8>>(0)?),
        };
        all.merge(own);
        tx.execute(WRITE, params![all.to_bytes(), now]).await?;
        tx.commit().await?;
        let mut state = self.0.lock();
        // What was counted while this was written is not in the database yet.
        all.merge(&state.own);
        state.all = Arc::new(all);
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Population {
    Population::from_bytes(bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "what was known of sign-ins in general is not known any more");
        Population::default()
    })
}
