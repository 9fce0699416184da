//! Publishing generations: stage, sync, swap, read back, sweep. What is published is read from the disk.
//!
//! A store's directory looks as Kubernetes' AtomicWriter makes it, so that what is written for mounted
//! secrets works here too:
//!
//! ```text
//! <output>/<store>/..2026_11_23_05_51_22.123456789/{username,api_token,api_path,generation.json,...}
//! <output>/<store>/..data -> ..2026_11_23_05_51_22.123456789
//! <output>/<store>/username -> ..data/username, and so on for each file that is configured
//! ```
//!
//! Only `..data` is ever swapped, by rename, so a reader sees one whole generation or another one. To read
//! the three values of one generation for certain, open the directory `..data` once and read the files in it.
//! The generation before the published one stays until the next publication, for readers that are still at it.
//! That is longer than any fixed time of grace would be, but for two publications at once: it needs no clock that
//! can jump, and nobody who has to come back and remove it.

pub mod claim;
mod directory;
pub mod key;
mod layout;
mod read;
mod render;
mod rights;
mod seal;
mod sweep;
mod templates;
#[cfg(test)]
mod tests;
mod watch;
mod withdraw;
mod write;

use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, mkdirat};
use rustix::io::Errno;

use self::directory::{Directory, fault};
use self::read::Generation;
use self::render::{Refusal, Renderer, Rendering};
use self::rights::Rights;
use self::watch::Watch;
use crate::config::{self, Config, ConfigError};
use crate::domain::credentials::{Credentials, StoreName};
use crate::domain::publication::{GenerationStamp, OnDisk, PublishFault, Published};
use crate::domain::secret::FingerprintKey;
use crate::system::directories::Directories;

use self::templates::Renderers;
pub use self::templates::check_templates;

/// What was found in a store's directory.
#[derive(Debug)]
pub struct Inspection {
    /// Whether all leftovers are gone.
    pub swept: Result<(), PublishFault>,
    /// What is published; what is merely wrong is [`OnDisk::Damaged`], and a fault is that the disk could not be
    /// read.
    pub found: Result<OnDisk, PublishFault>,
}

/// Writes and reads generations below one output directory. Cheap to clone.
///
/// Every method blocks on the disk: call it where blocking is allowed. For one store, no two calls may run
/// at once; different stores do not touch each other.
#[derive(Clone, Debug)]
pub struct Publisher {
    output: Arc<config::Output>,
    key: Arc<FingerprintKey>,
    renderers: Arc<Renderers>,
    usual: Arc<Renderer>,
    watch: Watch,
    #[cfg(test)]
    interruption: tests::Interruption,
}

impl Publisher {
    /// Takes where and how to publish, in which files, and the key that tells an edited file from a published one.
    /// Reads the templates, and touches no disk beside that.
    ///
    /// # Errors
    /// Everything that is wrong with a template.
    pub fn of(config: &Config, key: Arc<FingerprintKey>) -> Result<Self, ConfigError> {
        let renderers = Arc::new(Renderers::read(config)?);
        Ok(Self { renderers, ..Self::new(&config.output, key) })
    }

    /// There are other stores, in files that were configured from the beginning.
    pub fn restock(&mut self, config: &Config) {
        self.renderers = Arc::new(self.renderers.of_stores(config));
    }

    /// As [`Publisher::of`], for stores that are published in the three values.
    #[must_use]
    pub fn new(output: &config::Output, key: Arc<FingerprintKey>) -> Self {
        Self {
            output: Arc::new(output.clone()),
            key,
            renderers: Arc::default(),
            usual: Arc::default(),
            watch: Watch::default(),
            #[cfg(test)]
            interruption: tests::Interruption::default(),
        }
    }

    /// From now on each look at a store also sees to it that its directories are watched.
    #[must_use]
    pub fn watching(self, directories: Directories<StoreName>) -> Self {
        Self { watch: Watch::through(directories), ..self }
    }

    /// Makes the output directory, with its mode, owner and group, unless it is there: then it is the
    /// operator's, or the volume's, and left as it is. Directories above it that are missing are made as the
    /// umask has them.
    ///
    /// # Errors
    /// It cannot be made or given its rights, or something else has its name.
    pub fn prepare(&self) -> Result<(), PublishFault> {
        prepare(&self.output)
    }

