//! What deserves an incident gets one, many that turn together get one between them, and what ends one is told as it
//! was.

use bc_secrets_sync::domain::engine::Gate;
use bc_secrets_sync::domain::incident::{Cause, Message, Resolution};
use bc_secrets_sync::domain::source::{SourceFault, SourceFaultKind};
use bc_secrets_sync::domain::verdict::{ProbeFault, ProbeOutcome, VerdictKind, judge};

use crate::places::Account;
use crate::plan::{DAY, MINUTE, millis, probe_bound};
use crate::simulation::Simulation;
use crate::watch::{RETRIES, SetFacts, StoreFacts, Violation, Watch, ensure};

/// Stores that turn within this time turn together; fewer than so many never do.
const TOGETHER: u64 = 15 * MINUTE;
const MANY: usize = 3;
/// The source may fail for so long before somebody must hear of it, and that takes so long at most.
const GRACE: u64 = 2 * MINUTE;
const SLACK: u64 = 2 * MINUTE;

/// What is known of a store for the sake of these invariants alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ties {
    /// What was published before the published set.
    before: Option<u64>,
    /// The same where it may still work, and since when.
    superseded: Option<(u64, u64)>,
    /// It is another account, or has another token; how often it was asked about, and how often it was accepted in a
    /// row.
    other: bool,
    asked: u32,
    alive: u32,
    /// When a read of its secret ended last, and how.
    read_at: Option<u64>,
    /// Failures in a row to tell its app of the published set.
    untold: u32,
    /// The disk held a whole set when it was looked at last.
    whole: bool,
}

/// What is known of everything for the sake of these invariants alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Common {
    /// The last that was heard of the source is that it does not work.
    down: bool,
    failing_since: Option<u64>,
    /// Log-ins in a row that were refused.
    refusals: u32,
    /// When trouble of the platform was over last.
    platform_over: u64,
}

/// The table of verdicts, once more: nothing else in this crate may rest on the daemon's own.
pub(crate) fn verdicts_are_those_of_the_table(outcome: &ProbeOutcome, store: &str) -> Result<(), Violation> {
    let expected = match outcome {
        ProbeOutcome::Answered(answer) => match answer.status {
            200 if answer.body.starts_with(b"{\"time\":") => VerdictKind::Accepted,
            401 => VerdictKind::Rejected,
            403 => VerdictKind::Forbidden,
            301 | 404 => VerdictKind::Moved,
            429 | 509 => VerdictKind::RateLimited,
            503 => VerdictKind::Unavailable,
            _ => VerdictKind::Malformed,
        },
        ProbeOutcome::Failed(ProbeFault::CertificateExpired | ProbeFault::CertificateHost) => {
            VerdictKind::TlsError
        }
        ProbeOutcome::Failed(_) => VerdictKind::NetworkError,
    };
    let verdict = judge(outcome).kind();
    ensure(verdict == expected, "verdicts_are_those_of_the_table", Some(store), || {
        format!("{outcome:?} is called {verdict:?}")
    })
}

impl StoreFacts {
    /// A set was published in the place of another one, or again.
    pub(crate) fn takes_the_place(&mut self, key: u64, verified: bool, time: u64) {
        self.ties.whole = true;
        let Some(old) = self.published.filter(|old| *old != key) else { return };
        self.ties.before = Some(old);
        self.ties.untold = 0;
        if verified {
            let account = |key: u64| self.sets.get(&key).and_then(|set| set.account.as_ref());
            let pair = |account: &Account| (account.user.clone(), account.token.clone());
            self.ties.other = account(key).map(pair) != account(old).map(pair);
            self.ties.superseded = Some((old, time));
            (self.ties.asked, self.ties.alive) = (0, 0);
        }
    }

    /// The disk was looked at.
    pub(crate) fn is_whole(&mut self, key: Option<u64>) {
        self.ties.whole = key.is_some();
        if key.is_some() && key != self.published {
            self.ties.untold = 0;
            self.ties.superseded = self.ties.superseded.filter(|(old, _)| Some(*old) != key);
        }
    }

