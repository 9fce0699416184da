//! A store's probes: what their verdicts say of the candidate and of the published set, and when to ask
//! again.

use std::sync::Arc;
use std::time::Duration;

use super::super::book::Book;
use super::super::platform::Standing;
use super::super::{Condition, Context, Judged};
use super::{Candidate, Certificate, Disk, FIRST_WAIT, Store};
use crate::domain::credentials::Credentials;
use crate::domain::engine::Gate;
use crate::domain::incident::{Cause, Severity};
use crate::domain::schedule::backoff;
use crate::domain::time::{Instant, Now};
use crate::domain::verdict::{ProbeOutcome, Verdict, VerdictKind, judge};

/// An unavailable or limited store is left alone for a minute at the least.
const UNAVAILABLE_WAIT: Duration = Duration::from_secs(60);
const LONGEST_LIMIT_WAIT: Duration = Duration::from_secs(15 * 60);
/// A store's quota begins anew after this.
const QUOTA_PERIOD: Duration = Duration::from_secs(3600);

/// Verdicts of one kind, one after another.
#[derive(Debug, Default)]
pub(in crate::domain::engine) struct Streak {
    pub(in crate::domain::engine) last: Option<Verdict>,
    pub(in crate::domain::engine) count: u32,
    pub(in crate::domain::engine) first: Now,
    pub(in crate::domain::engine) latest: Now,
    /// Answers in a row, of whatever kind, that say neither that the set works nor that it does not.
    silent: u32,
}

impl Streak {
    pub(super) fn push(&mut self, verdict: Verdict, now: Now) {
        if self.kind() == Some(verdict.kind()) {
            self.count = self.count.saturating_add(1);
        } else {
            self.count = 1;
            self.first = now;
        }
        self.latest = now;
        self.silent = match verdict.kind() {
            VerdictKind::Accepted | VerdictKind::Rejected => 0,
            VerdictKind::Forbidden
            | VerdictKind::Moved
            | VerdictKind::RateLimited
            | VerdictKind::Unavailable
            | VerdictKind::Malformed
            | VerdictKind::NetworkError
            | VerdictKind::TlsError => self.silent.saturating_add(1),
        };
        self.last = Some(verdict);
    }

    pub(in crate::domain::engine) fn kind(&self) -> Option<VerdictKind> {
        self.last.as_ref().map(Verdict::kind)
    }

    /// What ends with another verdict, in words: answers that did not accept, if there were more than one.
    fn trouble(&self) -> Option<String> {
        let last =
            self.last.as_ref().filter(|last| last.kind() != VerdictKind::Accepted && self.count > 1)?;
        Some(format!(", after {} times {} since {}", self.count, last.kind().label(), self.first.wall))
    }

    pub(super) const fn silent(&self) -> u32 {
        self.silent
    }

    pub(in crate::domain::engine) fn is(&self, kind: VerdictKind, least: u32) -> bool {
        self.kind() == Some(kind) && self.count >= least
    }
}

/// Rejections of one set, with answers that said nothing in between.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::engine) struct Rejection {
    pub(in crate::domain::engine) count: u32,
    pub(in crate::domain::engine) first: Now,
    pub(in crate::domain::engine) latest: Now,
    pub(in crate::domain::engine) none_seen: bool,
}

impl Rejection {
    pub(super) fn add(rejection: &mut Option<Self>, none_seen: bool, now: Now) {
        let rejection = rejection.get_or_insert(Self { count: 0, first: now, latest: now, none_seen });
        rejection.count = rejection.count.saturating_add(1);
        rejection.latest = now;
        rejection.none_seen = none_seen;
    }

    /// Enough rejections, and enough time between the first and the last of them: a burst of checks that
    /// somebody asked for proves no more than one.
    pub(in crate::domain::engine) fn is_confirmed(&self, confirmations: u32, spacing: Duration) -> bool {
        let span = spacing.saturating_mul(confirmations.saturating_sub(1));
        self.count >= confirmations && self.latest.instant.since(self.first.instant) >= span
    }
}

/// How long nothing more is asked of a store after this, about whichever set; none: it says nothing of that.
fn least_pause(verdict: &Verdict) -> Option<Duration> {
    match verdict {
        Verdict::RateLimited { wait } => Some(wait.unwrap_or(UNAVAILABLE_WAIT)),
        Verdict::Unavailable { wait, .. } => Some(wait.unwrap_or_default().max(UNAVAILABLE_WAIT)),
        Verdict::Accepted
        | Verdict::Rejected { .. }
        | Verdict::Forbidden
        | Verdict::Moved { .. }
        | Verdict::Malformed { .. }
        | Verdict::Network(_)
        | Verdict::Tls(_) => None,
    }
}

