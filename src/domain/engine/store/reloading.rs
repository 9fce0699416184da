//! A store's app: what it was told last against what is published, latest wins.

use std::time::Duration;

use super::super::{Action, Context, Decision, Hook, Outcome};
use super::{FIRST_WAIT, Store};
use crate::domain::incident::Severity;
use crate::domain::publication::{GenerationId, GenerationStamp, Note, ReloadFault, Reloaded, Told};
use crate::domain::schedule::backoff;
use crate::domain::secret::Fingerprint;
use crate::domain::time::{Instant, Now, Timestamp};

/// However often a hook has failed, it is run again after this much time at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// What the app was told, and what became of telling it.
#[derive(Debug, Default)]
pub(in crate::domain::engine) struct Reload {
    /// In this life or one before; none: never, or nobody knows.
    pub(in crate::domain::engine) told: Option<Told>,
    /// A run has begun since then and did not work: who knows what the app has read.
    in_doubt: bool,
    running: Option<Running>,
    /// When the last run was asked for.
    begun: Option<Now>,
    /// The content that was tried last, and how often it has failed in a row.
    tried: Option<Fingerprint>,
    pub(in crate::domain::engine) failures: u32,
    next: Instant,
    pub(in crate::domain::engine) fault: Option<ReloadFault>,
    pub(in crate::domain::engine) last: Option<Run>,
    pub(in crate::domain::engine) succeeded: u64,
    pub(in crate::domain::engine) failed: u64,
}

impl Reload {
    pub(super) fn of(hook: Option<&Hook>) -> Self {
        Self { told: hook.and_then(|hook| hook.told), ..Self::default() }
    }
}

/// A run of the hook that is under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    asked: GenerationId,
    /// The same content, as it is stamped by now.
    stamped: GenerationId,
}

/// A run of the hook that has ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::engine) struct Run {
    pub(in crate::domain::engine) generation: u64,
    pub(in crate::domain::engine) ended_at: Timestamp,
    pub(in crate::domain::engine) took: Duration,
    pub(in crate::domain::engine) successful: bool,
}

impl Store {
    /// The published generation, if the app wants to be told of it and was not. Whatever came between it and
    /// the one that the app was told of is passed over.
    pub(in crate::domain::engine) fn untold(&self) -> Option<GenerationId> {
        self.spec.hook.as_ref()?;
        let published = self.good.as_ref().filter(|_| self.is_published())?.stamp.id();
        let told = self.reload.told.filter(|_| !self.reload.in_doubt).map(|told| told.generation);
        (told != Some(published)).then_some(published)
    }

    /// When the hook is run next; none: nothing has to be told, or it is under way.
    pub(in crate::domain::engine) fn next_reload(&self) -> Option<Instant> {
        self.untold().filter(|_| self.reload.running.is_none()).map(|_| self.reload.next)
    }

    /// Tells the app, if it has to be told now.
    pub(super) fn advance_reload(&mut self, cx: &mut Context<'_>) {
        let Some(generation) = self.untold() else { return };
        if self.reload.tried != Some(generation.fingerprint) {
            self.reload.tried = Some(generation.fingerprint);
            self.reload.failures = 0;
            self.reload.next = self.earliest_reload(cx.now.instant);
        }
        if self.reload.running.is_none() && cx.now.instant >= self.reload.next {
            self.reload.running = Some(Running { asked: generation, stamped: generation });
            self.reload.begun = Some(cx.now);
            self.reload.in_doubt = true;
            cx.actions.push(Action::Reload { store: self.name().clone(), generation });
        }
    }

    /// The first moment from now on that the interval between two runs allows.
    fn earliest_reload(&self, now: Instant) -> Instant {
        let interval = self.spec.hook.as_ref().map(|hook| hook.min_interval);
        let allowed = self.reload.begun.zip(interval).map(|(begun, wait)| begun.instant.plus(wait));
        allowed.map_or(now, |allowed| allowed.max(now))
    }

