//! Reports of apps: a reason to look at the published set at once, once in a while, and never evidence.

use std::sync::Arc;
use std::time::Duration;

use super::super::request::{ReportOutcome, Reported};
use super::super::{Context, Reply};
use super::Store;
use crate::domain::credentials::Credentials;
use crate::domain::snapshot::ReportStatus;
use crate::domain::time::{Instant, Timestamp};

/// However many reports come, so far apart are the checks that they bring about.
const PAUSE: Duration = Duration::from_secs(60);

/// What apps have reported of one store.
#[derive(Debug, Default)]
pub(in crate::domain::engine) struct Reports {
    received: u64,
    absorbed: u64,
    checks: u64,
    last: Option<Timestamp>,
    /// When a check is due because of reports that no check has answered yet.
    due: Option<Instant>,
    /// When the last check because of reports began.
    checked: Option<Instant>,
}

impl Reports {
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Another set is published: what was reported was about the one before.
    pub(super) const fn forget(&mut self) {
        self.due = None;
    }

    pub(in crate::domain::engine) const fn status(&self) -> ReportStatus {
        ReportStatus {
            received: self.received,
            absorbed: self.absorbed,
            checks: self.checks,
            last_at: self.last,
        }
    }
}

impl Store {
    /// Takes a report in; [`Store::report_reply`] says what came of it.
    pub(in crate::domain::engine) fn reported(&mut self, cx: &mut Context<'_>) {
        cx.shared.tally.totals.reports += 1;
        let now = cx.now.instant;
        let reports = &mut self.reports;
        reports.received = reports.received.saturating_add(1);
        reports.last = Some(cx.now.wall);
        if self.good.is_some() && reports.due.is_none() {
            let earliest = reports.checked.map_or(now, |at| at.plus(PAUSE));
            reports.due = Some(earliest.max(now));
        }
    }

    /// A check begins. If it is of the published set, it answers every report that came before it.
    pub(super) fn check_begins(&mut self, credentials: &Arc<Credentials>, cx: &mut Context<'_>) {
        let published = self.good.as_ref().is_some_and(|good| Arc::ptr_eq(&good.credentials, credentials));
        if published && self.reports.due.take().is_some() {
            self.reports.checked = Some(cx.now.instant);
            self.reports.checks += 1;
            self.say(cx, None, "an app reports that its credentials are refused: checking them".into());
        }
    }

    /// What came of the report that was just taken in, after the store has acted on it.
    pub(in crate::domain::engine) fn report_reply(&mut self, cx: &Context<'_>) -> Reply {
        let outcome = match self.reports.due {
            _ if self.good.is_none() => ReportOutcome::NothingPublished,
            None => ReportOutcome::CheckStarted,
            Some(_) if self.is_checking() => ReportOutcome::CheckUnderWay,
            Some(_) => ReportOutcome::CheckPlanned,
        };
        if outcome != ReportOutcome::CheckStarted {
            self.reports.absorbed += 1;
        }
        let due = self.reports.due.map(|_| self.check_due().max(self.not_before));
        Reply::Reported(Reported {
            store: self.name().clone(),
            outcome,
            detail: outcome.words().to_owned(),
            check_at: due.map(|due| cx.now.wall_at(due)),
            state: self.state(cx),
            last_verdict: self.streak.kind(),
            last_check_at: self.streak.last.is_some().then_some(self.streak.latest.wall),
        })
    }

    /// Whether the published set is being checked right now.
    fn is_checking(&self) -> bool {
        let probing = self.probing.as_ref();
        let good = self.good.as_ref();
        probing.zip(good).is_some_and(|(probing, good)| Arc::ptr_eq(probing, &good.credentials))
    }
}