impl Store {
    pub(in crate::domain::engine) fn probed(
        &mut self,
        credentials: &Arc<Credentials>,
        took: Duration,
        outcome: &ProbeOutcome,
        cx: &mut Context<'_>,
    ) {
        if self.probing.as_ref().is_some_and(|probing| Arc::ptr_eq(probing, credentials)) {
            self.probing = None;
        }
        let verdict = judge(outcome);
        *self.verdicts.entry(verdict.kind()).or_default() += 1;
        cx.shared.tally.checked(verdict.kind(), took);
        if let ProbeOutcome::Answered(answer) = outcome {
            let said = answer.remaining.map(|left| (left, cx.now.instant));
            self.requests_remaining = said.or(self.requests_remaining);
        }
        if let Some(wait) = least_pause(&verdict) {
            self.not_before = self.not_before.max(cx.now.instant.plus(wait));
        }
        if let Some(candidate) =
            self.candidate.as_mut().filter(|candidate| Arc::ptr_eq(&candidate.credentials, credentials))
        {
            Certificate::note(&mut candidate.certificate, outcome, cx);
            self.candidate_judged(verdict, cx);
        } else if self.good.as_ref().is_some_and(|good| Arc::ptr_eq(&good.credentials, credentials)) {
            Certificate::note(&mut self.certificate, outcome, cx);
            self.published_judged(verdict, cx);
            self.certificate_failed(cx);
        } else if self.superseded.as_ref().is_some_and(|old| Arc::ptr_eq(&old.credentials, credentials)) {
            self.superseded_judged(verdict, cx);
        }
    }

    /// What is left of the store's quota, until the hour is over that it was said of.
    pub(in crate::domain::engine) fn requests_remaining(&self, now: Instant) -> Option<u64> {
        let (left, said) = self.requests_remaining?;
        (now.since(said) < QUOTA_PERIOD).then_some(left)
    }

