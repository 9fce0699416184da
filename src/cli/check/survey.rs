//! The look at all stores: what was found, and how far it is, at each moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::domain::credentials::Credentials;
use crate::domain::discovery::{Found, place};
use crate::domain::engine::Outcome;
use crate::domain::source::{Folder, SourceFault};
use crate::domain::time::Timestamp;
use crate::domain::verdict::judge;
use crate::domain::version::KvVersion;
use crate::store::Prober;
use crate::system::clock::Clock;
use crate::vault::Vault;

use super::super::progress::{Progress, seconds};
use super::{Finding, finding, of_fault, of_folder, of_verdict};

/// How often the time that it took is shown, where nothing else happens.
const TICK: Duration = Duration::from_millis(250);

/// What was found by now. It can be left at any moment, and keeps what was found.
pub(super) struct Survey {
    pub(super) progress: Progress,
    total: usize,
    stores: BTreeMap<usize, Finding>,
    folders: Vec<Finding>,
}

impl Survey {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, total: 0, stores: BTreeMap::new(), folders: Vec::new() }
    }

    /// Logs in, finds the stores, and looks at all of them, a bounded number at once.
    pub(super) async fn look_at_all(&mut self, vault: &Vault, prober: &Prober, config: &mut Config) {
        self.total = config.stores.len();
        if let Err(fault) = vault.log_in().await {
            let stores = config.stores.iter().map(|store| of_fault(store, &fault));
            self.stores = stores.enumerate().collect();
            let discover = config.discover.iter().map(|it| of_folder(&it.discovery.folder, &fault));
            self.folders = discover.collect();
            return;
        }
        self.folders = discover(vault, config).await;
        self.total = config.stores.len();
        let room = Arc::new(Semaphore::new(config.check.concurrency.min(config.vault.concurrency)));
        let (begun, current) = watch::channel(None);
        let mut tasks = JoinSet::new();
        for (at, store) in config.stores.iter().cloned().enumerate() {
            let (vault, prober, room, begun) = (vault.clone(), prober.clone(), room.clone(), begun.clone());
            let policy = config.check.hosts.clone();
            tasks.spawn(async move {
                // The room is never closed, so a place is always to be had.
                let _place = room.acquire_owned().await;
                begun.send_replace(Some(store.name.to_string()));
                let read = vault.read(&store.location()).await;
                let secret = match read {
                    Ok(secret) => secret,
                    Err(fault) => return (at, of_fault(&store, &fault)),
                };
                let (version, written_at) = (secret.version, secret.created_at);
                let credentials =
                    secret.fields.and_then(|fields| Credentials::parse(fields, &store.fields, &policy));
                let finding = match credentials {
                    Err(error) => finding(&store, "malformed", error.to_string(), Outcome::SecretUnusable),
                    Ok(credentials) => {
                        let now = Timestamp::from(Clock::start().wall());
                        of_verdict(&store, &judge(&prober.probe(&credentials, now).await))
                    }
                };
                (at, Finding { version, written_at, ..finding })
            });
        }
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // None of them is aborted, and a panic ends the process: see `system::panics`.
                Some(done) = tasks.join_next() => self.stores.extend(done),
                _ = tick.tick(), if !tasks.is_empty() => {}
                else => return,
            }
            self.progress.show(self.stores.len(), self.total, current.borrow().as_deref());
        }
    }

    /// How far it is, in words.
    pub(super) fn told(&self) -> String {
        let (done, took) = (self.stores.len(), seconds(self.progress.elapsed()));
        format!("{done} of {} stores were looked at in {took}", self.total)
    }

    /// What was found, in the order of the configuration.
    pub(super) fn findings(self) -> Vec<Finding> {
        self.stores.into_values().chain(self.folders).collect()
    }
}

/// Finds the stores that are not configured by their names. Returns what could not be listed.
async fn discover(vault: &Vault, config: &mut Config) -> Vec<Finding> {
    let folders: BTreeMap<Folder, Option<KvVersion>> =
        config.discover.iter().map(|it| (it.discovery.folder.clone(), it.discovery.kv_version)).collect();
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    for (folder, kv_version) in folders {
        match vault.list(&folder, kv_version, false).await {
            Ok(listing) if listing.secrets.is_empty() => {
                findings.push(of_folder(&folder, &SourceFault::NeverWritten))
            }
            Ok(listing) => {
                let here = listing.secrets.into_keys().map(|secret| Found {
                    mount: folder.mount.clone(),
                    path: folder.path_to(&secret),
                    gone_since: None,
                });
                let discoveries = || config.discover.iter().map(|it| &it.discovery);
                let is_store =
                    |it: &Found| matches!(place(discoveries(), &it.mount, &it.path), Some((_, Ok(_))));
                let before = found.len();
                found.extend(here.filter(is_store));
                if found.len() == before {
                    let words = "no secret here is a store; check prefix and name of [[discover]]";
                    findings.push(of_folder(&folder, &SourceFault::NotKeyValue(words.into())));
                }
            }
            Err(fault) => findings.push(of_folder(&folder, &fault)),
        }
    }
    config.restock(&found);
    findings
}
