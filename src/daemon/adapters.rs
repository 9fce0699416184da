//! The adapters of one configuration, and how each action of the engine is done with them.

use std::sync::Arc;
use std::time::Duration;

use tracing::Span;

use crate::config::{self, Config};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{Action, Event, SourceChange};
use crate::domain::publication::{Note, Told};
use crate::domain::secret::FingerprintKey;
use crate::domain::time::{Instant, Now, Timestamp};
use crate::publish::Publisher;
use crate::reload::{Acknowledgements, Hooks};
use crate::store::Prober;
use crate::system::blocking;
use crate::system::clock::Clock;
use crate::system::directories::Directories;
use crate::vault::Vault;

use super::error::DaemonError;
use super::settings::{Noted, same_server, source_change};
use super::spans;

/// A connection that is replaced.
pub(super) struct Before {
    vault: Vault,
    same_server: bool,
    same_token: bool,
}

impl Before {
    pub(super) fn of(vault: &Vault, old: &config::Vault, new: &config::Vault) -> Self {
        let same_token = source_change(old, new) == SourceChange::Kept;
        Self { vault: vault.clone(), same_server: same_server(old, new), same_token }
    }
}

/// What talks to the outside under one configuration.
#[derive(Clone, Debug)]
pub(super) struct Adapters {
    pub(super) vault: Vault,
    prober: Prober,
    publisher: Publisher,
    hooks: Hooks,
    acknowledgements: Acknowledgements,
    /// What was noted of the apps when this was built.
    pub(super) noted: Arc<Noted>,
}

impl Adapters {
    /// Builds all of them or none, and then makes the output directory. Nothing is sent. Blocks on the disk.
    pub(super) fn build(config: &Config, key: Arc<FingerprintKey>) -> Result<Self, DaemonError> {
        Self::around(Vault::new(&config.vault).map_err(DaemonError::Vault)?, config, key)
    }

    /// As [`Adapters::build`], in the place of others, with what their connection knows as far as that is of use.
    pub(super) fn build_after(
        before: &Before,
        config: &Config,
        key: Arc<FingerprintKey>,
    ) -> Result<Self, DaemonError> {
        let Before { vault, same_server, same_token } = before;
        let vault = match (same_server, same_token) {
            (false, _) => Vault::new(&config.vault),
            (true, keep_token) => vault.succeeded(&config.vault, *keep_token),
        };
        Self::around(vault.map_err(DaemonError::Vault)?, config, key)
    }

    fn around(vault: Vault, config: &Config, key: Arc<FingerprintKey>) -> Result<Self, DaemonError> {
        let prober = Prober::new(&config.check).map_err(DaemonError::Check)?;
        let publisher = Publisher::of(config, key).map_err(DaemonError::Files)?;
        publisher.prepare().map_err(DaemonError::Directory)?;
        let hooks = Hooks::new(config);
        let acknowledgements = Acknowledgements::new(config);
        let noted = Noted { told: hooks.remembered(), acknowledged: acknowledgements.remembered() };
        Ok(Self { vault, prober, publisher, hooks, acknowledgements, noted: Arc::new(noted) })
    }

    /// From now on what is looked at is also watched.
    pub(super) fn watching(self, directories: Directories<StoreName>) -> Self {
        let acknowledgements = self.acknowledgements.watching(directories.clone());
        Self { publisher: self.publisher.watching(directories), acknowledgements, ..self }
    }

    /// There are other stores. Reads and asks nothing: an app that was never told of is told once more at worst.
    pub(super) fn restock(&mut self, config: &Config) {
        self.publisher.restock(config);
        self.hooks = Hooks::new(config);
    }

