//! Intervals, phases spread by a hash of the store's name, and backoff.

use std::time::Duration;

use super::time::Instant;

/// Where in an interval a store has its turn: a number in `0..interval`, in milliseconds, the same at each
/// start and on each machine, so that many stores never come all at once.
#[must_use]
pub fn phase(name: &str, salt: &str, interval: Duration) -> u64 {
    let interval = millis(interval).max(1);
    hash(name, salt) % interval
}

/// The first turn after `now`: the next point at which the monotonic clock, taken modulo the interval,
/// shows the store's phase.
#[must_use]
pub fn next_turn(now: Instant, phase: u64, interval: Duration) -> Instant {
    let interval = millis(interval).max(1);
    let here = now.as_millis() % interval;
    let wait = (phase % interval + interval - here) % interval;
    now.plus(Duration::from_millis(if wait == 0 { interval } else { wait }))
}

/// The wait before try number `attempt` (counted from 1): `first`, doubled each time, at most `most`, and
/// up to a quarter shorter by a hash of `name` and `attempt`, so that those who failed together do not
/// return together.
#[must_use]
pub fn backoff(name: &str, attempt: u32, first: Duration, most: Duration) -> Duration {
    let doubled = millis(first).saturating_mul(1_u64 << attempt.saturating_sub(1).min(32));
    let wait = doubled.min(millis(most));
    let jitter = hash(name, &attempt.to_string()) % (wait / 4).max(1);
    Duration::from_millis(wait - jitter.min(wait))
}

/// FNV-1a over both texts, then a finaliser that spreads short names over all bits.
fn hash(name: &str, salt: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in salt.bytes().chain([0]).chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_thousand_stores_are_spread_evenly_over_the_interval() {
        let mut buckets = [0_u32; 10];
        for store in 0..1000 {
            let phase = phase(&format!("store-{store}"), "check", MINUTE);
            buckets[usize::try_from(phase / 6000).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|&count| (60..=140).contains(&count)), "{buckets:?}");
    }

    #[test]
    fn the_next_turn_is_ahead_and_within_one_interval() {
        for now in [0, 1, 59_999, 60_000, 123_456] {
            let now = Instant::from_millis(now);
            let turn = next_turn(now, 17_000, MINUTE);
            assert!(turn > now && turn.since(now) <= MINUTE);
            assert_eq!(turn.as_millis() % 60_000, 17_000);
        }
    }

    #[test]
    fn a_backoff_grows_to_its_limit_and_never_over_it() {
        let wait = |attempt| backoff("acme", attempt, Duration::from_secs(1), MINUTE);
        assert!(wait(1) <= Duration::from_secs(1) && wait(1) >= Duration::from_millis(750));
        assert!(wait(3) >= Duration::from_secs(3) && wait(3) <= Duration::from_secs(4));
        assert!((7..1000).all(|attempt| wait(attempt) >= Duration::from_secs(45) && wait(attempt) <= MINUTE));
        assert_ne!(wait(9), backoff("other", 9, Duration::from_secs(1), MINUTE));
    }
}
