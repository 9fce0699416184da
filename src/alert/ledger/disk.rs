//! The ledger on disk: one small database, opened with care, moved aside when it is damaged.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};
use tracing::{error, warn};

use super::LedgerError;
use super::mirror::{Contents, Entry, Write};

const FILE: &str = "incidents.redb";
const DAMAGED: &str = "incidents.redb.damaged-";
/// How many damaged databases are kept for somebody to look at.
const DAMAGED_KEPT: usize = 3;
/// What the database may keep of itself in memory: it is read once, at start.
const CACHE: usize = 256 * 1024;

/// Identifier of an incident -> [`Entry`] as JSON.
const INCIDENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
/// Channel and position -> a message as JSON.
const OUTBOX: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("outbox");

/// The disk's side of the ledger.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    /// None: the last attempt to write failed, and the disk does not hold what the mirror does.
    file: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    database: Database,
    /// Device and inode: the file that was opened, wherever its name points now.
    identity: (u64, u64),
}

impl Disk {
    /// Opens the database in the directory, and reads all of it.
    pub(super) fn open(directory: &Path) -> Result<(Self, Contents), LedgerError> {
        let (file, contents) = open_or_replace(directory)?;
        let disk = Self { directory: directory.to_owned(), file: Some(file) };
        Ok((disk, contents))
    }

    /// Makes the writes durable, in one transaction. When an earlier call failed, or the file is gone from
    /// its place, opens it anew and replaces all that it holds by `whole`.
    pub(super) fn follow(
        &mut self,
        writes: &[Write],
        whole: impl FnOnce() -> Vec<Write>,
    ) -> Result<(), LedgerError> {
        let path = self.directory.join(FILE);
        // Taken out, so that an error leaves none: after a failed write the database refuses all others.
        let known = self.file.take();
        let was_well = known.is_some();
        let file = known.filter(|file| file.is_at(&path));
        let file = match file {
            Some(file) => {
                if !writes.is_empty() {
                    write(&file.database, writes, Before::Keep)
                        .map_err(|source| write_error(&path, source))?;
                }
                file
            }
            None => {
                let (file, _) = open_or_replace(&self.directory)?;
                write(&file.database, &whole(), Before::Clear)
                    .map_err(|source| write_error(&path, source))?;
                if was_well {
                    // After a failure whoever heard of it says so.
                    let path = path.display();
                    warn!(%path, "incidents and undelivered messages were gone from the disk, and are there again");
                }
                file
            }
        };
        self.file = Some(file);
        Ok(())
    }
}

impl OpenFile {
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| identity(&metadata) == self.identity)
    }
}

/// What becomes of the records that are there before a write.
#[derive(Clone, Copy)]
enum Before {
    Keep,
    Clear,
}

/// Why a database was not opened.
enum Refusal {
    InUse,
    Damaged(redb::Error),
    Unusable(io::Error),
    Other(redb::Error),
}

fn open_or_replace(directory: &Path) -> Result<(OpenFile, Contents), LedgerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| LedgerError::Unusable { path: directory.to_owned(), source })?;
    let cause = match open(&directory.join(FILE)) {
        Ok(opened) => return Ok(opened),
        Err(Refusal::Damaged(cause)) => cause,
        Err(refusal) => return Err(refusal.into_error(directory)),
    };
    let aside = move_aside(directory).map_err(|cause| Refusal::Unusable(cause).into_error(directory))?;
    let lost = format!(
        "the database of incidents and undelivered messages was damaged ({cause}); it was moved to {} and an \
         empty one was made, so undelivered messages in it are lost and open incidents will be found anew",
        aside.display()
    );
    error!("{lost}");
    let (file, contents) = open(&directory.join(FILE)).map_err(|refusal| refusal.into_error(directory))?;
    let lost = Some(lost);
    Ok((file, Contents { lost, ..contents }))
}

/// Opens the file, makes it when it is missing, and checks and reads all of it.
fn open(path: &Path) -> Result<(OpenFile, Contents), Refusal> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let metadata = file.metadata()?;
    if metadata.mode() & 0o777 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    // A new name is durable only once its directory is.
    sync_directory(path)?;
    let database = Builder::new()
        .set_cache_size(CACHE)
        // Without this a database that was changed behind its back may panic instead of failing.
        .set_check_integrity_on_open(true)
        .create_with_backend(FileBackend::new(file)?)?;
    let contents = read(&database).map_err(Refusal::Damaged)?;
    let identity = identity(&metadata);
    Ok((OpenFile { database, identity }, contents))
}

