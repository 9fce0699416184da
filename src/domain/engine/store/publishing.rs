//! A store's disk: what is published there, what should be, and what became of writing it.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Action, Context, FirstCheck, Gate, OnRejection};
use super::{Candidate, Disk, FIRST_WAIT, FailedWrite, ReadProblem, Store, Streak};
use crate::domain::credentials::Credentials;
use crate::domain::incident::{Cause, Resolution, Severity};
use crate::domain::publication::{GenerationStamp, OnDisk, PublishFault, Published, Sign};
use crate::domain::schedule::backoff;
use crate::domain::source::SourceFault;
use crate::domain::time::Now;
use crate::domain::verdict::Verdict;

const LONGEST_PUBLISH_WAIT: Duration = Duration::from_secs(60);
/// What was found published is checked within this time even where the interval is longer: restarts that come more often
/// than the checks must not do away with them.
const FIRST_CHECK: Duration = Duration::from_secs(10 * 60);
/// For how long it is not asked again whether the store accepts what cannot be written: a full disk must not cost the
/// store a request a minute.
const STILL_ACCEPTED: Duration = Duration::from_secs(3 * 60);

impl Store {
    pub(in crate::domain::engine) fn inspected(
        &mut self,
        result: Result<OnDisk, PublishFault>,
        sign: Sign,
        cx: &mut Context<'_>,
    ) {
        self.seen(result, cx);
        self.signed(sign, cx);
    }

