//! A store's state machine: what its disk, its secret and its store say, and what is to be done about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::{Action, Context, FirstCheck, Gate, SourceChange, StoreSpec, conditions};
use crate::domain::credentials::{Credentials, FieldError, StoreName};
use crate::domain::incident::{Resolution, Severity};
use crate::domain::publication::{GenerationStamp, OnDisk, PublishFault, Published};
use crate::domain::schedule::{backoff, next_turn, phase};
use crate::domain::source::{SecretVersion, SourceFault, SourceFaultKind};
use crate::domain::time::{Instant, Now, Timestamp};
use crate::domain::verdict::{ProbeOutcome, Verdict, VerdictKind, judge};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_PUBLISH_WAIT: Duration = Duration::from_secs(60);
/// An unavailable or limited store is left alone for a minute at the least.
const UNAVAILABLE_WAIT: Duration = Duration::from_secs(60);
const LONGEST_LIMIT_WAIT: Duration = Duration::from_secs(15 * 60);

/// What the disk was seen to hold.
#[derive(Debug)]
pub(super) enum Disk {
    Unknown,
    Absent(Option<String>),
    Published,
}

/// Why the newest version of the secret is of no use.
#[derive(Debug)]
pub(super) enum ReadProblem {
    Fault(SourceFault),
    Malformed { version: u64, error: FieldError },
}

/// A version of the secret that is not published.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) credentials: Arc<Credentials>,
    pub(super) version: u64,
    pub(super) created_at: Option<Timestamp>,
    pub(super) seen: Now,
    pub(super) accepted_at: Option<Timestamp>,
    pub(super) streak: Streak,
    pub(super) next_probe: Instant,
}

/// Verdicts of one kind, one after another.
#[derive(Debug, Default)]
pub(super) struct Streak {
    pub(super) last: Option<Verdict>,
    pub(super) count: u32,
    pub(super) first: Now,
    pub(super) latest: Now,
}

impl Streak {
    fn push(&mut self, verdict: Verdict, now: Now) {
        if self.kind() == Some(verdict.kind()) {
            self.count = self.count.saturating_add(1);
        } else {
            self.count = 1;
            self.first = now;
        }
        self.latest = now;
        self.last = Some(verdict);
    }

    pub(super) fn kind(&self) -> Option<VerdictKind> {
        self.last.as_ref().map(Verdict::kind)
    }

    pub(super) fn is(&self, kind: VerdictKind, least: u32) -> bool {
        self.kind() == Some(kind) && self.count >= least
    }
}

/// Rejections of one set, with answers that said nothing in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection {
    pub(super) count: u32,
    pub(super) first: Now,
    pub(super) latest: Now,
    pub(super) none_seen: bool,
}

impl Rejection {
    fn add(rejection: &mut Option<Self>, none_seen: bool, now: Now) {
        let rejection = rejection.get_or_insert(Self {
            count: 0,
            first: now,
            latest: now,
            none_seen,
        });
        rejection.count = rejection.count.saturating_add(1);
        rejection.latest = now;
        rejection.none_seen = none_seen;
    }

    /// Enough rejections, and enough time between the first and the last of them: a burst of checks that
    /// somebody asked for proves no more than one.
    pub(super) fn is_confirmed(&self, confirmations: u32, spacing: Duration) -> bool {
        let span = spacing.saturating_mul(confirmations.saturating_sub(1));
        self.count >= confirmations && self.latest.instant.since(self.first.instant) >= span
    }
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) spec: StoreSpec,
    pub(super) due: Option<Instant>,
    pub(super) known_since: Now,
    pub(super) disk: Disk,
    /// The last good set: what is published, or was before the disk lost it.
    pub(super) good: Option<Published>,
    pub(super) candidate: Option<Candidate>,
    pub(super) candidate_rejection: Option<Rejection>,

    inspecting: bool,
    next_inspect: Instant,

    reading: bool,
    next_read: Instant,
    faults: u32,
    pub(super) problem: Option<ReadProblem>,
    pub(super) read_attempt: Option<Now>,
    pub(super) read_success: Option<Now>,
    pub(super) newest_version: Option<u64>,

    probing: Option<Arc<Credentials>>,
    pub(super) next_check: Instant,
    /// The store asked us to wait until then, whatever anybody wants.
    not_before: Instant,
    pub(super) streak: Streak,
    pub(super) rejection: Option<Rejection>,
    pub(super) accepted: Option<Now>,
    pub(super) verified_at: Option<Timestamp>,
    pub(super) resolution: Option<Resolution>,

    publishing: bool,
    next_publish: Instant,
    publish_failures: u32,
    pub(super) publish_fault: Option<PublishFault>,

    pub(super) requests_remaining: Option<u64>,
    pub(super) verdicts: BTreeMap<VerdictKind, u64>,
    pub(super) publications: u64,
    pub(super) restorations: u64,
}

