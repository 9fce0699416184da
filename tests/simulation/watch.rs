//! What an onlooker knows who sees every event, every action and the truth; and the invariants of actions.

use std::collections::{BTreeMap, BTreeSet};

use bc_secrets_sync::domain::engine::{Gate, Settings};
use bc_secrets_sync::domain::incident::{Cause, Incident};
use bc_secrets_sync::domain::publication::GenerationStamp;
use bc_secrets_sync::domain::source::SourceFaultKind;
use bc_secrets_sync::domain::time::Timestamp;
use bc_secrets_sync::domain::verdict::{ProbeOutcome, Validity, VerdictKind, judge};
use bc_secrets_sync::domain::version::Version;

use crate::apps::Looks;
use crate::contests::Contest;
use crate::deserved::{Common, Ties};
use crate::places::Account;
use crate::plan::{GRANTED_EACH, LONGEST_PAUSE, MINUTE, millis, probe_budget, read_budget, repeat_after};
use crate::run::Run;

/// An invariant that does not hold.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) store: Option<String>,
    pub(crate) message: String,
}

pub(crate) fn ensure(
    holds: bool,
    invariant: &'static str,
    store: Option<&str>,
    message: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    Err(Violation { invariant, store: store.map(str::to_owned), message: message() })
}

/// How often a hook is repeated before it is an incident.
pub(crate) const RETRIES: u32 = 3;

/// Work that the engine asks for, one of a kind for a store at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Inspect,
    Read,
    Probe,
    Publish,
    Reload,
}

/// What is known of one set of credentials at one store.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetFacts {
    /// When the daemon first read it.
    pub(crate) read_at: Option<u64>,
    /// The store accepted it after that.
    pub(crate) accepted: bool,
    pub(crate) accepted_at: Option<u64>,
    pub(crate) accepted_in_life: Option<u32>,
    /// 401 with no acceptance between.
    pub(crate) rejected: Run,
    /// The last answers of one kind.
    pub(crate) streak: Run,
    pub(crate) kind: Option<VerdictKind>,
    /// Since when the certificate has failed as often as the configuration asks.
    pub(crate) failing_since: Option<u64>,
    /// How long the certificate was valid when it was shown last, of how long a life, in milliseconds.
    pub(crate) certificate: Option<(u64, u64)>,
    /// Answers in a row under a certificate that soon expires.
    pub(crate) ending: u32,
    /// Places, versions and the times of their writing.
    pub(crate) versions: Vec<(String, Version, Option<Timestamp>)>,
    pub(crate) published: bool,
    pub(crate) account: Option<Account>,
}

/// What the last read of a store's secret gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LastRead {
    #[default]
    None,
    Whole(u64),
    Malformed,
    Fault(SourceFaultKind),
}

/// What is known of one store.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreFacts {
    pub(crate) sets: BTreeMap<u64, SetFacts>,
    /// What was last read and is not published, and since when it is what was read.
    pub(crate) candidate: Option<(u64, u64)>,
    /// When the published set was taken away.
    pub(crate) withdrawn_at: Option<u64>,
    /// What the daemon was last told to be on the disk.
    pub(crate) published: Option<u64>,
    pub(crate) published_since: u64,
    pub(crate) read: LastRead,
    /// The version that the last read found.
    pub(crate) version_read: Option<u64>,
    /// A refused read was the policy's doing, since the last read that worked.
    pub(crate) denied: bool,
    pub(crate) publish_failed: bool,
    /// Something was written since the look at the disk began: the daemon passes over what it saw.
    pub(crate) outdated: bool,
    /// The store must be left alone until then.
    pub(crate) wait_until: u64,
    pub(crate) in_flight: [u8; 5],
    /// When each kind of work was last asked for, or could not be expected.
    pub(crate) asked: [u64; 5],
    /// What was published when the app was told last, in this life, unless there was something else meanwhile;
    /// and when telling it was last begun.
    pub(crate) told: Option<u64>,
    pub(crate) telling: Option<u64>,
    /// How often telling it has failed since it last worked.
    pub(crate) reload_failures: u32,
    pub(crate) probes: u64,
    pub(crate) reads: u64,
    pub(crate) occasions: u64,
    pub(crate) reports: u64,
    /// When a report last started a check.
    pub(crate) report_checked: Option<u64>,
    pub(crate) looks: Looks,
    pub(crate) ties: Ties,
    pub(crate) contest: Contest,
}