impl Refusal {
    fn into_error(self, directory: &Path) -> LedgerError {
        let path = directory.join(FILE);
        match self {
            Self::InUse => LedgerError::InUse { directory: directory.to_owned() },
            Self::Unusable(source) => LedgerError::Unusable { path, source },
            Self::Damaged(source) | Self::Other(source) => {
                LedgerError::Open { path, source: Box::new(source) }
            }
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error)
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::RepairAborted
            | DatabaseError::UpgradeRequired(_)
            | DatabaseError::Storage(StorageError::Corrupted(_)) => Self::Damaged(error.into()),
            DatabaseError::Storage(StorageError::Io(ref cause)) if is_damage(cause) => {
                Self::Damaged(error.into())
            }
            DatabaseError::TransactionInProgress | DatabaseError::Storage(_) | _ => Self::Other(error.into()),
        }
    }
}

/// Whether an error tells of the bytes of the file. A full disk or a missing permission does not: the file
/// is whole, and moving it aside would lose what it holds.
fn is_damage(error: &io::Error) -> bool {
    const UNREADABLE: i32 = 5; // EIO
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput
    ) || error.raw_os_error() == Some(UNREADABLE)
}

fn read(database: &Database) -> Result<Contents, redb::Error> {
    let mut contents = Contents::default();
    let mut unreadable = 0_u64;
    let transaction = database.begin_read()?;
    match transaction.open_table(INCIDENTS) {
        Ok(table) => {
            for record in table.iter()? {
                let (id, entry) = record?;
                match serde_json::from_slice::<Entry>(entry.value()) {
                    Ok(entry) => contents.incidents.push(entry),
                    Err(cause) => {
                        unreadable += 1;
                        warn!(incident = id.value(), %cause, "an incident in the ledger cannot be read");
                    }
                }
            }
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match transaction.open_table(OUTBOX) {
        Ok(table) => {
            for record in table.iter()? {
                let (key, message) = record?;
                let (channel, position) = key.value();
                match serde_json::from_slice(message.value()) {
                    Ok(message) => contents.messages.push((channel.to_owned(), position, message)),
                    Err(cause) => {
                        unreadable += 1;
                        warn!(channel, position, %cause, "a message in the ledger cannot be read");
                    }
                }
            }
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    if unreadable > 0 {
        contents.lost = Some(format!(
            "{unreadable} records of incidents and undelivered messages could not be read and are ignored; \
             another version of the daemon may have written them"
        ));
    }
    Ok(contents)
}

fn write(database: &Database, writes: &[Write], before: Before) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    if let Before::Clear = before {
        transaction.delete_table(INCIDENTS)?;
        transaction.delete_table(OUTBOX)?;
    }
    {
        let mut incidents = transaction.open_table(INCIDENTS)?;
        let mut outbox = transaction.open_table(OUTBOX)?;
        for write in writes {
            match write {
                Write::PutIncident(entry) => {
                    let json = json(entry)?;
                    incidents.insert(entry.incident.id.as_str(), json.as_slice())?;
                }
                Write::RemoveIncident(id) => drop(incidents.remove(id.as_str())?),
                Write::PutMessage(channel, position, message) => {
                    let json = json(&**message)?;
                    outbox.insert((channel.as_str(), *position), json.as_slice())?;
                }
                Write::RemoveMessage(channel, position) => {
                    drop(outbox.remove((channel.as_str(), *position))?);
                }
            }
        }
    }
    Ok(transaction.commit()?)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|error| redb::Error::Io(error.into()))
}

fn write_error(path: &Path, source: redb::Error) -> LedgerError {
    LedgerError::Write { path: path.to_owned(), source: Box::new(source) }
}

/// Gives the damaged database a name that was not used before, and removes the oldest of too many.
fn move_aside(directory: &Path) -> io::Result<PathBuf> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(DAMAGED)?.parse::<u64>().ok());
        kept.extend(number);
    }
    kept.sort_unstable();
    let number = kept.last().map_or(1, |last| last.saturating_add(1));
    let aside = directory.join(format!("{DAMAGED}{number}"));
    fs::rename(directory.join(FILE), &aside)?;
    let excess = (kept.len() + 1).saturating_sub(DAMAGED_KEPT);
    for old in kept.into_iter().take(excess) {
        fs::remove_file(directory.join(format!("{DAMAGED}{old}")))?;
    }
    Ok(aside)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
