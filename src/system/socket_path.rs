//! Paths of Unix sockets that are longer than the system call takes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The longest path that fits into `sockaddr_un`, which ends with a zero (unix(7)).
const LONGEST: usize = 107;

/// A path by which a socket can be bound or connected to. What it is reached by is open as long as this lives.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl SocketPath {
    /// Finds a path that is short enough: the path itself, or one through the directory, opened.
    ///
    /// # Errors
    /// The directory cannot be opened, or the name alone is too long.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let directory =
            rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        if short.as_os_str().len() > LONGEST {
            return Err(io::Error::other("the name of the socket is too long"));
        }
        Ok(Self { path: short, _directory: Some(directory) })
    }

    /// The path to use.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_deep_down_is_bound_and_reached() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("control.sock");
        assert!(UnixListener::bind(&path).is_err(), "else this proves nothing");
        let listener = UnixListener::bind(SocketPath::of(&path).unwrap().as_path()).unwrap();
        let _client = UnixStream::connect(SocketPath::of(&path).unwrap().as_path()).unwrap();
        assert!(listener.accept().is_ok() && path.exists());
        assert!(SocketPath::of(&deep.join("f".repeat(100))).is_err());
        assert!(SocketPath::of(&directory.path().join("g".repeat(108)).join("socket")).is_err());
    }
}
