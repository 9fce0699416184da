//! The invariants of messages: what may be said, on which evidence, how often and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;

use bc_secrets_sync::domain::engine::Gate;
use bc_secrets_sync::domain::incident::{Cause, Message, MessageKind, Resolution};
use bc_secrets_sync::domain::source::SourceFaultKind;
use bc_secrets_sync::domain::verdict::VerdictKind;

use crate::apps::WITHIN;
use crate::outbox::messages_come_in_order;
use crate::plan::{MINUTE, millis, repeat_after};
use crate::run::Run;
use crate::simulation::index;
use crate::watch::{LastRead, Open, RETRIES, SetFacts, StoreFacts, Violation, Watch, ensure};

impl Watch {
    /// The daemon wants to say something. `at`: the store that it is about.
    pub(crate) fn says(&self, message: &Message, at: Option<usize>, time: u64) -> Result<(), Violation> {
        let incident = &message.incident;
        let store = incident.store.as_deref();
        let open = self.book.get(&(incident.store.clone(), incident.cause));
        match message.kind {
            MessageKind::Opened => {
                no_two_open_incidents_of_one_cause(open, message)?;
                let fresh = !self.ids.contains(incident.id.as_str());
                ensure(fresh, "incidents_are_never_reused", store, || incident.id.to_string())?;
                if let Some(at) = at.filter(|_| incident.cause == Cause::RegeneratedOrRevoked) {
                    self.a_single_store_is_told(at, time)?;
                }
                nothing_is_said_without_evidence(self, message, at, time)
            }
            MessageKind::Reminder => {
                it_goes_on_with_an_open_incident(open, message)?;
                let warned = message.incident.cause == Cause::CertificateTrouble
                    && at.and_then(|at| self.failing_since(at)) >= open.map(|open| open.last_message);
                let news = at.and_then(|at| self.dead_candidate(at, incident.cause));
                let worse =
                    warned || news.is_some_and(|key| open.is_some_and(|open| !open.news.contains(&key)));
                open.map_or(Ok(()), |open| reminders_are_not_too_frequent(open, message, worse, time))
            }
            MessageKind::Resolved => {
                it_goes_on_with_an_open_incident(open, message)?;
                match (open, at) {
                    (Some(open), Some(at)) => {
                        self.ends_are_told_as_they_were(at, message)?;
                        nothing_ends_without_evidence(self, at, open, message, time)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// The message is kept, so it stands.
    pub(crate) fn kept(&mut self, message: Message, time: u64) {
        let incident = &message.incident;
        let key = (incident.store.clone(), incident.cause);
        if message.kind == MessageKind::Resolved {
            self.book.remove(&key);
            if incident.cause == Cause::PlatformTrouble {
                self.platform_works_again(time);
            }
            return;
        }
        let id = incident.id.as_str().to_owned();
        self.ids.insert(id.clone());
        let new = Open {
            id,
            told: Vec::new(),
            last_message: 0,
            pause: 0,
            leapt: 0,
            set_back: 0,
            silent_until: 0,
            heard_at: None,
            news: BTreeSet::new(),
            opened: time,
        };
        let at = incident.store.as_deref().map(index);
        let news = at.and_then(|at| self.dead_candidate(at, incident.cause));
        let open = self.book.entry(key).or_insert(new);
        let early = time < open.last_message + open.pause.saturating_sub(open.leapt);
        open.told.push(Arc::new(message));
        open.news.extend(news.filter(|_| early));
        (open.last_message, open.silent_until) = (time, 0);
        (open.leapt, open.set_back) = (0, 0);
        open.pause = repeat_after(&self.settings, open.told.len());
    }

    /// Since when the certificate has failed for the published set, as that: another set is news of its own.
    fn failing_since(&self, at: usize) -> Option<u64> {
        let store = &self.stores[at];
        let set = store.published.and_then(|key| store.sets.get(&key));
        set.and_then(|set| set.failing_since).map(|since| since.max(store.published_since))
    }

    /// What was written in answer to an alert and is rejected as well, which is told once. The same set may be written
    /// again, or come back after it was deleted: that is another answer.
    fn dead_candidate(&self, at: usize, cause: Cause) -> Option<(u64, u64)> {
        let store = &self.stores[at];
        let (key, since) =
            store.candidate.filter(|_| matches!(cause, Cause::RegeneratedOrRevoked | Cause::BadWrite))?;
        let set = store.sets.get(&key)?;
        (set.rejected.confirms(&self.settings) && set.rejected.last >= since).then_some((key, since))
    }

    pub(crate) fn is_open(&self, store: Option<&str>, cause: Cause) -> bool {
        self.book.contains_key(&(store.map(str::to_owned), cause))
    }
}

fn no_two_open_incidents_of_one_cause(open: Option<&Open>, message: &Message) -> Result<(), Violation> {
    let store = message.incident.store.as_deref();
    ensure(open.is_none(), "no_two_open_incidents_of_one_cause", store, || {
        format!("{} opens while {open:?} is open", message.id)
    })?;
    messages_come_in_order(&[], message)
}

fn it_goes_on_with_an_open_incident(open: Option<&Open>, message: &Message) -> Result<(), Violation> {
    let store = message.incident.store.as_deref();
    let same = open.filter(|open| open.id == message.incident.id.as_str());
    ensure(same.is_some(), "it_goes_on_with_an_open_incident", store, || {
        format!("{} ({}), but {open:?} is open", message.id, message.kind.label())
    })?;
    same.map_or(Ok(()), |open| messages_come_in_order(&open.told, message))
}

/// The repeat interval, grown with each message, lies between two messages: a wall clock that was put forward across a
/// restart may shorten it by as much. A warning of a certificate that comes true is told at once. No reminder
/// comes before the end of a silence.
fn reminders_are_not_too_frequent(
    open: &Open,
    message: &Message,
    worse: bool,
    time: u64,
) -> Result<(), Violation> {
    let store = message.incident.store.as_deref();
    let least = if worse { 0 } else { open.pause.saturating_sub(open.leapt) };
    let since = time - open.last_message;
    ensure(since >= least, "reminders_are_not_too_frequent", store, || {
        format!("{} comes {since} ms after the message before it", message.id)
    })?;
    let heard = open.heard_at == Some(time) || time + open.leapt >= open.silent_until;
    ensure(heard, "silences_are_kept", store, || {
        format!("{} comes {} ms before the end of a silence", message.id, open.silent_until - time)
    })
}

/// What opens an incident was really seen, as often and for as long as the configuration asks.
fn nothing_is_said_without_evidence(
    watch: &Watch,
    message: &Message,
    at: Option<usize>,
    time: u64,
) -> Result<(), Violation> {
    let cause = message.incident.cause;
    let name = message.incident.store.as_deref();
    let Some(store) = at.and_then(|at| watch.stores.get(at)) else {
        return nothing_is_said_of_the_source_without_evidence(watch, message, time);
    };
    let none = SetFacts::default();
    let set = |key: Option<u64>| key.and_then(|key| store.sets.get(&key)).unwrap_or(&none);
    let published = set(store.published);
    let newest = match store.read {
        LastRead::Whole(key) => set(Some(key)),
        LastRead::None | LastRead::Malformed | LastRead::Fault(_) => &none,
    };
    let any_candidate = || store.sets.values().filter(|set| set.read_at.is_some());
    let confirmed = |run: Run| run.confirms(&watch.settings);
    let same = |kind| {
        move |set: &SetFacts| set.kind == Some(kind) && set.streak.count >= watch.settings.confirmations
    };
    let stale = |since: u64| time.saturating_sub(since) >= millis(watch.settings.stale_after);
    let (right, invariant) = match cause {
        Cause::RegeneratedOrRevoked => {
            let died = |set: &SetFacts| confirmed(set.rejected) && set.accepted_in_life == Some(watch.life);
            let unwritten = store.published.is_none() && any_candidate().any(died);
            (
                confirmed(published.rejected) || unwritten,
                "nothing_is_called_revoked_without_confirmed_rejections",
            )
        }
        Cause::BadWrite => (
            any_candidate().any(|set| {
                confirmed(set.rejected) && published.accepted_at.is_some_and(|at| at >= set.rejected.first)
            }),
            "nothing_is_called_a_bad_write_unless_the_published_set_works",
        ),
        Cause::Misconfigured => (
            std::iter::once(published).chain(any_candidate()).any(|set| {
                let never = set.accepted_in_life != Some(watch.life) || watch.settings.gate == Gate::Open;
                confirmed(set.rejected) && never
            }),
            "nothing_is_called_misconfigured_that_was_accepted",
        ),
        Cause::Forbidden => (
            std::iter::once(published).chain(any_candidate()).any(same(VerdictKind::Forbidden)),
            "nothing_is_called_forbidden_without_repeated_answers",
        ),
        Cause::Moved => (
            std::iter::once(published).chain(any_candidate()).any(same(VerdictKind::Moved)),
            "nothing_is_called_moved_without_repeated_answers",
        ),
        Cause::CertificateTrouble => (
            std::iter::once(published)
                .chain(any_candidate())
                .any(|set| same(VerdictKind::TlsError)(set) || set.warns(&watch.settings)),
            "no_certificate_is_blamed_without_repeated_failures_or_warnings",
        ),
        Cause::SupersededLive => (
            store.sets.iter().any(|(key, set)| {
                Some(*key) != store.published && set.published && same(VerdictKind::Accepted)(set)
            }),
            "nothing_is_called_live_that_was_not_accepted",
        ),
        Cause::SecretMissing => {
            (secret_is_missing(store) || !watch.may_look_up, "nothing_is_called_missing_that_can_be_read")
        }
        Cause::SecretMalformed => {
            (store.read == LastRead::Malformed, "nothing_is_called_malformed_that_is_whole")
        }
        Cause::PublishFailed => (store.publish_failed, "nothing_is_called_unpublished_that_was_written"),
        Cause::FilesUnstable => (store.is_contested(), "nobody_is_said_to_contest_files_for_a_few_times"),
        Cause::ReloadFailed => (store.reload_failures > RETRIES, "no_hook_is_blamed_before_its_retries"),
        Cause::Unacknowledged => (
            store.published.is_some() && time.saturating_sub(store.published_since) >= millis(WITHIN),
            "nobody_is_blamed_for_silence_too_early",
        ),
        Cause::Unverified => (
            stale(published.accepted_at.unwrap_or(0).max(watch.life_began).max(store.published_since))
                || any_candidate()
                    .any(|set| stale(set.read_at.unwrap_or(time).max(set.accepted_at.unwrap_or(0)))),
            "nothing_is_called_unverified_too_early",
        ),
        Cause::PlatformTrouble
        | Cause::SourceLoginRefused
        | Cause::SourceTokenExpiring
        | Cause::SourceUnavailable
        | Cause::DiscoveryFailed
        | Cause::Test => (false, "a_store_has_no_trouble_of_the_source"),
    };
    ensure(right, invariant, name, || {
        format!("{}: published {published:?}; newest {newest:?}; last read {:?}", message.id, store.read)
    })
}

fn secret_is_missing(store: &StoreFacts) -> bool {
    match store.read {
        LastRead::Fault(SourceFaultKind::Missing | SourceFaultKind::Unavailable) => true,
        LastRead::Fault(SourceFaultKind::Forbidden) => store.denied,
        LastRead::Fault(SourceFaultKind::LoginRefused)
        | LastRead::None
        | LastRead::Whole(_)
        | LastRead::Malformed => false,
    }
}

fn nothing_is_said_of_the_source_without_evidence(
    watch: &Watch,
    message: &Message,
    time: u64,
) -> Result<(), Violation> {
    if message.incident.cause == Cause::PlatformTrouble {
        let turned = |store: &&StoreFacts| {
            let set = store.published.and_then(|key| store.sets.get(&key));
            set.is_some_and(|set| set.rejected.count > 0)
        };
        let turned = watch.stores.iter().filter(turned).count();
        return ensure(turned >= 3, "the_platform_is_not_blamed_for_a_few", None, || {
            format!("{turned} stores have turned")
        });
    }
    let kind = match message.incident.cause {
        // The daemon of the simulation logs in by itself.
        Cause::SourceTokenExpiring => {
            return ensure(false, "no_token_of_its_own_runs_out", None, || message.id.to_string());
        }
        Cause::SourceLoginRefused => SourceFaultKind::LoginRefused,
        Cause::SourceUnavailable
        | Cause::DiscoveryFailed
        | Cause::RegeneratedOrRevoked
        | Cause::BadWrite
        | Cause::Misconfigured
        | Cause::Forbidden
        | Cause::Moved
        | Cause::SecretMissing
        | Cause::SecretMalformed
        | Cause::PublishFailed
        | Cause::FilesUnstable
        | Cause::ReloadFailed
        | Cause::Unacknowledged
        | Cause::SupersededLive
        | Cause::CertificateTrouble
        | Cause::PlatformTrouble
        | Cause::Unverified
        | Cause::Test => SourceFaultKind::Unavailable,
    };
    let seen = watch.source_faults.get(&kind).is_some_and(|at| time - at <= 15 * MINUTE);
    ensure(seen, "nothing_is_said_of_the_source_without_evidence", None, || {
        format!("{}: seen {:?}", message.id, watch.source_faults)
    })
}

/// A rejection ends with an acceptance and with nothing less, and a failure to write when it was written or
/// nothing waits to be.
fn nothing_ends_without_evidence(
    watch: &Watch,
    at: usize,
    open: &Open,
    message: &Message,
    time: u64,
) -> Result<(), Violation> {
    let store = &watch.stores[at];
    let cause = message.incident.cause;
    let gone = matches!(message.resolution, Some(Resolution::NoLongerConfigured | Resolution::StayedAway));
    let accepted = || {
        let accepted = store.published.and_then(|key| store.sets.get(&key)).and_then(|set| set.accepted_at);
        accepted.is_some_and(|at| at >= open.opened)
    };
    let right = gone
        || match cause {
            Cause::RegeneratedOrRevoked | Cause::Misconfigured => accepted(),
            Cause::SecretMissing => !matches!(store.read, LastRead::Fault(_) | LastRead::None),
            Cause::SecretMalformed => store.read != LastRead::Malformed,
            Cause::PublishFailed => !store.publish_failed || !store.waits_to_be_written(&watch.settings),
            Cause::FilesUnstable => store.is_left_alone(watch.life_began, time),
            Cause::BadWrite
            | Cause::Forbidden
            | Cause::Moved
            | Cause::CertificateTrouble
            | Cause::ReloadFailed
            | Cause::Unacknowledged
            | Cause::SupersededLive
            | Cause::PlatformTrouble
            | Cause::Unverified
            | Cause::SourceLoginRefused
            | Cause::SourceTokenExpiring
            | Cause::SourceUnavailable
            | Cause::DiscoveryFailed
            | Cause::Test => true,
        };
    ensure(right, "nothing_ends_without_evidence", message.incident.store.as_deref(), || {
        format!("{} ends: {:?}; {store:?}", message.id, message.resolution)
    })
}
