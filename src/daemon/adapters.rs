//! The adapters of one configuration, and how each action of the engine is done with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, Reload};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{Action, Event};
use crate::domain::publication::ReloadFault;
use crate::domain::secret::FingerprintKey;
use crate::domain::time::{Instant, Now, Timestamp};
use crate::publish::Publisher;
use crate::reload;
use crate::store::Prober;
use crate::system::clock::Clock;
use crate::vault::Vault;

use super::error::DaemonError;

/// What talks to the outside under one configuration.
#[derive(Clone, Debug)]
pub(super) struct Adapters {
    pub(super) vault: Vault,
    prober: Prober,
    publisher: Publisher,
    hooks: Arc<BTreeMap<StoreName, Reload>>,
}

impl Adapters {
    /// Builds all of them or none, and then makes the output directory. Nothing is sent. Blocks on the disk.
    pub(super) fn build(config: &Config, key: Arc<FingerprintKey>) -> Result<Self, DaemonError> {
        let hooks =
            config.stores.iter().filter_map(|store| Some((store.name.clone(), store.reload.clone()?)));
        let vault = Vault::new(&config.vault).map_err(DaemonError::Vault)?;
        let prober = Prober::new(&config.check).map_err(DaemonError::Check)?;
        let publisher = Publisher::new(&config.output, key);
        publisher.prepare().map_err(DaemonError::Directory)?;
        Ok(Self { vault, prober, publisher, hooks: Arc::new(hooks.collect()) })
    }

    /// Does one action and reports what came of it; `None` for what needs no adapter, and for what blocks on the
    /// disk.
    pub(super) async fn perform(self, action: Action, clock: Clock) -> Option<Event> {
        Some(match action {
            Action::LogIn => Event::LoggedIn(self.vault.log_in().await),
            Action::Renew => Event::Renewed(self.vault.renew().await),
            Action::LookUp => Event::LookedUp(self.vault.look_up_self().await),
            Action::Read { store, location } => {
                let result = self.vault.read(&location.mount, &location.path, &location.fields).await;
                Event::Read { store, location, result }
            }
            Action::Probe { store, credentials } => {
                let outcome = self.prober.probe(&credentials, now(&clock).wall).await;
                Event::Probed { store, credentials, outcome }
            }
            Action::Inspect { .. }
            | Action::Publish { .. }
            | Action::Withdraw { .. }
            | Action::Reload { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => return None,
        })
    }

    /// Does actions that block on the disk, one after the other, and reports what came of each.
    pub(super) async fn perform_on_disk(self, actions: Vec<Action>) -> Vec<Event> {
        on_disk(move || actions.into_iter().filter_map(|action| self.block(action)).collect()).await
    }

    fn block(&self, action: Action) -> Option<Event> {
        Some(match action {
            Action::Inspect { store } => {
                let inspection = self.publisher.inspect(&store);
                if let Err(fault) = inspection.swept {
                    tracing::warn!(%store, "leftovers stay: {fault}");
                }
                Event::Inspected { store, result: inspection.found }
            }
            Action::Publish { store, credentials, stamp } => {
                let result = self.publisher.publish(&store, &credentials, &stamp);
                Event::PublishEnded { store, result }
            }
            Action::Withdraw { store } => {
                let result = self.publisher.withdraw(&store);
                Event::Withdrawn { store, result }
            }
            Action::Reload { store, generation } => {
                let result = match self.hooks.get(&store) {
                    Some(hook) => reload::tell(hook),
                    None => Err(ReloadFault("it is no longer configured".into())),
                };
                Event::Reloaded { store, generation, result }
            }
            Action::LogIn
            | Action::Renew
            | Action::LookUp
            | Action::Read { .. }
            | Action::Probe { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => return None,
        })
    }
}

/// Both clocks, as the engine wants them.
pub(super) fn now(clock: &Clock) -> Now {
    Now { instant: Instant::from_millis(clock.elapsed_millis()), wall: Timestamp::from(clock.wall()) }
}

/// Runs what blocks on the disk where blocking is allowed; a panic there goes on here.
pub(super) async fn on_disk<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(job).await {
        Ok(result) => result,
        Err(end) => match end.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends cancels a job, and nobody waits for its result then.
            Err(_) => std::future::pending().await,
        },
    }
}
