//! Lists say what single questions say.

use std::collections::BTreeSet;
use std::sync::Arc;

use access::{
    Action, Bundle, Invitation, PolicyFile, Registration, Relation, ResourceRef, ResourceType, Role, Share,
    Tier, TypeAction,
};

use crate::house::{HOUR, House, Person, fault, track};

/// Small numbers from a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // xorshift64* (Vigna 2014)
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides as u64) as usize
    }
}

const KINDS: [&str; 4] = ["project", "track", "playlist", "generation"];
/// With an operator's types.
const ALL_KINDS: [&str; 6] = ["project", "track", "playlist", "generation", "stem_pack", "room"];

/// People of every sort: the first shares much, the fifth and sixth administer.
async fn crowd(house: &House) -> Vec<Person> {
    let mut people = Vec::new();
    for (role, tier) in [
        (Role::PremiumUser, Tier::Studio),
        (Role::Moderator, Tier::Studio),
        (Role::User, Tier::Free),
        (Role::Guest, Tier::Pro),
        (Role::Admin, Tier::Studio),
        (Role::SuperAdmin, Tier::Free),
        (Role::User, Tier::Studio),
    ] {
        people.push(house.person(role, tier).await);
    }
    people
}

/// Objects of these kinds, with folders in folders, shares to people, to a team and to a team in it, redeemed tokens and
/// broken glass.
async fn furnish(house: &House, people: &[Person], kinds: &[&str], dice: &mut Dice) -> Vec<ResourceRef> {
    let rich = people[0].clone();
    let (outer, _) = house.relations.make_team(&rich.asker, "outer").await.unwrap();
    let (inner, _) = house.relations.make_team(&rich.asker, "inner").await.unwrap();
    house.relations.join_team(&rich.asker, outer, people[2].share()).await.unwrap();
    house.relations.join_team(&rich.asker, outer, Share::Team(inner)).await.unwrap();
    house.relations.join_team(&rich.asker, inner, people[3].share()).await.unwrap();
    let mut objects: Vec<ResourceRef> = Vec::new();
    let mut deepest = 0;
    for at in 0..60 {
        let resource = ResourceRef { kind: kinds[dice.roll(kinds.len())].into(), id: format!("{at}") };
        // The first three lie in one another, whatever the dice say.
        let chained = (1..3).contains(&at);
        let owner = &people[if at < 3 || dice.roll(2) == 0 { 0 } else { dice.roll(people.len()) }];
        let inside = chained || (dice.roll(2) == 0 && !objects.is_empty());
        let parent = inside.then(|| objects[if chained { at - 1 } else { dice.roll(objects.len()) }].clone());
        let wanted = Registration { public: dice.roll(4) == 0, parent, ..Registration::default() };
        // What is refused (too deep, not theirs, may not be shown) is registered plainly.
        if house.relations.register(&owner.asker, &resource, &wanted).await.is_err() {
            house.own(owner, &resource).await;
        }
        deepest = deepest.max(depth(house, owner, &resource).await);
        for _ in 0..dice.roll(4) {
            let to = match dice.roll(6) {
                0 => Share::Team(outer),
                1 => Share::Team(inner),
                _ => people[dice.roll(people.len())].share(),
            };
            let relation = [Relation::Shared, Relation::Collaborator][dice.roll(2)];
            let until = [None, house.later(HOUR), house.later(3 * HOUR)][dice.roll(3)];
            let _ = house.relations.share(&owner.asker, &resource, to, relation, until).await;
        }
        objects.push(resource);
    }
    assert_eq!(deepest, 2, "a folder in a folder");

    let mut redeemed = 0;
    for object in &objects {
        redeemed += usize::from(redeem(house, people, object, dice).await);
    }
    assert!(redeemed > 3, "{redeemed} tokens were redeemed");
    for object in objects.iter().take(3) {
        let admin = &people[4];
        if let Ok(opened) =
            house.relations.break_glass(&admin.asker, object, "for the test of lists", HOUR).await
        {
            house.relations.finish_glass(opened).await.unwrap();
        }
    }
    objects
}