impl SetFacts {
    /// The daemon knows nothing of the certificate that was shown to probes of this set.
    pub(crate) fn forget_certificate(&mut self) {
        (self.certificate, self.ending) = (None, 0);
    }

    /// An answer came under this certificate.
    fn shown(&mut self, certificate: Option<Validity>, settings: &Settings, wall: Timestamp) {
        let life = |validity: Validity| millis(validity.until.since(validity.from));
        self.certificate = certificate.map(|validity| (millis(validity.until.since(wall)), life(validity)));
        self.ending = if self.is_ending(settings) { self.ending + 1 } else { 0 };
    }

    /// Less is left than the configuration wants to be warned of, and than a quarter of its life.
    pub(crate) fn is_ending(&self, settings: &Settings) -> bool {
        let warning = settings.certificate_warning.map(millis);
        self.certificate.zip(warning).is_some_and(|((left, life), warning)| left < warning.min(life / 4))
    }

    /// Enough answers came under a certificate that soon expires.
    pub(crate) fn warns(&self, settings: &Settings) -> bool {
        self.ending >= settings.confirmations && self.is_ending(settings)
    }
}

impl StoreFacts {
    /// From now on the daemon knows of this set on the disk.
    pub(crate) fn is_published(&mut self, key: u64, time: u64) {
        if self.published != Some(key) {
            self.asked[Kind::Probe as usize] = time.max(self.asked[Kind::Probe as usize]);
            self.published_since = time;
            self.told = None;
        }
        self.published = Some(key);
        self.candidate = self.candidate.filter(|(candidate, _)| *candidate != key);
        self.withdrawn_at = None;
    }

    /// The source was read. A fault that says nothing of the secret leaves what was read before it.
    pub(crate) fn was_read(&mut self, read: LastRead, time: u64) {
        self.read = read;
        self.candidate = match (read, self.candidate) {
            (LastRead::Whole(key), _) if Some(key) == self.published => None,
            (LastRead::Whole(key), Some((known, since))) if known == key => Some((key, since)),
            (LastRead::Whole(key), _) => {
                self.sets.entry(key).or_default().forget_certificate();
                Some((key, time))
            }
            (LastRead::None | LastRead::Malformed | LastRead::Fault(SourceFaultKind::Missing), _) => None,
            (LastRead::Fault(_), known) => known,
        };
    }

    /// Whether something may still have to be written: a candidate that is not known to be dead.
    pub(crate) fn waits_to_be_written(&self, settings: &Settings) -> bool {
        let set = self.candidate.and_then(|(key, _)| self.sets.get(&key));
        set.is_some_and(|set| !set.rejected.confirms(settings))
    }
}

/// An incident that is recorded as open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) told: Vec<std::sync::Arc<bc_secrets_sync::domain::incident::Message>>,
    pub(crate) last_message: u64,
    /// How long the next one waits.
    pub(crate) pause: u64,
    /// How far the wall clock was put forward, and back, since the last message.
    pub(crate) leapt: u64,
    pub(crate) set_back: u64,
    /// Somebody wants no reminders until then.
    pub(crate) silent_until: u64,
    /// When somebody wanted them again, which stands once it is kept.
    pub(crate) heard_at: Option<u64>,
    /// Which candidates have had it told again before its turn, each with the moment since which it is one.
    pub(crate) news: BTreeSet<(u64, u64)>,
    pub(crate) opened: u64,
}

