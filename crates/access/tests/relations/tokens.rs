use access::{COLLABORATION_AUDIENCE, COLLABORATION_TYPE, Invitation, Issued, Relation, Role, Tier, code};
use crypto::jws::{Algorithm, Expected, VerifyingKeys};
use keys::{KeyUse, SigningSettings};
use store::{Db, DbConfig};

use crate::house::{HOUR, House, Person, fault, project};

fn wanted(house: &House, permissions: &[&str], uses: u32) -> Invitation {
    let permissions = permissions.iter().map(|name| house.relations.access().action(name).unwrap()).collect();
    Invitation { permissions, uses, expires_at: None }
}

async fn invite(house: &House, by: &Person, permissions: &[&str], uses: u32) -> Issued {
    house.relations.invite(&by.asker, &project("song"), &wanted(house, permissions, uses)).await.unwrap()
}

const BOTH: &[&str] = &["project:read", "collab:real_time"];

#[tokio::test]
async fn a_token_binds_to_who_redeems_it_and_ends_when_it_ends() {
    for house in House::all().await {
        let (ada, bob, eve) = (house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let issued = invite(&house, &ada, BOTH, 1).await;
        assert_eq!(Some(issued.expires_at), house.later(24 * HOUR));
        assert!(!house.may(&bob, "project:read", &song).await, "carrying it gives nothing");
        let redeemed = house.relations.redeem(&bob.asker, issued.token.expose()).await.unwrap();
        assert_eq!(
            (redeemed.permissions.join(" "), redeemed.expires_at),
            (BOTH.join(" "), issued.expires_at)
        );
        let decision = house.decide(&bob, "collab:real_time", &song).await;
        assert_eq!((decision.allowed, decision.expires_at), (true, Some(issued.expires_at)));
        assert_eq!(decision.relations, [Relation::Token]);
        assert!(!house.may(&bob, "project:update", &song).await, "the token does not name it");
        // Again is nothing new; for somebody else it is used up.
        let again = house.relations.redeem(&bob.asker, issued.token.expose()).await.unwrap();
        assert_eq!(again.revision, redeemed.revision);
        assert_eq!(fault(house.relations.redeem(&eve.asker, issued.token.expose()).await), "invalid token");
        assert_eq!(fault(house.relations.redeem(&ada.asker, issued.token.expose()).await), "conflict");
        assert!(house.events(&eve).await.contains(&"collab.token_refused".to_owned()));
        let listed = house.relations.invitations(&ada.asker, &song).await.unwrap();
        assert_eq!((listed.len(), listed[0].uses_left, listed[0].id), (1, 0, issued.id));
        assert_eq!(fault(house.relations.invitations(&bob.asker, &song).await), "denied no-relation");
        house.clock.advance_ms(24 * HOUR);
        assert_eq!(house.decide(&bob, "project:read", &song).await.code, code::LAPSED);
        assert_eq!(fault(house.relations.redeem(&eve.asker, issued.token.expose()).await), "invalid token");
    }
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_when_they_give_or_when_it_is_used() {
    for house in House::all().await {
        let ada = house.artist().await;
        let (bob, eve, third) = (house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        let refused = async |by: &Person, permissions: &[&str], uses| {
            fault(house.relations.invite(&by.asker, &song, &wanted(&house, permissions, uses)).await)
        };
        assert_eq!(refused(&bob, BOTH, 1).await, "not-found");
        assert_eq!(refused(&ada, &["project:delete"], 1).await, "invalid permissions");
        assert_eq!(refused(&ada, &["project:share"], 1).await, "invalid permissions");
        assert_eq!(refused(&ada, &["track:read"], 1).await, "invalid permissions");
        assert_eq!(refused(&ada, &[], 1).await, "invalid permissions");
        assert_eq!(refused(&ada, BOTH, 0).await, "invalid uses");
        assert_eq!(refused(&ada, BOTH, 101).await, "invalid uses");
        let long = Invitation { expires_at: house.later(25 * HOUR), ..wanted(&house, BOTH, 1) };
        assert_eq!(fault(house.relations.invite(&ada.asker, &song, &long).await), "invalid expires_at");
        // A collaborator of the tier pro may not join live, so may invite nobody to it.
        let pro = house.person(Role::User, Tier::Pro).await;
        house.collaborate(&ada, &song, &pro).await;
        assert_eq!(refused(&pro, BOTH, 1).await, "invalid permissions");
        let issued = invite(&house, &pro, &["project:read"], 3).await;
        house.relations.redeem(&bob.asker, issued.token.expose()).await.unwrap();
        assert!(house.may(&bob, "project:read", &song).await);
        // At use: the inviter's tier goes, then the inviter.
        let full = invite(&house, &ada, BOTH, 3).await;
        house.relations.redeem(&eve.asker, full.token.expose()).await.unwrap();
        assert!(house.may(&eve, "collab:real_time", &song).await);
        house.set(&ada, Role::User, Tier::Free, "active").await;
        assert!(!house.may(&eve, "collab:real_time", &song).await, "the owner has it no more");
        assert!(house.may(&eve, "project:read", &song).await);
        let less = house.relations.redeem(&third.asker, full.token.expose()).await.unwrap();
        assert_eq!(less.permissions, ["project:read"], "what the inviter has left");
        house.set(&ada, Role::User, Tier::Free, "disabled").await;
        assert!(!house.may(&eve, "project:read", &song).await);
        house.set(&ada, Role::PremiumUser, Tier::Studio, "active").await;
        // What came by a collaborator's token goes with the collaborator, and so does the token.
        house.relations.unshare(&ada.asker, &song, pro.share()).await.unwrap();
        assert!(!house.may(&bob, "project:read", &song).await);
        let late = house.artist().await;
        assert_eq!(fault(house.relations.redeem(&late.asker, issued.token.expose()).await), "invalid token");
    }
}

#[tokio::test]
async fn revoking_a_token_takes_what_came_of_it() {
    for house in House::all().await {
        let (ada, bob, eve, late) =
            (house.artist().await, house.artist().await, house.artist().await, house.artist().await);
        let song = project("song");
        house.own(&ada, &song).await;
        house.collaborate(&ada, &song, &eve).await;
        let issued = invite(&house, &eve, BOTH, 5).await;
        house.relations.redeem(&bob.asker, issued.token.expose()).await.unwrap();
        assert_eq!(fault(house.relations.revoke_invitation(&bob.asker, issued.id).await), "not-found");
        // The owner may, and at once.
        assert!(house.may(&bob, "project:read", &song).await);
        house.relations.revoke_invitation(&ada.asker, issued.id).await.unwrap();
        assert!(!house.may(&bob, "project:read", &song).await);
        assert!(house.may(&eve, "project:read", &song).await);
        assert_eq!(fault(house.relations.revoke_invitation(&ada.asker, issued.id).await), "not-found");
        assert_eq!(fault(house.relations.redeem(&late.asker, issued.token.expose()).await), "invalid token");
    }
}

#[tokio::test]
async fn a_service_checks_a_token_by_itself_and_nothing_else_passes_for_one() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256] {
        for db in store::testing::databases().await {
            let house = House::signing(db, SigningSettings { algorithm, ..SigningSettings::default() }).await;
            checked_by_a_service(&house, algorithm).await;
        }
    }
}

async fn checked_by_a_service(house: &House, algorithm: Algorithm) {
    let (ada, bob) = (house.artist().await, house.artist().await);
    let song = project("song");
    house.own(&ada, &song).await;
    let issued = invite(house, &ada, BOTH, 1).await;
    let token = issued.token.expose();
    let jwks = serde_json::from_slice(&house.keys.jwks()).unwrap();
    let published = VerifyingKeys::from_jwks(&jwks, |_| ()).unwrap();
    let signer = house.keys.signer(KeyUse::Collaboration);
    assert_eq!(signer.algorithm(), algorithm);
    let expected = Expected {
        typ: COLLABORATION_TYPE,
        issuer: "http://localhost",
        audience: COLLABORATION_AUDIENCE,
        now: house.now(),
        leeway_s: 0,
    };
    let claims: serde_json::Value = published.verify(token, &expected).unwrap();
    assert_eq!(claims["resource"], "project/song");
    assert_eq!(claims["permissions"], serde_json::json!(BOTH));
    assert_eq!(claims["aud"], COLLABORATION_AUDIENCE);
    let passes = |expected| published.verify::<serde_json::Value>(token, &expected).is_ok();
    assert!(!passes(Expected { typ: "at+jwt", ..expected }), "it is no access token");
    for audience in ["fortissimo", "http://localhost", ""] {
        assert!(!passes(Expected { audience, ..expected }), "it is for nobody else: {audience}");
    }
    assert!(!passes(Expected { now: house.now().plus_ms(25 * HOUR), ..expected }), "over");
    // The same words under another key, for others, and our own key over words that nobody issued.
    let foreign = house.keys.signer(KeyUse::AccessToken).sign(COLLABORATION_TYPE, &claims);
    let unknown = signer.sign(COLLABORATION_TYPE, &claims);
    let mut theirs = claims.clone();
    theirs["aud"] = "fortissimo".into();
    let for_others = signer.sign(COLLABORATION_TYPE, &theirs);
    let tail = format!("{token}x");
    // RS256 signs the same words alike, so there they are the very token.
    let tokens = [&foreign, &for_others, &tail, "", "a.b.c", &"x".repeat(100_000)];
    for token in tokens.into_iter().chain((algorithm == Algorithm::ES256).then_some(&*unknown)) {
        assert_eq!(fault(house.relations.redeem(&bob.asker, token).await), "invalid token");
    }
    house.relations.redeem(&bob.asker, token).await.unwrap();
    assert!(house.may(&bob, "project:read", &song).await);
}

#[tokio::test]
async fn a_token_is_nowhere_in_the_database() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("fortissimo.db");
    let db =
        Db::connect(&DbConfig::new(format!("sqlite:{}", file.display()).parse().unwrap())).await.unwrap();
    db.migrate().await.unwrap();
    let house = House::over(db.clone()).await;
    let (ada, bob) = (house.artist().await, house.artist().await);
    house.own(&ada, &project("song")).await;
    let issued = invite(&house, &ada, BOTH, 2).await;
    house.relations.redeem(&bob.asker, issued.token.expose()).await.unwrap();
    assert_eq!(fault(house.relations.redeem(&ada.asker, issued.token.expose()).await), "conflict");
    let wrong = format!("{}x", issued.token.expose());
    assert_eq!(fault(house.relations.redeem(&bob.asker, &wrong).await), "invalid token");
    house.audit.shutdown().await;
    db.close().await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    // Nor any part of it that would do: its signature, or its signed words.
    for part in issued.token.expose().split('.').skip(1) {
        assert!(!holds(part.as_bytes()), "{part}");
    }
    // The search works: its hash is there, and so is the object's name.
    assert!(holds(&crypto::mac::sha256(issued.token.expose().as_bytes())) && holds(b"song"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_no_more_redeem_than_may() {
    for house in House::all().await {
        let ada = house.artist().await;
        house.own(&ada, &project("song")).await;
        for uses in [1, 3] {
            let issued = invite(&house, &ada, BOTH, uses).await;
            let mut guests = Vec::new();
            for _ in 0..12 {
                guests.push(house.artist().await);
            }
            let tries: Vec<_> = guests
                .iter()
                .map(|guest| {
                    let (relations, asker) = (house.relations.clone(), guest.asker.clone());
                    let token = issued.token.expose().clone();
                    tokio::spawn(async move { relations.redeem(&asker, &token).await.is_ok() })
                })
                .collect();
            let mut redeemed = 0;
            for one in tries {
                redeemed += u32::from(one.await.unwrap());
            }
            assert_eq!(redeemed, uses);
            let mut inside = 0;
            for guest in &guests {
                inside += u32::from(house.may(guest, "project:read", &project("song")).await);
            }
            assert_eq!(inside, uses);
        }
    }
}
