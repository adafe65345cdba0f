//! A sign-in between its factors belongs to the browser that began it.

use identity::{BrowserSession, Error, Partial, RequestMeta};

use crate::factors::person;
use crate::house::{House, MINUTE, PASSWORD, credentials};

async fn halfway(house: &House, name: &str, meta: &RequestMeta) -> Partial {
    let signed_in = house.identity.sign_in_browser(credentials(name, PASSWORD), meta).await.unwrap();
    signed_in.partial().expect("a second factor is asked for")
}

fn with(meta: &RequestMeta, cookie: Option<&str>) -> RequestMeta {
    let mut meta = meta.clone();
    meta.challenge = cookie.map(Into::into);
    meta
}

async fn give(
    house: &House,
    partial: &Partial,
    code: &base::Secret<String>,
    meta: &RequestMeta,
) -> Result<BrowserSession, Error> {
    house.identity.sign_in_browser_with_code(partial.challenge.expose(), code, meta).await
}

#[tokio::test]
async fn a_stolen_challenge_is_worth_nothing_without_its_cookie() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let bob = person(&house, "bob").await;
        let meta = house.meta();
        let own = halfway(&house, "ada", &meta).await;
        let other = halfway(&house, "bob", &meta).await;
        let cookie = own.browser.as_ref().expect("a browser gets a cookie").expose().clone();
        let others = other.browser.as_ref().unwrap().expose().clone();
        assert_ne!(cookie, others);
        let long = "x".repeat(100_000);
        // Stolen with the page, tried with a right code: without the cookie, with one of another browser, with the challenge
        // itself for it, with nonsense.
        let wrong =
            [None, Some(others.as_str()), Some(own.challenge.expose()), Some(""), Some("?"), Some(&*long)];
        for wrong in wrong {
            let thief = with(&meta, wrong);
            let refused = give(&house, &own, &ada.app.code(&house, 0), &thief).await;
            assert!(matches!(refused, Err(Error::InvalidChallenge)), "{wrong:.50?}");
            let looked = house.identity.challenge_offer(own.challenge.expose(), &thief).await;
            assert!(matches!(looked, Err(Error::InvalidChallenge)), "{wrong:.50?}");
        }
        // Swapped: the cookie of one sign-in with the challenge of another, also by who has both accounts.
        let swapped = give(&house, &other, &bob.app.code(&house, 0), &with(&meta, Some(&cookie))).await;
        assert!(matches!(swapped, Err(Error::InvalidChallenge)));
        // Another program, even with the cookie.
        let mut program = with(&meta, Some(&cookie));
        program.agent = Some("Another/1.0".into());
        assert!(give(&house, &own, &ada.app.code(&house, 0), &program).await.is_err());
        // As a client that keeps tokens.
        let tokens = house
            .identity
            .sign_in_with_code(own.challenge.expose(), &ada.app.code(&house, 0), &with(&meta, Some(&cookie)))
            .await;
        assert!(matches!(tokens, Err(Error::InvalidChallenge)));
        // None of that took a try or the code; somebody else's code does not open it.
        let right = with(&meta, Some(&cookie));
        let crossed = give(&house, &own, &bob.app.code(&house, 0), &right).await;
        assert!(matches!(crossed, Err(Error::WrongCode)));
        let session = give(&house, &own, &ada.app.code(&house, 0), &right).await.unwrap();
        assert_eq!(session.account, ada.caller.account);
        // Replayed.
        house.clock.advance_ms(MINUTE);
        let again = give(&house, &own, &ada.app.code(&house, 0), &right).await;
        assert!(matches!(again, Err(Error::InvalidChallenge)));
    }
}

#[tokio::test]
async fn every_half_sign_in_has_a_cookie_of_its_own_and_ends_with_its_time() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let meta = house.meta();
        let first = halfway(&house, "ada", &meta).await;
        let cookie = first.browser.as_ref().unwrap().expose().clone();
        let second = halfway(&house, "ada", &with(&meta, Some(&cookie))).await;
        assert_ne!(second.browser.as_ref().unwrap().expose(), &cookie, "nothing is reused");
        house.clock.advance_ms(5 * MINUTE);
        let late = give(&house, &first, &ada.app.code(&house, 0), &with(&meta, Some(&cookie))).await;
        assert!(matches!(late, Err(Error::InvalidChallenge)));
        // A client that keeps tokens gets no cookie.
        let signed_in = house.identity.sign_in(credentials("ada", PASSWORD), &meta).await.unwrap();
        assert!(signed_in.partial().unwrap().browser.is_none());
    }
}

/// A client that keeps tokens and its device mark, at an address.
fn client(house: &House, address: &str, device: Option<&str>) -> RequestMeta {
    let mut meta = house.meta();
    meta.address = Some(address.parse().unwrap());
    meta.device = device.map(Into::into);
    meta
}

#[tokio::test]
async fn without_a_browser_a_half_sign_in_stays_in_its_network_or_with_its_device() {
    for house in House::all().await {
        let ada = person(&house, "ada").await;
        let half = async |meta: &RequestMeta| -> String {
            let signed_in = house.identity.sign_in(credentials("ada", PASSWORD), meta).await.unwrap();
            signed_in.partial().expect("a second factor is asked for").challenge.expose().clone()
        };
        let give = async |challenge: &str, meta: &RequestMeta| {
            house.clock.advance_ms(MINUTE / 2);
            house.identity.sign_in_with_code(challenge, &ada.app.code(&house, 0), meta).await
        };
        let home = client(&house, "192.0.2.7", None);
        // Moved about by its carrier.
        let pair = give(&half(&home).await, &client(&house, "192.0.2.200", None)).await.unwrap();
        let mark = pair.device.unwrap().expose().clone();
        // Elsewhere: with the right code, from another network of either kind or from nowhere.
        let challenge = half(&home).await;
        let mut nowhere = home.clone();
        nowhere.address = None;
        for thief in [client(&house, "198.51.100.1", None), client(&house, "2001:db8::1", None), nowhere] {
            let refused = give(&challenge, &thief).await;
            assert!(matches!(refused, Err(Error::InvalidChallenge)), "{:?}", thief.address);
        }
        // The mark of the owner's device does not help, if the sign-in did not begin with it: the thief may have got it
        // with the answer to another one.
        assert!(give(&challenge, &client(&house, "198.51.100.1", Some(&mark))).await.is_err());
        // None of that took a try.
        give(&challenge, &home).await.unwrap();
        // A client that showed its mark goes from the house to the street between its factors …
        let challenge = half(&client(&house, "192.0.2.7", Some(&mark))).await;
        assert!(give(&challenge, &client(&house, "198.51.100.1", None)).await.is_err());
        assert!(give(&challenge, &client(&house, "198.51.100.1", Some("forged"))).await.is_err());
        let mut program = client(&house, "198.51.100.1", Some(&mark));
        program.agent = Some("Another/1.0".into());
        assert!(give(&challenge, &program).await.is_err());
        give(&challenge, &client(&house, "198.51.100.1", Some(&mark))).await.unwrap();
        // … and that was the only time.
        let again = give(&challenge, &client(&house, "192.0.2.7", Some(&mark))).await;
        assert!(matches!(again, Err(Error::InvalidChallenge)));
    }
}
