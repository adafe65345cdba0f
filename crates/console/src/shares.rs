//! Who has access to one object, until when: giving it, changing it, taking it away, and handing the object over.
//!
//! A person is named by username or address, and gets an offer: the page looks the same whether there is such an account.
//! Whoever stands on the page already is named by their account.

use access::{AccessError, Giving, Invitation, Offer, Relation, ResourceRef, Share, ShareView};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base::{Id, Timestamp, Username, kind};
use http::StatusCode;
use identity::{Error, OfferNotice};

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::security::{confirm, confirm_place};
use crate::sharing::{After, Look, asker, called, looks, place, record_denied, relation_words, settle, told};
use crate::view::filters;
use crate::visit::Visit;

const HOUR_MS: i64 = 3_600_000;

#[derive(Template)]
#[template(path = "shares.html")]
struct SharesPage {
    frame: Frame,
    what: String,
    place: String,
    public: bool,
    owner: bool,
    looks: Vec<Look>,
    shares: Vec<ShareRow>,
    more: String,
    offers: Vec<OfferRow>,
    links: Vec<LinkRow>,
    /// What the visitor can make others; nothing if they can give nothing.
    relations: Vec<&'static str>,
    /// Why they can give nothing, as an id of words.
    refused: &'static str,
    /// The day that their own access ends.
    limit: String,
    /// The page that asks for the factors again, and leads back.
    again: String,
    teams: Vec<(String, String)>,
    actions: Vec<(String, bool)>,
    heirs: Vec<(String, String)>,
    typed: Typed,
    errors: Errors,
}

struct ShareRow {
    subject: String,
    name: String,
    relation: &'static str,
    permissions: String,
    until: String,
    since: String,
    given_by: String,
    /// It can be changed here: it is one of the two relations that are given.
    change: bool,
}

struct OfferRow {
    id: String,
    name: String,
    relation: &'static str,
    until: String,
    expires_at: String,
    by: String,
}

struct LinkRow {
    id: String,
    permissions: String,
    uses: String,
    expires_at: String,
    by: String,
    revoked: bool,
}

/// What stands in the forms: what was typed before something was wrong, or nothing.
#[derive(Default)]
struct Typed {
    who: String,
    relation: String,
    until: String,
    team: String,
    team_relation: String,
    team_until: String,
    uses: String,
    hours: String,
}

#[derive(Template)]
#[template(path = "link_made.html")]
struct LinkPage {
    frame: Frame,
    link: String,
    expires_at: String,
    place: String,
}

/// GET /account/sharing/{type}/{id}
pub(crate) async fn show(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    Query(query): Query<After>,
    visit: Visit,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let after = if query.after.is_empty() { None } else { Some(subject(&query.after)?) };
    let page = page(&console, &visit, &resource, after).await?;
    Ok(render(&visit, StatusCode::OK, &page))
}

/// `team:…` or an account, as the forms say it.
pub(crate) fn subject(text: &str) -> Result<Share, Failure> {
    let share = match text.strip_prefix("team:") {
        Some(team) => team.parse().ok().map(Share::Team),
        None => text.parse().ok().map(Share::Account),
    };
    share.ok_or_else(Failure::not_found)
}

pub(crate) fn subject_text(share: Share) -> String {
    match share {
        Share::Account(id) => id.to_string(),
        Share::Team(id) => format!("team:{id}"),
    }
}