    fn seen(&mut self, result: Result<OnDisk, PublishFault>, cx: &mut Context<'_>) {
        self.inspecting = false;
        self.looks.next = self.poll_turn(cx);
        if self.inspection_outdated {
            // What was seen may lie where nothing is published any more.
            self.looks.next = cx.now.instant;
            return;
        }
        let absent = match result {
            Ok(found) if self.is_elsewhere(&found) => return self.seen_elsewhere(cx),
            Ok(
                OnDisk::Published(published)
                | OnDisk::Outdated(published)
                | OnDisk::OtherRights(published, _),
            ) if self.is_older(&published) => {
                Some(format!("generation {} was put back", published.stamp.generation))
            }
            Ok(OnDisk::Published(published)) => {
                self.placing.settle();
                return self.seen_published(published, cx);
            }
            Ok(OnDisk::Outdated(published)) => {
                return self.seen_outdated(published, None, "other files than are configured now", cx);
            }
            Ok(OnDisk::OtherRights(published, why)) if !self.placing.is_settled() => {
                return self.seen_with_other_rights(published, &why, cx);
            }
            Ok(OnDisk::Nothing) => None,
            Ok(OnDisk::Damaged(why) | OnDisk::OtherRights(_, why)) => Some(why),
            Err(fault) => Some(fault.to_string()),
        };
        if absent.is_some() || (self.good.is_some() && !self.withdrawn) {
            self.damaged(absent.as_deref().unwrap_or("it is gone"), cx);
        }
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

    /// Whether this is a generation from before the last good one: somebody has put it back, for nobody here does.
    pub(super) fn is_older(&self, published: &Published) -> bool {
        let good = self.good.as_ref().filter(|_| !self.withdrawn);
        good.is_some_and(|good| published.stamp.generation < good.stamp.generation)
    }

    fn seen_published(&mut self, published: Published, cx: &mut Context<'_>) {
        self.disk = Disk::Published;
        self.placing.arrive();
        let same = self.good.as_ref().is_some_and(|good| good.credentials.same_as(&published.credentials));
        if same {
            return self.restamped(published.stamp, cx);
        }
        self.say(
            cx,
            None,
            format!(
                "generation {} is published ({}, {})",
                published.stamp.generation, published.stamp.version, published.stamp.fingerprint
            ),
        );
        // What is there was not taken away; whether it has to be, its own answers will tell.
        self.withdrawn = self.withdrawn && self.is_gone();
        if self.good.is_some() {
            // The source may well hold what was published before, and a listing would say that nothing is new there.
            self.read_soon(cx.now.instant);
        }
        self.adopt(published, None, cx);
        self.inherited = true;
        self.next_check = match cx.settings.first_check {
            FirstCheck::AtOnce => cx.now.instant,
            FirstCheck::InTurn => self.turn_within(cx.settings.check_interval.min(FIRST_CHECK), cx),
        };
    }

    /// The set is whole and apps go on reading it, until it is published as it is configured now.
    pub(super) fn seen_outdated(
        &mut self,
        published: Published,
        severity: Option<Severity>,
        differs: &str,
        cx: &mut Context<'_>,
    ) {
        let known = matches!(self.disk, Disk::Outdated);
        let generation = published.stamp.generation;
        self.seen_published(published, cx);
        self.disk = Disk::Outdated;
        if !known {
            let text = format!("generation {generation} has {differs}; publishing it anew");
            self.say(cx, severity, text);
        }
    }

    /// Takes a set as the last good one.
    pub(super) fn adopt(&mut self, published: Published, accepted: Option<Now>, cx: &mut Context<'_>) {
        let account = published.credentials.account(cx.key);
        cx.shared.accounts.replaced(self.account.replace(account), account);
        let candidate = self.candidate.take_if(|c| c.credentials.same_as(&published.credentials));
        if candidate.is_some() {
            self.candidate_rejection = None;
        }
        self.certificate = candidate.and_then(|candidate| candidate.certificate);
        if self.superseded.take_if(|old| old.credentials.same_as(&published.credentials)).is_some() {
            // It is back: somebody restored it.
            self.superseded_end = Some(Resolution::NoLongerWatched);
        }
        self.verified_at = published.stamp.verified_at;
        self.good = Some(published);
        self.rejection = None;
        self.reports.forget();
        self.accepted = accepted;
        (self.known_since, self.inherited) = (cx.now, false);
        self.streak = Streak::default();
        if let Some(accepted) = accepted {
            self.streak.push(Verdict::Accepted, accepted);
        }
        self.next_check = self.check_turn(cx);
    }

    pub(in crate::domain::engine) fn publish_ended(
        &mut self,
        result: Result<Published, PublishFault>,
        cx: &mut Context<'_>,
    ) {
        self.publishing = false;
        let in_force = self.placing.ended();
        self.looks.wrote(cx.now.instant);
        let published = match result {
            Ok(published) => published,
            Err(fault) => return self.publish_failed(fault, cx),
        };
        self.failed_write = None;
        let failures = std::mem::take(&mut self.publish_failures);
        self.disk = Disk::Published;
        self.withdrawn = false;
        let news = if in_force { self.placing.wrote() } else { None };
        let stamp = &published.stamp;
        let same = self.good.as_ref().filter(|good| good.credentials.same_as(&published.credentials));
        let same_files = same.map(|good| good.stamp.files_fingerprint == stamp.files_fingerprint);
        let (what, why) = match (same_files, news) {
            (Some(true), None) => ("restored", String::new()),
            (Some(true), Some(news)) => ("published", format!(", {news},")),
            (Some(false), _) => ("published", ", in the files that are configured now,".to_owned()),
            (None, _) if stamp.verified_at.is_none() => {
                ("published", ", which nobody has asked the store about,".to_owned())
            }
            (None, _) => ("published", ", which the store accepted,".to_owned()),
        };
        let after = if failures > 0 { format!(", after {failures} failures") } else { String::new() };
        let text = format!("{what} {}{why} as generation {}{after}", stamp.version, stamp.generation);
        self.say(cx, None, text + &self.change_of_place(&published, cx));
        if same_files.is_some() {
            self.resolution = self.resolution.or(Some(Resolution::AcceptedAgain));
        }
        match same_files {
            Some(true) if news.is_some() => {
                self.count_publication(cx);
                self.replaced();
                return self.restamped(published.stamp, cx);
            }
            Some(true) => {
                self.restorations += 1;
                cx.shared.tally.totals.restorations += 1;
                self.restored(cx.now);
                return self.restamped(published.stamp, cx);
            }
            Some(false) => {
                self.count_publication(cx);
                self.replaced();
                return self.reissued(published.stamp);
            }
            None => {
                self.count_publication(cx);
                self.time_publication(&published.stamp, cx);
            }
        }
        self.replaced();
        self.resolution = self.good.as_ref().map(|good| {
            let (old, new) = (&good.credentials, &published.credentials);
            if old.same_account(new) && old.api_path() == new.api_path() {
                Resolution::RegeneratedCaughtUp
            } else {
                Resolution::AccountReplaced
            }
        });
        let accepted = published.stamp.verified_at.and(self.written_accepted.take());
        if self.held.is_some_and(|held| held != published.stamp.version) {
            // What was read while this was written may have been what was published before, and is again to be.
            self.want_read(cx.now.instant);
        }
        if let Some(old) = self.good.take().filter(|_| accepted.is_some()) {
            self.supersede(old, &published.credentials, cx);
        }
        self.adopt(published, accepted, cx);
        if accepted.is_none() {
            self.next_check = self.not_before.max(cx.now.instant);
        }
    }

    fn count_publication(&mut self, cx: &mut Context<'_>) {
        self.publications += 1;
        cx.shared.tally.totals.publications += 1;
    }

    /// Notes how long a version has taken from its write to its publication, if it was written after what was published
    /// before it, or else while this store was watched: of an older one that somebody goes back to, or of one that was
    /// there before us, that would say nothing.
    fn time_publication(&self, stamp: &GenerationStamp, cx: &mut Context<'_>) {
        let before = self.good.as_ref().and_then(|good| good.stamp.version_created_at);
        let before = before.unwrap_or(self.known_since.wall);
        if let Some(written) = stamp.version_created_at.filter(|at| *at > before)
            && self.spec.location.pinned.is_none()
        {
            cx.shared.tally.durations.publications.add(cx.now.wall.since(written));
        }
    }

    pub(super) fn publish_failed(&mut self, fault: PublishFault, cx: &mut Context<'_>) {
        self.publish_failures = self.publish_failures.saturating_add(1);
        let wait = backoff(self.name().as_str(), self.publish_failures, FIRST_WAIT, LONGEST_PUBLISH_WAIT);
        self.next_publish = cx.now.instant.plus(wait);
        // What is on the disk now is whatever the failed try left: look before the next one.
        self.looks.next = self.next_publish;
        let is_old = |candidate: &Candidate| {
            candidate.accepted.is_some_and(|at| cx.now.instant.since(at.instant) >= STILL_ACCEPTED)
        };
        if let Some(candidate) = self.candidate.as_mut().filter(|candidate| is_old(candidate)) {
            candidate.ask_again = true;
            candidate.next_probe = self.not_before.max(self.next_publish);
        }
        if self.failed_write.as_ref().map(|failed| &failed.fault) != Some(&fault) {
            self.say(cx, Some(Severity::Critical), format!("publishing failed: {fault}"));
        }
        let first = self.failed_write.as_ref().map_or(cx.now, |failed| failed.first);
        self.failed_write = Some(FailedWrite { fault, first });
    }

    /// Whether the operator wants what is published to be taken away: it is dead, or its secret is gone, and the incident
    /// is on record.
    pub(super) fn is_unwanted(&self, cx: &Context<'_>) -> bool {
        let dead = self.spec.on_rejection == OnRejection::Withdraw
            && self.rejection.is_some_and(|rejection| self.confirmed(&rejection, cx));
        (dead && self.is_told_rejected(cx))
            || (self.is_gone_for_good(cx.now)
                && cx.shared.book.is_open(Some(self.name()), Cause::SecretMissing))
    }

    pub(super) fn advance_withdrawal(&mut self, cx: &mut Context<'_>) {
        if self.is_unwanted(cx)
            && self.is_published()
            && !self.publishing
            && cx.now.instant >= self.next_publish
        {
            self.publishing = true;
            self.inspection_outdated = true;
            cx.actions.push(Action::Withdraw { store: self.name().clone() });
        }
    }

    pub(in crate::domain::engine) fn withdraw_ended(
        &mut self,
        result: Result<(), PublishFault>,
        cx: &mut Context<'_>,
    ) {
        self.publishing = false;
        let _elsewhere = self.placing.ended();
        self.looks.wrote(cx.now.instant);
        if let Err(fault) = result {
            return self.publish_failed(fault, cx);
        }
        self.withdrawn = true;
        self.failed_write = None;
        self.publish_failures = 0;
        self.disk = Disk::Absent(None);
        let text = if self.is_gone_for_good(cx.now) {
            "the credentials were withdrawn, as their secret is gone and withdraw_after says so"
        } else {
            "the rejected credentials were withdrawn, as on_rejection says"
        };
        self.say(cx, Some(Severity::Critical), text.to_owned());
    }

    /// Whether it was discovered, and its secret has been gone for longer than it stays published. That it is not
    /// listed is not enough: a read must have found nothing, ever, at its path.
    pub(super) fn is_gone_for_good(&self, now: Now) -> bool {
        self.gone_for_good_at().is_some_and(|at| now.instant >= at)
            && matches!(self.problem, Some(ReadProblem::Fault(SourceFault::NeverWritten)))
    }

    /// Whether nothing is left of a store whose secret is gone.
    pub(in crate::domain::engine) fn may_be_forgotten(&self, now: Now) -> bool {
        let is_absent = matches!(self.disk, Disk::Absent(_)) && !self.publishing;
        self.is_gone_for_good(now) && is_absent
    }

    /// The set that should be on the disk and is not.
    pub(super) fn wanted(&self, cx: &Context<'_>) -> Option<(Arc<Credentials>, GenerationStamp)> {
        let generation = self.good.as_ref().map_or(0, |good| good.stamp.generation).saturating_add(1);
        if let Some(candidate) = &self.candidate
            && (!candidate.is_asked() || cx.settings.gate == Gate::Open)
        {
            let stamp = GenerationStamp {
                generation,
                version: candidate.version,
                version_created_at: candidate.created_at,
                fingerprint: candidate.credentials.fingerprint(cx.key),
                published_at: cx.now.wall,
                verified_at: candidate.accepted.map(|at| at.wall),
                // Who writes the files says what they are.
                files_fingerprint: None,
                restores: None,
            };
            return Some((candidate.credentials.clone(), stamp));
        }
        if self.is_up_to_date() || self.withdrawn {
            return None;
        }
        let good = self.good.as_ref()?;
        let stamp = GenerationStamp {
            generation,
            published_at: cx.now.wall,
            verified_at: self.verified_at,
            restores: Some(*good.stamp.same_content().start()),
            ..good.stamp.clone()
        };
        Some((good.credentials.clone(), stamp))
    }
}
