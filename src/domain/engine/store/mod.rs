//! A store's state machine: what its disk, its secret and its store say, and what is to be done about it.

mod acknowledging;
mod certificate;
mod checking;
mod contest;
mod gone;
mod looking;
mod placing;
mod publishing;
mod reading;
mod reloading;
mod reporting;
mod superseded;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::budget::Turn;
use super::source::Trouble;
use super::{Action, Context, OnRejection, Settings, SourceChange, StoreSpec, conditions};
use crate::domain::credentials::{Credentials, FieldError, StoreName};
use crate::domain::incident::{Cause, Resolution, Severity};
use crate::domain::publication::{PublishFault, Published};
use crate::domain::schedule::{next_turn, phase};
use crate::domain::secret::Fingerprint;
use crate::domain::source::SourceFault;
use crate::domain::time::{Instant, Now, Timestamp};
use crate::domain::verdict::VerdictKind;
use crate::domain::version::Version;

use self::acknowledging::Acknowledgement;
pub(super) use self::certificate::Certificate;
pub(super) use self::checking::{Rejection, Streak};
pub(super) use self::contest::AT_ONCE;
use self::contest::Contest;
use self::gone::Gone;
use self::looking::Looks;
use self::placing::Placing;
use self::reloading::Reload;
use self::reporting::Reports;
use self::superseded::Superseded;

/// The first wait after a failure of our own making; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// What the disk was seen to hold.
#[derive(Debug)]
pub(super) enum Disk {
    Unknown,
    Absent(Option<String>),
    /// A whole set, in other files, or with other rights, than are configured now.
    Outdated,
    Published,
}

/// What could not be written or taken away.
#[derive(Debug)]
pub(super) struct FailedWrite {
    pub(super) fault: PublishFault,
    /// When it failed first, whatever the fault was then.
    pub(super) first: Now,
}

/// Why what the source holds is of no use.
#[derive(Debug)]
pub(super) enum ReadProblem {
    Fault(SourceFault),
    Malformed { version: Version, error: FieldError },
}

/// A version of the secret that is not published.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) credentials: Arc<Credentials>,
    pub(super) version: Version,
    pub(super) created_at: Option<Timestamp>,
    pub(super) seen: Now,
    pub(super) accepted: Option<Now>,
    /// When it was last, whatever the store has said since.
    pub(super) worked: Option<Now>,
    /// It was accepted, and could not be written then: it may have died since.
    pub(super) ask_again: bool,
    pub(super) streak: Streak,
    pub(super) certificate: Option<Certificate>,
    pub(super) next_probe: Instant,
    /// It was written while this life watched, and nobody was told yet that it is rejected as well.
    pub(super) untold: bool,
}

