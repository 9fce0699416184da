//! A store's app: that it was told of the newest generation, latest wins.

use std::time::Duration;

use super::super::{Action, Context, Hook};
use super::{FIRST_WAIT, Store};
use crate::domain::incident::Severity;
use crate::domain::publication::ReloadFault;
use crate::domain::schedule::backoff;
use crate::domain::time::{Instant, Timestamp};

const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// What the app still has to be told, and what it was told.
#[derive(Debug, Default)]
pub(in crate::domain::engine) struct Reload {
    /// The generation that the app has not been told of.
    wanted: Option<u64>,
    running: bool,
    failures: u32,
    next: Instant,
    pub(in crate::domain::engine) told: Option<u64>,
    pub(in crate::domain::engine) told_at: Option<Timestamp>,
    pub(in crate::domain::engine) fault: Option<ReloadFault>,
}

impl Reload {
    /// A generation with other content was published. An older one that waits is forgotten.
    pub(super) fn want(&mut self, generation: u64, now: Instant) {
        self.wanted = Some(generation);
        self.failures = 0;
        self.next = now;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.wanted.filter(|_| !self.running).map(|_| self.next)
    }
}

impl Store {
    /// Tells the app, if it has to be told now.
    pub(super) fn advance_reload(&mut self, cx: &mut Context<'_>) {
        let Some(generation) = self.reload.wanted else { return };
        if self.spec.hook == Hook::None {
            self.reload.wanted = None;
        } else if !self.reload.running && cx.now.instant >= self.reload.next {
            self.reload.running = true;
            cx.actions.push(Action::Reload { store: self.name().clone(), generation });
        }
    }

    pub(in crate::domain::engine) fn reloaded(
        &mut self,
        generation: u64,
        result: Result<(), ReloadFault>,
        cx: &mut Context<'_>,
    ) {
        self.reload.running = false;
        match result {
            Ok(()) => {
                self.reload.wanted = self.reload.wanted.filter(|wanted| *wanted != generation);
                self.reload.told = Some(generation);
                self.reload.told_at = Some(cx.now.wall);
                self.reload.failures = 0;
                self.reload.fault = None;
                self.say(cx, None, format!("the app was told of generation {generation}"));
            }
            Err(fault) => {
                self.reload.failures = self.reload.failures.saturating_add(1);
                let wait = backoff(self.name().as_str(), self.reload.failures, FIRST_WAIT, LONGEST_WAIT);
                self.reload.next = cx.now.instant.plus(wait);
                if self.reload.fault.as_ref() != Some(&fault) {
                    let text = format!("the app could not be told of generation {generation}: {fault}");
                    self.say(cx, Some(Severity::Warning), text);
                }
                self.reload.fault = Some(fault);
            }
        }
    }
}
