//! What has ended goes, in steps; what has not stays.

use base::{Id, Timestamp, kind};
use identity::NewApiKey;
use store::params;

use crate::house::{DAY, HOUR, House, MINUTE, PASSWORD, credentials};

store::sql! {
    FLOW = "INSERT INTO provider_flow (state_hash, flow_id, provider, browser_hash, body_sealed, created_at, expires_at) \
        VALUES ($1, $2, 'google', $1, $1, $3, $3)";
    FLOWS = "SELECT count(*) FROM provider_flow";
    CEREMONY = "INSERT INTO passkey_ceremony (ceremony_hash, body_sealed, created_at, expires_at) VALUES ($1, $1, $2, $2)";
    CEREMONIES = "SELECT count(*) FROM passkey_ceremony";
    NOTICE = "INSERT INTO sign_in_notice (code_hash, account_id, purpose, whence, about_at, expires_at) \
        VALUES ($1, $2, 'tell', $1, $3, $3)";
    NOTICES = "SELECT count(*) FROM sign_in_notice";
    KEYS = "SELECT count(*) FROM api_key";
    SESSIONS = "SELECT count(*) FROM session";
    DEVICES = "SELECT count(*) FROM known_device";
    COUNTERS = "SELECT count(*) FROM attempt_counter";
    BUDGETS = "SELECT count(*) FROM mail_budget";
}

fn hash(number: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

#[tokio::test]
async fn api_keys_that_ended_are_kept_a_week_and_then_go() {
    for house in House::all().await {
        house.account("ada").await;
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        let wish = |name: &str, expires_at: Option<Timestamp>| NewApiKey {
            name: name.to_owned(),
            scopes: vec!["track:read".to_owned()],
            networks: Vec::new(),
            expires_at,
        };
        let soon = house.clock.now().plus_ms(HOUR);
        let make = async |wish: NewApiKey| {
            house.identity.create_api_key(&caller, &wish, &house.meta()).await.unwrap()
        };
        let lasting = make(wish("lasting", None)).await;
        make(wish("short", Some(soon))).await;
        let revoked = make(wish("revoked", None)).await;
        house.identity.revoke_api_key(&caller, revoked.view.id, &house.meta()).await.unwrap();
        house.clock.advance_ms(6 * DAY);
        assert_eq!(house.identity.janitor().await.unwrap().api_keys, 0, "their owner may still ask");
        house.clock.advance_ms(DAY + HOUR + MINUTE);
        assert_eq!(house.identity.janitor().await.unwrap().api_keys, 2);
        assert_eq!(house.count(KEYS, params![]).await, 1);
        let address = "192.0.2.7".parse().unwrap();
        house.identity.authenticate_key(lasting.key.expose(), address).await.unwrap();
        assert!(house.identity.authenticate_key(revoked.key.expose(), address).await.is_err());
    }
}

/// More than one step holds, so that the loop is seen to go on; live ones between them.
#[tokio::test]
async fn what_nobody_answered_goes_in_steps_and_the_rest_stays() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let now = house.clock.now();
        let live = now.plus_ms(DAY);
        let mut tx = house.db.begin(base::Scope::System("test")).await.unwrap();
        for number in 0..1_100_u32 {
            let flow: Id<kind::Request> = Id::new(&house.clock, &house.entropy);
            let end = if number % 11 == 0 { live } else { now.plus_ms(-1) };
            tx.execute(FLOW, params![hash(number), flow, end]).await.unwrap();
            if number < 22 {
                tx.execute(CEREMONY, params![hash(number), end]).await.unwrap();
                tx.execute(NOTICE, params![hash(number), ada, end]).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        let swept = house.identity.janitor().await.unwrap();
        assert_eq!(swept.questions, 1_000 + 20 + 20);
        let left = |sql| house.count(sql, params![]);
        assert_eq!((left(FLOWS).await, left(CEREMONIES).await, left(NOTICES).await), (100, 2, 2));
        assert_eq!(house.identity.janitor().await.unwrap().questions, 0);
    }
}

#[tokio::test]
async fn nothing_of_an_abandoned_account_grows_for_ever() {
    for house in House::all().await {
        house.account("ada").await;
        let browser =
            house.identity.sign_in_browser(credentials("ada", PASSWORD), &house.meta()).await.unwrap();
        let mut meta = house.meta();
        meta.device = Some(browser.done().unwrap().device.expose().as_str().into());
        house.identity.sign_in(credentials("ada", PASSWORD), &meta).await.unwrap();
        let wrong =
            house.identity.sign_in(credentials("ada", "a wrong passphrase here"), &house.meta()).await;
        assert!(wrong.is_err());
        house.clock.advance_ms(500 * DAY);
        house.identity.janitor().await.unwrap();
        for (what, sql) in
            [("sessions", SESSIONS), ("devices", DEVICES), ("counters", COUNTERS), ("budgets", BUDGETS)]
        {
            assert_eq!(house.count(sql, params![]).await, 0, "{what}");
        }
    }
}
