//! Decisions with the facts of the database.

use std::sync::Arc;

use base::Scope;

use super::{AccessError, Inner, Relations, invalid, read};
use crate::{Action, Decision, Facts, ResourceRef, Revision, Subject};

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is to be done.
    pub action: Action,
    /// To what; nothing means "at all".
    pub resource: Option<ResourceRef>,
}

impl Relations {
    /// May `subject` do it? A remembered fact may be used, which is true on this node and at most a second old elsewhere;
    /// never for what deletes, exports, shares or administers, nor if it is older than `at_least`.
    ///
    /// # Errors
    /// Failures of the database (the caller denies); [`AccessError::Invalid`] for a revision that nobody was given.
    pub async fn check(
        &self,
        subject: &Subject,
        action: &Action,
        resource: Option<&ResourceRef>,
        at_least: Option<Revision>,
    ) -> Result<Decision, AccessError> {
        let (access, now) = (&self.0.access, self.0.now());
        let (bundle, conditions) = (access.bundle(), access.conditions());
        let Some(resource) = resource else {
            return Ok(bundle.decide_under(conditions, subject, action, None));
        };
        // No need to ask about what no rule is about; and people are objects that nobody registers.
        let known_about = bundle.may_remember(action, &resource.kind).filter(|_| resource.kind != "user");
        let Some(may_remember) = known_about else {
            let facts = Facts::unregistered(resource.clone(), now);
            return Ok(bundle.decide_under(conditions, subject, action, Some(&facts)));
        };
        if may_remember
            && let Some(known) = self.0.cache.get(subject.account, resource, now, self.0.settings.remember_ms)
            && at_least.is_none_or(|wanted| known.revision >= wanted)
        {
            return Ok(bundle.decide_at(conditions, subject, action, Some(&known), now));
        }
        // Boxed, because every request of the pipeline would otherwise carry the room for it.
        let facts = Box::pin(self.0.read(subject, resource)).await?;
        if at_least.is_some_and(|wanted| facts.revision < wanted) {
            return Err(invalid("at_least", "is no revision that was given yet"));
        }
        Ok(bundle.decide_under(conditions, subject, action, Some(&facts)))
    }

    /// What is known about an object and a person, straight from the database.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn facts(&self, subject: &Subject, resource: &ResourceRef) -> Result<Facts, AccessError> {
        self.0.read(subject, resource).await.map(|facts| Facts::clone(&facts))
    }

    /// The latest revision.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn revision(&self) -> Result<Revision, AccessError> {
        read::revision(&mut self.0.db.begin_read(Scope::System("access revision")).await?).await
    }
}

impl Inner {
    /// Reads and remembers.
    async fn read(&self, subject: &Subject, resource: &ResourceRef) -> Result<Arc<Facts>, AccessError> {
        // Before the database is read; see `cache`.
        let before = self.cache.before();
        let now = self.now();
        let mut tx = self.db.begin_read(Scope::System("access decision")).await?;
        let Some(known) = read::known(&mut tx, subject.account, resource, now).await? else {
            let mut facts = Facts::unregistered(resource.clone(), now);
            facts.revision = read::revision(&mut tx).await?;
            return Ok(Arc::new(facts));
        };
        drop(tx);
        let facts = Arc::new(known.facts);
        // A token stands on its inviter's account too, of whose changes this cache does not hear. And who may not know of
        // the object must not learn of it by an answer that is older than one about nothing.
        if facts.token.is_none() && facts.is_known() {
            self.cache.keep(before, subject.account, known.id, &facts);
        }
        Ok(facts)
    }
}
