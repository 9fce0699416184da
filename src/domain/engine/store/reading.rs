//! A store's secret: which version the source has, whether it can be used, and when to read again.

use std::sync::Arc;
use std::time::Duration;

use super::super::Context;
use super::super::source::{Bearing, LONGEST_PAUSE};
use super::{Candidate, FIRST_WAIT, ReadProblem, Store, Streak};
use crate::domain::credentials::Credentials;
use crate::domain::incident::Severity;
use crate::domain::schedule::{backoff, next_turn, phase};
use crate::domain::source::{ListedVersion, SecretLocation, SecretVersion, SourceFault, SourceFaultKind};
use crate::domain::time::{Instant, Timestamp};
use crate::domain::version::Version;

/// However often listings say that a secret is the same, it is read once in this time.
const LONGEST_UNREAD: Duration = Duration::from_secs(24 * 3600);

impl Store {
    pub(in crate::domain::engine) fn read(
        &mut self,
        location: &SecretLocation,
        result: Result<SecretVersion, SourceFault>,
        bearing: Bearing,
        cx: &mut Context<'_>,
    ) {
        if *location != *self.spec.location {
            return;
        }
        self.reading = false;
        self.read_attempt = Some(cx.now);
        self.note(result.as_ref().err().map(SourceFault::kind), bearing, cx);
        if let Ok(secret) = &result {
            (self.held, self.held_since) = (Some(secret.version), secret.created_at);
        }
        let parsed = result.map_err(ReadProblem::Fault).and_then(|secret| {
            let SecretVersion { version, created_at, fields } = secret;
            fields
                .and_then(|fields| Credentials::parse(fields, &self.spec.location.fields, &cx.settings.hosts))
                .map(|credentials| (credentials, version, created_at))
                .map_err(|error| ReadProblem::Malformed { version, error })
        });
        match parsed {
            Ok((credentials, version, created_at)) => {
                if let Some(problem) = self.problem.take() {
                    let what = match problem {
                        ReadProblem::Fault(_) => "read",
                        ReadProblem::Malformed { .. } => "used",
                    };
                    let times = match self.faults {
                        0 | 1 => String::new(),
                        faults => format!(", after {faults} reads in vain"),
                    };
                    self.say(cx, None, format!("the secret can be {what} again{times}"));
                }
                self.faults = 0;
                let watched = self.read_success.replace(cx.now).is_some();
                let day = phase(self.name().as_str(), "read", LONGEST_UNREAD);
                self.read_anyway = next_turn(cx.now.instant, day, LONGEST_UNREAD);
                self.next_read = if self.is_listed { self.after_listing(cx) } else { self.poll_turn(cx) };
                self.found(credentials, version, created_at, watched, cx);
            }
            Err(problem) => self.unusable(problem, cx),
        }
        if self.reread {
            self.next_read = cx.now.instant;
        }
    }

    /// The secret was listed with this version, or not at all.
    pub(in crate::domain::engine) fn listed(&mut self, version: Option<ListedVersion>, cx: &Context<'_>) {
        self.is_listed = true;
        // What a read has found is what counts: only that it is still the same can be said without one.
        let is_same = version.is_some_and(|listed| {
            let number = Some(listed.version) == self.held.and_then(Version::number);
            listed.present && number && listed.created_at == self.held_since
        }) && !matches!(self.problem, Some(ReadProblem::Fault(_)))
            && self.read_success.is_some();
        if !is_same {
            self.read_soon(cx.now.instant);
        } else if !self.reading && !self.reread {
            (self.read_attempt, self.read_success) = (Some(cx.now), Some(cx.now));
            self.next_read = self.after_listing(cx);
        }
    }

    /// The secret is read soon, unless it has just been read in vain.
    pub(in crate::domain::engine) fn read_soon(&mut self, now: Instant) {
        if self.faults == 0 {
            self.next_read = self.next_read.min(now);
        }
    }

    pub(in crate::domain::engine) const fn may_be_listed(&mut self) {
        self.is_listed = true;
    }

    /// No listing will come: the secret is read in each interval.
    pub(in crate::domain::engine) fn unlisted(&mut self, cx: &Context<'_>) {
        if std::mem::take(&mut self.is_listed) {
            // The turn alone could make it wait for longer than an interval since the last time.
            let asked = self.read_attempt.unwrap_or(cx.now).instant;
            let latest = asked.plus(cx.settings.poll_interval).max(cx.now.instant);
            self.next_read = self.next_read.min(self.poll_turn(cx)).min(latest);
        }
    }

