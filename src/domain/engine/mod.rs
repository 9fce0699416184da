//! The engine: events in, actions out, time as an argument.
//!
//! It holds one state machine for the source and one for each store. Each event changes what is known;
//! then what is wanted is compared with what is known, and the difference is acted on. So a missed event, a
//! restart or a hand-made change heals at the next pass.

mod book;
mod conditions;
mod outcome;
mod source;
mod store;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::book::Book;
use self::source::Source;
use self::store::Store;
use super::credentials::{AddressPolicy, Credentials, FieldNames, StoreName};
use super::incident::{Cause, Incident, Message, Severity};
use super::publication::{GenerationStamp, OnDisk, PublishFault, Published, ReloadFault};
use super::secret::FingerprintKey;
use super::source::{Lease, SecretVersion, SourceFault};
use super::time::{Instant, Now};
use super::verdict::ProbeOutcome;

pub use self::outcome::Outcome;
pub use self::view::About;

/// What the engine judges by, for all stores.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often each secret is read and each published set is looked at.
    pub poll_interval: Duration,
    /// How often published credentials are checked against their store.
    pub check_interval: Duration,
    /// How many rejections in a row confirm that credentials are rejected.
    pub confirmations: u32,
    /// How far apart those checks are.
    pub confirmation_spacing: Duration,
    /// How long nobody may be able to tell before that is an incident of its own.
    pub stale_after: Duration,
    /// How long after a message about an open incident the next one follows.
    pub repeat_interval: Duration,
    /// Which addresses an API Path may name.
    pub addresses: AddressPolicy,
    /// Whether only accepted credentials are published.
    pub gate: Gate,
    /// When published credentials are first checked after a start.
    pub first_check: FirstCheck,
}

/// Whether a candidate must be accepted by its store before it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Only accepted credentials are published.
    Verified,
    /// Candidates are published as they come, and checked afterwards.
    Open,
}

/// When credentials that are already published at the start are checked for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstCheck {
    /// When their turn in the interval comes, so that many stores do not come at once.
    InTurn,
    /// At once, for a single pass.
    AtOnce,
}

/// One store, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// Its name.
    pub name: StoreName,
    /// Where its secret is.
    pub location: Arc<SecretLocation>,
    /// Whether its app wants to be told.
    pub hook: Hook,
}

/// Whether a store's app wants to be told of new generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// It finds out by itself.
    None,
    /// It is told, each time that other content was published.
    Configured,
}

/// Where a secret is in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretLocation {
    /// Mount of the engine.
    pub mount: String,
    /// Path below the mount.
    pub path: String,
    /// Names of its fields.
    pub fields: FieldNames,
}

impl std::fmt::Display for SecretLocation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.mount, self.path)
    }
}

/// Whether a new configuration names another source than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// The same server, the same way to log in.
    Kept,
    /// Another one: the token in hand is of no use there.
    Replaced,
}

/// A fact that an adapter reports, or a wish from outside.
#[derive(Debug)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A log-in has ended.
    LoggedIn(Result<Lease, SourceFault>),
    /// A renewal of the token has ended.
    Renewed(Result<Lease, SourceFault>),
    /// The source was asked about our token.
    LookedUp(Result<Lease, SourceFault>),
    /// A read of a store's secret has ended.
    Read {
        /// The store.
        store: StoreName,
        /// Where it was read: the configuration may name another place by now.
        location: Arc<SecretLocation>,
        /// What came of it.
        result: Result<SecretVersion, SourceFault>,
    },
    /// The disk was looked at.
    Inspected {
        /// The store.
        store: StoreName,
        /// What is there.
        result: Result<OnDisk, PublishFault>,
    },
    /// A probe has ended.
    Probed {
        /// The store.
        store: StoreName,
        /// The very set that was probed.
        credentials: Arc<Credentials>,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// Publishing has ended.
    PublishEnded {
        /// The store.
        store: StoreName,
        /// The generation as it was read back, or why there is none.
        result: Result<Published, PublishFault>,
    },
    /// An app was told of a generation, or could not be.
    Reloaded {
        /// The store.
        store: StoreName,
        /// The generation.
        generation: u64,
        /// What came of it.
        result: Result<(), ReloadFault>,
    },
    /// Somebody wants every store checked now.
    CheckNow,
    /// A new configuration is in force.
    Configured {
        /// The settings.
        settings: Settings,
        /// The stores.
        stores: Vec<StoreSpec>,
        /// Whether the source is still the same.
        source: SourceChange,
    },
}

