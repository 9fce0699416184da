//! What apps and people ask of the daemon, and what it replies.

use std::time::Duration;

use bc_secrets_sync::alert::ledger::Change;
use bc_secrets_sync::domain::engine::{Action, Event, Reply, ReportOutcome, Reported, Request};
use bc_secrets_sync::domain::incident::SilenceSpan;

use crate::mischief::Deed;
use crate::plan::{DAY, HOUR, MINUTE, SECOND, millis};
use crate::simulation::{Occurrence, Simulation, index};
use crate::watch::{Violation, ensure};

/// So far apart are the checks that reports start.
const REPORTS_PAUSE: u64 = MINUTE;

impl Simulation {
    /// An app reports, and soon again.
    pub(crate) fn report(&mut self, at: usize, times: u64) -> Result<(), Violation> {
        if times > 0 {
            let wait = self.random.wait(20, 20 * SECOND);
            self.after(wait, Occurrence::Deed(Deed::Report(at, times - 1)));
        }
        self.watch.stores[at].reports += 1;
        // A check whose turn comes at this very moment is no report's.
        self.handle(Event::Tick)?;
        let store = self.names[at].clone();
        self.handle(Event::Asked(Request::Report { store }))
    }

    /// Somebody silences an open incident, ends its silence, or errs.
    pub(crate) fn somebody_wants_silence(&mut self) -> Result<(), Violation> {
        let open: Vec<String> = self.watch.book.values().map(|open| open.id.clone()).collect();
        let one = usize::try_from(self.random.below(open.len().max(1) as u64)).unwrap();
        let incident = open.get(one).cloned().unwrap_or_else(|| "nothing".into());
        let span = Duration::from_millis(self.random.pick(&[MINUTE, 2 * HOUR, DAY, 7 * DAY, 30 * DAY]));
        let request = match SilenceSpan::new(span) {
            Ok(span) if !self.random.once_in(4) => Request::Silence { incident, span },
            Ok(_) | Err(_) => Request::Unsilence { incident },
        };
        self.handle(Event::Asked(request))
    }

    /// What is asked is replied to, once and rightly.
    pub(crate) fn is_replied_to(
        &mut self,
        request: Option<&Request>,
        replies: &[Reply],
        work: &[Action],
    ) -> Result<(), Violation> {
        let wall = self.now().wall;
        if let Some(Request::Unsilence { incident }) = request {
            let open = self.watch.book.values_mut().find(|open| open.id == *incident);
            open.into_iter().for_each(|open| open.heard_at = Some(self.time));
        }
        let known = |id: &str| self.watch.book.values().any(|open| open.id == id);
        let right = match (request, replies) {
            (None, []) => true,
            (Some(Request::Report { store }), [reply]) => {
                return self.reports_are_absorbed(index(store.as_str()), reply, work);
            }
            (Some(Request::Acknowledge { store, generation }), [reply]) => {
                self.is_rightly_acknowledged(index(store.as_str()), *generation, reply)
            }
            (Some(Request::Silence { incident, span }), [Reply::Incident(silenced)]) => {
                silenced.id.as_str() == incident
                    && silenced.silenced_until == Some(wall.plus(span.duration()))
            }
            (Some(Request::Unsilence { incident }), [Reply::Incident(heard)]) => {
                heard.id.as_str() == incident && heard.silenced_until.is_none()
            }
            (
                Some(Request::Silence { incident, .. } | Request::Unsilence { incident }),
                [Reply::UnknownIncident],
            ) => !known(incident),
            (
                None
                | Some(
                    Request::Silence { .. }
                    | Request::Unsilence { .. }
                    | Request::Report { .. }
                    | Request::Acknowledge { .. },
                ),
                _,
            ) => false,
        };
        ensure(right, "who_asks_is_replied_to", None, || format!("{request:?}: {replies:?}"))
    }

    /// However many reports come, they start one check a minute at the most.
    fn reports_are_absorbed(&mut self, at: usize, reply: &Reply, work: &[Action]) -> Result<(), Violation> {
        let name = self.names[at].as_str();
        let outcome = match reply {
            Reply::Reported(Reported { outcome, .. }) => Some(*outcome),
            Reply::UnknownStore
            | Reply::Acknowledging(_)
            | Reply::Incident(_)
            | Reply::UnknownIncident
            | Reply::AmbiguousIncident(_) => None,
        };
        let right = if self.places[at].is_some() { outcome.is_some() } else { *reply == Reply::UnknownStore };
        ensure(right, "who_asks_is_replied_to", Some(name), || format!("{reply:?}"))?;
        if outcome == Some(ReportOutcome::CheckStarted) {
            let asked =
                |action: &Action| matches!(action, Action::Probe { store, .. } if store.as_str() == name);
            let last = self.watch.stores[at].report_checked.replace(self.time);
            let rare = last.is_none_or(|last| self.time >= last + REPORTS_PAUSE);
            ensure(rare && work.iter().any(asked), "reports_are_absorbed", Some(name), || {
                format!("{reply:?}, {work:?}, after {last:?}")
            })?;
        }
        Ok(())
    }

    /// What was kept of silences stands, also when the process ends.
    pub(crate) fn silences_stand(&mut self, changes: &[Change]) {
        let wall = self.now().wall;
        for change in changes {
            let Change::Open { incident, message: None } = change else { continue };
            let left = incident.silenced_until.map(|until| until.since(wall));
            let until = left.map_or(0, |left| self.time + millis(left));
            let open = self.watch.book.values_mut().find(|open| open.id == incident.id.as_str());
            if let Some(open) = open {
                open.silent_until = until;
            }
        }
    }
}
