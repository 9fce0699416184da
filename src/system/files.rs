//! Watching a file for changes, and telling only when its content has really changed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Changes that come together are told once, after this much quiet.
const QUIET: Duration = Duration::from_millis(200);
/// Some changes cause no event at all: bind-mounted files, some network file systems. So the content is
/// looked at now and then as well.
const POLL: Duration = Duration::from_secs(30);
/// What is larger is not looked at whole.
const MAX_SIZE: u64 = 1024 * 1024;

/// Watches one file. The directory is what is watched, because a file that is replaced by a rename is
/// another file afterwards.
pub struct FileWatch {
    path: PathBuf,
    seen: Option<u64>,
    events: mpsc::Receiver<()>,
    /// Stops watching when it is dropped.
    _watcher: Option<Box<dyn Watcher + Send>>,
}

impl FileWatch {
    /// Starts to watch. Where the operating system cannot tell of changes, polling alone finds them.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let (sender, events) = mpsc::channel(1);
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let watcher = RecommendedWatcher::new(
            move |event: notify::Result<notify::Event>| {
                // Reading the file ourselves must not wake us.
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
        )
        .and_then(|mut watcher| {
            watcher.watch(&directory, RecursiveMode::NonRecursive)?;
            Ok(Box::new(watcher) as Box<dyn Watcher + Send>)
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, directory = %directory.display(), "cannot watch for changes; looking now and then instead");
        }
        Self { path: path.to_owned(), seen: content(path), events, _watcher: watcher.ok() }
    }

    /// Waits until the file's content is another one than it was when last told.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                event = self.events.recv() => {
                    if event.is_none() {
                        // No watcher: wait for the next look.
                        tokio::time::sleep(POLL).await;
                    } else {
                        tokio::time::sleep(QUIET).await;
                        while self.events.try_recv().is_ok() {}
                    }
                }
                () = tokio::time::sleep(POLL) => {}
            }
            let now = content(&self.path);
            // A file that is gone for a moment is being replaced.
            if now.is_some() && now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

impl std::fmt::Debug for FileWatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileWatch").field("path", &self.path).finish_non_exhaustive()
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

/// A hash of the file's content; none: it cannot be read or is too large to be ours.
fn content(path: &Path) -> Option<u64> {
    let size = std::fs::metadata(path).ok()?.len();
    if size > MAX_SIZE {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    std::fs::read(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tells(watch: &mut FileWatch) {
        tokio::time::timeout(Duration::from_secs(20), watch.changed())
            .await
            .expect("the change was not told");
    }

    #[tokio::test]
    async fn a_change_is_told_whether_the_file_is_written_or_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "one").unwrap();
        let mut watch = FileWatch::new(&path);
        std::fs::write(&path, "two").unwrap();
        tells(&mut watch).await;
        for content in ["three", "four"] {
            let aside = directory.path().join("aside");
            std::fs::write(&aside, content).unwrap();
            std::fs::rename(&aside, &path).unwrap();
            tells(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn a_change_through_the_links_of_a_mounted_config_map_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (generation, content) in [("..1", "one"), ("..2", "two")] {
            std::fs::create_dir(root.join(generation)).unwrap();
            std::fs::write(root.join(generation).join("config.toml"), content).unwrap();
        }
        std::os::unix::fs::symlink("..1", root.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/config.toml", root.join("config.toml")).unwrap();
        let mut watch = FileWatch::new(&root.join("config.toml"));
        std::os::unix::fs::symlink("..2", root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        tells(&mut watch).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_changes_nothing_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "one").unwrap();
        let mut watch = FileWatch::new(&path);
        std::fs::write(&path, "one").unwrap();
        let told = tokio::time::timeout(POLL * 5, watch.changed()).await;
        assert!(told.is_err());
    }
}
