//! Collaboration tokens (ACCESS-6): an invitation that somebody carries to whomever they like, once or a few times.
//!
//! A token is a JWT (RFC 7519) of its own type, audience and key, so that a service can check it by itself and nothing
//! else ever takes it for something else. Here only its hash is stored. Redeeming binds it to the account that redeems:
//! that gets a relation of its own which ends with the token, and gives never more than its inviter may do at the time.

use audit::{Event, Outcome, Record};
use base::{Actor, Id, Secret, Timestamp, kind};
use crypto::jws::Expected;
use crypto::mac::sha256;
use keys::KeyUse;
use serde::{Deserialize, Serialize};
use store::{Change, Row, params};

use super::read::Known;
use super::shares::{self, GIVE, Reach};
use super::{AccessError, Asker, Inner, Relations, invalid, people, read, shown};
use crate::{Action, Facts, Hold, Relation, ResourceRef, Revision, Role, Subject, Tier};

/// `typ` of the header.
pub const TYPE: &str = "collaboration+jwt";
/// `aud`: whoever works on the object. Access tokens and assertions are for others.
pub const AUDIENCE: &str = "fortissimo-collaboration";
/// How often one token can be redeemed at most.
const MAX_USES: u32 = 100;
/// Actions that one token can name.
const MAX_PERMISSIONS: usize = 20;
/// Bytes of a token.
const MAX_TOKEN: usize = 8 * 1024;
/// Tokens of one object that can be open, and are listed.
const MAX_OPEN: i64 = 200;

store::sql! {
    ISSUE = "INSERT INTO access_invitation (invitation_id, token_hash, object_id, account_id, permissions, uses_allowed, \
        uses_left, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)";
    OPEN = "SELECT count(*) FROM access_invitation WHERE object_id = $1 AND expires_at > $2 AND revoked_at IS NULL \
        AND uses_left > 0";
    BY_HASH = "SELECT i.invitation_id, i.account_id, i.permissions, i.uses_left, i.expires_at, i.revoked_at, o.kind, o.name \
        FROM access_invitation i JOIN access_object o ON o.object_id = i.object_id WHERE i.token_hash = $1";
    USE = "UPDATE access_invitation SET uses_left = uses_left - 1 \
        WHERE invitation_id = $1 AND uses_left > 0 AND revoked_at IS NULL AND expires_at > $2";
    HAVE = "SELECT relation, expires_at, invitation_id FROM access_relation WHERE object_id = $1 AND subject_id = $2";
    LIST = "SELECT invitation_id, account_id, permissions, uses_allowed, uses_left, created_at, expires_at, revoked_at \
        FROM access_invitation WHERE object_id = $1 AND expires_at > $2 ORDER BY invitation_id DESC LIMIT 200";
    ONE = "SELECT i.account_id, o.kind, o.name, o.account_id, o.object_id FROM access_invitation i \
        JOIN access_object o ON o.object_id = i.object_id WHERE i.invitation_id = $1";
    REVOKE = "UPDATE access_invitation SET revoked_at = $2 WHERE invitation_id = $1 AND revoked_at IS NULL";
    TAKE_GIVEN = "DELETE FROM access_relation WHERE invitation_id = $1 AND object_id = $2";
}

/// The claims, as a service reads them that checks a token by itself. It says what was given when it was issued: whether
/// it was revoked or used up, only the redeeming tells.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    jti: Id<kind::Invitation>,
    /// Who invites.
    sub: Id<kind::Account>,
    /// `project/42`.
    resource: String,
    permissions: Vec<String>,
    uses: u32,
    iat: i64,
    exp: i64,
}

/// What a token shall give.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The actions that it names.
    pub permissions: Vec<Action>,
    /// How many accounts may redeem it.
    pub uses: u32,
    /// Until when it and what came of it are good; as long as is allowed, if absent.
    pub expires_at: Option<Timestamp>,
}

