//! Lists say what single questions say.

use std::collections::BTreeSet;

use access::{Registration, Relation, ResourceRef, Role, Share, Tier};

use crate::house::{HOUR, House, Person, fault, track};

/// Small numbers from a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64* (Vigna 2014)
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

const KINDS: [&str; 4] = ["project", "track", "playlist", "generation"];

async fn furnish(house: &House, dice: &mut Dice) -> (Vec<Person>, Vec<ResourceRef>) {
    let mut people = Vec::new();
    for (role, tier) in [
        (Role::PremiumUser, Tier::Studio),
        (Role::Moderator, Tier::Studio),
        (Role::User, Tier::Free),
        (Role::Guest, Tier::Pro),
        (Role::Admin, Tier::Studio),
        (Role::SuperAdmin, Tier::Free),
    ] {
        people.push(house.person(role, tier).await);
    }
    let rich = people[0].clone();
    let (team, _) = house.relations.make_team(&rich.asker, "team").await.unwrap();
    house.relations.join_team(&rich.asker, team, people[2].share()).await.unwrap();
    let mut objects: Vec<ResourceRef> = Vec::new();
    for at in 0..60 {
        let kind = KINDS[dice.roll(4) as usize];
        let resource = ResourceRef { kind: kind.into(), id: format!("{at}") };
        let owner = &people[if dice.roll(2) == 0 { 0 } else { dice.roll(6) as usize }];
        let parent = (dice.roll(3) == 0 && !objects.is_empty())
            .then(|| objects[dice.roll(objects.len() as u64) as usize].clone());
        let wanted = Registration { public: dice.roll(4) == 0, parent, ..Registration::default() };
        // What is refused (too deep, not theirs, may not be shown) is registered plainly.
        if house.relations.register(&owner.asker, &resource, &wanted).await.is_err() {
            house.own(owner, &resource).await;
        }
        for _ in 0..dice.roll(4) {
            let to = match dice.roll(5) {
                0 => Share::Team(team),
                _ => people[dice.roll(6) as usize].share(),
            };
            let relation = [Relation::Shared, Relation::Collaborator][dice.roll(2) as usize];
            let until = [None, house.later(HOUR), house.later(3 * HOUR)][dice.roll(3) as usize];
            let _ = house.relations.share(&owner.asker, &resource, to, relation, until).await;
        }
        objects.push(resource);
    }
    for object in objects.iter().take(3) {
        let admin = &people[4];
        if let Ok(opened) =
            house.relations.break_glass(&admin.asker, object, "for the test of lists", HOUR).await
        {
            house.relations.finish_glass(opened).await.unwrap();
        }
    }
    (people, objects)
}

#[tokio::test]
async fn a_list_is_what_single_questions_say_about_everything() {
    for house in House::all().await {
        for seed in 1..=3 {
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
            // Objects of an earlier round are nobody's any more.
            let (people, objects) = furnish(&house, &mut dice).await;
            house.clock.advance_ms(HOUR + 1);
            let bundle = house.relations.access().bundle();
            for person in &people {
                for name in bundle.actions() {
                    let action = bundle.action(name).unwrap();
                    for kind in KINDS.into_iter().filter(|kind| bundle.is_about(&action, kind)) {
                        let mut wanted = BTreeSet::new();
                        for object in objects.iter().filter(|object| object.kind == kind) {
                            if house.may(person, name, object).await {
                                wanted.insert(object.clone());
                            }
                        }
                        let mut listed = Vec::new();
                        let mut after = None;
                        loop {
                            let list =
                                house.relations.list_objects(person.subject(), &action, kind, after, 7);
                            let page = list.await.unwrap();
                            assert!(page.objects.len() <= 7);
                            listed.extend(page.objects.into_iter().map(|listed| listed.resource));
                            after = page.next;
                            if after.is_none() {
                                break;
                            }
                        }
                        let ours: BTreeSet<_> = objects.iter().collect();
                        assert!(listed.iter().all(|one| ours.contains(one)));
                        let unique: BTreeSet<_> = listed.iter().cloned().collect();
                        assert_eq!(unique.len(), listed.len(), "nothing is listed twice");
                        assert_eq!(
                            unique,
                            wanted,
                            "seed {seed}: {name} on {kind} for {:?}",
                            person.subject()
                        );
                    }
                }
            }
            for object in objects.iter().step_by(7) {
                for name in
                    ["track:read", "playlist:write", "project:read", "project:delete", "generate:view"]
                {
                    let action = bundle.action(name).unwrap();
                    if !bundle.is_about(&action, &object.kind) {
                        continue;
                    }
                    let mut wanted = BTreeSet::new();
                    for person in &people {
                        if house.may(person, name, object).await {
                            wanted.insert(person.id());
                        }
                    }
                    let mut listed = BTreeSet::new();
                    let mut after = None;
                    loop {
                        let list = house.relations.list_subjects(&people[4].asker, &action, object, after, 2);
                        let page = list.await.unwrap();
                        for subject in page.subjects {
                            assert!(listed.insert(subject.account), "nobody is listed twice");
                        }
                        after = page.next;
                        if after.is_none() {
                            break;
                        }
                    }
                    let known: BTreeSet<_> = people.iter().map(Person::id).collect();
                    let listed: BTreeSet<_> = listed.intersection(&known).copied().collect();
                    assert_eq!(listed, wanted, "seed {seed}: who may {name} {object}");
                }
            }
            for object in &objects {
                house.relations.forget_object(&people[5].asker, object).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn who_has_access_is_not_for_strangers() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let tune = track("tune");
        house.own(&ada, &tune).await;
        house.relations.share(&ada.asker, &tune, bob.share(), Relation::Shared, None).await.unwrap();
        let read = house.relations.access().action("track:read").unwrap();
        let ask =
            async |who: &Person| house.relations.list_subjects(&who.asker, &read, &tune, None, 50).await;
        let page = ask(&ada).await.unwrap();
        assert_eq!(page.subjects.len(), 2);
        assert_eq!(fault(ask(&bob).await), "denied no-relation");
        assert_eq!(fault(ask(&eve).await), "not-found");
        let wrong = house.relations.access().action("playlist:read").unwrap();
        let page = house.relations.list_subjects(&ada.asker, &wrong, &tune, None, 50).await;
        assert_eq!(fault(page), "invalid action");
    }
}
