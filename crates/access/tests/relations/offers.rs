//! Offers: nothing is anybody's before they accept, and then never more than who offered can still give.

use access::{AccessError, Offer, Relation, RelationSettings, Revision, Role, Tier};
use base::{Id, kind};

use crate::house::{House, Person, fault, playlist, project};

const DAY: i64 = 24 * 3_600_000;

fn to<'a>(name: &'a str, receiver: Option<&Person>) -> Offer<'a> {
    Offer { name, receiver: receiver.map(Person::id), relation: Relation::Shared, until: None }
}

/// What a collaborator can offer: showing a project around is its owner's.
fn joining<'a>(name: &'a str, receiver: Option<&Person>) -> Offer<'a> {
    Offer { relation: Relation::Collaborator, ..to(name, receiver) }
}

async fn make(house: &House, by: &Person, wish: &Offer<'_>) -> Result<Revision, AccessError> {
    // So that each is newer than the one before.
    house.clock.advance_ms(1);
    let offering = house.relations.offer(&by.asker, &project("song"), wish).await?;
    house.relations.finish_offer(offering).await
}

/// The one offer to somebody.
async fn only(house: &House, to: &Person) -> Id<kind::Offer> {
    let offered = house.relations.offered(&to.asker).await.unwrap();
    assert_eq!(offered.len(), 1, "{offered:?}");
    offered[0].id
}

#[tokio::test]
async fn an_offer_gives_nothing_until_it_is_accepted() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let until = house.later(DAY);
        let wish = Offer { until, ..to("Bob", Some(&bob)) };
        make(&house, &ada, &wish).await.unwrap();
        assert!(!house.may(&bob, "project:read", &song).await);
        // Nobody else can take or see it, not even who made it.
        let id = only(&house, &bob).await;
        for other in [&ada, &eve] {
            assert_eq!(fault(house.relations.accept_offer(&other.asker, id).await), "not-found");
            assert!(house.relations.offered(&other.asker).await.unwrap().is_empty());
        }
        assert_eq!(fault(house.relations.offers(&eve.asker, &song).await), "not-found");
        assert_eq!(fault(house.relations.end_offer(&eve.asker, id).await), "not-found");
        let listed = house.relations.offers(&ada.asker, &song).await.unwrap();
        assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].until), (1, "Bob", until));

        let (what, _) = house.relations.accept_offer(&bob.asker, id).await.unwrap();
        assert_eq!(what, song);
        assert!(house.may(&bob, "project:read", &song).await);
        assert!(house.relations.offers(&ada.asker, &song).await.unwrap().is_empty());
        assert_eq!(fault(house.relations.accept_offer(&bob.asker, id).await), "not-found");
        let shares = house.relations.shares(&ada.asker, &song, None).await.unwrap().0;
        assert_eq!((shares[0].granted_by, shares[0].expires_at), (Some(ada.id()), until));
        house.clock.advance_ms(DAY);
        assert!(!house.may(&bob, "project:read", &song).await, "it outlived its date");
        assert!(house.events(&ada).await.contains(&"access.offered".to_owned()));
    }
}

