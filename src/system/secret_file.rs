//! Files with one short secret: read anew for each use, so that a secret can be replaced at any time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Far above any secret that somebody has to be shown.
const LIMIT: u64 = 4096;

/// Why there is no secret. Never shows what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The system's reason.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A directory, a pipe, a device.
    #[error("it is not a file")]
    NotAFile,
    /// It cannot be a secret.
    #[error("it is longer than {LIMIT} bytes: it must hold the secret and nothing else")]
    TooLong,
    /// It is not UTF-8.
    #[error("it is not text: it must hold the secret and nothing else")]
    NotText,
}

/// Reads the whole text of a file. Blocks on the disk.
///
/// # Errors
/// It cannot be read, or is too long or not text.
pub fn read(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
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
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        SecretFileError::NotText
    })
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
        assert_eq!(*read(&file).unwrap(), "s3cret\n");
    }
}
