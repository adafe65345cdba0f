//! The log's files over HTTP.

use crypto::log::{Checkpoint, decode_bundle, leaf_hash};
use http::StatusCode;

use crate::house::House;

#[tokio::test]
async fn anybody_reads_checkpoint_tiles_and_entries() {
    let house = House::new().await;
    house.person("ada").await;
    house.audit.settled().await.unwrap();
    let size = house.audit.tree().borrow().size;
    assert!(size > 0 && size < 256, "{size}");
    let answer = house.get_raw("/log/checkpoint").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let head = Checkpoint::read_unverified(std::str::from_utf8(&answer.bytes).unwrap()).unwrap();
    assert!(head.size >= size);

    let hashes = house.get_raw(&format!("/log/tile/0/000.p/{size}")).await;
    assert_eq!(hashes.status, StatusCode::OK);
    assert_eq!(hashes.headers["content-type"], "application/octet-stream");
    assert_eq!(hashes.headers["cache-control"], "public, max-age=31536000, immutable");
    let entries = house.get_raw(&format!("/log/tile/entries/000.p/{size}")).await;
    let leaves = decode_bundle(u16::try_from(size).unwrap(), &entries.bytes).unwrap();
    for (hash, leaf) in hashes.bytes.as_chunks::<32>().0.iter().zip(leaves) {
        assert_eq!(*hash, leaf_hash(leaf));
    }
    for absent in [
        "/log/tile/0/001",
        "/log/tile/0/000",
        "/log/tile/0/0",
        "/log/tile/entries/000",
        "/log/tile",
        "/log/x",
    ] {
        assert_eq!(house.get_raw(absent).await.status, StatusCode::NOT_FOUND, "{absent}");
    }
}
