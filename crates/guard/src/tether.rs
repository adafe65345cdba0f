//! What an answer that lasts hangs on (ACCESS-9): a WebSocket or an event stream lives only as long as the decision that
//! opened it would be made again.
//!
//! Nothing is registered anywhere: each open connection listens by itself, and what it listens to is bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::{Relations, Requirement, ResourceRef};
use base::{Clock, Timestamp};
use identity::{AccountCaller, Error, Identity};
use store::Change;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::Route;

/// After a change: time for every cache of this process to have forgotten what it was about.
const SETTLE: Duration = Duration::from_millis(50);
/// Looks once more after this, because a change elsewhere may be told before it can be seen.
const AGAIN: Duration = Duration::from_millis(400);
/// Looks at least this often: sessions that are not used end without any change.
const REGULARLY: Duration = Duration::from_secs(15);
/// How often and how long apart it is tried when it cannot be decided, before it counts as ended.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// What decisions are made with; one for the whole pipeline.
#[derive(Clone)]
pub(crate) struct Ties {
    pub(crate) identity: Identity,
    pub(crate) relations: Relations,
    pub(crate) clock: Clock,
}

/// Holds an answer that lasts to the decision behind it. One pointer, because every request carries its own through all
/// that is still to come.
#[derive(Clone)]
pub struct Tether(Arc<Bond>);

struct Bond {
    ties: Arc<Ties>,
    caller: AccountCaller,
    route: Arc<Route>,
    object: Option<ResourceRef>,
}

impl fmt::Debug for Tether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tether({} for {:?})", self.0.route.requirement, self.0.object)
    }
}

/// Why it no longer holds, or that nothing can be said.
enum Loose {
    Ended(&'static str),
    Unknown,
}

impl Tether {
    pub(crate) fn new(
        ties: &Arc<Ties>,
        caller: AccountCaller,
        route: Arc<Route>,
        object: Option<ResourceRef>,
    ) -> Self {
        Self(Arc::new(Bond { ties: Arc::clone(ties), caller, route, object }))
    }

    /// Waits until the decision would not be made again: the session ended, the account was suspended, the right was
    /// revoked or ran out, the policies changed. Gives why, as a stable word. Within a second of the change, on
    /// whatever node it was made. What cannot be decided for a while counts as ended.
    pub async fn severed(self) -> &'static str {
        // Before the first look, so that no change falls between.
        let mut changes = self.0.ties.identity.changes();
        let mut policies = self.0.ties.relations.access().replaced();
        loop {
            let end = match self.0.look().await {
                Ok(end) => end,
                Err(reason) => return reason,
            };
            let left = end.map_or(REGULARLY, |end| {
                let ms = end.since_ms(self.0.ties.clock.now()).max(0);
                // One more, because timers and clocks count milliseconds differently.
                Duration::from_millis(ms.unsigned_abs().saturating_add(1)).min(REGULARLY)
            });
            let expiry = tokio::time::sleep(left);
            tokio::pin!(expiry);
            let changed = loop {
                tokio::select! {
                    change = changes.recv() => match change {
                        Ok(change) if !self.0.concerns(change) => {}
                        Ok(_) | Err(RecvError::Lagged(_)) => break true,
                        // Nothing tells of changes any more.
                        Err(RecvError::Closed) => return "undecidable",
                    },
                    replaced = policies.changed() => match replaced {
                        Ok(()) => break true,
                        Err(_) => return "undecidable",
                    },
                    () = &mut expiry => break false,
                }
            };
            if changed {
                tokio::time::sleep(SETTLE).await;
                // What happened meanwhile is seen by the same look.
                while !matches!(changes.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
                policies.mark_unchanged();
                if let Err(reason) = self.0.look().await {
                    return reason;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Bond {
    fn concerns(&self, change: Change) -> bool {
        match change {
            // Whoever shared the object or gave the link may have lost it with their standing, their role or their tier.
            Change::Account(account) => account == self.caller.account || self.object.is_some(),
            Change::Session(session) => session == self.caller.session,
            Change::Keys => false,
            Change::Object(_) | Change::Relations => self.object.is_some(),
            Change::Policies | Change::Everything => true,
        }
    }

    /// Whether it still holds, and until when at most.
    async fn look(&self) -> Result<Option<Timestamp>, &'static str> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match self.decide().await {
                Ok(end) => return Ok(end),
                Err(Loose::Ended(reason)) => return Err(reason),
                Err(Loose::Unknown) => {}
            }
        }
        Err("undecidable")
    }

    async fn decide(&self) -> Result<Option<Timestamp>, Loose> {
        let caller = match self.ties.identity.recheck(&self.caller).await {
            Ok(caller) => caller,
            Err(Error::InvalidToken(reason)) => return Err(Loose::Ended(reason)),
            Err(_) => return Err(Loose::Unknown),
        };
        let end = match &self.route.requirement {
            Requirement::Public | Requirement::Authenticated => None,
            Requirement::Action { action, .. } => {
                let decision = self.ties.decision(&caller.subject(), action, self.object.as_ref()).await?;
                if !decision.allowed {
                    return Err(Loose::Ended(decision.code));
                }
                decision.expires_at
            }
        };
        Ok(Some(end.map_or(caller.expires_at, |end| end.min(caller.expires_at))))
    }
}

impl Ties {
    async fn decision(
        &self,
        subject: &access::Subject,
        action: &access::Action,
        object: Option<&ResourceRef>,
    ) -> Result<access::Decision, Loose> {
        self.relations.check(subject, action, object, None).await.map_err(|error| {
            tracing::warn!(%error, "whether an open connection may go on could not be decided");
            Loose::Unknown
        })
    }
}