/// A token just made: the only time that it is seen.
#[derive(Debug)]
pub struct Issued {
    /// Its id.
    pub id: Id<kind::Invitation>,
    /// The token.
    pub token: Secret<String>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What redeeming gave.
#[derive(Debug, Clone)]
pub struct Redeemed {
    /// To what.
    pub resource: ResourceRef,
    /// What one may do with it.
    pub permissions: Vec<String>,
    /// Until when.
    pub expires_at: Timestamp,
    /// The change.
    pub revision: Revision,
}

/// One token of a list.
#[derive(Debug, Clone)]
pub struct InvitationView {
    /// Its id.
    pub id: Id<kind::Invitation>,
    /// Who invites.
    pub inviter: Id<kind::Account>,
    /// The actions that it names.
    pub permissions: Vec<String>,
    /// How many accounts may redeem it.
    pub uses_allowed: u32,
    /// How many still may.
    pub uses_left: u32,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// Revoked then.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token was refused, for the record; the one who brings it hears only that it is not valid.
enum Refused {
    Fault(Option<Id<kind::Invitation>>, &'static str),
    Other(AccessError),
}

impl<E: Into<AccessError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Relations {
    /// Makes a token.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Denied`] if the asker may not invite; [`AccessError::Invalid`] for an
    /// action that they may not do themselves or that no token gives, for a number or time that is too large.
    pub async fn invite(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        wanted: &Invitation,
    ) -> Result<Issued, AccessError> {
        let inner = &*self.0;
        if !(1..=MAX_USES).contains(&wanted.uses) {
            return Err(invalid("uses", "must be 1 to 100"));
        }
        if !(1..=MAX_PERMISSIONS).contains(&wanted.permissions.len()) {
            return Err(invalid("permissions", "must name 1 to 20 actions"));
        }
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let known = inner.seen(&mut change.tx, Some(asker), resource, change.now).await?;
        shares::must_share(inner, &by.subject, &known.facts, Relation::Token)?;
        let Some(reach) = shares::reach(&known, asker, change.now) else {
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        };
        let mut permissions: Vec<String> = Vec::with_capacity(wanted.permissions.len());
        for action in &wanted.permissions {
            if !inner.is_given_by_tokens(action, &resource.kind) {
                return Err(invalid("permissions", "has an action that no token gives"));
            }
            if !inner.access.decide(&by.subject, action, Some(&known.facts)).allowed {
                return Err(invalid("permissions", "has an action that you may not do yourself"));
            }
            if !permissions.iter().any(|known| known == action.as_str()) {
                permissions.push(action.as_str().to_owned());
            }
        }
        let longest = change.now.plus_ms(inner.settings.invitation_max_ms);
        if wanted.expires_at.is_some_and(|end| end > longest) {
            return Err(invalid("expires_at", "is later than an invitation lasts here"));
        }
        let limit = reach.limit.min(Hold::Until(longest));
        let expires_at = shares::until(wanted.expires_at, limit, change.now)?.unwrap_or(longest);
        if change.tx.query_one(OPEN, params![known.id, change.now]).await?.get::<i64>(0)? >= MAX_OPEN {
            return Err(AccessError::Conflict("This has as many open tokens as can be; revoke some."));
        }
        let id: Id<kind::Invitation> = Id::at(change.now, &inner.entropy);
        let claims = Claims {
            iss: inner.settings.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            jti: id,
            sub: asker,
            resource: resource.to_string(),
            permissions,
            uses: wanted.uses,
            iat: change.now.as_secs(),
            // Whole seconds: the token's end, the row's and that of what it gives are the same moment.
            exp: expires_at.as_secs(),
        };
        let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1000));
        if expires_at <= change.now {
            return Err(invalid("expires_at", "must be in the future"));
        }
        let token = Secret::new(inner.keys.signer(KeyUse::Collaboration).sign(TYPE, &claims));
        let hash = sha256(token.expose().as_bytes());
        let words = claims.permissions.join(" ");
        let row = params![id, hash, known.id, asker, words, wanted.uses, change.now, expires_at];
        change.tx.execute(ISSUE, row).await?;
        let event = Event::InvitationIssued {
            invitation: id,
            resource: shown(resource),
            uses: wanted.uses,
            expires_at,
        };
        inner.note(&mut change, by, Some(known.owner), event).await?;
        inner.finish(change, Change::Object(known.id)).await?;
        Ok(Issued { id, token, expires_at })
    }

    /// Redeems a token for the asker's account. The same account may do it again: nothing changes and nothing is used.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] of `token`, whatever is wrong with it (the trail says what);
    /// [`AccessError::Conflict`] if the account has access already.
    pub async fn redeem(&self, by: &Asker, token: &str) -> Result<Redeemed, AccessError> {
        match self.0.try_redeem(by, token).await {
            Ok(redeemed) => Ok(redeemed),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Fault(invitation, reason)) => {
                let event = Event::InvitationRefused { invitation, reason };
                let mut record = Record::new(self.0.now(), event).ended(Outcome::Denied);
                if let Some(account) = by.subject.account {
                    record = record.by(Actor::Account(account)).about(account);
                }
                record.request.clone_from(&by.request);
                self.0.audit.record_durable(record).await?;
                Err(invalid("token", "is not valid (any more)"))
            }
        }
    }

