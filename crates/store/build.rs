//! Lists the migrations of both dialects, so that a capability adds one by adding a pair of files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Asked when it runs, not when it is compiled: checkouts may share a target folder.
fn folder_of(variable: &str) -> std::ffi::OsString {
    #[expect(clippy::disallowed_methods, reason = "cargo tells build scripts their folders in this way only")]
    let folder = std::env::var_os(variable);
    folder.expect("cargo names the folders of a build script")
}

fn main() {
    let (root, out) = (folder_of("CARGO_MANIFEST_DIR"), folder_of("OUT_DIR"));
    let mut found: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for (index, dialect) in ["sqlite", "postgres"].into_iter().enumerate() {
        let folder = Path::new(&root).join("migrations").join(dialect);
        println!("cargo::rerun-if-changed={}", folder.display());
        for entry in std::fs::read_dir(&folder).expect("the migrations folder is readable") {
            let name = entry.expect("the folder's entries are readable").file_name();
            let name = name.to_string_lossy().into_owned();
            if name.ends_with(".sql") {
                found.entry(name).or_default()[index] = true;
            }
        }
    }
    let mut list = String::from("&[\n");
    for (file, sides) in &found {
        if *sides != [true, true] {
            // A half pair is refused by a test, not by the build: a colleague may be writing it.
            println!("cargo::warning=migration {file} exists in one dialect only and is left out");
            continue;
        }
        let (version, name) = parse(file)
            .unwrap_or_else(|| panic!("migration {file}: the name must look like V0001__store.sql"));
        let path = |dialect: &str| {
            format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/migrations/{dialect}/{file}\"))")
        };
        writeln!(
            list,
            "Migration {{ version: {version}, name: {name:?}, sqlite: {}, postgres: {} }},",
            path("sqlite"),
            path("postgres")
        )
        .expect("writing to a string cannot fail");
    }
    list.push_str("]\n");
    std::fs::write(Path::new(&out).join("migrations.rs"), list).expect("the output folder is writable");
}

/// `V0001__store.sql` → `(1, "store")`.
fn parse(file: &str) -> Option<(u32, &str)> {
    let (version, name) = file.strip_prefix('V')?.strip_suffix(".sql")?.split_once("__")?;
    Some((version.parse().ok()?, name))
}
