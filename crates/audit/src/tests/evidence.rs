//! What others say about the log, as it is kept.

use crypto::log::{Checkpoint, verify_consistency};
use store::testing;

use super::House;
use crate::{Evidence, EvidenceSource, Heard};

#[tokio::test]
async fn one_node_at_a_time_asks_and_what_was_said_is_kept() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let source = EvidenceSource::Witnesses;
        assert!(house.audit.claim_evidence(source, 1_000).await.unwrap());
        assert!(!house.audit.claim_evidence(source, 1_000).await.unwrap(), "another node has asked already");
        assert!(house.audit.claim_evidence(EvidenceSource::TimeStamps, 1_000).await.unwrap());
        house.clock.advance_ms(1_000);
        assert!(house.audit.claim_evidence(source, 1_000).await.unwrap());
        // What failed is asked for again soon, not after the whole time.
        house.audit.ask_again(source, 100).await.unwrap();
        house.clock.advance_ms(100);
        assert!(house.audit.claim_evidence(source, 1_000).await.unwrap());

        assert_eq!(house.audit.evidence(source).await.unwrap(), None);
        let at = house.clock.now();
        let said = |size: u64| Evidence { size, checkpoint: format!("note {size}"), evidence: vec![1], at };
        for size in 1..=100 {
            house.audit.keep_evidence(source, &said(size)).await.unwrap();
        }
        assert_eq!(house.audit.evidence(source).await.unwrap(), Some(said(100)));
        // The earliest that is kept and covers the entry; nothing covers what came later.
        assert_eq!(house.audit.evidence_for(source, 3).await.unwrap(), Some(said(37)));
        assert_eq!(house.audit.evidence_for(source, 98).await.unwrap(), Some(said(99)));
        assert_eq!(house.audit.evidence_for(source, 100).await.unwrap(), None);
        assert_eq!(house.audit.evidence(EvidenceSource::TimeStamps).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_witness_is_given_the_proof_that_the_log_goes_on() {
    let house = House::new(store::Db::memory()).await;
    let ada = house.account().await;
    let mut heads = Vec::new();
    for round in 0..4 {
        for _ in 0..=round * 90 {
            house.audit.record(house.traffic(200));
        }
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.audit.settled().await.unwrap();
        let note = house.audit.checkpoint().await.unwrap().unwrap();
        heads.push(Checkpoint::read_unverified(&note).unwrap());
    }
    let new = heads.last().unwrap();
    for old in &heads {
        let proof = house.audit.consistency(old.size, new.size).await.unwrap().unwrap();
        assert!(verify_consistency(old.size, &old.root, new.size, &new.root, &proof));
    }
    assert_eq!(house.audit.consistency(new.size, heads[0].size).await.unwrap(), None);
}

#[tokio::test]
async fn who_fails_recovers_or_disputes_is_told_once_each() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let who = "witness witness.example/w1";
        let hear = async |heard: Heard| house.audit.heard(who, 7, &heard).await.unwrap();
        let failing = || Heard::Failing("nobody is there\nat all".to_owned());
        let disputed = || Heard::Disputed("it has seen 9 entries".to_owned());
        assert!(!hear(Heard::Well).await, "all is well from the beginning");
        assert!(hear(failing()).await);
        house.clock.advance_ms(1_000);
        assert!(!hear(failing()).await, "said once");
        let state = house.audit.evidence_states().await.unwrap().remove(0);
        assert_eq!((state.who.as_str(), state.disputed), (who, false));
        assert_eq!(state.failing_since, Some(house.clock.now().plus_ms(-1_000)));
        assert_eq!(state.failure.as_deref(), Some("nobody is there\\u{a}at all"));
        assert!(hear(disputed()).await, "worse than silence");
        assert!(!hear(disputed()).await);
        assert!(!hear(failing()).await, "silence does not end a dispute");
        assert!(house.audit.evidence_states().await.unwrap()[0].disputed);
        // One that goes to and fro does not ring each time.
        for _ in 0..5 {
            assert!(!hear(Heard::Well).await);
            assert!(house.audit.evidence_states().await.unwrap()[0].disputed, "well for a moment only");
            house.clock.advance_ms(3_599_999);
            assert!(!hear(Heard::Well).await);
            assert!(!hear(disputed()).await);
            house.clock.advance_ms(60_000);
        }
        assert!(!hear(Heard::Well).await);
        house.clock.advance_ms(1_800_000);
        assert!(!hear(failing()).await, "silence is not well");
        house.clock.advance_ms(1_800_000);
        assert!(!hear(Heard::Well).await);
        house.clock.advance_ms(3_600_000);
        assert!(hear(Heard::Well).await, "well for an hour");
        let state = house.audit.evidence_states().await.unwrap().remove(0);
        assert_eq!((state.disputed, state.failing_since), (false, None));
        assert!(!hear(Heard::Well).await);
        assert!(hear(disputed()).await);
        house.audit.settled().await.unwrap();
        let log = house.audit.read_log(0, 100).await.unwrap().into_iter().map(|read| read.entry);
        let told: Vec<_> = log.map(|e| (e.kind, e.severity, e.outcome)).collect();
        let line = |kind: &str, severity, outcome: &str| (kind.to_owned(), severity, outcome.to_owned());
        assert_eq!(
            told,
            [
                line("evidence.failing", 4, "failure"),
                line("log.disputed", 6, "failure"),
                line("evidence.recovered", 2, "success"),
                line("log.disputed", 6, "failure"),
            ]
        );
        // Somebody else is another matter.
        assert!(house.audit.heard("time stamps", 7, &failing()).await.unwrap());
        assert_eq!(house.audit.evidence_states().await.unwrap().len(), 2);
    }
}
