//! What the daemon asks for: when it takes effect, what it does to the world, and what comes back.

use std::time::Duration;

use bc_secrets_sync::domain::engine::{Action, Event};
use bc_secrets_sync::domain::publication::{
    Note, OnDisk, PublishFault, Published, ReloadFault, Reloaded, Told,
};
use bc_secrets_sync::domain::source::{Folder, Listing, SourceFault, SourceFaultKind};
use bc_secrets_sync::domain::verdict::judge;

use crate::places::{Account, Content, EPOCH, Form, key_of};
use crate::plan::{HOUR, LATENCY, MINUTE, SECOND};
use crate::simulation::{Occurrence, Simulation, index};
use crate::watch::{Kind, LastRead, SetFacts, StoreFacts, Violation};

impl Simulation {
    /// Begins a piece of work; it takes effect now or when its answer comes.
    pub(crate) fn begin(&mut self, action: Action) -> Result<(), Violation> {
        let (at, source) = self.judges(&action)?;
        let slow = !self.calm && self.random.once_in(400)
            || (source && self.time < self.vault.slow_until && self.random.once_in(3));
        // Vault's client gives up after a minute; work on stores also waits for its turn.
        let longest = if source && at.is_none() { MINUTE } else { 10 * MINUTE };
        let wait =
            if slow { self.random.wait(2 * LATENCY, longest) } else { self.random.between(5, LATENCY) };
        if slow {
            self.note(at, || format!("slow, by {} s: {}", wait / SECOND, words(&action)));
            self.truth.slow(at, self.time + wait);
        }
        let (life, epoch) = (self.life, source.then_some(self.epoch));
        let occurrence = if self.random.once_in(2) {
            Occurrence::Act { life, epoch, action: Box::new(action) }
        } else {
            Occurrence::Answer { life, epoch, event: Box::new(self.perform(action)) }
        };
        self.after(wait, occurrence);
        Ok(())
    }

