//! The daemon's loop: one select over everything that can happen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tracing::{debug, error, info, warn};

use crate::config::{Config, Environment, MAX_FILE_SIZE, preflight};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{About, Engine, Event, FirstCheck, Reply, SourceChange};
use crate::domain::incident::Severity;
use crate::domain::secret::FingerprintKey;
use crate::domain::snapshot::ConfigurationStatus;
use crate::domain::time::Now;
use crate::observe::{
    Access, EngineRequest, Heartbeat, Pages, RequestSource, Rules, SnapshotRequest, SnapshotSource,
};
use crate::publish::claim::Claim;
use crate::publish::key;
use crate::system::blocking;
use crate::system::clock::Clock;
use crate::system::directories::Disturbed;
use crate::system::errors::chain;
use crate::system::files::Known;
use crate::system::logging::Levels;
use crate::system::service::{self, State};
use crate::system::signals::{Signal, Signals, Wish};

use super::adapters::{Adapters, Before, now};
use super::alerts::{Alerts, Channels};
use super::confinement::Confinement;
use super::error::DaemonError;
use super::file_watch::{watch_files, watched};
use super::happening::Happening;
use super::listeners::Listeners;
use super::manager::Manager;
use super::output_watch::OutputWatch;
use super::prepared::Prepared;
use super::pulse::{Pulse, usage};
use super::restock::{restock, take_stock};
use super::retry::Retry;
use super::services::{Service, any_ended};
use super::settings::{mounts, settings, source_change, stores, tell_dropped};
use super::snapshots::{hand_out, statuses};
use super::work::{First, Work};

/// The loop shows that it lives at least this often, also when there is nothing to do.
const PULSE: Duration = Duration::from_secs(10);
/// How long a stop may take: generations and hooks under way are finished, then messages are tried once more, then the
/// token is revoked. Orchestrators give 30 seconds and more.
pub(super) const FINISH_LIMIT: Duration = Duration::from_secs(4);
const FLUSH_LIMIT: Duration = Duration::from_secs(4);
const REVOKE_LIMIT: Duration = Duration::from_secs(3);

/// What the daemon starts with.
#[derive(Debug)]
pub struct Start {
    /// The configuration, checked.
    pub config: Config,
    /// The file that it came from; watched, and read again when it changes or SIGHUP comes.
    pub path: PathBuf,
    /// What that file held before it was loaded.
    pub known: Known,
    /// The environment that it was read under.
    pub environment: Arc<Environment>,
    /// The clocks.
    pub clock: Clock,
    /// Changes the log's level when the configuration says so.
    pub levels: Levels,
    /// What was given up before.
    pub confinement: Confinement,
}

/// Runs until it is told to stop.
///
/// # Errors
/// It could not start, or a part of it failed.
pub async fn run(start: Start) -> Result<(), DaemonError> {
    let signals = Signals::listen().map_err(DaemonError::Signals)?;
    let mut live = Live::open(start, signals).await?;
    let ended = live.serve().await;
    let closed = live.close().await;
    ended.and(closed)
}

struct Live {
    config: Config,
    path: PathBuf,
    environment: Arc<Environment>,
    clock: Clock,
    levels: Levels,
    confinement: Confinement,
    started_at: Now,
    last_pass: Now,
    work: Work,
    key: Arc<FingerprintKey>,
    alerts: Alerts,
    /// Nobody else serves the output directory.
    claim: Claim,
    signals: Signals,
    asked: mpsc::Receiver<SnapshotRequest>,
    requested: mpsc::Receiver<EngineRequest>,
    heartbeat: watch::Sender<Heartbeat>,
    access: Access,
    listeners: Listeners,
    file_watch: Option<Service>,
    changed: mpsc::Sender<PathBuf>,
    file_changed: mpsc::Receiver<PathBuf>,
    retry: Retry,
    output_watch: OutputWatch,
    status: ConfigurationStatus,
    manager: Manager,
    pulse: Pulse,
}

