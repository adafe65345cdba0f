//! Promises of the engine as a whole.

use std::net::IpAddr;

use base::Timestamp;
use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_790_000_000_000;
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1";
const BERLIN: Place = Place { country: *b"DE", city: Some(1), position: Some((52.52, 13.405)) };
const SYDNEY: Place = Place { country: *b"AU", city: Some(2), position: Some((-33.87, 151.21)) };

fn at_home(day: i64) -> Sighting {
    let mut sighting = Sighting::at(Timestamp::from_millis(START + day * DAY));
    sighting.address = Some(IpAddr::from([192, 0, 2, 7]));
    sighting.network.provider = Some(64_500);
    sighting.place = Some(BERLIN);
    sighting.agent = Agent::parse(FIREFOX);
    sighting.rtt_ms = Some(20);
    sighting
}

/// A person who signed in from home, with one device, every day.
fn settled(days: i64) -> (Engine, History, Population) {
    let (engine, mut history, mut population) =
        (Engine::default(), History::default(), Population::default());
    for day in 0..days {
        engine.learn(&at_home(day), &mut history, &mut population);
    }
    (engine, history, population)
}

fn codes(assessment: &Assessment) -> Vec<&'static str> {
    assessment.reasons.iter().filter(|r| r.part == Part::Fixed).map(|r| r.code.name()).collect()
}

#[test]
fn the_usual_is_allowed_without_fixed_reasons() {
    let (engine, history, population) = settled(10);
    let usual = engine.assess(&at_home(10), &history, &population);
    assert_eq!(usual.outcome, Outcome::Allow);
    assert!(codes(&usual).is_empty());
    assert!(usual.learned.unwrap() < -2.0, "{usual:?}");
    assert!(usual.score(&engine.thresholds) < 20);
}

#[test]
fn signals_count_as_written_and_reaching_the_limit_counts() {
    let (mut engine, history, population) = settled(30);
    engine.thresholds.learned_step_up = f32::INFINITY;
    let mut new_device = at_home(30);
    new_device.agent = Agent::parse(IPHONE);
    let assessment = engine.assess(&new_device, &history, &population);
    assert_eq!((codes(&assessment), assessment.outcome), (vec!["new-device"], Outcome::Notify));
    assert!((assessment.fixed - 0.4).abs() < 1e-6);

    let mut at_night = at_home(30);
    at_night.at = at_night.at.plus_ms(12 * HOUR);
    let assessment = engine.assess(&at_night, &history, &population);
    assert_eq!((codes(&assessment), assessment.outcome), (vec!["unusual-hour"], Outcome::Allow));

    // 0.3 + 0.2 is exactly the limit. The hour is by the sun of the place: Sydney's noon is not Berlin's.
    let mut away = at_home(31);
    away.place = Some(SYDNEY);
    let assessment = engine.assess(&away, &history, &population);
    assert_eq!(
        (codes(&assessment), assessment.outcome),
        (vec!["new-place", "unusual-hour"], Outcome::StepUp)
    );

    let mut hidden = at_home(30);
    hidden.network.anonymous = Some(true);
    let assessment = engine.assess(&hidden, &history, &population);
    assert_eq!((codes(&assessment), assessment.outcome), (vec!["bad-network"], Outcome::StepUp));

    let mut breached = at_home(30);
    breached.circumstances.breached_password = true;
    assert_eq!(engine.assess(&breached, &history, &population).outcome, Outcome::StepUp);
    let mut after_failures = at_home(30);
    after_failures.circumstances.account_failures = 3;
    assert_eq!(codes(&engine.assess(&after_failures, &history, &population)), vec!["recent-failures"]);
}

#[test]
fn travel_is_impossible_only_with_another_device_and_in_the_open() {
    let (engine, history, population) = settled(5);
    let mut far = at_home(4);
    far.at = far.at.plus_ms(2 * HOUR);
    far.place = Some(SYDNEY);
    assert!(
        !codes(&engine.assess(&far, &history, &population)).contains(&"impossible-travel"),
        "same device"
    );
    far.agent = Agent::parse(IPHONE);
    let open = engine.assess(&far, &history, &population);
    assert!(codes(&open).contains(&"impossible-travel"));
    far.network.anonymous = Some(true);
    assert!(!codes(&engine.assess(&far, &history, &population)).contains(&"impossible-travel"));
    far.network.anonymous = Some(false);
    far.circumstances.account_failures = 9;
    far.circumstances.breached_password = true;
    assert_eq!(
        engine.assess(&far, &history, &population).outcome,
        Outcome::Deny,
        "several strong ones together"
    );
}

#[test]
fn the_signed_cookie_speaks_for_the_owner_and_its_loss_against() {
    let (engine, mut history, mut population) = settled(0);
    for day in 0..12 {
        let mut sighting = at_home(day);
        sighting.device = Some(77);
        engine.learn(&sighting, &mut history, &mut population);
    }
    let mut elsewhere = at_home(12);
    elsewhere.address = Some(IpAddr::from([198, 51, 100, 9]));
    elsewhere.network.provider = Some(64_501);
    let without = engine.assess(&elsewhere, &history, &population);
    elsewhere.device = Some(77);
    let with = engine.assess(&elsewhere, &history, &population);
    assert!(with.learned.unwrap() + 3.0 < without.learned.unwrap(), "{with:?} {without:?}");
    assert!(without.reasons.iter().any(|reason| reason.code == ReasonCode::LostCookie));
    assert_eq!(with.outcome, Outcome::Allow);
    assert_eq!(without.outcome, Outcome::StepUp);
}

