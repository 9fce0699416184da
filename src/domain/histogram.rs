//! A histogram of durations: how many were how long. Its size is fixed, however many it counts.

use std::time::Duration;

use serde::Serialize;

/// Counts durations by how long they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// The longest duration of each bucket but the last, in microseconds, in rising order.
    bounds_us: &'static [u64],
    /// How many fell into each bucket; the last is for those that are longer than every bound.
    counts: Vec<u64>,
    /// All of them together, in microseconds.
    sum_us: u64,
}

impl Histogram {
    /// An empty histogram with these bounds, in microseconds and in rising order.
    #[must_use]
    pub fn new(bounds_us: &'static [u64]) -> Self {
        Self { bounds_us, counts: vec![0; bounds_us.len() + 1], sum_us: 0 }
    }

    /// Counts a duration. One that is as long as a bound falls below it.
    pub fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at = self.bounds_us.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// Each bound, in microseconds, with the number of durations between it and the one before; none: no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds_us.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts.iter().copied())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in microseconds.
    #[must_use]
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::new(&[10, 1_000]);
        for micros in [0, 10, 11, 1_000, 1_001, 5_000_000] {
            histogram.add(Duration::from_micros(micros));
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets, [(Some(10), 2), (Some(1_000), 2), (None, 2)]);
        assert_eq!((histogram.count(), histogram.sum_us()), (6, 5_002_022));
    }

    #[test]
    fn durations_without_end_do_not_overflow() {
        let mut histogram = Histogram::new(&[10]);
        histogram.add(Duration::MAX);
        histogram.add(Duration::MAX);
        assert_eq!((histogram.count(), histogram.sum_us()), (2, u64::MAX));
    }
}
