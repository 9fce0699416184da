//! What waits for its turn in one lane; on the disk, one thing at a time for each store.

use std::collections::{BTreeSet, VecDeque};

use crate::domain::credentials::StoreName;
use crate::domain::engine::Action;

/// How much of it is handed over to a thread at once, where more waits than there are threads: handing over costs
/// about as much as the work itself. A stop waits for what was handed over.
const DISK_BATCH: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Bounded by the engine: it asks for one thing of a kind for a store at a time.
    pub(super) waiting: VecDeque<Action>,
    pub(super) running: usize,
    pub(super) limit: usize,
    /// The stores whose disks are being worked on. The engine knows that too, but not of a store that was taken out of the
    /// configuration meanwhile and put back.
    busy: BTreeSet<StoreName>,
    /// Those of them that are no longer configured, or are again: nobody waits for what comes of it.
    orphans: BTreeSet<StoreName>,
}

impl Queue {
    pub(super) fn next(&mut self) -> Option<Action> {
        if self.running >= self.limit {
            return None;
        }
        let action = self.waiting.pop_front()?;
        self.running += 1;
        Some(action)
    }

    /// As many as may be handed over at once; no more than their share, so that no thread is without work. Those of
    /// stores that are being worked on wait.
    pub(super) fn batch(&mut self) -> Option<Vec<Action>> {
        let free = self.limit.checked_sub(self.running).filter(|free| *free > 0)?;
        let share = (self.waiting.len() / free).clamp(1, DISK_BATCH);
        let (mut batch, mut at) = (Vec::new(), 0);
        while batch.len() < share
            && let Some(action) = self.waiting.get(at)
        {
            if Self::store_of(action).is_some_and(|store| self.busy.contains(store)) {
                at += 1;
            } else {
                batch.extend(self.waiting.remove(at));
            }
        }
        if batch.is_empty() {
            return None;
        }
        self.busy.extend(batch.iter().filter_map(Self::store_of).cloned());
        self.running += 1;
        Some(batch)
    }

    /// A batch for these stores has ended. Returns those of them for whom it was not: they went while it was under way.
    pub(super) fn ended(&mut self, stores: &[StoreName]) -> BTreeSet<StoreName> {
        stores
            .iter()
            .filter(|store| self.busy.remove(*store) && self.orphans.remove(*store))
            .cloned()
            .collect()
    }

    /// There are other stores now. What waits for one that is no more is dropped, and what is under way for it is nobody's.
    pub(super) fn forget(&mut self, is_there: impl Fn(&StoreName) -> bool) {
        self.waiting.retain(|action| is_note(action) || Self::store_of(action).is_none_or(&is_there));
        self.orphans.extend(self.busy.iter().filter(|store| !is_there(store)).cloned());
    }

    /// Drops all but notes of what an app knows: without them the next life would tell it of the same content again.
    pub(super) fn drop_waiting(&mut self) {
        self.waiting.retain(is_note);
    }

    /// The store whose disk an action is about.
    pub(super) const fn store_of(action: &Action) -> Option<&StoreName> {
        match action {
            Action::Inspect { store }
            | Action::Publish { store, .. }
            | Action::Withdraw { store }
            | Action::Remember { store, .. } => Some(store),
            Action::LogIn
            | Action::Renew
            | Action::LookUp
            | Action::Read { .. }
            | Action::List { .. }
            | Action::Probe { .. }
            | Action::Reload { .. }
            | Action::Restock { .. }
            | Action::Notify(_)
            | Action::Keep(_)
            | Action::Say(_)
            | Action::Reply(_) => None,
        }
    }
}

