//! The witness's own key: a seed in a file of its own, from which both of its signing keys follow.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base::Entropy;
use crypto::log::{KeyType, LogSigner};
use crypto::mac::derive_key;
use crypto::memory::LockedKey;
use zeroize::Zeroizing;

use crate::error::StartError;

/// Bytes of the file: the seed and nothing else.
const SEED: usize = 32;

/// The signers of the witness with this name: Ed25519, which every log understands, and ML-DSA-44, which the text
/// recommends. Makes the seed if there is none.
pub(crate) fn signers(path: &Path, name: &str, entropy: &Entropy) -> Result<Vec<LogSigner>, StartError> {
    let seed = open_or_create(path, entropy)?;
    [KeyType::CosignatureEd25519, KeyType::CosignatureMlDsa44]
        .into_iter()
        .map(|kind| {
            let derived = derive_key(&seed, format!("witness/{}", kind.name()).as_bytes());
            LogSigner::from_seed(name, kind, derived.expose())
                .map_err(|error| StartError::Witness(format!("witness.name: {error}")))
        })
        .collect()
}

fn open_or_create(path: &Path, entropy: &Entropy) -> Result<LockedKey, StartError> {
    let wrong = |source, hint| StartError::Folder { path: path.to_owned(), source, hint };
    let mut bytes = Zeroizing::new([0; SEED]);
    match fs::File::open(path) {
        Ok(mut file) => {
            let found = file.metadata().map_err(|source| wrong(source, "check its permissions"))?;
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(StartError::Witness(format!(
                    "{} can be read by others (mode {mode:04o}); run: chmod 600 on it",
                    path.display()
                )));
            }
            let damaged = || StartError::Witness(format!("{} is not a witness's key", path.display()));
            if found.len() != SEED as u64 || file.read_exact(&mut *bytes).is_err() {
                return Err(damaged());
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            entropy.fill(&mut *bytes);
            let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).and_then(
                |mut file| {
                    file.write_all(&*bytes)?;
                    file.sync_all()
                },
            );
            made.map_err(|source| wrong(source, "choose a folder that can be written with --data-dir"))?;
            super::store::sync_folder(path).map_err(|source| wrong(source, "check the folder"))?;
        }
        Err(source) => return Err(wrong(source, "check its permissions")),
    }
    Ok(LockedKey::from_bytes(&mut bytes))
}