async fn page(
    console: &Console,
    visit: &Visit,
    resource: &ResourceRef,
    after: Option<Share>,
) -> Result<SharesPage, Failure> {
    let asker = asker(visit);
    let frame = visit.frame(console, "sharing");
    let relations = &console.relations;
    let object = settle(console, visit, relations.object(&asker, resource).await).await?;
    let owner = object.facts.relations().any(|relation| relation == Relation::Owner);
    let (shares, next) = settle(console, visit, relations.shares(&asker, resource, after).await).await?;
    let giving = settle(console, visit, relations.giving(&asker, resource).await).await?;
    let offers = settle(console, visit, relations.offers(&asker, resource).await).await?;
    let gives = giving.refused != Some(access::code::NO_RELATION);
    let (links, teams) = if gives {
        let links = settle(console, visit, relations.invitations(&asker, resource).await).await?;
        (links, settle(console, visit, relations.teams(&asker).await).await?)
    } else {
        (Vec::new(), Vec::new())
    };
    let account = |share: &ShareView| match share.to {
        Share::Account(id) => Some(id),
        Share::Team(_) => None,
    };
    let mut people: Vec<Id<kind::Account>> = shares.iter().filter_map(|share| share.granted_by).collect();
    people.extend(shares.iter().filter_map(account));
    people.extend(offers.iter().map(|offer| offer.by));
    people.extend(links.iter().map(|link| link.inviter));
    let names = console.identity.usernames(&people).await?;
    let name = |id| called(&frame, &names, id);
    let team = |id: Id<kind::Team>| {
        let known = teams.iter().find(|team| team.id == id);
        let team = frame.t("team");
        known.map_or_else(|| team.to_owned(), |known| format!("{team} {}", known.name))
    };
    let mine = asker.subject.account;
    let place = place(resource);
    let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339).unwrap_or_default();
    Ok(SharesPage {
        what: resource.to_string(),
        public: object.public,
        owner,
        looks: looks(console, visit, &frame)
            .await?
            .into_iter()
            .filter_map(|(at, look)| (at == *resource).then_some(look))
            .collect(),
        more: next.map(|share| format!("{place}?after={}", subject_text(share))).unwrap_or_default(),
        heirs: shares
            .iter()
            .filter(|_| owner)
            .filter_map(|share| account(share).map(|id| (id.to_string(), name(id))))
            .collect(),
        shares: shares
            .iter()
            .map(|share| ShareRow {
                subject: subject_text(share.to),
                name: match share.to {
                    Share::Account(id) => name(id),
                    Share::Team(id) => team(id),
                },
                relation: relation_words(share.relation),
                permissions: share.permissions.join(", "),
                until: time(share.expires_at),
                since: share.created_at.to_rfc3339(),
                given_by: share.granted_by.map(name).unwrap_or_default(),
                change: share.relation != Relation::Token
                    && giving.refused.is_none()
                    && account(share) != mine
                    && (owner || share.granted_by == mine),
            })
            .collect(),
        offers: offers
            .into_iter()
            .map(|offer| OfferRow {
                id: offer.id.to_string(),
                name: offer.name,
                relation: relation_words(offer.relation),
                until: time(offer.until),
                expires_at: offer.expires_at.to_rfc3339(),
                by: name(offer.by),
            })
            .collect(),
        links: links
            .into_iter()
            .map(|link| LinkRow {
                id: link.id.to_string(),
                permissions: link.permissions.join(", "),
                uses: format!("{} / {}", link.uses_allowed.saturating_sub(link.uses_left), link.uses_allowed),
                expires_at: link.expires_at.to_rfc3339(),
                by: name(link.inviter),
                revoked: link.revoked_at.is_some(),
            })
            .collect(),
        relations: giving.relations.iter().copied().map(Relation::as_str).collect(),
        refused: refusal(&giving),
        limit: day(giving.until),
        again: confirm_place(&format!("{place}?done=confirmed")),
        teams: teams.iter().map(|team| (format!("team:{}", team.id), team.name.clone())).collect(),
        actions: giving.actions.iter().map(|action| (action.as_str().to_owned(), false)).collect(),
        typed: Typed { uses: "1".into(), hours: "24".into(), ..Typed::default() },
        errors: Errors::default(),
        place,
        frame,
    })
}

impl SharesPage {
    /// Puts what is wrong beside its field; above everything, if the page has no such form now.
    fn say(&mut self, errors: Errors) {
        let mut homeless: Vec<(&str, &str)> = Vec::new();
        if self.teams.is_empty() || !self.refused.is_empty() {
            homeless.extend([("team", "row"), ("team_relation", "row"), ("team_until", "row")]);
        }
        if self.heirs.is_empty() {
            homeless.push(("heir", "row"));
        }
        self.errors = errors.renamed(&homeless);
    }
}