    /// Does one action and reports what came of it; `None` for what needs no adapter, and for what blocks on the
    /// disk.
    pub(super) async fn perform(self, action: Action, clock: Clock) -> Option<Event> {
        Some(match action {
            Action::LogIn => Event::LoggedIn(self.vault.log_in().await),
            Action::Renew => Event::Renewed(self.vault.renew().await),
            Action::LookUp => Event::LookedUp(self.vault.look_up_self().await),
            Action::Read { store, location } => {
                let result = self.vault.read(&location).await;
                Event::Read { store, location, result }
            }
            Action::List { folder, kv_version, detailed } => {
                let result = self.vault.list(&folder, kv_version, detailed).await;
                Event::Listed { folder, detailed, result }
            }
            Action::Probe { store, credentials } => {
                let begun = clock.elapsed_millis();
                let outcome = self.prober.probe(&credentials, now(&clock).wall).await;
                let took = Duration::from_millis(clock.elapsed_millis().saturating_sub(begun));
                Event::Probed { store, credentials, took, outcome }
            }
            Action::Reload { store, generation } => {
                let (adapters, name) = (self.clone(), store.clone());
                blocking::run(move || adapters.forget(&name)).await;
                let begun = clock.elapsed_millis();
                let result = self.hooks.tell(&store, generation).await;
                let took = Duration::from_millis(clock.elapsed_millis().saturating_sub(begun));
                if result.is_ok() {
                    let (store, told) = (store.clone(), Told { generation, told_at: now(&clock).wall });
                    blocking::run(move || self.remember(&store, &told)).await;
                }
                Event::Reloaded { store, generation, took, result }
            }
            Action::Inspect { .. }
            | Action::Publish { .. }
            | Action::Withdraw { .. }
            | Action::Remember { .. }
            | Action::Restock { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => return None,
        })
    }

    /// Does actions that block on the disk, one after the other, and reports what came of each.
    pub(super) async fn perform_on_disk(self, actions: Vec<Action>) -> Vec<Event> {
        let pass = Span::current();
        let all = move || actions.into_iter().filter_map(|action| self.block(action)).collect();
        blocking::run(move || pass.in_scope(all)).await
    }

    fn block(&self, action: Action) -> Option<Event> {
        let _span = spans::of(&action).entered();
        Some(match action {
            Action::Inspect { store } => {
                let inspection = self.publisher.inspect(&store);
                if let Err(fault) = inspection.swept {
                    tracing::warn!(%store, "leftovers stay: {fault}");
                }
                let sign = self.acknowledgements.sign(&store);
                Event::Inspected { store, result: inspection.found, sign }
            }
            Action::Publish { store, credentials, stamp } => {
                let result = self.publisher.publish(&store, &credentials, &stamp);
                Event::PublishEnded { store, result }
            }
            Action::Withdraw { store } => {
                let result = self.publisher.withdraw(&store);
                Event::Withdrawn { store, result }
            }
            Action::Remember { store, note: Note::Told(told) } => {
                self.remember(&store, &told);
                return None;
            }
            Action::Remember { store, note: Note::Acknowledged(acknowledged) } => {
                if let Err(error) = self.acknowledgements.remember(&store, &acknowledged) {
                    tracing::warn!(%store, "that the app has acknowledged may be forgotten at a restart: {error}");
                }
                return None;
            }
            Action::LogIn
            | Action::Renew
            | Action::LookUp
            | Action::Read { .. }
            | Action::List { .. }
            | Action::Probe { .. }
            | Action::Reload { .. }
            | Action::Restock { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => return None,
        })
    }

    fn forget(&self, store: &StoreName) {
        if let Err(error) = self.hooks.forget(store) {
            tracing::warn!(%store, "what the app was told before stays noted while it is told anew: {error}");
        }
    }

    fn remember(&self, store: &StoreName, told: &Told) {
        if let Err(error) = self.hooks.remember(store, told) {
            tracing::warn!(%store, "the app may be told of the same generation again after a restart: {error}");
        }
    }
}

/// Both clocks, as the engine wants them.
pub(super) fn now(clock: &Clock) -> Now {
    Now { instant: Instant::from_millis(clock.elapsed_millis()), wall: Timestamp::from(clock.wall()) }
}
