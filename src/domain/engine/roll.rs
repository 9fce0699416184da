//! Which stores are published and which are waited for: asked at each pass of the daemon, so not counted anew each time.

use std::collections::BTreeSet;

use super::book::Book;
use super::store::Store;

/// The stores by their place in the list of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Roll {
    published: BTreeSet<usize>,
    awaited: BTreeSet<usize>,
}

impl Roll {
    /// Of all stores.
    pub(super) fn call(stores: &[Store], book: &Book) -> Self {
        let mut roll = Self::default();
        for (at, store) in stores.iter().enumerate() {
            roll.note(at, store, book);
        }
        roll
    }

    /// How things stand with this store now.
    pub(super) fn note(&mut self, at: usize, store: &Store, book: &Book) {
        for (names, belongs) in
            [(&mut self.published, store.is_published()), (&mut self.awaited, store.is_awaited(book))]
        {
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
    pub(super) fn awaited(&self) -> impl ExactSizeIterator<Item = usize> {
        self.awaited.iter().copied()
    }

    /// Whether all is not ready before some store is published.
    pub(super) fn awaits_some(&self) -> bool {
        !self.awaited.is_empty()
    }
}