impl Candidate {
    /// Whether the store has to accept it before it may be published.
    pub(super) const fn is_asked(&self) -> bool {
        self.accepted.is_none() || self.ask_again
    }
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) spec: StoreSpec,
    pub(super) due: Option<Instant>,
    pub(super) known_since: Now,
    /// The last good set lay there: whatever happened to it before is not known.
    pub(super) inherited: bool,
    pub(super) disk: Disk,
    /// The last good set: what is published, or was before the disk lost it.
    pub(super) good: Option<Published>,
    /// The account of that set.
    account: Option<Fingerprint>,
    pub(super) candidate: Option<Candidate>,
    pub(super) candidate_rejection: Option<Rejection>,
    pub(super) superseded: Option<Superseded>,
    /// What ended the watch of the superseded set, where that was not its death.
    superseded_end: Option<Resolution>,

    inspecting: bool,
    /// The look at the disk began under another configuration: what it saw may be elsewhere.
    inspection_outdated: bool,
    looks: Looks,
    placing: Placing,

    reading: bool,
    /// A newer look at the source is wanted than the one that is under way.
    reread: bool,
    next_read: Instant,
    /// Listings say whether the secret has changed, as long as they come.
    is_listed: bool,
    /// When the secret is read again although no listing says that it has changed.
    read_anyway: Instant,
    faults: u32,
    /// Since when the source has not answered for this secret, in a row.
    pub(super) unanswered: Option<Now>,
    /// It answers for others meanwhile.
    pub(super) alone: bool,
    /// It has answered for others since this one was last tried, too.
    pub(super) still_alone: bool,
    /// How often the token had shown that it lives when it was first forbidden to read this secret.
    forbidden: Option<u64>,
    /// It has shown it again since, and reading is still forbidden.
    pub(super) refused: bool,
    pub(super) problem: Option<ReadProblem>,
    pub(super) read_attempt: Option<Now>,
    pub(super) read_success: Option<Now>,
    /// What the source calls what it holds now.
    pub(super) held: Option<Version>,
    /// When that was written, as far as the source says.
    held_since: Option<Timestamp>,

    probing: Option<Arc<Credentials>>,
    /// When the store accepted what is being written: something else may be found meanwhile.
    written_accepted: Option<Now>,
    /// When this store may ask, where its account's budget was used up.
    turn: Option<Turn>,
    pub(super) next_check: Instant,
    /// The store asked us to wait until then, whatever anybody wants.
    not_before: Instant,
    pub(super) streak: Streak,
    /// What the store showed of itself to the probes of the published set.
    pub(super) certificate: Option<Certificate>,
    pub(super) rejection: Option<Rejection>,
    pub(super) accepted: Option<Now>,
    pub(super) verified_at: Option<Timestamp>,
    pub(super) resolution: Option<Resolution>,

    publishing: bool,
    /// The set was taken away because it is dead; it comes back only when it is accepted again.
    withdrawn: bool,
    gone: Option<Gone>,
    next_publish: Instant,
    publish_failures: u32,
    pub(super) contest: Contest,
    pub(super) failed_write: Option<FailedWrite>,
    pub(super) reload: Reload,
    pub(super) reports: Reports,
    pub(super) acknowledgement: Acknowledgement,

    /// What the store last said is left of its quota, and when.
    pub(super) requests_remaining: Option<(u64, Instant)>,
    pub(super) verdicts: BTreeMap<VerdictKind, u64>,
    pub(super) publications: u64,
    pub(super) restorations: u64,
}

impl Store {
    pub(super) fn new(spec: StoreSpec, now: Now) -> Self {
        let reload = Reload::of(spec.hook.as_ref());
        let acknowledgement = Acknowledgement::of(spec.acknowledge.as_ref());
        let gone = Gone::of(spec.discovered, now);
        Self {
            spec,
            due: None,
            known_since: now,
            inherited: false,
            disk: Disk::Unknown,
            good: None,
            account: None,
            candidate: None,
            candidate_rejection: None,
            superseded: None,
            superseded_end: Some(Resolution::NoLongerWatched),
            inspecting: false,
            inspection_outdated: false,
            looks: Looks::from(now.instant),
            placing: Placing::default(),
            reading: false,
            reread: false,
            next_read: now.instant,
            is_listed: false,
            read_anyway: now.instant,
            faults: 0,
            unanswered: None,
            alone: false,
            still_alone: false,
            forbidden: None,
            refused: false,
            problem: None,
            read_attempt: None,
            read_success: None,
            held: None,
            held_since: None,
            probing: None,
            written_accepted: None,
            turn: None,
            next_check: now.instant,
            not_before: now.instant,
            streak: Streak::default(),
            certificate: None,
            rejection: None,
            accepted: None,
            verified_at: None,
            resolution: None,
            publishing: false,
            withdrawn: false,
            gone,
            next_publish: now.instant,
            publish_failures: 0,
            contest: Contest::from(now.instant),
            failed_write: None,
            reload,
            reports: Reports::default(),
            acknowledgement,
            requests_remaining: None,
            verdicts: BTreeMap::new(),
            publications: 0,
            restorations: 0,
        }
    }

    pub(super) const fn name(&self) -> &StoreName {
        &self.spec.name
    }

    /// What the source has to know of this store to judge a read.
    pub(super) fn trouble(&self) -> Trouble {
        Trouble {
            unanswered: self.unanswered.map(|since| since.instant),
            tried: self.read_attempt.map(|at| at.instant),
            refused: self.refused,
        }
    }

    pub(super) const fn is_publishing(&self) -> bool {
        self.publishing
    }

