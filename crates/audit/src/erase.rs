//! Erasing a person: their key goes, the log stays whole and says which key went.

use base::{Actor, Id, kind as ids};
use keys::Subject;
use store::Tx;

use crate::leaf::KeyHandle;
use crate::{Audit, AuditError, Event, Record, RequestInfo};

impl Audit {
    /// Destroys every key of a person and records it, in the caller's transaction: what was sealed for them is unreadable
    /// once it commits, and the log's leaf names the keys, so that verification tells *erased* from *lost*. `authority` says
    /// who may have decided it: `owner`, `operator` or `retention`. `false` if there was no key left.
    ///
    /// # Errors
    /// If the transaction's scope does not cover the person, or the database fails.
    pub async fn erase_subject(
        &self,
        tx: &mut Tx,
        account: Id<ids::Account>,
        by: Actor,
        authority: &'static str,
        request: Option<RequestInfo>,
    ) -> Result<bool, AuditError> {
        let core = self.core();
        let subject = Subject::Account(account);
        let keys = core.keys.subject_keys(tx, subject).await?;
        if !core.keys.destroy_subject(tx, subject).await? {
            return Ok(false);
        }
        let keys = keys.iter().map(|key| KeyHandle(key.0).to_hex().as_str().into()).collect();
        let event = Event::SubjectErased { keys, authority };
        // The event's own body has no key of theirs any more: what is not personal is kept under the trail's.
        let mut record = Record::new(core.clock.now(), event).by(by).about(account);
        record.request = request;
        self.append(tx, &record).await?;
        Ok(true)
    }
}
