//! Watching many directories through one inotify instance: who is disturbed, and never how often.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// Changes that come together are told once, this long after the first of them.
const QUIET: Duration = Duration::from_millis(100);
/// How many changes are read in a row at the most: as many as the kernel keeps by default. Whoever makes more of them
/// meanwhile does not keep the others from being told.
const MOST: usize = 16_384;
/// Room for some dozens of changes.
const BUFFER: usize = 4096;

/// Reading is no change, so apps that read wake nobody, and neither do we.
const ENTRIES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);
const WHOLE: WatchFlags = ENTRIES.union(WatchFlags::MODIFY);

/// Who was disturbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbed<K> {
    /// These.
    These(BTreeSet<K>),
    /// Nobody knows whom else: more happened than the kernel keeps.
    Everybody,
}

/// Which of the two directories of somebody is meant: watching another one in a layer ends the watch of the one
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The one that stays.
    Outer,
    /// The one in it that is another one each time.
    Inner,
}

/// The directories that are watched. All clones are one.
///
/// Where the system refuses a watch, that is said once, and whoever looks now and then finds the changes still.
#[derive(Clone)]
pub struct Directories<K>(Arc<Shared<K>>);

struct Shared<K> {
    inotify: Option<OwnedFd>,
    watched: Mutex<Watched<K>>,
    refusals: Mutex<BTreeSet<i32>>,
}

struct Watched<K> {
    interests: HashMap<i32, Interests<K>>,
    layers: BTreeMap<(K, Layer), i32>,
}

/// Whom a directory is of interest to.
struct Interests<K> {
    whole: Option<K>,
    entries: BTreeMap<OsString, K>,
}

impl<K: Clone + Ord> Directories<K> {
    /// Watches nothing yet.
    #[must_use]
    pub fn open() -> Self {
        let (inotify, error) = match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
            Ok(inotify) => (Some(inotify), None),
            Err(error) => (None, Some(error)),
        };
        let watched = Mutex::new(Watched { interests: HashMap::new(), layers: BTreeMap::new() });
        let directories = Self(Arc::new(Shared { inotify, watched, refusals: Mutex::default() }));
        if let Some(error) = error {
            directories.refused(Path::new("anything"), error);
        }
        directories
    }

    /// Watches what happens to one name in an open directory, and to the directory itself. `path` is for the log.
    pub fn watch_entry(&self, directory: impl AsFd, path: &Path, name: &OsStr, whom: &K) {
        self.add(directory, path, ENTRIES, |watched, descriptor| {
            let interests = watched.interests.entry(descriptor).or_default();
            if !interests.entries.contains_key(name) {
                interests.entries.insert(name.to_owned(), whom.clone());
            }
        });
    }

    /// Watches all that happens in an open directory, and to it, instead of the one of this layer before.
    pub fn watch_whole(&self, directory: impl AsFd, path: &Path, layer: Layer, whom: &K) {
        self.add(directory, path, WHOLE, |watched, descriptor| {
            watched.interests.entry(descriptor).or_default().whole = Some(whom.clone());
            let before = watched.layers.insert((whom.clone(), layer), descriptor);
            if let Some(before) = before.filter(|before| *before != descriptor)
                && watched.interests.remove(&before).is_some()
                && let Some(inotify) = &self.0.inotify
            {
                // It is gone already when its directory is.
                let _gone = inotify::remove_watch(inotify, before);
            }
        });
    }

    fn add(
        &self,
        directory: impl AsFd,
        path: &Path,
        flags: WatchFlags,
        note: impl FnOnce(&mut Watched<K>, i32),
    ) {
        let Some(inotify) = &self.0.inotify else { return };
        // By the open directory and no path, in which somebody might plant a link.
        let handle = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        // Whoever reads the changes waits until it is known whose they are.
        let mut watched = self.watched();
        match inotify::add_watch(inotify, handle, flags) {
            Ok(descriptor) => note(&mut watched, descriptor),
            Err(error) => self.refused(path, error),
        }
    }

    fn refused(&self, path: &Path, error: Errno) {
        let mut refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if !refusals.insert(error.raw_os_error()) {
            return;
        }
        let advice = match error {
            Errno::NOSPC => "this user's watches are used up: raise the sysctl fs.inotify.max_user_watches",
            Errno::MFILE => {
                "this user's inotify instances, or the process's files, are used up: raise the sysctl \
                 fs.inotify.max_user_instances, or the limit of open files"
            }
            Errno::NOENT => "/proc is not mounted: mount it",
            Errno::ACCESS => "the daemon must be able to read a directory to watch it",
            _ => "see why the system refuses it",
        };
        let path = path.display();
        tracing::warn!(
            %error,
            "cannot watch {path}: changes are noticed only at the regular looks, once in each \
             vault.poll_interval; {advice}"
        );
    }

    fn watched(&self) -> MutexGuard<'_, Watched<K>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The changes from now on; for one reader.
    #[must_use]
    #[expect(
        deprecated,
        reason = "what replaces it is `unsafe`, and asks for what an OwnedFd is: open, and nobody else's to close"
    )]
    pub fn changes(&self) -> Changes<K> {
        let open = |inotify: &OwnedFd| AsyncFd::with_interest(inotify.try_clone()?, Interest::READABLE);
        let inotify = self.0.inotify.as_ref().map(open).transpose().unwrap_or_else(|error| {
            self.refused(Path::new("anything"), Errno::from_io_error(&error).unwrap_or(Errno::IO));
            None
        });
        Changes { inotify, directories: self.clone() }
    }
}

