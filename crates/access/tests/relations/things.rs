use access::{Registration, Relation, Role, Share, Tier, code};

use crate::house::{HOUR, House, MINUTE, fault, playlist, project, track};

fn part_of(parent: &access::ResourceRef) -> Registration {
    Registration { parent: Some(parent.clone()), ..Registration::default() }
}

#[tokio::test]
async fn what_is_part_of_a_shared_thing_is_shared_two_deep() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let (album, song, take) = (project("album"), project("song"), track("take"));
        house.own(&ada, &album).await;
        house.relations.register(&ada.asker, &song, &part_of(&album)).await.unwrap();
        house.relations.register(&ada.asker, &take, &part_of(&song)).await.unwrap();
        let deeper = house.relations.register(&ada.asker, &track("deep"), &part_of(&project("x"))).await;
        assert_eq!(fault(deeper), "invalid parent");
        let fourth = house.relations.register(&ada.asker, &track("deep"), &part_of(&take)).await;
        assert_eq!(fault(fourth), "invalid parent");
        house.relations.share(&ada.asker, &album, bob.share(), Relation::Shared, None).await.unwrap();
        assert!(house.may(&bob, "track:read", &take).await);
        house.relations.unshare(&ada.asker, &album, bob.share()).await.unwrap();
        assert!(!house.may(&bob, "track:read", &take).await);
        // In circles.
        let circle = house.relations.register(&ada.asker, &album, &part_of(&take)).await;
        assert_eq!(fault(circle), "invalid parent");
        let itself = house.relations.register(&ada.asker, &album, &part_of(&album)).await;
        assert_eq!(fault(itself), "invalid parent");
        // A stack of two cannot go under a third.
        let top = project("top");
        house.own(&ada, &top).await;
        assert_eq!(
            fault(house.relations.register(&ada.asker, &album, &part_of(&top)).await),
            "invalid parent"
        );
        // Nobody puts things into what they do not work on.
        let into = house.relations.register(&bob.asker, &track("spam"), &part_of(&album)).await;
        assert_eq!(fault(into), "invalid parent");
        house.collaborate(&ada, &album, &bob).await;
        house.relations.register(&bob.asker, &track("solo"), &part_of(&album)).await.unwrap();
        // Whoever owns the whole works on the part, but does not own it.
        let facts = house.relations.facts(ada.subject(), &track("solo")).await.unwrap();
        assert_eq!(facts.relations().collect::<Vec<_>>(), [Relation::Collaborator]);
    }
}