#[test]
fn a_new_address_counts_on_a_sticky_line_and_not_on_a_pooled_one() {
    let (engine, sticky, population) = settled(20);
    let (mut pooled, mut scratch) = (History::default(), Population::default());
    for day in 0..20 {
        let mut sighting = at_home(day);
        sighting.address = Some(IpAddr::from([192, 0, 2, u8::try_from(day).unwrap() + 50]));
        engine.learn(&sighting, &mut pooled, &mut scratch);
    }
    let mut new_address = at_home(20);
    new_address.address = Some(IpAddr::from([192, 0, 2, 200]));
    let (on_sticky, on_pooled) = (
        engine.assess(&new_address, &sticky, &population).learned.unwrap(),
        engine.assess(&new_address, &pooled, &population).learned.unwrap(),
    );
    assert!(on_sticky > on_pooled + 1.5, "{on_sticky} {on_pooled}");
}

#[test]
fn a_stranger_in_all_respects_must_prove_more() {
    let (engine, history, population) = settled(10);
    let mut stranger = at_home(10);
    stranger.address = Some(IpAddr::from([203, 0, 113, 5]));
    stranger.network.provider = Some(64_999);
    stranger.place = Some(SYDNEY);
    stranger.agent = Agent::parse(IPHONE);
    stranger.rtt_ms = Some(300);
    let assessment = engine.assess(&stranger, &history, &population);
    assert_eq!(assessment.outcome, Outcome::StepUp);
    assert!(assessment.learned.unwrap() > 3.0, "{assessment:?}");
    assert!(assessment.score(&engine.thresholds) >= 50);
    assert!(assessment.against().count() >= 3);
    // What is said adds up to what was decided.
    let said: f32 =
        assessment.reasons.iter().filter(|r| r.part == Part::Learned).map(|r| r.contribution).sum();
    assert!((said - assessment.learned.unwrap()).abs() < 0.3);
}

#[test]
fn a_cold_start_is_said() {
    let engine = Engine::default();
    let first = engine.assess(&at_home(0), &History::default(), &Population::default());
    assert!(first.cold_start && first.learned.is_none());
    assert_eq!((codes(&first), first.outcome), (vec!["cold-start"], Outcome::Notify));
}

#[test]
fn history_is_bounded_and_forgets_the_oldest() {
    let (_, history, _) = settled(200);
    assert_eq!(history.len(), HISTORY_LIMIT);
    assert!(history.to_bytes().len() < 5_000);
    assert_eq!(history.past.last().unwrap().at, at_home(199).at);
    assert_eq!(History::from_bytes(&history.to_bytes()).unwrap(), history);
}

#[test]
fn populations_add_up_and_fade() {
    let (engine, _, all) = settled(40);
    let (mut history, mut first, mut second) =
        (History::default(), Population::default(), Population::default());
    for day in 0..40 {
        engine.learn(&at_home(day), &mut history, if day < 15 { &mut first } else { &mut second });
    }
    first.merge(&second);
    assert!((first.sign_ins() - all.sign_ins()).abs() < 1e-3);
    assert_eq!(Population::from_bytes(&all.to_bytes()).unwrap(), all);
    assert!(all.to_bytes().len() < 40_000);
    for _ in 0..14 {
        let twin = first.clone();
        first.merge(&twin);
    }
    assert!(first.sign_ins() <= 200_000.0, "{}", first.sign_ins());
}

#[test]
fn damaged_state_is_refused() {
    let (_, history, population) = settled(8);
    let (history, population) = (history.to_bytes(), population.to_bytes());
    for bytes in [&history, &population] {
        assert!(History::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Population::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
    assert!(History::from_bytes(&[history.clone(), vec![0]].concat()).is_err());
    assert!(History::from_bytes(b"").is_err());
    let mut newer = history;
    newer[4] = 9;
    assert_eq!(History::from_bytes(&newer), Err(CorruptState("another version")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), version in 0_u8..3) {
        for magic in [b"ftlh", b"ftlp"] {
            let bytes = [&magic[..], &[version], &bytes].concat();
            let _ = History::from_bytes(&bytes);
            let _ = Population::from_bytes(&bytes);
        }
    }

    #[test]
    fn scores_are_numbers_whatever_is_seen(
        steps in proptest::collection::vec((any::<i64>(), any::<u32>(), 0_u8..4, any::<u16>(), any::<bool>(), any::<u32>()), 1..40),
    ) {
        let (engine, mut history, mut population) = settled(2);
        for (at, address, agent, asn, hidden, rtt) in steps {
            let mut sighting = Sighting::at(Timestamp::from_millis(at));
            sighting.address = Some(IpAddr::from(address.to_be_bytes()));
            sighting.agent = Agent::parse(&"x".repeat(usize::from(agent)));
            sighting.network.provider = (asn % 3 > 0).then_some(u32::from(asn));
            sighting.network.anonymous = Some(hidden);
            sighting.rtt_ms = (rtt % 2 == 0).then_some(rtt);
            sighting.place = hidden.then_some(SYDNEY);
            let assessment = engine.assess(&sighting, &history, &population);
            prop_assert!(assessment.learned.unwrap().is_finite(), "{assessment:?}");
            prop_assert!(assessment.reasons.iter().all(|reason| reason.contribution.is_finite()));
            engine.learn(&sighting, &mut history, &mut population);
        }
    }
}
