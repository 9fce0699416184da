//! All stores together: what one says is weighed against what the others say.

use super::book::Book;
use super::platform::Step;
use super::store::Store;
use super::{Action, Context, Engine};
use crate::domain::incident::Cause;
use crate::domain::time::{Instant, Now};

impl Engine {
    /// Weighs what a store says now against what the others say. Returns the stores that have to act on it.
    pub(super) fn weigh(&mut self, at: usize, now: Now) -> Vec<usize> {
        let Some(store) = self.stores.get(at) else { return Vec::new() };
        let platform = &mut self.shared.platform;
        platform.note(store.name(), store.standing(&self.shared.book), now);
        let all = platform.heard(store.name(), store.heard_at());
        let mut touched = if all { self.suspects() } else { Vec::new() };
        loop {
            match self.shared.platform.decide(self.stores.len(), now) {
                Step::Rest => return touched,
                Step::Ask { count, since } => touched.extend(self.ask_others(count, since, now)),
                Step::Over => touched.extend(self.confirm_suspects_anew(now)),
            }
        }
    }

    /// Asks so many that may tell the platform from the token, and have not done so since then.
    fn ask_others(&mut self, count: usize, since: Instant, now: Now) -> Vec<usize> {
        // Spread over all of them: neighbours in the configuration may have more in common.
        let step = self.stores.len() / (count + 1) + 1;
        let spread = (0..step).flat_map(|first| (first..self.stores.len()).step_by(step));
        let tells = |at: &usize| self.stores.get(*at).is_some_and(|store| store.may_tell(since));
        let others: Vec<usize> = spread.filter(tells).take(count).collect();
        for at in &others {
            if let Some(store) = self.stores.get_mut(*at) {
                store.check_published_now(now);
            }
        }
        let names = others.iter().filter_map(|at| self.stores.get(*at)).map(|store| store.name().clone());
        self.shared.platform.ask(names, now);
        others
    }

    /// Those that were asked are not waited for any longer than that. Returns the stores that have to act on it.
    pub(super) fn give_up_asking(&mut self, now: Now) -> Vec<usize> {
        if self.shared.platform.give_up_asking(now) { self.suspects() } else { Vec::new() }
    }

    fn suspects(&self) -> Vec<usize> {
        self.shared.platform.suspects().filter_map(|store| self.index.get(store).copied()).collect()
    }

    /// Finds out how the platform's trouble stands that a life before has left.
    pub(super) fn settle_inherited(&mut self, now: Now) {
        if !self.shared.platform.is_inherited() {
            return;
        }
        let asked = self.stores.iter().all(Store::was_asked);
        let accepted = self.stores.iter().filter(|store| store.is_verified()).count();
        let doubtful = self.stores.iter().filter(|store| store.is_doubtful(&self.shared.book)).count();
        if self.shared.platform.settle_inherited(asked, accepted, doubtful, now) {
            self.confirm_suspects_anew(now);
        }
    }

    /// Returns the stores that have to act on it.
    fn confirm_suspects_anew(&mut self, now: Now) -> Vec<usize> {
        let mut suspects = Vec::new();
        for (at, store) in self.stores.iter_mut().enumerate() {
            if self.shared.platform.is_suspect(store.name()) {
                store.confirm_anew(now);
                suspects.push(at);
            }
        }
        for at in &suspects {
            self.reschedule(*at, now.instant);
        }
        suspects
    }

    /// Begins, ends, repeats or brings up to date the incident about the platform.
    pub(super) fn tell_of_platform(&mut self, now: Now, actions: &mut Vec<Action>) {
        let troubled = self.shared.platform.is_troubled();
        let told = self.shared.book.is_open(None, Cause::PlatformTrouble);
        let due = self.shared.book.next_reminder(None).is_some_and(|at| at <= now.instant);
        let news = self.shared.platform.take_news();
        if troubled != told || (told && (due || news)) {
            let judged = self.shared.platform.judge();
            let mut cx =
                Context { now, settings: &self.settings, key: &self.key, actions, shared: &mut self.shared };
            Book::settle(None, [judged], |_| None, &mut cx);
        }
    }
}
