//! A world for the engine: a source, stores and disks that answer at once, and a clock that is set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::actions::kind;
use super::shops::Shop;
use crate::domain::discovery::Found;
use crate::domain::engine::{
    About, Acknowledge, Action, Engine, Event, Hook, Reply, Request, Settings, SourceChange, StoreSpec,
};
use crate::domain::incident::{Cause, Incident, Message, MessageKind};
use crate::domain::publication::{
    Acknowledged, GenerationStamp, Note, OnDisk, PublishFault, Published, ReloadFault, Reloaded, Sign, Told,
};
use crate::domain::secret::{Fingerprint, FingerprintKey};
use crate::domain::snapshot::{Snapshot, StoreStatus};
use crate::domain::source::{Lease, ListedVersion, Listing, SourceFault};
use crate::domain::time::{Instant, Now, Timestamp};
use crate::domain::verdict::Validity;

pub(super) use super::configured::{fields, output, settings, spec};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    pub(super) now: Now,
    /// Version, user, token (none: the field is missing).
    pub(super) secrets: BTreeMap<String, (u64, String, Option<String>)>,
    /// What was written before, by store and version.
    pub(super) overwritten: BTreeMap<(String, u64), (u64, String, Option<String>)>,
    /// When each secret was written, where somebody has.
    pub(super) written_at: BTreeMap<String, Timestamp>,
    /// The source counts no versions.
    pub(super) unversioned: bool,
    /// The host of every API Path; none: each store has its own.
    pub(super) host: Option<&'static str>,
    /// Those of single stores.
    pub(super) hosts: BTreeMap<String, &'static str>,
    pub(super) read_fault: Option<SourceFault>,
    /// Stores whose secrets alone cannot be read.
    pub(super) read_faults: BTreeMap<String, SourceFault>,
    /// What it says when it is to list secrets; `Ok`: their versions, or their names alone.
    pub(super) listing: Result<(), SourceFault>,
    pub(super) names: Result<(), SourceFault>,
    /// Secrets that no listing has, although they can be read.
    pub(super) unlisted: Vec<String>,
    /// What was discovered, as the disk has it.
    pub(super) found: Vec<Found>,
    /// The stores that are configured by their names, where some are discovered.
    pub(super) configured: Vec<String>,
    /// The token was revoked: reads and questions are forbidden until the next log-in.
    pub(super) token_dead: bool,
    pub(super) log_in: Result<Lease, SourceFault>,
    pub(super) renew: Result<Lease, SourceFault>,
    pub(super) look_up: Result<Lease, SourceFault>,
    pub(super) shops: BTreeMap<String, Shop>,
    /// What stores say is left of their quotas.
    pub(super) remaining: Option<u64>,
    /// How long the stores' certificates are valid, where that can be read.
    pub(super) certificates: BTreeMap<String, Validity>,
    pub(super) disks: BTreeMap<String, OnDisk>,
    pub(super) publish_fault: Option<PublishFault>,
    /// The files that are configured; none: the three values.
    pub(super) files: Option<Fingerprint>,
    pub(super) reload: Result<(), ReloadFault>,
    /// The generations that apps were told of, or would have been; with the moment.
    pub(super) reloads: Vec<(u64, Instant)>,
    /// What the disk says that apps were told.
    pub(super) notes: BTreeMap<String, Told>,
    /// What the disk says that apps have acknowledged.
    pub(super) acknowledged: BTreeMap<String, Acknowledged>,
    /// What apps say by their files.
    pub(super) signs: BTreeMap<String, Sign>,
    pub(super) within: Option<Duration>,
    pub(super) min_interval: Duration,
    pub(super) messages: Vec<Message>,
    /// The open incidents as they were last kept.
    pub(super) ledger: BTreeMap<String, Incident>,
    pub(super) replies: Vec<Reply>,
    /// What was decided, and said in the log.
    pub(super) decided: Vec<String>,
    pub(super) publications: Vec<(String, GenerationStamp)>,
    /// How often each kind of action was asked for.
    pub(super) calls: BTreeMap<&'static str, u64>,
    pub(super) probed_at: Vec<Instant>,
    /// The kinds of action whose answers are kept back until they are released.
    pub(super) slow: Vec<&'static str>,
    pub(super) kept_back: Vec<Event>,
}

