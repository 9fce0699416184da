//! Files with one short secret, read whole: bounded, text, and wiped from memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::blocking;

/// Far above any secret that is kept in a file of its own.
const LIMIT: usize = 4096;

/// Why there is no text. Never shows what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum ShortFileError {
    /// The operating system refuses.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A directory, a pipe or the like.
    #[error("it is not a file")]
    NotAFile,
    /// Longer than any secret.
    #[error("it is longer than {LIMIT} bytes: it must hold the secret and nothing else")]
    TooLong,
    /// Not UTF-8.
    #[error("it is not text: it must hold the secret and nothing else")]
    NotText,
}

/// Reads the whole text of a file. Blocks on the disk.
///
/// # Errors
/// It cannot be read, or is no short text.
pub fn read(path: &Path) -> Result<Zeroizing<String>, ShortFileError> {
    let mut bytes = whole(path, LIMIT)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        ShortFileError::NotText
    })?;
    Ok(Zeroizing::new(text))
}

/// Reads a regular file of at most `limit` bytes. The bytes are wiped when dropped.
///
/// What is no regular file (after following links) is refused: reading a pipe could wait for ever.
///
/// # Errors
/// It cannot be read, or is longer.
pub fn bytes(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    whole(path, limit).map_err(|error| match error {
        ShortFileError::Unreadable(error) => error,
        ShortFileError::NotAFile => io::Error::other("it is not a regular file"),
        ShortFileError::TooLong | ShortFileError::NotText => {
            io::Error::other(format!("it is larger than {limit} bytes"))
        }
    })
}

fn whole(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, ShortFileError> {
    // Asked before it is opened: opening a pipe would wait for somebody to write into it.
    if !path.metadata()?.is_file() {
        return Err(ShortFileError::NotAFile);
    }
    // All of the room at once, so that growing leaves no copy of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.min(64 * 1024) + 1));
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(ShortFileError::TooLong) } else { Ok(bytes) }
}

/// Reads a file on a thread that may block.
///
/// # Errors
/// As [`read`].
pub async fn read_in_background(path: &Path) -> Result<Zeroizing<String>, ShortFileError> {
    let path = path.to_owned();
    blocking::run(move || read(&path)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_text_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        assert!(matches!(read(&file), Err(ShortFileError::Unreadable(_))));
        assert!(matches!(read(directory.path()), Err(ShortFileError::NotAFile)));
        std::fs::write(&file, vec![b'a'; 5000]).unwrap();
        assert!(matches!(read(&file), Err(ShortFileError::TooLong)));
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&file), Err(ShortFileError::NotText)));
        std::fs::write(&file, "s3cret\n").unwrap();
        assert_eq!(*read(&file).unwrap(), "s3cret\n");
    }
}
