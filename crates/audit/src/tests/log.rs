//! The sequencer and the tree: contiguous, complete, crash-safe, one leader among many.

use std::collections::BTreeSet;

use base::Id;
use crypto::log::{Checkpoint, ProofFile, leaf_hash, verify_inclusion};
use keys::Subject;
use store::{params, sql, testing};

use super::{House, SYSTEM};
use crate::leaf::Leaf;
use crate::log::extend::Cut;
use crate::log::sequencer::{Sequencer, Step};
use crate::outbox::When;
use crate::packed::Packer;
use crate::{Audit, Event, LogEntry, Record, outbox};

sql! {
    OUTBOX = "SELECT count(*) FROM audit_outbox";
    PUT_OFF = "SELECT count(*) FROM audit_outbox WHERE later";
    LEAF = "SELECT leaf FROM audit_event WHERE idx = $1";
    RUBBISH = "INSERT INTO audit_outbox (events) VALUES ($1)";
    CUT_TILE = "UPDATE audit_tile SET hashes = $1 WHERE level = 0";
}

async fn all(house: &House) -> Vec<LogEntry> {
    let mut all: Vec<LogEntry> = Vec::new();
    loop {
        let more = house.audit.read_log(all.len() as u64, 1_000).await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// What must hold of every log: no hole, no event twice, every leaf proven by the newest checkpoint.
async fn sound(house: &House) -> usize {
    house.audit.settled().await.unwrap();
    let entries = all(house).await;
    let ids: BTreeSet<_> = entries.iter().map(|e| e.entry.id).collect();
    assert_eq!(ids.len(), entries.len(), "no event is twice in the log");
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.index == at as u64), "no hole");
    let text = house.audit.checkpoint().await.unwrap().unwrap_or_default();
    let (origin, trusted) = (house.keys.log_origin().unwrap(), house.keys.log_verifiers());
    let open = Checkpoint::open(&text, &origin, &trusted).unwrap().checkpoint;
    assert_eq!(open.size, entries.len() as u64);
    for LogEntry { index, entry } in &entries {
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        let leaf: Vec<u8> =
            tx.query_one(LEAF, params![i64::try_from(*index).unwrap()]).await.unwrap().get(0).unwrap();
        drop(tx);
        assert_eq!(Leaf::decode(&leaf).unwrap().id, entry.id);
        if index % 97 == 0 || entries.len() < 50 {
            let proof = ProofFile::parse(&house.audit.proof(entry.id).await.unwrap().unwrap()).unwrap();
            assert_eq!(proof.index, *index);
            assert!(verify_inclusion(&leaf_hash(&leaf), *index, open.size, &proof.hashes, &open.root));
            assert_eq!(proof.checkpoint, text);
        }
    }
    entries.len()
}

#[tokio::test]
async fn every_event_gets_the_next_index_and_a_proof() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        for _ in 0..700 {
            house.audit.record(house.traffic(200));
        }
        for _ in 0..5 {
            house.audit.record_durable(house.critical(ada)).await.unwrap();
        }
        assert_eq!(sound(&house).await, 705);
        let head = house.audit.tree().borrow().clone();
        assert_eq!(head.size, 705);
        for (path, bytes) in [("tile/0/000", 8_192), ("tile/0/002.p/193", 193 * 32), ("tile/1/000.p/2", 64)] {
            assert_eq!(house.audit.tile(path).await.unwrap().unwrap().len(), bytes, "{path}");
        }
        let narrow = house.audit.tile("tile/0/002.p/1").await.unwrap().unwrap();
        assert_eq!(narrow.len(), 32, "a narrower tile is the beginning of the wider one");
        assert!(house.audit.tile("tile/entries/002.p/193").await.unwrap().is_some());
        for absent in [
            "tile/0/002",
            "tile/0/003",
            "tile/0/002.p/194",
            "tile/2/000",
            "tile/entries/003",
            "x",
            "tile/0/0",
        ] {
            assert_eq!(house.audit.tile(absent).await.unwrap(), None, "{absent}");
        }
        let nobody = Id::new(&house.clock, &house.entropy);
        assert_eq!(house.audit.proof(nobody).await.unwrap(), None);
        assert!(house.audit.entry(nobody).await.unwrap().is_none());
    }
}

