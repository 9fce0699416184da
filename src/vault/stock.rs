//! What was discovered, kept in the state directory: stores are known before Vault answers, and so is since when the
//! secret of one is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::domain::discovery::Found;

const NAME: &str = "discovered.json";
/// Far above what all secrets that are ever listed need.
const LIMIT: u64 = 64 << 20;

/// What was discovered last; nothing where that is not known. Blocks on the disk.
#[must_use]
pub fn load(state: &Path) -> Vec<Found> {
    let path = state.join(NAME);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LIMIT).read_to_end(&mut text));
    let found = match read {
        Ok(_) => serde_json::from_slice(&text).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => Err(error),
    };
    found.unwrap_or_else(|error| {
        let path = path.display();
        tracing::warn!(
            "what was discovered is not known until Vault lists it: {path} cannot be read: {error}"
        );
        Vec::new()
    })
}

/// Keeps what is discovered now. The state directory is there already. Blocks on the disk.
///
/// # Errors
/// It could not be written, in words.
pub fn save(state: &Path, found: &[Found]) -> Result<(), String> {
    let path = state.join(NAME);
    let aside = state.join(format!("{NAME}.new"));
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&serde_json::to_vec(found)?)?;
        file.sync_all()?;
        fs::rename(&aside, &path)
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn what_was_saved_is_loaded_and_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(load(state.path()), []);
        let found = |path: &str, gone_since| Found { mount: "kv".into(), path: path.into(), gone_since };
        let all = [found("bc/acme", None), found("bc/gone", Some(Timestamp::from_millis(1_800_000_000_000)))];
        save(state.path(), &all).unwrap();
        assert_eq!(load(state.path()), all);
        fs::write(state.path().join(NAME), "[{").unwrap();
        assert_eq!(load(state.path()), []);
        assert!(save(&state.path().join("none"), &all).unwrap_err().contains("discovered.json"));
    }
}
