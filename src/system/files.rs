//! Watching files for changes, and telling only when the content of one has really changed.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::future::pending;
use std::hash::Hasher;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::blocking;

/// Changes that come together are told once, after this much quiet.
const QUIET: Duration = Duration::from_millis(200);
/// Some changes cause no event at all: bind-mounted files, some network file systems. So the content is
/// looked at now and then as well.
const POLL: Duration = Duration::from_secs(30);
/// A file that is gone for less than this is being replaced.
const REPLACEMENT: Duration = Duration::from_secs(2);
/// Events are asked for in so many directories at most. The files of others are looked at now and then.
const MOST_DIRECTORIES: usize = 64;

/// What a file held when it was looked at.
#[derive(Clone, Debug)]
pub struct Known {
    path: PathBuf,
    most: u64,
    content: Option<u64>,
}

impl Known {
    /// Looks at a file. What is behind its first `most` bytes does not count: whoever uses it refuses a larger one.
    /// Blocks on the disk.
    #[must_use]
    pub fn look(path: &Path, most: u64) -> Self {
        Self { path: path.to_owned(), most, content: content(path, most) }
    }
}

/// Watches files. Their directories are what is watched, because a file that is replaced by a rename is another
/// file afterwards.
pub struct FileWatch {
    files: Arc<[Known]>,
    /// What was told last of each file.
    told: Vec<Told>,
    events: mpsc::Receiver<()>,
    /// Stops watching when it is dropped.
    _watcher: Option<RecommendedWatcher>,
}

#[derive(Clone, Copy)]
struct Told {
    content: Option<u64>,
    /// Since when nothing can be read, which was not told yet.
    missed: Option<Instant>,
}

impl Told {
    /// Whether what is there now is to be told.
    fn differs(&mut self, content: Option<u64>, now: Instant) -> bool {
        if content == self.content {
            self.missed = None;
            return false;
        }
        let missed = *self.missed.get_or_insert(now);
        if content.is_none() && now.duration_since(missed) < REPLACEMENT {
            return false;
        }
        *self = Self { content, missed: None };
        true
    }
}

impl FileWatch {
    /// Starts to watch. What has changed since the files were looked at is told too. Where the operating system cannot
    /// tell of changes, polling alone finds them.
    #[must_use]
    pub fn new(files: Vec<Known>) -> Self {
        let (sender, events) = mpsc::channel(1);
        let told = files.iter().map(|file| Told { content: file.content, missed: None }).collect();
        Self { _watcher: watcher(&files, sender), told, files: files.into(), events }
    }

    /// Waits until the content of a file is another one than it was when last told, or until it can no longer be
    /// read. Says which file; the changes of others are told with it.
    pub async fn changed(&mut self) -> PathBuf {
        loop {
            if let Some(changed) = self.look().await {
                return changed;
            }
            let missed = self.told.iter().filter_map(|told| told.missed).min();
            let next = Instant::now() + POLL;
            let next = missed.map_or(next, |missed| next.min(missed + REPLACEMENT));
            tokio::select! {
                () = stirred(&mut self.events) => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// The first of the files that have changed.
    async fn look(&mut self) -> Option<PathBuf> {
        let files = Arc::clone(&self.files);
        let look = move || files.iter().map(|file| content(&file.path, file.most)).collect::<Vec<_>>();
        let contents = blocking::run(look).await;
        let now = Instant::now();
        let mut changed = None;
        for ((file, told), content) in self.files.iter().zip(&mut self.told).zip(contents) {
            if told.differs(content, now) {
                changed = changed.or(Some(&file.path));
            }
        }
        changed.cloned()
    }
}

impl std::fmt::Debug for FileWatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileWatch").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Waits until something has happened, and it is quiet again.
async fn stirred(events: &mut mpsc::Receiver<()>) {
    if events.recv().await.is_none() {
        // No watcher.
        pending::<()>().await;
    }
    sleep(QUIET).await;
    while events.try_recv().is_ok() {}
}

fn watcher(files: &[Known], sender: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let directories: BTreeSet<&Path> = files.iter().map(|file| directory(&file.path)).collect();
    let watcher = RecommendedWatcher::new(
        move |event: notify::Result<notify::Event>| {
            // Reading the files ourselves must not wake us.
            let ours = matches!(
                event.as_ref().map(|event| event.kind),
                Ok(EventKind::Access(
                    AccessKind::Open(_) | AccessKind::Read | AccessKind::Close(AccessMode::Read)
                ))
            );
            if !ours {
                // A full channel already holds the news.
                let _full = sender.try_send(());
            }
        },
        Config::default(),
    );
    let unwatched = |error: &notify::Error| {
        tracing::warn!(%error, "cannot watch for changes of the configuration; looking now and then instead");
    };
    let mut watcher = watcher.map_err(|error| unwatched(&error)).ok()?;
    for directory in directories.into_iter().take(MOST_DIRECTORIES) {
        if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
            unwatched(&error);
        }
    }
    Some(watcher)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// What tells that a file has changed, without its content: its size, its inode, and when it was changed.
pub type Stamp = (u64, u64, SystemTime);

/// The stamp of a file, after following links; `None` when it cannot be looked at. Blocks on the disk.
#[must_use]
pub fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.ino(), metadata.modified().ok()?))
}

/// A hash of the file's content; none: it cannot be read.
fn content(path: &Path, most: u64) -> Option<u64> {
    // Asked before it is opened: opening a pipe would wait for somebody to write into it, and take what they wrote.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?.take(most.saturating_add(1));
    let mut hasher = DefaultHasher::new();
    let mut part = [0; 8192];
    loop {
        match file.read(&mut part) {
            Ok(0) => return Some(hasher.finish()),
            Ok(length) => hasher.write(part.get(..length)?),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests;