pub(crate) struct Watch {
    pub(crate) settings: Settings,
    /// When they came into force.
    pub(crate) settings_since: u64,
    pub(crate) stores: Vec<StoreFacts>,
    pub(crate) book: BTreeMap<(Option<String>, Cause), Open>,
    pub(crate) ids: BTreeSet<String>,
    /// Whether the daemon can find out that its token is dead.
    pub(crate) may_look_up: bool,
    pub(crate) life: u32,
    pub(crate) life_began: u64,
    /// Until when each account, at its host, has used up what is granted to it.
    pub(crate) accounts: BTreeMap<(String, String), u64>,
    /// When the source last failed as a whole, or was refused to us.
    pub(crate) source_faults: BTreeMap<SourceFaultKind, u64>,
    pub(crate) common: Common,
}

impl Watch {
    pub(crate) fn new(settings: Settings, stores: usize) -> Self {
        Self {
            settings,
            settings_since: 0,
            stores: vec![StoreFacts::default(); stores],
            book: BTreeMap::new(),
            ids: BTreeSet::new(),
            may_look_up: true,
            life: 0,
            life_began: 0,
            accounts: BTreeMap::new(),
            source_faults: BTreeMap::new(),
            common: Common::default(),
        }
    }

    /// A process has started, and knows nothing but the ledger.
    pub(crate) fn started(&mut self, life: u32, open: &[Incident], time: u64) -> Result<(), Violation> {
        (self.life, self.life_began) = (life, time);
        self.shorten_pauses();
        self.source_faults.clear();
        self.forget_source();
        self.accounts.clear();
        (0..self.stores.len()).for_each(|at| self.forget(at, time));
        let mut kept: Vec<&str> = open.iter().map(|incident| incident.id.as_str()).collect();
        let mut known: Vec<&str> = self.book.values().map(|open| open.id.as_str()).collect();
        kept.sort_unstable();
        known.sort_unstable();
        ensure(kept == known, "open_incidents_survive_the_process", None, || {
            format!("kept: {kept:?}; recorded as open: {known:?}")
        })
    }

    /// Other settings are in force: a reminder may come as soon as they say.
    pub(crate) fn shorten_pauses(&mut self) {
        for open in self.book.values_mut() {
            open.pause = open.pause.min(repeat_after(&self.settings, open.told.len()));
        }
    }

    /// The store is no longer configured, or another one of its name is.
    pub(crate) fn forget(&mut self, at: usize, time: u64) {
        let store = &mut self.stores[at];
        let StoreFacts { mut sets, probes, reads, occasions, reports, denied, .. } = std::mem::take(store);
        for set in sets.values_mut() {
            set.forget_certificate();
            // Nobody remembers it, as after the end of the process.
            set.accepted_in_life = None;
        }
        let asked = [time; 5];
        *store = StoreFacts {
            sets,
            probes,
            reads,
            occasions: occasions + 1,
            reports,
            denied,
            asked,
            ..StoreFacts::default()
        };
    }

    /// Requests of the last hour were no more than the configuration allows, whatever went wrong.
    pub(crate) fn budgets_hold(&mut self) -> Result<(), Violation> {
        for (at, store) in self.stores.iter_mut().enumerate() {
            let name = format!("store-{at}");
            let probes = probe_budget(&self.settings, store.occasions, store.reports);
            ensure(store.probes <= probes, "probes_are_bounded", Some(&name), || {
                format!("{} probes in an hour; {probes} are allowed", store.probes)
            })?;
            store.restorations_are_bounded(&name)?;
            let reads = read_budget(&self.settings, store.occasions, store.probes);
            ensure(store.reads <= reads, "reads_are_bounded", Some(&name), || {
                format!("{} reads in an hour; {reads} are allowed", store.reads)
            })?;
            (store.probes, store.reads, store.occasions, store.reports) = (0, 0, 0, 0);
        }
        Ok(())
    }

