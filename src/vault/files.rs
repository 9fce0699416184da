//! Reads small files whole, with a limit, and says in words why one cannot be read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Reads a regular file of at most `limit` bytes. The bytes are wiped when dropped.
///
/// What is no regular file (after following links) is refused: reading a pipe could wait for ever.
pub(super) fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // One allocation for all, so that no outgrown copy of a secret stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.min(64 * 1024) + 1));
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Why a file could not be read, and what to do.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds speak for themselves")]
pub(super) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist; create it or correct its path".into(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; let the user that this process runs as read it".into()
        }
        _ => error.to_string(),
    }
}
