//! Budgets of requests: what an account at its host may cost, whatever the configuration and whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::secret::Fingerprint;
use crate::domain::time::Instant;

/// One request in this time on average: 6,000 an hour, where the store's limit is 20,000 for an account.
const PERIOD: Duration = Duration::from_millis(600);
/// Requests that may come at once after a quiet time.
const BURST: u64 = 60;

/// A turn that is missed by more than this lapses: many that were kept must not come at once.
const LATEST: Duration = Duration::from_secs(5);

/// The right to one request of an account. It is given once and kept until its time comes, so that whoever
/// asks more often than others takes nobody's turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    account: Fingerprint,
    /// When the request may be made.
    pub(super) at: Instant,
}

impl Turn {
    fn serves(&self, account: Fingerprint, now: Instant) -> bool {
        self.account == account && now.since(self.at) <= LATEST
    }
}

/// When each account's budget will be whole again. Accounts that have not been asked of late need no entry.
#[derive(Debug, Default)]
pub(super) struct Budgets(BTreeMap<Fingerprint, Instant>);

impl Budgets {
    /// When the next request of an account may be made by the holder of a turn, or by one that gets a new turn
    /// because it has none for this account. What is granted is spent, whether it is used or not.
    pub(super) fn turn(&mut self, held: Option<Turn>, account: Fingerprint, now: Instant) -> Turn {
        if let Some(turn) = held.filter(|turn| turn.serves(account, now)) {
            return turn;
        }
        let whole = self.0.get(&account).copied().filter(|at| *at > now).unwrap_or(now);
        let spent = whole.plus(PERIOD);
        let most = PERIOD.saturating_mul(u32::try_from(BURST).unwrap_or(u32::MAX));
        self.0.retain(|_, at| *at > now);
        self.0.insert(account, spent);
        Turn { account, at: now.plus(spent.since(now).saturating_sub(most)) }
    }

    /// How many requests of an account may be made at once now.
    pub(super) fn remaining(&self, account: Fingerprint, now: Instant) -> u64 {
        let spent = self.0.get(&account).map_or(Duration::ZERO, |whole| whole.since(now));
        let spent = spent.as_millis().div_ceil(PERIOD.as_millis());
        BURST.saturating_sub(u64::try_from(spent).unwrap_or(u64::MAX))
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
            let turn = budgets.turn(None, account, now);
            spent += 1;
            now = turn.at;
        }
        assert!((6_000..=6_000 + BURST + 1).contains(&spent), "{spent}");
    }

    #[test]
    fn accounts_do_not_share_a_budget_and_are_forgotten_when_they_are_whole_again() {
        let (key, mut budgets) = (FingerprintKey::new(&[1; 32]), Budgets::default());
        let now = Instant::from_millis(5);
        for _ in 0..BURST {
            assert_eq!(budgets.turn(None, key.of(&["one"]), now).at, now);
        }
        assert!(budgets.turn(None, key.of(&["one"]), now).at > now);
        assert_eq!(budgets.turn(None, key.of(&["two"]), now).at, now);
        let later = now.plus(PERIOD * 100);
        assert_eq!(budgets.turn(None, key.of(&["three"]), later).at, later);
        assert_eq!(budgets.0.len(), 1);
    }

    #[test]
    fn what_remains_is_what_may_be_asked_at_once() {
        let (key, mut budgets) = (FingerprintKey::new(&[1; 32]), Budgets::default());
        let (account, now) = (key.of(&["one"]), Instant::from_millis(5));
        for left in (0..=BURST).rev() {
            assert_eq!(budgets.remaining(account, now), left);
            assert_eq!(budgets.turn(None, account, now).at == now, left > 0);
        }
        assert_eq!(budgets.remaining(account, now.plus(PERIOD * 3)), 2, "one of them was lent");
        assert_eq!(budgets.remaining(key.of(&["two"]), now), BURST);
    }

    #[test]
    fn a_turn_is_kept_for_its_holder_and_lapses_when_it_is_missed() {
        let (key, mut budgets) = (FingerprintKey::new(&[1; 32]), Budgets::default());
        let (account, now) = (key.of(&["one"]), Instant::from_millis(5));
        for _ in 0..BURST {
            let _ = budgets.turn(None, account, now);
        }
        let held = budgets.turn(None, account, now);
        assert!(budgets.turn(None, account, now).at > held.at, "the next one comes later");
        assert_eq!(budgets.turn(Some(held), account, held.at).at, held.at, "it costs nothing again");
        assert_eq!(budgets.turn(Some(held), key.of(&["two"]), now).at, now, "of another account");
        let late = held.at.plus(LATEST + PERIOD);
        assert!(budgets.turn(Some(held), account, late).at >= late);
    }
}