    /// A probe was answered.
    pub(crate) fn probed(&mut self, at: usize, key: u64, outcome: &ProbeOutcome, time: u64, wall: Timestamp) {
        let Some(store) = self.stores.get_mut(at) else { return };
        if store.published == Some(key) {
            let asked = &mut store.asked[Kind::Probe as usize];
            *asked = time.max(*asked);
        }
        let set = store.sets.entry(key).or_default();
        if let ProbeOutcome::Answered(answer) = outcome {
            set.shown(answer.certificate, &self.settings, wall);
        }
        let verdict = judge(outcome);
        let kind = verdict.kind();
        if set.kind != Some(kind) {
            (set.kind, set.streak) = (Some(kind), Run::default());
        }
        set.streak.add(time);
        let failing = kind == VerdictKind::TlsError && set.streak.count >= self.settings.confirmations;
        set.failing_since = failing.then(|| set.failing_since.unwrap_or(time));
        match kind {
            VerdictKind::Accepted => {
                set.accepted |= set.read_at.is_some();
                set.accepted_at = Some(time);
                set.accepted_in_life = Some(self.life);
                set.rejected = Run::default();
            }
            VerdictKind::Rejected => set.rejected.add(time),
            VerdictKind::RateLimited | VerdictKind::Unavailable => {
                let asked = verdict.wait().map(millis);
                let least = match (kind, asked) {
                    (VerdictKind::RateLimited, Some(asked)) => asked,
                    (_, asked) => asked.unwrap_or(0).max(MINUTE),
                };
                store.wait_until = store.wait_until.max(time + least);
                store.asked[Kind::Probe as usize] = time + least.max(LONGEST_PAUSE);
            }
            VerdictKind::Forbidden
            | VerdictKind::Moved
            | VerdictKind::Malformed
            | VerdictKind::NetworkError
            | VerdictKind::TlsError => {}
        }
    }

    /// The daemon asks for work on a store.
    pub(crate) fn asks(&mut self, at: usize, kind: Kind, name: &str, time: u64) -> Result<(), Violation> {
        let store = &mut self.stores[at];
        store.in_flight[kind as usize] += 1;
        if kind != Kind::Probe {
            store.asked[kind as usize] = time;
        }
        match kind {
            Kind::Probe => store.probes += 1,
            Kind::Read => store.reads += 1,
            Kind::Inspect => {
                store.outdated = false;
                store.looks.begin(name, time)?;
            }
            Kind::Publish => store.outdated = true,
            Kind::Reload => {}
        }
        one_of_a_kind(store, kind, name)?;
        if kind == Kind::Probe { waits_are_kept(store, name, time) } else { Ok(()) }
    }

    /// A request of an account: 6,000 an hour, whatever the configuration, and 70 at once after a quiet time.
    pub(crate) fn spends(
        &mut self,
        at: usize,
        account: &Account,
        name: &str,
        time: u64,
    ) -> Result<(), Violation> {
        let store = &mut self.stores[at];
        if store.published == Some(account.key()) {
            store.asked[Kind::Probe as usize] = time;
        }
        let key = (account.user.clone(), account.host.clone());
        let used = self.accounts.entry(key).or_default();
        *used = time.max(*used) + GRANTED_EACH;
        let ahead = *used - time;
        ensure(ahead <= 70 * GRANTED_EACH, "accounts_keep_their_budget", Some(name), || {
            format!("{} requests more than are granted by now", ahead / GRANTED_EACH)
        })
    }

    /// The daemon wants a published set taken away.
    pub(crate) fn withdraws(&self, at: usize, name: &str) -> Result<(), Violation> {
        let store = &self.stores[at];
        let set = store.published.and_then(|key| store.sets.get(&key));
        let dead = set.is_some_and(|set| set.rejected.confirms(&self.settings))
            && self.is_open(Some(name), Cause::RegeneratedOrRevoked);
        ensure(dead, "only_dead_credentials_are_withdrawn", Some(name), || format!("{set:?}"))
    }