impl Live {
    async fn open(start: Start, signals: Signals) -> Result<Self, DaemonError> {
        let Start { config, path, known, environment, clock, levels, confinement } = start;
        let config = take_stock(config).await;
        // Before they are read: what changes meanwhile is read too early.
        let (files, config) = blocking::run(move || (watched(known, &config), config)).await;
        let state = config.state.directory.clone();
        let key = blocking::run(move || key::load_or_create(&state)).await.map_err(DaemonError::Key)?;
        let key = Arc::new(key);
        let output_watch = OutputWatch::start();
        let adapters = Adapters::build(&config, key.clone())?.watching(output_watch.directories.clone());
        let alerts = Alerts::open(&config, Channels::build(&config, &key)?, clock).await?;
        let output = config.output.directory.clone();
        let claim = blocking::run(move || Claim::take(&output)).await.map_err(DaemonError::Output)?;
        let at = now(&clock);
        let open = alerts.ledger().load();
        let specs = stores(&config, &adapters.noted);
        let engine = Engine::new(settings(&config, FirstCheck::InTurn), specs, key.clone(), open, at);
        let (snapshots, asked) = SnapshotSource::channel();
        let (requests, requested) = RequestSource::channel();
        let (heartbeat, beats) = watch::channel(Heartbeat::starting());
        let access = Access::new(Rules::default());
        let pages = Pages::new(snapshots, requests, beats, access.clone(), levels.clone());
        let listeners = Listeners::open(&config, pages, access.clone()).await?;
        let (changed, file_changed) = mpsc::channel(1);
        let manager = Manager::new();
        let live = Self {
            work: Work::new(engine, adapters, &config, clock),
            status: ConfigurationStatus {
                loaded_at: at.wall,
                verify_before_publish: config.check.verify_before_publish,
                metrics_store_limit: config.http.metrics_store_limit,
                ..ConfigurationStatus::default()
            },
            file_watch: Some(watch_files(files, changed.clone())),
            changed,
            retry: Retry::default(),
            config,
            path,
            environment,
            clock,
            levels,
            confinement,
            started_at: at,
            last_pass: at,
            key,
            alerts,
            claim,
            signals,
            asked,
            requested,
            heartbeat,
            access,
            listeners,
            file_changed,
            output_watch,
            pulse: Pulse::every(manager.watchdog().map_or(PULSE, |watchdog| (watchdog / 2).min(PULSE))),
            manager,
        };
        info!(
            version = env!("CARGO_PKG_VERSION"),
            stores = live.config.stores.len(),
            vault = live.work.adapters.vault.address(),
            output = %live.config.output.directory.display(),
            "started"
        );
        if !live.config.check.verify_before_publish {
            warn!("check.verify_before_publish is off: credentials are published without being verified");
        }
        if live.config.vault.tls.skip_verify {
            warn!("VAULT_SKIP_VERIFY is set: Vault's certificate is not verified");
        }
        Ok(live)
    }

    /// The loop. Returns when it is told to stop.
    async fn serve(&mut self) -> Result<(), DaemonError> {
        self.handle(Event::Tick).await;
        loop {
            let happening = self.next().await?;
            let begun = tokio::time::Instant::now();
            match happening {
                Happening::Signal(signal) => {
                    if self.obey(signal).await? {
                        return Ok(());
                    }
                }
                Happening::Event(event) => self.handle(event).await,
                Happening::FileChanged(path) => self.reload(&self.says(&path)).await?,
                Happening::Retry => self.retry().await?,
                Happening::Disturbed(disturbed) => self.disturb(disturbed).await,
                Happening::Asked(request) => self.answer(request).await,
                Happening::Requested(request) => self.oblige(request).await,
                Happening::Delivered(event) => self.alerts.count(&event),
                Happening::Pulse => self.alerts.settle().await,
            }
            self.pulse.passed(begun);
            self.passed();
        }
    }

    /// Waits for the next thing to happen, or for a part to end, which none may.
    async fn next(&mut self) -> Result<Happening, DaemonError> {
        let due = self.clock.instant_at(self.work.engine.next_deadline().as_millis());
        Ok(tokio::select! {
            signal = self.signals.next() => Happening::Signal(signal),
            event = self.work.next() => Happening::Event(event?),
            () = sleep_until(due) => Happening::Event(Event::Tick),
            Some(path) = self.file_changed.recv() => Happening::FileChanged(path),
            () = self.retry.due() => Happening::Retry,
            Some(disturbed) = self.output_watch.disturbed.recv() => Happening::Disturbed(disturbed),
            Some(request) = self.asked.recv() => Happening::Asked(request),
            Some(request) = self.requested.recv() => Happening::Requested(request),
            Some(event) = self.alerts.reported.recv() => Happening::Delivered(event),
            fault = any_ended(
                self.listeners
                    .services()
                    .chain(&mut self.file_watch)
                    .chain(&mut self.output_watch.service)
                    .chain(&mut self.alerts.tasks)
            ) => return Err(fault),
            () = self.pulse.beat() => Happening::Pulse,
        })
    }

    async fn handle(&mut self, event: Event) {
        // Nothing but a request is replied to.
        let _none = self.settle(event).await;
    }

    async fn settle(&mut self, mut event: Event) -> Option<Reply> {
        let mut said = None;
        loop {
            let First { changes, reply, restock: found } = self.work.handle(event);
            self.alerts.keep(changes).await;
            self.work.start();
            said = said.or(reply);
            let Some(found) = found else { return said };
            event = restock(&mut self.config, &mut self.work, found).await;
        }
    }

