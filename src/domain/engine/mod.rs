//! The engine: events in, actions out, time as an argument.
//!
//! It holds one state machine for the source and one for each store. Each event changes what is known;
//! then what is wanted is compared with what is known, and the difference is acted on. So a missed event, a
//! restart or a hand-made change heals at the next pass.

mod accounts;
mod book;
mod budget;
mod conditions;
mod context;
mod fleet;
mod interface;
mod listing;
mod outcome;
mod platform;
mod request;
mod roll;
mod silence;
mod source;
mod store;
mod tally;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::accounts::Accounts;
use self::book::Book;
use self::context::{Context, Shared};
use self::listing::Listings;
use self::platform::Platform;
use self::roll::Roll;
use self::source::Source;
use self::store::Store;
use super::credentials::StoreName;
use super::incident::{Cause, Incident, Resolution};
use super::secret::FingerprintKey;
use super::time::{Instant, Now};

pub use self::interface::{
    Acknowledge, Action, Decision, Event, FirstCheck, Gate, Hook, OnRejection, Settings, SourceChange,
    StoreSpec, TokenOrigin,
};
pub use self::outcome::Outcome;
pub use self::request::{AcknowledgeOutcome, Acknowledging, Reply, ReportOutcome, Reported, Request};
pub use self::view::About;