#[tokio::test]
async fn who_is_meant_changes_nothing_of_what_is_seen() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        for (name, who) in [("bob", Some(&bob)), ("nobody", None), ("nobody@example.com", None)] {
            make(&house, &ada, &to(name, who)).await.unwrap();
        }
        // To the same name again: it takes the place of the one before, whoever is behind it.
        for (name, who) in [("BOB", Some(&bob)), ("Nobody", None)] {
            make(&house, &ada, &to(name, who)).await.unwrap();
        }
        let names =
            |offers: Vec<access::OfferView>| offers.into_iter().map(|one| one.name).collect::<Vec<_>>();
        let seen = house.relations.offers(&ada.asker, &song).await.unwrap();
        assert_eq!(names(seen), ["Nobody", "BOB", "nobody@example.com"]);
        // Who declines is not told on.
        let id = only(&house, &bob).await;
        house.relations.end_offer(&bob.asker, id).await.unwrap();
        assert!(house.relations.offered(&bob.asker).await.unwrap().is_empty());
        assert_eq!(fault(house.relations.accept_offer(&bob.asker, id).await), "not-found");
        assert_eq!(house.relations.offers(&ada.asker, &song).await.unwrap().len(), 3);
        // Withdrawn, it is gone for both.
        house.relations.end_offer(&ada.asker, id).await.unwrap();
        assert_eq!(house.relations.offers(&ada.asker, &song).await.unwrap().len(), 2);
        // A collaborator does not learn whose an address is: to the owner it goes nowhere.
        house.collaborate(&ada, &song, &bob).await;
        make(&house, &bob, &joining("ada@example.com", Some(&ada))).await.unwrap();
        assert!(house.relations.offered(&ada.asker).await.unwrap().is_empty());
        // They see their own offers only, the owner all.
        assert_eq!(house.relations.offers(&bob.asker, &song).await.unwrap().len(), 1);
        assert_eq!(house.relations.offers(&ada.asker, &song).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn accepting_gives_what_can_still_be_given() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let end = house.later(10 * DAY);
        house.relations.share(&ada.asker, &song, bob.share(), Relation::Collaborator, end).await.unwrap();
        // Until when: no longer than the giver has it, then and now.
        let longer = Offer { until: house.later(11 * DAY), ..joining("eve", Some(&eve)) };
        assert_eq!(fault(make(&house, &bob, &longer).await), "invalid expires_at");
        make(&house, &bob, &joining("eve", Some(&eve))).await.unwrap();
        let shorter = house.later(5 * DAY);
        house.relations.share(&ada.asker, &song, bob.share(), Relation::Collaborator, shorter).await.unwrap();
        house.relations.accept_offer(&eve.asker, only(&house, &eve).await).await.unwrap();
        let decision = house.decide(&eve, "project:read", &song).await;
        assert_eq!((decision.allowed, decision.expires_at), (true, shorter));
        // It hangs on who gave it.
        house.relations.unshare(&ada.asker, &song, bob.share()).await.unwrap();
        assert!(!house.may(&eve, "project:read", &song).await);

        // An offer of somebody who lost their right meanwhile is worth nothing.
        house.collaborate(&ada, &song, &bob).await;
        make(&house, &bob, &joining("eve", Some(&eve))).await.unwrap();
        let id = only(&house, &eve).await;
        house.relations.unshare(&ada.asker, &song, bob.share()).await.unwrap();
        assert_eq!(fault(house.relations.accept_offer(&eve.asker, id).await), "conflict");
        // Nor of somebody whose subscription or account ended.
        house.collaborate(&ada, &song, &bob).await;
        for (tier, status) in [(Tier::Free, "active"), (Tier::Studio, "disabled")] {
            house.set(&bob, Role::PremiumUser, tier, status).await;
            assert_eq!(
                fault(house.relations.accept_offer(&eve.asker, id).await),
                "conflict",
                "{tier} {status}"
            );
        }
        house.set(&bob, Role::PremiumUser, Tier::Studio, "active").await;
        // Nor to somebody who may not do anything now.
        house.set(&eve, Role::PremiumUser, Tier::Studio, "disabled").await;
        assert_eq!(fault(house.relations.accept_offer(&eve.asker, id).await), "invalid offer");
        house.set(&eve, Role::PremiumUser, Tier::Studio, "active").await;
        // It ends by itself after a month, and is swept away.
        house.clock.advance_ms(30 * DAY);
        assert_eq!(fault(house.relations.accept_offer(&eve.asker, id).await), "not-found");
        assert!(house.relations.offered(&eve.asker).await.unwrap().is_empty());
        house.clock.advance_ms(30 * DAY + 1);
        assert!(house.relations.sweep().await.unwrap() >= 1);
        assert_eq!(house.relations.sweep().await.unwrap(), 0);
    }
}

/// What somebody is offered.
async fn count(house: &House, to: &Person) -> usize {
    house.relations.offered(&to.asker).await.unwrap().len()
}