impl Store {
    pub(super) fn new(spec: StoreSpec, now: Now) -> Self {
        Self {
            spec,
            due: None,
            known_since: now,
            disk: Disk::Unknown,
            good: None,
            candidate: None,
            candidate_rejection: None,
            inspecting: false,
            next_inspect: now.instant,
            reading: false,
            next_read: now.instant,
            faults: 0,
            problem: None,
            read_attempt: None,
            read_success: None,
            newest_version: None,
            probing: None,
            next_check: now.instant,
            not_before: now.instant,
            streak: Streak::default(),
            rejection: None,
            accepted: None,
            verified_at: None,
            resolution: None,
            publishing: false,
            next_publish: now.instant,
            publish_failures: 0,
            publish_fault: None,
            requests_remaining: None,
            verdicts: BTreeMap::new(),
            publications: 0,
            restorations: 0,
        }
    }

    pub(super) const fn name(&self) -> &StoreName {
        &self.spec.name
    }

    /// How many reads in a row did not give a usable secret.
    pub(super) const fn faults(&self) -> u32 {
        self.faults
    }

    pub(super) const fn is_published(&self) -> bool {
        matches!(self.disk, Disk::Published)
    }

    /// The same store under a new configuration: what is known of it stays, all of it is looked at anew.
    pub(super) fn configured(&mut self, spec: StoreSpec, source: SourceChange, now: Now) {
        if spec.location != self.spec.location || source == SourceChange::Replaced {
            self.reading = false;
            self.problem = None;
            self.candidate = None;
            self.candidate_rejection = None;
        }
        self.spec = spec;
        self.next_inspect = now.instant;
        self.next_read = now.instant;
        self.next_publish = now.instant;
    }

    /// Everything is due now, but for a store that asked us to wait.
    pub(super) fn check_now(&mut self, now: Now) {
        self.next_inspect = now.instant;
        self.next_read = now.instant;
        self.next_publish = now.instant;
        let probe = self.not_before.max(now.instant);
        self.next_check = self.next_check.min(probe);
        if let Some(candidate) = &mut self.candidate {
            candidate.next_probe = candidate.next_probe.min(probe);
        }
    }

    pub(super) fn inspected(&mut self, result: Result<OnDisk, PublishFault>, cx: &mut Context<'_>) {
        self.inspecting = false;
        self.next_inspect = self.poll_turn(cx);
        if self.publishing {
            // What was seen may be the generation before the one that is being written.
            return;
        }
        let absent = match result {
            Ok(OnDisk::Published(published)) => return self.seen_published(published, cx),
            Ok(OnDisk::Nothing) => None,
            Ok(OnDisk::Damaged(why)) => Some(why),
            Err(fault) => Some(fault.to_string()),
        };
        if self.is_published() {
            let why = absent.as_deref().unwrap_or("it is gone");
            self.say(
                cx,
                Some(Severity::Warning),
                format!("the published set was damaged ({why}); restoring it"),
            );
        } else if let (Disk::Unknown, Some(why)) = (&self.disk, &absent) {
            self.say(
                cx,
                Some(Severity::Warning),
                format!("what is on the disk is no whole generation ({why})"),
            );
        }
        self.disk = Disk::Absent(absent);
    }

    fn seen_published(&mut self, published: Published, cx: &mut Context<'_>) {
        self.disk = Disk::Published;
        let same = self
            .good
            .as_ref()
            .is_some_and(|good| good.credentials.same_as(&published.credentials));
        if let (true, Some(good)) = (same, &mut self.good) {
            good.stamp = published.stamp;
            return;
        }
        self.say(
            cx,
            None,
            format!(
                "generation {} is published (version {}, {})",
                published.stamp.generation, published.stamp.version, published.stamp.fingerprint
            ),
        );
        self.adopt(published, None, cx);
        self.next_check = match cx.settings.first_check {
            FirstCheck::AtOnce => cx.now.instant,
            FirstCheck::InTurn => self.check_turn(cx),
        };
    }

