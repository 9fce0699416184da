//! The engine as a snapshot: everything that may be shown, and no secret in it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::store::{Disk, FailedWrite, ReadProblem, Store};
use super::{Context, Engine};
use crate::domain::credentials::StoreName;
use crate::domain::secret::Fingerprint;
use crate::domain::snapshot::{
    AcknowledgementStatus, CandidateStatus, ChannelStatus, ConfigurationStatus, HardeningStatus, HttpStatus,
    LoopStatus, MountStatus, ProcessStatus, ReloadRun, ReloadStatus, Snapshot, SourceStatus, StateStatus,
    StoreState, StoreStatus, TimelineEvent, Vitals,
};
use crate::domain::source::SourceFaultKind;
use crate::domain::time::{Instant, Now, Timestamp};
use crate::domain::verdict::VerdictKind;

/// How many stores a line names at the most.
const NAMED: usize = 3;

/// What the daemon knows of itself and the engine does not.
#[derive(Debug, Default)]
pub struct About {
    /// The product's version.
    pub version: &'static str,
    /// When the process started.
    pub started_at: Timestamp,
    /// When the loop last completed a pass.
    pub last_pass: Now,
    /// The mounts that stores are read from.
    pub mounts: Vec<MountStatus>,
    /// Every channel of alerts.
    pub channels: Vec<ChannelStatus>,
    /// Whether what must outlive a restart is on the disk.
    pub state: StateStatus,
    /// The last things that were decided or told, the oldest first.
    pub events: Vec<Arc<TimelineEvent>>,
    /// The configuration in force.
    pub configuration: ConfigurationStatus,
    /// Reports of apps that were refused because of their token, since the start.
    pub reports_refused: u64,
    /// How the listeners fare.
    pub http: HttpStatus,
    /// How the daemon's loop fares.
    pub main_loop: Option<LoopStatus>,
    /// What the process uses of the machine.
    pub process: Option<ProcessStatus>,
    /// What the process has given up at its start.
    pub hardening: Option<HardeningStatus>,
}

impl Engine {
    /// Everything that may be shown.
    #[must_use]
    pub fn snapshot(&mut self, about: About, now: Now) -> Snapshot {
        let stores = self.statuses(0..self.stores.len(), now);
        self.snapshot_with(stores, about, now)
    }

    /// How many stores there are.
    #[must_use]
    pub fn store_count(&self) -> usize {
        self.stores.len()
    }

    /// Whether there is a store of this name.
    #[must_use]
    pub fn has_store(&self, store: &StoreName) -> bool {
        self.index.contains_key(store)
    }

    /// How some of the stores stand, by their places; places that there are none of are left out. For a caller that
    /// cannot wait until all have been looked at.
    #[must_use]
    pub fn statuses(&mut self, places: Range<usize>, now: Now) -> Vec<StoreStatus> {
        let mut actions = Vec::new();
        let cx = Context {
            now,
            settings: &self.settings,
            key: &self.key,
            actions: &mut actions,
            shared: &mut self.shared,
        };
        let stores = self.stores.iter().skip(places.start).take(places.len());
        stores.map(|store| store.status(&cx)).collect()
    }

    /// Everything that may be shown, with the stores as [`Engine::statuses`] said at the same time.
    #[must_use]
    pub fn snapshot_with(&self, stores: Vec<StoreStatus>, about: About, now: Now) -> Snapshot {
        let vitals = self.vitals(about.last_pass, now);
        Snapshot {
            version: about.version,
            at: now.wall,
            started_at: about.started_at,
            vitals,
            source: SourceStatus {
                up: self.source.is_up(),
                state: self.source.state(),
                last_attempt_at: self.source.last_attempt_at,
                last_success_at: self.source.last_success_at,
                token_expires_at: self.source.token_expires_at(),
                error: self.source.trouble_words(),
                logins: self.source.logins,
                renewals: self.source.renewals,
                reads: self.source.reads,
                list_requests: self.listings.requests,
                listed_stores: self.listings.watched(),
                folders: self.listings.status(),
                errors: self.source.errors.clone(),
                mounts: about.mounts,
            },
            stores,
            incidents: self.shared.book.incidents(now),
            incidents_opened: self.shared.book.opened.clone(),
            channels: about.channels,
            state: about.state,
            events: about.events,
            configuration: ConfigurationStatus {
                poll_interval_ms: millis(self.settings.poll_interval),
                check_interval_ms: millis(self.settings.check_interval),
                stale_after_ms: millis(self.settings.stale_after),
                ..about.configuration
            },
            reports_refused: about.reports_refused,
            http: about.http,
            totals: self.shared.tally.totals.clone(),
            durations: self.shared.tally.durations.clone(),
            main_loop: about.main_loop,
            process: about.process,
            hardening: about.hardening,
        }
    }

