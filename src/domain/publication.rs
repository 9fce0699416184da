//! What is published: one generation, its stamp, and why publishing failed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::credentials::Credentials;
use super::secret::Fingerprint;
use super::time::Timestamp;
use super::version::Version;

/// What a generation says of itself, beside the values and without any of them.
///
/// It is read back from the disk too; fields that this version does not know are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationStamp {
    /// Counts the generations of a store from 1.
    pub generation: u64,
    /// The version of the secret that it was made of; not written where the source counts none.
    #[serde(default, skip_serializing_if = "Version::is_unnumbered")]
    pub version: Version,
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
    /// The first generation with this very content, where this one only restores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// Tells the files that apps see from those of another configuration, where they are others than the three
    /// values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_fingerprint: Option<Fingerprint>,
}

impl GenerationStamp {
    /// Which generation it is.
    #[must_use]
    pub const fn id(&self) -> GenerationId {
        let Self { generation, fingerprint, published_at, .. } = self;
        GenerationId { generation: *generation, fingerprint: *fingerprint, published_at: *published_at }
    }

    /// What its content is called: the version of the secret, or its own number where the source counts none.
    #[must_use]
    pub fn name(&self) -> String {
        match self.version {
            Version::Numbered(number) => format!("version {number}"),
            Version::Unnumbered => format!("generation {}", self.same_content().start()),
        }
    }

    /// The numbers of the generations with this very content, this one the last of them.
    #[must_use]
    pub fn same_content(&self) -> RangeInclusive<u64> {
        self.restores.map_or(self.generation, |first| first.min(self.generation))..=self.generation
    }
}

/// Tells a generation from every other one of its store, also from one of the same number that was published
/// before the directory was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationId {
    /// Its number.
    pub generation: u64,
    /// Tells its content from others.
    pub fingerprint: Fingerprint,
    /// When it was published.
    pub published_at: Timestamp,
}

/// What an app was told last. Kept on disk, and holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The generation.
    #[serde(flatten)]
    pub generation: GenerationId,
    /// When.
    pub told_at: Timestamp,
}

/// What an app has acknowledged last. Kept on disk, and holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The generation.
    #[serde(flatten)]
    pub generation: GenerationId,
    /// When.
    pub acknowledged_at: Timestamp,
}

impl Acknowledged {
    /// How long after the publication that was.
    #[must_use]
    pub const fn lag(&self) -> Duration {
        self.acknowledged_at.since(self.generation.published_at)
    }
}

/// What is noted of an app on the disk, for the next life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// What it was told last.
    Told(Told),
    /// What it has acknowledged last.
    Acknowledged(Acknowledged),
}

/// What the file says by which an app acknowledges a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// There is none.
    None,
    /// The number of a generation, and when it was written.
    Number(u64, Timestamp),
    /// Nothing, and when that was said: the app runs on what was published by then.
    Touched(Timestamp),
    /// It cannot be read, or is no such file; the reason, in words that quote nothing of it.
    Unfit(String),
}

/// A generation as it was read back from the disk.
#[derive(Clone, Debug)]
pub struct Published {
    /// The set itself.
    pub credentials: Arc<Credentials>,
    /// What it says of itself.
    pub stamp: GenerationStamp,
}

/// Where credentials are published, and with which rights: `[output]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The directory that holds one directory a store.
    pub directory: PathBuf,
    /// Mode of the files.
    pub file_mode: u32,
    /// Mode of the directories.
    pub directory_mode: u32,
    /// Owner of files and directories, by number.
    pub owner: Option<u32>,
    /// Group of files and directories, by number.
    pub group: Option<u32>,
}

/// What was found where a store's generation belongs.
#[derive(Clone, Debug)]
pub enum OnDisk {
    /// No generation has been published there.
    Nothing,
    /// Something is there that is not a generation as this configuration publishes it; the reason, in words.
    /// Publishing again mends it.
    Damaged(String),
    /// A whole generation, but a mode, an owner or a group is not the configured one; which, in words.
    OtherRights(Published, String),
    /// A whole generation, whose files are not those that the configuration asks for: others are configured since.
    Outdated(Published),
    /// A whole generation.
    Published(Published),
}

/// How an app was told of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// In words that may be shown to everybody.
    pub how: String,
    /// What a command had to say, for the log alone: nobody knows what is in it.
    pub output: String,
}

impl Reloaded {
    /// A way of which there is nothing else to say.
    #[must_use]
    pub fn new(how: impl Into<String>) -> Self {
        Self { how: how.into(), output: String::new() }
    }
}

/// Why an app could not be told of a generation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ReloadFault {
    /// In words that may be shown to everybody.
    pub reason: String,
    /// What a command had to say, for the log alone: nobody knows what is in it.
    pub output: String,
}

impl ReloadFault {
    /// A fault of which there is nothing else to say.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), output: String::new() }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<GenerationStamp> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn a_stamp_is_read_back_as_it_was_written() {
        let whole = GenerationStamp {
            generation: 3,
            version: Version::numbered(7).unwrap(),
            version_created_at: Some(Timestamp::from_millis(1_000)),
            fingerprint: Fingerprint::parse("00000000000000ff").unwrap(),
            published_at: Timestamp::from_millis(2_000),
            verified_at: None,
            restores: None,
            files_fingerprint: None,
        };
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(
            text,
            r#"{"generation":3,"version":7,"version_created_at":"1970-01-01T00:00:01.000Z","fingerprint":"00000000000000ff","published_at":"1970-01-01T00:00:02.000Z"}"#
        );
        assert_eq!(read(&text), Some(whole.clone()));
        let later = text.replacen('{', r#"{"written_by":{"a":[1]},"#, 1);
        assert_eq!(read(&later), Some(whole.clone()));
        let restoring = GenerationStamp { restores: Some(2), ..whole };
        assert_eq!(read(&serde_json::to_string(&restoring).unwrap()), Some(restoring.clone()));
        assert_eq!(restoring.same_content(), 2..=3);
    }

    #[test]
    fn a_version_that_nobody_counts_is_absent() {
        let text =
            r#"{"generation":3,"fingerprint":"00000000000000ff","published_at":"1970-01-01T00:00:02.000Z"}"#;
        let stamp = read(text).unwrap();
        assert_eq!((stamp.version, stamp.name()), (Version::Unnumbered, "generation 3".into()));
        assert_eq!(serde_json::to_string(&stamp).unwrap(), text);
        let restored = GenerationStamp { generation: 5, restores: Some(3), ..stamp };
        assert_eq!(restored.name(), "generation 3", "the same content has one name");
    }

    #[test]
    fn a_stamp_that_lacks_a_part_is_none() {
        let text = r#"{"generation":3,"version":7,"fingerprint":"00000000000000ff","published_at":"1970-01-01T00:00:02Z"}"#;
        assert!(read(text).is_some());
        for (from, to) in [
            ("\"generation\":3,", ""),
            ("00000000000000ff", "ff"),
            ("1970-01-01T00:00:02Z", "soon"),
            ("\"version\":7", "\"version\":-7"),
            ("\"version\":7", "\"version\":0"),
        ] {
            assert_eq!(read(&text.replace(from, to)), None, "{from}");
        }
    }
}