    /// The next listing comes before that.
    fn after_listing(&self, cx: &Context<'_>) -> Instant {
        cx.now.instant.plus(cx.settings.poll_interval * 2).min(self.read_anyway)
    }

    /// Tells a dead token from a missing permission, and the source's trouble from this store's: once may
    /// have been a dead token, but not again after the token has shown that it lives.
    fn note(&mut self, fault: Option<SourceFaultKind>, bearing: Bearing, cx: &Context<'_>) {
        let unanswered = fault == Some(SourceFaultKind::Unavailable);
        self.unanswered = unanswered.then(|| self.unanswered.unwrap_or(cx.now));
        self.alone = unanswered && bearing.alone;
        self.still_alone = unanswered && bearing.still_alone;
        let forbidden = fault == Some(SourceFaultKind::Forbidden);
        let again = |signs_of_life| bearing.blind || bearing.signs_of_life > signs_of_life;
        self.refused = forbidden && self.forbidden.is_some_and(again);
        self.forbidden = forbidden.then(|| self.forbidden.unwrap_or(bearing.signs_of_life));
    }

    pub(super) fn found(
        &mut self,
        found: Credentials,
        version: Version,
        created_at: Option<Timestamp>,
        watched: bool,
        cx: &mut Context<'_>,
    ) {
        if self.good.as_ref().is_some_and(|good| good.credentials.same_as(&found)) {
            self.candidate = None;
            self.candidate_rejection = None;
            return;
        }
        if let Some(candidate) = &mut self.candidate
            && candidate.credentials.same_as(&found)
        {
            (candidate.version, candidate.created_at) = (version, created_at);
            return;
        }
        self.say(cx, None, format!("{version} in Vault is new; verifying it"));
        self.candidate_rejection = None;
        self.candidate = Some(Candidate {
            credentials: Arc::new(found),
            version,
            created_at,
            seen: cx.now,
            accepted: None,
            worked: None,
            ask_again: false,
            streak: Streak::default(),
            certificate: None,
            next_probe: self.not_before.max(cx.now.instant),
            untold: watched,
        });
    }

    pub(super) fn unusable(&mut self, problem: ReadProblem, cx: &mut Context<'_>) {
        self.faults = self.faults.saturating_add(1);
        // The source as a whole waits until it works again. Then this one is soon read, however long the
        // interval is, unless it was read in vain many times: it may be what does not work.
        let unavailable = matches!(
            &problem,
            ReadProblem::Fault(fault) if fault.kind() == SourceFaultKind::Unavailable && !self.alone
        );
        self.next_read = match &problem {
            // It may have been the token that was dead; whatever failed before, the next one tells.
            ReadProblem::Fault(fault) if fault.kind() == SourceFaultKind::Forbidden && !self.refused => {
                cx.now.instant.plus(FIRST_WAIT.min(cx.settings.poll_interval))
            }
            ReadProblem::Fault(_) | ReadProblem::Malformed { .. }
                if self.good.is_some() && self.faults > 1 && !unavailable =>
            {
                self.poll_turn(cx)
            }
            ReadProblem::Fault(_) | ReadProblem::Malformed { .. } => {
                let most = cx.settings.poll_interval;
                cx.now.instant.plus(backoff(self.name().as_str(), self.faults, FIRST_WAIT.min(most), most))
            }
        };
        if let ReadProblem::Fault(fault) = &problem {
            self.next_read = self.next_read.max(cx.now.instant.plus(fault.pause().min(LONGEST_PAUSE)));
        }
        let new = match (&self.problem, &problem) {
            (Some(ReadProblem::Fault(old)), ReadProblem::Fault(new)) => old != new,
            (
                Some(ReadProblem::Malformed { version: old, error: old_error }),
                ReadProblem::Malformed { version: new, error: new_error },
            ) => old != new || old_error != new_error,
            _ => true,
        };
        if new {
            let text = match &problem {
                ReadProblem::Fault(fault) => format!("the secret cannot be read: {fault}"),
                ReadProblem::Malformed { version, error } => {
                    format!("{version} in Vault cannot be used: {error}")
                }
            };
            self.say(cx, Some(Severity::Warning), text);
        }
        if let ReadProblem::Malformed { .. } = &problem {
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
}
