//! A store's secret: which version the source has, whether it can be used, and when to read again.

use std::sync::Arc;

use super::super::Context;
use super::super::source::Bearing;
use super::{Candidate, FIRST_WAIT, ReadProblem, Store, Streak};
use crate::domain::credentials::Credentials;
use crate::domain::incident::Severity;
use crate::domain::schedule::backoff;
use crate::domain::source::{SecretLocation, SecretVersion, SourceFault, SourceFaultKind};
use crate::domain::time::Timestamp;
use crate::domain::version::Version;

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
        let parsed = result.map_err(ReadProblem::Fault).and_then(|secret| {
            let SecretVersion { version, created_at, fields } = secret;
            fields
                .and_then(|fields| {
                    Credentials::parse(fields, &self.spec.location.fields, cx.settings.addresses)
                })
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
        if self.reread {
            self.next_read = cx.now.instant;
        }
    }

    /// Tells a dead token from a missing permission, and the source's trouble from this store's: once may
    /// have been a dead token, but not again after the token has shown that it lives.
    fn note(&mut self, fault: Option<SourceFaultKind>, bearing: Bearing, cx: &Context<'_>) {
        let unanswered = fault == Some(SourceFaultKind::Unavailable);
        self.unanswered = unanswered.then(|| self.unanswered.unwrap_or(cx.now));
        self.alone = unanswered && bearing.alone;
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
        cx: &mut Context<'_>,
    ) {
        self.held = Some(version);
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
            accepted_at: None,
            streak: Streak::default(),
            certificate: None,
            next_probe: self.not_before.max(cx.now.instant),
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
        if let ReadProblem::Malformed { version, .. } = &problem {
            self.held = Some(*version);
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
