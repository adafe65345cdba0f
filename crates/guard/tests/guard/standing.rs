//! The third gate with real sessions: the age of the second factor, the risk of the sign-in, the lock of the account.

use access::{Access, Conditions};
use base::Secret;
use guard::{Body, GuardConfig};
use identity::{AccountCaller, Again, Locator, RequestMeta, Settings, Whereabouts};
use threat::login::{Network, Place};

use crate::fixture::{Answer, House, credentials, request, usual_identity};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";

/// What an app on a phone shows.
struct App(Vec<u8>);

impl App {
    fn code(&self, house: &House) -> Secret<String> {
        let secret = totp_rs::Secret::new_stack(self.0.clone().try_into().unwrap());
        let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        Secret::new(totp.generate(u64::try_from(house.clock.now().as_secs()).unwrap()).to_string())
    }
}

/// The operator, who may delete tracks of theirs, and has an app.
struct Someone {
    token: String,
    app: App,
}

impl House {
    async fn with_conditions(settings: Settings, conditions: Conditions) -> Self {
        Self::with(settings, Access::builtin().unwrap().under(conditions), |_: &mut GuardConfig| {}).await
    }

    fn from(&self, address: &str, agent: &str) -> RequestMeta {
        let mut meta = self.meta();
        (meta.address, meta.agent) = (Some(address.parse().unwrap()), Some(agent.into()));
        meta
    }

    async fn caller(&self, token: &str) -> AccountCaller {
        self.identity.authenticate_token(token).await.unwrap()
    }

    /// Signs in from there with password and code.
    async fn strongly(&self, app: &App, meta: &RequestMeta) -> String {
        let half = self.identity.sign_in(credentials("operator"), meta).await.unwrap().partial().unwrap();
        let code = app.code(self);
        let pair = self.identity.sign_in_with_code(half.challenge.expose(), &code, meta).await.unwrap();
        pair.access_token.expose().clone()
    }

    async fn give_again(&self, token: &str, app: &App) {
        let again = Again { password: None, code: Some(app.code(self)) };
        self.identity.reauthenticate(&self.caller(token).await, again, &self.meta()).await.unwrap();
    }

    async fn delete(&self, token: &str) -> Answer {
        self.ask("DELETE", "/tracks/1", &[("authorization", &format!("Bearer {token}"))]).await
    }

