//! Exit codes, distinct and documented.

use std::io;
use std::process::{ExitCode, Termination};

use crate::alert::ledger::LedgerError;
use crate::daemon::DaemonError;
use crate::domain::engine::Outcome;
use crate::observe::SocketError;
use crate::system::errors::find;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All good.
    Good = 0,
    /// Usage or configuration.
    Usage = 2,
    /// Vault refuses the log-in.
    LoginRefused = 10,
    /// Vault is unavailable.
    SourceUnavailable = 11,
    /// A secret is missing or malformed.
    SecretUnusable = 12,
    /// A store rejects its credentials.
    Rejected = 13,
    /// Nobody could tell whether credentials work.
    Inconclusive = 14,
    /// Publishing failed.
    PublishFailed = 15,
    /// A test alert could not be delivered.
    AlertFailed = 16,
    /// No daemon answers.
    NoDaemon = 17,
    /// An app could not be told of what is published.
    Untold = 18,
    /// A fault of the program or of the machine.
    Internal = 70,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::Good,
            Outcome::Untold => Self::Untold,
            Outcome::Inconclusive => Self::Inconclusive,
            Outcome::SourceUnavailable => Self::SourceUnavailable,
            Outcome::LoginRefused => Self::LoginRefused,
            Outcome::SecretUnusable => Self::SecretUnusable,
            Outcome::Rejected => Self::Rejected,
            Outcome::PublishFailed => Self::PublishFailed,
        }
    }
}

impl From<&DaemonError> for Exit {
    fn from(error: &DaemonError) -> Self {
        match error {
            DaemonError::Vault(_)
            | DaemonError::Check(_)
            | DaemonError::Channels(_)
            | DaemonError::Unavailable(_)
            | DaemonError::Files(_)
            | DaemonError::Output(_)
            | DaemonError::Ledger(LedgerError::InUse { .. })
            | DaemonError::Listen(_)
            | DaemonError::Certificate(_)
            | DaemonError::Control(SocketError::InUse { .. } | SocketError::InTheWay { .. }) => Self::Usage,
            DaemonError::Directory(_) => Self::PublishFailed,
            DaemonError::Ledger(error) => of_trouble(error.io()),
            DaemonError::Control(SocketError::Unusable { source, .. }) => of_trouble(Some(source)),
            DaemonError::Key(error) => of_trouble(find(error)),
            DaemonError::Signals(_) | DaemonError::Ended { .. } => Self::Internal,
        }
    }
}

/// A path that is wrong, or rights that are missing there, stay so until somebody sets them right: no restart helps.
/// A disk that is full or fails may be well again, and a service manager does well to try.
fn of_trouble(error: Option<&io::Error>) -> Exit {
    let is_setting = |error: &io::Error| {
        use io::ErrorKind::{
            InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
            ReadOnlyFilesystem,
        };
        matches!(
            error.kind(),
            NotFound
                | PermissionDenied
                | NotADirectory
                | IsADirectory
                | ReadOnlyFilesystem
                | InvalidFilename
                | InvalidInput
        )
    };
    if error.is_some_and(is_setting) { Exit::Usage } else { Exit::Internal }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_a_restart_may_mend_is_told_from_what_somebody_must_set_right() {
        for (errno, exit) in [
            (Errno::NOSPC, Exit::Internal),
            (Errno::DQUOT, Exit::Internal),
            (Errno::IO, Exit::Internal),
            (Errno::MFILE, Exit::Internal),
            (Errno::ACCESS, Exit::Usage),
            (Errno::PERM, Exit::Usage),
            (Errno::ROFS, Exit::Usage),
            (Errno::NOTDIR, Exit::Usage),
        ] {
            let (error, path) = (|| io::Error::from(errno), || "/state".into());
            let source = || Box::new(redb::Error::Io(error()));
            for trouble in [
                DaemonError::Ledger(LedgerError::Unusable { path: path(), source: error() }),
                DaemonError::Ledger(LedgerError::Open { path: path(), source: source() }),
                DaemonError::Ledger(LedgerError::Write { path: path(), source: source() }),
                DaemonError::Control(SocketError::Unusable { path: path(), source: error() }),
            ] {
                assert_eq!(Exit::from(&trouble), exit, "{trouble}: {errno}");
            }
        }
        let in_use = DaemonError::Ledger(LedgerError::InUse { directory: "/state".into() });
        assert_eq!(Exit::from(&in_use), Exit::Usage);
    }
}