    /// What a failure waits for may be mended: it is tried again as soon as the interval allows.
    pub(super) fn hasten_reload(&mut self, now: Instant) {
        self.reload.next = self.reload.next.min(self.earliest_reload(now));
    }

    pub(in crate::domain::engine) fn reloaded(
        &mut self,
        generation: GenerationId,
        took: Duration,
        result: Result<Reloaded, ReloadFault>,
        cx: &mut Context<'_>,
    ) {
        // A run that a configuration before the last one asked for tells of nothing that is asked for now.
        let ours = self.reload.running.take_if(|running| running.asked == generation);
        let stamped = ours.map_or(generation, |running| running.stamped);
        let number = stamped.generation;
        let successful = result.is_ok();
        self.reload.last = Some(Run { generation: number, ended_at: cx.now.wall, took, successful });
        match result {
            Ok(Reloaded { how, output }) => {
                let told = Told { generation: stamped, told_at: cx.now.wall };
                if stamped != generation {
                    cx.actions.push(Action::Remember { store: self.name().clone(), note: Note::Told(told) });
                }
                self.reload.told = Some(told);
                self.reload.in_doubt = self.reload.running.is_some();
                self.reload.succeeded += 1;
                cx.shared.tally.totals.reloads_succeeded += 1;
                let failures = std::mem::take(&mut self.reload.failures);
                let after = if failures > 0 { format!(", after {failures} failures") } else { String::new() };
                self.reload.fault = None;
                let text = format!("the app was told of generation {number}: {how}{after}");
                self.say_with(cx, None, text, output);
                self.reload.next = self.earliest_reload(cx.now.instant);
            }
            Err(fault) => {
                self.reload.failed += 1;
                cx.shared.tally.totals.reloads_failed += 1;
                self.reload.failures = self.reload.failures.saturating_add(1);
                let wait = backoff(self.name().as_str(), self.reload.failures, FIRST_WAIT, LONGEST_WAIT);
                self.reload.next = self.earliest_reload(cx.now.instant.plus(wait));
                let text = format!("the app could not be told of generation {number}: {fault}");
                self.say_with(cx, Some(Severity::Warning), text, fault.output.clone());
                self.reload.fault = Some(fault);
            }
        }
    }

    /// Says something with what a command had to say, which is for the log alone.
    fn say_with(&self, cx: &mut Context<'_>, severity: Option<Severity>, text: String, output: String) {
        let store = Some(self.name().clone());
        cx.actions.push(Action::Say(Decision { store, severity, text, output }));
    }

    /// The published set was written again, or is stamped anew: the app need not be told of the same content.
    pub(super) fn restamped(&mut self, stamp: GenerationStamp, cx: &mut Context<'_>) {
        let Some(good) = &mut self.good else { return };
        let (old, new) = (std::mem::replace(&mut good.stamp, stamp).id(), good.stamp.id());
        if let Some(running) = &mut self.reload.running
            && running.stamped == old
        {
            running.stamped = new;
        }
        if let Some(told) = &mut self.reload.told
            && told.generation == old
            && !self.reload.in_doubt
            && old != new
        {
            told.generation = new;
            cx.actions.push(Action::Remember { store: self.spec.name.clone(), note: Note::Told(*told) });
        }
    }

    /// The same credentials were published in other files, which is news to the app.
    pub(super) fn reissued(&mut self, stamp: GenerationStamp) {
        if let Some(good) = &mut self.good {
            good.stamp = stamp;
        }
        self.reload.tried = None;
    }

    /// What telling the app came to in a single pass; none: that is still to come.
    pub(in crate::domain::engine) fn reload_outcome(&self) -> Option<Outcome> {
        let Some(generation) = self.untold() else { return Some(Outcome::Good) };
        let failed = self.reload.failures > 0 && self.reload.tried == Some(generation.fingerprint);
        (failed && self.reload.running.is_none()).then_some(Outcome::Untold)
    }
}