    pub(crate) fn read_ends(&mut self, time: u64) {
        self.ties.read_at = Some(time);
    }

    pub(crate) fn app_was_told(&mut self, successful: bool) {
        self.ties.untold = if successful { 0 } else { self.ties.untold + 1 };
    }

    /// A set is asked about: the published one, the newest one, or, for a day, the one before.
    pub(crate) fn may_ask(&self, key: u64, name: &str, time: u64) -> Result<(), Violation> {
        let known = self.published == Some(key)
            || self.candidate.is_some_and(|(candidate, _)| candidate == key)
            || self.ties.superseded.is_some_and(|(old, since)| old == key && time <= since + DAY + MINUTE);
        ensure(known, "what_is_superseded_is_forgotten", Some(name), || {
            format!("it is asked about {key}: {:?}", self.ties)
        })
    }

    fn superseded_answers(&mut self, key: u64, kind: VerdictKind) {
        if self.ties.superseded.is_some_and(|(old, _)| old == key) && self.published != Some(key) {
            self.ties.asked += 1;
            self.ties.alive = if kind == VerdictKind::Accepted { self.ties.alive + 1 } else { 0 };
        }
    }
}

impl Watch {
    /// A probe was answered.
    pub(crate) fn answers(&mut self, at: usize, key: u64, kind: VerdictKind) {
        self.stores[at].superseded_answers(key, kind);
    }

    /// The source was asked for a token, or about one.
    pub(crate) fn source_answers(&mut self, fault: Option<&SourceFault>, time: u64) {
        let common = &mut self.common;
        let kind = fault.map(SourceFault::kind);
        match fault {
            // It will not renew this token; that is no trouble.
            Some(SourceFault::Malformed(_)) => return,
            Some(_) if kind == Some(SourceFaultKind::Unavailable) => {
                common.failing_since.get_or_insert(time);
            }
            Some(_) | None => common.failing_since = None,
        }
        common.down = kind.is_some_and(|kind| kind != SourceFaultKind::Forbidden);
        common.refusals = if kind == Some(SourceFaultKind::LoginRefused) { common.refusals + 1 } else { 0 };
    }

    /// A read was not answered.
    pub(crate) fn source_is_silent(&mut self) {
        self.common.down = true;
    }

    /// Another source, or another life.
    pub(crate) fn forget_source(&mut self) {
        let platform_over = self.common.platform_over;
        self.common = Common { platform_over, ..Common::default() };
    }

    /// What was seen while the platform was in trouble says nothing of single tokens.
    pub(crate) fn platform_works_again(&mut self, time: u64) {
        self.common.platform_over = time;
        if self.settings.gate == Gate::Open {
            return;
        }
        for at in 0..self.stores.len() {
            if !self.is_open(Some(&format!("store-{at}")), Cause::RegeneratedOrRevoked) {
                let store = &mut self.stores[at];
                let set = store.published.and_then(|key| store.sets.get_mut(&key));
                set.into_iter().for_each(|set| set.rejected = Default::default());
            }
        }
    }

    /// Whether another store publishes the account of the superseded set, or did.
    fn is_used_by_others(&self, at: usize) -> bool {
        let place = |set: &SetFacts| set.account.as_ref().map(|it| (it.user.clone(), it.host.clone()));
        let store = &self.stores[at];
        let Some(old) = store.ties.superseded.and_then(|(old, _)| store.sets.get(&old)).and_then(place)
        else {
            return false;
        };
        let others = self.stores.iter().enumerate().filter(|(other, _)| *other != at);
        let mut sets = others.flat_map(|(_, other)| other.sets.values());
        sets.any(|set| set.published && place(set).as_ref() == Some(&old))
    }

    fn published(&self, at: usize) -> Option<&SetFacts> {
        let store = &self.stores[at];
        store.published.and_then(|key| store.sets.get(&key))
    }