    /// Takes a set as the last good one.
    fn adopt(&mut self, published: Published, accepted: Option<Now>, cx: &Context<'_>) {
        if self
            .candidate
            .as_ref()
            .is_some_and(|c| c.credentials.same_as(&published.credentials))
        {
            self.candidate = None;
            self.candidate_rejection = None;
        }
        self.verified_at = published.stamp.verified_at;
        self.good = Some(published);
        self.rejection = None;
        self.accepted = accepted;
        self.streak = Streak::default();
        if let Some(accepted) = accepted {
            self.streak.push(Verdict::Accepted, accepted);
        }
        self.next_check = self.check_turn(cx);
    }

    pub(super) fn read(&mut self, result: Result<SecretVersion, SourceFault>, cx: &mut Context<'_>) {
        self.reading = false;
        self.read_attempt = Some(cx.now);
        let parsed = result.map_err(ReadProblem::Fault).and_then(|secret| {
            let SecretVersion {
                version,
                created_at,
                fields,
            } = secret;
            Credentials::parse(fields, &self.spec.location.fields, cx.settings.addresses)
                .map(|credentials| (credentials, version, created_at))
                .map_err(|error| ReadProblem::Malformed { version, error })
        });
        match parsed {
            Ok((credentials, version, created_at)) => {
                self.faults = 0;
                self.problem = None;
                self.read_success = Some(cx.now);
                self.next_read = self.poll_turn(cx);
                self.found(credentials, version, created_at, cx);
            }
            Err(problem) => self.unusable(problem, cx),
        }
    }

    fn found(
        &mut self,
        found: Credentials,
        version: u64,
        created_at: Option<Timestamp>,
        cx: &mut Context<'_>,
    ) {
        self.newest_version = Some(version);
        if self
            .good
            .as_ref()
            .is_some_and(|good| good.credentials.same_as(&found))
        {
            self.candidate = None;
            self.candidate_rejection = None;
            return;
        }
        if let Some(candidate) = &mut self.candidate
            && candidate.credentials.same_as(&found)
        {
            candidate.version = version;
            return;
        }
        self.say(
            cx,
            None,
            format!("version {version} in Vault is new; verifying it"),
        );
        self.candidate_rejection = None;
        self.candidate = Some(Candidate {
            credentials: Arc::new(found),
            version,
            created_at,
            seen: cx.now,
            accepted_at: None,
            streak: Streak::default(),
            next_probe: self.not_before.max(cx.now.instant),
        });
    }

    fn unusable(&mut self, problem: ReadProblem, cx: &mut Context<'_>) {
        self.faults = self.faults.saturating_add(1);
        self.next_read = match &problem {
            // The source as a whole waits; nothing is read until it works again.
            ReadProblem::Fault(fault) if fault.kind() == SourceFaultKind::Unavailable => cx.now.instant,
            ReadProblem::Fault(_) | ReadProblem::Malformed { .. }
                if self.good.is_some() && self.faults > 1 =>
            {
                self.poll_turn(cx)
            }
            ReadProblem::Fault(_) | ReadProblem::Malformed { .. } => {
                let most = cx.settings.poll_interval;
                cx.now.instant.plus(backoff(
                    self.name().as_str(),
                    self.faults,
                    FIRST_WAIT.min(most),
                    most,
                ))
            }
        };
        let new = match (&self.problem, &problem) {
            (Some(ReadProblem::Fault(old)), ReadProblem::Fault(new)) => old != new,
            (
                Some(ReadProblem::Malformed {
                    version: old,
                    error: old_error,
                }),
                ReadProblem::Malformed {
                    version: new,
                    error: new_error,
                },
            ) => old != new || old_error != new_error,
            _ => true,
        };
        if new {
            let text = match &problem {
                ReadProblem::Fault(fault) => format!("the secret cannot be read: {fault}"),
                ReadProblem::Malformed { version, error } => {
                    format!("version {version} in Vault cannot be used: {error}")
                }
            };
            self.say(cx, Some(Severity::Warning), text);
        }
        if let ReadProblem::Malformed { version, .. } = &problem {
            self.newest_version = Some(*version);
            self.read_success = Some(cx.now);
        }
        // A candidate that is no longer what the source holds must not be published.
        let gone = match &problem {
            ReadProblem::Malformed { .. } => true,
            ReadProblem::Fault(fault) => fault.kind() == SourceFaultKind::Missing,
        };
        if gone {
            self.candidate = None;
            self.candidate_rejection = None;
        }
        self.problem = Some(problem);
    }