    /// Somebody has touched published files.
    async fn disturb(&mut self, disturbed: Disturbed<StoreName>) {
        match disturbed {
            Disturbed::These(stores) => {
                for store in stores {
                    self.handle(Event::Disturbed { store: Some(store) }).await;
                }
            }
            Disturbed::Everybody => self.handle(Event::Disturbed { store: None }).await,
        }
    }

    async fn oblige(&mut self, EngineRequest { request, reply }: EngineRequest) {
        if let Some(said) = self.settle(Event::Asked(request)).await {
            // Whoever asked may be gone by now.
            let _gone = reply.send(self.alerts.answer(said));
        }
    }

    /// A pass of the loop is complete: say so to whoever watches.
    fn passed(&mut self) {
        self.last_pass = now(&self.clock);
        let vitals = self.work.engine.vitals(self.last_pass, self.last_pass);
        self.heartbeat.send_replace(Heartbeat {
            last_pass: tokio::time::Instant::now(),
            ready: vitals.ready,
            started: vitals.started,
        });
        if vitals.started && self.manager.started() {
            info!("every store is published");
        }
        if let Some(level) = self.levels.turn(std::time::Instant::now()) {
            info!(log_level = %level, "the level of the log is the configured one again");
        }
        let mut status = self.work.engine.headline();
        if self.status.error.is_some() {
            status.push_str("; the new configuration is refused, the log says why");
        }
        self.manager.tell(status);
    }

    async fn answer(&mut self, request: SnapshotRequest) {
        let at = now(&self.clock);
        let stores = statuses(&mut self.work.engine, at).await;
        let about = About {
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.started_at.wall,
            last_pass: self.last_pass,
            mounts: mounts(&self.config, &self.work.adapters.vault),
            channels: self.alerts.status(),
            state: self.alerts.state(),
            events: self.work.timeline.events(),
            configuration: self.status.clone(),
            reports_refused: self.access.reports_refused(),
            http: self.access.status(),
            main_loop: Some(self.pulse.status()),
            process: Some(usage()),
            hardening: Some(self.confinement.status()),
        };
        let snapshot = Arc::new(self.work.engine.snapshot_with(stores, about, at));
        hand_out(&snapshot, request, &mut self.asked);
    }

    /// Does what a signal asks for; true: stop.
    async fn obey(&mut self, signal: Signal) -> Result<bool, DaemonError> {
        match signal.wish {
            Wish::Stop => {
                info!(origin = signal.origin, "stopping");
                return Ok(true);
            }
            Wish::Reload => self.reload(&signal.origin).await?,
            Wish::CheckNow => {
                info!(origin = signal.origin, "checking every store now");
                self.handle(Event::CheckNow).await;
            }
        }
        Ok(false)
    }

    fn says(&self, changed: &Path) -> String {
        if *changed == self.path {
            "the configuration file has changed".to_owned()
        } else {
            format!("{}, which is read with the configuration, has changed", changed.display())
        }
    }

    /// Loads the configuration anew: the whole of it, or nothing.
    async fn reload(&mut self, why: &str) -> Result<(), DaemonError> {
        info!(why, "loading the configuration anew");
        self.manager.reloading();
        let prepared = self.prepare().await;
        self.take(prepared).await
    }

    /// Loads the configuration anew that was refused. As long as that is for the same reason, nobody needs to know.
    async fn retry(&mut self) -> Result<(), DaemonError> {
        let prepared = self.prepare().await;
        if prepared.as_ref().err().is_some_and(|reason| self.status.error.as_ref() == Some(reason)) {
            debug!("the new configuration is still refused, for the same reason");
            self.retry.go_on();
            return Ok(());
        }
        self.manager.reloading();
        self.take(prepared).await
    }

    async fn take(&mut self, prepared: Result<Prepared, String>) -> Result<(), DaemonError> {
        match prepared {
            Ok(prepared) => self.apply(prepared).await?,
            Err(reason) => {
                let text = format!("the new configuration is refused, the old one stays in force: {reason}");
                error!("{text}");
                self.work.timeline.happened(now(&self.clock).wall, Some(Severity::Critical), &text);
                self.status.refused += 1;
                self.status.error = Some(reason);
                self.retry.begin();
            }
        }
        Ok(())
    }

