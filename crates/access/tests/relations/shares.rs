use access::{Hold, Registration, Relation, Role, Tier, code};

use crate::house::{HOUR, House, fault, playlist, project, track};

#[tokio::test]
async fn a_playlist_is_read_by_owner_public_and_shared_written_by_collaborators_deleted_by_its_owner() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let admin = house.person(Role::Moderator, Tier::Studio).await;
        let list = playlist("7");
        let decision = house.decide(&ada, "playlist:read", &list).await;
        assert_eq!((decision.allowed, decision.visible, decision.code), (false, false, code::NO_RELATION));
        let first = house.own(&ada, &list).await;
        assert!(house.may(&ada, "playlist:write", &list).await);
        assert!(!house.may(&bob, "playlist:read", &list).await);
        let shared =
            house.relations.share(&ada.asker, &list, bob.share(), Relation::Shared, None).await.unwrap();
        assert!(shared > first, "every change has a later revision");
        let decision = house.decide(&bob, "playlist:read", &list).await;
        assert_eq!((decision.allowed, decision.rule.as_deref()), (true, Some("role.premium_user")));
        assert_eq!(decision.relations, [Relation::Shared]);
        assert!(decision.revision >= shared);
        let denied = house.decide(&bob, "playlist:write", &list).await;
        assert_eq!((denied.allowed, denied.visible), (false, true), "they know it exists");
        house.collaborate(&ada, &list, &bob).await;
        assert!(house.may(&bob, "playlist:write", &list).await);
        assert!(!house.may(&bob, "playlist:delete", &list).await);
        assert!(!house.may(&eve, "playlist:read", &list).await);
        assert!(!house.may(&admin, "playlist:delete", &list).await, "a moderator is bound by ownership");
        let public = Registration { public: true, ..Registration::default() };
        house.relations.register(&ada.asker, &list, &public).await.unwrap();
        assert!(house.may(&eve, "playlist:read", &list).await);
        assert!(!house.may(&eve, "playlist:write", &list).await);
        house.relations.unshare(&ada.asker, &list, bob.share()).await.unwrap();
        assert!(!house.may(&bob, "playlist:write", &list).await);
        house.relations.forget_object(&ada.asker, &list).await.unwrap();
        assert!(!house.may(&ada, "playlist:read", &list).await);
        let events = house.events(&ada).await;
        for kind in
            ["access.registered", "access.granted", "access.changed", "access.revoked", "access.forgotten"]
        {
            assert!(events.iter().any(|event| event == kind), "{kind} in {events:?}");
        }
    }
}

#[tokio::test]
async fn what_an_inviter_gave_goes_with_the_inviter_along_the_whole_chain() {
    for house in House::all().await {
        let ada = house.artist().await;
        let chain = [house.artist().await, house.artist().await, house.artist().await];
        let beside = house.artist().await;
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &chain[0]).await;
        house.collaborate(&chain[0], &song, &chain[1]).await;
        house.collaborate(&chain[1], &song, &chain[2]).await;
        house.collaborate(&ada, &song, &beside).await;
        assert!(house.may(&chain[2], "project:update", &song).await);
        house.relations.unshare(&ada.asker, &song, chain[0].share()).await.unwrap();
        for one in &chain {
            assert!(!house.may(one, "project:read", &song).await);
        }
        assert!(house.may(&beside, "project:update", &song).await);
        // A collaborator who becomes a listener cannot have invited anybody.
        house.collaborate(&beside, &song, &chain[0]).await;
        house.relations.share(&ada.asker, &song, beside.share(), Relation::Shared, None).await.unwrap();
        assert!(!house.may(&chain[0], "project:read", &song).await);
        assert!(house.may(&beside, "project:read", &song).await);
        // An account that is deleted takes along what it gave.
        house.collaborate(&ada, &song, &chain[1]).await;
        house.collaborate(&chain[1], &song, &chain[2]).await;
        house.drop_account(&chain[1]).await;
        let facts = house.relations.facts(chain[2].subject(), &song).await.unwrap();
        assert!(!facts.is_known());
    }
}

