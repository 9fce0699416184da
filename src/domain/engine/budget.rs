//! Budgets of requests: what an account at its host may cost, whatever the configuration and whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::secret::Fingerprint;
use crate::domain::time::Instant;

/// One request in this time on average: 6,000 an hour, where the store's limit is 20,000 for an account.
const PERIOD: Duration = Duration::from_millis(600);
/// Requests that may come at once after a quiet time.
const BURST: u64 = 60;

/// When each account's budget will be whole again. Accounts that have not been asked of late need no entry.
#[derive(Debug, Default)]
pub(super) struct Budgets(BTreeMap<Fingerprint, Instant>);

impl Budgets {
    /// Spends one request of an account's budget.
    ///
    /// # Errors
    /// Nothing is left; when there will be.
    pub(super) fn spend(&mut self, account: Fingerprint, now: Instant) -> Result<(), Instant> {
        let whole = self.0.get(&account).copied().filter(|at| *at > now).unwrap_or(now);
        let spent = whole.plus(PERIOD);
        let most = PERIOD.saturating_mul(u32::try_from(BURST).unwrap_or(u32::MAX));
        let owed = spent.since(now);
        if owed > most {
            return Err(now.plus(owed.saturating_sub(most)));
        }
        self.0.retain(|_, at| *at > now);
        self.0.insert(account, spent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::FingerprintKey;

    #[test]
    fn whatever_is_wanted_an_account_costs_far_less_than_its_limit() {
        let (key, mut budgets) = (FingerprintKey::new(&[1; 32]), Budgets::default());
        let account = key.of(&["acme"]);
        let (mut now, mut spent) = (Instant::default(), 0);
        while now < Instant::from_millis(3_600_000) {
            match budgets.spend(account, now) {
                Ok(()) => spent += 1,
                Err(at) => {
                    assert!(at > now);
                    now = at;
                }
            }
        }
        assert!((6_000..=6_000 + BURST + 1).contains(&spent), "{spent}");
    }

    #[test]
    fn accounts_do_not_share_a_budget_and_are_forgotten_when_they_are_whole_again() {
        let (key, mut budgets) = (FingerprintKey::new(&[1; 32]), Budgets::default());
        let now = Instant::from_millis(5);
        for _ in 0..BURST {
            assert!(budgets.spend(key.of(&["one"]), now).is_ok());
        }
        assert!(budgets.spend(key.of(&["one"]), now).is_err());
        assert!(budgets.spend(key.of(&["two"]), now).is_ok());
        assert!(budgets.spend(key.of(&["three"]), now.plus(PERIOD * 100)).is_ok());
        assert_eq!(budgets.0.len(), 1);
    }
}
