//! The one door and what stands behind it.

use std::sync::Arc;

use access::Access;
use audit::{Audit, Event, Record};
use base::{Clock, Entropy, Id, Secret, Timestamp, kind};
use keys::{Field, Keys, Purpose, Subject};
use store::{Db, Job, JobOptions, Tx, job};

use crate::background::Background;
use crate::breach::Ranges;
use crate::hash_pool::HashPool;
use crate::mail::Delivery;
use crate::passkey;
use crate::provider::Provider;
use crate::remember::Remembered;
use crate::risk::Crowd;
use crate::{Error, Mailer, RequestMeta, Settings};

/// What [`Identity`] is made of.
pub struct Parts {
    /// The database, migrated.
    pub db: Db,
    /// The key hierarchy.
    pub keys: Keys,
    /// The audit trail.
    pub audit: Audit,
    /// The policies.
    pub access: Access,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Where messages go.
    pub mailer: Mailer,
    /// The numbers.
    pub settings: Settings,
}

/// Accounts, sessions and tokens. Clones share everything.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<Inner>);

/// What all operations share.
pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) keys: Keys,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) settings: Settings,
    pub(crate) pool: HashPool,
    pub(crate) delivery: Delivery,
    /// What a password is compared with where there is no account, so that this takes as long.
    pub(crate) dummy_hash: String,
    /// A list of breached passwords to be asked beside the offline filter.
    pub(crate) breached: Option<Ranges>,
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) background: Background,
    pub(crate) providers: Vec<Provider>,
    pub(crate) webauthn: Option<passkey::RelyingParty>,
    pub(crate) rp_id: String,
    /// What is known of everybody's sign-ins together.
    pub(crate) crowd: Crowd,
    /// The catalogue of actions, for the scopes of keys.
    pub(crate) access: Access,
}

impl Identity {
    /// Starts the hashing threads and the tasks that forget what changed. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the mail settings are unusable or a thread cannot be started.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let Parts { db, keys, audit, access, clock, entropy, mailer, settings } = parts;
        let pool = HashPool::start(
            settings.hash_threads,
            settings.hash_queue_per_thread,
            settings.hash_params,
            entropy.clone(),
        )
        .map_err(|error| Error::Internal(error.into()))?;
        let nobodys = Secret::new(hex(&entropy.bytes::<16>()));
        let dummy_hash = pool.hash(nobodys, keys.epoch(Purpose::Pepper)).await?;
        let delivery = Delivery::open(mailer, &settings)?;
        let providers =
            settings.providers.iter().cloned().map(Provider::open).collect::<Result<Vec<_>, _>>()?;
        let breached = settings.breach_api.as_deref().map(Ranges::open).transpose()?;
        let webauthn = passkey::relying_party(&settings)?;
        let rp_id = passkey::rp_id(&settings)?;
        let remembered = Arc::new(Remembered::new(settings.remembered_tokens, settings.remembered_sessions));
        let crowd = Crowd::open(&db).await?;
        let background = Background::start(db.clone(), Arc::clone(&remembered));
        Ok(Self(Arc::new(Inner {
            db,
            keys,
            audit,
            clock,
            entropy,
            settings,
            pool,
            delivery,
            dummy_hash,
            breached,
            remembered,
            background,
            providers,
            webauthn,
            rp_id,
            crowd,
            access,
        })))
    }

    /// The numbers in force.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A line for the trail: now, during this request, by nobody known.
    pub(crate) fn record(&self, meta: &RequestMeta, event: Event) -> Record {
        Record::new(self.now(), event).during(meta.info())
    }

    /// Seals one text of an account's row.
    pub(crate) async fn seal(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        (table, column, row): (&str, &str, [u8; 16]),
        text: &[u8],
    ) -> Result<Vec<u8>, Error> {
        Ok(self.keys.seal(tx, Subject::Account(account), Field { table, column, row }, text).await?)
    }

    /// Opens one text of an account's row.
    pub(crate) async fn open_text(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        (table, column, row): (&str, &str, [u8; 16]),
        record: &[u8],
    ) -> Result<String, Error> {
        let bytes =
            self.keys.open_field(tx, Subject::Account(account), Field { table, column, row }, record).await?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Error::internal("a sealed text is not UTF-8"))
    }

    /// Queues a job in the transaction.
    pub(crate) async fn enqueue(&self, tx: &mut Tx, work: &Job) -> Result<(), Error> {
        job::enqueue(tx, &self.clock, &self.entropy, work, JobOptions::default()).await?;
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