    /// The daemon wants an app told of what is published: once, unless there was something else meanwhile.
    pub(crate) fn tells(&mut self, at: usize, name: &str) -> Result<(), Violation> {
        let store = &mut self.stores[at];
        store.telling = store.published;
        let new = store.told.is_none() || store.told != store.published;
        ensure(new, "apps_are_told_once", Some(name), || format!("of what it was told before: {store:?}"))
    }

    /// The daemon wants a set published.
    pub(crate) fn publishes(
        &self,
        at: usize,
        key: u64,
        stamp: &GenerationStamp,
        place: Option<&str>,
        name: &str,
    ) -> Result<(), Violation> {
        let none = SetFacts::default();
        let set = self.stores[at].sets.get(&key).unwrap_or(&none);
        if self.settings.gate == Gate::Verified {
            only_accepted_credentials_are_published(&self.stores[at], key, stamp, self.life, name)?;
        }
        a_set_never_mixes_versions(set, stamp, name)?;
        nothing_comes_from_a_place_that_is_not_configured(set, place, name)
    }
}

/// With the gate on, the store accepted the set in this life and since it was read, and the stamp says so; or
/// the published set is restored, and after it was taken away only when it was accepted again.
fn only_accepted_credentials_are_published(
    store: &StoreFacts,
    key: u64,
    stamp: &GenerationStamp,
    life: u32,
    name: &str,
) -> Result<(), Violation> {
    let set = store.sets.get(&key);
    let accepted_since = |since: u64| set.and_then(|set| set.accepted_at).is_some_and(|at| at >= since);
    let right = if store.published == Some(key) {
        store.withdrawn_at.is_none_or(accepted_since)
    } else {
        let (candidate, since) = store.candidate.unwrap_or_default();
        let in_life = set.is_some_and(|set| set.accepted_in_life == Some(life));
        candidate == key && accepted_since(since) && in_life && stamp.verified_at.is_some()
    };
    ensure(right, "only_accepted_credentials_are_published", Some(name), || {
        format!("{stamp:?} was not accepted: {set:?}, candidate: {:?}", store.candidate)
    })
}

/// The three values, the number and the time of writing are those of one and the same version.
fn a_set_never_mixes_versions(set: &SetFacts, stamp: &GenerationStamp, name: &str) -> Result<(), Violation> {
    let one = set
        .versions
        .iter()
        .any(|(_, version, created)| *version == stamp.version && *created == stamp.version_created_at);
    ensure(one, "a_set_never_mixes_versions", Some(name), || {
        format!("{stamp:?} is no version of this set: {:?}", set.versions)
    })
}

/// The set stands at the configured place; or it was published before and is restored.
fn nothing_comes_from_a_place_that_is_not_configured(
    set: &SetFacts,
    place: Option<&str>,
    name: &str,
) -> Result<(), Violation> {
    let there = |(path, ..): &(String, Version, Option<Timestamp>)| Some(path.as_str()) == place;
    let right = place.is_some() && (set.published || set.versions.iter().any(there));
    ensure(right, "nothing_comes_from_a_place_that_is_not_configured", Some(name), || {
        format!("{place:?} is configured, and the set is from {:?}", set.versions)
    })
}

/// At most one piece of work of a kind is under way for a store.
fn one_of_a_kind(store: &StoreFacts, kind: Kind, name: &str) -> Result<(), Violation> {
    ensure(store.in_flight[kind as usize] <= 1, "one_of_a_kind", Some(name), || {
        format!("{kind:?} is asked for while another one is under way")
    })
}

/// A store that is limited or unavailable is left alone for as long as it asks, and for a minute at least.
fn waits_are_kept(store: &StoreFacts, name: &str, time: u64) -> Result<(), Violation> {
    ensure(time >= store.wait_until, "waits_are_kept", Some(name), || {
        format!("it is asked {} ms too early", store.wait_until - time)
    })
}
