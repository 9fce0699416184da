//! The ledger: open incidents and undelivered messages, on disk before anything else is done about them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::domain::incident::{Incident, Message, MessageKind};
use crate::domain::time::Timestamp;

mod disk;
mod mirror;
mod recipient;
#[cfg(test)]
mod tests;

use disk::Disk;
use mirror::Mirror;

pub use self::recipient::Recipient;

/// How many messages wait for one channel at most, unless told otherwise.
const CAPACITY: usize = 10_000;

/// What happened to an incident, and the message that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The incident is open, and stands as it is here.
    Open {
        /// The incident from now on.
        incident: Incident,
        /// What the channels are told to which it is routed; none: the change is only kept.
        message: Option<Message>,
    },
    /// The incident of the message is over.
    Resolved {
        /// What the channels are told that were told of the incident.
        message: Message,
    },
}

impl Change {
    /// What the channels are told of it.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Open { message, .. } => message.as_ref(),
            Self::Resolved { message } => Some(message),
        }
    }
}

impl From<Message> for Change {
    /// The change that the message is about: what it says of its incident is how the incident stands.
    fn from(message: Message) -> Self {
        match message.kind {
            MessageKind::Opened | MessageKind::Reminder => {
                Self::Open { incident: message.incident.clone(), message: Some(message) }
            }
            MessageKind::Resolved => Self::Resolved { message },
        }
    }
}

/// Why the ledger cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Somebody else holds the database.
    #[error("another daemon uses the state directory {}: give each daemon a directory of its own", directory.display())]
    InUse {
        /// The state directory.
        directory: PathBuf,
    },
    /// The directory or the file cannot be made or reached.
    #[error("cannot use {} for incidents and undelivered messages: make it writable for the daemon", path.display())]
    Unusable {
        /// The directory or the file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be opened, though nothing says that it is damaged.
    #[error("cannot open {}: make room on the disk and let the daemon read and write the file", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The changes could not be written. They are kept in memory, and written with the next ones.
    #[error(
        "cannot write {}: until there is room on the disk and it can be written, incidents and undelivered \
         messages are kept in memory only",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

impl LedgerError {
    /// What the operating system says; none: it has not said anything.
    #[must_use]
    pub fn io(&self) -> Option<&std::io::Error> {
        match self {
            Self::InUse { .. } => None,
            Self::Unusable { source, .. } => Some(source),
            Self::Open { source, .. } | Self::Write { source, .. } => {
                let redb::Error::Io(error) = source.as_ref() else { return None };
                Some(error)
            }
        }
    }
}

/// The durable store of open incidents and of the messages that every channel still has to deliver.
///
/// What is in memory is the truth while the process runs, and the disk follows it: when the disk fails,
/// changes are kept and delivered all the same, and the next call that writes makes them durable.
///
/// [`Ledger::open`], [`Ledger::record`], [`Ledger::delivered`], [`Ledger::settle`] and
/// [`Ledger::set_channels`] wait for the disk: call them on a blocking thread. Everything else answers from
/// memory at once, even while one of those waits.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Always locked before the mirror, and never waited for with the mirror in hand.
    disk: Mutex<Disk>,
    mirror: Mutex<Mirror>,
}

impl Ledger {
    /// Opens the ledger in the state directory, and makes both when they are missing. A database that is
    /// damaged is moved aside, and an empty one takes its place: see [`Ledger::recovered`]. Messages of
    /// channels other than `channels` are removed, and those are told of what is open as [`Ledger::set_channels`] says.
    ///
    /// # Errors
    /// Another process has the ledger open, or the directory cannot be used.
    pub fn open(directory: &Path, channels: &[Recipient], now: Timestamp) -> Result<Self, LedgerError> {
        Self::open_with_capacity(directory, channels, now, CAPACITY)
    }