    pub(super) fn probed(
        &mut self,
        credentials: &Arc<Credentials>,
        outcome: &ProbeOutcome,
        cx: &mut Context<'_>,
    ) {
        if self
            .probing
            .as_ref()
            .is_some_and(|probing| Arc::ptr_eq(probing, credentials))
        {
            self.probing = None;
        }
        let verdict = judge(outcome);
        *self.verdicts.entry(verdict.kind()).or_default() += 1;
        if let ProbeOutcome::Answered(answer) = outcome {
            self.requests_remaining = answer.remaining.or(self.requests_remaining);
        }
        if let Some(wait) = verdict.wait() {
            self.not_before = cx.now.instant.plus(wait);
        }
        if self
            .candidate
            .as_ref()
            .is_some_and(|c| Arc::ptr_eq(&c.credentials, credentials))
        {
            self.candidate_judged(verdict, cx);
        } else if self
            .good
            .as_ref()
            .is_some_and(|good| Arc::ptr_eq(&good.credentials, credentials))
        {
            self.published_judged(verdict, cx);
        }
    }

    fn candidate_judged(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        let Some(mut candidate) = self.candidate.take() else {
            return;
        };
        let severity = (verdict.kind() != VerdictKind::Accepted).then_some(Severity::Warning);
        if candidate.streak.last.as_ref() != Some(&verdict) {
            self.say(
                cx,
                severity,
                format!("version {} in Vault: {verdict}", candidate.version),
            );
        }
        candidate.streak.push(verdict.clone(), cx.now);
        match &verdict {
            Verdict::Accepted => {
                candidate.accepted_at = Some(cx.now.wall);
                self.candidate_rejection = None;
            }
            Verdict::Rejected { none_seen } => {
                if self.candidate_rejection.is_none() {
                    // Whether the published set still works tells a bad write from a revoked account.
                    self.next_check = self.next_check.min(self.not_before.max(cx.now.instant));
                }
                Rejection::add(&mut self.candidate_rejection, *none_seen, cx.now);
            }
            Verdict::Forbidden
            | Verdict::Moved { .. }
            | Verdict::RateLimited { .. }
            | Verdict::Unavailable { .. }
            | Verdict::Malformed { .. }
            | Verdict::Network(_)
            | Verdict::Tls(_) => {}
        }
        candidate.next_probe = self.next_candidate_probe(&candidate, &verdict, cx);
        self.candidate = Some(candidate);
    }

    fn next_candidate_probe(&self, candidate: &Candidate, verdict: &Verdict, cx: &Context<'_>) -> Instant {
        let (now, interval) = (cx.now.instant, cx.settings.check_interval);
        let settled = self
            .candidate_rejection
            .is_some_and(|rejection| self.confirmed(&rejection, cx));
        let wait = match verdict.kind() {
            VerdictKind::Rejected if !settled => cx.settings.confirmation_spacing,
            VerdictKind::NetworkError | VerdictKind::TlsError => backoff(
                self.name().as_str(),
                candidate.streak.count,
                FIRST_WAIT.min(interval),
                interval,
            ),
            VerdictKind::RateLimited | VerdictKind::Unavailable => {
                self.pause(verdict, candidate.streak.count)
            }
            VerdictKind::Accepted
            | VerdictKind::Rejected
            | VerdictKind::Forbidden
            | VerdictKind::Moved
            | VerdictKind::Malformed => interval,
        };
        self.not_before.max(now.plus(wait))
    }

    /// How long a store that cannot or will not answer is left alone.
    fn pause(&self, verdict: &Verdict, count: u32) -> Duration {
        let grown = backoff(
            self.name().as_str(),
            count.saturating_add(1),
            UNAVAILABLE_WAIT,
            LONGEST_LIMIT_WAIT,
        );
        match verdict.wait() {
            Some(wait) => wait.max(UNAVAILABLE_WAIT),
            None => grown.max(UNAVAILABLE_WAIT),
        }
    }

