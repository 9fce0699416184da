//! Both clocks of the machine.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Reads the clocks. The monotonic one counts from the moment that this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the start, on the monotonic clock.
    #[must_use]
    pub fn elapsed_millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The point at which the monotonic clock will show this many milliseconds; years away at the most.
    #[must_use]
    pub fn instant_at(&self, millis: u64) -> Instant {
        const YEAR: u64 = 365 * 24 * 3600 * 1000;
        self.start + Duration::from_millis(millis.min(self.elapsed_millis().saturating_add(YEAR)))
    }

    /// The wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_at_the_end_of_time_does_not_overflow() {
        let clock = Clock::start();
        assert!(clock.instant_at(u64::MAX) > Instant::now());
        assert!(clock.instant_at(0) <= Instant::now());
    }
}
