//! Telling the app that a new generation was published: a command, a request, or a signal to its process. And
//! hearing from it which generation it runs on.
//!
//! What was told is noted on disk, so that a life that ends between a publication and its hook is made up for by
//! the next one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, Hook, HookRequest, ReloadSignal, Target};
use crate::domain::credentials::StoreName;
use crate::domain::publication::{GenerationId, ReloadFault, Reloaded, Told};
use crate::system::{blocking, command};

mod acknowledgements;
mod command_hook;
mod notes;
mod processes;
mod request;
mod signal;

pub use self::acknowledgements::Acknowledgements;
use self::notes::Notes;

/// What a command gets of our own environment, beside what tells of the generation.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Every store's hook.
#[derive(Clone, Debug)]
pub struct Hooks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hooks: BTreeMap<StoreName, Hook>,
    output: PathBuf,
    notes: Notes<Told>,
    inherited: Vec<(String, OsString)>,
}

/// What a hook may know of the generation: never a value.
#[derive(Debug)]
struct News<'a> {
    store: &'a StoreName,
    generation: u64,
    directory: &'a Path,
}

impl Hooks {
    /// Takes the hooks as they are configured. Runs and reads nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let hook = |store: &crate::config::Store| Some((store.name.clone(), store.reload.clone()?.hook));
        Self(Arc::new(Inner {
            hooks: config.stores.iter().filter_map(hook).collect(),
            output: config.output.directory.clone(),
            notes: Notes::told(&config.state.directory),
            inherited: command::inherited(&INHERITED),
        }))
    }

    /// Tells a store's app of a generation, once. Returns how. A command that nobody waits for any more
    /// is killed.
    ///
    /// # Errors
    /// The app was not told, or nobody can tell whether it was.
    pub async fn tell(&self, store: &StoreName, generation: GenerationId) -> Result<Reloaded, ReloadFault> {
        let directory = self.0.output.join(store.as_str());
        let news = News { store, generation: generation.generation, directory: &directory };
        match self.0.hooks.get(store) {
            Some(Hook::Command { argv, timeout }) => {
                command_hook::run(argv, *timeout, &self.0.inherited, &news).await
            }
            Some(Hook::Request(request)) => request::send(request, &news).await.map(Reloaded::new),
            Some(Hook::Signal { target, signal }) => {
                let (target, signal) = (target.clone(), *signal);
                blocking::run(move || signal::send(&target, signal)).await.map(Reloaded::new)
            }
            None => Err(ReloadFault::new("it is no longer configured")),
        }
    }

    /// Notes what a store's app was told. Blocks on the disk.
    ///
    /// # Errors
    /// The note could not be written, in words: the app may be told of the same generation again after a restart.
    pub fn remember(&self, store: &StoreName, told: &Told) -> Result<(), String> {
        self.0.notes.write(store, told)
    }

    /// Removes the note of what a store's app was told: from the beginning of a run until it has worked, nobody knows
    /// what the app has read. Blocks on the disk.
    ///
    /// # Errors
    /// The note is still there, in words.
    pub fn forget(&self, store: &StoreName) -> Result<(), String> {
        self.0.notes.remove(store)
    }

    /// What the apps of all stores with a hook were told last, as far as it was noted. Blocks on the disk.
    #[must_use]
    pub fn remembered(&self) -> BTreeMap<StoreName, Told> {
        let told = |store: &StoreName| Some((store.clone(), self.0.notes.read(store)?));
        self.0.hooks.keys().filter_map(told).collect()
    }
}