    pub(super) const fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }

    pub(super) const fn is_published(&self) -> bool {
        matches!(self.disk, Disk::Published | Disk::Outdated)
    }

    /// The last good set is to be published in an output directory that is configured since.
    pub(super) const fn is_moved(&self) -> bool {
        self.placing.is_moved()
    }

    /// What is published is what the configuration asks for, as far as files go.
    pub(super) const fn is_up_to_date(&self) -> bool {
        matches!(self.disk, Disk::Published)
    }

    /// The source has to be asked from now on: what a read that is under way finds may be older.
    pub(super) fn want_read(&mut self, now: Instant) {
        self.next_read = now;
        self.reread = true;
    }

    /// Whether the source was asked, and has answered, after this moment.
    pub(super) fn was_read_since(&self, moment: Instant) -> bool {
        !self.reread && !self.reading && self.read_attempt.is_some_and(|at| at.instant >= moment)
    }

    /// The same store under a new configuration: what is known of it stays, all of it is looked at anew.
    pub(super) fn configured(
        &mut self,
        spec: StoreSpec,
        old: &Settings,
        source: SourceChange,
        cx: &Context<'_>,
    ) {
        let (now, new) = (cx.now.instant, cx.settings);
        let moved = spec.location != self.spec.location || source == SourceChange::Replaced;
        if moved {
            self.reading = false;
            self.faults = 0;
            (self.unanswered, self.alone, self.still_alone) = (None, false, false);
            (self.forbidden, self.refused) = (None, false);
            self.problem = None;
            self.read_success = None;
            self.held = None;
        }
        if moved || old.hosts != new.hosts {
            // It may be refused now, so it is read again before it is asked about or published.
            self.candidate = None;
            self.candidate_rejection = None;
        }
        self.placed(&old.output, &new.output);
        self.discovered(spec.discovered, cx.now);
        self.withdrawn = self.withdrawn && (spec.on_rejection == OnRejection::Withdraw || self.is_gone());
        self.spec = spec;
        self.reload.told = self.reload.told.or(self.spec.hook.as_ref().and_then(|hook| hook.told));
        self.acknowledgement.known(self.spec.acknowledge.as_ref());
        self.hasten_reload(now);
        self.looks.next = now;
        self.inspection_outdated = true;
        self.want_read(now);
        self.next_publish = now;
        self.contest.hasten(now);
        if new.check_interval < old.check_interval {
            let turn = self.check_turn(cx).max(self.not_before);
            self.next_check = self.next_check.min(turn);
            if let Some(candidate) = &mut self.candidate {
                candidate.next_probe = candidate.next_probe.min(turn);
            }
        }
        if new.confirmation_spacing < old.confirmation_spacing {
            let soon = self.not_before.max(now.plus(new.confirmation_spacing));
            if self.rejection.is_some_and(|rejection| !self.confirmed(&rejection, cx)) {
                self.next_check = self.next_check.min(soon);
            }
            if let Some(candidate) = self.candidate.as_mut().filter(|_| self.candidate_rejection.is_some()) {
                candidate.next_probe = candidate.next_probe.min(soon);
            }
        }
    }

    /// Everything is due now, but for a store that asked us to wait.
    pub(super) fn check_now(&mut self, now: Now) {
        self.looks.next = now.instant;
        self.want_read(now.instant);
        self.next_publish = now.instant;
        self.contest.hasten(now.instant);
        self.hasten_reload(now.instant);
        let probe = self.not_before.max(now.instant);
        self.next_check = self.next_check.min(probe);
        if let Some(candidate) = &mut self.candidate {
            candidate.next_probe = candidate.next_probe.min(probe);
        }
    }

    /// Compares what is wanted with what is known, and acts on the difference.
    pub(super) fn advance(&mut self, usable: bool, source_fault: Option<&str>, cx: &mut Context<'_>) {
        let now = cx.now.instant;
        if !self.inspecting && !self.publishing && now >= self.looks.due() {
            self.looks.begin(now);
            self.inspecting = true;
            self.inspection_outdated = false;
            cx.actions.push(Action::Inspect { store: self.name().clone() });
        }
        if usable && !self.reading && now >= self.next_read {
            self.reading = true;
            self.reread = false;
            let location = self.spec.location.clone();
            cx.actions.push(Action::Read { store: self.name().clone(), location });
        }
        if !matches!(self.disk, Disk::Unknown) {
            if let Some((credentials, stamp)) = self.wanted(cx).filter(|(_, stamp)| {
                !self.publishing && !self.inspecting && now >= self.may_publish_at(stamp)
            }) {
                self.publishing = true;
                let candidate =
                    self.candidate.as_ref().filter(|it| Arc::ptr_eq(&it.credentials, &credentials));
                self.written_accepted = candidate.and_then(|candidate| candidate.accepted);
                cx.actions.push(Action::Publish { store: self.name().clone(), credentials, stamp });
            }
            if let Some(credentials) = self.to_probe(cx) {
                let turn = cx.shared.budgets.turn(self.turn.take(), credentials.account(cx.key), now);
                if turn.at <= now {
                    self.check_begins(&credentials, cx);
                    self.probing = Some(credentials.clone());
                    cx.actions.push(Action::Probe { store: self.name().clone(), credentials });
                } else {
                    self.not_before = self.not_before.max(turn.at);
                    self.turn = Some(turn);
                }
            }
        }
        let dead = self.candidate_rejection.is_some_and(|rejection| self.confirmed(&rejection, cx));
        let is_settled = self.candidate.is_none() || dead;
        if self.is_published() && is_settled && self.wanted(cx).is_none() && !self.is_unwanted(cx) {
            // Nothing waits to be written or taken away any more: it was, or the source took it back.
            self.failed_write = None;
            self.publish_failures = 0;
        }
        self.advance_reload(cx);
        self.advance_acknowledgement(now);
        self.advance_superseded(cx);
        let judged = conditions::judge(self, source_fault, cx);
        self.hasten_reminders(&judged, cx);
        let judged = judged.map(|judged| conditions::common::told(self, judged, cx));
        let known = self.rejection.is_none() || self.is_told_rejected(cx);
        // A generation that was published since, by a life that ended before it could say so, may hold other values.
        let opened = cx.shared.book.opened_at(&self.spec.name, Cause::RegeneratedOrRevoked);
        let published = self.good.as_ref().map(|good| good.stamp.published_at);
        let accepted = if published > opened { Resolution::Recovered } else { Resolution::AcceptedAgain };
        let resolution = |cause| match cause {
            Cause::RegeneratedOrRevoked => Some(self.resolution.unwrap_or(accepted)),
            Cause::SupersededLive => self.superseded_end,
            Cause::BadWrite
            | Cause::Misconfigured
            | Cause::Forbidden
            | Cause::Moved
            | Cause::SecretMissing
            | Cause::SecretMalformed
            | Cause::PublishFailed
            | Cause::FilesUnstable
            | Cause::ReloadFailed
            | Cause::Unacknowledged
            | Cause::CertificateTrouble
            | Cause::Unverified
            | Cause::PlatformTrouble
            | Cause::SourceLoginRefused
            | Cause::SourceTokenExpiring
            | Cause::SourceUnavailable
            | Cause::DiscoveryFailed
            | Cause::Test => None,
        };
        Book::settle(Some(&self.spec.name), judged, resolution, cx);
        if !known && self.is_told_rejected(cx) {
            self.time_detection(cx);
        }
        self.advance_withdrawal(cx);
    }

    /// When this store has to be looked at next. Whatever is under way ends with an event of its own.
    pub(super) fn next_due(&self, usable: bool, cx: &Context<'_>) -> Option<Instant> {
        let mut due = Vec::with_capacity(8);
        if !self.inspecting && !self.publishing {
            due.push(self.looks.due());
        }
        if usable && !self.reading {
            due.push(self.next_read);
        }
        if !matches!(self.disk, Disk::Unknown) {
            if !self.publishing && !self.inspecting {
                due.extend(self.wanted(cx).map(|(_, stamp)| self.may_publish_at(&stamp)));
            }
            if self.probing.is_none() {
                due.extend(self.probes(cx).map(|(at, _)| at.max(self.not_before)));
            }
        }
        due.extend(self.next_reload());
        due.extend(self.superseded.as_ref().map(Superseded::ends));
        due.extend(cx.shared.book.next_reminder(Some(self.name())));
        due.extend(conditions::next_change(self, cx));
        due.extend(self.gone_for_good_at().filter(|at| *at > cx.now.instant));
        due.into_iter().min()
    }

    fn poll_turn(&self, cx: &Context<'_>) -> Instant {
        let interval = cx.settings.poll_interval;
        next_turn(cx.now.instant, phase(self.name().as_str(), "poll", interval), interval)
    }

    fn check_turn(&self, cx: &Context<'_>) -> Instant {
        self.turn_within(cx.settings.check_interval, cx)
    }

    fn turn_within(&self, interval: Duration, cx: &Context<'_>) -> Instant {
        next_turn(cx.now.instant, phase(self.name().as_str(), "check", interval), interval)
    }

    fn say(&self, cx: &mut Context<'_>, severity: Option<Severity>, text: String) {
        cx.say(Some(&self.spec.name), severity, text);
    }
}