/// Something for the daemon to do. Whatever is not a message or a log line is answered by one event.
#[derive(Debug)]
pub enum Action {
    /// Log in to the source.
    LogIn,
    /// Renew the token.
    Renew,
    /// Ask the source about the token.
    LookUp,
    /// Look at what is on the disk.
    Inspect {
        /// The store.
        store: StoreName,
    },
    /// Read a store's secret.
    Read {
        /// The store.
        store: StoreName,
        /// Where the secret is.
        location: Arc<SecretLocation>,
    },
    /// Ask a store whether credentials work.
    Probe {
        /// The store.
        store: StoreName,
        /// The set to ask about.
        credentials: Arc<Credentials>,
    },
    /// Publish a set as a new generation.
    Publish {
        /// The store.
        store: StoreName,
        /// The set.
        credentials: Arc<Credentials>,
        /// What the generation says of itself.
        stamp: GenerationStamp,
    },
    /// Tell the app of a generation.
    Reload {
        /// The store.
        store: StoreName,
        /// The generation.
        generation: u64,
    },
    /// Keep this message, then deliver it.
    Notify(Message),
    /// Write a line to the log.
    Say(Decision),
}

/// A decision and its reason, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The store; none: the source.
    pub store: Option<StoreName>,
    /// How serious it is; none: it is no trouble.
    pub severity: Option<Severity>,
    /// One sentence.
    pub text: String,
}

/// What all state machines need while an event is handled.
pub(crate) struct Context<'a> {
    now: Now,
    settings: &'a Settings,
    key: &'a FingerprintKey,
    actions: &'a mut Vec<Action>,
    book: &'a mut Book,
}

impl Context<'_> {
    fn say(&mut self, store: Option<&StoreName>, severity: Option<Severity>, text: String) {
        self.actions.push(Action::Say(Decision { store: store.cloned(), severity, text }));
    }
}

/// The engine. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    key: Arc<FingerprintKey>,
    source: Source,
    stores: Vec<Store>,
    index: BTreeMap<StoreName, usize>,
    /// When each store is due next; a store stands in it once at most.
    timers: BTreeSet<(Instant, usize)>,
    book: Book,
    /// Incidents of stores that are no longer configured may be open: of a configuration, or of a life, before.
    stores_changed: bool,
    /// Every store was published at some moment since the start.
    started: bool,
}

impl Engine {
    /// Starts with nothing known but the incidents that were open when the last process ended.
    #[must_use]
    pub fn new(
        settings: Settings,
        stores: Vec<StoreSpec>,
        key: Arc<FingerprintKey>,
        open: Vec<Incident>,
        now: Now,
    ) -> Self {
        let book = Book::restored(open, settings.repeat_interval, now);
        let stores: Vec<Store> = stores.into_iter().map(|spec| Store::new(spec, now)).collect();
        let mut engine = Self {
            settings,
            key,
            source: Source::new(now),
            stores,
            index: BTreeMap::new(),
            timers: BTreeSet::new(),
            book,
            stores_changed: true,
            started: false,
        };
        engine.reindex();
        engine
    }

