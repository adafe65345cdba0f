//! What services say about objects in their answers.

use crate::fixture::House;

#[tokio::test]
async fn a_service_registers_what_it_made_for_whom_it_made_it() {
    let house = House::new(|_| {}).await;
    house.operator().await;
    let ada = format!("Bearer {}", house.token(house.person("ada").await).await);
    house.clock.advance_ms(1_000);
    let bob = format!("Bearer {}", house.token(house.person("bob").await).await);
    let make = async |who: &str, said: &str| {
        house.ask("POST", "/mine/make", &[("authorization", who), ("x-say-register", said)]).await
    };
    let read = async |who: &str, id: &str| {
        house.ask("GET", &format!("/playlists/{id}"), &[("authorization", who)]).await.status
    };
    let made = make(&ada, "playlist/5").await;
    assert_eq!((made.status, made.header("fortissimo-register")), (200, ""), "clients do not see it");
    assert_eq!((read(&ada, "5").await, read(&bob, "5").await), (200, 404));
    assert_eq!(make(&ada, "playlist/5").await.status, 200, "again is no harm");
    assert_eq!(make(&ada, "playlist/6; public").await.status, 200);
    assert_eq!(read(&bob, "6").await, 200);
    // Somebody else's, or nonsense: the client hears that it did not work.
    for wrong in ["playlist/5", "playlist", "trakc/1", "playlist/9; open", "user/1", "playlist/"] {
        assert_eq!(make(&bob, wrong).await.slug(), "bad-gateway", "{wrong}");
    }
    // What failed made nothing, and strangers make nothing that is anybody's.
    let failed = [("authorization", &*ada), ("x-say-register", "playlist/7"), ("x-say-failed", "1")];
    assert_eq!(house.ask("POST", "/mine/make", &failed).await.status, 422);
    assert_eq!(read(&ada, "7").await, 404);
    assert_eq!(house.ask("GET", "/open/x", &[("x-say-register", "playlist/8")]).await.slug(), "bad-gateway");

    // Forgotten is only what the route names.
    let forget = async |id: &str, said: &str| {
        let headers = [("authorization", &*ada), ("x-say-forget", said)];
        house.ask("DELETE", &format!("/playlists/{id}"), &headers).await
    };
    assert_eq!(forget("6", "playlist/5").await.slug(), "bad-gateway");
    assert_eq!(read(&ada, "5").await, 200);
    assert_eq!(forget("5", "playlist/5").await.status, 200);
    assert_eq!(read(&ada, "5").await, 404);
}
