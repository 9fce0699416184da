//! A directory held open: every name is looked up in it as one component, and no link is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat, chmod, fchmod, fstat, fsync, mkdirat,
    openat, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::rights::{Rights, RightsError};
use crate::domain::publication::PublishFault;
use crate::system::hardening::landlock;

/// How many names a directory may have that is listed: ours have some dozens, and whoever fills one must fill neither our
/// memory nor our time.
pub(super) const MAX_NAMES: usize = 10_000;
/// How deep that may be nested which is removed: what is ours is one directory deep, and each level keeps a handle open.
const MAX_DEPTH: u8 = 64;
/// How many links one directory may be behind: as many as the kernel follows.
const MAX_HOPS: usize = 40;

/// An open directory.
///
/// A name given to its methods is a single component. Looked up beneath an open handle with `O_NOFOLLOW`, it
/// cannot lead out of the directory, whoever plants links in it meanwhile; this is what `openat2` with
/// `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` would hold, on every kernel and under every seccomp filter.
pub(super) struct Directory {
    handle: OwnedFd,
    path: PathBuf,
}

/// What a name turned out to be, asked for a link.
pub(super) enum Link {
    /// Nothing has this name.
    Missing,
    /// A file, a directory or a link whose target is no text.
    Other,
    /// A link, with its target.
    To(String),
}

/// What came of reading a file.
pub(super) enum Content {
    /// The file's bytes, and what the system says of the file.
    Whole(Zeroizing<Vec<u8>>, Stat),
    /// There is no file that could be read; the reason, in words.
    Unfit(&'static str),
}

impl Directory {
    /// Opens a directory by its path. Links in it are the operator's and are followed.
    pub(super) fn at(path: &Path) -> Result<Self, Errno> {
        let handle = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Opens the directory that is configured; none: there is none. A link in its place is followed where root or we
    /// have made it: anybody else may have planted it, in a volume that they may write to.
    pub(super) fn configured(path: &Path) -> Result<Option<Self>, PublishFault> {
        let refused = |error| fault("cannot open", path, error);
        // With a slash at its end it would be followed unseen.
        let mut place: PathBuf = path.components().collect();
        for _ in 0..=MAX_HOPS {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle = match openat(CWD, &place, flags, Mode::empty()) {
                Ok(handle) => handle,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(refused(error)),
            };
            let stat = fstat(&handle).map_err(refused)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let handle = openat(&handle, ".", flags, Mode::empty()).map_err(refused)?;
                return Ok(Some(Self { handle, path: path.to_owned() }));
            }
            trusted(&place, stat.st_uid)?;
            let target = readlinkat(&handle, "", Vec::new()).map_err(refused)?;
            place.pop();
            place = place.join(OsStr::from_bytes(target.as_bytes())).components().collect();
        }
        Err(refused(Errno::LOOP))
    }