    /// The tokens of an object whose time is not over, newest first, at most 200: all for its owner, their own for who
    /// works on it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Denied`].
    pub async fn invitations(
        &self,
        by: &Asker,
        resource: &ResourceRef,
    ) -> Result<Vec<InvitationView>, AccessError> {
        let asker = by.account()?;
        let now = self.0.now();
        let mut tx = self.0.db.begin_read(base::Scope::System("collaboration tokens")).await?;
        let known = self.0.seen(&mut tx, Some(asker), resource, now).await?;
        if shares::reach(&known, asker, now).is_none() {
            return Err(AccessError::Denied(Box::new(self.0.not_owner(&by.subject, &known.facts))));
        }
        let mut views = Vec::new();
        for row in tx.query(LIST, params![known.id, now]).await? {
            let view = view(&row)?;
            if known.owner == asker || view.inviter == asker {
                views.push(view);
            }
        }
        Ok(views)
    }

    /// Revokes a token, and takes what came of it. For who invited and for the owner.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub async fn revoke_invitation(
        &self,
        by: &Asker,
        invitation: Id<kind::Invitation>,
    ) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let row = change.tx.query_opt(ONE, params![invitation]).await?.ok_or(AccessError::NotFound)?;
        let (inviter, owner): (Id<kind::Account>, Id<kind::Account>) = (row.get(0)?, row.get(3)?);
        if asker != inviter && asker != owner {
            return Err(AccessError::NotFound);
        }
        let resource = ResourceRef { kind: row.get(1)?, id: row.get(2)? };
        inner.must_stand_well(&by.subject, &Facts::unrelated(resource.clone(), change.now))?;
        let object: Id<kind::Object> = row.get(4)?;
        if change.tx.execute(REVOKE, params![invitation, change.now]).await? == 0 {
            return Err(AccessError::NotFound);
        }
        let also = change.tx.execute(TAKE_GIVEN, params![invitation, object]).await?;
        let event = Event::InvitationRevoked {
            invitation,
            resource: shown(&resource),
            also: u32::try_from(also).unwrap_or(u32::MAX),
            revision: change.revision.0,
        };
        inner.note(&mut change, by, Some(owner), event).await?;
        inner.finish(change, Change::Object(object)).await
    }
}

fn view(row: &Row) -> Result<InvitationView, AccessError> {
    Ok(InvitationView {
        id: row.get(0)?,
        inviter: row.get(1)?,
        permissions: row.get::<String>(2)?.split_ascii_whitespace().map(str::to_owned).collect(),
        uses_allowed: row.get(3)?,
        uses_left: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
        revoked_at: row.get(7)?,
    })
}

/// A token as its row says.
struct Stored {
    id: Id<kind::Invitation>,
    inviter: Id<kind::Account>,
    permissions: String,
    expires_at: Timestamp,
    resource: ResourceRef,
}

impl Inner {
    /// Whether a rule lets a token alone give this action, whoever redeems it.
    fn is_given_by_tokens(&self, action: &Action, kind: &str) -> bool {
        let anybody = Subject::account(Id::from_bytes([0; 16]), Role::SuperAdmin, Tier::Studio);
        let residual = self.access.bundle().residual(self.access.conditions(), &anybody, action, kind);
        residual.is_some_and(|sets| sets.contains(&Relation::Token.bit()))
    }

    /// The actions about such an object that a token of the subject's can name.
    pub(crate) fn token_actions(&self, subject: &Subject, facts: &Facts) -> Vec<Action> {
        let bundle = self.access.bundle();
        let actions = bundle.actions().filter_map(|name| bundle.action(name).ok());
        actions
            .filter(|action| bundle.is_about(action, &facts.resource.kind))
            .filter(|action| self.is_given_by_tokens(action, &facts.resource.kind))
            .filter(|action| self.access.decide(subject, action, Some(facts)).allowed)
            .collect()
    }

