//! Which stores are published and which are waited for: asked at each pass of the daemon, so not counted anew each time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::book::Book;
use super::store::Store;
use crate::domain::time::Instant;

/// The stores by their place in the list of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Roll {
    published: BTreeSet<usize>,
    awaited: BTreeSet<usize>,
    /// Those that are waited for only as long as nothing is published: then it may be us or the network.
    overdue: BTreeSet<usize>,
}

impl Roll {
    /// Of all stores.
    pub(super) fn call(stores: &[Store], book: &Book, now: Instant, patience: Duration) -> Self {
        let mut roll = Self::default();
        for (at, store) in stores.iter().enumerate() {
            roll.note(at, store, book, now, patience);
        }
        roll
    }

    /// How things stand with this store now.
    pub(super) fn note(&mut self, at: usize, store: &Store, book: &Book, now: Instant, patience: Duration) {
        let (awaited, overdue) = (store.is_awaited(book), store.is_overdue(now, patience));
        for (names, belongs) in [
            (&mut self.published, store.is_published()),
            (&mut self.awaited, awaited && !overdue),
            (&mut self.overdue, awaited && overdue),
        ] {
            if belongs {
                names.insert(at);
            } else {
                names.remove(&at);
            }
        }
    }

    /// How many are published.
    pub(super) fn published(&self) -> usize {
        self.published.len()
    }

    /// Those that are waited for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = usize> {
        self.awaited.iter().chain(self.all_wait().into_iter().flatten()).copied()
    }

    /// How many are waited for.
    pub(super) fn awaits(&self) -> usize {
        self.awaited.len() + self.all_wait().map_or(0, BTreeSet::len)
    }

    fn all_wait(&self) -> Option<&BTreeSet<usize>> {
        self.published.is_empty().then_some(&self.overdue)
    }
}
