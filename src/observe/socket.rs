//! The control socket: a file in the state directory, which only its owner may open.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use tokio::net::{UnixSocket, UnixStream};

use super::server::Listener;
use crate::system::socket_path::SocketPath;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 64;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A living process answers there.
    #[error(
        "another process listens on the control socket {}; stop it, or set `socket` in [control] to another path",
        path.display()
    )]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no socket has this name.
    #[error(
        "{} is in the way of the control socket, and is no socket; remove it, or set `socket` in [control] to \
         another path",
        path.display()
    )]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// Any other reason.
    #[error(
        "cannot make the control socket {}; set `socket` in [control] to a path in a directory that the daemon can \
         write, or to \"off\"",
        path.display()
    )]
    Unusable {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// The socket's file; removed when it is dropped, unless another one has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.path.symlink_metadata().is_ok_and(|found| identity(&found) == self.identity) {
            // What stays is stale, and replaced at the next start.
            let _left = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens the control socket, for its owner alone. One that a dead process left is replaced.
///
/// # Errors
/// Somebody listens there, or it cannot be made; the message says what to do.
pub async fn bind_socket(path: &Path) -> Result<Listener, SocketError> {
    let unusable = |source: io::Error| SocketError::Unusable { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::InTheWay { path: path.to_owned() });
        }
        Ok(_) if is_alive(path).await => return Err(SocketError::InUse { path: path.to_owned() }),
        Ok(_) => std::fs::remove_file(path).map_err(unusable)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error)),
    }
    let bound = || {
        let short = SocketPath::of(path)?;
        let socket = UnixSocket::new_stream()?;
        // Before it has a name, so that there is no moment at which others could open it (Linux gives the file
        // the mode of the socket).
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        socket.bind(short.as_path())?;
        let file = SocketFile { path: path.to_owned(), identity: identity(&path.symlink_metadata()?) };
        Ok(Listener::local(socket.listen(BACKLOG)?, file))
    };
    bound().map_err(unusable)
}

/// Whether somebody answers there. One that is too busy to accept is alive, too.
async fn is_alive(path: &Path) -> bool {
    let Ok(short) = SocketPath::of(path) else { return false };
    match UnixStream::connect(short.as_path()).await {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn only_its_owner_may_open_it_and_it_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = bind_socket(&path).await.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listener.to_string(), path.display().to_string());
        drop(listener);
        assert!(path.symlink_metadata().is_err());
    }

    #[tokio::test]
    async fn a_stale_one_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file");
        let listener = bind_socket(&path).await.unwrap();
        let error = bind_socket(&path).await.unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        assert!(UnixStream::connect(&path).await.is_ok(), "it still answers");
        drop(listener);
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        std::fs::write(&path, "notes").unwrap();
        let error = bind_socket(&path).await.unwrap_err();
        assert!(matches!(error, SocketError::InTheWay { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
        let error = bind_socket(&directory.path().join("missing/control.sock")).await.unwrap_err();
        assert!(matches!(error, SocketError::Unusable { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_listener_leaves_the_file_of_another_one_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let old = bind_socket(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let new = bind_socket(&path).await.unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
        assert!(!path.exists());
    }
}