    fn published_judged(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        let changed = self.streak.last.as_ref() != Some(&verdict);
        self.streak.push(verdict.clone(), cx.now);
        if changed {
            let severity = (verdict.kind() != VerdictKind::Accepted).then_some(Severity::Warning);
            self.say(cx, severity, format!("published credentials: {verdict}"));
        }
        match &verdict {
            Verdict::Accepted => {
                self.accepted = Some(cx.now);
                self.verified_at = Some(cx.now.wall);
                self.rejection = None;
                self.resolution = None;
            }
            Verdict::Rejected { none_seen } => {
                // Whatever the source has that is newer is wanted at once.
                self.next_read = cx.now.instant;
                Rejection::add(&mut self.rejection, *none_seen, cx.now);
            }
            Verdict::Forbidden
            | Verdict::Moved { .. }
            | Verdict::RateLimited { .. }
            | Verdict::Unavailable { .. }
            | Verdict::Malformed { .. }
            | Verdict::Network(_)
            | Verdict::Tls(_) => {}
        }
        let suspect = self
            .rejection
            .is_some_and(|rejection| !self.confirmed(&rejection, cx));
        let regular = if suspect {
            cx.now.instant.plus(cx.settings.confirmation_spacing)
        } else {
            self.check_turn(cx)
        };
        let paused = match verdict.kind() {
            VerdictKind::RateLimited | VerdictKind::Unavailable => {
                cx.now.instant.plus(self.pause(&verdict, self.streak.count))
            }
            VerdictKind::Accepted
            | VerdictKind::Rejected
            | VerdictKind::Forbidden
            | VerdictKind::Moved
            | VerdictKind::Malformed
            | VerdictKind::NetworkError
            | VerdictKind::TlsError => cx.now.instant,
        };
        self.next_check = regular.max(paused).max(self.not_before);
    }

    pub(super) fn publish_ended(&mut self, result: Result<Published, PublishFault>, cx: &mut Context<'_>) {
        self.publishing = false;
        let published = match result {
            Ok(published) => published,
            Err(fault) => return self.publish_failed(fault, cx),
        };
        self.publish_fault = None;
        self.publish_failures = 0;
        self.disk = Disk::Published;
        let stamp = &published.stamp;
        let restored = self
            .good
            .as_ref()
            .is_some_and(|good| good.credentials.same_as(&published.credentials));
        let what = if restored { "restored" } else { "published" };
        let text = format!(
            "{what} version {} as generation {}",
            stamp.version, stamp.generation
        );
        self.say(cx, None, text);
        if restored {
            self.restorations += 1;
            if let Some(good) = &mut self.good {
                good.stamp = published.stamp;
            }
            return;
        }
        self.publications += 1;
        self.resolution = self.good.as_ref().map(|good| {
            if good.credentials.same_account(&published.credentials) {
                Resolution::RegeneratedCaughtUp
            } else {
                Resolution::AccountReplaced
            }
        });
        let accepted = published.stamp.verified_at.map(|_| cx.now);
        self.adopt(published, accepted, cx);
        if accepted.is_none() {
            self.next_check = self.not_before.max(cx.now.instant);
        }
    }

    fn publish_failed(&mut self, fault: PublishFault, cx: &mut Context<'_>) {
        self.publish_failures = self.publish_failures.saturating_add(1);
        let wait = backoff(
            self.name().as_str(),
            self.publish_failures,
            FIRST_WAIT,
            LONGEST_PUBLISH_WAIT,
        );
        self.next_publish = cx.now.instant.plus(wait);
        // What is on the disk now is whatever the failed try left: look before the next one.
        self.next_inspect = self.next_publish;
        if self.publish_fault.as_ref() != Some(&fault) {
            self.say(
                cx,
                Some(Severity::Critical),
                format!("publishing failed: {fault}"),
            );
        }
        self.publish_fault = Some(fault);
    }

