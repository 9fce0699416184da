//! What becomes of the source while it fails. A log-in that is refused and a source that does not serve are two troubles:
//! each has a beginning and tries of its own, and while the one lasts the other may come and go.

use std::time::Duration;

use super::{FIRST_WAIT, LONGEST_PAUSE, LONGEST_WAIT, Source, seed};
use crate::domain::engine::Context;
use crate::domain::incident::Severity;
use crate::domain::schedule::backoff;
use crate::domain::source::{SourceFault, SourceFaultKind};
use crate::domain::time::{Instant, Now};

/// Trouble of one kind, from its first failure on.
#[derive(Debug)]
pub(super) struct Spell {
    pub(super) since: Now,
    pub(super) failures: u32,
    /// What was said last.
    pub(super) fault: SourceFault,
    pub(super) next_try: Instant,
}

impl Source {
    /// The token lives. That a log-in was refused which was to replace it is as true as before.
    pub(super) fn lives(&mut self, cx: &mut Context<'_>) {
        if self.is_locked_out() || self.refused.is_some() {
            self.signs_of_life += 1;
            self.doubted = false;
            self.stays_refused(cx);
        } else {
            self.works(cx);
        }
    }

    /// The source answers, so the refused log-in is what is left of its trouble: the token in hand serves on.
    pub(super) fn stays_refused(&mut self, cx: &mut Context<'_>) {
        if let Some(refused) = self.refused.as_ref().filter(|_| !self.is_locked_out()) {
            (self.fault, self.next_try) = (Some(refused.fault.clone()), refused.next_try);
            self.recovered_if_well(cx);
        }
    }

    /// The source has answered a log-in, if only to refuse it.
    pub(super) fn answered_log_in(&mut self, cx: &mut Context<'_>) {
        if self.token.is_none() {
            // Nothing can be read before a log-in works, so nothing better can tell that it does not serve.
            (self.unread, self.unlisted) = (None, None);
        }
        self.recovered_if_well(cx);
    }

    /// The source does what it is asked about the token. Whether it also does what it is there for, only a
    /// read can tell, where reads have failed.
    pub(super) fn works(&mut self, cx: &mut Context<'_>) {
        self.last_attempt_at = Some(cx.now.wall);
        self.last_success_at = Some(cx.now.wall);
        self.signs_of_life += 1;
        self.fault = None;
        self.doubted = false;
        self.recovered_if_well(cx);
        // It is over, whatever else is not.
        self.refused = None;
    }

    /// It has just answered.
    pub(super) fn recovered_if_well(&mut self, cx: &mut Context<'_>) {
        let kind = self.fault.as_ref().map(SourceFault::kind);
        let still_refused = kind == Some(SourceFaultKind::LoginRefused);
        if self.unread.is_some() || self.unlisted.is_some() || (self.fault.is_some() && !still_refused) {
            return;
        }
        let refused = self.refused.take_if(|_| !still_refused);
        let over = [refused, self.unavailable.take()];
        let Some(since) = over.iter().flatten().map(|spell| spell.since.instant).min() else { return };
        let failures: u32 = over.iter().flatten().map(|spell| spell.failures).sum();
        let lasted = humantime::format_duration(Duration::from_secs(cx.now.instant.since(since).as_secs()));
        let times = if failures > 1 { format!(" and {failures} tries") } else { String::new() };
        let what =
            if still_refused { "answers again, and refuses the log-in as before" } else { "works again" };
        cx.say(None, None, format!("Vault {what}, after {lasted}{times}"));
    }

    /// `most` is how long the next try may wait, unless the source asks for more.
    pub(super) fn fails(&mut self, fault: SourceFault, most: Duration, cx: &mut Context<'_>) {
        *self.errors.entry(fault.kind()).or_default() += 1;
        self.fails_counted(fault, most, cx);
    }

    pub(super) fn fails_counted(&mut self, fault: SourceFault, most: Duration, cx: &mut Context<'_>) {
        self.last_attempt_at = Some(cx.now.wall);
        let is_new = self.fault.as_ref().map(SourceFault::kind) != Some(fault.kind());
        let is_due = self.next_try <= cx.now.instant;
        let spell = match fault.kind() {
            SourceFaultKind::LoginRefused => &mut self.refused,
            SourceFaultKind::Forbidden | SourceFaultKind::Missing | SourceFaultKind::Unavailable => {
                &mut self.unavailable
            }
        };
        let (since, next_try) = (cx.now, self.next_try);
        let first = || Spell { since, failures: 0, fault: fault.clone(), next_try };
        let spell = spell.get_or_insert_with(first);
        spell.fault = fault.clone();
        // Answers of reads that were under way together count as one failure. One of the other kind says nothing of how
        // long this one lasts.
        if is_new || is_due {
            spell.failures = spell.failures.saturating_add(1);
            let wait = backoff(&seed(cx), spell.failures, FIRST_WAIT, most);
            spell.next_try = cx.now.instant.plus(wait.max(fault.pause().min(LONGEST_PAUSE)));
            self.next_try = spell.next_try;
        }
        if is_new {
            // Without the time of the next try: the same trouble has the same words, by which it is counted.
            let most = humantime::format_duration(most.max(fault.pause().min(LONGEST_PAUSE)));
            cx.say(
                None,
                Some(Severity::Warning),
                format!("Vault: {fault}; trying again, at least every {most}"),
            );
        }
        self.fault = Some(fault);
    }

    pub(super) fn token_in_doubt(&mut self, fault: SourceFault, cx: &mut Context<'_>) {
        if fault.kind() == SourceFaultKind::Forbidden {
            cx.say(None, Some(Severity::Warning), "the Vault token is dead; logging in again".into());
            self.token = None;
            self.doubted = false;
            self.next_try = cx.now.instant;
        } else {
            self.fails(fault, LONGEST_WAIT, cx);
        }
    }
}
