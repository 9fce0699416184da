//! What must have happened by now, judged by the truth: rejections found, stores looked at, everything well
//! or explained, everybody told.

use std::sync::Arc;
use std::time::Duration;

use bc_secrets_sync::domain::engine::{About, Gate};
use bc_secrets_sync::domain::incident::{Cause, Message, MessageKind};
use bc_secrets_sync::domain::snapshot::{Snapshot, StoreState};
use bc_secrets_sync::domain::verdict::{Verdict, VerdictKind};

use crate::places::{Content, Form, key_of};
use crate::plan::{LONGEST_PAUSE, MINUTE, look_bound, millis, probe_bound, read_bound, rejection_bound};
use crate::simulation::Simulation;
use crate::watch::{Kind, Violation, Watch, ensure};

/// Since when what must be found has been there to be found.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// Since when each store answers each probe of its published set with 401, while nothing else holds up
    /// the daemon's finding it.
    refused_from: Vec<Option<u64>>,
    /// An answer is slow, until then.
    slow_until: Vec<u64>,
    /// The source has worked since then.
    source_from: u64,
}

impl Truth {
    pub(crate) fn new(stores: usize) -> Self {
        Self { refused_from: vec![None; stores], slow_until: vec![0; stores], source_from: 0 }
    }

    /// Something happened that the daemon may need the whole time after.
    pub(crate) fn unsettle(&mut self, at: usize, time: u64) {
        if let Some(from) = &mut self.refused_from[at] {
            *from = time.max(*from);
        }
    }

    /// An answer for this store, or for the source, comes as late as this.
    pub(crate) fn slow(&mut self, at: Option<usize>, until: u64) {
        match at {
            Some(at) => self.slow_until[at] = until.max(self.slow_until[at]),
            None => self.slow_until.iter_mut().for_each(|slow| *slow = until.max(*slow)),
        }
        self.source_from = self.source_from.max(until);
        (0..self.refused_from.len()).for_each(|store| {
            if at.is_none_or(|at| at == store) {
                self.unsettle(store, until);
            }
        });
    }

    /// Another answer than 401 breaks the row, and may ask for a wait.
    pub(crate) fn probed(&mut self, at: usize, verdict: &Verdict, time: u64) {
        match verdict.kind() {
            VerdictKind::Rejected => {}
            VerdictKind::RateLimited | VerdictKind::Unavailable => {
                let wait = verdict.wait().map_or(0, millis).max(LONGEST_PAUSE);
                self.slow_until[at] = self.slow_until[at].max(time + wait);
                self.unsettle(at, time + wait);
            }
            VerdictKind::Accepted
            | VerdictKind::Forbidden
            | VerdictKind::Moved
            | VerdictKind::Malformed
            | VerdictKind::NetworkError
            | VerdictKind::TlsError => self.unsettle(at, time),
        }
    }

    /// An incident that comes too late is a fault too.
    pub(crate) fn said(
        &self,
        watch: &Watch,
        message: &Message,
        at: Option<usize>,
        time: u64,
    ) -> Result<(), Violation> {
        let incident = &message.incident;
        let late = (message.kind, incident.cause) == (MessageKind::Opened, Cause::RegeneratedOrRevoked);
        match at.filter(|_| late) {
            Some(at) => self.found_in_time(watch, at, time),
            None => Ok(()),
        }
    }

    fn found_in_time(&self, watch: &Watch, at: usize, time: u64) -> Result<(), Violation> {
        let Some(from) = self.refused_from[at] else { return Ok(()) };
        let name = format!("store-{at}");
        let bound = rejection_bound(&watch.settings);
        let open = |cause| watch.is_open(Some(&name), cause);
        // Never accepted, as far as the daemon can know, when it is published unverified.
        let found = open(Cause::RegeneratedOrRevoked)
            || (watch.settings.gate == Gate::Open && open(Cause::Misconfigured));
        let excused = watch.stores[at].publish_failed || watch.is_open(None, Cause::PlatformTrouble);
        ensure(found || excused || time <= from + bound, "rejections_are_found_in_time", Some(&name), || {
            format!("refused for {} s; {} s are allowed", (time - from) / 1000, bound / 1000)
        })
    }
}

impl Simulation {
    /// The source may have been in trouble until now.
    pub(crate) fn touch_source(&mut self) {
        self.truth.source_from = self.time.max(self.truth.source_from);
        self.source_occasions += 1;
        (0..self.plan.stores).for_each(|at| self.truth.unsettle(at, self.time));
        self.watch.stores.iter_mut().for_each(|store| store.occasions += 1);
    }

    pub(crate) fn unsettle_all(&mut self) {
        (0..self.plan.stores).for_each(|at| self.unsettle(at));
    }

