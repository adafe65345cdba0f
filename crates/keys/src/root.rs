//! The root key in a file: read strictly, made atomically, never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Entropy, Id, Secret, kind};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use crypto::memory::LockedKey;
use crypto::password::{Hasher, Params};
use crypto::{Context, ContextKind, KeyRef, envelope};
use parking_lot::Mutex;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::RootError;

/// Where the root key is kept.
pub enum RootKey {
    /// In a file of mode 0600, optionally sealed under a passphrase.
    File(FileRoot),
}

/// A root key that lives in a file. Drop it after [`crate::Keys::open`]: the key is wiped then.
pub struct FileRoot {
    path: PathBuf,
    passphrase: Option<Secret<String>>,
    state: Mutex<State>,
}

struct State {
    id: Id<kind::Key>,
    key: Arc<LockedKey>,
    /// The content of a file that is not written yet.
    pending: Option<Zeroizing<String>>,
}

const FORMAT: &str = "fortissimo-root-key/1";
/// The file is a few hundred bytes; anything longer is not ours.
const MAX_FILE: u64 = 4096;
/// Opening the file happens once per start, so the passphrase may cost more than a sign-in.
const PASSPHRASE_COST: Cost = Cost { memory_kib: 65_536, passes: 3, lanes: 1 };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: String,
    id: Id<kind::Key>,
    key: Option<Secret<String>>,
    sealed: Option<Sealed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    record: String,
    salt: String,
    argon2id: Cost,
}

/// The cost is stored with the file, so that a later version may raise it for new files.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// `None` if it is absurd: a damaged file must not take all memory.
    fn hasher(self) -> Option<Hasher> {
        Params::new(self.memory_kib, self.passes, self.lanes).map(Hasher::new)
    }
}

impl RootKey {
    pub(crate) fn id(&self) -> Id<kind::Key> {
        match self {
            Self::File(file) => file.id(),
        }
    }

    pub(crate) fn key(&self) -> Arc<LockedKey> {
        match self {
            Self::File(file) => Arc::clone(&file.state.lock().key),
        }
    }

    /// Makes sure that the key will be there at the next start; before anything is wrapped under it.
    pub(crate) fn settle(&self, entropy: &Entropy) -> Result<(), RootError> {
        match self {
            Self::File(file) => file.settle(entropy),
        }
    }

    /// Reads a file that was missing before, if it is there now.
    pub(crate) fn look_again(&self) -> Result<(), RootError> {
        match self {
            Self::File(file) => file.look_again(),
        }
    }

    /// The complaint that the database names another root key.
    pub(crate) fn mismatch(&self, expected: Id<kind::Key>) -> RootError {
        let Self::File(file) = self;
        let state = file.state.lock();
        let path = file.path.clone();
        if state.pending.is_some() {
            return RootError::Missing { path };
        }
        RootError::Different { path, found: state.id.to_string(), expected: expected.to_string() }
    }
}

impl FileRoot {
    /// Reads the file, or prepares a new root key if there is none. A new one is written only once
    /// [`crate::Keys::open`] has seen that the database has no keys yet.
    ///
    /// # Errors
    /// If the file can be read by others, is damaged, or the passphrase does not fit it.
    pub fn open_or_create(
        path: &Path,
        passphrase: Option<&Secret<String>>,
        entropy: &Entropy,
    ) -> Result<Self, RootError> {
        let state = match File::open(path) {
            Ok(file) => read(path, file, passphrase)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => prepare(passphrase, entropy),
            Err(source) => return Err(RootError::Io { path: path.into(), source }),
        };
        // Kept in case that another process writes the file first, which is then read instead.
        let passphrase = passphrase.map(|p| Secret::new(p.expose().clone()));
        Ok(Self { path: path.into(), passphrase, state: Mutex::new(state) })
    }

    /// The key's id, which is no secret.
    pub fn id(&self) -> Id<kind::Key> {
        self.state.lock().id
    }

    /// Whether the file is there; a prepared key's file is not yet.
    pub fn is_stored(&self) -> bool {
        self.state.lock().pending.is_none()
    }

    fn settle(&self, entropy: &Entropy) -> Result<(), RootError> {
        let mut state = self.state.lock();
        let Some(content) = &state.pending else { return Ok(()) };
        match write_new(&self.path, content.as_bytes(), entropy) {
            Ok(()) => state.pending = None,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                drop(state);
                self.look_again()?;
            }
            Err(source) => return Err(RootError::Io { path: self.path.clone(), source }),
        }
        Ok(())
    }

    fn look_again(&self) -> Result<(), RootError> {
        let mut state = self.state.lock();
        if state.pending.is_some() {
            match File::open(&self.path) {
                Ok(file) => *state = read(&self.path, file, self.passphrase.as_ref())?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(RootError::Io { path: self.path.clone(), source }),
            }
        }
        Ok(())
    }
}

