//! Exit codes, distinct and documented.

use std::process::{ExitCode, Termination};

use crate::daemon::DaemonError;
use crate::domain::engine::Outcome;

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
            | DaemonError::Files(_)
            | DaemonError::Ledger(_)
            | DaemonError::Listen(_)
            | DaemonError::Certificate(_)
            | DaemonError::Control(_) => Self::Usage,
            DaemonError::Directory(_) => Self::PublishFailed,
            DaemonError::Signals(_) | DaemonError::Ended { .. } => Self::Internal,
        }
    }
}