    /// Whether each probe of the published set is answered with 401 now.
    fn is_refused(&self, at: usize) -> bool {
        self.engine.is_some()
            && self.places[at].is_some()
            && self.disks[at].published().is_some_and(|published| {
                let key = key_of(&published.credentials);
                let host = published.credentials.api_path().host();
                // What the daemon has not seen on the disk it cannot judge.
                self.watch.stores[at].published == Some(key)
                    && self.shops[at].refuses(key, host, self.platform, self.time)
            })
    }

    /// Whether the published set of a store that is configured works.
    fn is_accepted(&self, at: usize) -> bool {
        let shop = &self.shops[at];
        self.places[at].is_some()
            && self.disks[at].published().is_some_and(|published| {
                let host = published.credentials.api_path().host();
                host == shop.host && shop.accepts(key_of(&published.credentials))
            })
    }

    /// Something changed for this store: whether it is refused now, counted from now.
    pub(crate) fn unsettle(&mut self, at: usize) {
        let refused = self.is_refused(at);
        let from = self.truth.slow_until[at].max(self.time);
        let from = self.truth.refused_from[at].map_or(from, |old| old.max(from));
        self.truth.refused_from[at] = refused.then_some(from);
    }

    /// Every rejection that lasts is an open incident within the bound.
    pub(crate) fn rejections_are_found_in_time(&mut self) -> Result<(), Violation> {
        if self.engine.is_none() {
            return Ok(());
        }
        (0..self.plan.stores).try_for_each(|at| self.truth.found_in_time(&self.watch, at, self.time))
    }

    /// Each store's disk, secret and credentials are looked at as often as configured.
    pub(crate) fn nobody_is_forgotten(&self) -> Result<(), Violation> {
        if self.engine.is_none() {
            return Ok(());
        }
        for (at, store) in self.watch.stores.iter().enumerate().filter(|(at, _)| self.places[*at].is_some()) {
            let name = format!("store-{at}");
            let busy = |kind: Kind| store.in_flight[kind as usize] > 0;
            let since = |kind: Kind| self.time.saturating_sub(store.asked[kind as usize]);
            let look = look_bound(&self.settings);
            let inspected = busy(Kind::Inspect) || busy(Kind::Publish) || since(Kind::Inspect) <= look;
            ensure(inspected, "disks_are_looked_at", Some(&name), || {
                format!("not for {} s", since(Kind::Inspect) / 1000)
            })?;
            let asked = self.time.saturating_sub(self.truth.source_from);
            let bound = read_bound(&self.settings, self.vault.lists);
            let read =
                busy(Kind::Read) || self.vault.troubled(self.time) || since(Kind::Read).min(asked) <= bound;
            ensure(read, "secrets_are_read", Some(&name), || {
                format!("not for {} s", since(Kind::Read) / 1000)
            })?;
            // Another question of the store may be slow.
            let slow = if busy(Kind::Probe) { 10 * MINUTE } else { 0 };
            let probed =
                store.published.is_none() || since(Kind::Probe) <= probe_bound(&self.settings) + slow;
            ensure(probed, "published_sets_are_probed", Some(&name), || {
                format!("not for {} s", since(Kind::Probe) / 1000)
            })?;
            let published = store.published.and_then(|key| store.sets.get(&key));
            let warns = published.is_some_and(|set| set.warns(&self.settings));
            let warned = !warns || self.watch.is_open(Some(&name), Cause::CertificateTrouble);
            ensure(warned, "certificates_are_warned_of", Some(&name), || format!("{published:?}"))?;
        }
        Ok(())
    }

    /// Long after the last trouble, every store is verified, or an open incident says why it is not; and
    /// everybody was told.
    pub(crate) fn everything_is_well_or_explained(&mut self) -> Result<(), Violation> {
        let now = self.now();
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let snapshot = engine.snapshot(About::default(), now);
        for at in 0..self.plan.stores {
            self.store_is_well_or_explained(at, &snapshot)?;
        }
        let names = |place: &Option<String>| place.is_some();
        ensure(
            snapshot.stores.len() == self.places.iter().filter(|place| names(place)).count(),
            "the_configuration_is_in_force",
            None,
            || format!("{} stores", snapshot.stores.len()),
        )?;
        let refused = (0..self.plan.stores).filter(|at| self.is_refused(*at)).count();
        let accepted = (0..self.plan.stores).filter(|at| self.is_accepted(*at)).count();
        let many = refused >= 3 && accepted < refused;
        let source = snapshot
            .incidents
            .iter()
            .find(|incident| incident.store.is_none() && !(many && incident.cause == Cause::PlatformTrouble));
        ensure(source.is_none(), "incidents_end_with_their_trouble", None, || format!("{source:?}"))?;
        self.everybody_was_told(&snapshot)
    }

