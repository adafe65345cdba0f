//! The file outbox: for deployments without a mail server.
//!
//! A sealed file is the account's id (16 bytes) and then a record of the envelope under that account's key, bound to
//! the message's id: it can be neither read nor moved, and it dies with the account's key.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use access::Permit;
use access::actions::UserAdmin;
use base::{Id, Scope, Secret, Timestamp, kind};
use keys::{Field, Subject};
use store::params;

use crate::mail::deliver::{DeliveryError, Way};
use crate::{Error, Identity, OutboxEntry, RequestMeta};

/// Files that are listed; the folder itself is kept small by the janitor.
const LISTED: usize = 200;
/// A message of ours has a few KiB.
const MAX_BYTES: u64 = 1024 * 1024;

store::sql! {
    KIND = "SELECT account_id, kind FROM mail WHERE mail_id = $1";
}

/// A folder for messages.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) dir: PathBuf,
    pub(crate) sealed: bool,
}

impl Folder {
    fn suffix(&self) -> &'static str {
        if self.sealed { ".eml.sealed" } else { ".eml" }
    }

    fn path(&self, mail: Id<kind::Mail>) -> PathBuf {
        self.dir.join(format!("{mail}{}", self.suffix()))
    }

    /// Writes the file whole or not at all, readable for its owner only.
    pub(crate) async fn write(&self, mail: Id<kind::Mail>, content: Vec<u8>) -> Result<(), DeliveryError> {
        let (dir, path) = (self.dir.clone(), self.path(mail));
        blocking(move || write_atomically(&dir, &path, &content))
            .await
            .map_err(|error| DeliveryError::Later(format!("the outbox folder cannot be written: {error}")))
    }

    /// The messages there, newest first.
    async fn list(&self) -> std::io::Result<Vec<Id<kind::Mail>>> {
        let (dir, suffix) = (self.dir.clone(), self.suffix());
        blocking(move || {
            let entries = match std::fs::read_dir(dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut ids: Vec<Id<kind::Mail>> = entries
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(suffix)?.parse().ok())
                .collect();
            ids.sort_unstable_by(|a, b| b.cmp(a));
            Ok(ids)
        })
        .await
    }

    /// The file's bytes; `None` if there is none.
    async fn read(&self, mail: Id<kind::Mail>) -> std::io::Result<Option<Vec<u8>>> {
        let path = self.path(mail);
        blocking(move || match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(about) if about.len() > MAX_BYTES => {
                Err(std::io::Error::other("the file is too large for a message"))
            }
            Ok(_) => std::fs::read(path).map(Some),
        })
        .await
    }

    /// Removes sealed files of before `oldest`. What the operator asked to have in plain is theirs to remove.
    pub(crate) async fn sweep(&self, oldest: Timestamp) -> std::io::Result<()> {
        if !self.sealed {
            return Ok(());
        }
        let old: Vec<PathBuf> = self
            .list()
            .await?
            .into_iter()
            .filter(|id| made_at(*id) < oldest)
            .map(|id| self.path(id))
            .collect();
        blocking(move || old.iter().try_for_each(std::fs::remove_file)).await
    }
}

impl Identity {
    /// The messages in the file outbox, newest first, at most 200; empty with SMTP.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub async fn outbox_list(&self, _permit: Permit<UserAdmin>) -> Result<Vec<OutboxEntry>, Error> {
        let Way::Folder(folder) = &self.0.delivery.way else { return Ok(Vec::new()) };
        let ids = folder.list().await.map_err(folder_failed)?;
        let mut tx = self.0.db.begin_read(Scope::System("outbox")).await?;
        let mut entries = Vec::new();
        for id in ids.into_iter().take(LISTED) {
            if let Some(row) = tx.query_opt(KIND, params![id]).await? {
                entries.push(OutboxEntry {
                    id,
                    account: row.get(0)?,
                    kind: row.get(1)?,
                    created_at: made_at(id),
                });
            }
        }
        Ok(entries)
    }

    /// One message of the file outbox, as RFC 5322 text. The access is recorded, because the message may hold a link
    /// that opens somebody's account.
    ///
    /// # Errors
    /// [`Error::NotFound`], and failures of folder, keys and store.
    pub async fn outbox_read(
        &self,
        permit: Permit<UserAdmin>,
        mail: Id<kind::Mail>,
        meta: &RequestMeta,
    ) -> Result<Secret<String>, Error> {
        let inner = &*self.0;
        let Way::Folder(folder) = &inner.delivery.way else { return Err(Error::NotFound) };
        let content = folder.read(mail).await.map_err(folder_failed)?.ok_or(Error::NotFound)?;
        let (account, bytes) = if folder.sealed {
            let (account, record) = content.split_first_chunk::<16>().ok_or(Error::NotFound)?;
            let account = Id::from_bytes(*account);
            let mut tx = inner.db.begin_read(Scope::System("outbox")).await?;
            let field = Field { table: "outbox", column: "message", row: *mail.as_bytes() };
            let opened = inner.keys.open_field(&mut tx, Subject::Account(account), field, record).await?;
            (Some(account), opened.to_vec())
        } else {
            (None, content)
        };
        let by = audit::Event::AuditSearched { by: vec!["outbox-message"], results: 1 };
        let mut record = inner.record(meta, by).by(permit.actor());
        record.about = account;
        inner.audit.record_durable(record).await?;
        String::from_utf8(bytes).map(Secret::new).map_err(|_| Error::internal("a message is not UTF-8"))
    }

    pub(crate) async fn sealed_for_outbox(
        &self,
        mail: Id<kind::Mail>,
        account: Id<kind::Account>,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut tx = self.0.db.begin_read(Scope::System("outbox")).await?;
        let sealed = self.0.seal(&mut tx, account, ("outbox", "message", *mail.as_bytes()), body).await?;
        Ok([account.as_bytes().as_slice(), &sealed].concat())
    }
}

/// UUIDv7 begins with 48 bits of milliseconds.
fn made_at(mail: Id<kind::Mail>) -> Timestamp {
    let ms = mail.as_bytes()[..6].iter().fold(0_i64, |ms, byte| ms << 8 | i64::from(*byte));
    Timestamp::from_millis(ms)
}

fn folder_failed(error: std::io::Error) -> Error {
    Error::Unavailable(error.into())
}

fn write_atomically(dir: &Path, path: &Path, content: &[u8]) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let unfinished = path.with_extension("unfinished");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    std::fs::File::open(dir)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
