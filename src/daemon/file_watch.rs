//! The watch of the configuration file, and of the files that are read with it.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::config::{Config, named_files};
use crate::system::files::{FileWatch, Known};

use super::services::Service;

/// What is watched: the configuration file, as it was when this configuration was loaded, and what the files that are
/// read only with it hold now. To be asked before those are read. Blocks on the disk.
pub(super) fn watched(file: Known, config: &Config) -> Vec<Known> {
    let mut named: Vec<_> = named_files(config).into_iter().filter(|file| file.read_at_load).collect();
    named.sort_by_key(|file| file.path);
    named.dedup_by_key(|file| file.path);
    let named = named.into_iter().map(|file| Known::look(file.path, file.most));
    std::iter::once(file).chain(named).collect()
}

/// Starts a service that says each time which file has changed.
pub(super) fn watch_files(files: Vec<Known>, changed: mpsc::Sender<PathBuf>) -> Service {
    let mut files = FileWatch::new(files);
    Service::start("the watch of the configuration file", |stop| async move {
        let tell = async {
            loop {
                // A full channel already holds the news.
                let _full = changed.try_send(files.changed().await);
            }
        };
        tokio::select! {
            () = tell => {}
            () = stop => {}
        }
    })
}