    /// One line about everything, for a service manager.
    #[must_use]
    pub fn headline(&self) -> String {
        let all = self.stores.len();
        let published = self.roll.published();
        let open = self.shared.book.len();
        let vault = self.source.in_brief();
        let waiting = self.waiting();
        format!("{published} of {all} stores published{waiting}, {open} incidents open{vault}")
    }

    /// The stores that are waited for, the first few by name.
    fn waiting(&self) -> String {
        if let Some(folder) = self.listings.unseen().filter(|_| !self.started) {
            return format!(" (waiting for the list of those below {folder})");
        }
        let stores = self.roll.awaited().filter_map(|at| self.stores.get(at));
        let names: Vec<&str> = stores.take(NAMED).map(|store| store.name().as_str()).collect();
        match (names.is_empty(), self.roll.awaits() - names.len()) {
            (true, _) => String::new(),
            (false, 0) => format!(" (waiting for {})", names.join(", ")),
            (false, more) => format!(" (waiting for {} and {more} more)", names.join(", ")),
        }
    }

    /// Whether no store is waited for any more. Before it is known which ones there are, that says nothing.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let any_published = self.roll.published() > 0;
        let unlisted = self.listings.awaited(now, self.settings.stale_after, any_published);
        self.roll.awaits() == 0 && unlisted.is_none() && !self.listings.is_restocking()
    }

    /// What the probes of an orchestrator ask for.
    #[must_use]
    pub fn vitals(&self, last_pass: Now, now: Now) -> Vitals {
        Vitals {
            last_pass_at: last_pass.wall,
            last_pass_age_ms: millis(now.instant.since(last_pass.instant)),
            ready: self.is_ready(now.instant),
            started: self.started,
        }
    }
}

impl Store {
    pub(super) fn state(&self, cx: &Context<'_>) -> StoreState {
        // What a life before this one has found out is so until the store says something else.
        if self.is_told_rejected(cx) && self.streak.kind() != Some(VerdictKind::Accepted) {
            return StoreState::Rejected;
        }
        if self.good.is_none() {
            let unusable = match &self.problem {
                Some(ReadProblem::Malformed { .. }) => true,
                Some(ReadProblem::Fault(fault)) => fault.kind() != SourceFaultKind::Unavailable,
                None => false,
            };
            let failed = unusable || self.candidate_rejection.is_some() || self.failed_write.is_some();
            return if failed { StoreState::Failed } else { StoreState::Pending };
        }
        match (self.rejection, self.streak.kind()) {
            (Some(rejection), _) if self.confirmed(&rejection, cx) && !self.is_held_back(cx) => {
                StoreState::Rejected
            }
            // What the store accepts is of no use to apps that cannot have it.
            _ if self.lost().is_some() => StoreState::Failed,
            (Some(_), _) => StoreState::Suspect,
            (None, Some(VerdictKind::Accepted)) => StoreState::Verified,
            (None, _) => StoreState::Unverified,
        }
    }

    /// Why nothing is published, of what was or should be.
    fn lost(&self) -> Option<&FailedWrite> {
        self.failed_write.as_ref().filter(|_| !self.is_published() && !self.is_withdrawn())
    }

    /// Since when the store is in its state, as far as this life can tell.
    fn since(&self) -> Timestamp {
        let rejection = match &self.good {
            Some(_) => &self.rejection,
            None => &self.candidate_rejection,
        };
        let since = match (rejection, self.lost(), &self.good, &self.streak.last) {
            (Some(rejection), ..) => rejection.first,
            (None, Some(failed), ..) => failed.first,
            (None, None, Some(_), Some(_)) => self.streak.first,
            (None, None, ..) => self.known_since,
        };
        since.wall
    }

    fn detail(&self, cx: &Context<'_>) -> String {
        if let Some(FailedWrite { fault, .. }) = &self.failed_write {
            return format!("publishing failed: {fault}");
        }
        match (&self.candidate, &self.problem) {
            (Some(candidate), _) => {
                let verdict = candidate.streak.last.as_ref();
                let verdict = verdict.map_or_else(|| "being verified".to_owned(), ToString::to_string);
                return format!("{} in Vault is not published: {verdict}", candidate.version);
            }
            (None, Some(ReadProblem::Fault(fault))) => return format!("the secret cannot be read: {fault}"),
            (None, Some(ReadProblem::Malformed { version, error })) => {
                return format!("{version} in Vault cannot be used: {error}");
            }
            (None, None) => {}
        }
        if self.is_withdrawn() {
            return "the rejected credentials were withdrawn".into();
        }
        if let (Disk::Absent(why), Some(_)) = (&self.disk, &self.good) {
            if self.is_moved() {
                return "publishing it in the output directory that is configured now".into();
            }
            let why = why.as_deref().unwrap_or("it is gone");
            return format!("the published set was damaged ({why}); restoring it");
        }
        match (&self.good, &self.streak.last, self.rejection) {
            (None, ..) => "waiting for the secret".into(),
            (Some(_), _, Some(rejection)) => {
                let (count, needed) = (rejection.count, cx.settings.confirmations);
                let of = if count < needed { format!(" of {needed}") } else { String::new() };
                let held = if self.is_held_back(cx) {
                    "; not judged by itself, because other stores turned at the same time or are being asked whether \
                     they did"
                } else {
                    ""
                };
                format!("rejected by the store {count}{of} times in a row{held}")
            }
            (Some(_), Some(verdict), None) => format!("published credentials: {verdict}"),
            (Some(_), None, None) => "published; not yet checked since the start".into(),
        }
    }

