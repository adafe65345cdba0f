//! What the witness answers, with its store on disk.

use base::{Clock, Entropy};
use crypto::log::{
    AddCheckpoint, Checkpoint, Frontier, Hash, KeyType, LogSigner, accept_cosignatures, consistency_proof,
    leaf_hash, node_hash, size_from_conflict,
};
use gateway::Handler as _;
use guard::{Body, Connection};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;

use super::{Store, Witness, signers};

const ORIGIN: &str = "example.com/log";

struct House {
    folder: tempfile::TempDir,
    log: LogSigner,
    leaves: Vec<Hash>,
}

impl House {
    fn new() -> Self {
        let log = LogSigner::generate(ORIGIN, KeyType::Ed25519, &Entropy::seeded(1)).unwrap().0;
        let leaves = (0..100_u64).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        Self { folder: tempfile::tempdir().unwrap(), log, leaves }
    }

    /// Opens it as after a restart.
    fn witness(&self) -> Witness {
        let signers =
            signers(&self.folder.path().join("witness.key"), "witness.example/w1", &Entropy::system())
                .unwrap();
        let store = Store::open(self.folder.path().join("witness")).unwrap();
        Witness::new(signers, vec![self.log.verifier().clone()], store, Clock::controlled(1_700_000_000_000))
    }

    fn note(&self, size: usize) -> String {
        let mut tree = Frontier::new();
        tree.extend(&self.leaves[..size]);
        let head = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap();
        head.sign(&[&self.log], base::Timestamp::from_millis(0)).unwrap()
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let root = |leaves: &[Hash]| {
            let mut level = leaves.to_vec();
            while level.len() > 1 {
                level = level.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            }
            level[0]
        };
        let proof = consistency_proof(old, size, |node| {
            let first = usize::try_from(node.index << node.level).unwrap();
            Ok::<_, std::convert::Infallible>(root(&self.leaves[first..first + (1 << node.level)]))
        });
        let proof = proof.unwrap().unwrap_or_default();
        AddCheckpoint { old_size: old, proof, checkpoint: self.note(usize::try_from(size).unwrap()) }
    }
}

async fn post(witness: &Witness, body: String) -> (StatusCode, String, String) {
    send(witness, Method::POST, "/add-checkpoint", body).await
}

async fn send(witness: &Witness, method: Method, path: &str, body: String) -> (StatusCode, String, String) {
    let request = Request::builder().method(method).uri(path).body(Body::Full(body.into())).unwrap();
    let on = Connection { peer: "127.0.0.1:1".parse().unwrap(), tls: false, round_trip: None };
    let response = witness.handle(on, request).await;
    let (head, body) = response.into_parts();
    let kind = head.headers["content-type"].to_str().unwrap().to_owned();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (head.status, kind, text)
}

#[tokio::test]
async fn it_follows_a_log_across_restarts_and_says_where_it_is() {
    let house = House::new();
    let witness = house.witness();
    let keys: Vec<_> = witness.0.signers.iter().map(|signer| signer.verifier().clone()).collect();
    let first = house.request(0, 10);
    let (status, _, lines) = post(&witness, first.to_text()).await;
    assert_eq!(status, StatusCode::OK);
    // One cosignature of each kind, and both are its own.
    assert_eq!(accept_cosignatures(&first.checkpoint, &lines, &keys).unwrap().len(), 2);

    let reborn = house.witness();
    assert!(reborn.0.signers.iter().map(|signer| signer.verifier()).eq(&keys), "its key is kept");
    let (status, kind, size) = post(&reborn, first.to_text()).await;
    assert_eq!((status, kind.as_str()), (StatusCode::CONFLICT, "text/x.tlog.size"));
    assert_eq!(size_from_conflict(&size), Some(10));
    assert_eq!(post(&reborn, house.request(10, 77).to_text()).await.0, StatusCode::OK);
    assert_eq!(post(&reborn, house.request(77, 77).to_text()).await.0, StatusCode::OK);
    assert_eq!(post(&reborn, house.request(10, 50).to_text()).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn it_refuses_as_the_protocol_says() {
    let house = House::new();
    let witness = house.witness();
    assert_eq!(post(&witness, house.request(0, 10).to_text()).await.0, StatusCode::OK);
    let status = async |change: &dyn Fn(&mut AddCheckpoint)| {
        let mut request = house.request(10, 20);
        change(&mut request);
        post(&witness, request.to_text()).await.0.as_u16()
    };
    assert_eq!(status(&|request| request.proof[0][0] ^= 1).await, 422);
    assert_eq!(
        status(&|request| request.checkpoint = request.checkpoint.replace("\n20\n", "\n21\n")).await,
        403
    );
    assert_eq!(
        status(&|request| request.checkpoint = request.checkpoint.replace(ORIGIN, "example.com/other")).await,
        404
    );
    assert_eq!(status(&|request| request.old_size = 21).await, 400);
    assert_eq!(post(&witness, "old 10\n".into()).await.0.as_u16(), 400);
    let long = "x".repeat(AddCheckpoint::MAX_BYTES + 1);
    assert_eq!(post(&witness, long).await.0.as_u16(), 413);
    // The same size with another root: the log shows two histories.
    let mut forked = House::new();
    forked.leaves[3] = [7; 32];
    assert_eq!(post(&witness, forked.request(10, 10).to_text()).await.0.as_u16(), 409);
    assert_eq!(send(&witness, Method::GET, "/add-checkpoint", String::new()).await.0.as_u16(), 405);
    assert_eq!(send(&witness, Method::GET, "/", String::new()).await.0.as_u16(), 404);
    // None of this moved it.
    assert_eq!(post(&witness, house.request(10, 20).to_text()).await.0.as_u16(), 200);
}

/// The race of the protocol's text: of many requests from the same size only one may be followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_requests_at_once_one_is_followed() {
    let house = House::new();
    let witness = house.witness();
    let mut tasks = tokio::task::JoinSet::new();
    for size in 1..=40 {
        let (witness, request) = (witness.clone(), house.request(0, size).to_text());
        tasks.spawn(async move { post(&witness, request).await.0 });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::OK).count(), 1);
    assert!(answers.iter().all(|status| [StatusCode::OK, StatusCode::CONFLICT].contains(status)));
}

#[tokio::test]
async fn it_signs_nothing_while_its_memory_is_damaged() {
    let house = House::new();
    let witness = house.witness();
    assert_eq!(post(&witness, house.request(0, 10).to_text()).await.0, StatusCode::OK);
    let file =
        std::fs::read_dir(house.folder.path().join("witness")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, "rubbish").unwrap();
    assert_eq!(post(&witness, house.request(0, 12).to_text()).await.0, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness.key");
    let made = signers(&path, "witness.example/w1", &Entropy::system()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(made[0].verifier().name(), "witness.example/w1");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        signers(&path, "witness.example/w1", &Entropy::system())
            .unwrap_err()
            .to_string()
            .contains("chmod 600")
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "short").unwrap();
    assert!(signers(&path, "witness.example/w1", &Entropy::system()).is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(signers(&path, "not a name", &Entropy::system()).is_err());
}