    fn open_with_capacity(
        directory: &Path,
        channels: &[Recipient],
        now: Timestamp,
        capacity: usize,
    ) -> Result<Self, LedgerError> {
        let (disk, contents) = Disk::open(directory)?;
        let ledger = Self(Arc::new(Shared {
            disk: Mutex::new(disk),
            mirror: Mutex::new(Mirror::new(contents, capacity)),
        }));
        ledger.set_channels(channels, now)?;
        Ok(ledger)
    }

    /// What was lost when the ledger was opened, and where its remains are; none: nothing was.
    #[must_use]
    pub fn recovered(&self) -> Option<String> {
        self.mirror().recovered()
    }

    /// Every open incident, the oldest first.
    #[must_use]
    pub fn load(&self) -> Vec<Incident> {
        self.mirror().incidents()
    }

    /// Puts the changes on disk, all in one transaction, and then hands their messages to the channels: that an
    /// incident opens, or is still open, to those whose route takes it as it stands now; that it is over, to
    /// exactly those which were told of it before. A change whose message was recorded before is passed over.
    ///
    /// # Errors
    /// The disk failed. The changes are in force all the same, and are made durable by the next call that
    /// writes; [`Ledger::settle`] is such a call.
    pub fn record(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.change(|mirror| mirror.record(changes))
    }

    /// Removes a message that the channel has delivered.
    ///
    /// # Errors
    /// The disk failed, so after a restart the message may be delivered once more.
    pub fn delivered(&self, channel: &str, message_id: &str) -> Result<(), LedgerError> {
        self.change(|mirror| mirror.delivered(channel, message_id))
    }

    /// Makes durable what an earlier call could not. Costs one look at the file when there is nothing to do.
    ///
    /// # Errors
    /// The disk still fails.
    pub fn settle(&self) -> Result<(), LedgerError> {
        self.change(|_| Vec::new())
    }

    /// Replaces the channels. The messages of those that are gone are removed, counted and logged. Those that were not
    /// told of an open incident which their routes take, or were told at another address, are handed the last message
    /// about it, unless it is silenced.
    ///
    /// # Errors
    /// The disk failed; the new channels are in force all the same.
    pub fn set_channels(&self, channels: &[Recipient], now: Timestamp) -> Result<(), LedgerError> {
        self.change(|mirror| mirror.set_channels(channels, now))
    }

    /// The oldest message that the channel still has to deliver.
    #[must_use]
    pub fn next(&self, channel: &str) -> Option<Arc<Message>> {
        self.mirror().waiting(channel).next()
    }

    /// Every message that the channel still has to deliver, the oldest first.
    #[must_use]
    pub fn waiting(&self, channel: &str) -> Vec<Arc<Message>> {
        self.mirror().waiting(channel).collect()
    }

    /// How many messages the channel still has to deliver.
    #[must_use]
    pub fn pending(&self, channel: &str) -> u64 {
        self.mirror().pending(channel)
    }

    /// How many messages of the channel were dropped since the ledger was opened, because its outbox was full.
    #[must_use]
    pub fn dropped(&self, channel: &str) -> u64 {
        self.mirror().dropped(channel)
    }

    /// Rings when the channel may have a message to deliver; for the one task that empties the channel.
    #[must_use]
    pub fn bell(&self, channel: &str) -> Arc<Notify> {
        self.mirror().bell(channel)
    }

    /// Tells when something was recorded that a channel may want to hear of.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.mirror().changes()
    }

    /// Changes the mirror, lets the disk follow, and only then shows new messages to the channels: what is
    /// delivered before it is durable would be announced again, as another incident, after a crash.
    fn change(&self, change: impl FnOnce(&mut Mirror) -> Vec<mirror::Write>) -> Result<(), LedgerError> {
        let mut disk = lock(&self.0.disk);
        let writes = change(&mut self.mirror());
        let outcome = disk.follow(&writes, || self.mirror().contents());
        self.mirror().show();
        outcome
    }

    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        lock(&self.0.mirror)
    }
}

/// No code panics with a lock in hand; should it happen, the process is about to end, and until then what is
/// behind the lock is still the best that there is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
