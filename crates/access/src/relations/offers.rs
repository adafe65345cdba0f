//! Offers: access that begins when its receiver accepts it.
//!
//! Somebody writes a name or an e-mail address. Whether there is such an account nobody learns: the offer is made either
//! way, looks the same, and ends by itself. Only the receiver can turn it into a relation, which then hangs on whoever
//! offered it as if it had been given at that moment.

use audit::Event;
use base::{Id, Scope, Timestamp, kind};
use keys::{Field, KeysError};
use store::{Change, Tx, params};

use super::shares::{self, Given, Share};
use super::{AccessError, Asker, Changing, Inner, Relations, invalid, people, read, shown};
use crate::{Action, Assurance, Hold, Relation, ResourceRef, Revision, Subject};

/// Characters of a name or address.
const MAX_NAME: usize = 255;
/// Offers of one object that can be open, and that are listed.
const MAX_OPEN: u32 = 100;
/// Offers that somebody is shown; more wait until these are answered.
const PAGE: u32 = 100;

store::sql! {
    MAKE = "INSERT INTO access_offer (offer_id, object_id, account_id, receiver_id, sealed_name, relation, until_at, \
        created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    pub(crate) DROP_OFFER = "DELETE FROM access_offer WHERE offer_id = $1";
    /// It is as if it had never reached them.
    DECLINE = "UPDATE access_offer SET receiver_id = NULL WHERE offer_id = $1";
    /// All that is offered to somebody of one object.
    DECLINE_ALL = "UPDATE access_offer SET receiver_id = NULL WHERE object_id = $1 AND receiver_id = $2";
    OF_OBJECT = "SELECT offer_id, account_id, sealed_name, relation, until_at, created_at, expires_at FROM access_offer \
        WHERE object_id = $1 AND expires_at > $2 ORDER BY offer_id DESC LIMIT $3";
    TO_ME = "SELECT f.offer_id, f.account_id, o.kind, o.name, f.relation, f.until_at, f.expires_at FROM access_offer f \
        JOIN access_object o ON o.object_id = f.object_id WHERE f.receiver_id = $1 AND f.expires_at > $2 \
        AND (f.until_at IS NULL OR f.until_at > $2) ORDER BY f.offer_id DESC LIMIT $3";
    ONE_OFFER = "SELECT f.account_id, f.receiver_id, f.relation, f.until_at, o.kind, o.name, o.account_id \
        FROM access_offer f JOIN access_object o ON o.object_id = f.object_id WHERE f.offer_id = $1 AND f.expires_at > $2";
}

/// What is offered to whom.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The name or address as it was written; shown to who offers and to the owner.
    pub name: &'a str,
    /// Whose account that is, if there is one.
    pub receiver: Option<Id<kind::Account>>,
    /// [`Relation::Shared`] or [`Relation::Collaborator`].
    pub relation: Relation,
    /// When the access shall end by itself.
    pub until: Option<Timestamp>,
}

/// An offer on its way: whoever makes it tells the receiver in the same transaction, then finishes it.
#[must_use = "it is made only once it is finished"]
pub struct Offering {
    change: Changing,
    object: Id<kind::Object>,
    /// Its id.
    pub id: Id<kind::Offer>,
    /// When it ends unless it is accepted.
    pub expires_at: Timestamp,
    /// Who is to be told, if anybody.
    pub receiver: Option<Id<kind::Account>>,
    /// Until when the access would last.
    pub until: Option<Timestamp>,
}

impl Offering {
    /// For the letter to the receiver.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.change.tx
    }
}

/// An open offer, for who made it and for the owner.
#[derive(Debug, Clone)]
pub struct OfferView {
    /// Its id.
    pub id: Id<kind::Offer>,
    /// Who offers.
    pub by: Id<kind::Account>,
    /// To whom, as it was written; empty if that cannot be read any more.
    pub name: String,
    /// What they would be.
    pub relation: Relation,
    /// When the access would end.
    pub until: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// When the offer itself ends.
    pub expires_at: Timestamp,
}

