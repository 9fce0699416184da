//! What is published: one generation, its stamp, and why publishing failed.

use std::sync::Arc;

use serde::Serialize;

use super::credentials::Credentials;
use super::secret::Fingerprint;
use super::time::Timestamp;

/// What a generation says of itself, beside the values and without any of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GenerationStamp {
    /// Counts the generations of a store from 1.
    pub generation: u64,
    /// The version of the secret that it was made of.
    pub version: u64,
    /// When that version was written, by the source's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_created_at: Option<Timestamp>,
    /// Tells the set from others of this installation.
    pub fingerprint: Fingerprint,
    /// When it was published.
    pub published_at: Timestamp,
    /// When the store had accepted it; absent when it was published unverified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
}

/// A generation as it was read back from the disk.
#[derive(Clone, Debug)]
pub struct Published {
    /// The set itself.
    pub credentials: Arc<Credentials>,
    /// What it says of itself.
    pub stamp: GenerationStamp,
}

/// What the disk holds for a store.
#[derive(Clone, Debug)]
pub enum OnDisk {
    /// Nothing was ever published, or all of it is gone.
    Nothing,
    /// Something that is no whole generation of ours; why, without any value.
    Damaged(String),
    /// A whole generation.
    Published(Published),
}

/// Why a generation could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {path}: {reason}")]
pub struct PublishFault {
    /// What was being done, as a verb: `cannot write`, `cannot rename`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: String,
    /// The operating system's reason.
    pub reason: String,
}