    async fn try_redeem(&self, by: &Asker, token: &str) -> Result<Redeemed, Refused> {
        let asker = by.account()?;
        let fault = |reason| Refused::Fault(None, reason);
        if token.len() > MAX_TOKEN {
            return Err(fault("too-long"));
        }
        let expected = Expected {
            typ: TYPE,
            issuer: &self.settings.issuer,
            audience: AUDIENCE,
            now: self.now(),
            leeway_s: 0,
        };
        let claims: Claims = self
            .keys
            .verifying(KeyUse::Collaboration)
            .verify(token, &expected)
            .map_err(|_| fault("not-ours-or-over"))?;
        let mut change = self.change().await?;
        let row = change.tx.query_opt(BY_HASH, params![sha256(token.as_bytes())]).await?;
        let row = row.ok_or(Refused::Fault(Some(claims.jti), "unknown"))?;
        let stored = Stored {
            id: row.get(0)?,
            inviter: row.get(1)?,
            permissions: row.get(2)?,
            expires_at: row.get(4)?,
            resource: ResourceRef { kind: row.get(6)?, id: row.get(7)? },
        };
        let fault = |reason| Refused::Fault(Some(stored.id), reason);
        if row.get::<Option<Timestamp>>(5)?.is_some() {
            return Err(fault("revoked"));
        }
        if stored.expires_at <= change.now {
            return Err(fault("expired"));
        }
        let known = read::known(&mut change.tx, Some(asker), &stored.resource, change.now).await?;
        let known = known.ok_or(fault("no-object"))?;
        self.must_stand_well(&by.subject, &known.facts)?;
        if known.owner == asker || stored.inviter == asker {
            return Err(AccessError::Conflict("It is your own invitation, or your own work.").into());
        }
        people::must_be_active(&mut change.tx, asker, "token").await?;
        // What the inviter may do now, not when they invited.
        let inviter =
            people::standing(&mut change.tx, stored.inviter).await?.filter(|inviter| !inviter.suspended);
        let inviter = inviter.ok_or(fault("inviter-gone"))?;
        let theirs = read::known(&mut change.tx, Some(stored.inviter), &stored.resource, change.now).await?;
        let theirs = theirs.ok_or(fault("no-object"))?;
        let reach = shares::reach(&theirs, stored.inviter, change.now).ok_or(fault("inviter-lost-access"))?;
        let permissions = self.still_theirs(&stored, &inviter, &theirs);
        if permissions.is_empty() {
            return Err(fault("inviter-may-nothing-of-it"));
        }
        let expires_at = match reach.limit {
            Hold::Until(end) => end.min(stored.expires_at),
            _ => stored.expires_at,
        };
        if let Some(row) = change.tx.query_opt(HAVE, params![known.id, asker]).await?
            && Hold::until(row.get(1)?).at(change.now)
        {
            if row.get::<Option<Id<kind::Invitation>>>(2)? == Some(stored.id) {
                let revision = change.unneeded();
                let resource = stored.resource;
                return Ok(Redeemed { resource, permissions, expires_at, revision });
            }
            return Err(AccessError::Conflict("You have access to it already.").into());
        }
        if change.tx.execute(USE, params![stored.id, change.now]).await? == 0 {
            return Err(fault("used-up"));
        }
        self.give(&mut change, asker, &known, &stored, &reach, &permissions, expires_at).await?;
        let event = Event::InvitationRedeemed {
            invitation: stored.id,
            resource: shown(&stored.resource),
            revision: change.revision.0,
        };
        self.note(&mut change, by, Some(known.owner), event).await?;
        let told = self.touched(&mut change, known.id).await?;
        let revision = self.finish(change, told).await?;
        Ok(Redeemed { resource: stored.resource, permissions, expires_at, revision })
    }

    /// Those of the token's actions that its inviter may still do.
    fn still_theirs(&self, stored: &Stored, inviter: &Subject, theirs: &Known) -> Vec<String> {
        let bundle = self.access.bundle();
        let words = stored.permissions.split_ascii_whitespace();
        words
            .filter(|word| {
                let allowed = |action| {
                    bundle
                        .decide_under(self.access.conditions(), inviter, &action, Some(&theirs.facts))
                        .allowed
                };
                bundle.action(word).is_ok_and(allowed)
            })
            .map(str::to_owned)
            .collect()
    }

    #[expect(clippy::too_many_arguments, reason = "each is one column of the row")]
    async fn give(
        &self,
        change: &mut super::Changing,
        to: Id<kind::Account>,
        known: &Known,
        stored: &Stored,
        reach: &Reach,
        permissions: &[String],
        expires_at: Timestamp,
    ) -> Result<(), AccessError> {
        let row = params![
            known.id,
            to,
            to,
            None::<Id<kind::Team>>,
            &stored.resource.kind,
            Relation::Token.as_str(),
            permissions.join(" "),
            stored.id,
            stored.inviter,
            reach.hangs_on,
            change.now,
            expires_at,
            change.revision.0
        ];
        change.tx.execute(GIVE, row).await?;
        Ok(())
    }
}
