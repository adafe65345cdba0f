//! Erasing a person: their key goes, the log stays whole and says which key went.

use base::{Actor, Id, kind as ids};
use keys::Subject;
use store::Tx;

use crate::leaf::KeyHandle;
use crate::{Audit, AuditError, Detail, Event, Record, RequestInfo, forget};

/// Who decided that a person is erased, and why.
#[derive(Debug, Clone)]
pub struct Erasure<'a> {
    /// Who does it.
    pub by: Actor,
    /// Who may have decided it: `owner`, `operator` or `retention`.
    pub authority: &'static str,
    /// Why, in a sentence. It stays readable for as long as the event is kept, so it must not name the person.
    pub reason: Option<&'a str>,
    /// During which request.
    pub request: Option<RequestInfo>,
}

impl Erasure<'_> {
    /// An erasure outside of a request and without a stated reason.
    pub const fn new(by: Actor, authority: &'static str) -> Self {
        Self { by, authority, reason: None, request: None }
    }
}

impl Audit {
    /// Destroys every key of a person and records it, in the caller's transaction: what was sealed for them is unreadable
    /// once it commits, and the log's leaf names the keys, so that verification tells *erased* from *lost*. The columns
    /// that name the person are noted for [`Audit::forget_erased`], which clears them in steps of its own, because a person
    /// may have millions of events. `false` if there was no key left.
    ///
    /// # Errors
    /// If the transaction's scope does not cover the person, or the database fails.
    pub async fn erase_subject(
        &self,
        tx: &mut Tx,
        account: Id<ids::Account>,
        erasure: Erasure<'_>,
    ) -> Result<bool, AuditError> {
        let core = self.core();
        let subject = Subject::Account(account);
        let keys = core.keys.subject_keys(tx, subject).await?;
        if !core.keys.destroy_subject(tx, subject).await? {
            return Ok(false);
        }
        let keys = keys.iter().map(|key| KeyHandle(key.0).to_hex().as_str().into()).collect();
        let Erasure { by, authority, reason, request } = erasure;
        let event = Event::SubjectErased { keys, authority, reason: reason.map(Detail::new) };
        // The event's own body has no key of theirs any more: what is not personal is kept under the trail's.
        let mut record = Record::new(core.clock.now(), event).by(by).about(account);
        record.request = request;
        self.append(tx, &record).await?;
        forget::remember(tx, account, core.clock.now()).await?;
        Ok(true)
    }
}