    /// Removes what a crash may have left in a store's directory, staged generations and half-made links, and
    /// reads what is published. The published generation and the one before it stay, and so does everything that
    /// is not ours. Everything is checked: the links, the rights, the values against the fingerprint in
    /// `generation.json`, and each file against the values. Links of ours to files that are no longer configured are
    /// removed once those that are have taken their place.
    #[must_use]
    pub fn inspect(&self, store: &StoreName) -> Inspection {
        let directory = match read::open_store(&self.output, store, &self.watch) {
            Ok(Some(directory)) => directory,
            Ok(None) => return Inspection { swept: Ok(()), found: Ok(OnDisk::Nothing) },
            Err(unread) => return Inspection { swept: Ok(()), found: unread.into() },
        };
        let swept = sweep::sweep(&directory);
        match read::read_store(&directory, self, store) {
            Ok(None) => Inspection { swept: swept.map(drop), found: Ok(OnDisk::Nothing) },
            Ok(Some(Generation::AsConfigured(published))) => {
                let swept = swept
                    .and_then(|names| sweep::remove_other_links(&directory, names, self.renderer(store)));
                Inspection { swept, found: Ok(OnDisk::Published(published)) }
            }
            Ok(Some(Generation::OtherRights(published, why))) => {
                Inspection { swept: swept.map(drop), found: Ok(OnDisk::OtherRights(published, why)) }
            }
            Ok(Some(Generation::Outdated(published))) => {
                Inspection { swept: swept.map(drop), found: Ok(OnDisk::Outdated(published)) }
            }
            Err(unread) => Inspection { swept: swept.map(drop), found: unread.into() },
        }
    }

    /// Publishes a set under a stamp and returns what was read back, with the fingerprint of its files in the stamp. When
    /// the very same is published already, nothing is written. When the stamp's number is not higher than what was
    /// published, as after a start that could not read it, a higher one is given: numbers only ever rise, for apps and
    /// for the sweep.
    ///
    /// # Errors
    /// Says which step failed, where, and why. Whatever failed, what was published before is still
    /// published, and what was staged is removed: at once, or, when readers may have begun on it, by the next
    /// [`Publisher::inspect`].
    pub fn publish(
        &self,
        store: &StoreName,
        credentials: &Arc<Credentials>,
        stamp: &GenerationStamp,
    ) -> Result<Published, PublishFault> {
        write::publish(self, store, credentials, stamp)
    }

    /// Takes a store's published set away, whole.
    ///
    /// # Errors
    /// Something could not be removed. Once the link is gone, apps find nothing, whatever failed after it.
    pub fn withdraw(&self, store: &StoreName) -> Result<(), PublishFault> {
        withdraw::withdraw(&self.output, store)
    }

    fn renderer(&self, store: &StoreName) -> &Renderer {
        self.renderers.of(store).unwrap_or(&self.usual)
    }

    fn render(&self, store: &StoreName, credentials: &Credentials) -> Result<Rendering<'_>, Refusal> {
        self.renderer(store).render(store, credentials, &self.key)
    }

    fn open_output(&self) -> Result<Directory, PublishFault> {
        open_output(&self.output)
    }
}

/// Makes the output directory, unless it is there, before anything needs it.
///
/// # Errors
/// As [`Publisher::prepare`].
pub fn make_output_directory(config: &Config) -> Result<(), PublishFault> {
    prepare(&config.output)
}

fn prepare(output: &config::Output) -> Result<(), PublishFault> {
    if let Some(parent) = output.directory.parent() {
        make_with_parents(parent)?;
    }
    open_output(output).map(drop)
}

fn open_output(output: &config::Output) -> Result<Directory, PublishFault> {
    let path = &output.directory;
    let made = match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(fault("cannot create", path, error)),
    };
    let directory = Directory::configured(path)?.ok_or_else(|| fault("cannot open", path, Errno::NOENT))?;
    if made {
        directory.give(Rights::of_directories(output))?;
        sync_name(path)?;
    }
    Ok(directory)
}

/// Makes a directory unless it is there, with those above it that are missing, as the umask has them.
fn make_with_parents(path: &Path) -> Result<(), PublishFault> {
    let missing: Vec<_> = path.ancestors().take_while(|above| !above.exists()).collect();
    std::fs::create_dir_all(path).map_err(|error| fault("cannot create", path, error))?;
    missing.into_iter().rev().try_for_each(sync_name)
}

/// Puts the name of a directory that was just made on the disk.
fn sync_name(path: &Path) -> Result<(), PublishFault> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match Directory::at(above) {
        Ok(above) => above.sync(),
        // It is the operator's, and need not be readable for us.
        Err(Errno::ACCESS) => Ok(()),
        Err(error) => Err(fault("cannot open", above, error)),
    }
}