impl<K> Default for Interests<K> {
    fn default() -> Self {
        Self { whole: None, entries: BTreeMap::new() }
    }
}

impl<K: Clone + Ord> Interests<K> {
    /// Whom a change of this name disturbs; without a name it is one of the directory itself.
    fn of(&self, name: Option<&OsStr>) -> Vec<K> {
        let entries: Vec<&K> = match name {
            Some(name) => self.entries.get(name).into_iter().collect(),
            None => self.entries.values().collect(),
        };
        self.whole.iter().chain(entries).cloned().collect()
    }
}

/// Reads the changes.
pub struct Changes<K> {
    inotify: Option<AsyncFd<OwnedFd>>,
    directories: Directories<K>,
}

impl<K: Clone + Ord> Changes<K> {
    /// Waits until somebody is disturbed.
    ///
    /// # Errors
    /// The system no longer tells.
    pub async fn next(&mut self) -> io::Result<Disturbed<K>> {
        let Some(inotify) = &self.inotify else { std::future::pending().await };
        loop {
            drop(inotify.readable().await?);
            sleep(QUIET).await;
            let mut ready = inotify.readable().await?;
            let mut disturbed = Some(BTreeSet::new());
            if self.directories.drain(inotify.get_ref(), &mut disturbed)? {
                ready.clear_ready();
            }
            match disturbed {
                None => return Ok(Disturbed::Everybody),
                Some(these) if !these.is_empty() => return Ok(Disturbed::These(these)),
                Some(_) => {}
            }
        }
    }
}

impl<K: Clone + Ord> Directories<K> {
    /// Reads what has happened; whether that was all of it.
    fn drain(&self, inotify: &OwnedFd, disturbed: &mut Option<BTreeSet<K>>) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut count = 0;
        // What is in the buffer is not in the kernel any more.
        while count < MOST || !reader.is_buffer_empty() {
            count += 1;
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                *disturbed = None;
            }
            let mut watched = self.watched();
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let interests = watched.interests.get(&event.wd());
            let whom = interests.map(|interests| interests.of(name)).unwrap_or_default();
            if let Some(disturbed) = disturbed {
                disturbed.extend(whom);
            }
            if event.events().contains(ReadFlags::IGNORED) {
                watched.interests.remove(&event.wd());
            }
        }
        Ok(false)
    }
}

impl<K> fmt::Debug for Directories<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Directories")
    }
}

impl<K> fmt::Debug for Changes<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Changes")
    }
}

#[cfg(test)]
mod tests;