/// An open offer, for its receiver.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Its id.
    pub id: Id<kind::Offer>,
    /// Who offers.
    pub by: Id<kind::Account>,
    /// What.
    pub resource: ResourceRef,
    /// What the receiver would be.
    pub relation: Relation,
    /// When the access would end.
    pub until: Option<Timestamp>,
    /// When the offer itself ends.
    pub expires_at: Timestamp,
}

/// What somebody can give to others of an object, for the forms of a page. The operations decide again.
#[derive(Debug, Clone, Default)]
pub struct Giving {
    /// Relations.
    pub relations: Vec<Relation>,
    /// Actions that a collaboration token of theirs can name.
    pub actions: Vec<Action>,
    /// No later than this.
    pub until: Option<Timestamp>,
    /// Why nothing can be given, as a code of the decision; `None` if something can.
    pub refused: Option<&'static str>,
}

impl Relations {
    /// Begins an offer. The same asker's open offer to the same name is replaced.
    ///
    /// # Errors
    /// As [`share`](Self::share), but for whom: only the asker themselves are refused, with the field `name`.
    pub async fn offer(
        &self,
        by: &Asker,
        resource: &ResourceRef,
        wanted: &Offer<'_>,
    ) -> Result<Offering, AccessError> {
        let inner = &*self.0;
        let &Offer { name, receiver, relation, until } = wanted;
        if !matches!(relation, Relation::Shared | Relation::Collaborator) {
            return Err(invalid("relation", "must be shared or collaborator"));
        }
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(invalid("name", "must be a username or an e-mail address"));
        }
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let known = inner.seen(&mut change.tx, Some(asker), resource, change.now).await?;
        shares::must_share(inner, &by.subject, &known.facts, relation)?;
        let Some(reach) = shares::reach(&known, asker, change.now) else {
            return Err(AccessError::Denied(Box::new(inner.not_owner(&by.subject, &known.facts))));
        };
        let until = shares::until(until, reach.limit, change.now)?;
        if receiver == Some(asker) {
            return Err(invalid("name", "must be somebody else"));
        }
        // To a collaborator the page must not say whose an address is: the owner simply finds nothing new.
        let receiver = receiver.filter(|receiver| *receiver != known.owner);
        let open = change.tx.query(OF_OBJECT, params![known.id, change.now, MAX_OPEN]).await?;
        let mut replaced = false;
        for row in &open {
            let (id, inviter): (Id<kind::Offer>, Id<kind::Account>) = (row.get(0)?, row.get(1)?);
            let same = inviter == asker
                && inner
                    .open_name(&mut change.tx, id, inviter, &row.get::<Vec<u8>>(2)?)
                    .await?
                    .eq_ignore_ascii_case(name);
            if same {
                change.tx.execute(DROP_OFFER, params![id]).await?;
                replaced = true;
            }
        }
        if !replaced && open.len() >= MAX_OPEN as usize {
            return Err(AccessError::Conflict("This has as many open offers as can be; withdraw some."));
        }
        let id: Id<kind::Offer> = Id::at(change.now, &inner.entropy);
        let sealed = inner
            .keys
            .seal(&mut change.tx, keys::Subject::Account(asker), field(id), name.as_bytes())
            .await?;
        let expires_at = change.now.plus_ms(inner.settings.offer_ttl_ms);
        let row =
            params![id, known.id, asker, receiver, sealed, relation.as_str(), until, change.now, expires_at];
        change.tx.execute(MAKE, row).await?;
        let event =
            Event::AccessOffered { offer: id, resource: shown(resource), relation: relation.as_str(), until };
        inner.note(&mut change, by, Some(known.owner), event).await?;
        Ok(Offering { change, object: known.id, id, expires_at, receiver, until })
    }

    /// Makes the offer, with the letter that was written into its transaction.
    ///
    /// # Errors
    /// Failures of the database: then nothing is offered and nobody is told.
    pub async fn finish_offer(&self, offering: Offering) -> Result<Revision, AccessError> {
        self.0.finish(offering.change, Change::Object(offering.object)).await
    }

    /// Accepts an offer: the asker has the relation from now on, as far as who offered it can still give it. What else of
    /// the object was offered to them counts as declined.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if there is none for the asker; [`AccessError::Conflict`] if it does not hold any more,
    /// or they have access already from somebody else.
    pub async fn accept_offer(
        &self,
        by: &Asker,
        offer: Id<kind::Offer>,
    ) -> Result<(ResourceRef, Revision), AccessError> {
        const GONE: AccessError = AccessError::Conflict("This offer does not hold any more.");
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let row = change.tx.query_opt(ONE_OFFER, params![offer, change.now]).await?;
        let row = row.ok_or(AccessError::NotFound)?;
        if row.get::<Option<Id<kind::Account>>>(1)? != Some(asker) {
            return Err(AccessError::NotFound);
        }
        let offerer: Id<kind::Account> = row.get(0)?;
        let relation = people::relation(&row.get::<String>(2)?).ok_or(GONE)?;
        let wanted = Hold::until(row.get(3)?);
        let resource = ResourceRef { kind: row.get(4)?, id: row.get(5)? };
        let known = read::known(&mut change.tx, Some(asker), &resource, change.now).await?;
        let known = known.ok_or(AccessError::NotFound)?;
        inner.must_stand_well(&by.subject, &known.facts)?;
        people::must_be_active(&mut change.tx, asker, "offer").await?;
        if known.owner == asker {
            return Err(AccessError::Conflict("It is yours."));
        }
        // What who offers may do now, not when they offered; the second factor they showed then.
        let standing = people::standing(&mut change.tx, offerer).await?;
        let standing = standing.filter(|standing| !standing.suspended).ok_or(GONE)?;
        let assurance = Assurance { mfa_age_s: Some(0), ..standing.assurance };
        let standing = Subject { assurance, ..standing };
        let theirs = read::known(&mut change.tx, Some(offerer), &resource, change.now).await?.ok_or(GONE)?;
        if shares::must_share(inner, &standing, &theirs.facts, relation).is_err() {
            return Err(GONE);
        }
        let reach = shares::reach(&theirs, offerer, change.now).ok_or(GONE)?;
        let hold = wanted.min(reach.limit);
        if !hold.at(change.now) {
            return Err(GONE);
        }
        let given = Given {
            to: Share::Account(asker),
            accepted: Some(offer),
            relation,
            expires_at: hold.end(),
            granted_by: offerer,
            hangs_on: reach.hangs_on,
        };
        Ok((resource, inner.put(change, by, &known, &given).await?))
    }

    /// Ends an offer: its receiver declines, of which nobody learns; or who made it or the owner withdraws it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub async fn end_offer(&self, by: &Asker, offer: Id<kind::Offer>) -> Result<Revision, AccessError> {
        let inner = &*self.0;
        let asker = by.account()?;
        let mut change = inner.change().await?;
        let row = change.tx.query_opt(ONE_OFFER, params![offer, change.now]).await?;
        let row = row.ok_or(AccessError::NotFound)?;
        let resource = ResourceRef { kind: row.get(4)?, id: row.get(5)? };
        let (offerer, owner): (Id<kind::Account>, Id<kind::Account>) = (row.get(0)?, row.get(6)?);
        let (sql, how, about) = if row.get::<Option<Id<kind::Account>>>(1)? == Some(asker) {
            (DECLINE, "declined", asker)
        } else if asker == offerer || asker == owner {
            (DROP_OFFER, "withdrawn", owner)
        } else {
            return Err(AccessError::NotFound);
        };
        change.tx.execute(sql, params![offer]).await?;
        let event = Event::AccessOfferEnded { offer, resource: shown(&resource), how };
        inner.note(&mut change, by, Some(about), event).await?;
        // No decision stands on an offer.
        change.tx.commit().await?;
        Ok(change.revision)
    }

    /// The open offers of an object, newest first, at most 100: all for its owner, their own for who works on it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; failures of the database.
    pub async fn offers(&self, by: &Asker, resource: &ResourceRef) -> Result<Vec<OfferView>, AccessError> {
        let inner = &*self.0;
        let (asker, now) = (by.account()?, inner.now());
        let mut tx = inner.db.begin_read(Scope::System("offers")).await?;
        let known = inner.seen(&mut tx, Some(asker), resource, now).await?;
        let mut views = Vec::new();
        for row in tx.query(OF_OBJECT, params![known.id, now, MAX_OPEN]).await? {
            let (id, offerer): (Id<kind::Offer>, Id<kind::Account>) = (row.get(0)?, row.get(1)?);
            let Some(relation) = people::relation(&row.get::<String>(3)?) else { continue };
            if known.owner != asker && offerer != asker {
                continue;
            }
            views.push(OfferView {
                id,
                by: offerer,
                name: inner.open_name(&mut tx, id, offerer, &row.get::<Vec<u8>>(2)?).await?,
                relation,
                until: row.get(4)?,
                created_at: row.get(5)?,
                expires_at: row.get(6)?,
            });
        }
        Ok(views)
    }

    /// What is offered to the asker, newest first, at most 100.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn offered(&self, by: &Asker) -> Result<Vec<Offered>, AccessError> {
        let mut tx = self.0.db.begin_read(Scope::System("offers to somebody")).await?;
        let mut offered = Vec::new();
        for row in tx.query(TO_ME, params![by.account()?, self.0.now(), PAGE]).await? {
            let Some(relation) = people::relation(&row.get::<String>(4)?) else { continue };
            offered.push(Offered {
                id: row.get(0)?,
                by: row.get(1)?,
                resource: ResourceRef { kind: row.get(2)?, id: row.get(3)? },
                relation,
                until: row.get(5)?,
                expires_at: row.get(6)?,
            });
        }
        Ok(offered)
    }

    /// What the asker can give of an object: nothing, if it is shared with them only.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; failures of the database.
    pub async fn giving(&self, by: &Asker, resource: &ResourceRef) -> Result<Giving, AccessError> {
        let inner = &*self.0;
        let (asker, now) = (by.account()?, inner.now());
        let mut tx = inner.db.begin_read(Scope::System("what can be given")).await?;
        let known = inner.seen(&mut tx, Some(asker), resource, now).await?;
        drop(tx);
        let Some(reach) = shares::reach(&known, asker, now) else {
            return Ok(Giving { refused: Some(crate::code::NO_RELATION), ..Giving::default() });
        };
        let mut giving = Giving { until: reach.limit.end(), ..Giving::default() };
        let may = |relation| shares::must_share(inner, &by.subject, &known.facts, relation);
        for relation in [Relation::Shared, Relation::Collaborator] {
            match may(relation) {
                Ok(()) => giving.relations.push(relation),
                Err(AccessError::Denied(decision)) => giving.refused = Some(decision.code),
                Err(error) => return Err(error),
            }
        }
        if may(Relation::Token).is_ok() {
            giving.actions = inner.token_actions(&by.subject, &known.facts);
        }
        if !(giving.relations.is_empty() && giving.actions.is_empty()) {
            giving.refused = None;
        }
        Ok(giving)
    }
}

const fn field(offer: Id<kind::Offer>) -> Field<'static> {
    Field { table: "access_offer", column: "sealed_name", row: *offer.as_bytes() }
}

impl Inner {
    /// What was offered to somebody before their access was settled counts no more: else they could take back with it what
    /// was taken from them. It is as if they had declined, so that nobody learns which offers had reached anybody.
    pub(crate) async fn decline_offers(
        &self,
        change: &mut Changing,
        object: Id<kind::Object>,
        receiver: Id<kind::Account>,
    ) -> Result<u64, AccessError> {
        Ok(change.tx.execute(DECLINE_ALL, params![object, receiver]).await?)
    }

    /// The name of an offer; empty if its key is gone.
    async fn open_name(
        &self,
        tx: &mut Tx,
        offer: Id<kind::Offer>,
        offerer: Id<kind::Account>,
        sealed: &[u8],
    ) -> Result<String, AccessError> {
        match self.keys.open_field(tx, keys::Subject::Account(offerer), field(offer), sealed).await {
            Ok(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
            Err(KeysError::Destroyed | KeysError::NoKey) => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }
}
