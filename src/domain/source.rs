//! What the source of the credentials says: leases, versions of secrets, and why neither came.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::credentials::Fields;
use super::time::Timestamp;

/// A token that the source gave us, without the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long the token lives from now on; zero: for ever.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// One version of a secret.
#[derive(Debug)]
pub struct SecretVersion {
    /// The version's number, counted by the source from 1.
    pub version: u64,
    /// When it was written, by the source's clock.
    pub created_at: Option<Timestamp>,
    /// Its three fields, not yet checked.
    pub fields: Fields,
}

/// Where several secrets are: the path above theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// Mount of the engine.
    pub mount: String,
    /// Path below the mount; empty: the mount itself.
    pub path: String,
}

impl std::fmt::Display for Folder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.mount, self.path)
    }
}

/// The secrets of a folder, as the source lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Their names, each with its newest version where that is told.
    pub secrets: BTreeMap<String, Option<ListedVersion>>,
    /// How many requests that took.
    pub requests: u32,
}

/// The newest version of a secret that was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedVersion {
    /// Its number.
    pub version: u64,
    /// Whether it is there for certain: neither deleted, to be deleted at some time, nor destroyed.
    pub present: bool,
}

/// Why the source did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// The log-in was refused: the credentials for Vault itself are wrong or not allowed.
    #[error("log-in refused ({status}): {message}")]
    LoginRefused {
        /// The status code.
        status: u16,
        /// What the server said, bounded and without control characters.
        message: String,
    },
    /// A file with the credentials for Vault itself cannot be used.
    #[error("{0}")]
    LoginFile(String),
    /// 403: a policy forbids it, the mount does not exist, or the token is dead.
    #[error("permission denied (403): the token is dead, the policy forbids it, or the mount does not exist")]
    Forbidden,
    /// Nothing was ever written at this path.
    #[error("there is no secret at this path")]
    NeverWritten,
    /// The newest version was deleted.
    #[error("the secret's newest version is deleted")]
    Deleted,
    /// The newest version was destroyed.
    #[error("the secret's newest version is destroyed")]
    Destroyed,
    /// What the store's mount names is no KV engine of version 2; what it is, in words.
    #[error("{0}")]
    NotKeyValue(String),
    /// 503: sealed.
    #[error("the server is sealed")]
    Sealed,
    /// The server answers that it cannot serve now (429, 5xx, standby).
    #[error("the server is unavailable ({status}{})", meaning(*.status))]
    Unavailable {
        /// The status code.
        status: u16,
    },
    /// The same, and it says how long it wants to be left alone.
    #[error("the server is unavailable ({status}{}) and asks to be left alone for {}", meaning(*.status), humantime::format_duration(*.pause))]
    Busy {
        /// The status code.
        status: u16,
        /// For how long.
        pause: Duration,
    },
    /// A log-in was sent, and no whole answer came: the server may have made a token that nobody knows.
    #[error("the log-in was sent, and its answer got lost: {0}")]
    Lost(String),
    /// No answer came; the reason in words.
    #[error("the server could not be reached: {0}")]
    Unreachable(String),
    /// An answer that is not Vault's; what was wrong with it, in words.
    #[error("the server's answer could not be used: {0}")]
    Malformed(String),
}

/// What a status says that not everybody knows.
const fn meaning(status: u16) -> &'static str {
    match status {
        300..=399 => {
            ": it leads elsewhere, which is not followed, so that the token goes nowhere else; name the server itself \
             in vault.address, and let a standby forward requests"
        }
        429 => ": too many requests",
        472 | 473 => ": a standby that does not answer by itself",
        _ => "",
    }
}

/// What a fault of the source means for those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFaultKind {
    /// The credentials for Vault itself do not work.
    LoginRefused,
    /// 403.
    Forbidden,
    /// There is nothing to read: never written, deleted, destroyed, or no engine that holds secrets.
    Missing,
    /// The server is sealed, unavailable, unreachable, or answers nonsense.
    Unavailable,
}

impl SourceFaultKind {
    /// Every kind, in the order of the labels.
    pub const ALL: [Self; 4] = [Self::LoginRefused, Self::Forbidden, Self::Missing, Self::Unavailable];

    /// The label, as metrics and tables write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::LoginRefused => "login_refused",
            Self::Forbidden => "forbidden",
            Self::Missing => "missing",
            Self::Unavailable => "unavailable",
        }
    }
}

impl SourceFault {
    /// Whether it is trouble of the source as a whole, and not of what it was asked for: an answer that is too long, or
    /// none of this server's, may be that of one question alone.
    #[must_use]
    pub const fn is_of_the_source(&self) -> bool {
        matches!(self, Self::Sealed | Self::Unavailable { .. } | Self::Busy { .. } | Self::Unreachable(_))
    }

    /// The fault's kind.
    #[must_use]
    pub const fn kind(&self) -> SourceFaultKind {
        match self {
            Self::LoginRefused { .. } | Self::LoginFile(_) => SourceFaultKind::LoginRefused,
            Self::Forbidden => SourceFaultKind::Forbidden,
            Self::NeverWritten | Self::Deleted | Self::Destroyed | Self::NotKeyValue(_) => {
                SourceFaultKind::Missing
            }
            Self::Sealed
            | Self::Unavailable { .. }
            | Self::Busy { .. }
            | Self::Lost(_)
            | Self::Unreachable(_)
            | Self::Malformed(_) => SourceFaultKind::Unavailable,
        }
    }

    /// How long the source asks to be left alone.
    #[must_use]
    pub const fn pause(&self) -> Duration {
        match self {
            Self::Busy { pause, .. } => *pause,
            Self::LoginRefused { .. }
            | Self::LoginFile(_)
            | Self::Forbidden
            | Self::NeverWritten
            | Self::Deleted
            | Self::Destroyed
            | Self::NotKeyValue(_)
            | Self::Sealed
            | Self::Unavailable { .. }
            | Self::Lost(_)
            | Self::Unreachable(_)
            | Self::Malformed(_) => Duration::ZERO,
        }
    }
}
