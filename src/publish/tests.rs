//! What a publication leaves on the disk, what it never does, and what is told of damage.

mod attack;
mod damage;
mod failure;
mod files;
mod layout;
mod owners;
mod readers;

use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tempfile::TempDir;

use super::write::Step;
use super::*;
use crate::domain::credentials::{AddressPolicy, Field, FieldNames, Fields};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::version::Version;

/// What is called before each step of a publication; an error makes the step fail.
type Interrupt = dyn Fn(Step) -> Result<(), Errno> + Send + Sync;

/// Makes a publication fail at a step, or, by a panic, end there as a crash would.
#[derive(Clone, Default)]
pub(super) struct Interruption(Option<Arc<Interrupt>>);

impl Interruption {
    pub(super) fn reach(&self, step: Step) -> Result<(), Errno> {
        self.0.as_ref().map_or(Ok(()), |interrupt| interrupt(step))
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interruption")
    }
}

/// An output directory of a test's own.
struct Place {
    root: TempDir,
    output: config::Output,
    publisher: Publisher,
}

impl Place {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut config::Output)) -> Self {
        // In memory, as the volume is that this is written for; syncing a disk takes most of the time.
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut output = config::Output {
            directory: root.path().join("out"),
            file_mode: 0o440,
            directory_mode: 0o750,
            owner: None,
            group: None,
        };
        change(&mut output);
        let publisher = Publisher::new(&output, key());
        Self { root, output, publisher }
    }

    /// The path of a name in the store's directory.
    fn path(&self, name: &str) -> PathBuf {
        self.output.directory.join("acme").join(name)
    }

    fn publish(&self, generation: u64) -> Published {
        self.try_publish(&self.publisher, generation).unwrap()
    }

    fn try_publish(&self, publisher: &Publisher, generation: u64) -> Result<Published, PublishFault> {
        let credentials = credentials(generation);
        publisher.publish(&store(), &credentials, &stamp(generation, &credentials))
    }

    fn read(&self) -> OnDisk {
        self.publisher.inspect(&store()).found.unwrap()
    }

    /// The number of the published generation; none when nothing is published.
    fn published(&self) -> Option<u64> {
        match self.read() {
            OnDisk::Nothing => None,
            OnDisk::Damaged(why) => panic!("damaged: {why}"),
            OnDisk::Outdated(published) => panic!("outdated: {:?}", published.stamp),
            OnDisk::OtherRights(_, why) => panic!("other rights: {why}"),
            OnDisk::Published(published) => {
                assert!(published.credentials.same_as(&credentials(published.stamp.generation)));
                Some(published.stamp.generation)
            }
        }
    }

    fn damage(&self) -> String {
        match self.read() {
            OnDisk::Damaged(why) => why,
            other @ (OnDisk::Nothing
            | OnDisk::Outdated(_)
            | OnDisk::OtherRights(..)
            | OnDisk::Published(_)) => {
                panic!("not damaged: {other:?}")
            }
        }
    }

    /// What has other rights than are configured, in a set that is whole.
    fn other_rights(&self) -> String {
        match self.read() {
            OnDisk::OtherRights(published, why) => {
                assert!(published.credentials.same_as(&credentials(published.stamp.generation)));
                why
            }
            other @ (OnDisk::Nothing | OnDisk::Outdated(_) | OnDisk::Damaged(_) | OnDisk::Published(_)) => {
                panic!("not that: {other:?}")
            }
        }
    }

    fn interrupted(
        &self,
        interrupt: impl Fn(Step) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Publisher {
        Publisher { interruption: Interruption(Some(Arc::new(interrupt))), ..self.publisher.clone() }
    }

    /// The names in the store's directory, sorted.
    fn names(&self) -> Vec<String> {
        names(&self.path(""))
    }

    /// The names of the generations in the store's directory.
    fn generations(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| name.starts_with("..20"));
        names
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn key() -> Arc<FingerprintKey> {
    Arc::new(FingerprintKey::new(&[7; 32]))
}

fn store() -> StoreName {
    StoreName::parse("acme").unwrap()
}

pub(super) fn credentials(number: u64) -> Arc<Credentials> {
    let text = |text: String| Field::Text(Secret::new(text));
    let fields = Fields {
        username: text(format!("user{number}")),
        api_token: text(format!("token{number}")),
        api_path: text(format!("https://store{number}.mybigcommerce.com/api/v2/")),
    };
    Arc::new(Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::PublicOnly.into()).unwrap())
}

pub(super) fn stamp(generation: u64, credentials: &Credentials) -> GenerationStamp {
    GenerationStamp {
        generation,
        version: Version::numbered(generation + 10).unwrap(),
        version_created_at: Timestamp::parse("2026-11-22T10:00:00.5Z"),
        fingerprint: credentials.fingerprint(&key()),
        published_at: Timestamp::parse("2026-11-23T05:51:22.123Z").unwrap(),
        verified_at: Timestamp::parse("2026-11-23T05:51:21Z"),
        restores: None,
        files_fingerprint: None,
    }
}