#[tokio::test]
async fn teams_are_two_deep_and_what_they_have_their_members_have() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let (band, _) = house.relations.make_team(&ada.asker, "Band").await.unwrap();
        let (horns, _) = house.relations.make_team(&ada.asker, "Horns").await.unwrap();
        let (third, _) = house.relations.make_team(&ada.asker, "Third").await.unwrap();
        let join = async |team, member| house.relations.join_team(&ada.asker, team, member).await;
        let before = join(band, bob.share()).await.unwrap();
        assert_eq!(join(band, bob.share()).await.unwrap(), before, "twice is once");
        join(band, Share::Team(horns)).await.unwrap();
        join(horns, eve.share()).await.unwrap();
        assert_eq!(fault(join(horns, Share::Team(band)).await), "invalid member", "a circle");
        assert_eq!(fault(join(band, Share::Team(band)).await), "invalid member", "itself");
        assert_eq!(fault(join(horns, Share::Team(third)).await), "invalid member", "three deep from below");
        assert_eq!(fault(join(third, Share::Team(band)).await), "invalid member", "three deep from above");
        let foreign = house.relations.join_team(&bob.asker, band, eve.share()).await;
        assert_eq!(fault(foreign), "not-found", "who is in it does not keep it");

        let song = project("song");
        house.own(&ada, &song).await;
        let to = Share::Team(band);
        house.relations.share(&ada.asker, &song, to, Relation::Collaborator, None).await.unwrap();
        assert!(house.may(&bob, "project:update", &song).await);
        assert!(house.may(&eve, "project:update", &song).await, "through the team in the team");
        // What one has through a team cannot be passed on.
        let other = house.artist().await;
        let passed =
            house.relations.share(&bob.asker, &song, other.share(), Relation::Collaborator, None).await;
        assert_eq!(fault(passed), "denied no-relation");
        house.relations.leave_team(&eve.asker, horns, eve.share()).await.unwrap();
        assert!(!house.may(&eve, "project:update", &song).await);
        assert_eq!(house.relations.members(&bob.asker, band, None).await.unwrap().0.len(), 2);
        assert_eq!(fault(house.relations.members(&eve.asker, band, None).await), "not-found");
        house.relations.remove_team(&ada.asker, band).await.unwrap();
        assert!(!house.may(&bob, "project:update", &song).await);
        assert_eq!(house.relations.teams(&ada.asker).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_transfer_moves_the_object_with_its_shares() {
    for house in House::all().await {
        let (ada, bob, eve, guest) =
            (house.artist().await, house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &bob).await;
        house.collaborate(&bob, &song, &eve).await;
        house.collaborate(&ada, &song, &guest).await;
        assert_eq!(
            fault(house.relations.transfer(&bob.asker, &song, bob.id(), false).await),
            "denied no-relation"
        );
        house.relations.transfer(&ada.asker, &song, bob.id(), true).await.unwrap();
        assert!(house.may(&bob, "project:delete", &song).await);
        assert!(!house.may(&ada, "project:delete", &song).await);
        assert!(house.may(&ada, "project:update", &song).await, "kept as a collaborator");
        assert!(house.may(&guest, "project:update", &song).await);
        assert!(
            house.may(&eve, "project:update", &song).await,
            "what hung on the new owner is now theirs to take"
        );
        house.relations.unshare(&bob.asker, &song, ada.share()).await.unwrap();
        assert!(!house.may(&ada, "project:read", &song).await);
        assert!(house.may(&guest, "project:update", &song).await);
        house.relations.transfer(&bob.asker, &song, guest.id(), false).await.unwrap();
        assert!(!house.may(&bob, "project:read", &song).await, "nothing is kept unasked");
        assert!(house.events(&guest).await.contains(&"access.transferred".to_owned()));
    }
}

#[tokio::test]
async fn what_is_given_away_leaves_what_it_was_part_of() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let (album, theirs) = (project("album"), project("theirs"));
        house.own(&ada, &album).await;
        house.own(&bob, &theirs).await;
        house.collaborate(&bob, &theirs, &ada).await;
        let part_of = |whole: &access::ResourceRef| Registration {
            parent: Some(whole.clone()),
            ..Registration::default()
        };
        for (name, whole) in [("tune", &album), ("riff", &theirs)] {
            house.relations.register(&ada.asker, &track(name), &part_of(whole)).await.unwrap();
        }
        house.relations.share(&ada.asker, &album, eve.share(), Relation::Shared, None).await.unwrap();
        assert!(house.may(&eve, "track:read", &track("tune")).await);
        for name in ["tune", "riff"] {
            house.relations.transfer(&ada.asker, &track(name), bob.id(), false).await.unwrap();
            assert!(house.may(&bob, "track:read", &track(name)).await);
        }
        // Her album would have kept it for her, and for those whom she shows her album.
        assert!(!house.may(&ada, "track:read", &track("tune")).await, "nothing is kept unasked");
        assert!(!house.may(&eve, "track:read", &track("tune")).await);
        let view = house.relations.object(&bob.asker, &track("tune")).await.unwrap();
        assert_eq!(view.parent, None);
        // What lies in the new owner's own project stays there, and with it those who work on that.
        let view = house.relations.object(&bob.asker, &track("riff")).await.unwrap();
        assert_eq!(view.parent, Some(theirs));
        assert!(house.may(&ada, "track:read", &track("riff")).await);
    }
}