/// Why nothing can be given, in words.
fn refusal(giving: &Giving) -> &'static str {
    match giving.refused {
        None => "",
        Some(access::code::NO_RELATION) => "cannot-give-relation",
        Some(access::code::NO_GRANT) => "cannot-give-grant",
        Some(access::code::MFA_REQUIRED | access::code::RISK) => "cannot-give-factor",
        Some(_) => "cannot-give-now",
    }
}

/// The date of a time, as a date field has it.
fn day(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_rfc3339().chars().take(10).collect()).unwrap_or_default()
}

/// The end of a day, or nothing. The day on which something ends already means that very end.
fn until(text: &str, was: &str) -> Result<Option<Timestamp>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let was = Timestamp::parse_rfc3339(was);
    if was.is_some() && day(was) == text {
        return Ok(was);
    }
    match Timestamp::parse_rfc3339(&format!("{text}T23:59:59Z")) {
        Some(end) => Ok(Some(end)),
        None => Err("Write a date such as 2027-01-31."),
    }
}

/// One of the two relations that are given.
fn relation(text: &str) -> Result<Relation, &'static str> {
    match text.parse() {
        Ok(relation @ (Relation::Shared | Relation::Collaborator)) => Ok(relation),
        _ => Err("Choose what they shall be."),
    }
}

/// The page again, with what is wrong; or the way to the second factor.
async fn refused(
    console: &Console,
    visit: &Visit,
    resource: &ResourceRef,
    error: AccessError,
    names: &[(&str, &str)],
    typed: Typed,
) -> Result<Response, Failure> {
    if let AccessError::Denied(decision) = &error
        && matches!(decision.code, access::code::MFA_REQUIRED | access::code::RISK)
    {
        record_denied(console, visit, decision).await?;
        return Ok(confirm(&format!("{}?done=confirmed", place(resource))));
    }
    let mut errors = Errors::default();
    let (notice, problem) = told(console, visit, error, &mut errors).await?;
    let mut page = page(console, visit, resource, None).await?;
    page.say(errors.renamed(names));
    page.typed = typed;
    if notice.is_some() {
        page.frame.notice = notice;
    }
    Ok(render_again(visit, problem.as_ref(), &page))
}

async fn wrong(
    console: &Console,
    visit: &Visit,
    resource: &ResourceRef,
    errors: Errors,
    typed: Typed,
) -> Result<Response, Failure> {
    let mut page = page(console, visit, resource, None).await?;
    page.say(errors);
    page.typed = typed;
    Ok(render_again(visit, None, &page))
}

/// POST /account/sharing/{type}/{id}/offer
pub(crate) async fn offer(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let visit = &form.visit;
    let who = form.text("who");
    let mut errors = Errors::default();
    let wanted = relation(form.text("relation")).map_err(|reason| errors.add("relation", reason)).ok();
    let end = until(form.text("until"), "").map_err(|reason| errors.add("until", reason)).ok();
    let named =
        if who.contains('@') { who.parse::<base::Email>().is_ok() } else { who.parse::<Username>().is_ok() };
    if !named {
        errors.add("who", "Write a username or an e-mail address.");
    }
    let typed = Typed {
        who: who.to_owned(),
        relation: form.text("relation").to_owned(),
        until: form.text("until").to_owned(),
        uses: "1".into(),
        hours: "24".into(),
        ..Typed::default()
    };
    let (Some(relation), Some(until), true) = (wanted, end, named) else {
        return wrong(&console, visit, &resource, errors, typed).await;
    };
    // Only who is there is written to, which must not show in the time either: whatever the answer is, it comes evenly.
    console.identity.evenly(make_offer(&console, visit, &resource, (who, relation, until), typed)).await
}

