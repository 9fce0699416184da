//! The loop's own times: how long its passes take, and how late it comes.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::domain::histogram::Histogram;
use crate::domain::snapshot::{LoopStatus, ProcessStatus};
use crate::system::process::Usage;

/// Most passes take some microseconds, and those that wait for a disk some milliseconds.
const PASSES: &[u64] =
    &[100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// A timer of the loop, and what the loop's passes took.
#[derive(Debug)]
pub(super) struct Pulse {
    interval: Interval,
    passes: Histogram,
    lag: Duration,
}

impl Pulse {
    /// Beats this often, at once for the first time.
    pub(super) fn every(period: Duration) -> Self {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, passes: Histogram::new(PASSES), lag: Duration::ZERO }
    }

    /// Waits for the next beat.
    pub(super) async fn beat(&mut self) {
        let due = self.interval.tick().await;
        self.lag = due.elapsed();
    }

    /// A pass that began then is complete.
    pub(super) fn passed(&mut self, begun: Instant) {
        self.passes.add(begun.elapsed());
    }

    pub(super) fn status(&self) -> LoopStatus {
        let lag_ms = u64::try_from(self.lag.as_millis()).unwrap_or(u64::MAX);
        LoopStatus { passes: self.passes.clone(), lag_ms }
    }
}

/// What the process uses now.
pub(super) fn usage() -> ProcessStatus {
    let Usage { cpu, resident_bytes, virtual_bytes, open_files, max_files, threads } = Usage::now();
    let cpu_ms = u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX);
    ProcessStatus { cpu_ms, resident_bytes, virtual_bytes, open_files, max_files, threads }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_was_busy_comes_late_and_says_by_how_much() {
        let mut pulse = Pulse::every(Duration::from_secs(10));
        pulse.beat().await;
        pulse.beat().await;
        assert_eq!(pulse.status().lag_ms, 0);
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(13)).await;
        pulse.passed(begun);
        pulse.beat().await;
        let status = pulse.status();
        assert!((3_000..3_010).contains(&status.lag_ms), "{status:?}");
        assert_eq!(status.passes.buckets().last(), Some((None, 1)));
    }
}