/// How many objects this one is part of, above one another.
async fn depth(house: &House, owner: &Person, resource: &ResourceRef) -> u32 {
    let mut depth = 0;
    let mut here = resource.clone();
    while let Ok(Some(parent)) = house.relations.object(&owner.asker, &here).await.map(|view| view.parent) {
        (depth, here) = (depth + 1, parent);
    }
    depth
}

/// The first person invites somebody by a token to what is theirs, if it can be given so; whether it was redeemed.
async fn redeem(house: &House, people: &[Person], object: &ResourceRef, dice: &mut Dice) -> bool {
    let Ok(giving) = house.relations.giving(&people[0].asker, object).await else { return false };
    if giving.actions.is_empty() {
        return false;
    }
    let permissions = giving.actions.into_iter().skip(dice.roll(2)).take(4).collect();
    let wanted = Invitation { permissions, uses: 1, expires_at: house.later(2 * HOUR) };
    let Ok(issued) = house.relations.invite(&people[0].asker, object, &wanted).await else { return false };
    let guest = &people[[2, 3, 6][dice.roll(3)]];
    house.relations.redeem(&guest.asker, issued.token.expose()).await.is_ok()
}

/// The pages of a list of objects, one after the other.
async fn listed(house: &House, person: &Person, action: &Action, kind: &str) -> Vec<ResourceRef> {
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = house.relations.list_objects(person.subject(), action, kind, after, 7).await.unwrap();
        assert!(page.objects.len() <= 7);
        listed.extend(page.objects.into_iter().map(|listed| listed.resource));
        after = page.next;
        if after.is_none() {
            return listed;
        }
    }
}