    /// Compares what is wanted with what is known, and acts on the difference.
    pub(super) fn advance(&mut self, usable: bool, source_fault: Option<&str>, cx: &mut Context<'_>) {
        let now = cx.now.instant;
        if !self.inspecting && now >= self.next_inspect {
            self.inspecting = true;
            cx.actions.push(Action::Inspect {
                store: self.name().clone(),
            });
        }
        if usable && !self.reading && now >= self.next_read {
            self.reading = true;
            let location = self.spec.location.clone();
            cx.actions.push(Action::Read {
                store: self.name().clone(),
                location,
            });
        }
        if !matches!(self.disk, Disk::Unknown) {
            if let Some((credentials, stamp)) = self
                .wanted(cx)
                .filter(|_| !self.publishing && now >= self.next_publish)
            {
                self.publishing = true;
                cx.actions.push(Action::Publish {
                    store: self.name().clone(),
                    credentials,
                    stamp,
                });
            }
            if let Some(credentials) = self.to_probe(cx) {
                self.probing = Some(credentials.clone());
                cx.actions.push(Action::Probe {
                    store: self.name().clone(),
                    credentials,
                });
            }
        }
        let judged = conditions::judge(self, source_fault, cx);
        Book::settle(Some(&self.spec.name), judged, self.resolution, cx);
    }

    /// The set that should be on the disk and is not.
    fn wanted(&self, cx: &Context<'_>) -> Option<(Arc<Credentials>, GenerationStamp)> {
        let generation = self.good.as_ref().map_or(0, |good| good.stamp.generation) + 1;
        if let Some(candidate) = &self.candidate
            && (candidate.accepted_at.is_some() || cx.settings.gate == Gate::Open)
        {
            let stamp = GenerationStamp {
                generation,
                version: candidate.version,
                version_created_at: candidate.created_at,
                fingerprint: candidate.credentials.fingerprint(cx.key),
                published_at: cx.now.wall,
                verified_at: candidate.accepted_at,
            };
            return Some((candidate.credentials.clone(), stamp));
        }
        if self.is_published() {
            return None;
        }
        let good = self.good.as_ref()?;
        let stamp = GenerationStamp {
            generation,
            published_at: cx.now.wall,
            verified_at: self.verified_at,
            ..good.stamp.clone()
        };
        Some((good.credentials.clone(), stamp))
    }

    fn to_probe(&self, cx: &Context<'_>) -> Option<Arc<Credentials>> {
        if self.probing.is_some() {
            return None;
        }
        let candidate = self
            .waiting_candidate(cx)
            .filter(|candidate| cx.now.instant >= candidate.next_probe);
        if let Some(candidate) = candidate {
            return Some(candidate.credentials.clone());
        }
        self.good
            .as_ref()
            .filter(|_| cx.now.instant >= self.next_check)
            .map(|good| good.credentials.clone())
    }

    fn waiting_candidate(&self, cx: &Context<'_>) -> Option<&Candidate> {
        self.candidate
            .as_ref()
            .filter(|candidate| candidate.accepted_at.is_none() && cx.settings.gate == Gate::Verified)
    }

    /// When this store has to be looked at next. Whatever is under way ends with an event of its own.
    pub(super) fn next_due(&self, usable: bool, cx: &Context<'_>) -> Option<Instant> {
        let mut due = Vec::with_capacity(8);
        if !self.inspecting {
            due.push(self.next_inspect);
        }
        if usable && !self.reading {
            due.push(self.next_read);
        }
        if !matches!(self.disk, Disk::Unknown) {
            if !self.publishing && self.wanted(cx).is_some() {
                due.push(self.next_publish);
            }
            if self.probing.is_none() {
                due.extend(self.waiting_candidate(cx).map(|candidate| candidate.next_probe));
                due.extend(self.good.as_ref().map(|_| self.next_check));
            }
        }
        due.extend(cx.book.next_reminder(Some(self.name())));
        due.extend(conditions::next_change(self, cx).filter(|at| *at > cx.now.instant));
        due.into_iter().min()
    }

    pub(super) fn confirmed(&self, rejection: &Rejection, cx: &Context<'_>) -> bool {
        rejection.is_confirmed(cx.settings.confirmations, cx.settings.confirmation_spacing)
    }

    fn poll_turn(&self, cx: &Context<'_>) -> Instant {
        let interval = cx.settings.poll_interval;
        next_turn(
            cx.now.instant,
            phase(self.name().as_str(), "poll", interval),
            interval,
        )
    }

    fn check_turn(&self, cx: &Context<'_>) -> Instant {
        let interval = cx.settings.check_interval;
        next_turn(
            cx.now.instant,
            phase(self.name().as_str(), "check", interval),
            interval,
        )
    }

    fn say(&self, cx: &mut Context<'_>, severity: Option<Severity>, text: String) {
        cx.say(Some(&self.spec.name), severity, text);
    }
}