    /// Takes an event in and returns what is to be done now. Messages come first: they must be on the disk
    /// before anything else happens.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        let usable = self.source.usable();
        let mut cx = Context {
            now,
            settings: &self.settings,
            key: &self.key,
            actions: &mut actions,
            book: &mut self.book,
        };
        let mut touched = None;
        match event {
            Event::Tick => {}
            Event::LoggedIn(result) => self.source.logged_in(result, &mut cx),
            Event::Renewed(result) => self.source.renewed(result, &mut cx),
            Event::LookedUp(result) => self.source.looked_up(result, &mut cx),
            Event::Read { store, location, result } => {
                touched = self.index.get(&store).copied();
                let store = touched.and_then(|at| self.stores.get_mut(at));
                let trouble = store.as_ref().map(|store| store.trouble()).unwrap_or_default();
                let bearing = self.source.used(result.as_ref().err(), trouble, &mut cx);
                if let Some(store) = store {
                    store.read(&location, result, bearing, &mut cx);
                }
            }
            Event::Inspected { store, result } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.inspected(result, &mut cx);
                }
            }
            Event::Probed { store, credentials, outcome } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.probed(&credentials, &outcome, &mut cx);
                }
            }
            Event::PublishEnded { store, result } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.publish_ended(result, &mut cx);
                }
            }
            Event::Reloaded { store, generation, result } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.reloaded(generation, result, &mut cx);
                }
            }
            Event::CheckNow => {
                self.source.try_now(now);
                for at in 0..self.stores.len() {
                    if let Some(store) = self.stores.get_mut(at) {
                        store.check_now(now);
                    }
                    self.reschedule(at, now.instant);
                }
            }
            Event::Configured { settings, stores, source } => {
                self.configure(settings, stores, source, now);
            }
        }
        self.advance(touched, usable, now, &mut actions);
        actions.sort_by_key(|action| match action {
            Action::Notify(_) => 0,
            Action::Say(_) => 1,
            Action::LogIn
            | Action::Renew
            | Action::LookUp
            | Action::Inspect { .. }
            | Action::Read { .. }
            | Action::Probe { .. }
            | Action::Publish { .. }
            | Action::Reload { .. } => 2,
        });
        actions
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let store = self.timers.first().map(|(due, _)| *due);
        store.into_iter().chain(self.source.due(&self.book)).min().unwrap_or(Instant::from_millis(u64::MAX))
    }

    /// Lets the source and every store that is due act on what is known.
    fn advance(&mut self, touched: Option<usize>, was_usable: bool, now: Now, actions: &mut Vec<Action>) {
        let mut cx = Context { now, settings: &self.settings, key: &self.key, actions, book: &mut self.book };
        if std::mem::take(&mut self.stores_changed) {
            let names = &self.index;
            Book::forget_unknown(&mut cx, |store| names.keys().any(|name| name.as_str() == store));
        }
        self.source.advance(&mut cx);
        let usable = self.source.usable();
        let fault = self.source.fault_words();
        let mut due: BTreeSet<usize> = touched.into_iter().collect();
        while let Some(&(instant, at)) = self.timers.first() {
            if instant > now.instant {
                break;
            }
            self.timers.pop_first();
            if let Some(store) = self.stores.get_mut(at) {
                store.due = None;
            }
            due.insert(at);
        }
        if usable && !was_usable {
            due.extend(0..self.stores.len());
        }
        for at in due {
            let Some(store) = self.stores.get_mut(at) else {
                continue;
            };
            store.advance(usable, fault.as_deref(), &mut cx);
            let next = store.next_due(usable, &cx);
            if let Some(old) = store.due.take() {
                self.timers.remove(&(old, at));
            }
            store.due = next;
            self.timers.extend(next.map(|next| (next, at)));
        }
        self.started = self.started || self.stores.iter().all(Store::is_published);
    }

    fn configure(&mut self, settings: Settings, specs: Vec<StoreSpec>, source: SourceChange, now: Now) {
        let before = std::mem::replace(&mut self.settings, settings);
        if source == SourceChange::Replaced {
            self.source.replaced(now);
        }
        let (mut none, book) = (Vec::new(), &mut self.book);
        let cx = Context { now, settings: &self.settings, key: &self.key, actions: &mut none, book };
        let mut old: BTreeMap<StoreName, Store> =
            std::mem::take(&mut self.stores).into_iter().map(|store| (store.name().clone(), store)).collect();
        self.stores = specs
            .into_iter()
            .map(|spec| match old.remove(&spec.name) {
                Some(mut store) => {
                    store.configured(spec, &before, source, &cx);
                    store
                }
                None => Store::new(spec, now),
            })
            .collect();
        self.reindex();
        self.book.hasten(self.settings.repeat_interval, now);
    }

    /// Rebuilds the index and makes every store due at once.
    fn reindex(&mut self) {
        self.index = self.stores.iter().enumerate().map(|(at, store)| (store.name().clone(), at)).collect();
        self.stores_changed = true;
        self.timers.clear();
        for (at, store) in self.stores.iter_mut().enumerate() {
            store.due = Some(Instant::default());
            self.timers.insert((Instant::default(), at));
        }
    }

    fn reschedule(&mut self, at: usize, due: Instant) {
        let Some(store) = self.stores.get_mut(at) else {
            return;
        };
        if let Some(old) = store.due.replace(due) {
            self.timers.remove(&(old, at));
        }
        self.timers.insert((due, at));
    }
}

/// Which causes of a store's incidents hold, do not hold, or cannot be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It holds; the evidence and the remedy.
    Holds { evidence: Vec<String>, remedy: String },
    /// It does not hold.
    Clear,
    /// Nobody can tell: an open incident stays open, and none is opened.
    Unknown,
}

/// A condition and the cause that it stands for.
pub(crate) type Judged = (Cause, Condition);

#[cfg(test)]
mod tests;
