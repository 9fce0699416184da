//! Reads small files whole, with a limit, and says in words why one cannot be read.

use std::io;

pub(super) use crate::system::short_file::bytes as read;

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