/// The engine. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    key: Arc<FingerprintKey>,
    source: Source,
    stores: Vec<Store>,
    index: BTreeMap<StoreName, usize>,
    listings: Listings,
    /// When each store is due next; a store stands in it once at most.
    timers: BTreeSet<(Instant, usize)>,
    roll: Roll,
    shared: Shared,
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
        let platform = Platform::restored(book.is_open(None, Cause::PlatformTrouble), now);
        let shared = Shared::new(book, platform, now);
        let stores: Vec<Store> = stores.into_iter().map(|spec| Store::new(spec, now)).collect();
        let mut engine = Self {
            settings,
            key,
            source: Source::new(now),
            stores,
            index: BTreeMap::new(),
            listings: Listings::default(),
            timers: BTreeSet::new(),
            roll: Roll::default(),
            shared,
            stores_changed: true,
            started: false,
        };
        engine.reindex(now);
        engine
    }

    /// Takes an event in and returns what is to be done now. Messages come first: they must be on the disk
    /// before anything else happens.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        let usable = self.source.usable();
        if now.instant.since(self.next_deadline()) >= self.settings.stale_after / 2 {
            self.shared.awake_since = now.instant;
        }
        let mut cx = Context {
            now,
            settings: &self.settings,
            key: &self.key,
            actions: &mut actions,
            shared: &mut self.shared,
        };
        let mut touched = None;
        // What is replied to a report depends on what the store then does.
        let mut reported = None;
        match event {
            Event::Tick => {}
            Event::LoggedIn(result) => {
                let before = self.source.logins;
                self.source.logged_in(result, &mut cx);
                if self.source.logins != before {
                    self.listings.ask_again(now.instant);
                }
            }
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
            Event::Listed { folder, detailed, result } => {
                match &result {
                    Ok(_) => self.source.listed(&mut cx),
                    Err(fault) if !detailed => self.source.not_listed(fault, &mut cx),
                    Err(fault) if fault.is_said_of_the_source() => self.source.leave_alone(fault, &mut cx),
                    // Not every server does that, nor every policy.
                    Err(_) => {}
                }
                for at in self.listings.listed(&folder, detailed, result, &mut self.stores, &mut cx) {
                    self.reschedule(at, now.instant);
                }
            }
            Event::Inspected { store, result, sign } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.inspected(result, sign, &mut cx);
                }
            }
            Event::Disturbed { store: Some(store) } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.disturbed();
                }
            }
            Event::Disturbed { store: None } => {
                for at in 0..self.stores.len() {
                    if let Some(store) = self.stores.get_mut(at) {
                        store.disturbed();
                    }
                    self.reschedule(at, now.instant);
                }
            }
            Event::Probed { store, credentials, took, outcome } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.probed(&credentials, took, &outcome, &mut cx);
                }
            }
            Event::PublishEnded { store, result } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.publish_ended(result, &mut cx);
                }
            }
            Event::Withdrawn { store, result } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.withdraw_ended(result, &mut cx);
                }
            }
            Event::Reloaded { store, generation, took, result } => {
                touched = self.index.get(&store).copied();
                if let Some(store) = touched.and_then(|at| self.stores.get_mut(at)) {
                    store.reloaded(generation, took, result, &mut cx);
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
            Event::Asked(Request::Report { store }) => match self.index.get(&store).copied() {
                Some(at) => {
                    touched = Some(at);
                    reported = Some(at);
                    if let Some(store) = self.stores.get_mut(at) {
                        store.reported(&mut cx);
                    }
                }
                None => actions.push(Action::Reply(Reply::UnknownStore)),
            },
            Event::Asked(Request::Acknowledge { store, generation }) => {
                touched = self.index.get(&store).copied();
                let store = touched.and_then(|at| self.stores.get_mut(at));
                let reply = store.map(|store| store.acknowledged(generation, &mut cx));
                actions.push(Action::Reply(reply.unwrap_or(Reply::UnknownStore)));
            }
            Event::Asked(Request::Silence { incident, span }) => {
                let reply = Book::silence(&incident, Some(span), &mut cx);
                touched = self.at(&reply);
                actions.push(Action::Reply(reply));
            }
            Event::Asked(Request::Unsilence { incident }) => {
                let reply = Book::silence(&incident, None, &mut cx);
                touched = self.at(&reply);
                actions.push(Action::Reply(reply));
            }
            Event::Restocked { stores } => self.restock(stores, now),
            Event::Configured { settings, stores, source } => {
                self.configure(settings, stores, source, now);
            }
        }
        self.advance(touched, usable, now, &mut actions);
        if let Some(store) = reported.and_then(|at| self.stores.get_mut(at)) {
            let (settings, key, shared) = (&self.settings, &*self.key, &mut self.shared);
            let mut none = Vec::new();
            let reply = store.report_reply(&Context { now, settings, key, actions: &mut none, shared });
            actions.push(Action::Reply(reply));
        }
        actions.sort_by_key(|action| match action {
            Action::Notify(_) | Action::Keep(_) => 0,
            Action::Say(_) => 1,
            Action::LogIn
            | Action::Renew
            | Action::LookUp
            | Action::Inspect { .. }
            | Action::Read { .. }
            | Action::List { .. }
            | Action::Probe { .. }
            | Action::Publish { .. }
            | Action::Withdraw { .. }
            | Action::Reload { .. }
            | Action::Restock { .. }
            | Action::Remember { .. } => 2,
            Action::Reply(_) => 3,
        });
        actions
    }

    /// The store that a reply is about.
    fn at(&self, reply: &Reply) -> Option<usize> {
        let Reply::Incident(incident) = reply else { return None };
        let store = StoreName::parse(incident.store.as_deref()?).ok()?;
        self.index.get(&store).copied()
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let store = self.timers.first().map(|(due, _)| *due);
        store
            .into_iter()
            .chain(self.source.due(&self.shared.book))
            .chain(self.listings.due().filter(|_| self.source.usable()))
            .chain(self.shared.platform.due())
            .min()
            .unwrap_or(Instant::from_millis(u64::MAX))
    }

    /// Lets the source and every store that is due act on what is known.
    fn advance(&mut self, touched: Option<usize>, was_usable: bool, now: Now, actions: &mut Vec<Action>) {
        let mut cx =
            Context { now, settings: &self.settings, key: &self.key, actions, shared: &mut self.shared };
        // Which stores are no more, only those can tell that list them.
        if self.stores_changed && self.listings.pending().is_none() {
            self.stores_changed = false;
            let names = &self.index;
            let stayed_away = self.listings.take_stayed_away();
            Book::forget_unknown(&mut cx, |store| {
                let known = names.keys().any(|name| name.as_str() == store);
                let stayed_away = stayed_away.contains(store);
                (!known).then_some(if stayed_away {
                    Resolution::StayedAway
                } else {
                    Resolution::NoLongerConfigured
                })
            });
        }
        self.source.advance(&mut cx);
        let usable = self.source.usable();
        self.listings.advance(usable, &mut cx);
        let fault = self.source.fault_words().filter(|_| !usable);
        self.shared.source_works = self.source.trouble().is_none();
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
        due.extend(self.give_up_asking(now));
        while let Some(at) = due.pop_first() {
            due.extend(self.weigh(at, now));
            let Some(store) = self.stores.get_mut(at) else { continue };
            let mut cx =
                Context { now, settings: &self.settings, key: &self.key, actions, shared: &mut self.shared };
            store.advance(usable, fault.as_deref(), &mut cx);
            let next = store.next_due(usable, &cx);
            if let Some(old) = store.due.take() {
                self.timers.remove(&(old, at));
            }
            store.due = next;
            self.timers.extend(next.map(|next| (next, at)));
            self.roll.note(at, store, &self.shared.book, now.instant, self.settings.stale_after);
        }
        self.settle_inherited(now);
        self.tell_of_platform(now, actions);
        self.started = self.started || self.is_ready(now.instant);
    }

    fn configure(&mut self, settings: Settings, specs: Vec<StoreSpec>, source: SourceChange, now: Now) {
        let before = std::mem::replace(&mut self.settings, settings);
        if source == SourceChange::Replaced {
            self.source.replaced(now);
            self.listings.forget();
        }
        if self.settings.discoveries.is_empty() {
            self.source.names_unwanted();
        }
        self.take_over(specs, now, |store, spec, cx| store.configured(spec, &before, source, cx));
        self.shared.book.hasten(self.settings.repeat_interval, now);
    }

    /// Other stores were discovered, or some are no more; what is known of the rest stays known.
    fn restock(&mut self, specs: Vec<StoreSpec>, now: Now) {
        self.take_over(specs, now, |store, spec, cx| {
            if store.spec.location == spec.location {
                store.discovered(spec.discovered, now);
            } else {
                store.configured(spec, cx.settings, SourceChange::Kept, cx);
            }
        });
    }

    /// From now on there are these stores. One that was there before goes on, and is told of what is new.
    fn take_over(
        &mut self,
        specs: Vec<StoreSpec>,
        now: Now,
        tell: impl Fn(&mut Store, StoreSpec, &Context<'_>),
    ) {
        let (mut none, shared) = (Vec::new(), &mut self.shared);
        let cx = Context { now, settings: &self.settings, key: &self.key, actions: &mut none, shared };
        let mut old: BTreeMap<StoreName, Store> =
            std::mem::take(&mut self.stores).into_iter().map(|store| (store.name().clone(), store)).collect();
        let store = |spec: StoreSpec| match old.remove(&spec.name) {
            Some(mut store) => {
                tell(&mut store, spec, &cx);
                store
            }
            None => Store::new(spec, now),
        };
        self.stores = specs.into_iter().map(store).collect();
        self.reindex(now);
        self.shared.platform.keep(|store| self.index.contains_key(store));
    }

    /// Rebuilds the index and makes every store due at once.
    fn reindex(&mut self, now: Now) {
        self.index = self.stores.iter().enumerate().map(|(at, store)| (store.name().clone(), at)).collect();
        self.stores_changed = true;
        self.shared.stores = self.stores.len();
        self.shared.accounts = Accounts::of(self.stores.iter().filter_map(Store::published_account));
        let (mut none, shared) = (Vec::new(), &mut self.shared);
        let cx = Context { now, settings: &self.settings, key: &self.key, actions: &mut none, shared };
        self.listings.regroup(&mut self.stores, &cx);
        self.timers.clear();
        self.roll = Roll::call(&self.stores, &self.shared.book, now.instant, self.settings.stale_after);
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
