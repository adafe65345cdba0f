//! Many workers at the same time.

use access::{Relation, Role, Tier};

use crate::house::{House, project};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_transfers_at_once_one_wins() {
    for house in House::all().await {
        let ada = house.artist().await;
        let song = project("song");
        house.own(&ada, &song).await;
        let mut heirs = Vec::new();
        for _ in 0..8 {
            heirs.push(house.artist().await);
        }
        let tries = heirs.iter().map(|heir| {
            let (relations, asker, song, to) =
                (house.relations.clone(), ada.asker.clone(), song.clone(), heir.id());
            tokio::spawn(async move { relations.transfer(&asker, &song, to, false).await.is_ok() })
        });
        let mut won = 0;
        for one in tries.collect::<Vec<_>>() {
            won += usize::from(one.await.unwrap());
        }
        assert_eq!(won, 1);
        let mut owners = 0;
        for heir in &heirs {
            owners += usize::from(house.may(heir, "project:delete", &song).await);
        }
        assert_eq!(owners, 1, "and there is one owner");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_that_begins_after_a_revoke_answered_is_a_deny_whatever_raced() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let read = house.relations.access().action("project:read").unwrap();
        for _ in 0..60 {
            house.collaborate(&ada, &song, &bob).await;
            // Readers keep filling the cache while the revocation is stored.
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let (relations, subject, song, read) =
                        (house.relations.clone(), *bob.subject(), song.clone(), read.clone());
                    tokio::spawn(async move {
                        for _ in 0..30 {
                            relations.check(&subject, &read, Some(&song), None).await.unwrap();
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            let revision = house.relations.unshare(&ada.asker, &song, bob.share()).await.unwrap();
            let after = house.relations.check(bob.subject(), &read, Some(&song), None).await.unwrap();
            assert!(!after.allowed, "a remembered allow outlived its revocation");
            for reader in readers {
                reader.await.unwrap();
            }
            let later =
                house.relations.check(bob.subject(), &read, Some(&song), Some(revision)).await.unwrap();
            assert!(!later.allowed, "a read that raced with the revocation was remembered");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_that_race_with_the_inviters_loss_do_not_survive_it() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        for _ in 0..20 {
            house.collaborate(&ada, &song, &bob).await;
            let guests = [house.artist().await, house.artist().await, house.artist().await];
            let invitations: Vec<_> = guests
                .iter()
                .map(|guest| {
                    let (relations, by, song, to) =
                        (house.relations.clone(), bob.asker.clone(), song.clone(), guest.share());
                    tokio::spawn(async move {
                        let _ = relations.share(&by, &song, to, Relation::Collaborator, None).await;
                    })
                })
                .collect();
            house.relations.unshare(&ada.asker, &song, bob.share()).await.unwrap();
            for invitation in invitations {
                invitation.await.unwrap();
            }
            for guest in &guests {
                assert!(!house.may(guest, "project:read", &song).await);
            }
        }
    }
}

#[tokio::test]
async fn another_node_hears_of_a_revocation() {
    for house in House::all().await {
        let (ada, bob) = (house.artist().await, house.artist().await);
        let other = house.second_node();
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &bob).await;
        let read = house.relations.access().action("project:read").unwrap();
        assert!(other.check(bob.subject(), &read, Some(&song), None).await.unwrap().allowed);
        let revision = house.relations.unshare(&ada.asker, &song, bob.share()).await.unwrap();
        let exact = other.check(bob.subject(), &read, Some(&song), Some(revision)).await.unwrap();
        assert!(!exact.allowed, "who knows the revision is never told anything older");
        // Even if nobody told it: after a second nothing that was remembered counts.
        house.clock.advance_ms(1_000);
        assert!(!other.check(bob.subject(), &read, Some(&song), None).await.unwrap().allowed);
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_never_decided_from_memory() {
    for house in House::all().await {
        let ada = house.person(Role::PremiumUser, Tier::Studio).await;
        let bob = house.artist().await;
        let other = house.second_node();
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &bob).await;
        let action = |name: &str| house.relations.access().action(name).unwrap();
        for name in ["project:read", "project:export"] {
            assert!(other.check(bob.subject(), &action(name), Some(&song), None).await.unwrap().allowed);
        }
        house.relations.unshare(&ada.asker, &song, bob.share()).await.unwrap();
        // In the same millisecond, on a node that may not have heard yet.
        assert!(
            !other.check(bob.subject(), &action("project:export"), Some(&song), None).await.unwrap().allowed
        );
    }
}
