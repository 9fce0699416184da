//! What the state machines of the source and of the stores share.

use super::accounts::Accounts;
use super::book::Book;
use super::budget::Budgets;
use super::platform::Platform;
use super::tally::Tally;
use super::{Action, Decision, Settings};
use crate::domain::credentials::StoreName;
use crate::domain::incident::Severity;
use crate::domain::secret::FingerprintKey;
use crate::domain::time::{Instant, Now};

/// What all state machines need while an event is handled.
pub(crate) struct Context<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a Settings,
    pub(super) key: &'a FingerprintKey,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) shared: &'a mut Shared,
}

/// What all stores share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) book: Book,
    pub(super) budgets: Budgets,
    pub(super) platform: Platform,
    pub(super) tally: Tally,
    pub(super) accounts: Accounts,
    /// How many stores there are.
    pub(super) stores: usize,
    /// When the machine went on after it had stood still: until then nobody could ask anything.
    pub(super) awake_since: Instant,
    /// Nothing is known that the source does not do now.
    pub(super) source_works: bool,
}

impl Shared {
    pub(super) fn new(book: Book, platform: Platform, now: Now) -> Self {
        Self {
            book,
            budgets: Budgets::default(),
            platform,
            tally: Tally::default(),
            accounts: Accounts::default(),
            stores: 0,
            awake_since: now.instant,
            source_works: true,
        }
    }
}

impl Context<'_> {
    pub(super) fn say(&mut self, store: Option<&StoreName>, severity: Option<Severity>, text: String) {
        let (store, output) = (store.cloned(), String::new());
        self.actions.push(Action::Say(Decision { store, severity, text, output }));
    }
}
