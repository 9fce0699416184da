//! The watch of the published files: tells the loop when somebody has touched them.

use tokio::sync::mpsc;
use tracing::error;

use crate::domain::credentials::StoreName;
use crate::system::directories::{Directories, Disturbed};

use super::services::Service;

/// The watch of one configuration's files.
#[derive(Debug)]
pub(super) struct OutputWatch {
    /// What is watched; whoever looks at the files adds to it.
    pub(super) directories: Directories<StoreName>,
    /// Whose files were touched. One message waits at the most: what happens meanwhile is gathered in the kernel.
    pub(super) disturbed: mpsc::Receiver<Disturbed<StoreName>>,
    pub(super) service: Option<Service>,
}

impl OutputWatch {
    /// Begins to watch, as yet nothing.
    pub(super) fn start() -> Self {
        let directories = Directories::open();
        let mut changes = directories.changes();
        let (sender, disturbed) = mpsc::channel(1);
        let tell = async move {
            loop {
                match changes.next().await {
                    // Nobody listens any more when another configuration is in force.
                    Ok(disturbed) => drop(sender.send(disturbed).await),
                    Err(reason) => {
                        error!("changes of published files are no longer told: {reason}");
                        std::future::pending().await
                    }
                }
            }
        };
        let service = Service::start("the watch of the published files", |stop| async move {
            tokio::select! {
                () = tell => {}
                () = stop => {}
            }
        });
        Self { directories, disturbed, service: Some(service) }
    }
}