    async fn look(&self, token: &str) -> Answer {
        self.ask("GET", "/playlists/1", &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// The operator with an app, at home for some days, and the owner of what the routes name.
    async fn someone(&self) -> Someone {
        let home = self.from("192.0.2.7", "Studio/1.0");
        let who = self.operator_at(&home).await;
        for _ in 0..5 {
            self.clock.advance_ms(DAY);
            self.identity.sign_in(credentials("operator"), &home).await.unwrap();
        }
        let pair = self.identity.sign_in(who, &home).await.unwrap().done().unwrap();
        let token = pair.access_token.expose().clone();
        let caller = self.caller(&token).await;
        let setup = self.identity.setup_totp(&caller, None, &home).await.unwrap();
        let secret = totp_rs::Secret::try_from_base32(setup.secret.expose()).unwrap();
        let app = App(secret.as_bytes().to_vec());
        self.identity.confirm_totp(&caller, setup.factor, &app.code(self), &home).await.unwrap();
        self.register(&token, "track", "1").await;
        self.register(&token, "playlist", "1").await;
        self.clock.advance_ms(30_000);
        Someone { token, app }
    }

    /// What the trail says about the denial that this work comes to: its code and rule, and the policies' version.
    async fn denial(&self, work: impl Future<Output = Answer>) -> (Answer, serde_json::Value) {
        let mut events = self.audit.subscribe();
        let answer = work.await;
        loop {
            let entry = events.next().await.unwrap();
            if entry.kind == "authz.denied" {
                assert_eq!(entry.details["policy_version"], *self.relations.access().version());
                return (answer, entry.details.clone());
            }
        }
    }
}

#[tokio::test]
async fn a_second_factor_counts_as_long_as_it_is_fresh() {
    let conditions = Conditions { step_up_max_age_s: 600, ..Conditions::default() };
    let house = House::with_conditions(usual_identity(), conditions).await;
    let ada = house.someone().await;
    let token = house.strongly(&ada.app, &house.from("192.0.2.7", "Studio/1.0")).await;
    assert_eq!(house.delete(&token).await.status, 200, "given just now");
    house.clock.advance_ms(10 * MINUTE);
    assert_eq!(house.delete(&token).await.status, 200, "ten minutes old");
    house.clock.advance_ms(MINUTE);
    let (refused, denial) = house.denial(house.delete(&token)).await;
    assert_eq!(refused.slug(), "reauthentication-required");
    assert_eq!(
        (&denial["code"], &denial["rule"]),
        (&"mfa-required".into(), &"assurance.second-factor".into())
    );
    assert_eq!(house.look(&token).await.status, 200, "looking demands none");
    house.give_again(&token, &ada.app).await;
    assert_eq!(house.delete(&token).await.status, 200);
}

/// 192.0.2.x is in Berlin, everything else in Sydney.
fn located() -> Settings {
    let mut settings = usual_identity();
    settings.risk.locator = Locator::new(|address| {
        let home = address.to_string().starts_with("192.0.2.");
        let berlin = Place { country: *b"DE", city: Some(1), position: Some((52.52, 13.405)) };
        let sydney = Place { country: *b"AU", city: Some(2), position: Some((-33.87, 151.21)) };
        let network = Network { provider: Some(if home { 1 } else { 2 }), ..Network::default() };
        Whereabouts { network, place: Some(if home { berlin } else { sydney }) }
    });
    settings
}

#[tokio::test]
async fn a_risky_session_does_nothing_grave_until_its_person_has_stepped_up() {
    let house = House::with_conditions(located(), Conditions::default()).await;
    let ada = house.someone().await;
    assert_eq!(house.delete(&ada.token).await.status, 200, "at home");
    house.clock.advance_ms(5 * MINUTE);
    let token = house.strongly(&ada.app, &house.from("198.51.100.9", PHONE)).await;
    let (refused, denial) = house.denial(house.delete(&token)).await;
    assert_eq!(refused.slug(), "reauthentication-required");
    assert_eq!((&denial["code"], &denial["rule"]), (&"risk".into(), &"assurance.risk".into()));
    assert_eq!(house.look(&token).await.status, 200, "looking is no harm");
    assert_eq!(house.delete(&ada.token).await.status, 200, "the session at home is what it was");
    house.clock.advance_ms(30_000);
    house.give_again(&token, &ada.app).await;
    assert_eq!(house.delete(&token).await.status, 200, "stepped up");
}

#[tokio::test]
async fn an_operator_who_sets_no_limit_to_risk_has_none() {
    let conditions = Conditions { risk_limit: 101, ..Conditions::default() };
    let house = House::with_conditions(located(), conditions).await;
    let ada = house.someone().await;
    house.clock.advance_ms(5 * MINUTE);
    let token = house.strongly(&ada.app, &house.from("198.51.100.9", PHONE)).await;
    assert!(house.caller(&token).await.risk >= 80);
    assert_eq!(house.delete(&token).await.status, 200);
}

#[tokio::test]
async fn a_locked_account_does_nothing_in_any_session_until_it_is_unlocked() {
    let settings = Settings {
        attempts_hard_stop: 6,
        attempts_before_delay: 1_000,
        network_attempts_before_delay: 1_000,
        ..usual_identity()
    };
    let house = House::with_conditions(settings, Conditions::default()).await;
    let ada = house.person("ada").await;
    let (taken, other) = (house.token(ada).await, house.token(credentials("ada")).await);
    house.register(&other, "playlist", "1").await;
    assert_eq!(house.look(&other).await.status, 200);
    let caller = house.caller(&taken).await;
    for _ in 0..6 {
        let again = Again { password: Some(Secret::new("not the right one at all".into())), code: None };
        assert!(house.identity.reauthenticate(&caller, again, &house.meta()).await.is_err());
    }
    for token in [&taken, &other] {
        let (refused, denial) = house.denial(house.look(token)).await;
        assert_eq!(refused.slug(), "forbidden");
        assert_eq!((&denial["code"], &denial["rule"]), (&"locked".into(), &"condition.locked".into()));
        // What leads out of it stays open.
        let own =
            request("GET", "/auth/profile", &[("authorization", &format!("Bearer {token}"))], Body::Empty);
        assert_eq!(house.send(own).await.status, 200);
    }
    let permit = access::Permit::for_system("test");
    house.identity.lift_stops(permit, caller.account, &house.meta()).await.unwrap();
    assert_eq!(house.look(&other).await.status, 200);
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_denies_and_is_a_critical_event() {
    let dir = tempfile::tempdir().unwrap();
    // Strictly valid, yet adds up beyond 64 bits.
    let text = r#"@id("overflow") forbid (principal, action == Fortissimo::Action::"playlist:read", resource)
        when { 9223372036854775807 + 1 == 0 };"#;
    std::fs::write(dir.path().join("overflow.cedar"), text).unwrap();
    let house = House::with(usual_identity(), Access::load(dir.path()).unwrap(), |_| {}).await;
    let token = house.token(house.operator().await).await;
    house.register(&token, "playlist", "1").await;
    house.register(&token, "track", "1").await;
    let mut events = house.audit.subscribe();
    assert_eq!(house.look(&token).await.slug(), "forbidden", "a forbid that fails lets nobody through");
    let failed = loop {
        let entry = events.next().await.unwrap();
        if entry.kind == "authz.failed" {
            break entry;
        }
    };
    assert_eq!((failed.severity, &*failed.outcome), (5, "denied"), "critical");
    assert_eq!(failed.details["policy_version"], *house.relations.access().version());
    assert_eq!(failed.details["action"], "playlist:read");
    assert_eq!(house.delete(&token).await.status, 200, "nothing else is touched by it");
}