/// Makes the offer, with the letter to whoever is meant.
async fn make_offer(
    console: &Console,
    visit: &Visit,
    resource: &ResourceRef,
    (name, relation, until): (&str, Relation, Option<Timestamp>),
    typed: Typed,
) -> Result<Response, Failure> {
    let receiver = console.identity.receiver(name).await?;
    let wish = Offer { name, receiver, relation, until };
    let begun = console.relations.offer(&asker(visit), resource, &wish).await;
    let mut offering = match begun {
        Ok(offering) => offering,
        Err(error) => {
            let names = [("name", "who"), ("expires_at", "until")];
            return refused(console, visit, resource, error, &names, typed).await;
        }
    };
    if let (Some(receiver), Some(by)) = (offering.receiver, visit.caller.account()) {
        let (by, until, what) = (by.account, offering.until, resource.to_string());
        let notice = OfferNotice { by, receiver, resource: &what, until };
        console.identity.tell_offer(offering.tx(), &notice).await?;
    }
    let done = console.relations.finish_offer(offering).await;
    settle(console, visit, done).await?;
    Ok(go(&format!("{}?done=offered", place(resource))))
}

/// POST /account/sharing/{type}/{id}/share: with a team, or otherwise with somebody who has access.
pub(crate) async fn share(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let visit = &form.visit;
    let to = subject(form.text("subject"))?;
    let new = form.text("new") == "team";
    let mut errors = Errors::default();
    let (relation_field, until_field) = if new { ("team_relation", "team_until") } else { ("row", "row") };
    let wanted = relation(form.text("relation")).map_err(|reason| errors.add(relation_field, reason)).ok();
    let end =
        until(form.text("until"), form.text("was")).map_err(|reason| errors.add(until_field, reason)).ok();
    let mut typed = Typed { uses: "1".into(), hours: "24".into(), ..Typed::default() };
    if new {
        form.text("subject").clone_into(&mut typed.team);
        form.text("relation").clone_into(&mut typed.team_relation);
        form.text("until").clone_into(&mut typed.team_until);
    }
    let (Some(relation), Some(until)) = (wanted, end) else {
        return wrong(&console, visit, &resource, errors, typed).await;
    };
    match console.relations.share(&asker(visit), &resource, to, relation, until).await {
        Ok(_) => {
            let done = if new { "shared" } else { "changed" };
            Ok(go(&format!("{}?done={done}", place(&resource))))
        }
        Err(error) => {
            let names = if new {
                [("subject", "team"), ("expires_at", "team_until")]
            } else {
                [("subject", "row"), ("expires_at", "row")]
            };
            refused(&console, visit, &resource, error, &names, typed).await
        }
    }
}

/// POST /account/sharing/{type}/{id}/revoke
pub(crate) async fn revoke(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let from = subject(form.text("subject"))?;
    let asker = asker(&form.visit);
    let done = console.relations.unshare(&asker, &resource, from).await;
    settle(&console, &form.visit, done).await?;
    // Who leaves something does not see its page any more.
    let left = asker.subject.account.is_some_and(|me| from == Share::Account(me));
    let page = if left { "/account/sharing".to_owned() } else { place(&resource) };
    Ok(go(&format!("{page}?done=unshared")))
}

/// POST /account/sharing/{type}/{id}/withdraw
pub(crate) async fn withdraw(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let offer = form.text("offer").parse().map_err(|_| Failure::not_found())?;
    let done = console.relations.end_offer(&asker(&form.visit), offer).await;
    settle(&console, &form.visit, done).await?;
    Ok(go(&format!("{}?done=withdrawn", place(&ResourceRef { kind, id }))))
}