    /// Opens a directory in this one. A link to a directory is [`Errno::NOTDIR`] or [`Errno::LOOP`].
    pub(super) fn open(&self, name: &str) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { handle: openat(&self.handle, name, flags, Mode::empty())?, path: self.path.join(name) })
    }

    /// Where it was opened, for people.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory of ours in this one, also when its mode keeps us out: what is ours we may let ourselves into.
    pub(super) fn open_own(&self, name: &str) -> Result<Self, Errno> {
        match self.open(name) {
            Err(Errno::ACCESS) => {}
            opened => return opened,
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = openat(&self.handle, name, flags, Mode::empty())?;
        // A handle that is not open for reading has no other way to its mode.
        chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?;
        self.open(name)
    }

    /// The owner and the group of what is made in this directory now; none: that cannot be found out.
    pub(super) fn gives(&self) -> Option<(u32, u32)> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let nameless = openat(&self.handle, ".", flags, Mode::RUSR).ok()?;
        fstat(&nameless).ok().map(|stat| (stat.st_uid, stat.st_gid))
    }

    /// Makes a directory that only we may enter so far.
    pub(super) fn make(&self, name: &str) -> Result<(), Errno> {
        mkdirat(&self.handle, name, Mode::RWXU)
    }

    /// Gives this directory its rights.
    pub(super) fn give(&self, rights: Rights) -> Result<(), PublishFault> {
        rights.give(&self.handle).map_err(|error| rights_fault(&self.path, error))
    }

    /// What the system says of this directory.
    pub(super) fn stat(&self) -> Result<Stat, PublishFault> {
        fstat(&self.handle).map_err(|error| fault("cannot look at", &self.path, error))
    }

    /// Puts the names in this directory on the disk.
    pub(super) fn sync(&self) -> Result<(), PublishFault> {
        match fsync(&self.handle) {
            // Some network and FUSE file systems cannot sync a directory; they have no weaker promise to keep.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(fault("cannot sync", &self.path, error)),
        }
    }

    /// Makes a new file: its rights are set before its first byte, and its bytes are on the disk when this
    /// returns.
    pub(super) fn write(&self, name: &str, content: &[u8], rights: Rights) -> Result<(), PublishFault> {
        let path = self.path.join(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // With its mode from the first: where the umask takes nothing off, there is nothing left to set.
        let handle = openat(&self.handle, name, flags, rights.mode())
            .map_err(|error| fault("cannot create", &path, error))?;
        rights.give(handle.as_fd()).map_err(|error| rights_fault(&path, error))?;
        let mut file = File::from(handle);
        file.write_all(content).map_err(|error| fault("cannot write", &path, error))?;
        file.sync_all().map_err(|error| fault("cannot sync", &path, error))
    }

    /// Reads a file of at most `limit` bytes. Never blocks on a planted pipe, never follows a planted link.
    pub(super) fn read(&self, name: &str, limit: usize) -> Result<Content, PublishFault> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let handle = match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(Content::Unfit("it is missing")),
            Err(Errno::LOOP | Errno::NXIO) => return Ok(Content::Unfit("it is not a regular file")),
            Err(Errno::ACCESS) => return Ok(Content::Unfit("it may not be read")),
            Err(error) => return Err(fault("cannot open", &path, error)),
        };
        let stat = fstat(&handle).map_err(|error| fault("cannot look at", &path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Content::Unfit("it is not a regular file"));
        }
        let length = match usize::try_from(stat.st_size) {
            Ok(length) if length <= limit => length,
            Ok(_) | Err(_) => return Ok(Content::Unfit("it is too long")),
        };
        // Its whole length at once: growing would leave copies of a secret behind. Nor is it asked whether more
        // has come since: who writes to a published file has damaged it anyway.
        let mut bytes = Zeroizing::new(vec![0; length]);
        match File::from(handle).read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Content::Unfit("it became shorter while it was read"));
            }
            Err(error) => return Err(fault("cannot read", &path, error)),
        }
        Ok(Content::Whole(bytes, stat))
    }

    /// Reads a link.
    pub(super) fn link(&self, name: &str) -> Result<Link, PublishFault> {
        match readlinkat(&self.handle, name, Vec::new()) {
            Ok(target) => Ok(target.into_string().map_or(Link::Other, Link::To)),
            Err(Errno::NOENT) => Ok(Link::Missing),
            Err(Errno::INVAL) => Ok(Link::Other),
            Err(error) => Err(fault("cannot read the link", &self.path.join(name), error)),
        }
    }

    /// Makes `name` a link to `target` in one step: whoever opens the name sees what it was, or what it is now. A
    /// directory that has the name, as in a copy in which links were followed, is removed with all that is in it.
    pub(super) fn replace_link(&self, name: &str, target: &str, temporary: &str) -> Result<(), PublishFault> {
        let make = |name: &str| match symlinkat(target, &self.handle, name) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(fault("cannot create the link", &self.path.join(name), error)),
        };
        if make(name)? {
            return Ok(());
        }
        if !make(temporary)? {
            // Left over from a crash.
            self.remove(temporary)?;
            if !make(temporary)? {
                return Err(fault("cannot create the link", &self.path.join(temporary), Errno::EXIST));
            }
        }
        let renamed = match renameat(&self.handle, temporary, &self.handle, name) {
            Err(Errno::ISDIR) => self.replace_directory(name, temporary),
            renamed => renamed,
        };
        renamed.map_err(|error| {
            // The fault to tell is that of the rename; the next publication or sweep removes what is left.
            let _ = self.remove(temporary);
            fault("cannot rename a link to", &self.path.join(name), error)
        })
    }

    /// Puts what is at `temporary` in the place of a directory, which no plain rename does.
    fn replace_directory(&self, name: &str, temporary: &str) -> Result<(), Errno> {
        match renameat_with(&self.handle, temporary, &self.handle, name, RenameFlags::EXCHANGE) {
            Ok(()) => {
                // What stays of it now, the next sweep removes, and reports.
                let _ = self.remove(temporary);
                Ok(())
            }
            // Not every file system exchanges names; without that, nothing has the name for a moment.
            Err(Errno::INVAL | Errno::NOSYS) => {
                self.remove_nested(name, MAX_DEPTH)?;
                renameat(&self.handle, temporary, &self.handle, name)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes whatever has this name, with all that is in it; nothing to remove is no fault.
    pub(super) fn remove(&self, name: &str) -> Result<(), PublishFault> {
        self.remove_nested(name, MAX_DEPTH)
            .map_err(|error| fault("cannot remove", &self.path.join(name), error))
    }

    fn remove_nested(&self, name: &str, depth: u8) -> Result<(), Errno> {
        match unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            // POSIX allows this for a directory, too.
            Err(Errno::PERM) if self.is_directory(name)? => {}
            Err(error) => return Err(error),
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Errno::NOTEMPTY);
        };
        let inner = self.open_own(name)?;
        // A mode without `w` for its owner would keep the owner from removing what is in it. Where the mode
        // cannot be set, removing says so.
        let _ = fchmod(&inner.handle, Mode::RWXU);
        for entry in inner.names()? {
            inner.remove_nested(&entry, depth)?;
        }
        unlinkat(&self.handle, name, AtFlags::REMOVEDIR)
    }

    fn is_directory(&self, name: &str) -> Result<bool, Errno> {
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// The names in this directory. A name that is no text is none of ours and left out. More than [`MAX_NAMES`] are
    /// [`Errno::TOOBIG`].
    pub(super) fn names(&self) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for (count, entry) in Dir::read_from(&self.handle)?.enumerate() {
            if count >= MAX_NAMES {
                return Err(Errno::TOOBIG);
            }
            if let Ok(name) = entry?.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A fault about a name in this directory.
    pub(super) fn fault(
        &self,
        operation: &'static str,
        name: &str,
        error: impl Into<io::Error>,
    ) -> PublishFault {
        fault(operation, &self.path.join(name), error)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Whether a link in the place of the output directory is to be followed.
fn trusted(link: &Path, owner: u32) -> Result<(), PublishFault> {
    let we = geteuid().as_raw();
    if [0, we].contains(&owner) {
        return Ok(());
    }
    let reason = format!(
        "it is a link that user {owner} has made, who is neither root nor the daemon's user ({we}); remove it, or, if it \
         is meant, name its target in output.directory, or let root make it"
    );
    Err(PublishFault { operation: "will not follow", path: link.display().to_string(), reason })
}

/// A fault with the system's reason.
pub(super) fn fault(operation: &'static str, path: &Path, error: impl Into<io::Error>) -> PublishFault {
    let error = error.into();
    let mut reason = error.to_string();
    // The same word as for wrong modes, which would be looked for in vain.
    if error.kind() == io::ErrorKind::PermissionDenied && landlock::is_confined() {
        reason.push_str(
            "; Landlock keeps the daemon to the directory that was there at its start: if that was removed or \
             mounted over since, restart the daemon",
        );
    }
    PublishFault { operation, path: path.display().to_string(), reason }
}

fn rights_fault(path: &Path, error: RightsError) -> PublishFault {
    PublishFault { operation: error.operation, path: path.display().to_string(), reason: error.reason }
}
