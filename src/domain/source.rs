//! What the source of the credentials says: leases, versions of secrets, and why neither came.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::credentials::{FieldError, FieldNames, Fields};
use super::time::Timestamp;
use super::version::{KvVersion, Version};

/// A token that the source gave us, without the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long the token lives from now on; zero: for ever.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// Where a secret is in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretLocation {
    /// Mount of the engine.
    pub mount: String,
    /// Path below the mount.
    pub path: String,
    /// Names of its fields.
    pub fields: FieldNames,
    /// The version that is wanted; none: the newest.
    pub pinned: Option<u64>,
    /// The version of the engine, where it is known; none: the source finds out.
    pub kv_version: Option<KvVersion>,
}

impl SecretLocation {
    /// The newest version of a secret with fields of the usual names.
    #[must_use]
    pub fn new(mount: impl Into<String>, path: impl Into<String>) -> Self {
        let (mount, path) = (mount.into(), path.into());
        Self { mount, path, fields: FieldNames::default(), pinned: None, kv_version: None }
    }

    /// The folder that the secret is in.
    #[must_use]
    pub fn folder(&self) -> Folder {
        let (path, _) = Folder::split(&self.path);
        Folder { mount: self.mount.clone(), path: path.to_owned() }
    }

    /// The secret's name in its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        Folder::split(&self.path).1
    }
}

impl fmt::Display for SecretLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.mount, self.path)
    }
}

/// What was found at a secret's location.
#[derive(Debug)]
pub struct SecretVersion {
    /// What the source calls it.
    pub version: Version,
    /// When it was written, by the source's clock; none where the source does not say.
    pub created_at: Option<Timestamp>,
    /// Its three fields, not yet checked; or why the field that should hold them does not.
    pub fields: Result<Fields, FieldError>,
}

/// Where several secrets are: the path above theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// Mount of the engine.
    pub mount: String,
    /// Path below the mount; empty: the mount itself.
    pub path: String,
}

impl Folder {
    /// The path of a secret's folder, and the secret's name in it.
    #[must_use]
    pub fn split(path: &str) -> (&str, &str) {
        path.rsplit_once('/').unwrap_or(("", path))
    }

    /// The path of the secret that has this name here.
    #[must_use]
    pub fn path_to(&self, secret: &str) -> String {
        if self.path.is_empty() { secret.to_owned() } else { format!("{}/{secret}", self.path) }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// When it was written, by the source's clock: a secret that was removed and written anew counts from 1 again.
    pub created_at: Option<Timestamp>,
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
    /// The pinned version is not there: it was never written, or is not kept any more.
    #[error("there is no version {0} of the secret: it was never written, or is not kept any more")]
    NoSuchVersion(u64),
    /// This version, the newest or the pinned one, was deleted, which can be undone.
    #[error("version {0} of the secret is deleted")]
    Deleted(u64),
    /// This version, the newest or the pinned one, was destroyed, which cannot be undone.
    #[error("version {0} of the secret is destroyed")]
    Destroyed(u64),
    /// What the store's mount names is no KV engine as it is configured; what it is, in words.
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

    /// Whether the source itself says that it does nothing for anybody now, so that no other question need be asked.
    #[must_use]
    pub const fn is_said_of_the_source(&self) -> bool {
        matches!(self, Self::Sealed | Self::Busy { .. })
    }

    /// The fault in one word, finer than its kind.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::LoginRefused { .. } => "login_refused",
            Self::LoginFile(_) => "login_file",
            Self::Forbidden => "forbidden",
            Self::NeverWritten => "never_written",
            Self::NoSuchVersion(_) => "no_such_version",
            Self::Deleted(_) => "deleted",
            Self::Destroyed(_) => "destroyed",
            Self::NotKeyValue(_) => "not_key_value",
            Self::Sealed => "sealed",
            Self::Unavailable { .. } | Self::Busy { .. } => "unavailable",
            Self::Lost(_) => "log_in_lost",
            Self::Unreachable(_) => "unreachable",
            Self::Malformed(_) => "malformed_answer",
        }
    }

    /// The fault's kind.
    #[must_use]
    pub const fn kind(&self) -> SourceFaultKind {
        match self {
            Self::LoginRefused { .. } | Self::LoginFile(_) => SourceFaultKind::LoginRefused,
            Self::Forbidden => SourceFaultKind::Forbidden,
            Self::NeverWritten
            | Self::NoSuchVersion(_)
            | Self::Deleted(_)
            | Self::Destroyed(_)
            | Self::NotKeyValue(_) => SourceFaultKind::Missing,
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
            | Self::NoSuchVersion(_)
            | Self::Deleted(_)
            | Self::Destroyed(_)
            | Self::NotKeyValue(_)
            | Self::Sealed
            | Self::Unavailable { .. }
            | Self::Lost(_)
            | Self::Unreachable(_)
            | Self::Malformed(_) => Duration::ZERO,
        }
    }
}