impl World {
    pub(super) fn new(stores: &[&str]) -> Self {
        Self::with(stores, settings())
    }

    pub(super) fn with(stores: &[&str], settings: Settings) -> Self {
        let now = Now { instant: Instant::default(), wall: Timestamp::from_millis(1_800_000_000_000) };
        let lease = Lease { duration: HOUR, renewable: true };
        let mut world = Self {
            engine: engine(stores.iter().map(|name| spec(name)), &settings, Vec::new(), now),
            settings,
            now,
            secrets: BTreeMap::new(),
            overwritten: BTreeMap::new(),
            written_at: BTreeMap::new(),
            unversioned: false,
            host: None,
            hosts: BTreeMap::new(),
            read_fault: None,
            read_faults: BTreeMap::new(),
            listing: Err(SourceFault::NotKeyValue("the server does not list".into())),
            names: Ok(()),
            unlisted: Vec::new(),
            found: Vec::new(),
            configured: Vec::new(),
            token_dead: false,
            log_in: Ok(lease),
            renew: Ok(lease),
            look_up: Ok(lease),
            shops: BTreeMap::new(),
            remaining: None,
            certificates: BTreeMap::new(),
            disks: BTreeMap::new(),
            publish_fault: None,
            files: None,
            reload: Ok(()),
            reloads: Vec::new(),
            notes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            signs: BTreeMap::new(),
            within: None,
            min_interval: Duration::ZERO,
            messages: Vec::new(),
            ledger: BTreeMap::new(),
            replies: Vec::new(),
            decided: Vec::new(),
            publications: Vec::new(),
            calls: BTreeMap::new(),
            probed_at: Vec::new(),
            slow: Vec::new(),
            kept_back: Vec::new(),
        };
        for store in stores {
            world.write(store, "user", "token-1");
            world.accept(store, "user", "token-1");
        }
        world
    }

    /// Writes a new version of a store's secret.
    pub(super) fn write(&mut self, store: &str, user: &str, token: &str) {
        let before = self.secrets.get(store).cloned();
        let version = before.as_ref().map_or(0, |secret| secret.0) + 1;
        if let Some(before) = before {
            self.overwritten.insert((store.to_owned(), before.0), before);
        }
        self.written_at.insert(store.into(), self.now.wall);
        self.secrets.insert(store.into(), (version, user.into(), Some(token.into())));
    }

    /// From now on the store accepts this pair only.
    pub(super) fn accept(&mut self, store: &str, user: &str, token: &str) {
        self.shops.insert(store.into(), Shop::Accepts(vec![(user.into(), token.into())]));
    }

    /// The process ends and starts again; what is on the disks and in the ledger stays.
    pub(super) fn restart(&mut self) {
        let open = self.ledger.values().cloned().collect();
        self.now.instant = Instant::default();
        let stores: Vec<&str> = self.secrets.keys().map(String::as_str).collect();
        let specs: Vec<StoreSpec> = stores.iter().map(|name| self.spec(name)).collect();
        let specs = if self.settings.discoveries.is_empty() { specs } else { self.stocked() };
        self.engine = engine(specs, &self.settings, open, self.now);
        if !self.settings.discoveries.is_empty() {
            self.start();
        }
    }

    /// What the daemon does first.
    pub(super) fn start(&mut self) {
        self.send(Event::Tick);
    }

    /// A store as it is configured now, with what its app was told as far as the disk says.
    pub(super) fn spec(&self, name: &str) -> StoreSpec {
        let told = self.notes.get(name).copied();
        let last = self.acknowledged.get(name).copied();
        StoreSpec {
            hook: Some(Hook { min_interval: self.min_interval, retries: 3, told }),
            acknowledge: Some(Acknowledge { within: self.within, last }),
            ..spec(name)
        }
    }

    pub(super) fn configure(&mut self, stores: &[&str]) {
        self.configure_specs(stores.iter().map(|name| self.spec(name)).collect());
    }

    pub(super) fn configure_specs(&mut self, stores: Vec<StoreSpec>) {
        let settings = self.settings.clone();
        self.send(Event::Configured { settings, stores, source: SourceChange::Kept });
    }

