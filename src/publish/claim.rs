//! The claim on the output directory: one process serves it, a daemon or a single pass.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Somebody else serves the output directory.
#[derive(Debug, thiserror::Error)]
#[error(
    "another daemon or single pass uses the output directory {}: give each a directory of its own, or wait for the end \
     of the other",
    directory.display()
)]
pub struct InUse {
    directory: PathBuf,
}

/// Holds the output directory for as long as it lives, and leaves nothing behind, however the process ends: the lock is
/// on the directory itself.
#[derive(Debug)]
pub struct Claim {
    /// None: the file system knows no such lock.
    held: Option<(File, Place)>,
}

/// Device and inode: the directory, whatever its name.
pub type Place = (u64, u64);

impl Claim {
    /// Claims the directory, which is there. Waits for nobody.
    ///
    /// # Errors
    /// Another process has claimed it.
    pub fn take(directory: &Path) -> Result<Self, InUse> {
        let claim = Self::take_beside(directory, None)?;
        Ok(claim.unwrap_or(Self { held: None }))
    }

    /// Which directory is held.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.held.as_ref().map(|(_, place)| *place)
    }

    /// Claims the directory, for a process that holds one already; none: it is the same one, and stays claimed.
    ///
    /// # Errors
    /// Another process has claimed it.
    pub fn take_beside(directory: &Path, held: Option<Place>) -> Result<Option<Self>, InUse> {
        let opened = File::open(directory).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, (metadata.dev(), metadata.ino())))
        });
        let outcome = match opened {
            Ok((_, place)) if held == Some(place) => return Ok(None),
            Ok((file, place)) => match file.try_lock() {
                Ok(()) => return Ok(Some(Self { held: Some((file, place)) })),
                Err(TryLockError::WouldBlock) => return Err(InUse { directory: directory.to_owned() }),
                Err(TryLockError::Error(error)) => error,
            },
            Err(error) => error,
        };
        // Publishing does not need it, so no file system is refused for it.
        tracing::warn!(
            directory = %directory.display(),
            "the output directory cannot be locked, so nothing keeps another process from serving it too: {outcome}"
        );
        Ok(Some(Self { held: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_claimed_once_until_the_claim_ends_by_whatever_name() {
        let home = tempfile::tempdir().unwrap();
        let (output, name) = (home.path().join("output"), home.path().join("name"));
        std::fs::create_dir(&output).unwrap();
        std::os::unix::fs::symlink(&output, &name).unwrap();
        let claim = Claim::take(&output).unwrap();
        for path in [&output, &name] {
            let refused = Claim::take(path).unwrap_err().to_string();
            let words =
                format!("another daemon or single pass uses the output directory {}: ", path.display());
            assert!(refused.starts_with(&words), "{refused}");
            assert!(Claim::take_beside(path, claim.place()).unwrap().is_none());
        }
        assert_eq!(std::fs::read_dir(&output).unwrap().count(), 0, "nobody sees it");
        // Another directory has taken its place.
        std::fs::rename(&output, home.path().join("aside")).unwrap();
        std::fs::create_dir(&output).unwrap();
        let next = Claim::take_beside(&output, claim.place()).unwrap().unwrap();
        assert!(Claim::take(&output).is_err());
        drop((claim, next));
        Claim::take(&output).unwrap();
    }

    #[test]
    fn what_cannot_be_locked_is_served_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let claim = Claim::take(&home.path().join("gone")).unwrap();
        assert_eq!(claim.place(), None);
    }
}
