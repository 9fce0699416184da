//! What is counted and timed over all stores, those included that are gone: a sum over the stores that there are
//! would fall when one goes, and a counter must not.

use std::time::Duration;

use crate::domain::histogram::Histogram;
use crate::domain::snapshot::{Durations, Totals};
use crate::domain::verdict::VerdictKind;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// A request may take a minute at the most, whatever the configuration.
const CHECKS: &[u64] = &[
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    SECOND,
    2_500_000,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
];
/// Some intervals between checks, from a second to hours.
const DETECTIONS: &[u64] = &[
    SECOND,
    5 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    HOUR,
    6 * HOUR,
];
/// A poll and a check in most cases; much longer where a token is written before it is saved at the store.
const PUBLICATIONS: &[u64] = &[
    250_000,
    500_000,
    SECOND,
    2_500_000,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    20 * MINUTE,
    HOUR,
    24 * HOUR,
];

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) totals: Totals,
    pub(super) durations: Durations,
}

impl Default for Tally {
    fn default() -> Self {
        let durations = Durations {
            checks: Histogram::new(CHECKS),
            detections: Histogram::new(DETECTIONS),
            publications: Histogram::new(PUBLICATIONS),
        };
        Self { totals: Totals::default(), durations }
    }
}

impl Tally {
    pub(super) fn checked(&mut self, verdict: VerdictKind, took: Duration) {
        *self.totals.verdicts.entry(verdict).or_default() += 1;
        self.durations.checks.add(took);
    }
}
