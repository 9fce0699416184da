//! The key of the fingerprints: made once, kept in the state directory, read at each start.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use crate::domain::secret::FingerprintKey;

const NAME: &str = "fingerprint.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct KeyError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Reads the key from the state directory, or makes both. Blocks on the disk.
///
/// # Errors
/// The directory or the file cannot be made or read, or the file holds something else.
pub fn load_or_create(state: &Path) -> Result<FingerprintKey, KeyError> {
    let path = state.join(NAME);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault("cannot read", &path, error)),
        Ok(key) => return Ok(FingerprintKey::new(&key)),
    }
    make_state_directory(state)?;
    create(state, &path)?;
    // Another process may have been faster: whichever key is there now is the key.
    let key = read(&path).map_err(|error| fault("cannot read", &path, error))?;
    Ok(FingerprintKey::new(&key))
}

/// Makes the state directory, unless it is there.
///
/// # Errors
/// It cannot be made.
pub fn make_state_directory(state: &Path) -> Result<(), KeyError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.map_err(|error| fault("cannot create", state, error))
}

fn read(path: &Path) -> io::Result<Zeroizing<[u8; FingerprintKey::LENGTH]>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FingerprintKey::LENGTH + 1));
    let limit = FingerprintKey::LENGTH as u64 + 1;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    let key = <[u8; FingerprintKey::LENGTH]>::try_from(bytes.as_slice()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not hold 32 bytes; remove it, and a new key is made",
        )
    })?;
    Ok(Zeroizing::new(key))
}

fn create(state: &Path, path: &Path) -> Result<(), KeyError> {
    let mut key = Zeroizing::new([0_u8; FingerprintKey::LENGTH]);
    let random = SystemRandom::new();
    let mut tag = [0_u8; 8];
    random
        .fill(key.as_mut_slice())
        .and_then(|()| random.fill(&mut tag))
        .map_err(|_| fault("cannot make", path, io::Error::other("the system gives no random bytes")))?;
    let aside: PathBuf = state.join(format!(".{NAME}.{:016x}", u64::from_be_bytes(tag)));
    let written = write(&aside, key.as_slice());
    let moved = written.and_then(|()| match renameat_with(CWD, &aside, CWD, path, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => std::fs::remove_file(&aside),
        Err(error) => Err(error.into()),
        Ok(()) => File::open(state)?.sync_all(),
    });
    moved.map_err(|error| {
        let _already_gone = std::fs::remove_file(&aside);
        fault("cannot write", path, error)
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn fault(operation: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::errors::chain;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/state");
        let first = load_or_create(&state).unwrap();
        let again = load_or_create(&state).unwrap();
        assert_eq!(first.of(&["x"]), again.of(&["x"]));
        assert_eq!(std::fs::metadata(state.join(NAME)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1);
    }

    #[test]
    fn those_who_make_it_together_get_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path();
        let prints: Vec<_> = std::thread::scope(|scope| {
            let make = || load_or_create(state).unwrap().of(&["x"]);
            let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(prints.iter().all(|print| *print == prints[0]));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        std::fs::write(&path, "short").unwrap();
        let error = chain(&load_or_create(directory.path()).unwrap_err());
        assert!(error.contains("does not hold 32 bytes"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