/// A crash may come between any two steps; what was durable is in the log afterwards, once.
#[tokio::test]
async fn a_sequencer_that_dies_anywhere_leaves_a_whole_log() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.audit.shutdown().await;
        let mut recorded = 1;
        for cut in
            [Cut::BeforeWriting, Cut::AfterMoving, Cut::AfterEvents, Cut::BeforeCommit, Cut::AfterCommit]
        {
            for _ in 0..2 {
                let mut tx = house.db.begin(SYSTEM).await.unwrap();
                for _ in 0..3 {
                    house.audit.append(&mut tx, &house.critical(ada)).await.unwrap();
                }
                tx.commit().await.unwrap();
                recorded += 3;
                let mut dying = Sequencer::new(house.audit.0.core.clone());
                *house.audit.0.core.log.cut.lock() = Some(cut);
                // It waits for the one that died before it, as it must.
                let died = loop {
                    match dying.step().await {
                        Err(error) => break error.to_string(),
                        Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                    }
                };
                assert!(died.contains("cut"), "{died}");
            }
        }
        let reborn =
            Audit::start(house.db.clone(), house.keys.clone(), house.clock.clone(), house.entropy.clone());
        let house = House { audit: reborn, ..house };
        assert_eq!(sound(&house).await, recorded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_make_one_log() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        let node =
            || Audit::start(house.db.clone(), house.keys.clone(), house.clock.clone(), house.entropy.clone());
        let nodes = [house.audit.clone(), node(), node()];
        let mut tasks = tokio::task::JoinSet::new();
        for round in 0..120 {
            let (audit, record) = (nodes[round % 3].clone(), house.critical(ada));
            tasks.spawn(async move { audit.record_durable(record).await.unwrap() });
        }
        tasks.join_all().await;
        // One of them goes away in the middle; the others take over.
        nodes[0].shutdown().await;
        for _ in 0..10 {
            nodes[1].record_durable(house.critical(ada)).await.unwrap();
        }
        nodes[2].settled().await.unwrap();
        let house = House { audit: nodes[2].clone(), ..house };
        assert_eq!(sound(&house).await, 130);
        super::eventually("every node knows the newest tree", async || nodes[1].tree().borrow().size == 130)
            .await;
    }
}

/// Two sequencers that both believe to lead: the tree's row decides.
#[tokio::test]
async fn of_two_sequencers_at_once_one_gets_through() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        house.audit.shutdown().await;
        let (mut one, mut two) =
            (Sequencer::new(house.audit.0.core.clone()), Sequencer::new(house.audit.0.core.clone()));
        for _ in 0..20 {
            let mut tx = house.db.begin(SYSTEM).await.unwrap();
            house.audit.append(&mut tx, &house.critical(ada)).await.unwrap();
            tx.commit().await.unwrap();
            (one.usurps, two.usurps) = (true, true);
            let (first, second) = tokio::join!(one.step(), two.step());
            assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
            while one.step().await.unwrap() != Step::Rest {}
        }
        let reborn =
            Audit::start(house.db.clone(), house.keys.clone(), house.clock.clone(), house.entropy.clone());
        let house = House { audit: reborn, ..house };
        assert_eq!(sound(&house).await, 20);
    }
}

#[tokio::test]
async fn a_row_written_twice_and_one_that_is_rubbish_do_not_stop_the_log() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        let record = house.critical(ada);
        let id = Id::at(record.at, &house.entropy);
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let (keys, entropy) = (&house.keys, &house.entropy);
        let event =
            outbox::seal_in(&mut tx, keys, entropy, &record, id, outbox::Keyless::Refuse).await.unwrap();
        outbox::insert(&mut tx, Packer::of(&event.event), When::Next).await.unwrap();
        tx.commit().await.unwrap();
        house.audit.settled().await.unwrap();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        outbox::insert(&mut tx, Packer::of(&event.event), When::Next).await.unwrap();
        tx.execute(RUBBISH, params![vec![9_u8; 40]]).await.unwrap();
        house.audit.append(&mut tx, &house.critical(ada)).await.unwrap();
        tx.commit().await.unwrap();
        let count = sound(&house).await;
        let kinds: Vec<_> = all(&house).await.into_iter().map(|e| e.entry.kind).collect();
        assert_eq!((count, kinds.iter().filter(|kind| *kind == "audit.gap").count()), (3, 1), "{kinds:?}");
        let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
        assert_eq!(tx.query_one(OUTBOX, params![]).await.unwrap().get::<i64>(0).unwrap(), 0);
    }
}

async fn waiting(house: &House) -> i64 {
    let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
    tx.query_one(OUTBOX, params![]).await.unwrap().get(0).unwrap()
}

/// Where writing is one at a time, who leads the log needs no outbox; if that fails, the outbox is there.
#[tokio::test]
async fn on_sqlite_the_leader_writes_straight_into_the_log() {
    let house = House::new(store::Db::memory()).await;
    let ada = house.account().await;
    // The first one makes it the leader.
    house.audit.record_durable(house.critical(ada)).await.unwrap();
    house.audit.settled().await.unwrap();
    for size in 2..30 {
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        // No sequencer had its turn yet.
        assert_eq!((house.audit.tree().borrow().size, waiting(&house).await), (size, 0));
    }
    for cut in [Cut::AfterMoving, Cut::AfterEvents] {
        let size = house.audit.tree().borrow().size;
        *house.audit.0.core.log.cut.lock() = Some(cut);
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        assert_eq!((house.audit.tree().borrow().size, waiting(&house).await), (size, 1), "{cut:?}");
        *house.audit.0.core.log.cut.lock() = None;
        house.audit.settled().await.unwrap();
    }
    assert_eq!(sound(&house).await, 31);
}