/// Every list says what single questions say, from both sides; how many answers were a yes.
async fn agree(
    house: &House,
    people: &[Person],
    objects: &[ResourceRef],
    kinds: &[&str],
    what: &str,
) -> usize {
    let bundle = house.relations.access().bundle();
    let mut yes = 0;
    for person in people {
        for name in bundle.actions() {
            let action = bundle.action(name).unwrap();
            for kind in kinds.iter().filter(|kind| bundle.is_about(&action, kind)) {
                let mut wanted = BTreeSet::new();
                for object in objects.iter().filter(|object| object.kind == *kind) {
                    if house.may(person, name, object).await {
                        wanted.insert(object.clone());
                    }
                }
                let listed = listed(house, person, &action, kind).await;
                let unique: BTreeSet<_> = listed.iter().cloned().collect();
                assert_eq!(unique.len(), listed.len(), "nothing is listed twice");
                assert_eq!(unique, wanted, "{what}: {name} on {kind} for {:?}", person.subject());
                yes += wanted.len();
            }
        }
    }
    for object in objects.iter().step_by(3) {
        for name in bundle.actions() {
            let action = bundle.action(name).unwrap();
            if !bundle.is_about(&action, &object.kind) {
                continue;
            }
            let mut wanted = BTreeSet::new();
            for person in people {
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
            assert_eq!(listed, wanted, "{what}: who may {name} {object}");
            yes += wanted.len();
        }
    }
    yes
}

#[tokio::test]
async fn a_list_is_what_single_questions_say_about_everything() {
    for house in House::all().await {
        for seed in 1..=3 {
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
            let people = crowd(&house).await;
            let objects = furnish(&house, &people, &KINDS, &mut dice).await;
            house.clock.advance_ms(HOUR + 1);
            assert!(agree(&house, &people, &objects, &KINDS, &format!("seed {seed}")).await > 100);
            // Objects of an earlier round are nobody's any more.
            for object in &objects {
                house.relations.forget_object(&people[5].asker, object).await.unwrap();
            }
        }
    }
}

/// An operator's own: a type by configuration, one by policies, and rules that name objects and people in every way.
fn own_bundle(people: &[Person]) -> Bundle {
    let action = |name: &str, relations: &[Relation], sensitive| TypeAction {
        name: name.into(),
        relations: relations.to_vec(),
        roles: vec![Role::User, Role::PremiumUser],
        tiers: vec![Tier::Studio],
        sensitive,
    };
    let render = [Relation::Owner, Relation::Collaborator, Relation::Shared, Relation::Token];
    let stems = ResourceType {
        name: "stem_pack".into(),
        actions: vec![action("stem:render", &render, false), action("stem:burn", &[Relation::Owner], true)],
    };
    let mut files = ResourceType::files(&[stems]).unwrap();
    let schema = r#"namespace Fortissimo {
        entity Room;
        action "room:enter", "room:sweep" appliesTo { principal: Account, resource: [Platform, Room], context: Relations };
    }"#;
    let account = |at: usize| format!("Fortissimo::Account::\"{}\"", people[at].id());
    let (moderator, guest, admin, user) = (account(1), account(3), account(4), account(6));
    let policies = format!(
        r#"
        // Rooms: two are open to everybody, one person sweeps them all, one never enters.
        @id("room.enter") @code("no-relation") forbid (principal, action == Fortissimo::Action::"room:enter",
            resource is Fortissimo::Room) unless {{ context.owner || context.shared || (context.collaborator && context.public)
            || context.token || resource in [Fortissimo::Room::"5", Fortissimo::Room::"11"] }};
        @id("room.sweep") @code("no-relation") forbid (principal, action == Fortissimo::Action::"room:sweep",
            resource is Fortissimo::Room) unless {{ context.owner || principal == {guest} }};
        @id("room.everybody") permit (principal, action in [Fortissimo::Action::"room:enter",
            Fortissimo::Action::"room:sweep"], resource);
        @id("room.never") forbid (principal == {admin}, action == Fortissimo::Action::"room:enter", resource);
        // Built-in actions, for one account, for one object, and for both together.
        @id("guest.writes") permit (principal == {guest}, action == Fortissimo::Action::"playlist:write", resource);
        @id("track.analysed") permit (principal, action == Fortissimo::Action::"track:analyze",
            resource == Fortissimo::Track::"2");
        @id("one.and.one") permit (principal == {user}, action in [Fortissimo::Action::"track:write",
            Fortissimo::Action::"track:analyze"], resource) when {{ resource in [Fortissimo::Track::"1",
            Fortissimo::Track::"3", Fortissimo::Track::"8", Fortissimo::Track::"13", Fortissimo::Track::"21"] }};
        @id("not.they") forbid (principal == {moderator}, action == Fortissimo::Action::"track:read", resource)
            unless {{ resource == Fortissimo::Track::"4" }};
        @id("not.that") forbid (principal, action == Fortissimo::Action::"project:read", resource)
            when {{ resource in [Fortissimo::Project::"0", Fortissimo::Project::"6", Fortissimo::Project::"7"]
            && principal != {user} }};
        @id("not.stems") forbid (principal, action == Fortissimo::Action::"stem:render",
            resource == Fortissimo::StemPack::"9");
        "#
    );
    files.push(PolicyFile { name: "rooms.cedarschema".into(), text: schema.into() });
    files.push(PolicyFile { name: "rooms.cedar".into(), text: policies });
    Bundle::from_files(files).unwrap()
}

#[tokio::test]
async fn lists_follow_an_operators_policies_whatever_they_name() {
    for house in House::all().await {
        for seed in 1..=4 {
            let mut dice = Dice(0xD1B5_4A32_D192_ED03 ^ seed);
            let people = crowd(&house).await;
            house.relations.access().replace(Arc::new(own_bundle(&people)));
            let objects = furnish(&house, &people, &ALL_KINDS, &mut dice).await;
            house.clock.advance_ms(HOUR + 1);
            assert!(agree(&house, &people, &objects, &ALL_KINDS, &format!("seed {seed}")).await > 100);
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