#[tokio::test]
async fn glass_breaks_with_the_role_of_whoever_opened_it() {
    for house in House::all().await {
        let ada = house.artist().await;
        let mut admin = house.person(Role::Admin, Tier::Studio).await;
        let list = playlist("diary");
        house.own(&ada, &list).await;
        let opened =
            house.relations.break_glass(&admin.asker, &list, "a court order, case 9", HOUR).await.unwrap();
        house.relations.finish_glass(opened).await.unwrap();
        assert!(house.may(&admin, "playlist:read", &list).await);
        // Still a premium user, who may read playlists; but no administrator any more.
        admin.asker.subject.role = Some(Role::PremiumUser);
        assert!(!house.may(&admin, "playlist:read", &list).await);
        let read = house.relations.access().action("playlist:read").unwrap();
        let page = house.relations.list_objects(admin.subject(), &read, "playlist", None, 10).await.unwrap();
        assert_eq!(page.objects, []);
    }
}

#[tokio::test]
async fn administrators_see_private_work_only_through_glass() {
    for house in House::all().await {
        let ada = house.artist().await;
        let admin = house.person(Role::Admin, Tier::Free).await;
        let mighty = house.person(Role::SuperAdmin, Tier::Studio).await;
        let moderator = house.person(Role::Moderator, Tier::Free).await;
        let list = playlist("diary");
        house.own(&ada, &list).await;
        for who in [&admin, &mighty, &moderator] {
            assert!(!house.may(who, "playlist:read", &list).await);
            assert!(!house.may(who, "playlist:write", &list).await);
            assert!(!house.may(who, "playlist:share", &list).await);
        }
        assert!(
            house.may(&admin, "playlist:delete", &list).await,
            "ownership does not bind them in taking it down"
        );
        let open = async |by: &crate::house::Person, reason: &str, ms| {
            house.relations.break_glass(&by.asker, &list, reason, ms).await.map(drop)
        };
        assert_eq!(fault(open(&moderator, "because I want to", HOUR).await), "denied no-grant");
        assert_eq!(fault(open(&admin, "why not", HOUR).await), "invalid reason");
        assert_eq!(fault(open(&admin, "a court order, case 7", 5 * HOUR).await), "invalid minutes");
        // Not finished: nothing is in force.
        open(&admin, "a court order, case 7", HOUR).await.unwrap();
        assert!(!house.may(&admin, "playlist:read", &list).await);
        let opened =
            house.relations.break_glass(&admin.asker, &list, "a court order, case 7", HOUR).await.unwrap();
        assert_eq!(opened.glass.owner, ada.id());
        let (glass, _) = house.relations.finish_glass(opened).await.unwrap();
        let decision = house.decide(&admin, "playlist:read", &list).await;
        assert_eq!((decision.allowed, decision.expires_at), (true, Some(glass.expires_at)));
        assert_eq!(decision.relations, [Relation::BreakGlass]);
        assert!(!house.may(&admin, "playlist:write", &list).await, "looking is not touching");
        assert!(!house.may(&mighty, "playlist:read", &list).await, "it is one person's");
        assert_eq!(house.relations.open_glasses(&mighty.asker).await.unwrap().len(), 1);
        assert!(house.events(&ada).await.contains(&"access.break_glass_opened".to_owned()));
        house.relations.close_glass(&mighty.asker, glass.id).await.unwrap();
        assert!(!house.may(&admin, "playlist:read", &list).await);
        assert_eq!(fault(house.relations.close_glass(&mighty.asker, glass.id).await), "not-found");
        let opened =
            house.relations.break_glass(&admin.asker, &list, "a court order, case 8", MINUTE).await.unwrap();
        house.relations.finish_glass(opened).await.unwrap();
        house.clock.advance_ms(MINUTE);
        assert_eq!(house.decide(&admin, "playlist:read", &list).await.code, code::LAPSED);
        house.clock.advance_ms(40 * 24 * HOUR);
        assert_eq!(house.relations.sweep().await.unwrap(), 2);
    }
}