    /// The account that is asked about: that of what is published, or else of the candidate.
    fn account(&self, cx: &Context<'_>) -> Option<Fingerprint> {
        let published = self.good.as_ref().map(|good| &good.credentials);
        let candidate = self.candidate.as_ref().map(|candidate| &candidate.credentials);
        Some(published.or(candidate)?.account(cx.key))
    }

    fn reload_status(&self, cx: &Context<'_>) -> Option<ReloadStatus> {
        self.spec.hook.as_ref()?;
        let reload = &self.reload;
        Some(ReloadStatus {
            generation: reload.told.map(|told| told.generation.generation),
            at: reload.told.map(|told| told.told_at),
            pending: self.untold().is_some(),
            next_run_at: self.next_reload().map(|at| cx.now.wall_at(at)),
            last_run: reload.last.map(|run| ReloadRun {
                generation: run.generation,
                ended_at: run.ended_at,
                duration_ms: millis(run.took),
                successful: run.successful,
            }),
            succeeded: reload.succeeded,
            failed: reload.failed,
            error: reload.fault.as_ref().map(ToString::to_string),
        })
    }

    fn acknowledgement_status(&self, now: Timestamp) -> Option<AcknowledgementStatus> {
        self.spec.acknowledge.as_ref()?;
        let last = self.acknowledgement.last;
        let waiting = self.unacknowledged().map(|stamp| now.since(stamp.published_at));
        let lag = waiting.or(last.filter(|_| self.is_published()).map(|last| last.lag()));
        Some(AcknowledgementStatus {
            generation: last.map(|last| last.generation.generation),
            at: last.map(|last| last.acknowledged_at),
            pending: waiting.is_some(),
            lag_ms: lag.map(millis),
            error: self.acknowledgement.problem.clone(),
        })
    }

    fn status(&self, cx: &Context<'_>) -> StoreStatus {
        let at = |now: Option<Now>| now.map(|now| now.wall);
        let read_error = match &self.problem {
            Some(ReadProblem::Fault(fault)) => Some(fault.to_string()),
            Some(ReadProblem::Malformed { error, .. }) => Some(error.to_string()),
            None => None,
        };
        StoreStatus {
            name: self.name().clone(),
            secret: self.spec.location.to_string(),
            pinned_version: self.spec.location.pinned,
            state: self.state(cx),
            since: self.since(),
            detail: self.detail(cx),
            published: self.good.as_ref().filter(|_| self.is_published()).map(|good| good.stamp.clone()),
            candidate: self.candidate.as_ref().map(|candidate| CandidateStatus {
                version: candidate.version,
                seen_at: candidate.seen.wall,
                last_verdict: candidate.streak.kind(),
                next_probe_at: candidate.is_asked().then(|| cx.now.wall_at(candidate.next_probe)),
            }),
            last_check_at: self.streak.last.is_some().then_some(self.streak.latest.wall),
            verified_at: self.verified_at,
            next_check_at: self.good.is_some().then(|| cx.now.wall_at(self.check_due())),
            certificate_expires_at: self.certificate.map(|certificate| certificate.validity.until),
            last_verdict: self.streak.kind(),
            last_read_attempt_at: at(self.read_attempt),
            last_read_at: at(self.read_success),
            read_error,
            read_fault: match &self.problem {
                Some(ReadProblem::Fault(fault)) => Some(fault.label()),
                Some(ReadProblem::Malformed { .. }) => Some("malformed_secret"),
                None => None,
            },
            publish_error: self.failed_write.as_ref().map(|failed| failed.fault.to_string()),
            reload: self.reload_status(cx),
            requests_remaining: self.requests_remaining(cx.now.instant),
            budget_remaining: self
                .account(cx)
                .map(|account| cx.shared.budgets.remaining(account, cx.now.instant)),
            verdicts: self.verdicts.clone(),
            publications: self.publications,
            restorations: self.restorations,
            reports: self.reports.status(),
            acknowledgement: self.acknowledgement_status(cx.now.wall),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
