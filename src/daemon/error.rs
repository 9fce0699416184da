//! Why the daemon cannot start, or had to end.

use std::path::Path;

use crate::alert::fault::BuildError;
use crate::alert::ledger::LedgerError;
use crate::config::ConfigError;
use crate::domain::publication::PublishFault;
use crate::observe::{ObserveError, SocketError, TlsError};
use crate::publish::claim::InUse;
use crate::publish::key::KeyError;
use crate::{store, vault};

use super::confinement::Unavailable;

/// Why the daemon cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// `[vault]` cannot be used.
    #[error("cannot prepare the connection to Vault")]
    Vault(#[source] vault::BuildError),
    /// `[check]` cannot be used.
    #[error("cannot prepare the checks of credentials")]
    Check(#[source] store::BuildError),
    /// A channel of `[alerts]` cannot be used.
    #[error("cannot prepare the channels for alerts")]
    Channels(#[source] BuildError),
    /// A measure of `[hardening]` that is required cannot be taken.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A template of `[[output.files]]` or `[[stores.files]]` cannot be used.
    #[error(transparent)]
    Files(ConfigError),
    /// The output directory cannot be used.
    #[error(transparent)]
    Directory(PublishFault),
    /// The state directory cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// Somebody else serves the output directory.
    #[error(transparent)]
    Output(InUse),
    /// Open incidents and undelivered messages cannot be kept.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The listener cannot be opened.
    #[error(transparent)]
    Listen(ObserveError),
    /// The listener's certificate cannot be used.
    #[error(transparent)]
    Certificate(TlsError),
    /// The control socket cannot be opened.
    #[error(transparent)]
    Control(SocketError),
    /// The operating system refuses to tell us of signals.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// A part of the daemon ended although nobody had asked it to.
    #[error("{part} ended unexpectedly: {reason}; this is a fault of the program, please report it")]
    Ended {
        /// Which part.
        part: &'static str,
        /// What it left behind: the message of its panic.
        reason: String,
    },
}

impl DaemonError {
    /// The same, with the lines of a configuration's file where it is about its keys.
    pub(super) fn located(self, file: &Path) -> Self {
        if let Self::Files(error) = self { Self::Files(error.located(file)) } else { self }
    }

    /// A task that ended by a panic, or at all.
    pub(super) fn ended(part: &'static str, end: Result<(), tokio::task::JoinError>) -> Self {
        let reason = match end.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(()) => "it returned".to_owned(),
            Err(Err(_)) => "it was cancelled".to_owned(),
            Err(Ok(panic)) => panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "it panicked".to_owned()),
        };
        Self::Ended { part, reason }
    }
}
