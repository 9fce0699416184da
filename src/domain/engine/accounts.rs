//! Which accounts are published: what one store gives up may be in use by another.

use std::collections::BTreeMap;

use crate::domain::secret::Fingerprint;

/// How many stores publish each account.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<Fingerprint, usize>);

impl Accounts {
    /// Those of so many stores.
    pub(super) fn of(published: impl Iterator<Item = Fingerprint>) -> Self {
        let mut accounts = Self::default();
        published.for_each(|account| accounts.replaced(None, account));
        accounts
    }

    /// A store publishes this account from now on, in the place of another one or of none.
    pub(super) fn replaced(&mut self, before: Option<Fingerprint>, now: Fingerprint) {
        *self.0.entry(now).or_default() += 1;
        if let Some(count) = before.and_then(|before| self.0.get_mut(&before)) {
            *count = count.saturating_sub(1);
        }
        if let Some(before) = before.filter(|before| self.0.get(before) == Some(&0)) {
            self.0.remove(&before);
        }
    }

    /// Whether a store publishes this account that is not the one which publishes `own`.
    pub(super) fn is_of_another(&self, account: Fingerprint, own: Option<Fingerprint>) -> bool {
        let count = self.0.get(&account).copied().unwrap_or(0);
        count > usize::from(own == Some(account))
    }
}
