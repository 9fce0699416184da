//! Mode, owner and group: set on what is written, compared on what is read.

use std::cell::OnceCell;
use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, Stat, Uid, fchmod, fchown, fstat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::directory::Directory;
use crate::config::Output;

/// The bits of a mode that are set and compared.
const MODE_BITS: u32 = 0o7777;
const ROOT: u32 = 0;

/// The rights that a file or a directory must have.
#[derive(Clone, Copy)]
pub(super) struct Rights {
    mode: u32,
    owner: Option<u32>,
    group: Option<u32>,
}

/// A right that could not be set: what was tried, and the system's reason.
pub(super) struct RightsError {
    /// The operation, as a fault names it.
    pub(super) operation: &'static str,
    /// The reason, and what is needed where that is known.
    pub(super) reason: String,
}

impl Rights {
    /// Those of the directories.
    pub(super) fn of_directories(output: &Output) -> Self {
        Self::new(output, output.directory_mode)
    }

    /// Those of the files.
    pub(super) fn of_files(output: &Output) -> Self {
        Self::new(output, output.file_mode)
    }

    fn new(output: &Output, mode: u32) -> Self {
        Self { mode: mode & MODE_BITS, owner: output.owner, group: output.group }
    }

    /// Gives an open file or directory these rights exactly, whatever the umask or the directory above it
    /// made of them. What is right already is not touched, so that no privilege is needed for it.
    pub(super) fn give(&self, handle: impl AsFd) -> Result<(), RightsError> {
        let look = || fstat(&handle).map_err(|error| RightsError::new("cannot look at", error));
        let mut is = look()?;
        let owner = self.owner.filter(|owner| *owner != is.st_uid);
        let group = self.group.filter(|group| *group != is.st_gid);
        if owner.is_some() || group.is_some() {
            fchown(&handle, owner.map(Uid::from_raw), group.map(Gid::from_raw))
                .map_err(|error| RightsError::new("cannot set the owner of", error))?;
            // A change of the owner may clear bits of the mode.
            is = look()?;
        }
        if is.st_mode & MODE_BITS != self.mode {
            fchmod(&handle, self.mode())
                .map_err(|error| RightsError::new("cannot set the mode of", error))?;
        }
        Ok(())
    }

    /// The mode alone.
    pub(super) fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.mode)
    }

    /// What is different from these rights, in words.
    pub(super) fn difference(&self, is: &Stat) -> Option<String> {
        let mode = is.st_mode & MODE_BITS;
        if mode != self.mode {
            return Some(format!("its mode is {mode:04o}, not {:04o}", self.mode));
        }
        match (self.owner, self.group) {
            (Some(owner), _) if owner != is.st_uid => {
                Some(format!("its owner is {}, not {owner}", is.st_uid))
            }
            (_, Some(group)) if group != is.st_gid => {
                Some(format!("its group is {}, not {group}", is.st_gid))
            }
            _ => None,
        }
    }
}

/// Whose that is what we make in a store's directory, where the configuration does not say.
///
/// It is the daemon's own, as a rule. But a volume may have a mind of its own, such as NFS, which maps users, or a
/// directory that hands down its group; so what is not the daemon's is compared with a file that is made there for that
/// purpose and has no name.
pub(super) struct Ours<'a> {
    directory: &'a Directory,
    rights: Rights,
    /// The daemon's own user and group.
    daemon: (u32, u32),
    given: OnceCell<Option<(u32, u32)>>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(directory: &'a Directory, output: &Output) -> Self {
        let daemon = (geteuid().as_raw(), getegid().as_raw());
        Self { directory, rights: Rights::of_files(output), daemon, given: OnceCell::new() }
    }

    /// The rights of the store's directory. Where the configuration names no owner, a directory that somebody has given
    /// away is taken back by whoever can; its group may be what the directory above hands down.
    pub(super) fn of_store(&self, output: &Output, is: &Stat) -> Rights {
        let rights = Rights::of_directories(output);
        let foreign = self.daemon.0 == ROOT && is.st_uid != ROOT;
        if rights.owner.is_some() || !foreign {
            return rights;
        }
        let given = *self.given.get_or_init(|| self.directory.gives());
        Rights { owner: given.map(|(uid, _)| uid), ..rights }
    }

    /// Who owns this, in words, when we did not make it so. Where a volume makes no files without a name, or none now,
    /// nobody can tell.
    pub(super) fn difference(&self, is: &Stat) -> Option<String> {
        let owner = self.rights.owner.is_none() && is.st_uid != self.daemon.0;
        let group = self.rights.group.is_none() && is.st_gid != self.daemon.1;
        if !owner && !group {
            return None;
        }
        let (uid, gid) = (*self.given.get_or_init(|| self.directory.gives()))?;
        match (owner && is.st_uid != uid, group && is.st_gid != gid) {
            (true, _) => Some(format!("its owner is {}, not {uid}", is.st_uid)),
            (false, true) => Some(format!("its group is {}, not {gid}", is.st_gid)),
            (false, false) => None,
        }
    }
}

impl RightsError {
    fn new(operation: &'static str, error: Errno) -> Self {
        let reason = match (operation, error) {
            ("cannot set the owner of", Errno::PERM) => format!(
                "{error}; only root, or a process with CAP_CHOWN, may give files away, and a group may be set \
                 only by its members: run so, or leave output.owner and output.group out"
            ),
            ("cannot set the mode of", Errno::PERM) => format!(
                "{error}; it belongs to another user: run as that user, as root or with CAP_FOWNER, or remove \
                 it"
            ),
            _ => error.to_string(),
        };
        Self { operation, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_needed() {
        let error = RightsError::new("cannot set the owner of", Errno::PERM);
        assert!(error.reason.contains("CAP_CHOWN"), "{}", error.reason);
        assert!(error.reason.contains("output.owner"), "{}", error.reason);
        let error = RightsError::new("cannot set the mode of", Errno::PERM);
        assert!(error.reason.contains("CAP_FOWNER"), "{}", error.reason);
        let error = RightsError::new("cannot set the mode of", Errno::ROFS);
        assert!(!error.reason.contains("CAP"), "{}", error.reason);
    }
}
