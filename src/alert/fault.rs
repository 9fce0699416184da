//! Why a message was not delivered, or a channel cannot be prepared; in words that hold no secret.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::system::http::ClientError;

/// Why a channel cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file of authorities cannot be read.
    #[error("cannot read the authorities of {section}.ca_file from {}", path.display())]
    Authorities {
        /// The channel's table in the configuration.
        section: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of authorities holds none.
    #[error("{section}.ca_file {} holds no certificate in PEM", path.display())]
    NoAuthority {
        /// The channel's table in the configuration.
        section: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to trust, or what there is cannot be used.
    #[error(
        "cannot set up TLS for {section}: install the system's CA bundle, or name a PEM file in {section}.ca_file"
    )]
    Client {
        /// The channel's table in the configuration.
        section: &'static str,
        /// Why.
        source: reqwest::Error,
    },
}

impl BuildError {
    /// The same of a channel's client.
    pub(super) fn of(section: &'static str, error: ClientError) -> Self {
        match error {
            ClientError::Unreadable { path, source } => Self::Authorities { section, path, source },
            ClientError::NoAuthority { path } => Self::NoAuthority { section, path },
            ClientError::Tls(source) => Self::Client { section, source },
        }
    }
}

/// Why a message was not delivered. Names a receiver by its host only: the rest of an address is often a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFault {
    /// The receiver answered, and not with success.
    #[error("{host} answered {status}{advice}")]
    Refused {
        /// Host and port of the receiver.
        host: String,
        /// The status of the answer.
        status: u16,
        /// How long the receiver asked to be left alone, at most an hour.
        wait: Option<Duration>,
        /// What the operator can do about it, with what separates it from the rest; or nothing.
        advice: String,
    },
    /// No answer came.
    #[error("{0}")]
    Unreachable(String),
    /// The secret that the channel needs cannot be used.
    #[error("{0}")]
    Secret(String),
    /// The command could not be started, took too long or failed.
    #[error("{0}")]
    Command(String),
}

impl DeliveryFault {
    /// Whether trying again soon may help. When not, somebody has to change something first.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => match *status {
                408 | 409 | 425 | 429 => true,
                status => status >= 500,
            },
            Self::Unreachable(_) | Self::Secret(_) | Self::Command(_) => true,
        }
    }

    /// How long the receiver asked to be left alone.
    #[must_use]
    pub fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { wait, .. } => *wait,
            Self::Unreachable(_) | Self::Secret(_) | Self::Command(_) => None,
        }
    }
}