    /// What the onlooker says of an action: the store that it is for, and whether it is for the source.
    fn judges(&mut self, action: &Action) -> Result<(Option<usize>, bool), Violation> {
        let time = self.time;
        let mut asks = |store: &str, kind| {
            let at = index(store);
            self.watch.asks(at, kind, store, time).map(|()| Some(at))
        };
        Ok(match action {
            Action::LogIn => {
                self.log_ins += 1;
                (None, true)
            }
            Action::Renew | Action::LookUp | Action::List { .. } => (None, true),
            Action::Read { store, .. } => (asks(store.as_str(), Kind::Read)?, true),
            Action::Inspect { store } => (asks(store.as_str(), Kind::Inspect)?, false),
            Action::Probe { store, credentials } => {
                let at = asks(store.as_str(), Kind::Probe)?;
                let account = Account::of(credentials);
                let facts = &self.watch.stores[index(store.as_str())];
                facts.may_ask(account.key(), store.as_str(), time)?;
                self.watch.spends(index(store.as_str()), &account, store.as_str(), time)?;
                (at, false)
            }
            Action::Reload { store, .. } => {
                let at = asks(store.as_str(), Kind::Reload)?;
                self.watch.tells(index(store.as_str()), store.as_str())?;
                (at, false)
            }
            Action::Remember { store, .. } => (Some(index(store.as_str())), false),
            Action::Withdraw { store } => {
                let at = asks(store.as_str(), Kind::Publish)?;
                self.watch.withdraws(index(store.as_str()), store.as_str())?;
                (at, false)
            }
            Action::Publish { store, credentials, stamp } => {
                let at = asks(store.as_str(), Kind::Publish)?;
                let place = self.places[index(store.as_str())].as_deref();
                let key = key_of(credentials);
                self.watch.publishes(index(store.as_str()), key, stamp, place, store.as_str())?;
                (at, false)
            }
            // Nothing is discovered in these worlds.
            Action::Restock { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => (None, false),
        })
    }

    /// Does it, and says what came of it.
    pub(crate) fn perform(&mut self, action: Action) -> Event {
        let time = self.time;
        match action {
            Action::LogIn => Event::LoggedIn(self.vault.log_in(time)),
            Action::Renew => Event::Renewed(self.vault.renew(time)),
            Action::LookUp => Event::LookedUp(self.vault.look_up(time)),
            Action::Read { store, location } => {
                let result = self.vault.read(&location.path, location.pinned, time);
                if matches!(result, Err(SourceFault::Forbidden)) && self.vault.denies(&location.path, time) {
                    self.watch.stores[index(store.as_str())].denied = true;
                }
                Event::Read { store, location, result }
            }
            Action::List { folder, kv_version: _, detailed } => {
                let result = self.vault.list(&folder, time);
                Event::Listed { folder, detailed, result }
            }
            Action::Inspect { store } => {
                let disk = &self.disks[index(store.as_str())];
                let result = match &disk.content {
                    _ if time < disk.unreadable_until => Err(fault("cannot read")),
                    Content::Nothing => Ok(OnDisk::Nothing),
                    Content::Damaged => Ok(OnDisk::Damaged("api_token was edited".into())),
                    Content::Whole(published) => Ok(OnDisk::Published(published.clone())),
                };
                let sign = self.apps[index(store.as_str())].sign.clone();
                Event::Inspected { store, result, sign }
            }
            Action::Probe { store, credentials } => {
                let shop = &self.shops[index(store.as_str())];
                let outcome = shop.answer(&credentials, self.platform, time, &mut self.random);
                Event::Probed { store, credentials, took: Duration::ZERO, outcome }
            }
            Action::Publish { store, credentials, stamp } => {
                let at = index(store.as_str());
                if time < self.disks[at].unwritable_until || (!self.calm && self.random.once_in(100)) {
                    return Event::PublishEnded { store, result: Err(fault("cannot write")) };
                }
                self.counts.publications += 1;
                // What is read back is another copy of the same values.
                let account = Account::of(&credentials);
                let published = Published { credentials: account.credentials(), stamp };
                self.disks[at].content = Content::Whole(published.clone());
                self.disks[at].past.push(published.clone());
                let key = account.key();
                self.watch.stores[at].sets.entry(key).or_default().published = true;
                self.unsettle(at);
                self.will_be_damaged(at);
                if !self.calm && self.random.once_in(200) {
                    return Event::PublishEnded { store, result: Err(fault("cannot sync")) };
                }
                Event::PublishEnded { store, result: Ok(published) }
            }
            Action::Withdraw { store } => {
                let at = index(store.as_str());
                if time < self.disks[at].unwritable_until {
                    return Event::Withdrawn { store, result: Err(fault("cannot remove")) };
                }
                self.disks[at].content = Content::Nothing;
                self.unsettle(at);
                Event::Withdrawn { store, result: Ok(()) }
            }
            Action::Reload { store, generation } => {
                let told_at = self.now().wall;
                let at = index(store.as_str());
                let read = match &self.disks[at].content {
                    Content::Whole(published) => Some(published.stamp.fingerprint),
                    Content::Nothing | Content::Damaged => None,
                };
                let app = &mut self.apps[at];
                app.note = None;
                // It may fail before the app has read anything, or after; now and then for an hour. An app that finds
                // no whole set says so.
                let down = (time / HOUR + at as u64).is_multiple_of(50);
                let failed = read.is_none() || (!self.calm && (down || self.random.once_in(5)));
                if !failed || self.random.once_in(2) {
                    app.read = read;
                }
                if failed {
                    let result = Err(ReloadFault::new("no such process"));
                    return Event::Reloaded { store, generation, took: Duration::ZERO, result };
                }
                if self.calm || !self.random.once_in(20) {
                    app.note = Some(Told { generation, told_at });
                }
                self.will_acknowledge(at);
                Event::Reloaded {
                    store,
                    generation,
                    took: Duration::ZERO,
                    result: Ok(Reloaded::new("a test")),
                }
            }
            Action::Remember { store, note: Note::Told(told) } => {
                self.apps[index(store.as_str())].note = Some(told);
                Event::Tick
            }
            Action::Remember { store, note: Note::Acknowledged(acknowledged) } => {
                self.apps[index(store.as_str())].acknowledged = Some(acknowledged);
                Event::Tick
            }
            Action::Restock { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => Event::Tick,
        }
    }

    /// The onlooker sees what the engine is about to be told.
    pub(crate) fn sees(&mut self, event: &Event) {
        let time = self.time;
        let done = |facts: &mut StoreFacts, kind: Kind| {
            let under_way = &mut facts.in_flight[kind as usize];
            *under_way = under_way.saturating_sub(1);
            if kind != Kind::Probe {
                let asked = &mut facts.asked[kind as usize];
                *asked = time.max(*asked);
            }
        };
        match event {
            Event::LoggedIn(result) | Event::Renewed(result) | Event::LookedUp(result) => {
                let what = match event {
                    Event::LoggedIn(_) => "log-in",
                    Event::Renewed(_) => "renewal",
                    Event::LookedUp(_)
                    | Event::Tick
                    | Event::Read { .. }
                    | Event::Listed { .. }
                    | Event::Inspected { .. }
                    | Event::Disturbed { .. }
                    | Event::Probed { .. }
                    | Event::PublishEnded { .. }
                    | Event::Withdrawn { .. }
                    | Event::Reloaded { .. }
                    | Event::CheckNow
                    | Event::Restocked { .. }
                    | Event::Asked(_)
                    | Event::Configured { .. } => "question about the token",
                };
                self.watch.source_answers(result.as_ref().err(), time);
                let came = if result.is_ok() { "done" } else { "failed" };
                self.note(None, || format!("the source: {what}: {came}"));
                if let Err(fault) = result {
                    self.note(None, || format!("the source: {fault}"));
                    self.watch.source_faults.insert(fault.kind(), time);
                    self.refused_this_hour |= fault.kind() != SourceFaultKind::Missing;
                }
            }
            Event::Read { store, location, result } => {
                let at = index(store.as_str());
                self.note(Some(at), || match result {
                    Ok(secret) => format!("read {}: {}", location.path, secret.version),
                    Err(fault) => format!("read {}: {fault}", location.path),
                });
                done(&mut self.watch.stores[at], Kind::Read);
                let place = (self.places[at].as_deref(), self.pin(at));
                if place != (Some(location.path.as_str()), location.pinned) {
                    return;
                }
                if let Err(fault) = result
                    && fault.kind() == SourceFaultKind::Unavailable
                {
                    self.watch.source_faults.insert(fault.kind(), time);
                    self.watch.source_is_silent();
                }
                self.watch.stores[at].read_ends(time);
                let version = result.as_ref().ok().and_then(|secret| {
                    let place = self.vault.places.get(&location.path)?;
                    let read = secret.fields.as_ref().ok()?;
                    let version = match secret.version.number() {
                        Some(number) => place.versions.get(usize::try_from(number).ok()? - 1)?,
                        None => place.versions.iter().rev().find(|version| version.reads_as(read))?,
                    };
                    Some((secret, version.clone()))
                });
                let facts = &mut self.watch.stores[at];
                facts.version_read = result.as_ref().ok().and_then(|secret| secret.version.number());
                let read = match (result, version) {
                    (Err(fault), _) => LastRead::Fault(fault.kind()),
                    (Ok(_), Some((secret, version))) if version.form == Form::Whole => {
                        let key = version.account.key();
                        let set: &mut SetFacts = facts.sets.entry(key).or_default();
                        set.read_at.get_or_insert(time);
                        set.account = Some(version.account);
                        let known = (location.path.clone(), secret.version, secret.created_at);
                        if !set.versions.contains(&known) {
                            set.versions.push(known);
                        }
                        LastRead::Whole(key)
                    }
                    (Ok(_), _) => LastRead::Malformed,
                };
                facts.was_read(read, time);
                if result.is_ok() {
                    facts.denied = false;
                }
            }
            Event::Listed { folder, detailed: _, result } => {
                self.note(None, || match result {
                    Ok(listing) => format!("listed {folder}: {:?}", listing.secrets),
                    Err(fault) => format!("listed {folder}: {fault}"),
                });
                match result {
                    Ok(listing) => self.same_versions_need_no_read(folder, listing),
                    Err(fault) if fault.kind() == SourceFaultKind::Unavailable => {
                        self.watch.source_faults.insert(fault.kind(), time);
                        self.watch.source_is_silent();
                    }
                    Err(_) => {}
                }
            }
            Event::Inspected { store, result, sign: _ } => {
                let at = index(store.as_str());
                let facts = &mut self.watch.stores[at];
                done(facts, Kind::Inspect);
                let on_disk = match result {
                    Ok(OnDisk::Published(set)) if !facts.outdated => Some(set),
                    _ => None,
                };
                let on_disk = on_disk.filter(|set| !facts.contest_found(set.stamp.generation));
                if !facts.outdated {
                    facts.is_whole(on_disk.map(|set| key_of(&set.credentials)));
                    let missed = facts.published.is_some() && facts.withdrawn_at.is_none();
                    if on_disk.is_none() && (missed || !matches!(result, Ok(OnDisk::Nothing))) {
                        facts.contest_damaged(&self.watch.settings, time);
                    }
                }
                if let Some(published) = on_disk {
                    let (known, key) = (facts.published, key_of(&published.credentials));
                    let newest = facts.candidate.map(|(newest, _)| newest);
                    if known != Some(key) && newest != Some(key) {
                        facts.sets.entry(key).or_default().forget_certificate();
                    }
                    facts.is_published(key, time);
                    facts.publish_failed = false;
                    if facts.published != known {
                        self.unsettle(at);
                    }
                }
                if !matches!(result, Ok(OnDisk::Published(_))) {
                    self.note(Some(at), || format!("looked at the disk: {result:?}"));
                }
            }
            Event::Probed { store, credentials, outcome, took: _ } => {
                let at = index(store.as_str());
                let verdict = judge(outcome);
                let key = key_of(credentials);
                self.watch.answers(at, key, verdict.kind());
                self.note(Some(at), || format!("probed {}: {verdict}", credentials.username().expose()));
                done(&mut self.watch.stores[at], Kind::Probe);
                let wall = self.now().wall;
                self.watch.probed(at, key, outcome, time, wall);
                self.truth.probed(at, &verdict, time);
            }
            Event::PublishEnded { store, result } => {
                let at = index(store.as_str());
                self.note(Some(at), || match result {
                    Ok(published) => format!("published: {:?}", published.stamp),
                    Err(fault) => fault.to_string(),
                });
                let facts = &mut self.watch.stores[at];
                done(facts, Kind::Publish);
                facts.publish_failed = result.is_err();
                facts.looks.excused |= result.is_err();
                if let Ok(published) = result {
                    let key = key_of(&published.credentials);
                    facts.contest_published(published.stamp.generation, key, time);
                    facts.takes_the_place(key, published.stamp.verified_at.is_some(), time);
                    facts.is_published(key, time);
                    self.unsettle(at);
                } else {
                    self.truth.unsettle(at, time);
                }
            }
            Event::Withdrawn { store, result } => {
                let at = index(store.as_str());
                self.note(Some(at), || format!("withdrawn: {result:?}"));
                let facts = &mut self.watch.stores[at];
                done(facts, Kind::Publish);
                facts.publish_failed = result.is_err();
                facts.looks.excused = true;
                if result.is_ok() {
                    facts.is_whole(None);
                }
                facts.withdrawn_at = result.is_ok().then_some(time).or(facts.withdrawn_at);
            }
            Event::Reloaded { store, generation, took: _, result } => {
                let at = index(store.as_str());
                self.note(Some(at), || format!("told the app of {generation:?}: {}", result.is_ok()));
                let facts = &mut self.watch.stores[at];
                done(facts, Kind::Reload);
                facts.app_was_told(result.is_ok());
                facts.reload_failures = if result.is_ok() { 0 } else { facts.reload_failures + 1 };
                let was_asked = facts.telling == facts.published;
                facts.told = facts.published.filter(|_| result.is_ok() && was_asked).or(facts.told);
            }
            Event::Configured { .. } => {
                self.note(None, || "a new configuration".into());
                // A store that was taken out and put in again knows what is noted, which may be older.
                self.watch.stores.iter_mut().for_each(|store| (store.told, store.telling) = (None, None));
                self.watch.stores.iter_mut().for_each(|store| store.looks.excused = true);
            }
            Event::Restocked { .. } => {}
            Event::Disturbed { .. } => self.note(None, || format!("{event:?}")),
            Event::CheckNow => {
                self.watch.stores.iter_mut().for_each(|store| store.looks.excused = true);
                self.note(None, || "somebody wants every store checked".into());
            }
            Event::Asked(request) => self.note(None, || format!("somebody asks: {request:?}")),
            Event::Tick => {}
        }
    }
}

impl Simulation {
    /// A listing that says what the last read has found is as good as another one.
    fn same_versions_need_no_read(&mut self, folder: &Folder, listing: &Listing) {
        for (facts, place) in self.watch.stores.iter_mut().zip(&self.places) {
            let listed = place
                .as_deref()
                .and_then(|path| path.rsplit_once('/'))
                .filter(|(above, _)| *above == folder.path)
                .and_then(|(_, name)| *listing.secrets.get(name)?);
            if listed.is_some_and(|listed| listed.present && Some(listed.version) == facts.version_read) {
                let asked = &mut facts.asked[Kind::Read as usize];
                *asked = self.time.max(*asked);
            }
        }
    }
}

fn words(action: &Action) -> &'static str {
    match action {
        Action::LogIn => "log in",
        Action::Renew => "renew",
        Action::LookUp => "look up",
        Action::Inspect { .. } => "look at the disk",
        Action::Read { .. } => "read",
        Action::List { .. } => "list",
        Action::Restock { .. } => "restock",
        Action::Probe { .. } => "probe",
        Action::Publish { .. } => "publish",
        Action::Withdraw { .. } => "withdraw",
        Action::Reload { .. } => "reload",
        Action::Remember { .. } => "remember",
        Action::Notify(_) | Action::Keep(_) | Action::Say(_) | Action::Reply(_) => "say",
    }
}

fn fault(operation: &'static str) -> PublishFault {
    PublishFault { operation, path: "/x".into(), reason: "No space left on device".into() }
}

/// The time of the world on its true wall clock.
pub(crate) const fn wall(time: u64) -> u64 {
    EPOCH + time
}