    /// Everything that can fail, before anything is changed.
    async fn prepare(&mut self) -> Result<Prepared, String> {
        let (path, environment, key) = (self.path.clone(), self.environment.clone(), self.key.clone());
        let loaded = blocking::run(move || {
            // As at the start: a change while it is loaded is another one.
            let known = Known::look(&path, MAX_FILE_SIZE);
            Config::load(&path, &environment).map(|config| (known, config))
        });
        let (known, config) = loaded.await.map_err(|error| error.to_string())?;
        // Before the files are looked at: what was given up looks like a lack of permissions.
        self.confinement.admits(&config, &self.path)?;
        let path = self.path.clone();
        let usable = blocking::run(move || match preflight(&config) {
            Ok(()) => Ok((watched(known, &config), config)),
            Err(error) => Err(error.located(&path).to_string()),
        });
        let (files, mut config) = usable.await?;
        config.restock(&self.config.found());
        if config.state != self.config.state {
            return Err("state.directory cannot change while the daemon runs; restart it".into());
        }
        if config.log.format != self.config.log.format {
            return Err("log.format cannot change while the daemon runs; restart it".into());
        }
        let mut listeners = Listeners::prepare(&self.config, &config).await?;
        let before = Before::of(&self.work.adapters.vault, &self.config.vault, &config.vault);
        // Last, because it may make the output directory.
        let (path, held) = (self.path.clone(), self.claim.place());
        let (config, adapters, channels, claim) = blocking::run(move || {
            let channels = Channels::build(&config, &key).map_err(|error| chain(&error))?;
            let adapters =
                Adapters::build_after(&before, &config, key).map_err(|error| chain(&error.located(&path)))?;
            let claim =
                Claim::take_beside(&config.output.directory, held).map_err(|error| error.to_string())?;
            Ok::<_, String>((config, adapters, channels, claim))
        })
        .await?;
        // Nothing can fail after it.
        self.listeners.take_over(&mut listeners).await?;
        let output_watch = OutputWatch::start();
        let adapters = adapters.watching(output_watch.directories.clone());
        Ok(Prepared { config, files, adapters, channels, claim, listeners, output_watch })
    }

    async fn apply(&mut self, prepared: Prepared) -> Result<(), DaemonError> {
        let Prepared { config, files, mut adapters, channels, claim, listeners, output_watch } = prepared;
        let source = source_change(&self.config.vault, &config.vault);
        let old_vault = match source {
            SourceChange::Kept => {
                if self.config.vault.timeout == config.vault.timeout {
                    adapters.vault = self.work.adapters.vault.clone();
                }
                None
            }
            SourceChange::Replaced => Some(self.work.adapters.vault.clone()),
        };
        self.listeners.apply(listeners).await?;
        self.alerts.replace(channels).await?;
        if let Some(service) = self.file_watch.take() {
            service.stop().await?;
        }
        self.file_watch = Some(watch_files(files, self.changed.clone()));
        // What was watched may be elsewhere now; whatever happens meanwhile, the new configuration has all looked at.
        if let Some(service) = std::mem::replace(&mut self.output_watch, output_watch).service {
            service.stop().await?;
        }
        if let Some(claim) = claim {
            self.claim = claim;
        }
        self.work.replace(adapters, &config, source == SourceChange::Replaced);
        // The format stays what it was: who reads the log has begun to.
        self.levels.configure(config.log.level);
        let event = Event::Configured {
            settings: settings(&config, FirstCheck::InTurn),
            stores: stores(&config, &self.work.adapters.noted),
            source,
        };
        let revoke = self.config.vault.revoke_token_on_exit;
        self.status.loaded_at = now(&self.clock).wall;
        self.status.reloads += 1;
        self.status.error = None;
        self.retry.end();
        self.status.verify_before_publish = config.check.verify_before_publish;
        self.status.metrics_store_limit = config.http.metrics_store_limit;
        let before = std::mem::replace(&mut self.config, config);
        info!(stores = self.config.stores.len(), "the new configuration is in force");
        tell_dropped(&before, &self.config);
        self.work.timeline.happened(self.status.loaded_at, None, "the new configuration is in force");
        self.handle(event).await;
        if let Some(vault) = old_vault.filter(|_| revoke) {
            tokio::spawn(async move { vault.revoke().await });
        }
        Ok(())
    }

    /// Stops cleanly: what is published stays, what was not delivered is kept.
    async fn close(mut self) -> Result<(), DaemonError> {
        service::tell(State::Stopping);
        let mut changes = Vec::new();
        self.work.finish(FINISH_LIMIT, &mut changes).await;
        self.alerts.keep(changes).await;
        let stopped = self.alerts.stop().await;
        let revoke = async {
            let vault = &self.work.adapters.vault;
            if self.config.vault.revoke_token_on_exit && timeout(REVOKE_LIMIT, vault.revoke()).await.is_err()
            {
                warn!("Vault did not answer; the token ends with its lease");
            }
        };
        // Nobody is answered any more: whoever waits for an answer need not wait.
        drop((self.asked, self.requested));
        let (_, (), closed) = tokio::join!(self.alerts.flush(FLUSH_LIMIT), revoke, self.listeners.close());
        info!("stopped");
        stopped.and(closed)
    }
}