    /// What may have been accepted and died before it could be written.
    fn newest(&self, at: usize) -> Option<&SetFacts> {
        let store = &self.stores[at];
        store.candidate.and_then(|(key, _)| store.sets.get(&key))
    }

    /// Before a single token is called revoked, Vault is asked for a newer one, and others are asked whether it is
    /// the platform.
    pub(crate) fn a_single_store_is_told(&self, at: usize, time: u64) -> Result<(), Violation> {
        let name = format!("store-{at}");
        let accepted =
            self.published(at).and_then(|set| set.accepted_at).max(Some(self.stores[at].published_since));
        // One that has turned long after the others is not held back with them.
        let held = self
            .book
            .get(&(None, Cause::PlatformTrouble))
            .is_some_and(|trouble| accepted.unwrap_or(0) <= trouble.opened.max(self.life_began) + TOGETHER);
        ensure(!held, "single_stores_are_held_back", Some(&name), || "the platform is in trouble".into())?;
        let told_of = self.published(at).or_else(|| self.newest(at));
        let asked = told_of.zip(self.stores[at].ties.read_at);
        let asked = asked.is_some_and(|(set, read)| read >= set.rejected.last) || self.common.down;
        ensure(asked, "vault_is_asked_before_a_token_is_called_revoked", Some(&name), || {
            format!("{:?}", self.stores[at])
        })?;
        if self.settings.gate == Gate::Open {
            return Ok(());
        }
        let turned = |at: &usize| {
            let since =
                self.stores[*at].published_since.max(self.life_began).max(time.saturating_sub(TOGETHER));
            let told = self.is_open(Some(&format!("store-{at}")), Cause::RegeneratedOrRevoked);
            self.published(*at).is_some_and(|set| set.rejected.count > 0 && set.rejected.first >= since)
                && !told
        };
        let turned: Vec<&SetFacts> =
            (0..self.stores.len()).filter(turned).filter_map(|at| self.published(at)).collect();
        let mut hosts: Vec<_> =
            turned.iter().map(|set| set.account.as_ref().map(|account| &account.host)).collect();
        hosts.sort();
        hosts.dedup();
        let first = turned.iter().map(|set| set.rejected.first).min().unwrap_or(time);
        let sound = |at: &usize| {
            self.published(*at)
                .is_some_and(|set| set.rejected.count == 0 && set.accepted_at.is_some_and(|at| at >= first))
        };
        let sound = (0..self.stores.len()).filter(sound).count();
        let together = hosts.len() >= MANY && hosts.len() >= 2 * sound;
        ensure(!together, "many_that_turn_together_are_one_incident", Some(&name), || {
            format!("{} have turned, {sound} are sound", hosts.len())
        })
    }

    /// A rejection that ends because another set was published is told with the right words.
    pub(crate) fn ends_are_told_as_they_were(&self, at: usize, message: &Message) -> Result<(), Violation> {
        let store = &self.stores[at];
        let account =
            |key: Option<u64>| key.and_then(|key| store.sets.get(&key)).and_then(|set| set.account.as_ref());
        let place = |account: &Account| (account.user.clone(), account.host.clone());
        let (old, new) = (account(store.ties.before).map(place), account(store.published).map(place));
        let right = match message.resolution {
            Some(Resolution::RegeneratedCaughtUp) => old.is_some() && old == new,
            Some(Resolution::AccountReplaced) => old.is_some() && old != new,
            _ => true,
        };
        ensure(right, "ends_are_told_as_they_were", message.incident.store.as_deref(), || {
            format!("{old:?} and {new:?}: {:?}", message.resolution)
        })
    }
}