/// POST /account/sharing/{type}/{id}/links
pub(crate) async fn make_link(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let visit = &form.visit;
    let asker = asker(visit);
    let giving = settle(&console, visit, console.relations.giving(&asker, &resource).await).await?;
    let chosen = |name: &str| form.text(&format!("may {name}")) == "yes";
    let permissions: Vec<_> =
        giving.actions.iter().filter(|action| chosen(action.as_str())).cloned().collect();
    let mut errors = Errors::default();
    if permissions.is_empty() && giving.refused.is_none() {
        errors.add("permissions", "Choose at least one.");
    }
    let uses = form.text("uses").parse::<u32>().ok().filter(|uses| (1..=100).contains(uses));
    if uses.is_none() {
        errors.add("uses", "Write a number from 1 to 100.");
    }
    let hours = form.text("hours").parse::<i64>().ok().filter(|hours| (1..=8_760).contains(hours));
    if hours.is_none() {
        errors.add("hours", "Write a number of hours, such as 24.");
    }
    let typed = Typed {
        uses: form.text("uses").to_owned(),
        hours: form.text("hours").to_owned(),
        ..Typed::default()
    };
    let (Some(uses), Some(hours), true) = (uses, hours, errors.is_empty()) else {
        let mut page = page(&console, visit, &resource, None).await?;
        for (name, ticked) in &mut page.actions {
            *ticked = chosen(name);
        }
        (page.errors, page.typed) = (errors, typed);
        return Ok(render_again(visit, None, &page));
    };
    let expires_at = console.clock.now().plus_ms(hours * HOUR_MS);
    let wanted = Invitation { permissions, uses, expires_at: Some(expires_at) };
    match console.relations.invite(&asker, &resource, &wanted).await {
        Ok(issued) => {
            let page = LinkPage {
                frame: visit.frame(&console, "sharing"),
                // A token is made of letters that stand in addresses as they are.
                link: format!("{}?token={}", console.identity.page_address("join"), issued.token.expose()),
                expires_at: issued.expires_at.to_rfc3339(),
                place: place(&resource),
            };
            Ok(render(visit, StatusCode::OK, &page))
        }
        Err(error) => refused(&console, visit, &resource, error, &[("expires_at", "hours")], typed).await,
    }
}

/// POST /account/sharing/{type}/{id}/links/revoke
pub(crate) async fn revoke_link(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let link = form.text("link").parse().map_err(|_| Failure::not_found())?;
    let done = console.relations.revoke_invitation(&asker(&form.visit), link).await;
    settle(&console, &form.visit, done).await?;
    Ok(go(&format!("{}?done=link-revoked", place(&ResourceRef { kind, id }))))
}

/// POST /account/sharing/{type}/{id}/transfer: to somebody who has access, so that nobody has to be looked for by name.
pub(crate) async fn transfer(
    State(console): State<Console>,
    Path((kind, id)): Path<(String, String)>,
    form: Submitted,
) -> Result<Response, Failure> {
    let resource = ResourceRef { kind, id };
    let visit = &form.visit;
    let typed = Typed { uses: "1".into(), hours: "24".into(), ..Typed::default() };
    let Ok(heir) = form.text("heir").parse::<Id<kind::Account>>() else {
        let mut errors = Errors::default();
        errors.add("heir", "Choose who shall own it.");
        return wrong(&console, visit, &resource, errors, typed).await;
    };
    match console.identity.must_be_fresh(visit.account()?).await {
        Ok(()) => {}
        Err(Error::ReauthenticationRequired { .. }) => {
            return Ok(confirm(&format!("{}?done=confirmed", place(&resource))));
        }
        Err(error) => return Err(error.into()),
    }
    let keep = form.text("keep") == "yes";
    match console.relations.transfer(&asker(visit), &resource, heir, keep).await {
        Ok(_) if keep => Ok(go(&format!("{}?done=transferred", place(&resource)))),
        Ok(_) => Ok(go("/account/sharing?done=transferred")),
        Err(error) => refused(&console, visit, &resource, error, &[("to", "heir")], typed).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_means_its_whole_day_and_the_day_of_an_end_that_end() {
        let end = |text| Timestamp::parse_rfc3339(text);
        assert_eq!(until("", "2027-01-31T10:00:00Z"), Ok(None));
        assert_eq!(until("2027-01-31", ""), Ok(end("2027-01-31T23:59:59Z")));
        assert_eq!(until("2027-01-31", "2027-01-31T10:00:00Z"), Ok(end("2027-01-31T10:00:00Z")));
        assert_eq!(until("2027-02-01", "2027-01-31T10:00:00Z"), Ok(end("2027-02-01T23:59:59Z")));
        for text in ["tomorrow", "2027-02-30", "2027-1-1", "2027-01-31T10:00", "'; --"] {
            assert!(until(text, "").is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_two_relations_that_are_given_can_be_chosen() {
        assert_eq!(relation("shared"), Ok(Relation::Shared));
        assert_eq!(relation("collaborator"), Ok(Relation::Collaborator));
        for text in ["owner", "token", "public", "break_glass", "king", ""] {
            assert!(relation(text).is_err(), "{text}");
        }
    }
}
