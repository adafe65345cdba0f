use access::{Registration, Relation, ResourceRef, Revision, Role, Share, Tier};
use base::Id;

use crate::house::{House, fault, project};

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let pending = house.person_who_is(Role::User, Tier::Free, "pending").await;
        let disabled = house.person_who_is(Role::User, Tier::Free, "disabled").await;
        let song = project("song");
        house.own(&ada, &song).await;
        let before = house.relations.revision().await.unwrap();
        let share =
            async |to, relation, until| house.relations.share(&ada.asker, &song, to, relation, until).await;
        let nobody = Share::Account(Id::new(&house.clock, &house.entropy));
        for (to, relation, until, wanted) in [
            (ada.share(), Relation::Shared, None, "invalid subject"),
            (nobody, Relation::Shared, None, "invalid subject"),
            (pending.share(), Relation::Shared, None, "invalid subject"),
            (disabled.share(), Relation::Shared, None, "invalid subject"),
            (Share::Team(Id::new(&house.clock, &house.entropy)), Relation::Shared, None, "invalid subject"),
            (bob.share(), Relation::Owner, None, "invalid relation"),
            (bob.share(), Relation::Public, None, "invalid relation"),
            (bob.share(), Relation::Token, None, "invalid relation"),
            (bob.share(), Relation::BreakGlass, None, "invalid relation"),
            (bob.share(), Relation::Shared, house.later(0), "invalid expires_at"),
            (bob.share(), Relation::Shared, house.later(-1), "invalid expires_at"),
        ] {
            assert_eq!(fault(share(to, relation, until).await), wanted, "{to:?} {relation} {until:?}");
        }
        let register = async |kind: &str, id: &str, wanted: Registration| {
            let resource = ResourceRef { kind: kind.into(), id: id.into() };
            house.relations.register(&ada.asker, &resource, &wanted).await
        };
        let long = "x".repeat(257);
        for (kind, id) in [("trakc", "1"), ("platform", "1"), ("user", "1"), ("", "1"), ("Track", "1")] {
            assert_eq!(fault(register(kind, id, Registration::default()).await), "invalid type", "{kind}");
        }
        for id in ["", "a\nb", "\u{0}", &long] {
            assert_eq!(fault(register("track", id, Registration::default()).await), "invalid id", "{id:?}");
        }
        let for_bob = Registration { owner: Some(bob.id()), ..Registration::default() };
        assert_eq!(fault(register("track", "1", for_bob.clone()).await), "invalid owner");
        assert_eq!(fault(register("project", "song", for_bob).await), "invalid owner");
        let stranger = house.relations.register(&bob.asker, &song, &Registration::default()).await;
        assert_eq!(fault(stranger), "not-found");
        for wanted in ["not-found", "not-found"] {
            assert_eq!(fault(house.relations.unshare(&ada.asker, &song, bob.share()).await), wanted);
        }
        assert_eq!(fault(house.relations.transfer(&ada.asker, &song, ada.id(), false).await), "invalid to");
        assert_eq!(
            fault(house.relations.transfer(&ada.asker, &song, pending.id(), false).await),
            "invalid to"
        );
        assert_eq!(house.relations.revision().await.unwrap(), before, "nothing was changed");
        // The same grant twice is one change.
        let first = share(bob.share(), Relation::Shared, None).await.unwrap();
        assert_eq!(share(bob.share(), Relation::Shared, None).await.unwrap(), first);
        assert_eq!(house.relations.revision().await.unwrap(), first);
        // A revision from the future.
        let read = house.relations.access().action("project:read").unwrap();
        let ask = async |at: i64| {
            house.relations.check(bob.subject(), &read, Some(&song), Some(Revision(at))).await
        };
        assert!(ask(first.0).await.unwrap().allowed);
        assert_eq!(fault(ask(first.0 + 1).await), "invalid at_least");
        assert_eq!(fault(ask(i64::MAX).await), "invalid at_least");
    }
}

#[tokio::test]
async fn who_does_not_stand_well_changes_nothing() {
    for house in House::all().await {
        let (mut ada, bob) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        ada.asker.subject.suspended = true;
        let share = house.relations.share(&ada.asker, &song, bob.share(), Relation::Shared, None).await;
        assert_eq!(fault(share), "denied suspended");
        ada.asker.subject.suspended = false;
        ada.asker.subject.assurance.second_factor = true;
        let share = house.relations.share(&ada.asker, &song, bob.share(), Relation::Shared, None).await;
        assert_eq!(fault(share), "denied mfa-required", "sharing wants the second factor");
        ada.asker.subject.assurance.mfa_age_s = Some(3);
        house.relations.share(&ada.asker, &song, bob.share(), Relation::Shared, None).await.unwrap();
        let mut nobody = bob.clone();
        nobody.asker.subject = access::Subject::anonymous();
        let registered = house.relations.register(&nobody.asker, &song, &Registration::default()).await;
        assert_eq!(fault(registered), "not-found");
    }
}

#[tokio::test]
async fn what_is_private_is_answered_like_what_there_is_not_however_often_one_asks() {
    for house in House::all().await {
        let (ada, eve) = (house.artist().await, house.artist().await);
        let (secret, nothing) = (project("secret"), project("nothing"));
        house.own(&ada, &secret).await;
        // Changes elsewhere move the revision on between the questions.
        for round in 0..4 {
            for action in ["project:read", "project:update", "project:delete", "collab:invite"] {
                let [mut real, mut void] =
                    [house.decide(&eve, action, &secret).await, house.decide(&eve, action, &nothing).await];
                (real.resource, void.resource) = (None, None);
                assert_eq!(real, void, "{action}, round {round}");
            }
            house.own(&eve, &project(&format!("hers-{round}"))).await;
        }
    }
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    for house in House::all().await {
        assert_eq!(store::testing::prepare_all(&house.db).await, Vec::<String>::new());
    }
}
