//! Files with one short secret: read anew for each message, so that a secret can be replaced at any time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::domain::secret::Secret;

/// Far above any secret that a channel needs.
const LIMIT: u64 = 4096;

/// Why there is no secret. Never shows what the file holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is not a file")]
    NotAFile,
    #[error("it is longer than {LIMIT} bytes: it must hold the secret and nothing else")]
    TooLong,
    #[error("it is not text: it must hold the secret and nothing else")]
    NotText,
}

/// Reads the whole text of a file. Blocks on the disk.
pub(super) fn read(path: &Path) -> Result<Secret, SecretFileError> {
    // Asked before it is opened: opening a pipe would wait for somebody to write into it.
    if !path.metadata()?.is_file() {
        return Err(SecretFileError::NotAFile);
    }
    let limit = usize::try_from(LIMIT).unwrap_or(usize::MAX);
    // All of the room at once, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(SecretFileError::TooLong);
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        SecretFileError::NotText
    })?;
    Ok(Secret::new(text))
}

/// Reads a file on a thread that may block.
pub(super) async fn read_in_background(path: &Path) -> Result<Secret, SecretFileError> {
    let path = path.to_owned();
    match tokio::task::spawn_blocking(move || read(&path)).await {
        Ok(secret) => secret,
        Err(end) => Err(SecretFileError::Unreadable(io::Error::other(end))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_text_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        assert!(matches!(read(&file), Err(SecretFileError::Unreadable(_))));
        assert!(matches!(read(directory.path()), Err(SecretFileError::NotAFile)));
        std::fs::write(&file, vec![b'a'; 5000]).unwrap();
        assert!(matches!(read(&file), Err(SecretFileError::TooLong)));
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&file), Err(SecretFileError::NotText)));
        std::fs::write(&file, "s3cret\n").unwrap();
        assert_eq!(read(&file).unwrap().expose(), "s3cret\n");
    }
}