const fn is_note(action: &Action) -> bool {
    matches!(action, Action::Remember { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::publication::{GenerationId, Note, Told};
    use crate::domain::secret::Fingerprint;
    use crate::domain::time::Timestamp;

    fn store(name: &str) -> StoreName {
        StoreName::parse(name).unwrap()
    }

    fn inspect(name: &str) -> Action {
        Action::Inspect { store: store(name) }
    }

    fn withdraw(name: &str) -> Action {
        Action::Withdraw { store: store(name) }
    }

    fn remember(name: &str) -> Action {
        let published_at = Timestamp::from_millis(1);
        let fingerprint = Fingerprint::parse("00000000000000ff").unwrap();
        let generation = GenerationId { generation: 2, fingerprint, published_at };
        Action::Remember { store: store(name), note: Note::Told(Told { generation, told_at: published_at }) }
    }

    fn queue(waiting: impl IntoIterator<Item = Action>) -> Queue {
        Queue { waiting: waiting.into_iter().collect(), limit: 2, ..Queue::default() }
    }

    /// What is handed over next, by its kind and store.
    fn batch(queue: &mut Queue) -> Option<Vec<String>> {
        let batch = queue.batch()?;
        let name = |action: &Action| {
            let kind = if matches!(action, Action::Inspect { .. }) {
                "inspect"
            } else if matches!(action, Action::Withdraw { .. }) {
                "withdraw"
            } else {
                "remember"
            };
            format!("{kind} {}", Queue::store_of(action).unwrap())
        };
        Some(batch.iter().map(name).collect())
    }

    fn end(queue: &mut Queue, stores: &[&str]) -> Vec<String> {
        queue.running -= 1;
        let stores: Vec<StoreName> = stores.iter().map(|name| store(name)).collect();
        queue.ended(&stores).into_iter().map(|store| store.to_string()).collect()
    }

    fn batched(actions: &[&str]) -> Option<Vec<String>> {
        Some(actions.iter().map(|action| (*action).to_owned()).collect())
    }

    #[test]
    fn a_stop_drops_what_waits_but_not_the_notes_of_what_apps_know() {
        let mut queue = queue([inspect("acme"), remember("acme"), withdraw("acme")]);
        queue.drop_waiting();
        assert_eq!(batch(&mut queue), batched(&["remember acme"]));
        assert_eq!(batch(&mut queue), None);
    }

    #[test]
    fn what_waits_for_a_store_whose_disk_is_worked_on_waits_until_that_has_ended() {
        let mut queue = queue([inspect("acme"), inspect("other")]);
        assert_eq!(batch(&mut queue), batched(&["inspect acme"]));
        queue.waiting.push_front(withdraw("acme"));
        queue.waiting.push_front(remember("acme"));
        assert_eq!(batch(&mut queue), batched(&["inspect other"]));
        assert_eq!(batch(&mut queue), None, "no thread is free");
        assert_eq!(end(&mut queue, &["other"]), [""; 0]);
        assert_eq!(batch(&mut queue), None, "its disk is being worked on");
        assert_eq!(end(&mut queue, &["acme"]), [""; 0]);
        assert_eq!(batch(&mut queue), batched(&["remember acme"]), "in their order");
        assert_eq!(batch(&mut queue), None);
        assert_eq!(end(&mut queue, &["acme"]), [""; 0]);
        assert_eq!(batch(&mut queue), batched(&["withdraw acme"]));
    }

    #[test]
    fn a_batch_is_a_share_of_what_waits() {
        let names: Vec<String> = (0..40).map(|number| format!("store-{number}")).collect();
        let mut queue = queue(names.iter().map(|name| inspect(name)));
        assert_eq!(batch(&mut queue).unwrap().len(), DISK_BATCH);
        assert_eq!(batch(&mut queue).unwrap().len(), DISK_BATCH);
        assert_eq!(batch(&mut queue), None);
        assert_eq!((queue.waiting.len(), queue.running), (24, 2));
    }

    #[test]
    fn what_comes_of_a_store_that_was_taken_out_is_nobodys_also_when_it_is_back() {
        let mut queue = queue([inspect("acme"), inspect("other")]);
        assert_eq!(batch(&mut queue), batched(&["inspect acme"]));
        queue.waiting.extend([withdraw("acme"), remember("acme")]);
        queue.forget(|store| store.as_str() != "acme");
        // It is back, and waits for its predecessor.
        queue.forget(|_| true);
        queue.waiting.push_back(inspect("acme"));
        assert_eq!(batch(&mut queue), batched(&["inspect other"]));
        assert_eq!(end(&mut queue, &["acme"]), ["acme"]);
        assert_eq!(
            batch(&mut queue),
            batched(&["remember acme", "inspect acme"]),
            "and nothing is withdrawn"
        );
        assert_eq!(end(&mut queue, &["acme", "acme"]), [""; 0], "this was its own");
    }
}
