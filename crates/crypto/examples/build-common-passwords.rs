//! Makes `data/common-passwords.bin` from lists of passwords, one per line, read from standard input.
//! `data/common-passwords.md` says which lists and gives the whole command.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut lists = String::new();
    io::stdin().read_to_string(&mut lists)?;
    let entries = lists.lines().map(str::trim).filter(|line| !line.is_empty());
    let (artefact, count) = crypto::password::common::build(entries).map_err(io::Error::other)?;
    io::stdout().write_all(&artefact)?;
    writeln!(io::stderr(), "{count} entries, {} bytes", artefact.len())
}