#[tokio::test]
async fn what_was_taken_does_not_come_back_with_an_older_offer() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &bob).await;
        // By name and by address, and by somebody else, too.
        make(&house, &ada, &to("eve", Some(&eve))).await.unwrap();
        make(&house, &ada, &joining("eve@example.com", Some(&eve))).await.unwrap();
        make(&house, &bob, &joining("eve", Some(&eve))).await.unwrap();
        let all = house.relations.offered(&eve.asker).await.unwrap();
        assert_eq!(all.len(), 3);
        // With one of them the others are answered. Who made them sees them as before.
        house.relations.accept_offer(&eve.asker, all[1].id).await.unwrap();
        assert_eq!(count(&house, &eve).await, 0);
        assert_eq!(house.relations.offers(&ada.asker, &song).await.unwrap().len(), 2);
        // One that comes later, while they have access, ends with that.
        make(&house, &ada, &to("eve", Some(&eve))).await.unwrap();
        let later = only(&house, &eve).await;
        let other = project("other");
        house.own(&ada, &other).await;
        house.clock.advance_ms(1);
        let wish = to("eve", Some(&eve));
        let offering = house.relations.offer(&ada.asker, &other, &wish).await.unwrap();
        house.relations.finish_offer(offering).await.unwrap();
        house.relations.unshare(&ada.asker, &song, eve.share()).await.unwrap();
        for offer in all.iter().map(|offer| offer.id).chain([later]) {
            assert_eq!(fault(house.relations.accept_offer(&eve.asker, offer).await), "not-found");
        }
        assert!(!house.may(&eve, "project:read", &song).await);
        // What is offered of something else, or to somebody else, stays.
        only(&house, &eve).await;
        // A new offer is a new decision.
        make(&house, &ada, &to("eve", Some(&eve))).await.unwrap();
        let again = house.relations.offered(&eve.asker).await.unwrap()[0].id;
        house.relations.accept_offer(&eve.asker, again).await.unwrap();
        assert!(house.may(&eve, "project:read", &song).await);
    }
}

#[tokio::test]
async fn an_offer_of_what_somebody_has_is_used_up_when_it_is_accepted() {
    for house in House::all().await {
        let (ada, eve) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        house.relations.share(&ada.asker, &song, eve.share(), Relation::Shared, None).await.unwrap();
        make(&house, &ada, &to("eve", Some(&eve))).await.unwrap();
        let id = only(&house, &eve).await;
        house.relations.accept_offer(&eve.asker, id).await.unwrap();
        assert_eq!(count(&house, &eve).await, 0);
        assert_eq!(fault(house.relations.accept_offer(&eve.asker, id).await), "not-found");
        house.relations.unshare(&ada.asker, &song, eve.share()).await.unwrap();
        assert!(!house.may(&eve, "project:read", &song).await);
    }
}

#[tokio::test]
async fn who_was_made_less_does_not_become_more_with_an_older_offer() {
    for house in House::all().await {
        let (ada, eve) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &eve).await;
        make(&house, &ada, &joining("eve", Some(&eve))).await.unwrap();
        let id = only(&house, &eve).await;
        house.relations.share(&ada.asker, &song, eve.share(), Relation::Shared, None).await.unwrap();
        assert_eq!(fault(house.relations.accept_offer(&eve.asker, id).await), "not-found");
        // Nor does who owned it come back with what was offered to them before they did.
        make(&house, &ada, &joining("eve", Some(&eve))).await.unwrap();
        let id = only(&house, &eve).await;
        house.relations.transfer(&ada.asker, &song, eve.id(), false).await.unwrap();
        house.relations.transfer(&eve.asker, &song, ada.id(), false).await.unwrap();
        assert_eq!(fault(house.relations.accept_offer(&eve.asker, id).await), "not-found");
        assert!(!house.may(&eve, "project:read", &song).await);
    }
}