    /// Hands an event to the engine and does all that follows from it at this moment.
    pub(super) fn send(&mut self, event: Event) {
        let mut events = vec![event];
        let mut steps = 0;
        while let Some(event) = events.pop() {
            steps += 1;
            assert!(steps < 10_000, "the engine never comes to rest");
            for action in self.engine.handle(event, self.now) {
                let slow = self.slow.contains(&kind(&action));
                let answer = self.perform(action);
                if slow { self.kept_back.extend(answer) } else { events.extend(answer) }
            }
        }
    }

    /// Asks the engine for something, and returns what it replied.
    pub(super) fn ask(&mut self, request: Request) -> Reply {
        let before = self.replies.len();
        self.send(Event::Asked(request));
        assert_eq!(self.replies.len(), before + 1, "one reply for each request");
        self.replies[before].clone()
    }

    /// The answers that were kept back arrive, in the order in which they were asked for.
    pub(super) fn release(&mut self) {
        self.slow.clear();
        for event in std::mem::take(&mut self.kept_back) {
            self.send(event);
        }
    }

    /// Lets time pass, stopping wherever the engine has something to do.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.instant.plus(time);
        let mut idle = 0;
        loop {
            let due = self.engine.next_deadline();
            let at = due.max(self.now.instant).min(end);
            idle = if at == self.now.instant { idle + 1 } else { 0 };
            assert!(idle < 100, "the engine asks to be woken again and again at {at:?}");
            let step = at.since(self.now.instant);
            self.now = Now { instant: at, wall: self.now.wall.plus(step) };
            if due > end {
                return;
            }
            self.send(Event::Tick);
        }
    }

    /// Lets time pass in steps of a second until something is so; an hour at the most.
    pub(super) fn pass_until(&mut self, mut so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..3600 {
            if so(self) {
                return;
            }
            self.pass(SECOND);
        }
        panic!("it did not come to pass within an hour");
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        let mut count = |what| *self.calls.entry(what).or_default() += 1;
        Some(match action {
            Action::LogIn => {
                count("log in");
                self.token_dead = false;
                Event::LoggedIn(self.log_in.clone())
            }
            Action::Renew => {
                count("renew");
                Event::Renewed(self.renew.clone())
            }
            Action::LookUp => {
                count("look up");
                let dead = self.token_dead.then_some(Err(SourceFault::Forbidden));
                Event::LookedUp(dead.unwrap_or_else(|| self.look_up.clone()))
            }
            Action::Inspect { store } => {
                count("inspect");
                let found = match self.disks.get(store.as_str()).cloned().unwrap_or(OnDisk::Nothing) {
                    OnDisk::Published(published) if published.stamp.files_fingerprint != self.files => {
                        OnDisk::Outdated(published)
                    }
                    found @ (OnDisk::Nothing
                    | OnDisk::Damaged(_)
                    | OnDisk::Outdated(_)
                    | OnDisk::OtherRights(..)
                    | OnDisk::Published(_)) => found,
                };
                let sign = self.signs.get(store.as_str()).cloned().unwrap_or(Sign::None);
                Event::Inspected { store, result: Ok(found), sign }
            }
            Action::Read { store, location } => {
                count("read");
                let fault = self.read_faults.get(store.as_str()).or(self.read_fault.as_ref());
                let result = match fault {
                    _ if self.token_dead => Err(SourceFault::Forbidden),
                    Some(fault) => Err(SourceFault::clone(fault)),
                    None => self.secret(store.as_str(), location.pinned),
                };
                Event::Read { store, location, result }
            }
            Action::List { folder, kv_version: _, detailed } => {
                count(if detailed { "list" } else { "list names" });
                let listed = |(name, secret): (&String, &(u64, String, Option<String>))| {
                    let created_at = self.written_at.get(name).copied();
                    let version = ListedVersion { version: secret.0, created_at, present: true };
                    (name.clone(), detailed.then_some(version))
                };
                let result = match if detailed { &self.listing } else { &self.names } {
                    _ if self.token_dead => Err(SourceFault::Forbidden),
                    Err(fault) => Err(fault.clone()),
                    Ok(()) => {
                        let is_listed = |name| folder.path == "bc" && !self.unlisted.contains(name);
                        let secrets = self.secrets.iter().filter(|(name, _)| is_listed(*name));
                        Ok(Listing { secrets: secrets.map(listed).collect(), requests: 1 })
                    }
                };
                Event::Listed { folder, detailed, result }
            }
            Action::Restock { found } => {
                count("restock");
                self.found = found;
                Event::Restocked { stores: self.stocked() }
            }
            Action::Probe { store, credentials } => {
                count("probe");
                self.probed_at.push(self.now.instant);
                let outcome = self.answer(store.as_str(), &credentials);
                Event::Probed { store, credentials, took: Duration::from_millis(20), outcome }
            }
            Action::Publish { store, credentials, stamp } => {
                count("publish");
                let restores = stamp.restores.filter(|_| stamp.files_fingerprint == self.files);
                let stamp = GenerationStamp { files_fingerprint: self.files, restores, ..stamp };
                let result = match &self.publish_fault {
                    Some(fault) => Err(fault.clone()),
                    None => Ok(Published { credentials, stamp: stamp.clone() }),
                };
                if let Ok(published) = &result {
                    self.publications.push((store.as_str().into(), stamp));
                    self.disks.insert(store.as_str().into(), OnDisk::Published(published.clone()));
                }
                Event::PublishEnded { store, result }
            }
            Action::Withdraw { store } => {
                count("withdraw");
                let result = self.publish_fault.clone().map_or(Ok(()), Err);
                if result.is_ok() {
                    self.disks.remove(store.as_str());
                }
                Event::Withdrawn { store, result }
            }
            Action::Reload { store, generation } => {
                count("reload");
                self.notes.remove(store.as_str());
                self.reloads.push((generation.generation, self.now.instant));
                let result = self.reload.clone().map(|()| Reloaded::new("a test"));
                if result.is_ok() {
                    let told = Told { generation, told_at: self.now.wall };
                    self.notes.insert(store.as_str().into(), told);
                }
                Event::Reloaded { store, generation, took: SECOND, result }
            }
            Action::Remember { store, note: Note::Told(told) } => {
                count("remember");
                self.notes.insert(store.as_str().into(), told);
                return None;
            }
            Action::Remember { store, note: Note::Acknowledged(acknowledged) } => {
                count("remember acknowledged");
                self.acknowledged.insert(store.as_str().into(), acknowledged);
                return None;
            }
            Action::Notify(message) => {
                let incident = &message.incident;
                match message.kind {
                    MessageKind::Opened | MessageKind::Reminder => {
                        self.ledger.insert(incident.id.to_string(), incident.clone());
                    }
                    MessageKind::Resolved => drop(self.ledger.remove(incident.id.as_str())),
                }
                self.messages.push(message);
                return None;
            }
            Action::Keep(incident) => {
                self.ledger.insert(incident.id.to_string(), incident);
                return None;
            }
            Action::Reply(reply) => {
                self.replies.push(reply);
                return None;
            }
            Action::Say(decision) => {
                self.decided.push(decision.text);
                return None;
            }
        })
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.engine.snapshot(About::default(), self.now)
    }

    pub(super) fn store(&mut self, name: &str) -> StoreStatus {
        self.snapshot().stores.into_iter().find(|store| store.name.as_str() == name).unwrap()
    }

    pub(super) fn calls(&self, what: &str) -> u64 {
        self.calls.get(what).copied().unwrap_or(0)
    }

    /// What the messages said so far, in order.
    pub(super) fn said(&self) -> Vec<(MessageKind, Cause)> {
        self.messages.iter().map(|message| (message.kind, message.incident.cause)).collect()
    }

    /// What is published for a store: version, 0 where it has none, and token.
    pub(super) fn published(&self, store: &str) -> Option<(u64, String)> {
        match self.disks.get(store)? {
            OnDisk::Published(published)
            | OnDisk::Outdated(published)
            | OnDisk::OtherRights(published, _) => {
                let version = published.stamp.version.number().unwrap_or_default();
                Some((version, published.credentials.api_token().expose().to_owned()))
            }
            OnDisk::Nothing | OnDisk::Damaged(_) => None,
        }
    }
}

pub(super) fn engine(
    stores: impl IntoIterator<Item = StoreSpec>,
    settings: &Settings,
    open: Vec<Incident>,
    now: Now,
) -> Engine {
    let key = Arc::new(FingerprintKey::new(&[7; 32]));
    Engine::new(settings.clone(), stores.into_iter().collect(), key, open, now)
}
