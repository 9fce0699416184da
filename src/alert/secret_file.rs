//! Files with one short secret: read anew for each message, so that a secret can be replaced at any time.

use std::path::Path;

use crate::domain::secret::Secret;
use crate::system::short_file;

pub(super) use crate::system::short_file::ShortFileError as SecretFileError;

/// Reads the whole text of a file. Blocks on the disk.
pub(super) fn read(path: &Path) -> Result<Secret, SecretFileError> {
    short_file::read(path).map(|mut text| Secret::new(std::mem::take(&mut *text)))
}

/// Reads a file on a thread that may block.
pub(super) async fn read_in_background(path: &Path) -> Result<Secret, SecretFileError> {
    short_file::read_in_background(path).await.map(|mut text| Secret::new(std::mem::take(&mut *text)))
}