#[tokio::test]
async fn what_cannot_be_offered_is_refused_by_its_field() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let long = "x".repeat(256);
        for (wish, wrong) in [
            (to("", Some(&bob)), "invalid name"),
            (to(&long, None), "invalid name"),
            (to("a\nb", None), "invalid name"),
            (to("ada", Some(&ada)), "invalid name"),
            (Offer { relation: Relation::Owner, ..to("bob", Some(&bob)) }, "invalid relation"),
            (Offer { relation: Relation::Token, ..to("bob", Some(&bob)) }, "invalid relation"),
            (Offer { until: house.later(0), ..to("bob", Some(&bob)) }, "invalid expires_at"),
        ] {
            assert_eq!(fault(make(&house, &ada, &wish).await), wrong, "{wish:?}");
        }
        assert_eq!(fault(make(&house, &bob, &joining("ada", Some(&ada))).await), "not-found");
        house.relations.share(&ada.asker, &song, bob.share(), Relation::Shared, None).await.unwrap();
        assert_eq!(fault(make(&house, &bob, &joining("eve", None)).await), "denied no-relation");
        // Bounded, whoever is meant.
        for number in 0..100 {
            make(&house, &ada, &to(&format!("name{number}"), None)).await.unwrap();
        }
        assert_eq!(fault(make(&house, &ada, &to("one-more", None)).await), "conflict");
        make(&house, &ada, &to("name7", Some(&bob))).await.unwrap();
    }
}

#[tokio::test]
async fn what_can_be_given_is_what_giving_allows() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let free = house.person(Role::User, Tier::Free).await;
        let song = project("song");
        house.own(&ada, &song).await;
        let giving = house.relations.giving(&ada.asker, &song).await.unwrap();
        assert_eq!(giving.relations, [Relation::Shared, Relation::Collaborator]);
        assert!(giving.refused.is_none() && giving.until.is_none());
        let names: Vec<&str> = giving.actions.iter().map(access::Action::as_str).collect();
        assert!(names.contains(&"project:read") && !names.contains(&"project:delete"), "{names:?}");
        // Each of them can really be named in a token.
        let wish = access::Invitation { permissions: giving.actions, uses: 1, expires_at: None };
        house.relations.invite(&ada.asker, &song, &wish).await.unwrap();
        assert_eq!(fault(house.relations.giving(&bob.asker, &song).await), "not-found");
        house.relations.share(&ada.asker, &song, bob.share(), Relation::Shared, None).await.unwrap();
        let giving = house.relations.giving(&bob.asker, &song).await.unwrap();
        assert_eq!((giving.relations.len(), giving.refused), (0, Some("no-relation")));
        let own = project("sketch");
        house.own(&free, &own).await;
        let giving = house.relations.giving(&free.asker, &own).await.unwrap();
        assert_eq!((giving.relations.len(), giving.refused), (0, Some("no-grant")));
    }
}

#[tokio::test]
async fn nobody_registers_by_themselves_unless_it_is_said() {
    assert!(!RelationSettings::default().self_registration);
    for house in House::all().await {
        let strict = house.strict_node();
        let (ada, bob) = (house.artist().await, house.artist().await);
        let admin = house.person(Role::Admin, Tier::Free).await;
        let (mine, other) = (playlist("mine"), playlist("other"));
        let own = access::Registration::default();
        let not = |result: Result<_, AccessError>| matches!(result, Err(AccessError::NotRegistered));
        assert!(not(strict.register(&ada.asker, &mine, &own).await));
        // The service's word counts, an operator's, and an administrator's.
        strict.vouch(&ada.asker, &mine, &own).await.unwrap();
        let permit = access::Permit::for_system("test");
        assert!(strict.register_for(permit, bob.id(), &other, &own).await.unwrap().1);
        let for_bob = access::Registration { owner: Some(bob.id()), ..access::Registration::default() };
        assert!(strict.register(&admin.asker, &playlist("third"), &for_bob).await.unwrap().1);
        // What is somebody else's answers like what is nobody's.
        assert!(not(strict.register(&ada.asker, &other, &own).await));
        assert!(not(strict.register(&ada.asker, &playlist("never"), &own).await));
        let permit = access::Permit::for_system("test");
        assert_eq!(fault(strict.register_for(permit, ada.id(), &other, &own).await), "not-found");
        // One's own can be changed.
        assert!(!strict.register(&ada.asker, &mine, &own).await.unwrap().1);
        assert!(house.events(&bob).await.contains(&"access.registered".to_owned()));
    }
}