#[tokio::test]
async fn nobody_gives_longer_than_they_have() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let give = |by: &crate::house::Person, to: &crate::house::Person, until| {
            let (relations, by, to, song) =
                (house.relations.clone(), by.asker.clone(), to.share(), song.clone());
            async move { relations.share(&by, &song, to, Relation::Collaborator, until).await }
        };
        give(&ada, &bob, house.later(HOUR)).await.unwrap();
        assert_eq!(fault(give(&bob, &eve, house.later(2 * HOUR)).await), "invalid expires_at");
        give(&bob, &eve, None).await.unwrap();
        let facts = house.relations.facts(eve.subject(), &song).await.unwrap();
        assert_eq!(
            facts.hold(Relation::Collaborator),
            Hold::until(house.later(HOUR)),
            "as long as they have it"
        );
        // Less for one is less for the other.
        give(&ada, &bob, house.later(HOUR / 2)).await.unwrap();
        let decision = house.decide(&eve, "project:update", &song).await;
        assert_eq!((decision.allowed, decision.expires_at), (true, house.later(HOUR / 2)));
        house.clock.advance_ms(HOUR / 2);
        let decision = house.decide(&eve, "project:update", &song).await;
        assert_eq!((decision.code, decision.visible), (code::LAPSED, false));
        // A clock that steps back does not bring back what has ended, in no decision and no list.
        house.clock.advance_ms(-1);
        assert!(!house.may(&eve, "project:update", &song).await);
        house.clock.advance_ms(-HOUR / 4);
        assert!(!house.may(&bob, "project:update", &song).await);
        let update = house.relations.access().action("project:update").unwrap();
        let list = house.relations.list_objects(eve.subject(), &update, "project", None, 10).await.unwrap();
        assert_eq!(list.objects, []);
        assert_eq!(house.relations.shares(&ada.asker, &song, None).await.unwrap().0.len(), 0);
        // It was wrong by more than an hour: then the row is the truth, and it says half an hour.
        house.clock.advance_ms(-2 * HOUR);
        assert!(house.may(&eve, "project:update", &song).await);
    }
}

#[tokio::test]
async fn only_who_has_it_themselves_and_may_share_shares() {
    for house in House::all().await {
        let ada = house.artist().await;
        let (poor, bob, eve) =
            (house.person(Role::User, Tier::Free).await, house.artist().await, house.artist().await);
        let (song, list) = (project("song"), playlist("list"));
        house.own(&poor, &list).await;
        let share =
            |by: &crate::house::Person, what: &access::ResourceRef, to: &crate::house::Person, relation| {
                let (relations, by, to, what) =
                    (house.relations.clone(), by.asker.clone(), to.share(), what.clone());
                async move { relations.share(&by, &what, to, relation, None).await }
            };
        assert_eq!(fault(share(&poor, &list, &bob, Relation::Shared).await), "denied no-grant");
        house.own(&ada, &song).await;
        assert_eq!(fault(share(&bob, &song, &eve, Relation::Shared).await), "not-found");
        share(&ada, &song, &bob, Relation::Shared).await.unwrap();
        assert_eq!(fault(share(&bob, &song, &eve, Relation::Shared).await), "denied no-relation");
        house.collaborate(&ada, &song, &bob).await;
        // A collaborator invites collaborators; showing a project around is its owner's.
        assert_eq!(fault(share(&bob, &song, &eve, Relation::Shared).await), "denied no-relation");
        share(&bob, &song, &eve, Relation::Collaborator).await.unwrap();
        let other = house.artist().await;
        house.collaborate(&ada, &song, &other).await;
        assert_eq!(fault(share(&other, &song, &eve, Relation::Collaborator).await), "conflict");
        assert_eq!(
            fault(house.relations.unshare(&other.asker, &song, eve.share()).await),
            "denied no-relation"
        );
        house.relations.unshare(&bob.asker, &song, eve.share()).await.unwrap();
        house.relations.unshare(&other.asker, &song, other.share()).await.unwrap();
        assert!(!house.may(&other, "project:read", &song).await, "one may leave");
        // A track has no action for sharing: owning it is enough.
        let tune = track("tune");
        house.own(&ada, &tune).await;
        share(&ada, &tune, &eve, Relation::Shared).await.unwrap();
        assert!(house.may(&eve, "track:read", &tune).await);
    }
}

#[tokio::test]
async fn the_list_of_shares_is_for_who_works_on_it() {
    for house in House::all().await {
        let (ada, bob, eve, stranger) =
            (house.artist().await, house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &bob).await;
        house
            .relations
            .share(&ada.asker, &song, eve.share(), Relation::Shared, house.later(HOUR))
            .await
            .unwrap();
        let shares = async |who: &crate::house::Person| house.relations.shares(&who.asker, &song, None).await;
        assert_eq!(shares(&ada).await.unwrap().0.len(), 2);
        assert_eq!(shares(&bob).await.unwrap().0.len(), 2);
        let own = shares(&eve).await.unwrap().0;
        assert_eq!((own.len(), own[0].to, own[0].granted_by), (1, eve.share(), Some(ada.id())));
        assert_eq!(fault(shares(&stranger).await), "not-found");
        house.clock.advance_ms(HOUR);
        assert_eq!(shares(&ada).await.unwrap().0.len(), 1, "what ended is not shown");
        assert_eq!(house.relations.object(&bob.asker, &song).await.unwrap().owner, ada.id());
        assert_eq!(fault(house.relations.object(&stranger.asker, &song).await), "not-found");
    }
}
