//! The watch of the configuration file.

use std::path::Path;

use tokio::sync::mpsc;

use crate::system::files::FileWatch;

use super::services::Service;

/// Starts a service that says each time that the file has changed.
pub(super) fn watch_file(path: &Path, changed: mpsc::Sender<()>) -> Service {
    let mut file = FileWatch::new(path);
    Service::start("the watch of the configuration file", |stop| async move {
        let tell = async {
            loop {
                file.changed().await;
                // A full channel already holds the news.
                let _full = changed.try_send(());
            }
        };
        tokio::select! {
            () = tell => {}
            () = stop => {}
        }
    })
}