impl Simulation {
    /// Every hour: what has been there to be found for long enough has its incident.
    pub(crate) fn what_deserves_an_incident_has_one(&self) -> Result<(), Violation> {
        if self.engine.is_none() {
            return Ok(());
        }
        let watch = &self.watch;
        let of_source = |deserved: bool, cause| {
            ensure(!deserved || watch.is_open(None, cause), "trouble_of_the_source_is_told", None, || {
                format!("{cause:?}: {:?}", watch.common)
            })
        };
        of_source(watch.common.refusals > 2, Cause::SourceLoginRefused)?;
        let failing = watch.common.failing_since.is_some_and(|since| self.time > since + GRACE + SLACK);
        of_source(failing, Cause::SourceUnavailable)?;
        let configured = (0..self.plan.stores).filter(|at| self.places[*at].is_some());
        configured.into_iter().try_for_each(|at| self.store_has_its_incidents(at))
    }

    fn store_has_its_incidents(&self, at: usize) -> Result<(), Violation> {
        let (watch, store) = (&self.watch, &self.watch.stores[at]);
        let name = self.names[at].as_str();
        let settings = &watch.settings;
        let started = watch.life_began.max(watch.settings_since);
        let published = watch.published(at).map(|set| (set, started.max(store.published_since)));
        let candidate = store.candidate.filter(|_| settings.gate == Gate::Verified);
        let candidate = candidate.and_then(|(key, since)| Some((store.sets.get(&key)?, started.max(since))));
        let both = || published.into_iter().chain(candidate);
        let repeats = |kind| {
            both().any(|(set, since)| {
                set.kind == Some(kind)
                    && set.streak.count >= settings.confirmations
                    && set.streak.first >= since
            })
        };
        let explained =
            |kind| [VerdictKind::Forbidden, VerdictKind::Moved, VerdictKind::TlsError].contains(&kind);
        let silent = published.is_some_and(|(set, since)| {
            let since = since.max(set.accepted_at.unwrap_or(0)).max(watch.common.platform_over);
            set.rejected.count == 0
                && !set.kind.is_some_and(explained)
                && self.time > since + millis(settings.stale_after) + MINUTE
        });
        let ties = &store.ties;
        let live = ties.superseded.is_some_and(|(_, since)| self.time < since + DAY)
            && ties.alive >= settings.confirmations
            && !watch.is_used_by_others(at);
        let unwritten = store.publish_failed && store.waits_to_be_written(settings);
        let untold = ties.untold > RETRIES + 1 && ties.whole && store.told != store.published;
        for (deserved, cause) in [
            (repeats(VerdictKind::Forbidden), Cause::Forbidden),
            (repeats(VerdictKind::Moved), Cause::Moved),
            (repeats(VerdictKind::TlsError), Cause::CertificateTrouble),
            (silent, Cause::Unverified),
            (live, Cause::SupersededLive),
            (unwritten, Cause::PublishFailed),
            (untold, Cause::ReloadFailed),
            (store.is_plainly_contested(self.time), Cause::FilesUnstable),
        ] {
            ensure(!deserved || watch.is_open(Some(name), cause), "trouble_is_told", Some(name), || {
                format!("{cause:?}: {store:?}")
            })?;
        }
        self.superseded_set_is_asked_about(at)
    }

    /// Another account or another token that may still work is asked about soon.
    fn superseded_set_is_asked_about(&self, at: usize) -> Result<(), Violation> {
        let (watch, store) = (&self.watch, &self.watch.stores[at]);
        let Some((old, since)) = store.ties.superseded else { return Ok(()) };
        let back = store.published == Some(old);
        let dead = store.sets.get(&old).is_some_and(|set| set.rejected.count > 0);
        let patience = probe_bound(&watch.settings) + 70 * MINUTE;
        let right = !store.ties.other
            || watch.is_used_by_others(at)
            || back
            || dead
            || store.ties.asked > 0
            || self.time < since.max(watch.settings_since).max(store.wait_until) + patience
            || self.time > since + DAY;
        ensure(right, "what_is_superseded_is_asked_about", Some(self.names[at].as_str()), || {
            format!("{:?}", store.ties)
        })
    }
}
