//! Files with the secret of a channel: read anew for each message.

use std::io;
use std::path::Path;

use crate::domain::secret::Secret;
use crate::system::secret_file;

pub(super) use crate::system::secret_file::SecretFileError;

/// Reads the whole text of a file. Blocks on the disk.
pub(super) fn read(path: &Path) -> Result<Secret, SecretFileError> {
    secret_file::read(path).map(|mut text| Secret::new(std::mem::take(&mut *text)))
}

/// Reads a file on a thread that may block.
pub(super) async fn read_in_background(path: &Path) -> Result<Secret, SecretFileError> {
    let path = path.to_owned();
    match tokio::task::spawn_blocking(move || read(&path)).await {
        Ok(secret) => secret,
        Err(end) => Err(SecretFileError::Unreadable(io::Error::other(end))),
    }
}