#[tokio::test]
async fn a_damaged_tree_is_not_continued() {
    let house = House::new(store::Db::memory()).await;
    let ada = house.account().await;
    house.audit.record_durable(house.critical(ada)).await.unwrap();
    house.audit.settled().await.unwrap();
    house.audit.shutdown().await;
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    tx.execute(CUT_TILE, params![vec![7_u8; 32]]).await.unwrap();
    tx.commit().await.unwrap();
    let reborn =
        Audit::start(house.db.clone(), house.keys.clone(), house.clock.clone(), house.entropy.clone());
    reborn.record_durable(house.critical(ada)).await.unwrap();
    super::eventually("the damage is told", async || {
        reborn.health().problems.iter().any(|p| p.contains("tiles do not give the root"))
    })
    .await;
    assert_eq!(reborn.tree().borrow().size, 1, "durable, but not in a tree that cannot be right");
}

#[tokio::test]
async fn what_an_operator_does_has_a_body_for_each_person() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, operator) = (house.account().await, house.account().await);
        let record =
            Record::new(house.clock.now(), Event::AccountDisabled { reason: Some("payment".into()) })
                .by(base::Actor::Account(operator))
                .about(ada)
                .during(house.request());
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let id = house.audit.append(&mut tx, &record).await.unwrap();
        tx.commit().await.unwrap();
        house.audit.settled().await.unwrap();
        let whole = house.audit.entry(id).await.unwrap().unwrap().entry;
        assert_eq!((whole.details["reason"].as_str(), whole.agent.is_some()), (Some("payment"), true));

        // The operator leaves: what they did to Ada stays hers, where they did it from is gone.
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.keys.destroy_subject(&mut tx, Subject::Account(operator)).await.unwrap();
        tx.commit().await.unwrap();
        super::eventually("the key is forgotten", async || {
            house.audit.entry(id).await.unwrap().unwrap().entry.agent.is_none()
        })
        .await;
        let left = house.audit.entry(id).await.unwrap().unwrap().entry;
        assert_eq!(left.details["reason"], "payment");
        assert!(left.erased && !left.damaged);
    }
}

/// While requests come faster than the log can be written, traffic waits in the outbox, and what somebody waits for
/// overtakes it. Nothing is lost, also not at the end.
#[tokio::test]
async fn under_pressure_traffic_waits_for_its_time() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.audit.settled().await.unwrap();
        let put_off = async || -> i64 {
            let mut tx = house.db.begin_read(SYSTEM).await.unwrap();
            tx.query_one(PUT_OFF, params![]).await.unwrap().get(0).unwrap()
        };
        for _ in 0..3_000 {
            house.audit.record(house.traffic(200));
        }
        super::eventually("traffic waits", async || put_off().await > 4).await;
        // As long as this says so, no more than its share gets into the log.
        house.audit.0.core.log.pressure.feel();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        let id = house.audit.append(&mut tx, &house.critical(ada)).await.unwrap();
        tx.commit().await.unwrap();
        super::eventually("it overtakes", async || {
            house.audit.0.core.log.pressure.feel();
            house.audit.entry(id).await.unwrap().is_some()
        })
        .await;
        assert!(put_off().await > 0, "it did not wait for what was put off");
        house.audit.0.core.log.pressure.feel();
        house.audit.shutdown().await;
        assert_eq!(put_off().await, 0);
        assert_eq!(sound(&house).await, 3_002);
        assert_eq!(house.audit.health().dropped, 0);
    }
}

/// Events that come one by one share what a batch costs: there is no batch sooner than 20 ms after a small one.
#[tokio::test]
async fn few_events_gather() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        let append = async || {
            let mut tx = house.db.begin(SYSTEM).await.unwrap();
            house.audit.append(&mut tx, &house.critical(ada)).await.unwrap();
            tx.commit().await.unwrap();
        };
        append().await;
        house.audit.settled().await.unwrap();
        let mut tree = house.audit.tree();
        tree.mark_unchanged();
        let (mut moves, begun) = (0, std::time::Instant::now());
        for _ in 0..100 {
            append().await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            if tree.has_changed().unwrap() {
                tree.mark_unchanged();
                moves += 1;
            }
        }
        let most = begun.elapsed().as_millis() / 20 + 2;
        assert!(moves > 0 && moves <= most, "{moves} batches where {most} are enough");
        assert_eq!(sound(&house).await, 101);
    }
}
