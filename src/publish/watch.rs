//! Which directories are watched for a store: its name in the output directory, its own, and its generation's.

use std::ffi::OsStr;

use super::directory::Directory;
use crate::domain::credentials::StoreName;
use crate::system::directories::{Directories, Layer};

/// Watches what is looked at, where that is wanted. A directory that is watched already stays so; one that was
/// lost, replaced or mounted anew is watched again from the next look on.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Option<Directories<StoreName>>);

impl Watch {
    pub(super) const fn through(directories: Directories<StoreName>) -> Self {
        Self(Some(directories))
    }

    /// The store's name in the output directory.
    pub(super) fn output(&self, directory: &Directory, store: &StoreName) {
        if let Some(directories) = &self.0 {
            directories.watch_entry(directory, directory.path(), OsStr::new(store.as_str()), store);
        }
    }

    /// The store's own directory.
    pub(super) fn store(&self, directory: &Directory, store: &StoreName) {
        self.whole(directory, Layer::Outer, store);
    }

    /// The published generation. The one before it is nobody's concern any more.
    pub(super) fn generation(&self, directory: &Directory, store: &StoreName) {
        self.whole(directory, Layer::Inner, store);
    }

    fn whole(&self, directory: &Directory, layer: Layer, store: &StoreName) {
        if let Some(directories) = &self.0 {
            directories.watch_whole(directory, directory.path(), layer, store);
        }
    }
}
