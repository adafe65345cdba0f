//! Offers by the API: the same answer whoever is meant, access only for who accepts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::house::House;

const OFFERS: &str = "/v1/resources/playlist/nightly/offers";

async fn made(house: &House, token: &str, name: &str) -> Value {
    let wish = json!({"name": name, "relation": "shared"});
    let answer = house.send("POST", OFFERS, Some(token), Some(wish)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json
}

/// Ada, who may share playlists and has one, and Bob.
async fn people(house: &House) -> (String, String) {
    let operator = house.operator().await;
    for name in ["ada", "bob"] {
        house.person(name).await;
    }
    let ada = house.token("ada").await;
    let id = house.send("GET", "/auth/profile", Some(&ada), None).await.text("id");
    let rich = json!({"role": "premium_user"});
    house.send("PATCH", &format!("/v1/accounts/{id}"), Some(&operator), Some(rich)).await.ok();
    house.send("PUT", "/v1/resources/playlist/nightly", Some(&ada), Some(json!({}))).await.ok();
    (ada, house.token("bob").await)
}

#[tokio::test]
async fn an_offer_gives_access_once_it_is_accepted_and_to_nobody_else() {
    let house = House::new().await;
    let (ada, bob) = people(&house).await;
    let read = async || house.send("GET", "/v1/resources/playlist/nightly", Some(&bob), None).await.status;
    let offer = made(&house, &ada, "bob").await;
    let place = format!("/v1/offers/{}", offer["id"].as_str().unwrap());
    assert_eq!(read().await, 404, "an offer is not access");
    // Who made it cannot accept it; its receiver sees it among their own.
    let accept = format!("{place}/accept");
    assert_eq!(house.send("POST", &accept, Some(&ada), None).await.problem().0, 404);
    let mine = house.send("GET", "/v1/offers", Some(&bob), None).await.ok();
    assert_eq!(mine["offers"][0]["id"], offer["id"]);
    assert_eq!(mine["offers"][0]["resource"], json!({"type": "playlist", "id": "nightly"}));
    assert_eq!(house.send("GET", "/v1/offers", Some(&ada), None).await.ok()["offers"], json!([]));
    let accepted = house.send("POST", &accept, Some(&bob), None).await.ok();
    assert_eq!(accepted["resource"]["id"], "nightly");
    assert_eq!(read().await, 200);
    assert_eq!(house.send("POST", &accept, Some(&bob), None).await.problem().0, 404, "once");
    assert_eq!(house.send("GET", OFFERS, Some(&ada), None).await.ok()["offers"], json!([]));
}

#[tokio::test]
async fn nothing_tells_whether_there_is_such_an_account() {
    let house = House::new().await;
    let (ada, bob) = people(&house).await;
    let mut answers = Vec::new();
    for name in ["bob", "bob@example.org", "nobody", "nobody@example.org"] {
        let mut answer = made(&house, &ada, name).await;
        for (varying, kind) in [("id", Value::is_string as fn(&Value) -> bool), ("revision", Value::is_i64)] {
            assert!(kind(&answer[varying].take()), "{name}");
        }
        answers.push(answer);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let listed = house.send("GET", OFFERS, Some(&ada), None).await.ok();
    let names: BTreeSet<_> =
        listed["offers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["nobody@example.org", "nobody", "bob@example.org", "bob"]));
    // Declined or not, the offer looks the same to who made it.
    let mine = house.send("GET", "/v1/offers", Some(&bob), None).await.ok();
    assert_eq!(mine["offers"].as_array().unwrap().len(), 2, "by name and by address");
    for one in mine["offers"].as_array().unwrap() {
        let place = format!("/v1/offers/{}", one["id"].as_str().unwrap());
        house.send("DELETE", &place, Some(&bob), None).await.ok();
        assert_eq!(house.send("DELETE", &place, Some(&bob), None).await.problem().0, 404);
    }
    assert_eq!(house.send("GET", OFFERS, Some(&ada), None).await.ok(), listed);
    for one in listed["offers"].as_array().unwrap() {
        let place = format!("/v1/offers/{}", one["id"].as_str().unwrap());
        house.send("DELETE", &place, Some(&ada), None).await.ok();
    }
    assert_eq!(house.send("GET", OFFERS, Some(&ada), None).await.ok()["offers"], json!([]));
}

#[tokio::test]
async fn offers_that_cannot_be_say_which_field_is_wrong() {
    let house = House::new().await;
    let (ada, bob) = people(&house).await;
    let past = "2001-01-01T00:00:00Z";
    for (wish, field) in [
        (json!({"name": "", "relation": "shared"}), "/name"),
        (json!({"name": "no such name!", "relation": "shared"}), "/name"),
        (json!({"name": "a@b@c", "relation": "shared"}), "/name"),
        (json!({"name": "ada", "relation": "shared"}), "/name"),
        (json!({"name": "ada@example.org", "relation": "shared"}), "/name"),
        (json!({"name": "bob", "relation": "owner"}), "/relation"),
        (json!({"name": "bob", "relation": "shared", "expires_at": "soon"}), "/expires_at"),
        (json!({"name": "bob", "relation": "shared", "expires_at": past}), "/expires_at"),
    ] {
        let refused = house.send("POST", OFFERS, Some(&ada), Some(wish.clone())).await;
        assert_eq!(refused.problem(), (400, "invalid-field", field), "{wish}");
    }
    let wish = json!({"name": "ada", "relation": "shared"});
    // Not theirs, and nobody's.
    assert_eq!(house.send("POST", OFFERS, Some(&bob), Some(wish.clone())).await.problem().0, 404);
    let nothing = "/v1/resources/playlist/nothing/offers";
    assert_eq!(
        house
            .send("POST", nothing, Some(&ada), Some(json!({"name": "bob", "relation": "shared"})))
            .await
            .problem()
            .0,
        404
    );
    for path in ["/v1/offers/x", "/v1/offers/00000000-0000-7000-8000-000000000000"] {
        assert_eq!(house.send("DELETE", path, Some(&ada), None).await.problem().0, 404);
    }
}