    fn store_is_well_or_explained(&self, at: usize, snapshot: &Snapshot) -> Result<(), Violation> {
        let name = self.names[at].as_str();
        let of_store =
            |incident: &&bc_secrets_sync::domain::incident::Incident| incident.store.as_deref() == Some(name);
        let open: Vec<Cause> = snapshot.incidents.iter().filter(of_store).map(|of| of.cause).collect();
        let Some(place) = &self.places[at] else {
            return ensure(open.is_empty(), "incidents_end_with_their_store", Some(name), || {
                format!("{open:?} are open, and the store is not configured")
            });
        };
        let status = snapshot.stores.iter().find(|status| status.name.as_str() == name);
        let state = status.map(|status| status.state);
        let (shop, disk) = (&self.shops[at], &self.disks[at]);
        let newest = self.vault.places.get(place).and_then(|secrets| secrets.wanted(self.pin(at)));
        let published = disk.published().map(|published| key_of(&published.credentials));
        let answers = |key: u64, host: &str| match () {
            () if host != shop.host => "moved",
            () if shop.accepts(key) => "accepts",
            () => "refuses",
        };
        let of_published = disk.published().map_or("none", |published| {
            answers(key_of(&published.credentials), published.credentials.api_path().host())
        });
        let of_newest = newest.map_or("none", |newest| answers(newest.account.key(), &newest.account.host));
        let form = newest.map(|newest| newest.form);
        let all_well = || {
            let key = newest.map(|newest| newest.account.key());
            let well = state == Some(StoreState::Verified)
                && published == key
                && matches!(disk.content, Content::Whole(_));
            ensure(well, "a_store_without_trouble_is_verified", Some(name), || {
                format!("{state:?}, {:?}", status.map(|status| &status.detail))
            })?;
            let alive = open.iter().all(|cause| *cause == Cause::SupersededLive);
            ensure(alive, "incidents_end_with_their_trouble", Some(name), || {
                format!("{open:?} are open, and all is well")
            })
        };
        let explained = |by: &[Cause]| {
            let held = by.contains(&Cause::RegeneratedOrRevoked)
                && snapshot.incidents.iter().any(|incident| incident.cause == Cause::PlatformTrouble);
            ensure(
                held || open.iter().any(|cause| by.contains(cause)),
                "every_trouble_is_explained",
                Some(name),
                || {
                    format!(
                        "{by:?} is expected and {open:?} is open; newest {of_newest}, published {of_published}: {:?}",
                        status.map(|status| &status.detail)
                    )
                },
            )
        };
        let gate = self.settings.gate;
        match of_published {
            "refuses" if gate == Gate::Verified => explained(&[Cause::RegeneratedOrRevoked])?,
            "refuses" => explained(&[Cause::RegeneratedOrRevoked, Cause::Misconfigured])?,
            "moved" => explained(&[Cause::Moved])?,
            _ => {}
        }
        match (form, of_newest) {
            (None, _) => explained(&[Cause::SecretMissing]),
            (Some(Form::NoToken | Form::NumberAsUser | Form::PathOfAnotherApi), _) => {
                explained(&[Cause::SecretMalformed])
            }
            (Some(Form::Whole), "accepts") => all_well(),
            (Some(Form::Whole), "moved") => explained(&[Cause::Moved]),
            (Some(Form::Whole), _) => match of_published {
                "accepts" => explained(&[Cause::BadWrite]),
                "none" => explained(&[Cause::Misconfigured, Cause::RegeneratedOrRevoked]),
                _ => Ok(()),
            },
        }
    }

    /// Whatever was recorded has arrived, and what is open is what somebody was told to be open.
    fn everybody_was_told(&self, snapshot: &Snapshot) -> Result<(), Violation> {
        // A try or two may have failed by now.
        let is_late = |message: &Arc<Message>| snapshot.at.since(message.at) > Duration::from_secs(60);
        let waiting = self.outbox.next();
        let late = waiting.as_ref().filter(|message| is_late(message));
        ensure(late.is_none(), "every_message_is_delivered", None, || format!("{late:?} waits"))?;
        let mut open: Vec<&str> = snapshot.incidents.iter().map(|incident| incident.id.as_str()).collect();
        open.sort_unstable();
        let told = self.receiver.open();
        ensure(open == told || waiting.is_some(), "every_incident_is_told_and_ended", None, || {
            format!("open: {open:?}; told to be open: {told:?}")
        })?;
        for (at, app) in self.apps.iter().enumerate().filter(|(at, _)| at % 2 == 0) {
            let published = self.disks[at].published().map(|published| published.stamp.fingerprint);
            let knows = published.is_none() || app.read == published || self.places[at].is_none();
            ensure(knows, "apps_know_what_is_published", Some(&format!("store-{at}")), || {
                format!("published: {published:?}; {app:?}")
            })?;
        }
        let overdue = self.watch.book.iter().find(|(_, open)| {
            let since = open.last_message.max(self.watch.life_began).max(self.watch.settings_since);
            let silent = open.silent_until + open.set_back + 10 * MINUTE > self.time;
            self.time.saturating_sub(since) > open.pause + 10 * MINUTE && !silent
        });
        ensure(
            overdue.is_none(),
            "reminders_come",
            overdue.and_then(|((store, _), _)| store.as_deref()),
            || format!("{overdue:?} is overdue"),
        )
    }
}