    pub(super) fn candidate_judged(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        let Some(mut candidate) = self.candidate.take() else {
            return;
        };
        // That it was accepted is said when it is published.
        if verdict.kind() != VerdictKind::Accepted && candidate.streak.last.as_ref() != Some(&verdict) {
            let text = format!("{} in Vault: {verdict}", candidate.version);
            self.say(cx, Some(Severity::Warning), text);
        }
        candidate.streak.push(verdict.clone(), cx.now);
        match &verdict {
            Verdict::Accepted => {
                (candidate.accepted, candidate.ask_again) = (Some(cx.now), false);
                candidate.worked = candidate.accepted;
                self.candidate_rejection = None;
            }
            Verdict::Rejected { none_seen } => {
                if self.candidate_rejection.is_none() {
                    // Whether the published set still works tells a bad write from a revoked account.
                    self.check_published_now(cx.now);
                }
                if candidate.worked.is_some() {
                    // It is dead, and whatever the source has that is newer is wanted at once.
                    self.want_read(cx.now.instant);
                }
                candidate.accepted = None;
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

    /// One rejection proves nothing.
    fn say_unconfirmed(&self, cx: &mut Context<'_>) {
        let most = cx.settings.confirmations;
        if let Some(count) = self.rejection.map(|rejection| rejection.count).filter(|count| *count < most) {
            let spacing = humantime::format_duration(cx.settings.confirmation_spacing);
            let text = format!(
                "a rejection counts when there are {most}: this is number {count}, next in {spacing}"
            );
            self.say(cx, None, text);
        }
    }

    pub(super) fn next_candidate_probe(
        &self,
        candidate: &Candidate,
        verdict: &Verdict,
        cx: &Context<'_>,
    ) -> Instant {
        let (now, interval) = (cx.now.instant, cx.settings.check_interval);
        let settled = self.candidate_rejection.is_some_and(|rejection| self.confirmed(&rejection, cx));
        let wait = match verdict.kind() {
            VerdictKind::Rejected if !settled => cx.settings.confirmation_spacing,
            VerdictKind::NetworkError | VerdictKind::TlsError => {
                // No sooner than without the error.
                let least = match self.candidate_rejection {
                    Some(_) if settled => interval,
                    Some(_) => cx.settings.confirmation_spacing,
                    None => FIRST_WAIT.min(interval),
                };
                let most = interval.max(least);
                backoff(self.name().as_str(), candidate.streak.silent(), least, most).max(least)
            }
            VerdictKind::RateLimited | VerdictKind::Unavailable => {
                self.pause(verdict, candidate.streak.silent())
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
    pub(super) fn pause(&self, verdict: &Verdict, count: u32) -> Duration {
        let least = least_pause(verdict).unwrap_or_default();
        // A first wait is kept to the second; one that is asked for again and again may be too short.
        let attempt = match verdict.wait() {
            Some(_) if count <= 1 => return least,
            Some(_) => count.saturating_sub(1),
            None => count.saturating_add(1),
        };
        backoff(self.name().as_str(), attempt, UNAVAILABLE_WAIT, LONGEST_LIMIT_WAIT).max(least)
    }

    pub(super) fn published_judged(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        let changed = self.streak.last.as_ref() != Some(&verdict);
        let trouble = self.streak.trouble();
        self.streak.push(verdict.clone(), cx.now);
        if changed {
            let is_accepted = verdict.kind() == VerdictKind::Accepted;
            let after = trouble.filter(|_| is_accepted).unwrap_or_default();
            let severity = (!is_accepted).then_some(Severity::Warning);
            self.say(cx, severity, format!("published credentials: {verdict}{after}"));
        }
        match &verdict {
            Verdict::Accepted => {
                self.accepted = Some(cx.now);
                self.verified_at = Some(cx.now.wall);
                self.rejection = None;
                self.withdrawn = self.withdrawn && self.is_gone();
            }
            Verdict::Rejected { none_seen } => {
                // Whatever the source has that is newer is wanted at once.
                self.want_read(cx.now.instant);
                if self.rejection.is_none()
                    && let Some(candidate) = &mut self.candidate
                {
                    // A new token may have been in the source before it was saved at the store.
                    candidate.next_probe = candidate.next_probe.min(self.not_before.max(cx.now.instant));
                }
                // What was published before ends no rejection that comes after it.
                self.resolution = None;
                Rejection::add(&mut self.rejection, *none_seen, cx.now);
                self.say_unconfirmed(cx);
            }
            Verdict::Forbidden
            | Verdict::Moved { .. }
            | Verdict::RateLimited { .. }
            | Verdict::Unavailable { .. }
            | Verdict::Malformed { .. }
            | Verdict::Network(_)
            | Verdict::Tls(_) => {}
        }
        let suspect = self.rejection.is_some_and(|rejection| !self.confirmed(&rejection, cx));
        let regular = if suspect { cx.now.instant.plus(self.suspicion(cx)) } else { self.check_turn(cx) };
        let paused = match verdict.kind() {
            VerdictKind::RateLimited | VerdictKind::Unavailable => {
                cx.now.instant.plus(self.pause(&verdict, self.streak.silent()))
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

    /// How soon a suspicion is looked into: the spacing; ever more slowly while nobody can tell.
    fn suspicion(&self, cx: &Context<'_>) -> Duration {
        let spacing = cx.settings.confirmation_spacing;
        match self.streak.silent() {
            0 => spacing,
            silent => {
                let most = cx.settings.check_interval.max(spacing);
                backoff(self.name().as_str(), silent, spacing, most).max(spacing)
            }
        }
    }

    pub(in crate::domain::engine) fn is_told_rejected(&self, cx: &Context<'_>) -> bool {
        cx.shared.book.is_open(Some(self.name()), Cause::RegeneratedOrRevoked)
    }

    /// Whoever answers an alert with credentials that are rejected as well is told so at once.
    pub(super) fn hasten_reminders(&mut self, judged: &[Judged], cx: &mut Context<'_>) {
        let dead = self.candidate_rejection.is_some_and(|rejection| self.confirmed(&rejection, cx));
        let told = |(cause, condition): &&Judged| {
            matches!(cause, Cause::RegeneratedOrRevoked | Cause::BadWrite)
                && matches!(condition, Condition::Holds { .. })
        };
        if let Some(candidate) = self.candidate.as_mut().filter(|candidate| candidate.untold && dead)
            && let Some((cause, _)) = judged.iter().find(told)
        {
            candidate.untold = false;
            cx.shared.book.remind_now(&self.spec.name, *cause, cx.now.instant);
        }
    }

    /// Whether nothing is said of its rejection by itself, since the platform is suspected, or may be.
    pub(in crate::domain::engine) fn is_held_back(&self, cx: &Context<'_>) -> bool {
        cx.shared.platform.holds_back(self.name())
    }

    /// Notes how long a regeneration can have gone unnoticed: since the store last accepted the credentials. Whether it
    /// did so shortly before a start is not known, and then nothing is.
    pub(super) fn time_detection(&self, cx: &mut Context<'_>) {
        if let Some(accepted) = self.accepted {
            cx.shared.tally.durations.detections.add(cx.now.instant.since(accepted.instant));
        }
    }

    pub(super) fn to_probe(&self, cx: &Context<'_>) -> Option<Arc<Credentials>> {
        let now = cx.now.instant;
        if self.probing.is_some() || now < self.not_before {
            return None;
        }
        // The one that has waited longest: where one question is due again as soon as it was answered, the others
        // must not wait for ever.
        let due = self.probes(cx).filter(|(due, _)| now >= *due);
        due.min_by_key(|(due, _)| *due).map(|(_, credentials)| credentials.clone())
    }

    /// The sets that this store is asked about, and when each is due.
    pub(super) fn probes(&self, cx: &Context<'_>) -> impl Iterator<Item = (Instant, &Arc<Credentials>)> {
        let candidate =
            self.waiting_candidate(cx).map(|candidate| (candidate.next_probe, &candidate.credentials));
        let published = self.good.as_ref().map(|good| (self.check_due(), &good.credentials));
        let superseded = self.superseded.as_ref().map(|old| (old.next_probe, &old.credentials));
        candidate.into_iter().chain(published).chain(superseded)
    }

    /// When the published set is checked next, unless the store wants to be left alone: in its turn, or earlier
    /// because of a report.
    pub(in crate::domain::engine) fn check_due(&self) -> Instant {
        self.reports.due().map_or(self.next_check, |due| due.min(self.next_check))
    }

    pub(super) fn waiting_candidate(&self, cx: &Context<'_>) -> Option<&Candidate> {
        self.candidate.as_ref().filter(|candidate| candidate.is_asked() && cx.settings.gate == Gate::Verified)
    }

    /// What this store says for or against trouble of the whole platform.
    pub(in crate::domain::engine) fn standing(&self, book: &Book) -> Standing {
        let known = book.is_open(Some(self.name()), Cause::RegeneratedOrRevoked);
        if let (None, Some(candidate), Some(rejection), false) =
            (&self.good, &self.candidate, self.candidate_rejection, known)
            && let Some(worked) = candidate.worked
        {
            return Standing::Rejected {
                since: rejection.first,
                place: candidate.credentials.api_path().as_str().to_owned(),
                accepted: Some(worked.instant),
            };
        }
        match (&self.good, self.rejection) {
            (Some(good), Some(rejection)) if self.verified_at.is_some() && !known => Standing::Rejected {
                since: rejection.first,
                place: good.credentials.api_path().as_str().to_owned(),
                accepted: self.accepted.map(|at| at.instant),
            },
            (Some(_), None) => {
                self.accepted.map_or(Standing::Other, |at| Standing::Accepted { at: at.instant })
            }
            (Some(_), Some(_)) | (None, _) => Standing::Other,
        }
    }

    /// Whether the store accepted the published set when it was last asked.
    pub(in crate::domain::engine) fn is_verified(&self) -> bool {
        self.good.is_some() && self.streak.kind() == Some(VerdictKind::Accepted)
    }

    /// Whether asking about the published set now may tell the platform's trouble from others': the store accepted
    /// it when it was last asked, in this life or one before, and not after this moment.
    pub(in crate::domain::engine) fn may_tell(&self, since: Instant) -> bool {
        let accepted = self.is_verified()
            || (self.streak.last.is_none() && self.good.is_some() && self.verified_at.is_some());
        accepted && self.heard_at().is_none_or(|at| at <= since)
    }

    /// When the store last answered for the published set, or failed to.
    pub(in crate::domain::engine) fn heard_at(&self) -> Option<Instant> {
        self.streak.last.as_ref().map(|_| self.streak.latest.instant)
    }

    /// Whether the published set is rejected, or the store does not say, and no incident says so already.
    pub(in crate::domain::engine) fn is_doubtful(&self, book: &Book) -> bool {
        let told = [VerdictKind::Accepted, VerdictKind::Forbidden, VerdictKind::Moved];
        self.good.is_some()
            && !self.streak.kind().is_some_and(|kind| told.contains(&kind))
            && !book.is_open(Some(self.name()), Cause::RegeneratedOrRevoked)
    }

    /// Whether anything is known of the published set since the start, or nothing is published.
    pub(in crate::domain::engine) fn was_asked(&self) -> bool {
        !matches!(self.disk, Disk::Unknown) && (self.good.is_none() || self.streak.last.is_some())
    }

    /// Asks about the published set at once, unless the store wants to be left alone.
    pub(in crate::domain::engine) fn check_published_now(&mut self, now: Now) {
        self.next_check = self.next_check.min(self.not_before.max(now.instant));
    }

    /// What was counted against the published set may have been the platform's fault: start again.
    pub(in crate::domain::engine) fn confirm_anew(&mut self, now: Now) {
        self.rejection = None;
        self.known_since = now;
        self.check_published_now(now);
        if let Some(candidate) = self.candidate.as_mut().filter(|_| self.good.is_none()) {
            self.candidate_rejection = None;
            candidate.next_probe = self.not_before.max(now.instant);
        }
    }

    pub(in crate::domain::engine) fn confirmed(&self, rejection: &Rejection, cx: &Context<'_>) -> bool {
        rejection.is_confirmed(cx.settings.confirmations, cx.settings.confirmation_spacing)
    }
}