/// Writes a file that does not exist yet, whole or not at all: a link fails where a rename would
/// overwrite. [`io::ErrorKind::AlreadyExists`] if somebody else was faster.
fn write_new(path: &Path, content: &[u8], entropy: &Entropy) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let draft = folder.join(format!(".root-key-{:016x}.tmp", u64::from_be_bytes(entropy.bytes())));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    })();
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}

fn prepare(passphrase: Option<&Secret<String>>, entropy: &Entropy) -> State {
    let id = Id::from_bytes(entropy.bytes());
    let key = LockedKey::generate(entropy);
    // Sized beforehand, so that no half-grown copy of the key stays behind on the heap.
    let mut content = Zeroizing::new(String::with_capacity(1024));
    content.push_str(&format!("{{\n  \"format\": \"{FORMAT}\",\n  \"id\": \"{id}\",\n"));
    match passphrase {
        None => {
            content.push_str("  \"key\": \"");
            BASE64.encode_string(key.expose(), &mut content);
            content.push_str("\"\n");
        }
        Some(passphrase) => content.push_str(&seal(&id, &key, passphrase, entropy)),
    }
    content.push_str("}\n");
    State { id, key: Arc::new(key), pending: Some(content) }
}

fn seal(id: &Id<kind::Key>, key: &LockedKey, passphrase: &Secret<String>, entropy: &Entropy) -> String {
    let salt: [u8; 16] = entropy.bytes();
    let mut hasher = PASSPHRASE_COST.hasher().expect("the constant is a sane cost");
    let stretched = hasher.stretch(passphrase, &salt);
    let record = envelope::seal(&stretched, KeyRef(*id.as_bytes()), &context(id), key.expose(), entropy);
    let Cost { memory_kib, passes, lanes } = PASSPHRASE_COST;
    let cost = format!("\"memory_kib\": {memory_kib}, \"passes\": {passes}, \"lanes\": {lanes}");
    let (record, salt) = (BASE64.encode(record), BASE64.encode(salt));
    format!(
        "  \"sealed\": {{\n    \"record\": \"{record}\",\n    \"salt\": \"{salt}\",\n    \"argon2id\": {{ {cost} }}\n  }}\n"
    )
}

fn read(path: &Path, mut file: File, passphrase: Option<&Secret<String>>) -> Result<State, RootError> {
    let io_error = |source| RootError::Io { path: path.into(), source };
    // Asked of the open file, not of the name, which may change in between.
    let metadata = file.metadata().map_err(io_error)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(RootError::Permissions { path: path.into(), mode });
    }
    let damaged = |reason| RootError::Damaged { path: path.into(), reason };
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(damaged("it is not a root key file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    (&mut file).take(MAX_FILE).read_to_end(&mut bytes).map_err(io_error)?;
    let content: Content =
        serde_json::from_slice(&bytes).map_err(|_| damaged("it is not a root key file"))?;
    if content.format != FORMAT {
        return Err(damaged("its format is not known to this version"));
    }
    let key = match (content.key, content.sealed, passphrase) {
        (Some(key), None, None) => key_from(BASE64.decode(key.expose()).map(Zeroizing::new).ok()),
        (Some(_), None, Some(_)) => return Err(RootError::NotSealed { path: path.into() }),
        (None, Some(_), None) => return Err(RootError::PassphraseNeeded { path: path.into() }),
        (None, Some(sealed), Some(passphrase)) => {
            let (record, stretched) =
                stretch(&sealed, passphrase).ok_or_else(|| damaged("its seal is malformed"))?;
            let opened = envelope::open(&stretched, &context(&content.id), &record);
            key_from(Some(opened.map_err(|_| RootError::WrongPassphrase { path: path.into() })?))
        }
        _ => return Err(damaged("it must hold either a key or a sealed key")),
    };
    let key = key.ok_or_else(|| damaged("its key is not 32 bytes"))?;
    Ok(State { id: content.id, key: Arc::new(key), pending: None })
}

fn stretch(sealed: &Sealed, passphrase: &Secret<String>) -> Option<(Vec<u8>, LockedKey)> {
    let record = BASE64.decode(&sealed.record).ok()?;
    let salt: [u8; 16] = BASE64.decode(&sealed.salt).ok()?.try_into().ok()?;
    let mut hasher = sealed.argon2id.hasher()?;
    Some((record, hasher.stretch(passphrase, &salt)))
}

fn key_from(bytes: Option<Zeroizing<Vec<u8>>>) -> Option<LockedKey> {
    let mut array: [u8; 32] = bytes?.as_slice().try_into().ok()?;
    let key = LockedKey::from_bytes(&mut array);
    array.zeroize();
    Some(key)
}

/// The file is not part of a deployment yet when it is made, so its context names none.
fn context(id: &Id<kind::Key>) -> Context<'_> {
    Context {
        deployment: &[0; 16],
        kind: ContextKind::Key,
        table: "root.key",
        column: "key",
        row: id.as_bytes(),
        subject: b"",
    }
}
